"""How much memory restoring may take, and the tiles that fit into it."""

import math
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from jpegrt.kernels import ModelSpec

SHARE = 0.25  # of the machine's memory, unless asked for otherwise
# Python, an engine's libraries and a model's weights.
PROGRAM_BYTES = 160 << 20

# What engines take for a pixel that a network sees, tensors included: the most of our models'.
_BYTES_PER_PX = {"cells": 192, "spectral": 1280, "luma": 1280, "rgb": 1280}
# Of a plain decoder: its samples.
_PLAIN_BYTES_PER_PX = 4
_MCU_PX = 32  # of which the native core's overlap may be a part more, and a tile at least one

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(%|[KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# As containers are told what they may use; a number that no machine has, or "max", is no limit.
_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_UNKNOWN = 4 << 30


def machine_bytes() -> int:
    """The memory that this process may use at most: the machine's, or its container's."""
    total = _UNKNOWN
    with suppress(AttributeError, ValueError, OSError):  # not on every system
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _CONTAINER_LIMITS:
        with suppress(OSError, ValueError):
            total = min(total, int(file.read_text()))
    return total


@dataclass(frozen=True)
class Memory:
    """What restoring may take.

    is_limit: whether somebody asked for it. What would take more is then refused; else the bytes
        only say how large tiles are.
    """

    bytes: int
    is_limit: bool = True

    @classmethod
    def of(cls, size: "Memory | int | str | None") -> "Memory":
        """Of "512M", "2G" or "25%" (of the machine's), or bytes; None is SHARE of the machine's, and
        no limit. Raises ValueError."""
        if isinstance(size, Memory):
            return size
        if size is None:
            return cls(int(SHARE * machine_bytes()), is_limit=False)
        if found := _SIZE.fullmatch(str(size).strip()):
            number, unit = float(found[1]), found[2].upper()
            count = number / 100 * machine_bytes() if unit == "%" else number * _UNITS[unit]
            if 1 <= count < 1 << 62 and (unit != "%" or number <= 100):
                return cls(int(count))
        raise ValueError(f"memory must be a size such as 512M, 2G or 25%, not {size}")

    def part(self, share: float) -> "Memory":
        """That share of what is left beside the program."""
        return replace(self, bytes=int(share * max(self.bytes - PROGRAM_BYTES, 0)))


def bytes_per_px(spec: ModelSpec | None) -> int:
    """What the pipeline and an engine take for each pixel of what a network sees."""
    if spec is None:
        return _PLAIN_BYTES_PER_PX
    return _BYTES_PER_PX[spec.domain] * spec.enlargement**2


def tile_px_for(memory: Memory, spec: ModelSpec | None) -> int:
    """The side of tiles that half of it is enough for; the other half is the image's.

    0 for models that see the whole image. Raises ValueError if a limit is too low.
    """
    overlap = 0
    if spec is not None:
        if not spec.receptive_field_px:
            return 0
        overlap = math.ceil(spec.receptive_field_px / _MCU_PX + 1) * _MCU_PX
    least = 2 * overlap + max(_MCU_PX, spec.minimum_px if spec else 1)
    tile = math.isqrt(memory.bytes // 2 // bytes_per_px(spec))
    if tile < least and memory.is_limit:
        enough = 2 * bytes_per_px(spec) * least**2
        raise ValueError(
            f"so little memory is not enough: with this model each session takes at least "
            f"{(enough >> 20) + 1} MiB beside the program itself; allow more, or fewer threads"
        )
    return min(max(tile, least), 65535)
