"""CMYK as RGB, for formats and readers that have no CMYK: by the profile, or by a plain formula."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from jpegrt.runtime.strength import deepened
from jpegrt.runtime.strips import Pixels, Strips

_STRIP_ROWS = 256  # converted at once, so that wide copies of whole images are never held


def is_cmyk(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] == 4


def cmyk_image(pixels: Pixels) -> Image.Image:
    """Pillow's, of uint8 (H, W, 4)."""
    height, width = pixels.shape[:2]
    return Image.frombytes("CMYK", (width, height), pixels.tobytes())


def rgb_from_cmyk(pixels: Pixels, icc: bytes = b"") -> Pixels:
    """(H, W, 4) CMYK, 0 for no ink, as sRGB (H, W, 3) of the same dtype.

    icc: the profile of the inks, by which LittleCMS converts, perceptually, in levels of 8 bits
        also where pixels have 16. Without one, or if it is none of CMYK, a channel is what its ink
        and K leave of the light, one after the other: (1 - C)(1 - K).
    """
    convert = _converter(icc)
    rgb: NDArray[Any] = np.empty((*pixels.shape[:2], 3), pixels.dtype)
    for top in range(0, len(pixels), _STRIP_ROWS):
        rgb[top : top + _STRIP_ROWS] = convert(pixels[top : top + _STRIP_ROWS])
    return rgb


def strips_as_rgb(image: Strips, icc: bytes = b"") -> Strips:
    """As `rgb_from_cmyk`, strip by strip."""

    def make(index: int) -> Pixels:
        return rgb_from_cmyk(image.make(index), icc)

    return replace(image, shape=(*image.shape[:2], 3), make=make)


def _converter(icc: bytes) -> Callable[[Pixels], Pixels]:
    if icc[16:20] != b"CMYK":
        return _light
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "CMYK", "RGB")
    except (ImageCms.PyCMSError, OSError, ImportError):
        return _light

    def convert(pixels: Pixels) -> Pixels:
        deep = pixels.dtype == np.uint16
        levels = (pixels + np.uint32(128)) // 257 if deep else pixels
        rgb = ImageCms.applyTransform(cmyk_image(levels.astype(np.uint8)), transform)
        assert rgb is not None  # it is only if converted in place
        converted: NDArray[np.uint8] = np.asarray(rgb)
        return deepened(converted, 16 if deep else 8)

    return convert


def _light(pixels: Pixels) -> Pixels:
    highest = np.iinfo(pixels.dtype).max
    light = np.uint32(highest) - pixels
    rgb = (light[..., :3] * light[..., 3:] + np.uint32(highest // 2)) // np.uint32(highest)
    levels: NDArray[Any] = rgb.astype(pixels.dtype)
    return levels
