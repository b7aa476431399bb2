"""EXIF's orientation: how stored pixels are to be turned, and where a file says so."""

import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.tiff_tags import ORIENTATION, byte_order, read_directory

EXIF_PREFIX = b"Exif\0\0"  # of EXIF in JPEGs

_IN_XMP = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>\s*))[2-8]""")

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def orientation_of_exif(exif: bytes) -> int:
    """From 1 to 8; 1 (upright) where nothing is said, or what makes no sense."""
    found = _find(exif)
    return found[0] if found else 1


def without_orientation(exif: bytes, xmp: bytes) -> tuple[bytes, bytes]:
    """Both saying "upright", and else byte by byte as they were."""
    if found := _find(exif):
        _, at, order = found
        exif = exif[:at] + struct.pack(order + "H", 1) + exif[at + 2 :]
    return exif, _IN_XMP.sub(rb"\g<1>1", xmp)


def _find(exif: bytes) -> tuple[int, int, str] | None:
    """The value, where it stands, and the byte order."""
    order = byte_order(exif)
    if order is None:
        return None
    for tag in read_directory(exif, order, struct.unpack_from(order + "I", exif, 4)[0]):
        if tag.number == ORIENTATION and tag.kind == 3 and tag.count == 1:
            (value,) = struct.unpack_from(order + "H", tag.value)
            return (value, tag.at, order) if 1 <= value <= 8 else None
    return None


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """(H, W) or (H, W, 3) pixels as they are to be seen; EXIF 2.32, 4.6.4 A, Orientation."""
    return upright_view(pixels, orientation).copy() if orientation > 1 else pixels


def upright_view(pixels: Pixels, orientation: int) -> Pixels:
    """As `upright`, of the same memory."""
    turned: NDArray[Any] = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return turned
