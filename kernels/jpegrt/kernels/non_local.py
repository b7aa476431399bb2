"""The non-local operator of CISR and the mask of blocking edges that it takes, by the native library.

Everywhere: images are (images, channels, height, width) with 1 or 3 channels, meant for the range
[0, 1]; `reference.py` has the definitions in float64.
"""

import ctypes as ct
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import _native
from jpegrt.kernels._native import Dtype, check, lib, pointer

Sample = TypeVar("Sample", np.float32, np.float16)

_DTYPES = {np.dtype(np.float32): Dtype.FLOAT32, np.dtype(np.float16): Dtype.FLOAT16}
_MAX_SIDE = 65535
_MAX_PIXELS = 1 << 24
_MAX_THREADS = 1024


def _check_images(shape: tuple[int, ...]) -> None:
    if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
        raise ValueError(f"need images of shape (images, 1 or 3, height, width), got {shape}")
    if max(shape[2:]) > _MAX_SIDE or shape[2] * shape[3] > _MAX_PIXELS:
        raise ValueError(
            f"need sides up to {_MAX_SIDE} and up to {_MAX_PIXELS} pixels, got {shape}"
        )


def non_local(
    guide: NDArray[Sample],
    value: NDArray[Sample],
    h: NDArray[np.float32] | float,
    keys: NDArray[np.uint8] | None = None,
    *,
    window_px: int = 0,
    threads: int = 0,
) -> NDArray[Sample]:
    """Replaces every 3x3 patch of `value` by a mean of patches whose `guide` looks like its own.

    guide, value: float32 or float16, of one shape. h: how unlike a patch may be, float32 (images, 1,
    height, width) or one number. keys: uint8 (images, 1, height, width), 0 where a patch must not be
    averaged over (it is still replaced); None for nowhere. window_px: average only over patches at
    most this far across and down; 0 for the whole image. threads: 0 for one per core; their number
    does not change the result.

    Weights are exp(-|guide(m) - guide(n)|^2 / (h(m)^2 + 1e-6)), scaled to sum to 1 over the keys n;
    the border is replicated; a pixel is the mean of the patches over it; a patch without any key
    stays what it is. Returns an array like value.
    """
    _check_images(guide.shape)
    if guide.dtype not in _DTYPES:
        raise ValueError(f"need float32 or float16 images, got {guide.dtype}")
    if not 0 <= threads <= _MAX_THREADS:
        raise ValueError(f"need 0 to {_MAX_THREADS} threads, got {threads}")
    if not 0 <= window_px < 1 << 32:
        raise ValueError(f"need a window of 0 or more pixels, got {window_px}")
    images, channels, height, width = guide.shape
    plane = (images, 1, height, width)
    is_plane = isinstance(h, np.ndarray)
    options = _native.NonLocalOptions(
        ct.sizeof(_native.NonLocalOptions),
        threads,
        images,
        channels,
        height,
        width,
        window_px,
        _DTYPES[guide.dtype],
        0 if is_plane else h,
    )
    filtered = np.empty_like(value)
    status = lib.jpegrt_non_local(
        ct.byref(options),
        pointer(guide, guide.dtype, guide.shape),
        pointer(value, guide.dtype, guide.shape),
        pointer(h, np.float32, plane) if isinstance(h, np.ndarray) else None,
        None if keys is None else pointer(keys, np.uint8, plane),
        filtered.ctypes.data,
    )
    check(status, "jpegrt_non_local")
    return filtered


def find_blocking_edges(
    value: NDArray[np.float32],
    grid: tuple[int, int] = (0, 0),
    *,
    ratio: float = 2.0,
    least_step: float = 1 / 255,
) -> NDArray[np.uint8]:
    """Keys for `non_local`, uint8 (images, 1, height, width): 0 beside visible block borders, else 1.

    value: float32. grid: the (y, x), 0 to 7, at which a block begins. The side that two blocks
    share is visible if the mean absolute step across it is at least least_step and more than `ratio`
    (at least 1) times the mean step between the two pixels before it, and the two after it.
    """
    _check_images(value.shape)
    if not ratio >= 1 or not least_step >= 0:
        raise ValueError(f"need ratio >= 1 and least_step >= 0, got {ratio} and {least_step}")
    options = blocking_edges_options(value.shape, grid, ratio, least_step)
    keys = np.empty((value.shape[0], 1, *value.shape[2:]), np.uint8)
    status = lib.jpegrt_find_blocking_edges(
        ct.byref(options), pointer(value, np.float32, value.shape), keys.ctypes.data
    )
    check(status, "jpegrt_find_blocking_edges")
    return keys


def blocking_edges_options(
    shape: tuple[int, ...], grid: tuple[int, int], ratio: float, least_step: float
) -> _native.BlockingEdgesOptions:
    """Of images of this shape. Raises ValueError for a grid that is none."""
    if not all(0 <= offset < 8 for offset in grid):
        raise ValueError(f"need a grid that begins at 0 to 7, got {grid}")
    images, channels, height, width = shape
    return _native.BlockingEdgesOptions(
        ct.sizeof(_native.BlockingEdgesOptions),
        images,
        channels,
        height,
        width,
        grid[1],
        grid[0],
        ratio,
        least_step,
    )
