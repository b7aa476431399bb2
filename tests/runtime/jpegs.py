"""JPEGs made by Pillow, and what Pillow decodes of them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from tests.kernels.images import Pixels

EXAMPLE = Path(__file__).parents[2] / "scripts" / "example"


def encode(
    pixels: Pixels, *, quality: int = 30, subsampling: str = "4:2:0", **more: object
) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling, **more)
    return buffer.getvalue()


def decode(jpeg: bytes) -> Pixels:
    """(H, W) of a grey JPEG, else (H, W, 3) RGB."""
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def claiming(jpeg: bytes, height: int, width: int) -> bytes:
    """The same baseline file with another size in its frame header."""
    start = jpeg.index(b"\xff\xc0") + 5
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return jpeg[:start] + size + jpeg[start + 4 :]


def corrupted(jpeg: bytes) -> bytes:
    """The same file with noise in the middle of its entropy-coded data."""
    middle, noise = len(jpeg) // 2, np.random.default_rng(0).integers(0, 255, 200, np.uint8)
    return jpeg[:middle] + noise.tobytes() + jpeg[middle + 200 :]
