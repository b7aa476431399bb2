"""The CUDA twin of the detector of blocking edges, on a GPU and behind an emulated driver."""

import ctypes as ct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.kernels.devices import Device
from tests.kernels.test_blocking_edges import grids, levels
from tests.kernels.test_cuda import per_device

from jpegrt.kernels import NativeError, Status, _native, find_blocking_edges
from jpegrt.kernels.cuda import DeviceArray

Images = NDArray[Any]

DTYPES = [np.float32, np.float16]
# A pixel, less than a tile of 128 x 32, one whose rest is of a pixel, some of each, and strips.
SHAPES = [(1, 1, 1, 1), (2, 3, 20, 27), (1, 1, 33, 129), (2, 3, 70, 300), (1, 1, 2, 260), (1, 3, 90, 3)]  # fmt: skip


def blocky(
    shape: tuple[int, int, int, int], grid: tuple[int, int], noise: float, dtype: Any, seed: int
) -> Images:
    """Blocks of one level each, and noise that hides some of their borders."""
    random = np.random.default_rng(seed)
    images, channels, height, width = shape
    flat = random.random((images, channels, -(-height // 8) + 1, -(-width // 8) + 1))
    top, left = (-grid[0]) % 8, (-grid[1]) % 8
    enlarged = flat.repeat(8, 2).repeat(8, 3)[..., top : top + height, left : left + width]
    result: Images = (enlarged * 0.2 + random.normal(0, noise, shape)).astype(dtype)
    return result


def assert_equals_the_cpu(
    device: Device,
    value: Images,
    grid: tuple[int, int] = (0, 0),
    ratio: float = 2.0,
    least_step: float = 1 / 255,
) -> NDArray[np.uint8]:
    images, _, height, width = value.shape
    keys = device.filled((images, 1, height, width), np.uint8, 7)
    device.kernels.find_blocking_edges(
        device.upload(value), keys, grid,
        ratio=ratio, least_step=least_step, stream=device.stream,
    )  # fmt: skip
    found = device.download(keys)
    single = value.astype(np.float32)
    expected = find_blocking_edges(single, grid, ratio=ratio, least_step=least_step)
    np.testing.assert_array_equal(found, expected)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_keys_equal_the_cpus(device: Device, shape: tuple[int, int, int, int], dtype: Any) -> None:
    shares = []
    for seed, noise in enumerate((0.0, 0.01, 0.03)):
        for grid in ((0, 0), (3, 5), (4, 4), (5, 7), (7, 1)):
            value = blocky(shape, grid, noise, dtype, seed)
            shares.append(assert_equals_the_cpu(device, value, grid).mean())
    if min(shape[2:]) >= 20:
        assert min(shares) < 0.7 and max(shares) > 0.75


@per_device
@given(
    levels, grids, st.sampled_from([1.0, 1.5, 2.0]), st.sampled_from([0.0, 1 / 64, 1 / 32]),
    st.sampled_from(DTYPES),
)  # fmt: skip
def test_any_levels_equal_the_cpu(
    device: Device,
    samples: NDArray[np.uint8],
    grid: tuple[int, int],
    ratio: float,
    least_step: float,
    dtype: Any,
) -> None:
    """Of few levels, so that steps are often just as large as asked, or just not."""
    assert_equals_the_cpu(device, (samples / 64).astype(dtype), grid, ratio, least_step)


@pytest.mark.parametrize("grid", [(y, x) for y in range(8) for x in (0, 3, 4, 7)])
def test_every_grid_equals_the_cpu(device: Device, grid: tuple[int, int]) -> None:
    for shape in ((1, 1, 37, 50), (1, 3, 11, 12), (1, 1, 3, 9), (2, 1, 40, 133)):
        value = blocky(shape, grid, 0.005, np.float32, 1)
        assert_equals_the_cpu(device, value, grid)


def test_sums_are_rounded_as_on_the_cpu(device: Device) -> None:
    """Steps across that are twice those before, in another order: which sum is larger, rounding
    decides, and so the order of addition."""
    random = np.random.default_rng(0)
    before = np.exp(random.uniform(-25, 10, (32, 32, 3, 8))).astype(np.float32)
    across = 2 * random.permuted(before.reshape(32, 32, 24), axis=2).reshape(before.shape)
    value = np.zeros((1, 3, 256, 264), np.float32)

    def columns_of(steps: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows of blocks, columns, channels, 8) as (channels, rows, columns)"""
        return steps.transpose(2, 0, 3, 1).reshape(3, 256, 32)

    value[0, :, :, 6:256:8] = columns_of(before)
    value[0, :, :, 8::8] = value[0, :, :, 9::8] = columns_of(across)
    keys = assert_equals_the_cpu(device, value, ratio=2.0, least_step=0)
    assert 0.1 < keys[0, 0, ::8, 8::8].mean() < 0.9


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_that_are_not_finite(device: Device, dtype: Any) -> None:
    value = blocky((2, 3, 40, 140), (0, 0), 0.0, dtype, 0)
    random = np.random.default_rng(1)
    for number in (np.nan, np.inf, -np.inf):
        value[random.random(value.shape) < 0.002] = number
    assert 0.6 < assert_equals_the_cpu(device, value).mean() < 0.9


def test_keys_beside_the_images_are_left_alone(device: Device) -> None:
    value = blocky((2, 3, 37, 131), (3, 5), 0.0, np.float32, 0)
    room = device.filled((5000 + 2 * 37 * 131 + 5000,), np.uint8, 7)
    keys = DeviceArray(room.pointer + 5000, (2, 1, 37, 131), np.uint8)
    device.kernels.find_blocking_edges(device.upload(value), keys, (3, 5), stream=device.stream)
    result = device.download(room)
    assert (result[:5000] == 7).all() and (result[-5000:] == 7).all()
    expected = find_blocking_edges(value, (3, 5))
    np.testing.assert_array_equal(result[5000:-5000].reshape(expected.shape), expected)
    assert not expected.all()


def test_what_is_refused(device: Device) -> None:
    value = device.filled((1, 3, 16, 17), np.float32, 0)
    keys = device.filled((1, 1, 16, 17), np.uint8, 7)
    launches = device.launches if device.emulated else 0
    find = device.kernels.find_blocking_edges

    for ratio, least_step in ((0.5, 0), (np.nan, 0), (2, -1), (2, np.nan)):
        with pytest.raises(NativeError, match=r"beyond what jpegrt\.h allows") as raised:
            find(value, keys, ratio=ratio, least_step=least_step, stream=device.stream)
        assert raised.value.status == Status.INVALID_ARGUMENT
    two_channels = DeviceArray(value.pointer, (1, 2, 16, 17), np.float32)
    null = DeviceArray(0, value.shape, np.float32)
    for images, into in (
        (two_channels, keys),
        (null, keys),
        (value, DeviceArray(0, keys.shape, np.uint8)),
    ):
        with pytest.raises(NativeError, match="invalid argument"):
            find(images, into)
    for grid in ((8, 0), (0, -1)):
        with pytest.raises(ValueError, match="need a grid"):
            find(value, keys, grid)
    with pytest.raises(ValueError, match="need a contiguous uint8"):
        find(value, DeviceArray(keys.pointer, (1, 1, 16, 16), np.uint8))
    with pytest.raises(ValueError, match="float32 or float16 images"):
        find(DeviceArray(value.pointer, value.shape, np.uint16), keys)
    with pytest.raises(ValueError, match="4 axes"):
        find(DeviceArray(value.pointer, (3, 16, 17), np.float32), keys)
    options = _native.BlockingEdgesOptions(
        ct.sizeof(_native.BlockingEdgesOptions), 1, 3, 16, 17, 0, 0, 2, 0
    )
    call, handle = _native.lib.jpegrt_cuda_find_blocking_edges, device.kernels._handle
    for wrong in (_native.Dtype.UINT8, _native.Dtype.UINT16):
        status = call(handle, ct.byref(options), value.pointer, wrong, keys.pointer, None)
        assert status == Status.INVALID_ARGUMENT
    assert call(handle, None, value.pointer, 0, keys.pointer, None) == Status.INVALID_ARGUMENT
    options.struct_size = 1
    status = call(handle, ct.byref(options), value.pointer, 0, keys.pointer, None)
    assert status == Status.INVALID_ARGUMENT
    if device.emulated:
        assert device.launches == launches
    assert (device.download(keys) == 7).all()
