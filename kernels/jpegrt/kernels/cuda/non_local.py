"""Options of the non-local operator and of its mask, from arrays on the device."""

import ctypes as ct
from typing import Any

import numpy as np

from jpegrt.kernels import _native
from jpegrt.kernels._native import lib
from jpegrt.kernels.cuda.arrays import DTYPES, DeviceArray, device_array, require
from jpegrt.kernels.non_local import blocking_edges_options


def non_local_scratch_bytes(guide: Any) -> int:
    """Bytes of scratch memory that `Cuda.non_local` needs for images like these."""
    options = non_local_options(device_array(guide), 0, 0.0)
    return int(lib.jpegrt_cuda_non_local_scratch_bytes(ct.byref(options)))


def non_local_options(guide: DeviceArray, window_px: int, h: float) -> _native.NonLocalOptions:
    _require_images(guide)
    require(0 <= window_px < 1 << 32, "a window of 0 or more pixels")
    images, channels, height, width = guide.shape
    return _native.NonLocalOptions(
        ct.sizeof(_native.NonLocalOptions),
        0,
        images,
        channels,
        height,
        width,
        window_px,
        DTYPES[guide.dtype],
        h,
    )


def edges_options(
    value: DeviceArray, grid: tuple[int, int], ratio: float, least_step: float
) -> _native.BlockingEdgesOptions:
    _require_images(value)
    return blocking_edges_options(value.shape, grid, ratio, least_step)


def _require_images(array: DeviceArray) -> None:
    require(len(array.shape) == 4 and array.is_contiguous, "contiguous images of 4 axes")
    require(array.dtype in (np.float32, np.float16), "float32 or float16 images")
