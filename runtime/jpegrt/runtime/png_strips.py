"""PNG (ISO/IEC 15948) written strip by strip, with 16 bits a sample too, which Pillow writes for
grey only."""

import struct
import zlib
from collections.abc import Iterable
from typing import IO

import numpy as np

from jpegrt.runtime.strips import Strips

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}  # by channels: grey, RGB
_UP = 2  # the filter: each byte less the one above it
_LEVEL = 6


def write_png_strips(strips: Strips, chunks: Iterable[bytes], file: IO[bytes]) -> None:
    """chunks: those that go between the header and the pixels."""
    height, width = strips.shape[:2]
    channels = strips.shape[2] if len(strips.shape) == 3 else 1
    row_bytes = strips.depth // 8 * width * channels
    header = struct.pack(">IIBBBBB", width, height, strips.depth, _COLOUR_TYPES[channels], 0, 0, 0)
    file.write(_SIGNATURE + chunk(b"IHDR", header))
    for content in chunks:
        file.write(content)
    compressor = zlib.compressobj(_LEVEL)
    above = np.zeros((1, row_bytes), np.uint8)
    for strip in strips:
        samples = np.ascontiguousarray(strip, f">u{strips.depth // 8}")
        rows = samples.view(np.uint8).reshape(len(strip), row_bytes)
        filtered = np.empty((len(strip), 1 + row_bytes), np.uint8)
        filtered[:, 0] = _UP
        np.subtract(rows[:1], above, out=filtered[:1, 1:])
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        above = rows[-1:].copy()
        _write_data(compressor.compress(filtered.data), file)
    _write_data(compressor.flush(), file)
    file.write(chunk(b"IEND", b""))


def _write_data(compressed: bytes, file: IO[bytes]) -> None:
    if compressed:
        file.write(chunk(b"IDAT", compressed))


def chunk(kind: bytes, content: bytes) -> bytes:
    """With its length before it, and its checksum after it."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
