"""The stages of a restore, from file to file, and whether they add up to the whole."""

import time
from collections.abc import Mapping
from pathlib import Path

from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.metadata import Metadata
from jpegrt.runtime.session import Session

# In their order. Packing and uploading are what another device needs, and none of the CPU's.
STAGES = (
    "read",
    "entropy decode",
    "pack",
    "upload",
    "unpack",
    "network",
    "pixels",
    "encode",
)
ON_A_DEVICE = ("pack", "upload")
# How far the stages' sum may be from the whole that was measured around them.
TOLERANCE = 0.05


def restore_file(
    session: Session, source: Path, target: Path, image_format: ImageFormat
) -> dict[str, float]:
    """Restores a file into another; the milliseconds of each stage that the CPU has."""
    started = time.perf_counter()
    content = source.read_bytes()
    read = time.perf_counter()
    pixels, timings = session.restore_timed(content)
    restored = time.perf_counter()
    target.write_bytes(image_format.encode(pixels, Metadata()))
    written = time.perf_counter()
    return {
        "read": 1e3 * (read - started),
        "entropy decode": timings.entropy_decode_ms,
        "unpack": timings.unpack_ms,
        "network": timings.network_ms,
        "pixels": timings.pixels_ms,
        "encode": 1e3 * (written - restored),
    }


def sum_over_whole(stages_ms: Mapping[str, float], whole_ms: float) -> float:
    return sum(stages_ms.values()) / whole_ms
