"""The detector of visible block borders against its definition, and on JPEGs."""

import ctypes as ct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg

from jpegrt.kernels import (
    _native,
    find_blocking_edges,
    read_coefficients,
    reference,
    samples_from_blocks,
)

# Sums of these, and of their products with powers of two, are exact: nothing hangs on rounding.
levels = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 2), st.sampled_from([1, 3]), st.integers(1, 30), st.integers(1, 30)),
    elements=st.integers(0, 3),
)
grids = st.tuples(st.integers(0, 7), st.integers(0, 7))


@given(levels, grids, st.sampled_from([1.0, 1.5, 2.0]), st.sampled_from([0.0, 1 / 64, 1 / 32]))
def test_equals_definition(
    samples: NDArray[np.uint8], grid: tuple[int, int], ratio: float, least_step: float
) -> None:
    value = (samples / 64).astype(np.float32)
    expected = reference.find_blocking_edges(value, grid, ratio, least_step)
    keys = find_blocking_edges(value, grid, ratio=ratio, least_step=least_step)
    np.testing.assert_array_equal(keys, expected)


@pytest.mark.parametrize("grid", [(0, 0), (3, 5), (7, 1)])
def test_marks_the_borders_of_flat_blocks(grid: tuple[int, int]) -> None:
    height, width = 37, 50
    y, x = np.mgrid[:height, :width]
    rows, columns = (y - grid[0]) // 8, (x - grid[1]) // 8
    value = np.random.default_rng(0).permutation(100)[10 * (rows + 1) + columns + 1] / 100
    keys = find_blocking_edges(value.astype(np.float32)[None, None], grid)[0, 0]
    expected = np.ones((height, width), np.uint8)
    for position in range(grid[1], width - 1, 8):
        if position >= 2:
            expected[:, position - 1 : position + 1] = 0
    for position in range(grid[0], height - 1, 8):
        if position >= 2:
            expected[position - 1 : position + 1] = 0
    np.testing.assert_array_equal(keys, expected)


def test_leaves_edges_that_are_no_block_borders() -> None:
    value = np.zeros((1, 1, 32, 32), np.float32)
    value[..., 12:] = 1  # inside blocks
    assert find_blocking_edges(value).all()
    value[...] = np.linspace(0, 1, 32)  # across borders, but as steep beside them
    assert find_blocking_edges(value).all()


def test_a_step_has_to_be_as_large_as_asked() -> None:
    value = np.zeros((1, 3, 16, 16), np.float32)
    value[..., 8:] = 0.25
    assert find_blocking_edges(value, least_step=0.26).all()
    assert find_blocking_edges(value, least_step=0.25)[0, 0, :, 7:9].max() == 0


def test_samples_that_are_not_numbers_hide_a_border() -> None:
    value = np.zeros((1, 1, 8, 32), np.float32)
    value[..., 8:16] = value[..., 24:] = 1
    value[0, 0, 3, 6] = value[0, 0, 4, 25] = np.nan  # before the first border, after the last
    expected = np.ones((1, 1, 8, 32), np.uint8)
    expected[..., 15:17] = 0
    np.testing.assert_array_equal(find_blocking_edges(value), expected)


def test_finds_what_quantisation_did(libjpeg: Libjpeg) -> None:
    """Of a smooth image, coarse quantisation shows most borders, and fine hardly any."""
    y, x = np.mgrid[:128, :128] / 128
    smooth = (255 * (0.3 + 0.3 * y + 0.2 * np.sin(5 * x + 3 * y))).astype(np.uint8)
    shares = {}
    for quality in (10, 100):
        component = read_coefficients(libjpeg.encode(smooth, quality=quality)).components[0]
        assert component.blocks is not None and component.table is not None
        samples = samples_from_blocks(component.blocks, component.table)
        keys = find_blocking_edges((samples / np.float32(255))[None, None].astype(np.float32))
        beside_border = np.isin(np.arange(128) % 8, [0, 7])
        assert keys[0, 0][~beside_border][:, ~beside_border].all()
        shares[quality] = 1 - keys[0, 0][:, beside_border].mean()
    assert shares[10] > 0.3
    assert shares[100] < 0.02


VALUE = np.zeros((1, 3, 16, 16), np.float32)


@pytest.mark.parametrize(
    "arguments",
    [{"grid": (8, 0)}, {"grid": (0, -1)}, {"ratio": 0.5}, {"ratio": np.nan}, {"least_step": -1}],
)
def test_wrong_numbers_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need "):
        find_blocking_edges(VALUE, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [VALUE[0], VALUE[:, :2], VALUE.astype(float), VALUE[..., ::2]])
def test_wrong_arrays_are_refused(value: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="need "):
        find_blocking_edges(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("struct_size", 1), ("channels", 0), ("grid_x", 8), ("grid_y", 9), ("ratio", 0.5)],
)
def test_wrong_options_have_a_status(field: str, value: float) -> None:
    options = _native.BlockingEdgesOptions(
        ct.sizeof(_native.BlockingEdgesOptions), 1, 3, 16, 16, 0, 0, 2, 0
    )
    setattr(options, field, value)
    keys = np.full((1, 1, 16, 16), 7, np.uint8)
    call = _native.lib.jpegrt_find_blocking_edges
    status = call(ct.byref(options), VALUE.ctypes.data, keys.ctypes.data)
    assert status == _native.Status.INVALID_ARGUMENT
    assert (keys == 7).all()
