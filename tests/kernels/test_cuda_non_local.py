"""The CUDA twin of the non-local operator, on a GPU and on the CPU behind an emulated driver."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.devices import Device
from tests.kernels.test_non_local import (
    FLOAT16_TOLERANCE,
    FLOAT32_TOLERANCE,
    KINDS,
    STRENGTHS,
    equally_distant_keys,
    image,
    random_keys,
)

from jpegrt.kernels import NativeError, Status, reference
from jpegrt.kernels.cuda import DeviceArray, non_local_scratch_bytes

Floats = NDArray[np.float32]
Keys = NDArray[np.uint8]

TOLERANCES = {np.float32: FLOAT32_TOLERANCE, np.float16: FLOAT16_TOLERANCE}


def filtered_on(
    device: Device,
    guide: NDArray[Any],
    value: NDArray[Any],
    h: Floats | float,
    keys: Keys | None = None,
    **options: Any,
) -> NDArray[Any]:
    filtered = device.empty(guide.shape, guide.dtype)
    strengths = device.upload(h) if isinstance(h, np.ndarray) else h
    masked = None if keys is None else device.upload(keys)
    device.kernels.non_local(
        device.upload(guide),
        device.upload(value),
        strengths,
        filtered,
        masked,
        stream=device.stream,
        **options,
    )
    return device.download(filtered)


def assert_within_tolerance(
    device: Device,
    dtype: Any,
    guide: Floats,
    value: Floats,
    h: Floats | float,
    keys: Keys | None = None,
    window_px: int = 0,
) -> None:
    guide, value = guide.astype(dtype), value.astype(dtype)
    filtered = filtered_on(device, guide, value, h, keys, window_px=window_px)
    assert filtered.dtype == dtype
    strengths = h if isinstance(h, np.ndarray) else float(np.float32(h))
    expected = reference.non_local(guide, value, strengths, keys, window_px)
    assert np.abs(filtered - expected).max() < TOLERANCES[dtype]


# A pixel, less than a tile of queries and of keys, whole tiles, and one pixel more.
SHAPES = [(1, 1, 1, 1), (2, 3, 5, 7), (1, 3, 8, 16), (1, 1, 17, 33)]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_is_within_tolerance_of_definition(
    device: Device, kind: str, shape: tuple[int, int, int, int], dtype: Any
) -> None:
    guide, value = image(kind, shape, 1), image("noisy", shape, 2)
    for h in STRENGTHS:
        assert_within_tolerance(device, dtype, guide, value, h)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("share", "window_px"), [(0.7, 0), (0.1, 0), (0.0, 0), (0.7, 5), (0.1, 1)])
def test_keys_windows_and_planes_of_h(
    device: Device, kind: str, share: float, window_px: int, dtype: Any
) -> None:
    shape = (2, 3, 20, 27)
    guide, value = image(kind, shape, 3), image("noisy", shape, 4)
    h = np.random.default_rng(5).choice(STRENGTHS, (2, 1, 20, 27)).astype(np.float32)
    keys = random_keys(shape, share, 6)
    assert_within_tolerance(device, dtype, guide, value, h, keys, window_px)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("kind", KINDS)
def test_larger_images(device: Device, kind: str, dtype: Any) -> None:
    shape = (1, 3, 50, 43)
    guide, value = image(kind, shape, 7), image("noisy", shape, 8)
    h = np.random.default_rng(9).choice(STRENGTHS, (1, 1, 50, 43)).astype(np.float32)
    assert_within_tolerance(device, dtype, guide, value, h, random_keys(shape, 0.8, 10))


def test_masked_query_with_equally_distant_keys(device: Device) -> None:
    guide, value, keys = equally_distant_keys()
    assert_within_tolerance(device, np.float32, guide, value, 0.001, keys)


def test_scratch_memory_of_the_callers(device: Device) -> None:
    value = image("noisy", (2, 3, 9, 10), 11)
    expected = filtered_on(device, value, value, 0.2)
    source = DeviceArray(0, value.shape, value.dtype)
    size = non_local_scratch_bytes(source)
    assert size == 36 * value.size
    scratch = device.empty((size,), np.uint8)
    result = filtered_on(device, value, value, 0.2, scratch=scratch)
    np.testing.assert_array_equal(result, expected)
    with pytest.raises(ValueError, match="bytes of scratch"):
        filtered_on(device, value, value, 0.2, scratch=device.empty((size - 1,), np.uint8))


def test_what_is_refused(device: Device) -> None:
    good = image("noisy", (1, 3, 8, 9), 12)
    with pytest.raises(ValueError, match="need "):
        filtered_on(device, good, good[:, :, 1:], 0.1)
    with pytest.raises(ValueError, match="need "):
        filtered_on(device, good.astype(np.float64), good.astype(np.float64), 0.1)
    with pytest.raises(ValueError, match="need "):
        filtered_on(device, good, good, good)
    with pytest.raises(ValueError, match="need "):
        filtered_on(device, good, good, 0.1, np.ones((1, 1, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="need "):
        filtered_on(device, good, good, 0.1, window_px=-1)
    two_channels = good[:, :2].copy()
    with pytest.raises(NativeError) as raised:
        filtered_on(device, two_channels, two_channels, 0.1)
    assert raised.value.status == Status.INVALID_ARGUMENT
