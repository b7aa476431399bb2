"""The quality factor, estimated from a luma table."""

import numpy as np
import pytest
from tests.kernels.images import synthetic
from tests.runtime.jpegs import encode

from jpegrt.kernels import read_coefficients
from jpegrt.runtime.tables import (
    ANNEX_K_CHROMA,
    ANNEX_K_LUMA,
    QualityEstimate,
    estimate_quality,
    log_mean,
    scaled_table,
)

PIXELS = synthetic(16, 16)


@pytest.mark.parametrize("quality", range(1, 101))
def test_libjpegs_own_tables_are_recognised(quality: int) -> None:
    luma, chroma, _ = read_coefficients(encode(PIXELS, quality=quality)).components
    assert luma.table is not None
    assert estimate_quality(luma.table) == QualityEstimate(quality, exact=True)
    np.testing.assert_array_equal(scaled_table(ANNEX_K_LUMA, quality), luma.table)
    np.testing.assert_array_equal(scaled_table(ANNEX_K_CHROMA, quality), chroma.table)


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 92])
def test_a_table_with_one_other_step_is_near(quality: int) -> None:
    table = scaled_table(ANNEX_K_LUMA, quality).astype(np.uint16)
    table[7, 7] += 1
    assert estimate_quality(table) == QualityEstimate(quality, exact=False)


def test_any_table_has_an_estimate() -> None:
    assert estimate_quality(np.ones((8, 8), np.uint16)) == QualityEstimate(100, exact=True)
    for steps in (np.zeros((8, 8)), np.full((8, 8), 65535)):
        estimate = estimate_quality(steps.astype(np.uint16))
        assert 1 <= estimate.quality <= 100
        assert not estimate.exact


def test_finer_tables_are_of_higher_quality() -> None:
    flat = [estimate_quality(np.full((8, 8), step, np.uint16)).quality for step in (2, 8, 40, 200)]
    assert flat == sorted(flat, reverse=True)
    assert len(set(flat)) == 4


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
def test_chroma_is_estimated_by_its_own_table(quality: int) -> None:
    table = scaled_table(ANNEX_K_CHROMA, quality)
    estimate = estimate_quality(table, ANNEX_K_CHROMA)
    assert estimate.exact
    np.testing.assert_array_equal(scaled_table(ANNEX_K_CHROMA, estimate.quality), table)


def test_the_mean_logarithm_of_steps() -> None:
    table = np.full((8, 8), 10, np.uint16)
    table[0, 0] = 1000
    assert log_mean(table) == pytest.approx((63 * np.log(10) + np.log(1000)) / 64)
    assert log_mean(np.zeros((8, 8), np.uint16)) == 0
