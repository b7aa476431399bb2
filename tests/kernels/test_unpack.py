"""Unpacking kernels against their float64 definitions, and against libjpeg."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic

from jpegrt.kernels import (
    cells_from_blocks,
    coefficient_plane_from_blocks,
    read_coefficients,
    reference,
    samples_from_blocks,
    spectrum_from_blocks,
)

Blocks = NDArray[np.int16]
Table = NDArray[np.uint16]

SIDES = (1, 2, 4, 8)
CELLS = [(h, w) for h in SIDES for w in SIDES]

# One product, one more with the scale folded into the step: two roundings of half an ulp, and the
# definition's own.
PRODUCT_TOLERANCE = 3 * 2.0**-24

# Two passes of at most six roundings each; what is lost is relative to the block's largest
# possible sample, because terms cancel.
TRANSFORM_TOLERANCE = 12 * 2.0**-24

blocks_strategy = hnp.arrays(
    np.int16,
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(8), st.just(8)),
    elements=st.integers(-(2**15), 2**15 - 1),
    fill=st.just(0),
)
table_strategy = hnp.arrays(np.uint16, (8, 8), elements=st.integers(1, 65535))
scale_strategy = st.sampled_from([1.0, 1 / 128, 0.3])


def basis_blocks(value: int) -> Blocks:
    """Eight by eight blocks, each with another of the 64 coefficients set."""
    return (value * np.eye(64, dtype=np.int16)).reshape(8, 8, 8, 8)


def extreme_blocks() -> list[Blocks]:
    random = np.random.default_rng(0)
    low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    return [
        np.full((2, 3, 8, 8), low, np.int16),
        np.full((2, 3, 8, 8), high, np.int16),
        random.choice(np.array([low, high], np.int16), (2, 3, 8, 8)),
        random.integers(low, high, (5, 7, 8, 8), np.int16, endpoint=True),
        basis_blocks(high),
        basis_blocks(1),
    ]


def extreme_tables() -> list[Table]:
    return [
        np.full((8, 8), 1, np.uint16),
        np.full((8, 8), 65535, np.uint16),
        np.arange(1, 65, dtype=np.uint16).reshape(8, 8),
    ]


EXTREMES = [(blocks, table) for blocks in extreme_blocks() for table in extreme_tables()]


def assert_products_match(blocks: Blocks, table: Table, scale: float) -> None:
    scale = float(np.float32(scale))  # as the kernels get it
    for kernel, definition in (
        (spectrum_from_blocks, reference.spectrum_from_blocks),
        (coefficient_plane_from_blocks, reference.coefficient_plane_from_blocks),
    ):
        result = kernel(blocks, table, scale)
        assert result.dtype == np.float32
        np.testing.assert_allclose(
            result, definition(blocks, table, scale), rtol=PRODUCT_TOLERANCE, atol=0
        )


def assert_cells_match(blocks: Blocks, table: Table, cell: tuple[int, int], scale: float) -> None:
    scale = float(np.float32(scale))
    result = cells_from_blocks(blocks, table, cell, scale)
    expected = reference.cells_from_blocks(blocks, table, cell, scale)
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    # No basis function exceeds 1 / 4 of its coefficient.
    magnitude = np.abs(reference.dequantised(blocks, table)).sum(axis=(2, 3)) * scale / 4
    h, w = cell
    bound = magnitude.repeat(8 // h, axis=0).repeat(8 // w, axis=1) * TRANSFORM_TOLERANCE
    assert np.all(np.abs(result - expected) <= bound)


@given(blocks_strategy, table_strategy, scale_strategy)
def test_spectrum_and_plane_match_definition(blocks: Blocks, table: Table, scale: float) -> None:
    assert_products_match(blocks, table, scale)


@pytest.mark.parametrize("scale", [1.0, 1 / 128])
@pytest.mark.parametrize(("blocks", "table"), EXTREMES)
def test_spectrum_and_plane_at_extremes(blocks: Blocks, table: Table, scale: float) -> None:
    assert_products_match(blocks, table, scale)


@given(blocks_strategy, table_strategy, st.sampled_from(CELLS), scale_strategy)
def test_cells_match_definition(
    blocks: Blocks, table: Table, cell: tuple[int, int], scale: float
) -> None:
    assert_cells_match(blocks, table, cell, scale)


@pytest.mark.parametrize("cell", CELLS)
def test_cells_at_extremes(cell: tuple[int, int]) -> None:
    for blocks, table in EXTREMES:
        assert_cells_match(blocks, table, cell, 1 / 128)


def test_flat_blocks_are_exact() -> None:
    blocks = np.zeros((1, 256, 8, 8), np.int16)
    blocks[0, :, 0, 0] = np.arange(-128, 128) * 8
    table = np.ones((8, 8), np.uint16)
    plane = cells_from_blocks(blocks, table, (1, 1))[0]
    np.testing.assert_array_equal(plane, np.tile(np.arange(-128, 128).repeat(8), (8, 1)))
    np.testing.assert_array_equal(samples_from_blocks(blocks, table), plane + 128)


def test_cells_are_the_pixel_unshuffled_plane() -> None:
    blocks = np.random.default_rng(1).integers(-50, 50, (3, 5, 8, 8), np.int16)
    table = np.full((8, 8), 7, np.uint16)
    plane = cells_from_blocks(blocks, table, (1, 1))[0]
    for h, w in CELLS:
        cells = cells_from_blocks(blocks, table, (h, w))
        for y in range(h):
            for x in range(w):
                np.testing.assert_array_equal(cells[y * w + x], plane[y::h, x::w])


# What an encoder can write: the forward transform of 8-bit samples.
@given(hnp.arrays(np.uint8, (2, 3, 8, 8)), st.integers(1, 255))
def test_samples_are_within_a_level_of_definition(levels: NDArray[np.uint8], step: int) -> None:
    basis = reference.dct_basis()
    coefficients = basis @ (levels.astype(np.float64) - 128) @ basis.T
    blocks = np.round(coefficients / step).astype(np.int16)
    table = np.full((8, 8), step, np.uint16)
    expected = reference.samples_from_blocks(blocks, table).astype(int)
    assert np.abs(samples_from_blocks(blocks, table) - expected).max() <= 1


@pytest.mark.parametrize("quality", [1, 10, 50, 90, 100])
@pytest.mark.parametrize("size", [(64, 64), (33, 17), (7, 200), (1, 1)])
def test_samples_equal_libjpegs(libjpeg: Libjpeg, size: tuple[int, int], quality: int) -> None:
    jpeg = libjpeg.encode(synthetic(*size, channels=1, seed=quality), quality=quality)
    component = read_coefficients(jpeg).components[0]
    assert component.blocks is not None
    assert component.table is not None
    samples = samples_from_blocks(component.blocks, component.table)
    np.testing.assert_array_equal(samples, libjpeg.samples(jpeg, 1)[0])
    np.testing.assert_array_equal(
        samples[: size[0], : size[1]], np.asarray(Image.open(io.BytesIO(jpeg)))
    )


KERNELS: list[Callable[[Blocks, Table], object]] = [
    spectrum_from_blocks,
    coefficient_plane_from_blocks,
    lambda blocks, table: cells_from_blocks(blocks, table, (2, 2)),
    samples_from_blocks,
]
GOOD_BLOCKS = np.zeros((2, 3, 8, 8), np.int16)
GOOD_TABLE = np.ones((8, 8), np.uint16)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("blocks", "table"),
    [
        (GOOD_BLOCKS.astype(np.int32), GOOD_TABLE),
        (GOOD_BLOCKS.astype(np.uint16), GOOD_TABLE),
        (GOOD_BLOCKS.reshape(2, 3, 64), GOOD_TABLE),
        (GOOD_BLOCKS.reshape(6, 1, 4, 16), GOOD_TABLE),
        (GOOD_BLOCKS[:, ::2], GOOD_TABLE),
        (GOOD_BLOCKS[:0], GOOD_TABLE),
        (GOOD_BLOCKS[:, :0], GOOD_TABLE),
        (GOOD_BLOCKS, GOOD_TABLE.astype(np.int16)),
        (GOOD_BLOCKS, GOOD_TABLE.reshape(64)),
        (GOOD_BLOCKS, np.ones((8, 16), np.uint16)[:, ::2]),
    ],
)
def test_wrong_arrays_are_refused(
    kernel: Callable[[Blocks, Table], object], blocks: Blocks, table: Table
) -> None:
    with pytest.raises(ValueError, match="need "):
        kernel(blocks, table)


@pytest.mark.parametrize("cell", [(0, 1), (1, 3), (16, 8), (-1, 1)])
def test_wrong_cells_are_refused(cell: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1, 2, 4 or 8"):
        cells_from_blocks(GOOD_BLOCKS, GOOD_TABLE, cell)
