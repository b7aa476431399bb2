"""Answers, checked before they are timed: a fast wrong answer is none."""

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime import metrics
from jpegrt.runtime.errors import RestoreError

# Two runs of one network differ by what int8 costs, 45 dB and more; by Pillow's rounding before a
# network, 40 dB. A wrong graph, table or layout is below this.
NEAR_DB = 33.0


def check_equal(what: str, found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """Raises RestoreError."""
    if found.shape != expected.shape or not np.array_equal(found, expected):
        raise RestoreError(f"{what} does not give the pixels that it has to: it is not timed")


def check_near(what: str, found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    """Returns their PSNR in dB. Raises RestoreError if it is below NEAR_DB."""
    if found.shape != expected.shape:
        raise RestoreError(f"{what} gives {found.shape}, not {expected.shape}: it is not timed")
    psnr_db = metrics.psnr(found, expected)
    if psnr_db < NEAR_DB:
        raise RestoreError(
            f"{what} differs too much from its reference ({psnr_db:.1f} dB, at least "
            f"{NEAR_DB:g} are needed): it is not timed"
        )
    return psnr_db
