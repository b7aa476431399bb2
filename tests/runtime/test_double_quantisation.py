"""What a finer first compression leaves of coefficients, against coefficients quantised twice."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.runtime.jpegs import decode, encode
from tests.runtime.recompressed import photograph, twice

from jpegrt.kernels import JpegImage, read_coefficients
from jpegrt.runtime.double_quantisation import recentred_jpeg, trace_scores
from jpegrt.runtime.tables import ANNEX_K_LUMA, scaled_table

GREY = photograph()


def quantised_twice(
    first: int, own: int, scale: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Coefficients of a Laplacian, and their multiples of `own` after both quantisations."""
    random = np.random.default_rng(5)
    values = random.laplace(scale=scale, size=200_000)
    once = first * np.round(values / first) + random.normal(scale=12**-0.5, size=values.shape)
    return values, np.round(once / own).astype(int)


@pytest.mark.parametrize(("first", "own"), [(13, 20), (7, 15), (10, 20), (19, 20), (1, 2)])
def test_middles_are_where_coefficients_were(first: int, own: int) -> None:
    # Of a distribution that is nearly flat.
    values, multiples = quantised_twice(first, own, scale=30.0 * own)
    blocks = np.zeros((8, 8, 8, 8), np.int16)
    blocks[..., :4, :4] = np.random.default_rng(1).integers(-3, 4, (8, 8, 4, 4))
    jpeg, steps = recentred_jpeg(with_blocks(blocks, own), np.full((8, 8), first))
    again = read_coefficients(jpeg).components[0]
    assert again.blocks is not None and again.table is not None and (again.table == 1).all()
    errors = []
    for k in range(-3, 4):
        were = values[multiples == k]
        assert again.blocks[blocks == k].mean() == pytest.approx(were.mean(), abs=0.7 + 0.02 * own)
        errors += [were.var()] * int((blocks == k).sum() if k else 0)
    np.testing.assert_allclose(steps, own * (np.mean(errors) / (own**2 / 12)) ** 0.75, rtol=0.1)


def with_blocks(blocks: NDArray[np.int16], step: int) -> JpegImage:
    """A grey image of these quantised blocks."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((64, 64), 128, np.uint8)).save(buffer, "JPEG", qtables=[[step] * 64])
    image = read_coefficients(buffer.getvalue())
    luma = image.components[0]
    assert luma.blocks is not None
    luma.blocks[:] = blocks
    return image


def test_scores_tell_the_first_table() -> None:
    own, firsts = 20, np.arange(8.0, 20)
    for first in (9, 13, 16):
        _, multiples = quantised_twice(first, own, scale=40.0)
        counts = np.bincount(np.minimum(np.abs(multiples), 64), minlength=65)[None].astype(float)
        scores = trace_scores(counts, np.array([own]), firsts[:, None])
        assert firsts[scores.argmax()] == first
        assert scores.max() > 20
    _, multiples = quantised_twice(1, own, scale=40.0)  # as good as not compressed before
    counts = np.bincount(np.minimum(np.abs(multiples), 64), minlength=65)[None].astype(float)
    assert trace_scores(counts, np.array([own]), firsts[:, None]).max() < 4


def test_an_image_whose_blocks_reach_beyond_it() -> None:
    jpeg = twice(GREY[:203, :301], 75, 60, (0, 0))[0]
    recentred, steps = recentred_jpeg(read_coefficients(jpeg), scaled_table(ANNEX_K_LUMA, 75))
    pixels = decode(recentred)
    assert pixels.shape == (208, 304)
    assert steps.shape == (8, 8)
    moved = np.abs(pixels[:203, :301].astype(float) - decode(jpeg))
    assert 0.1 < moved.mean() < 4


def test_without_coefficients_steps_stay() -> None:
    jpeg = encode(np.full((40, 40), 128, np.uint8), quality=60)
    image = read_coefficients(jpeg)
    recentred, steps = recentred_jpeg(image, scaled_table(ANNEX_K_LUMA, 75))
    np.testing.assert_array_equal(steps, image.components[0].table)
    assert (decode(recentred) == 128).all()
