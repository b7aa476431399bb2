"""The CUDA twin of the projection, on a GPU and on the CPU behind an emulated driver."""

import ctypes as ct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.kernels.devices import Device
from tests.kernels.engines import plane_from_cells
from tests.kernels.test_cuda import (
    SHAPES,
    SIDES,
    Blocks,
    Table,
    blocks_strategy,
    per_device,
    random_blocks,
    random_table,
    source_of,
    table_strategy,
)

from jpegrt.kernels import (
    NativeError,
    Status,
    _native,
    cells_from_blocks,
    project_cells,
    reference,
)
from jpegrt.kernels.cuda import DeviceArray, Projection

Cells = NDArray[Any]

CELLS = [(h, w) for h in SIDES for w in SIDES]
DTYPES = [np.float32, np.float16]
# What an engine may leave, and numbers at the limits of what is projected.
SPECIAL = [np.nan, np.inf, -np.inf, 3e38, -1e37, 1e36, 1e-42, -0.0]

cell_strategy = st.sampled_from(CELLS)
dtype_strategy = st.sampled_from(DTYPES)
slack_strategy = st.sampled_from([0.0, 0.125, 0.5, 3.0])
scale_strategy = st.sampled_from([1.0, 1 / 128, 0.3])


def restored_cells(
    blocks: Blocks,
    table: Table,
    cell: tuple[int, int],
    dtype: Any,
    *,
    scale: float = 1.0,
    spread: float = 20.0,
    special: float = 0.0,
    seed: int = 0,
) -> Cells:
    """The file's cells and noise; `special` of them are special numbers."""
    random = np.random.default_rng(seed)
    cells = cells_from_blocks(blocks, table, cell, scale)
    cells += random.normal(0, spread * scale, cells.shape).astype(np.float32)
    chosen = random.random(cells.shape) < special
    cells[chosen] = random.choice(np.array(SPECIAL, np.float32), int(chosen.sum()))
    with np.errstate(over="ignore"):
        return cells.astype(dtype)


def bits_of(cells: Cells) -> NDArray[Any]:
    return cells.view(np.uint32 if cells.dtype == np.float32 else np.uint16)


def projected_on_cpu(
    blocks: Blocks, table: Table, cells: Cells, cell: tuple[int, int], scale: float, slack: float
) -> Cells:
    """The definition of the result: that of the same numbers in float32, rounded once."""
    result = project_cells(blocks, table, cells.astype(np.float32), cell, scale=scale, slack=slack)
    with np.errstate(over="ignore"):
        return result.astype(cells.dtype)


def assert_equals_the_cpu(
    device: Device,
    blocks: Blocks,
    table: Table,
    cells: Cells,
    cell: tuple[int, int],
    *,
    scale: float = 1.0,
    slack: float = 0.0,
    packed: bool = False,
    in_place: bool = False,
) -> Cells:
    before = device.upload(cells)
    out = before if in_place else device.filled(cells.shape, cells.dtype, 7)
    source = source_of(device, blocks, packed)
    projection = Projection(source, table, before, cell, None if in_place else out)
    device.kernels.project_cells([projection], scale, slack, device.stream)
    result = device.download(out)
    expected = projected_on_cpu(blocks, table, cells, cell, scale, slack)
    np.testing.assert_array_equal(bits_of(result), bits_of(expected))
    if not in_place:
        np.testing.assert_array_equal(bits_of(device.download(before)), bits_of(cells))
    return result


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_projection_equals_the_cpu(
    device: Device, cell: tuple[int, int], dtype: Any, packed: bool, in_place: bool
) -> None:
    for seed, shape in enumerate(SHAPES):
        blocks, table = random_blocks(*shape, seed=seed), random_table(seed)
        cells = restored_cells(blocks, table, cell, dtype, seed=seed)
        result = assert_equals_the_cpu(
            device, blocks, table, cells, cell, packed=packed, in_place=in_place
        )
        assert (result != cells).any()


