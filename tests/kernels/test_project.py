"""Projection onto the quantisation intervals against its float64 definition, and what it promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from jpegrt.kernels import cells_from_blocks, project_cells, reference

Blocks = NDArray[np.int16]
Table = NDArray[np.uint16]
Samples = NDArray[np.float32]

SIDES = (1, 2, 4, 8)
CELLS = [(h, w) for h in SIDES for w in SIDES]

# Of a block's Euclidean norm before and after: four passes that keep it, of at most eight roundings
# each. No sample is more wrong than the norm of all errors together.
TOLERANCE = 32 * 2.0**-24

table_strategy = hnp.arrays(np.uint16, (8, 8), elements=st.integers(1, 255))
slack_strategy = st.sampled_from([0.0, 0.125, 0.5, 3.0])
scale_strategy = st.sampled_from([1.0, 1 / 128, 0.3])
seed_strategy = st.integers(0, 2**32 - 1)


def plane_of_cells(cells: Samples, cell: tuple[int, int]) -> Samples:
    h, w = cell
    _, rows, columns = cells.shape
    unshuffled = cells.reshape(h, w, rows, columns).transpose(2, 0, 3, 1)
    return unshuffled.reshape(rows * h, columns * w)


def norms(plane: NDArray[np.floating]) -> NDArray[np.float64]:
    """(rows, columns): each block's."""
    squares: NDArray[np.float64] = (reference.blocks_of(plane.astype(np.float64)) ** 2).sum(
        axis=(2, 3)
    )
    return np.sqrt(squares)


def bound(before: Samples, after: NDArray[np.floating]) -> NDArray[np.float64]:
    """(8 rows, 8 columns): what each sample may differ by."""
    return ((norms(before) + norms(after)) * TOLERANCE).repeat(8, axis=0).repeat(8, axis=1)


def restored(blocks: Blocks, table: Table, spread: float, scale: float, seed: int) -> Samples:
    """The file's samples and noise of `spread`, (8 rows, 8 columns)."""
    plane = cells_from_blocks(blocks, table, (1, 1), scale)[0]
    noise = np.random.default_rng(seed).normal(0, spread * scale, plane.shape)
    return np.asarray(plane + noise, np.float32)


def random_blocks(seed: int, rows: int = 2, columns: int = 3) -> Blocks:
    return np.random.default_rng(seed).integers(-12, 13, (rows, columns, 8, 8), np.int16)


def assert_matches(
    blocks: Blocks, table: Table, plane: Samples, slack: float, scale: float
) -> Samples:
    scale, slack = float(np.float32(scale)), float(np.float32(slack))
    result: Samples = project_cells(blocks, table, plane[None], scale=scale, slack=slack)[0]
    expected = reference.projected_plane(
        blocks, table, plane.astype(np.float64), slack=slack, scale=scale
    )
    assert np.all(np.abs(result - expected) <= bound(plane, expected))
    return result


@given(seed_strategy, table_strategy, st.sampled_from([0, 1, 40]), slack_strategy, scale_strategy)
def test_matches_definition(
    seed: int, table: Table, spread: float, slack: float, scale: float
) -> None:
    blocks = random_blocks(seed)
    plane = restored(blocks, table, spread, scale, seed)
    assert_matches(blocks, table, plane, slack, scale)


@pytest.mark.parametrize("step", [1, 65535])
@pytest.mark.parametrize("value", [-32768, 0, 32767])
def test_extremes_match_definition(value: int, step: int) -> None:
    blocks = np.full((2, 3, 8, 8), value, np.int16)
    table = np.full((8, 8), step, np.uint16)
    random = np.random.default_rng(0)
    for plane in (
        np.zeros((16, 24), np.float32),
        random.choice(np.array([-128, 127], np.float32), (16, 24)),
        random.normal(0, 1e20, (16, 24)).astype(np.float32),
    ):
        assert_matches(blocks, table, plane, 0, 1 / 128)


@pytest.mark.parametrize("position", range(64))
def test_each_coefficient_is_clamped(position: int) -> None:
    """An image of one basis function, whose coefficient is 10, in a file that has 2 steps of 3."""
    v, u = divmod(position, 8)
    basis = reference.dct_basis()
    plane = (10 * np.outer(basis[v], basis[u])).astype(np.float32)
    blocks = np.zeros((1, 1, 8, 8), np.int16)
    blocks[0, 0, v, u] = 2
    table = np.full((8, 8), 3, np.uint16)
    result = project_cells(blocks, table, plane[None])[0]
    np.testing.assert_allclose(result, plane * 0.75, atol=1e-5)  # (2 + 1/2) * 3 of 10
    result = project_cells(blocks, table, plane[None], slack=0.5)[0]
    np.testing.assert_allclose(result, plane * 0.9, atol=1e-5)  # (2 + 1) * 3


