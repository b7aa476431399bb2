"""Whether a JPEG was made from a decoded JPEG, on the same grid of blocks or on a shifted one.

Quantisation leaves DCT coefficients on multiples of the first table's steps, on the first file's
grid. A second compression blurs these peaks and does not remove them. So the low frequencies of luma
are compared with the tables of all of libjpeg's quality factors, on each of the 64 grids, in the middle
of the image:

- On a shifted grid the decoded image's coefficients lie near multiples of the first steps t: the
  mean of cos(2 pi c / t) is above 0. Those that t makes 0 are left out; of the others, coefficients
  of a smooth distribution give a mean of 0 or less.
- On the file's own grid `double_quantisation` scores coarser and finer tables, by how often each
  multiple of the file's own steps occurs. Finer ones on another grid leave nothing to find.

First tables that are not libjpeg's are found only where one of libjpeg's is close.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import Component, JpegImage
from jpegrt.kernels.unpack import samples_from_blocks
from jpegrt.runtime.double_quantisation import is_explained, trace_scores
from jpegrt.runtime.tables import ANNEX_K_LUMA, log_mean, scaled_table

# Of 1,781 JPEGs compressed once, of 137 photographs at qualities from 5 to 95, none is taken for one
# compressed twice (scripts/results/recompression.json). Pictures that were drawn score up to 21.
LEAST_SCORE = 16.0
LIKELY_SCORE = 20.0
# Of finer first compressions: those that were compressed once score up to 6.2, from quality 20 on.
LIKELY_FINER_SCORE = 7.0

_LARGEST_PX = 384  # of what is looked at
_LARGEST_ON_OWN_PX = 768  # on the file's own grid
_LEAST_PX = 64
_GLANCE_PX = 192  # of what is looked at on every grid; the best one only is looked at closely
_GLANCE_SCORE = 4.0  # from which on it is; scores double as sides do
_SIDE = 6
_V, _U = np.array([(v, u) for v in range(_SIDE) for u in range(_SIDE) if 0 < u + v < _SIDE]).T
_QUALITIES = tuple(range(5, 98))
_SHIFTS = tuple((y, x) for y in range(8) for x in range(8) if y or x)
_LEVELS = 1024  # magnitudes of coefficients that are counted, in half levels; larger are the last
_MULTIPLES = 64  # of the file's own steps that are counted
_COARSER = 0.15  # mean logarithm of steps from which a first table is told from the file's own
# Mean logarithms of steps between which a finer first table is told from the file's own, and beyond
# which nothing was gained by knowing it.
_FINER, _FINEST = 0.05, 0.8
_FEW = 50.0  # added to counts, so that a few coefficients score little

Counts = NDArray[np.float32]


@dataclass(frozen=True)
class Recompression:
    """What the compression before the file's was.

    quality: libjpeg's quality factor, about.
    shift: where its blocks begin in the file's image, down and across, each 0 to 7.
    score: how far its traces stand out, in standard deviations of what chance would leave.
    is_finer: whether its steps were smaller than the file's.
    """

    quality: int
    shift: tuple[int, int]
    score: float
    is_finer: bool = False

    @property
    def is_likely(self) -> bool:
        """Or else only possible."""
        return self.score >= (LIKELY_FINER_SCORE if self.is_finer else LIKELY_SCORE)

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
    found = (_on_own_grid(luma), _on_shifted_grids(luma))
    # Each has traces that look a little like the other's.
    return max(filter(None, found), key=lambda each: (each.is_likely, each.score), default=None)


def _on_own_grid(luma: Component) -> Recompression | None:
    assert luma.blocks is not None and luma.table is not None
    coarser_by = _mean_logarithms() - log_mean(luma.table)
    is_finer = (coarser_by > -_FINEST) & (coarser_by < -_FINER)
    (candidates,) = np.nonzero(is_finer | (coarser_by > _COARSER))
    if not candidates.size:
        return None
    counts = _counts_of_multiples(luma.blocks[_middle_blocks(luma, _LARGEST_ON_OWN_PX)])
    own = luma.table[_V, _U].astype(np.float64)
    first = np.stack([_tables()[n][_V, _U] for n in candidates]).astype(np.float64)
    scores = trace_scores(counts, own, first)
    best = int(scores.argmax())
    table = candidates[best]
    found = Recompression(_QUALITIES[table], (0, 0), float(scores[best]), bool(is_finer[table]))
    if found.is_finer:
        return found if found.is_likely and is_explained(counts, own, first[best]) else None
    return found if found.score >= LEAST_SCORE else None


def _on_shifted_grids(luma: Component) -> Recompression | None:
    assert luma.blocks is not None and luma.table is not None
    coarser = _mean_logarithms() > log_mean(luma.table) + _COARSER
    if not coarser.any():
        return None
    rows, columns = _middle_blocks(luma, _LARGEST_PX)
    samples = samples_from_blocks(np.ascontiguousarray(luma.blocks[rows, columns]), luma.table)
    # Blocks at the right and the bottom may reach beyond the image.
    inside = samples[: luma.height - 8 * rows.start, : luma.width - 8 * columns.start]
    plane = inside.astype(np.float32) - 128
    found = _likeliest(_middle(plane), _SHIFTS, coarser)
    if found.score >= _GLANCE_SCORE:
        found = _likeliest(plane, (found.shift,), coarser)
    return found if found.score >= LEAST_SCORE else None


def _middle_blocks(luma: Component, largest_px: int) -> tuple[slice, slice]:
    """Rows and columns of blocks."""
    assert luma.blocks is not None
    n = largest_px // 8
    first_row, first_column = (max(side - n, 0) // 2 for side in luma.blocks.shape[:2])
    return slice(first_row, first_row + n), slice(first_column, first_column + n)


def _counts_of_multiples(blocks: NDArray[np.int16]) -> NDArray[np.float64]:
    """How often each multiple of its step occurs at each frequency, (frequencies, _MULTIPLES + 1)."""
    multiples = np.minimum(np.abs(blocks[:, :, _V, _U].astype(np.int64)), _MULTIPLES)
    return _counts(multiples.reshape(-1, len(_V)), _MULTIPLES + 1).astype(np.float64)


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
