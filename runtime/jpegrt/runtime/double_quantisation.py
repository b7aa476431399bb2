"""What quantising coefficients twice on the same grid of blocks leaves of them.

The second compression took multiples n of the first steps t to multiples k of its own, q. So what is
k now was between two odd multiples of t / 2, not of q / 2, and these intervals are wider for some k
and narrower, or empty, for others. With t = 13 and q = 20, 0 was [-6.5, 6.5], and 1 is [6.5, 32.5]:
its middle is 19.5, and of 2, [32.5, 45.5], it is 39; a model that knows q alone takes all three for
[-10, 10], [10, 30] and [30, 50].

- Such files are found by how many coefficients each k has, compared with the geometric mean of its
  neighbours, which is what a smooth distribution nearly has: wider intervals have more. Where q is a
  multiple of t at every frequency, intervals are alike, and nothing is found.
- Those whose first steps were smaller are restored from the intervals' middles, and the model is told
  steps that are larger, or smaller, as the mean square error is.
"""

import io
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.kernels import JpegImage
from jpegrt.kernels.unpack import samples_from_blocks

_MULTIPLES = 64  # that are told from each other; larger ones are counted together, and left alone
_COEFFICIENTS = (-32768, 32767)  # that int16 takes: hostile tables go beyond
_TINY = 1e-9  # where there are no coefficients
_FEW = 0.3  # added to counts, so that a few coefficients score little
_LEAST_EXPECTED = 3.0  # squared score that a table would get, below which it is not compared
# Coefficients of a multiple and its neighbours, from which on they tell what is unexplained.
_MANY = 9
# Such multiples, of all frequencies: coarse tables leave fewer, which can mislead.
_LEAST_COMPARED = 60
_UNEXPLAINED = 4.0  # mean square, in those of chance: up to 3.3 was seen where the table was right
_UNEXPLAINED_SHARE = 0.25  # or so much of it before
# Of the mean square error, by which the steps change: best on held-out photographs, of 0.5, 0.75 and 1.
_EXPONENT = 0.75
# Of a first file's coefficients, by its pixels' having been rounded: the root of a twelfth.
_ROUNDING = 12**-0.5

Floats = NDArray[np.float64]


def trace_scores(counts: Floats, own: Floats, first: Floats) -> Floats:
    """How far the traces of each first table stand out, in standard deviations, 0 or less if not.

    counts: how often multiples 0, 1, ... occur at each of some frequencies, (frequencies, n); the
        last are not compared. own: the file's steps, (frequencies,). first: (tables, frequencies).
    """
    shares = _shares(own, first, counts.shape[1] - 1)
    counts = counts[:, :-1]
    # From 2 on: beside 1 are the zeros, which are many for reasons of their own.
    before, here, after = counts[:, 1:-2], counts[:, 2:-1], counts[:, 3:]
    excess = here - np.sqrt(before * after)
    variance = here + (before + after) / 4
    expected = shares[..., 2:-1] - np.sqrt(shares[..., 1:-2] * shares[..., 3:])
    # Distributions that fall slower than geometrically have less than that mean everywhere, by a
    # share that falls with the square of the multiple: traces are what differs from that.
    slower = np.arange(2, 2 + here.shape[1]) ** -2.0
    part = (expected * variance * slower).sum(-1) / (variance * slower**2 + _TINY).sum(-1)
    expected -= part[..., None] * slower
    expected[first == own] = 0
    power = (expected**2 * (variance + _FEW)).sum((1, 2))
    scores: Floats = (expected * excess).sum((1, 2)) / np.sqrt(np.maximum(power, _LEAST_EXPECTED))
    return scores


def is_explained(counts: Floats, own: Floats, first: Floats) -> bool:
    """Whether finer first steps (frequencies,) explain the counts, as `trace_scores` takes them.

    Drawings and the like have patterns of their own, of which no first table explains much; and a few
    counts prove little.
    """
    shares = _shares(own, first[None], counts.shape[1] - 1)[0]
    counts = counts[:, :-1]
    are_many = counts[:, 1:-2] + counts[:, 2:-1] + counts[:, 3:] >= _MANY
    if np.count_nonzero(are_many) < _LEAST_COMPARED:
        return False
    unexplained, before = (
        _deviations(counts, each)[are_many].mean() for each in (shares, np.ones_like(shares))
    )
    return bool(unexplained <= max(_UNEXPLAINED, _UNEXPLAINED_SHARE * before))