@per_device
@given(
    blocks_strategy,
    table_strategy,
    cell_strategy,
    dtype_strategy,
    st.sampled_from([0.0, 1.0, 40.0, 1e4]),
    st.sampled_from([0.0, 0.001, 0.1]),
    slack_strategy,
    scale_strategy,
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 2**32 - 1),
)
def test_any_blocks_and_cells_equal_the_cpu(
    device: Device,
    blocks: Blocks,
    table: Table,
    cell: tuple[int, int],
    dtype: Any,
    spread: float,
    special: float,
    slack: float,
    scale: float,
    flags: tuple[bool, bool],
    seed: int,
) -> None:
    cells = restored_cells(
        blocks, table, cell, dtype, scale=scale, spread=spread, special=special, seed=seed
    )
    assert_equals_the_cpu(
        device, blocks, table, cells, cell,
        scale=scale, slack=slack, packed=flags[0], in_place=flags[1],
    )  # fmt: skip


@pytest.mark.parametrize("slack", [0.0, float(np.finfo(np.float32).max)])
@pytest.mark.parametrize("scale", [2.0**-100, 1.0, 2.0**64])
@pytest.mark.parametrize("value", [-32768, 0, 32767])
def test_extremes_equal_the_cpu(device: Device, value: int, scale: float, slack: float) -> None:
    blocks = np.full((2, 20, 8, 8), value, np.int16)
    random = np.random.default_rng(0)
    for step in (1, 65535):
        table = np.full((8, 8), step, np.uint16)
        for cells in (
            np.zeros((4, 8, 80), np.float32),
            np.full((4, 8, 80), np.nan, np.float32),
            random.choice(np.array([-128, 127], np.float32), (4, 8, 80)),
            random.normal(0, 1e30, (4, 8, 80)).astype(np.float32),
            random.normal(0, 1e35, (4, 8, 80)).astype(np.float32),
        ):
            result = assert_equals_the_cpu(
                device, blocks, table, cells, (2, 2), scale=scale, slack=slack
            )
            assert np.isfinite(result).all()


@pytest.mark.parametrize("packed", [False, True])
def test_each_coefficient_has_its_own_interval(device: Device, packed: bool) -> None:
    """64 blocks of coefficients and steps that are all different, each off by 3 steps in one."""
    table = np.arange(3, 67, dtype=np.uint16).reshape(8, 8)
    blocks = (np.arange(64 * 64).reshape(2, 32, 8, 8) % 97 - 48).astype(np.int16)
    moved = blocks + 3 * np.eye(64, dtype=np.int16).reshape(blocks.shape)
    cells = cells_from_blocks(moved, table, (2, 2))
    result = assert_equals_the_cpu(device, blocks, table, cells, (2, 2), packed=packed)
    plane = plane_from_cells(cells, (2, 2)).astype(np.float64)
    expected = reference.projected_plane(blocks, table, plane)
    np.testing.assert_allclose(plane_from_cells(result, (2, 2)), expected, atol=1e-2)
    assert np.abs(expected - plane).max() > 3
    wide = assert_equals_the_cpu(device, blocks, table, cells, (2, 2), slack=2.6, packed=packed)
    np.testing.assert_array_equal(wide, cells)  # 3 steps off, of 3.1


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_of_unlike_components(device: Device, dtype: Any) -> None:
    """Of many sizes and tables, dense and packed, in place and not."""
    random = np.random.default_rng(0)
    projections, before, expected = [], [], []
    for i, (rows, columns) in enumerate(random.integers(1, 12, (230, 2)).tolist()):
        blocks, table = random_blocks(rows, columns, i), random_table(i)
        cell = CELLS[i % len(CELLS)]
        cells = restored_cells(blocks, table, cell, dtype, seed=i)
        out = None if i % 3 else device.empty(cells.shape, dtype)
        source = source_of(device, blocks, packed=i % 2 == 0)
        projections.append(Projection(source, table, device.upload(cells), cell, out))
        before.append(cells)
        expected.append(projected_on_cpu(blocks, table, cells, cell, 0.5, 0.25))
    launches = device.launches if device.emulated else 0
    device.kernels.project_cells(projections, 0.5, 0.25, device.stream)
    if device.emulated:
        assert device.launches - launches == 4  # 115 of each kind, at most 102 in one
    for projection, cells, result in zip(projections, before, expected, strict=True):
        out = projection.cells if projection.out is None else projection.out
        np.testing.assert_array_equal(bits_of(device.download(out)), bits_of(result))
        if projection.out is not None:
            unchanged = device.download(projection.cells)
            np.testing.assert_array_equal(bits_of(unchanged), bits_of(cells))


