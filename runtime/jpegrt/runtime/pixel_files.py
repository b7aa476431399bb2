"""Images other than JPEGs, for models that take pixels: read by Pillow, whole or not at all."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from jpegrt.runtime.errors import RestoreError, one_line

_FORMATS = ("PNG", "WEBP", "PPM")  # as Pillow names them; PPM is all of PNM


def is_pixel_file(content: bytes) -> bool:
    """Whether these bytes begin as a file that `read_pixels` could read."""
    is_webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return is_webp or content.startswith((b"\x89PNG\r\n\x1a\n", b"P5", b"P6"))


def read_pixels(content: bytes, max_pixels: int) -> NDArray[np.uint8]:
    """The pixels of a PNG, WebP or PNM: uint8 (H, W) if grey, else (H, W, 3) RGB.

    EXIF's orientation and colour profiles are not applied. Raises RestoreError as `pixels_of` does.
    """
    with opened(content, _FORMATS, "JPEG, PNG, WebP or PNM") as image:
        return pixels_of(image, max_pixels)


@contextmanager
def opened(content: bytes, formats: tuple[str, ...], names: str) -> Iterator[Image.Image]:
    """The image in a file of these formats, as Pillow names them and as people do.

    What Pillow says of it, then or inside of the block, is raised as a RestoreError.
    """
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            yield image
    except UnidentifiedImageError as error:  # whose own text has an address in it
        raise RestoreError(f"is no {names}") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise RestoreError(f"cannot be read: {one_line(error)}") from error


def pixels_of(image: Image.Image, max_pixels: int) -> NDArray[np.uint8]:
    """uint8 (H, W) if grey, else (H, W, 3) RGB.

    What would be lost is refused: transparency, more than 8 bits a sample, frames after the first.
    Raises RestoreError.
    """
    _refuse(image, max_pixels)
    if image.mode in ("1", "L", "LA"):
        return _without_alpha(image.convert("LA"))
    return _without_alpha(image.convert("RGBA"))


def _refuse(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise RestoreError(
            f"{image.width}x{image.height} pixels are more than the limit of {max_pixels}"
            "; to allow it, pass a larger --max-pixels (max_pixels)"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise RestoreError("has more than one frame: extract the one to restore")
    if image.mode.startswith(("I", "F")):
        raise RestoreError("has more than 8 bits a sample: convert it to 8 first")


def _without_alpha(image: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(image)
    if (pixels[..., -1] != 255).any():
        raise RestoreError("is transparent in places, which would be lost: flatten it first")
    return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3])
