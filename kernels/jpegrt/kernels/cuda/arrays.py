"""Device memory and streams of the caller's, as the native library takes them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from jpegrt.kernels._native import Dtype

INTERFACE = "__cuda_array_interface__"

DTYPES = {
    np.dtype(np.float32): Dtype.FLOAT32,
    np.dtype(np.float16): Dtype.FLOAT16,
    np.dtype(np.uint8): Dtype.UINT8,
    np.dtype(np.uint16): Dtype.UINT16,
}


class DeviceArray:
    """Device memory of the caller's as an array; strides are in bytes, None if C-contiguous.

    It does not own the memory: keep what does.
    """

    def __init__(
        self,
        pointer: int,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.pointer = pointer
        self.shape = shape
        self.dtype = np.dtype(dtype)
        contiguous = tuple(
            math.prod(shape[axis + 1 :]) * self.dtype.itemsize for axis in range(len(shape))
        )
        self.strides = contiguous if strides is None else strides
        self.is_contiguous = self.strides == contiguous
        self.has_contiguous_rows = self.strides[1:] == contiguous[1:]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.pointer, False),
            "strides": None if self.is_contiguous else self.strides,
        }


def device_array(array: Any) -> DeviceArray:
    """A view of anything that has `__cuda_array_interface__`."""
    if isinstance(array, DeviceArray):
        return array
    interface = getattr(array, INTERFACE, None)
    if interface is None:
        raise TypeError(f"need an array on the device, got {type(array).__name__}")
    return DeviceArray(
        interface["data"][0] or 0,
        tuple(interface["shape"]),
        interface["typestr"],
        None if interface.get("strides") is None else tuple(interface["strides"]),
    )


def stream_handle(stream: Any) -> int:
    """The raw handle of a stream: an int, or an object of cuda-core, PyCUDA, PyTorch or CuPy."""
    if stream is None:
        return 0
    if isinstance(stream, int):
        return stream
    if hasattr(stream, "__cuda_stream__"):
        return int(stream.__cuda_stream__()[1])
    for name in ("cuda_stream", "handle", "ptr"):  # PyTorch, PyCUDA, CuPy
        if hasattr(stream, name):
            return int(getattr(stream, name))
    raise TypeError(f"need a CUDA stream, got {type(stream).__name__}")


def require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"need {what}")


def pointer_of(array: Any, shape: tuple[int, ...], dtype: DTypeLike) -> int:
    """The address of a contiguous array of this shape and dtype."""
    view = device_array(array)
    require(
        view.shape == shape and view.dtype == np.dtype(dtype) and view.is_contiguous,
        f"a contiguous {np.dtype(dtype)} array of shape {shape}, got {view.dtype} {view.shape}",
    )
    return view.pointer


def dtype_of(array: DeviceArray) -> Dtype:
    require(array.dtype in DTYPES, f"float32, float16, uint8 or uint16, not {array.dtype}")
    return DTYPES[array.dtype]


def common_dtype(arrays: Sequence[DeviceArray], default: Dtype = Dtype.FLOAT32) -> Dtype:
    require(len({array.dtype for array in arrays}) <= 1, "arrays of one dtype")
    return dtype_of(arrays[0]) if arrays else default