# Rows with 16-byte chunks, rows without any, and rows whose beginnings are aligned differently.
@pytest.mark.parametrize(("row", "offset"), [(64, 0), (64, 1), (61, 0), (64, 8)])
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_beside_a_view_is_left_alone(
    device: Device, dtype: Any, in_place: bool, row: int, offset: int
) -> None:
    blocks, table, cell = random_blocks(3, 6), random_table(), (2, 2)
    inside = (slice(1, 5), slice(2, 14), slice(offset, offset + 24))
    room = np.full((6, 20, row), np.nan, dtype)  # were it read, the block would be the file's
    cells = restored_cells(blocks, table, cell, dtype)
    room[inside] = cells
    size = np.dtype(dtype).itemsize
    first, strides = (20 * row + 2 * row + offset) * size, (20 * row * size, row * size, size)

    def view(array: DeviceArray) -> DeviceArray:
        return DeviceArray(array.pointer + first, cells.shape, dtype, strides)

    before = device.upload(room)
    after = before if in_place else device.filled(room.shape, dtype, 7)
    projection = Projection(device.upload(blocks), table, view(before), cell, view(after))
    device.kernels.project_cells([projection], stream=device.stream)
    expected = room.copy() if in_place else np.full(room.shape, 7, dtype)
    expected[inside] = projected_on_cpu(blocks, table, cells, cell, 1.0, 0.0)
    np.testing.assert_array_equal(device.download(after), expected)
    if not in_place:
        np.testing.assert_array_equal(device.download(before), room)


