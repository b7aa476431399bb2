"""Files that were compressed twice, taken back to the first compression, which did most harm.

A model that is told the second table removes what the second compression did, and takes the first
one's blocks for what the picture shows. So luma is quantised again with the first table, on the
first grid, where its coefficients nearly are already, and restored as the JPEG that it was. Chroma
stays as the file's own tables make a model restore it.
"""

import io

import numpy as np
from PIL import Image

from jpegrt.kernels import JpegImage
from jpegrt.kernels.coefficients import Colour
from jpegrt.kernels.unpack import samples_from_blocks
from jpegrt.runtime.recompression import Recompression
from jpegrt.runtime.strips import Pixels

_LARGEST_SIDE = 65500  # libjpeg's, when it compresses
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # JFIF
_STRIP_ROWS = 256


def can_go_back(image: JpegImage, found: Recompression) -> bool:
    """Whether it is worth it, and luma is there at full size."""
    luma = image.components[0]
    return (
        found.is_likely
        and image.colour is not Colour.RGB
        and (luma.width, luma.height) == (image.width, image.height)
        and max(luma.width, luma.height) <= _LARGEST_SIDE - 7
    )


def first_jpeg(image: JpegImage, found: Recompression) -> bytes:
    """Luma as a grey JPEG of the first table, with `margin(found)` pixels more above and before."""
    luma = image.components[0]
    assert luma.blocks is not None and luma.table is not None
    samples = samples_from_blocks(luma.blocks, luma.table)[: luma.height, : luma.width]
    above, before = margin(found)
    padded = np.pad(samples, ((above, 0), (before, 0)), mode="edge")
    buffer = io.BytesIO()
    Image.fromarray(padded).save(buffer, "JPEG", qtables=[found.table.ravel().tolist()])
    return buffer.getvalue()


def margin(found: Recompression) -> tuple[int, int]:
    """Pixels to add above and before the image so that blocks of the first grid begin it."""
    down, across = found.shift
    return -down % 8, -across % 8


def replace_luma(rgb: Pixels, luma: Pixels) -> None:
    """Gives (H, W, 3) RGB, in place, another luma (H, W) of its dtype, and leaves its chroma."""
    highest = np.iinfo(rgb.dtype).max
    for top in range(0, len(rgb), _STRIP_ROWS):
        strip = slice(top, top + _STRIP_ROWS)
        change = luma[strip] - rgb[strip] @ _LUMA
        rgb[strip] = np.clip(rgb[strip] + change[..., None] + np.float32(0.5), 0, highest)
