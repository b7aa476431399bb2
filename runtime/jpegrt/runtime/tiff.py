"""TIFF files (TIFF 6.0) of 8 or 16 bits a sample with all of a photograph's EXIF.

Pillow writes no 16-bit RGB, and drops EXIF's directories from compressed files.
"""

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.metadata import Metadata
from jpegrt.runtime.tiff_tags import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    INTEROPERABILITY_DIRECTORY,
    LONG,
    ORIENTATION,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Tag,
    byte_order,
    directory_bytes,
    integers,
    read_directory,
)

_STRIP_BYTES = 1 << 18
_DEFLATE, _DIFFERENCES = 8, 2  # compression (Adobe's), predictor (section 14)
_RESOLUTION = {282, 283, 296}  # across, down, unit
_XMP, _PROFILE = 700, 34675
# Of EXIF's first directory: what does not describe the image itself, which is another one there.
_KEPT = {ORIENTATION, *_RESOLUTION, 269, 270, 271, 272, 285, 305, 306, 315, 316, 318, 319}
_FIRST_PRIVATE = 32768


def tiff_from_pixels(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], metadata: Metadata, level: int = 6
) -> bytes:
    """The file of (H, W) or (H, W, 3) RGB, compressed without loss, in the byte order of EXIF."""
    exif = metadata.exif
    order = byte_order(exif) or "<"
    strips, rows = _strips(pixels, order, level)
    file = bytearray(8)
    offsets = []
    for strip in strips:
        offsets.append(len(file))
        file += strip + b"\0" * (len(strip) % 2)

    tags = _image_tags(pixels, order, rows, offsets, [len(strip) for strip in strips])
    tags += _metadata_tags(metadata, order)
    for pointer in _exif_tags(exif, order):
        if pointer.number in (EXIF_DIRECTORY, GPS_DIRECTORY):
            if inner := list(_append_inner(file, exif, order, pointer)):
                tags.append(_append(file, inner, order, pointer.number))
        elif not (pointer.number in _RESOLUTION and metadata.density):
            tags.append(pointer)
    start = len(file)
    file += directory_bytes(tags, order, start)
    file[:8] = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return bytes(file)


def _strips(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], order: str, level: int
) -> tuple[list[bytes], int]:
    """Compressed rows, and how many of them are in a strip."""
    height, width = pixels.shape[:2]
    rows = max(1, _STRIP_BYTES // max(1, pixels[0].nbytes))
    kind = np.dtype(pixels.dtype).newbyteorder(order)  # type: ignore[arg-type]
    strips = []
    for top in range(0, height, rows):
        strip = pixels[top : top + rows].reshape(-1, width, pixels.size // (height * width))
        differences = strip.copy()
        differences[:, 1:] -= strip[:, :-1]
        strips.append(zlib.compress(differences.astype(kind).tobytes(), level))
    return strips, rows


def _image_tags(
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    order: str,
    rows: int,
    offsets: list[int],
    sizes: list[int],
) -> list[Tag]:
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return [
        integers(order, 256, LONG, width),
        integers(order, 257, LONG, height),
        integers(order, 258, SHORT, *(channels * [8 * pixels.itemsize])),
        integers(order, 259, SHORT, _DEFLATE),
        integers(order, 262, SHORT, 2 if channels == 3 else 1),  # RGB, or black is zero
        integers(order, 273, LONG, *offsets),
        integers(order, 277, SHORT, channels),
        integers(order, 278, LONG, rows),
        integers(order, 279, LONG, *sizes),
        integers(order, 284, SHORT, 1),  # samples of a pixel together
        integers(order, 317, SHORT, _DIFFERENCES),
    ]


def _metadata_tags(metadata: Metadata, order: str) -> list[Tag]:
    tags = []
    if density := metadata.density:
        tags += [
            integers(order, 282, RATIONAL, density.x, 1),
            integers(order, 283, RATIONAL, density.y, 1),
            integers(order, 296, SHORT, density.unit + 1),
        ]
    if metadata.xmp:
        tags.append(Tag(_XMP, 1, len(metadata.xmp), metadata.xmp))
    if metadata.icc:
        tags.append(Tag(_PROFILE, UNDEFINED, len(metadata.icc), metadata.icc))
    return tags


def _exif_tags(exif: bytes, order: str) -> Iterable[Tag]:
    """What EXIF's first directory says that a TIFF's may say too, each once."""
    if byte_order(exif) is None:
        return ()
    (start,) = struct.unpack_from(order + "I", exif, 4)
    found = {tag.number: tag for tag in read_directory(exif, order, start)}
    ours = {_XMP, _PROFILE}
    return [
        tag
        for number, tag in found.items()
        if number in _KEPT or (number >= _FIRST_PRIVATE and number not in ours)
    ]


def _append_inner(file: bytearray, exif: bytes, order: str, pointer: Tag) -> Iterable[Tag]:
    """The tags of the directory that `pointer` leads to, its own one appended to the file."""
    found = {tag.number: tag for tag in read_directory(exif, order, _offset(pointer, order))}
    for tag in found.values():
        if tag.number == INTEROPERABILITY_DIRECTORY:
            if inner := list(read_directory(exif, order, _offset(tag, order))):
                yield _append(file, inner, order, tag.number)
        else:
            yield tag


def _append(file: bytearray, tags: list[Tag], order: str, number: int) -> Tag:
    """Appends a directory; the tag that leads to it."""
    start = len(file)
    file += directory_bytes(tags, order, start)
    return integers(order, number, LONG, start)


def _offset(pointer: Tag, order: str) -> int:
    offset: int = struct.unpack(order + "I", pointer.value.ljust(4, b"\0")[:4])[0]
    return offset
