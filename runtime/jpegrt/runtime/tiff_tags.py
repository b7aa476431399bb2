"""Directories of tags (TIFF 6.0, section 2), which EXIF is made of too. Values stay raw bytes."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ORIENTATION = 274
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY_DIRECTORY = 34665, 34853, 40965

SHORT, LONG, RATIONAL, UNDEFINED = 3, 4, 5, 7
_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)  # bytes of one value, by kind


@dataclass(frozen=True)
class Tag:
    """value: in the file's byte order; at: where it stood in what was read."""

    number: int
    kind: int
    count: int
    value: bytes
    at: int = 0


def byte_order(block: bytes) -> str | None:
    """As `struct` writes it; None if this begins no TIFF structure."""
    if len(block) >= 8:
        if block.startswith(b"II*\0"):
            return "<"
        if block.startswith(b"MM\0*"):
            return ">"
    return None


def read_directory(block: bytes, order: str, start: int) -> Iterator[Tag]:
    """The tags of the directory at `start`; those that lie outside of `block` are left out."""
    if start + 2 > len(block):
        return
    (entries,) = struct.unpack_from(order + "H", block, start)
    for at in range(start + 2, min(start + 2 + 12 * entries, len(block) - 11), 12):
        number, kind, count = struct.unpack_from(order + "HHI", block, at)
        size = _SIZES[kind] * count if kind < len(_SIZES) else 0
        where = at + 8
        if size > 4:
            (where,) = struct.unpack_from(order + "I", block, where)
        if 0 < size <= len(block) - where:
            yield Tag(number, kind, count, block[where : where + size], where)


def directory_bytes(tags: Sequence[Tag], order: str, start: int) -> bytes:
    """The directory, and the values that it points to, to stand at the even offset `start`."""
    entries, values = bytearray(), bytearray()
    first_value = start + 2 + 12 * len(tags) + 4
    for tag in sorted(tags, key=lambda tag: tag.number):
        entries += struct.pack(order + "HHI", tag.number, tag.kind, tag.count)
        if len(tag.value) <= 4:
            entries += tag.value.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", first_value + len(values))
            values += tag.value + b"\0" * (len(tag.value) % 2)
    return struct.pack(order + "H", len(tags)) + bytes(entries) + bytes(4) + bytes(values)


def integers(order: str, number: int, kind: int, *values: int) -> Tag:
    """A tag of SHORTs or LONGs, or of RATIONALs' numerators and denominators."""
    raw = struct.pack(f"{order}{len(values)}{'H' if kind == SHORT else 'I'}", *values)
    return Tag(number, kind, len(raw) // _SIZES[kind], raw)
