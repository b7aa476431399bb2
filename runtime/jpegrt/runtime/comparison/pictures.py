"""The pictures of a comparison: read from any format that `restore` writes, and made alike."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from jpegrt.runtime.errors import RestoreError, UsageError, one_line
from jpegrt.runtime.inks import is_cmyk, rgb_from_cmyk
from jpegrt.runtime.metadata import read_metadata
from jpegrt.runtime.orientation import upright
from jpegrt.runtime.pixel_files import opened, pixels_of
from jpegrt.runtime.resize import enlarge, rounded
from jpegrt.runtime.session import Session, read_file

# A page holds each picture whole: some 100 MB for three of so many pixels.
MOST_PIXELS = 1 << 24

_FORMATS = ("PNG", "WEBP", "PPM", "TIFF", "AVIF", "BMP")  # as Pillow names them

Source = bytes | str | os.PathLike[str] | NDArray[np.uint8] | Image.Image


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 (H, W) or (H, W, 3) RGB, upright.
    icc: the profile of their colours, or nothing.
    size_bytes: of the file, if there is one.
    enlarged: how many times it was, to be compared.
    """

    name: str
    pixels: NDArray[np.uint8] = field(repr=False)
    icc: bytes = field(default=b"", repr=False)
    size_bytes: int | None = None
    enlarged: int = 1

    @property
    def size(self) -> str:
        """As people write it, before it was enlarged."""
        height, width = (side // self.enlarged for side in self.pixels.shape[:2])
        return f"{width} x {height}"


def open_picture(
    source: Source, name: str, max_pixels: int, *, allow_damaged: bool = False
) -> Picture:
    """source: a file's name or its bytes, an array, or an image of Pillow's.
    allow_damaged: take what is there of damaged JPEGs.

    JPEGs are decoded plainly, with libjpeg's pixels. Raises RestoreError.
    """
    name = one_line(name)
    if isinstance(source, np.ndarray):
        return Picture(name, _pixels_of_array(source, max_pixels))
    if isinstance(source, Image.Image):
        return Picture(name, *_pixels_of_image(source, max_pixels))
    content = source if isinstance(source, bytes) else read_file(Path(source))
    if content.startswith(b"\xff\xd8"):
        metadata = read_metadata(content)
        decoder = Session("none", allow_damaged=allow_damaged, max_pixels=max_pixels)
        pixels = decoder.restore(content)
        turned = upright(pixels, metadata.orientation).astype(np.uint8, copy=False)
        return Picture(name, *_in_rgb(turned, metadata.icc), len(content))
    with opened(content, _FORMATS, "JPEG, PNG, WebP, TIFF, AVIF, BMP or PNM") as image:
        return Picture(name, *_pixels_of_image(image, max_pixels), len(content))


def _pixels_of_image(image: Image.Image, max_pixels: int) -> tuple[NDArray[np.uint8], bytes]:
    """Upright, with their profile. Raises RestoreError."""
    profile = image.info.get("icc_profile") or b""
    if image.width * image.height > max_pixels or image.mode != "CMYK":
        if image.width * image.height <= max_pixels:  # else `pixels_of` says so, without reading it
            image = ImageOps.exif_transpose(image)
        return pixels_of(image, max_pixels), profile
    return _in_rgb(np.asarray(ImageOps.exif_transpose(image)), profile)


def _in_rgb(pixels: NDArray[np.uint8], icc: bytes) -> tuple[NDArray[np.uint8], bytes]:
    """Of CMYK as sRGB, which needs no profile."""
    if not is_cmyk(pixels.shape):
        return pixels, icc
    return rgb_from_cmyk(pixels, icc).astype(np.uint8, copy=False), b""


def _pixels_of_array(array: NDArray[np.uint8], max_pixels: int) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.shape[2:] not in ((), (3,)) or array.ndim < 2:
        raise RestoreError(
            "an array must be uint8 of shape (H, W) or (H, W, 3), "
            f"not {array.dtype} of {array.shape}"
        )
    if not 0 < array.shape[0] * array.shape[1] <= max_pixels:
        raise RestoreError(
            f"an array must have from 1 to {max_pixels} pixels (max_pixels), not {array.shape}"
        )
    return np.ascontiguousarray(array)


def made_alike(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """The same with one size and one number of channels.

    The first one is enlarged (bicubic) where the second is a whole multiple of it. Raises
    UsageError where sizes differ in another way.
    """
    before, after, *others = pictures
    factor, rest = divmod(after.pixels.shape[0], before.pixels.shape[0])
    if tuple(factor * side for side in before.pixels.shape[:2]) != after.pixels.shape[:2] or rest:
        raise UsageError(
            f"{before.name} has {before.size} pixels and {after.name} {after.size}: compare two of "
            "one size, or name the smaller one first if the other is a whole multiple of it"
        )
    if factor > 1:
        before = replace(before, pixels=rounded(enlarge(before.pixels, factor)), enlarged=factor)
    for other in others:
        if other.pixels.shape[:2] != after.pixels.shape[:2]:
            raise UsageError(
                f"the original {other.name} has {other.size} pixels, not {after.size} as "
                f"{after.name}: name one of that size"
            )
    alike = [before, after, *others]
    if len({picture.pixels.ndim for picture in alike}) > 1:
        alike = [replace(picture, pixels=_as_rgb(picture.pixels)) for picture in alike]
    return tuple(alike)


def _as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=2)