def _deviations(counts: Floats, shares: Floats) -> Floats:
    """Squared, of the multiples from 2 on, from what their neighbours let expect of intervals with
    these shares; in those that chance would leave."""
    before, here, after = counts[:, 1:-2], counts[:, 2:-1], counts[:, 3:]
    ratio = shares[..., 2:-1] / np.sqrt(np.maximum(shares[..., 1:-2] * shares[..., 3:], 0.01))
    expected = ratio * np.sqrt(before * after)
    of_neighbours = 1 / np.maximum(before, 1) + 1 / np.maximum(after, 1)
    variance = here + expected**2 * of_neighbours / 4
    squares: Floats = (here - expected) ** 2 / (variance + _FEW)
    return squares


def recentred_jpeg(image: JpegImage, first: NDArray[np.integer]) -> tuple[bytes, Floats]:
    """Luma, with its last blocks whole, as a grey JPEG of steps 1 whose coefficients are the
    intervals' middles; and the steps (8, 8) to tell a model, which are those of an error as large.

    first: the first table, (8, 8).
    """
    luma = image.components[0]
    assert luma.blocks is not None and luma.table is not None
    rows, columns = -(-luma.height // 8), -(-luma.width // 8)
    given = luma.blocks[:rows, :columns]
    middles = np.empty_like(given)
    squares = nominal = 0.0
    for v, u in np.ndindex(8, 8):
        blocks, step = given[:, :, v, u], int(luma.table[v, u])
        means, variances = _intervals(step, int(first[v, u]))
        multiples = np.minimum(np.abs(blocks.astype(np.int32)), _MULTIPLES)
        values = np.where(
            multiples < _MULTIPLES, np.sign(blocks) * means[multiples], blocks * float(step)
        )
        middles[:, :, v, u] = np.rint(np.clip(values, *_COEFFICIENTS))
        counts = np.bincount(multiples.ravel(), minlength=_MULTIPLES + 1)[1:_MULTIPLES]
        squares += float(counts @ variances[1:_MULTIPLES])
        nominal += float(counts.sum() * step**2 / 12)
    buffer = io.BytesIO()
    samples = samples_from_blocks(middles, np.ones((8, 8), np.uint16))
    Image.fromarray(samples).save(buffer, "JPEG", qtables=[[1] * 64])
    error = squares / nominal if nominal else 1.0
    return buffer.getvalue(), luma.table * error**_EXPONENT


def _shares(own: Floats, first: Floats, n: int) -> Floats:
    """The width of multiple k's interval over the file's step, (tables, frequencies, n)."""
    edges = (np.arange(n + 1) - 0.5) * own[:, None]
    steps = first[..., None]
    nearest = np.round(edges / steps)
    below = nearest + _normal((edges - nearest * steps) / _ROUNDING)
    shares: Floats = np.diff(below, axis=-1) * steps / own[:, None]
    return shares


@lru_cache(4096)
def _intervals(own: int, first: int) -> tuple[Floats, Floats]:
    """Of what multiples 0 to _MULTIPLES were before both compressions: mean and variance."""
    k = np.arange(_MULTIPLES + 1)[:, None]
    values = np.arange(-own // first - 1, (_MULTIPLES + 1) * own // first + 2) * first
    above, below = (_normal(((k + half) * own - values) / _ROUNDING) for half in (0.5, -0.5))
    weights = above - below
    total = weights.sum(1)
    is_made = total > 1e-3  # or else no multiple of the first step is near it
    weights = weights / np.where(is_made, total, 1)[:, None]
    means = np.where(is_made, weights @ values, k[:, 0] * own)
    variances = (weights * (values - means[:, None]) ** 2).sum(1) + first**2 / 12
    return means, np.where(is_made, variances, own**2 / 12)


def _normal(deviations: NDArray[np.floating]) -> Floats:
    """The normal distribution's share below so many standard deviations."""
    at, shares = _normal_table()
    below: Floats = np.interp(deviations, at, shares)
    return below


@lru_cache(1)
def _normal_table() -> tuple[Floats, Floats]:
    at = np.linspace(-6, 6, 2401)
    return at, np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in at])
