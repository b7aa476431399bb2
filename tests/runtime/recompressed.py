"""JPEGs of a photograph that were compressed twice."""

import io

import numpy as np
from PIL import Image
from tests.kernels.images import Pixels
from tests.runtime.jpegs import EXAMPLE, decode, encode


def photograph(mode: str = "L") -> Pixels:
    """(256, 320) of the example, or (256, 320, 3) with mode RGB."""
    with Image.open(EXAMPLE / "example.png") as image:
        return np.asarray(image.convert(mode).crop((96, 64, 416, 320)))


def twice(original: Pixels, first: int, second: int, crop: tuple[int, int]) -> tuple[bytes, Pixels]:
    """The second JPEG, of the decoded first one without some pixels above and before, and what of
    the original it shows."""
    down, across = crop
    once = decode(encode(original, quality=first))[down:, across:]
    return encode(np.ascontiguousarray(once), quality=second), original[down:, across:]


def with_tables(pixels: Pixels, *tables: list[int], subsampling: str = "4:2:0") -> bytes:
    """Of luma and chroma, 64 steps each."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", qtables=list(tables), subsampling=subsampling)
    return buffer.getvalue()