def test_chunks_that_only_one_of_the_arrays_has(device: Device) -> None:
    """Each of both once at an address that is no multiple of 16."""
    blocks, table, cell = random_blocks(3, 6), random_table(), (2, 2)
    cells = restored_cells(blocks, table, cell, np.float32)
    expected = projected_on_cpu(blocks, table, cells, cell, 1.0, 0.0)
    for shift_cells, shift_out in ((1, 0), (0, 1)):
        padded = device.upload(np.concatenate([np.zeros(shift_cells, np.float32), cells.ravel()]))
        room = device.empty((cells.size + shift_out,), np.float32)
        before = DeviceArray(padded.pointer + 4 * shift_cells, cells.shape, np.float32)
        out = DeviceArray(room.pointer + 4 * shift_out, cells.shape, np.float32)
        projection = Projection(device.upload(blocks), table, before, cell, out)
        device.kernels.project_cells([projection], stream=device.stream)
        np.testing.assert_array_equal(bits_of(device.download(out)), bits_of(expected))


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_inside_is_kept_to_the_bit(device: Device, dtype: Any, in_place: bool) -> None:
    """Everywhere but in the blocks that have to change, signs of zeros included."""
    blocks, table = np.zeros((5, 9, 8, 8), np.int16), np.full((8, 8), 100, np.uint16)
    random = np.random.default_rng(0)
    cells = random.choice(np.array([-0.0, 0.0, 1e-7, -1e-7, 1, -2], dtype), (1, 40, 72))
    cells[0, 16:24, 8:16] = 90
    cells[0, 32:40, 64:72] = np.nan
    result = assert_equals_the_cpu(device, blocks, table, cells, (1, 1), in_place=in_place)
    kept = np.ones(cells.shape, bool)
    kept[0, 16:24, 8:16] = kept[0, 32:40, 64:72] = False
    np.testing.assert_array_equal(bits_of(result)[kept], bits_of(cells)[kept])
    np.testing.assert_allclose(result[0, 16:24, 8:16], 50 / 8, rtol=1e-3)  # half a step of the mean
    np.testing.assert_array_equal(result[0, 32:40, 64:72], 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_block_that_is_not_finite_becomes_the_files(
    device: Device, bad: float, dtype: Any
) -> None:
    blocks, table = random_blocks(3, 40), np.full((8, 8), 3, np.uint16)
    file = cells_from_blocks(blocks, table, (2, 2), 1 / 128)
    cells = file.astype(dtype)
    cells[:, 1::4, ::4] = bad
    result = assert_equals_the_cpu(device, blocks, table, cells, (2, 2), scale=1 / 128)
    np.testing.assert_allclose(result, file, rtol=1e-3, atol=1e-2)


def test_an_empty_batch_is_nothing_to_do(device: Device) -> None:
    launches = device.launches if device.emulated else 0
    device.kernels.project_cells([])
    if device.emulated:
        assert device.launches == launches


def test_what_is_wrong_is_refused_before_a_launch(device: Device) -> None:
    blocks, table, cell = random_blocks(2, 3), random_table(), (2, 2)
    source, cells = device.upload(blocks), device.filled((4, 8, 12), np.float32, 5)
    out = device.filled((4, 8, 12), np.float32, 7)
    good = Projection(source, table, cells, cell, out)
    launches = device.launches if device.emulated else 0

    def refuse(projection: Projection, error: type[Exception], match: str, **options: Any) -> None:
        with pytest.raises(error, match=match) as raised:
            device.kernels.project_cells([good, projection], stream=device.stream, **options)
        if isinstance(raised.value, NativeError):
            assert raised.value.status == Status.INVALID_ARGUMENT

    def at(pointer: int, strides: tuple[int, ...] | None = None) -> DeviceArray:
        return DeviceArray(pointer, cells.shape, np.float32, strides)

    shifted = DeviceArray(source.pointer + 2, blocks.shape, np.int16)
    refuse(Projection(shifted, table, cells, cell), NativeError, "component 1 to project.*align")
    nowhere = DeviceArray(0, blocks.shape, np.int16)
    refuse(Projection(nowhere, table, cells, cell), NativeError, "either blocks or a packed stream")
    for into in (out, None):
        refuse(Projection(source, table, at(0), cell, into), NativeError, "null pointer")
        odd = at(cells.pointer + 2)
        refuse(Projection(source, table, odd, cell, into), NativeError, "aligned to an element")
    refuse(Projection(source, table, cells, cell, at(0)), NativeError, "null pointer")
    overlapping = (0x100, 0x30, 4)
    refuse(Projection(source, table, at(cells.pointer, overlapping), cell), NativeError, "overlap")
    narrow = (0x200, 0x20, 4)
    refuse(Projection(source, table, at(cells.pointer, narrow), cell), NativeError, "pitch")
    for scale in (0.0, -1.0, 2.0**65, np.nan, np.inf):
        refuse(good, NativeError, "needs a scale above 0", scale=scale)
    for slack in (-0.1, np.nan, np.inf):
        refuse(good, NativeError, "slack of 0 or more", slack=slack)
    with pytest.raises(NativeError, match="float32 or float16") as raised:
        levels = device.filled(cells.shape, np.uint8, 0)
        device.kernels.project_cells([Projection(source, table, levels, cell)])
    assert raised.value.status == Status.INVALID_ARGUMENT

    halves = device.filled(cells.shape, np.float16, 0)
    refuse(Projection(source, table, halves, cell), ValueError, "one dtype")
    refuse(Projection(source, table, cells, cell, halves), ValueError, "an output with the shape")
    refuse(Projection(source, table, cells, (2, 3)), ValueError, "1, 2, 4 or 8")
    refuse(Projection(source, table, cells, (1, 2)), ValueError, "need cells of shape")
    gaps = at(cells.pointer, (0x400, 0x60, 8))
    refuse(Projection(source, table, gaps, cell), ValueError, "contiguous rows")
    with pytest.raises(TypeError, match="on the device"):
        device.kernels.project_cells([Projection(source, table, np.zeros((4, 8, 12)), cell)])
    if device.emulated:
        assert device.launches == launches
    assert (device.download(out) == 7).all()
    assert (device.download(cells) == 5).all()


def test_a_handle_that_is_not_attached() -> None:
    handle = ct.c_void_p()
    assert _native.lib.jpegrt_cuda_create(ct.byref(handle)) == Status.OK
    call = _native.lib.jpegrt_cuda_project_cells
    assert call(handle, None, 0, 0, 1.0, 0.0, None) == Status.NO_DEVICE
    assert call(handle, None, 1, 0, 1.0, 0.0, None) == Status.INVALID_ARGUMENT
    assert call(None, None, 0, 0, 1.0, 0.0, None) == Status.INVALID_ARGUMENT
    _native.lib.jpegrt_cuda_destroy(handle)
