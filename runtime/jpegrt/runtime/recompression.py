"""Whether a JPEG was made from a decoded JPEG, on the same grid of blocks or on a shifted one.

Quantisation leaves DCT coefficients on multiples of the first table's steps, on the first file's
grid. A second compression with finer steps blurs these peaks and does not remove them. So the low
frequencies of luma are compared with the coarser tables of all of libjpeg's quality factors, on each
of the 64 grids, in the middle of the image:

- On a shifted grid the decoded image's coefficients lie near multiples of the first steps t: the
  mean of cos(2 pi c / t) is above 0. Those that t makes 0 are left out; of the others, coefficients
  of a smooth distribution give a mean of 0 or less.
- On the file's own grid coefficients are multiples n of its own steps, of a distribution that is
  near geometric if they were quantised once. What each n has more, or fewer, than the geometric mean
  of its neighbours is compared with the same cosine, and gaps between the first steps' multiples
  have to be nearly empty.

A first compression that was finer than the file's leaves little to find, and did little harm. First
tables that are not libjpeg's are found only where one of libjpeg's is close.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import JpegImage
from jpegrt.kernels.unpack import samples_from_blocks
from jpegrt.runtime.tables import ANNEX_K_LUMA, log_mean, scaled_table

# Of 504 JPEGs compressed once, of 84 photographs at qualities from 15 to 92, one scores more than
# the least, 21, whose original may well be a decoded JPEG, and no other more than 13. First
# compressions finer than the last were seen to score up to 16.
LEAST_SCORE = 16.0
LIKELY_SCORE = 20.0

_LARGEST_PX = 384  # of what is looked at
_LEAST_PX = 64
_GLANCE_PX = 192  # of what is looked at on every grid; the best one only is looked at closely
_GLANCE_SCORE = 4.0  # from which on it is; scores double as sides do
_SIDE = 6
_V, _U = np.array([(v, u) for v in range(_SIDE) for u in range(_SIDE) if 0 < u + v < _SIDE]).T
_QUALITIES = tuple(range(5, 98))
_SHIFTS = tuple((y, x) for y in range(8) for x in range(8) if y or x)
_LEVELS = 1024  # magnitudes of coefficients that are counted, in half levels; larger are the last
_MULTIPLES = 64  # of the file's own steps that are counted
_ROUNDING = 1.0  # by which the first file's pixels, when rounded, move a coefficient
_LARGEST_IN_GAPS = 0.35  # share of what is around them
_COARSER = 0.15  # mean logarithm of steps from which a first table is told from the file's own
_FEW = 50.0  # added to counts, so that a few coefficients score little

Counts = NDArray[np.float32]


@dataclass(frozen=True)
class Recompression:
    """What the compression before the file's was.

    quality: libjpeg's quality factor, about.
    shift: where its blocks begin in the file's image, down and across, each 0 to 7.
    score: how far its traces stand out, in standard deviations of what chance would leave.
    """

    quality: int
    shift: tuple[int, int]
    score: float

    @property
    def is_likely(self) -> bool:
        """Or else only possible."""
        return self.score >= LIKELY_SCORE

    @property
    def table(self) -> NDArray[np.int64]:
        """Its luma table, (8, 8)."""
        return scaled_table(ANNEX_K_LUMA, self.quality)


def find_recompression(image: JpegImage) -> Recompression | None:
    """The likeliest compression before the file's own, or None if there is no sign of one.

    image: as read, with its blocks. Images below 64 pixels a side tell nothing.
    """
    luma = image.components[0]
    assert luma.blocks is not None and luma.table is not None
    if min(luma.width, luma.height) < _LEAST_PX:
        return None
    coarser = _mean_logarithms() > log_mean(luma.table) + _COARSER
    if not coarser.any():
        return None
    rows, columns = (
        slice(first, first + _LARGEST_PX // 8)
        for first in (max(n - _LARGEST_PX // 8, 0) // 2 for n in luma.blocks.shape[:2])
    )
    blocks = np.ascontiguousarray(luma.blocks[rows, columns])
    samples = samples_from_blocks(blocks, luma.table)
    # Blocks at the right and the bottom may reach beyond the image.
    inside = samples[: luma.height - 8 * rows.start, : luma.width - 8 * columns.start]
    best = max(
        _on_own_grid(blocks, luma.table, coarser),
        _on_shifted_grids(inside, coarser),
        key=lambda found: found.score,
    )
    return best if best.score >= LEAST_SCORE else None


def _on_own_grid(
    blocks: NDArray[np.int16], own: NDArray[np.uint16], coarser: NDArray[np.bool_]
) -> Recompression:
    multiples = np.minimum(np.abs(blocks[:, :, _V, _U].astype(np.int64)), _MULTIPLES)
    counts = _counts(multiples.reshape(-1, len(_V)), _MULTIPLES + 1).astype(np.float64)
    # The multiples from 2 on: beside 1 are the zeros, which are many for reasons of their own.
    before, here, after = counts[:, 1:-3], counts[:, 2:-2], counts[:, 3:-1]
    excess = here - np.sqrt(before * after)
    variance = here + (before + after) / 4
    steps = own[_V, _U].astype(np.float64)[:, None]
    values = steps * np.arange(2, _MULTIPLES - 1)
    first_steps = np.stack([table[_V, _U] for table in _tables()])[..., None]
    waves = np.cos(2 * np.pi * values / first_steps) * (first_steps != steps)
    scores = (waves * excess).sum((1, 2)) / np.sqrt((waves**2 * variance).sum((1, 2)) + _FEW / 2)
    # Other tables, finer ones too, leave patterns of their own, but not empty gaps where these are.
    from_multiple = np.abs(values - first_steps * np.round(values / first_steps))
    is_gap = from_multiple > steps / 2 + _ROUNDING
    in_gaps = (is_gap * here).sum((1, 2))
    around = (is_gap * (before + here + after) / 3).sum((1, 2))
    scores[~coarser | (in_gaps > _LARGEST_IN_GAPS * around)] = 0
    best = int(scores.argmax())
    return Recompression(_QUALITIES[best], (0, 0), float(scores[best]))


def _on_shifted_grids(samples: NDArray[np.uint8], coarser: NDArray[np.bool_]) -> Recompression:
    plane = samples.astype(np.float32) - 128
    glance = _likeliest(_middle(plane), _SHIFTS, coarser)
    if glance.score < _GLANCE_SCORE:
        return glance
    return _likeliest(plane, (glance.shift,), coarser)


def _middle(plane: Counts) -> Counts:
    """Of at most _GLANCE_PX a side, beginning where a block does."""
    rows, columns = (
        slice(first, first + _GLANCE_PX)
        for first in (max(side - _GLANCE_PX, 0) // 16 * 8 for side in plane.shape)
    )
    return plane[rows, columns]


def _likeliest(
    plane: Counts, shifts: tuple[tuple[int, int], ...], coarser: NDArray[np.bool_]
) -> Recompression:
    counts = np.stack([_spectrum_counts(plane[y:, x:]).ravel() for y, x in shifts], axis=1)
    waves, beyond_zero = _waves()
    scores = (waves @ counts) / np.sqrt(beyond_zero @ counts / 2 + _FEW)
    scores[~coarser] = 0
    best, grid = np.unravel_index(int(scores.argmax()), scores.shape)
    return Recompression(_QUALITIES[best], shifts[grid], float(scores[best, grid]))


def _spectrum_counts(plane: Counts) -> Counts:
    """How often each magnitude occurs at each frequency of a plane, (frequencies, _LEVELS)."""
    rows, columns = (side // 8 for side in plane.shape)
    basis = _basis()
    across = plane[: 8 * rows, : 8 * columns].reshape(-1, 8) @ basis.T
    down = across.reshape(rows, 8, columns, _SIDE).transpose(0, 2, 3, 1).reshape(-1, 8) @ basis.T
    magnitudes = np.abs(down.reshape(rows * columns, _SIDE, _SIDE)[:, _U, _V])
    return _counts(np.minimum(2 * magnitudes + 0.5, _LEVELS - 1).astype(np.int64), _LEVELS)


def _counts(levels: NDArray[np.int64], n_levels: int) -> Counts:
    """Of levels (any, frequencies), how often each occurs: (frequencies, n_levels)."""
    frequencies = levels.shape[1]
    apart = levels + n_levels * np.arange(frequencies)
    counts = np.bincount(apart.ravel(), minlength=frequencies * n_levels)
    return counts.reshape(frequencies, n_levels).astype(np.float32)


@lru_cache(1)
def _tables() -> tuple[NDArray[np.int64], ...]:
    return tuple(scaled_table(ANNEX_K_LUMA, quality) for quality in _QUALITIES)


@lru_cache(1)
def _mean_logarithms() -> NDArray[np.float64]:
    return np.asarray([log_mean(table) for table in _tables()])


@lru_cache(1)
def _waves() -> tuple[Counts, Counts]:
    """What counts of magnitudes are multiplied by, for each quality, and where that is not 0."""
    magnitude = np.arange(_LEVELS) / 2
    steps = np.stack([table[_V, _U] for table in _tables()])[..., None]
    beyond_zero = (magnitude >= steps / 2) & (steps >= 2)
    waves = np.cos(2 * np.pi * magnitude / steps) * beyond_zero
    flat = (len(_QUALITIES), -1)
    return waves.reshape(flat).astype(np.float32), beyond_zero.reshape(flat).astype(np.float32)


@lru_cache(1)
def _basis() -> Counts:
    """The orthonormal DCT-II's lowest frequencies, (_SIDE, 8)."""
    u, x = np.arange(_SIDE)[:, None], np.arange(8)
    basis = np.cos((2 * x + 1) * u * np.pi / 16) / 2
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)
