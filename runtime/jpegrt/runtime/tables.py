"""What a JPEG's quantisation tables tell about how it was made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Recommendation T.81, Annex K.1, raster order: what libjpeg's quality factor scales.
ANNEX_K_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
ANNEX_K_CHROMA = np.full((8, 8), 99)
ANNEX_K_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


@dataclass(frozen=True)
class QualityEstimate:
    """A libjpeg quality factor, 1 to 100; `exact` if the table is just that quality's."""

    quality: int
    exact: bool


def scaled_table(base: NDArray[np.integer], quality: int) -> NDArray[np.int64]:
    """The table libjpeg uses for a quality factor from 1 to 100 (its jpeg_quality_scaling)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((base.astype(np.int64) * scale + 50) // 100, 1, 255)


def estimate_quality(
    table: NDArray[np.integer], base: NDArray[np.integer] = ANNEX_K_LUMA
) -> QualityEstimate:
    """The quality factor whose table is nearest in mean logarithm of its steps.

    base: what the quality scales, Annex K's table of luma or of chroma.
    """
    candidates = [scaled_table(base, quality) for quality in range(1, 101)]
    steps = np.log(np.maximum(table.astype(np.float64), 1))
    distances = np.abs(np.log(candidates) - steps).sum(axis=(1, 2))
    # Of equals (at the coarsest qualities tables saturate) the highest.
    nearest = 100 - int(np.argmin(distances[::-1]))
    return QualityEstimate(nearest, bool(np.array_equal(candidates[nearest - 1], table)))


def log_mean(table: NDArray[np.integer]) -> float:
    """How coarse a table is: the mean logarithm of its steps."""
    return float(np.log(np.maximum(table.astype(np.float64), 1)).mean())
