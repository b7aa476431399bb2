"""TIFF files (TIFF 6.0) of 8 or 16 bits a sample with all of a photograph's EXIF.

Pillow writes no 16-bit RGB, and drops EXIF's directories from compressed files.
"""

import math
import struct
import zlib
from collections.abc import Iterable
from typing import IO

import numpy as np

from jpegrt.runtime.metadata import Metadata
from jpegrt.runtime.strips import Pixels, Strips
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
_PHOTOMETRIC = {1: 1, 3: 2, 4: 5}  # by channels: black is zero, RGB, CMYK
# Of EXIF's first directory: what does not describe the image itself, which is another one there.
_KEPT = {ORIENTATION, *_RESOLUTION, 269, 270, 271, 272, 285, 305, 306, 315, 316, 318, 319}
_FIRST_PRIVATE = 32768


def write_tiff(image: Strips, metadata: Metadata, file: IO[bytes], level: int = 6) -> None:
    """Writes an empty file, compressed without loss, in the byte order of EXIF."""
    exif = metadata.exif
    order = byte_order(exif) or "<"
    row_bytes = image.depth // 8 * math.prod(image.shape[1:])
    rows = max(1, _STRIP_BYTES // row_bytes)
    file.write(bytes(8))
    offsets, sizes = [], []
    for strip in image.in_rows(rows):
        compressed = zlib.compress(_differences(strip, order), level)
        offsets.append(file.tell())
        sizes.append(len(compressed))
        file.write(compressed + b"\0" * (len(compressed) % 2))

    tags = _image_tags(image, order, rows, offsets, sizes)
    tags += _metadata_tags(metadata, order)
    for pointer in _exif_tags(exif, order):
        if pointer.number in (EXIF_DIRECTORY, GPS_DIRECTORY):
            if inner := list(_append_inner(file, exif, order, pointer)):
                tags.append(_append(file, inner, order, pointer.number))
        elif not (pointer.number in _RESOLUTION and metadata.density):
            tags.append(pointer)
    start = file.tell()
    file.write(directory_bytes(tags, order, start))
    file.seek(0)
    file.write((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start))


def _differences(strip: Pixels, order: str) -> bytes:
    """Each sample less that of the pixel before it, in the file's byte order."""
    rows, width = strip.shape[:2]
    samples = strip.reshape(rows, width, -1)
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]
    kind = np.dtype(strip.dtype).newbyteorder(order)  # type: ignore[arg-type]
    return differences.astype(kind).tobytes()


def _image_tags(
    image: Strips,
    order: str,
    rows: int,
    offsets: list[int],
    sizes: list[int],
) -> list[Tag]:
    height, width = image.shape[:2]
    channels = image.shape[2] if len(image.shape) == 3 else 1
    return [
        integers(order, 256, LONG, width),
        integers(order, 257, LONG, height),
        integers(order, 258, SHORT, *(channels * [image.depth])),
        integers(order, 259, SHORT, _DEFLATE),
        integers(order, 262, SHORT, _PHOTOMETRIC[channels]),
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


def _append_inner(file: IO[bytes], exif: bytes, order: str, pointer: Tag) -> Iterable[Tag]:
    """The tags of the directory that `pointer` leads to, its own one appended to the file."""
    found = {tag.number: tag for tag in read_directory(exif, order, _offset(pointer, order))}
    for tag in found.values():
        if tag.number == INTEROPERABILITY_DIRECTORY:
            if inner := list(read_directory(exif, order, _offset(tag, order))):
                yield _append(file, inner, order, tag.number)
        else:
            yield tag


def _append(file: IO[bytes], tags: list[Tag], order: str, number: int) -> Tag:
    """Appends a directory; the tag that leads to it."""
    start = file.tell()
    file.write(directory_bytes(tags, order, start))
    return integers(order, number, LONG, start)


def _offset(pointer: Tag, order: str) -> int:
    offset: int = struct.unpack(order + "I", pointer.value.ljust(4, b"\0")[:4])[0]
    return offset