@given(seed_strategy, table_strategy, st.sampled_from([1, 40]), slack_strategy, scale_strategy)
def test_result_is_within_the_intervals(
    seed: int, table: Table, spread: float, slack: float, scale: float
) -> None:
    blocks = random_blocks(seed)
    scale = float(np.float32(scale))
    plane = restored(blocks, table, spread, scale, seed)
    result = project_cells(blocks, table, plane[None], scale=scale, slack=slack)[0]
    basis = reference.dct_basis()
    coefficients = basis @ reference.blocks_of(result.astype(np.float64)) @ basis.T
    beyond = np.abs(coefficients - blocks * (table * scale)) - (0.5 + slack) * table * scale
    allowed = reference.blocks_of(bound(plane, result))
    assert np.all(beyond <= allowed)


@given(seed_strategy, table_strategy, st.sampled_from([1, 40]), slack_strategy)
def test_projecting_twice_is_projecting_once(
    seed: int, table: Table, spread: float, slack: float
) -> None:
    blocks = random_blocks(seed)
    plane = restored(blocks, table, spread, 1, seed)
    once = project_cells(blocks, table, plane[None], slack=slack)
    twice = project_cells(blocks, table, once, slack=slack)
    assert np.all(np.abs(twice - once)[0] <= bound(once[0], once[0]))


@given(seed_strategy, table_strategy)
def test_projection_does_not_go_away_from_a_conforming_original(seed: int, table: Table) -> None:
    """The intervals are convex and hold the original, so no projected image is further from it."""
    random = np.random.default_rng(seed)
    original = random.uniform(-128, 127, (16, 24))
    basis = reference.dct_basis()
    coefficients = basis @ reference.blocks_of(original) @ basis.T
    blocks = np.round(coefficients / table).astype(np.int16)
    plane = (original + random.normal(0, 30, original.shape)).astype(np.float32)
    result = project_cells(blocks, table, plane[None])[0]
    slightly = bound(plane, result)[::8, ::8] * 8
    assert np.all(norms(result - original) <= norms(plane - original) + slightly)


def test_samples_inside_are_kept_to_the_bit() -> None:
    """Everywhere but in the one block that has to change."""
    blocks = random_blocks(0, 5, 7)
    table = np.full((8, 8), 16, np.uint16)
    plane = restored(blocks, table, 0.5, 1, 0)
    plane[16:24, 8:16] += 100
    result = project_cells(blocks, table, plane[None])[0]
    kept = np.ones_like(plane, bool)
    kept[16:24, 8:16] = False
    np.testing.assert_array_equal(result[kept], plane[kept])
    assert np.abs(result[16:24, 8:16] - plane[16:24, 8:16]).max() > 80


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("in_place", [False, True])
def test_cells_are_projected_as_the_plane(cell: tuple[int, int], in_place: bool) -> None:
    blocks = random_blocks(3, 3, 5)
    table = np.arange(1, 65, dtype=np.uint16).reshape(8, 8)
    random = np.random.default_rng(3)
    cells = cells_from_blocks(blocks, table, cell)
    cells += random.normal(0, 20, cells.shape).astype(np.float32)
    before = cells.copy()
    expected = project_cells(blocks, table, plane_of_cells(before, cell)[None])[0]
    result = project_cells(blocks, table, cells, cell, out=cells if in_place else None)
    assert (result is cells) == in_place
    np.testing.assert_array_equal(plane_of_cells(result, cell), expected)
    if not in_place:
        np.testing.assert_array_equal(cells, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, 5e37, 1e36])
def test_a_block_beyond_what_is_projected_becomes_the_files(bad: float) -> None:
    blocks = random_blocks(4)
    table = np.full((8, 8), 5, np.uint16)
    file = cells_from_blocks(blocks, table, (1, 1))
    cells = file.copy()
    cells[0, 3, 20] = cells[0, 4, 21] = bad
    result = project_cells(blocks, table, cells)
    np.testing.assert_allclose(result, file, atol=1e-3)
    assert np.isfinite(result).all()


BLOCKS, TABLE = random_blocks(5), np.ones((8, 8), np.uint16)
CELLS_2X2 = np.zeros((4, 8, 12), np.float32)


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (CELLS_2X2.astype(np.float64), {}),
        (CELLS_2X2[:, :, ::2], {}),
        (CELLS_2X2[:3], {}),
        (CELLS_2X2, {"out": CELLS_2X2[:3]}),
        (CELLS_2X2, {"scale": 0.0}),
        (CELLS_2X2, {"scale": 2.0**65}),
        (CELLS_2X2, {"scale": np.nan}),
        (CELLS_2X2, {"slack": -0.1}),
        (CELLS_2X2, {"slack": np.inf}),
        (CELLS_2X2, {"slack": np.nan}),
    ],
)
def test_wrong_arguments_are_refused(cells: Samples, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="need "):
        project_cells(BLOCKS, TABLE, cells, (2, 2), **options)  # type: ignore[arg-type]
