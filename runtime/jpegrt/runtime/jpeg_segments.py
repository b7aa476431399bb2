"""Metadata of JPEGs to be written (ISO/IEC 10918-1, B.2.4): segments of at most 64 KiB each."""

import struct
from collections.abc import Iterator

from jpegrt.runtime.metadata import ICC_PREFIX, XMP_PREFIX, Metadata
from jpegrt.runtime.orientation import EXIF_PREFIX

_MOST = 65533  # bytes of a segment's body
_JFIF = bytes.fromhex("ffe0 0010 4a46494600 0101 00 0001 0001 0000")


def with_segments(jpeg: bytes, metadata: Metadata) -> bytes:
    """The same JPEG with metadata. libjpeg begins it with JFIF's segment, but for CMYK."""
    has_jfif = jpeg[2:4] == _JFIF[:2]
    rest = jpeg[2 + len(_JFIF) :] if has_jfif else jpeg[2:]
    jfif = bytearray(jpeg[2 : 2 + len(_JFIF)] if has_jfif else b"")
    if density := metadata.density:
        jfif = jfif or bytearray(_JFIF)
        jfif[11:16] = struct.pack(">BHH", density.unit, density.x, density.y)
    segments = (
        struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body
        for marker, body in _bodies(metadata)
    )
    return b"".join((jpeg[:2], jfif, *segments, rest))


def _bodies(metadata: Metadata) -> Iterator[tuple[int, bytes]]:
    for part in _parts(metadata.exif, _MOST - len(EXIF_PREFIX)):
        yield 0xE1, EXIF_PREFIX + part
    if metadata.xmp and len(metadata.xmp) <= _MOST - len(XMP_PREFIX):
        yield 0xE1, XMP_PREFIX + metadata.xmp
    profile = _parts(metadata.icc, _MOST - len(ICC_PREFIX) - 2)
    if len(profile) < 256:
        for number, part in enumerate(profile, 1):
            yield 0xE2, ICC_PREFIX + bytes((number, len(profile))) + part
    yield from metadata.segments


def _parts(block: bytes, size: int) -> list[bytes]:
    return [block[at : at + size] for at in range(0, len(block), size)]
