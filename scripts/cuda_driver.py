"""Device memory, a stream and its clock, from the CUDA driver alone: nothing to install."""

import ctypes as ct
import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from jpegrt.kernels.cuda import DeviceArray

_NAME = 256
_L2_CACHE_SIZE = 38  # CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE


class CudaDriver:
    """The first device and its primary context, made current on this thread."""

    def __init__(self) -> None:
        library = ct.CDLL(os.environ.get("JPEGRT_CUDA_DRIVER", "libcuda.so.1"))
        self._find = library.cuGetProcAddress_v2
        device, context, stream = ct.c_int(), ct.c_void_p(), ct.c_void_p()
        self._call("cuInit", ct.c_uint(0))
        self._call("cuDeviceGet", ct.byref(device), ct.c_int(0))
        self._call("cuDevicePrimaryCtxRetain", ct.byref(context), device)
        self._call("cuCtxPushCurrent", context)
        self._call("cuStreamCreate", ct.byref(stream), ct.c_uint(1))  # waits for no other stream
        self._device = device
        self.stream = stream.value or 0

    @property
    def device_name(self) -> str:
        name = ct.create_string_buffer(_NAME)
        self._call("cuDeviceGetName", name, ct.c_int(_NAME), self._device)
        return name.value.decode()

    @property
    def l2_cache_bytes(self) -> int:
        value = ct.c_int()
        self._call("cuDeviceGetAttribute", ct.byref(value), ct.c_int(_L2_CACHE_SIZE), self._device)
        return value.value

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """Uninitialised memory, kept until the process ends."""
        array = DeviceArray(0, shape, dtype)
        pointer = ct.c_uint64()
        self._call("cuMemAlloc", ct.byref(pointer), ct.c_size_t(array.nbytes))
        array.pointer = pointer.value
        return array

    def upload(self, array: NDArray[Any]) -> DeviceArray:
        """A copy of an array, once it is there."""
        copy = self.empty(array.shape, array.dtype)
        source = ct.c_void_p(array.ctypes.data)
        size = ct.c_size_t(array.nbytes)
        stream = ct.c_void_p(self.stream)
        self._call("cuMemcpyHtoDAsync", ct.c_uint64(copy.pointer), source, size, stream)
        self.synchronise()
        return copy

    def download(self, array: DeviceArray) -> NDArray[Any]:
        copy = np.empty(array.shape, array.dtype)
        target = ct.c_void_p(copy.ctypes.data)
        size = ct.c_size_t(array.nbytes)
        stream = ct.c_void_p(self.stream)
        self._call("cuMemcpyDtoHAsync", target, ct.c_uint64(array.pointer), size, stream)
        self.synchronise()
        return copy

    def copy(self, source: DeviceArray, target: DeviceArray) -> None:
        """Enqueues a copy of all of `source`."""
        self._call(
            "cuMemcpyDtoDAsync",
            ct.c_uint64(target.pointer),
            ct.c_uint64(source.pointer),
            ct.c_size_t(source.nbytes),
            ct.c_void_p(self.stream),
        )

    def synchronise(self) -> None:
        self._call("cuStreamSynchronize", ct.c_void_p(self.stream))

    def event(self) -> ct.c_void_p:
        """A mark at the end of what is enqueued."""
        event = ct.c_void_p()
        self._call("cuEventCreate", ct.byref(event), ct.c_uint(0))
        self._call("cuEventRecord", event, ct.c_void_p(self.stream))
        return event

    def milliseconds_between(self, first: ct.c_void_p, second: ct.c_void_p) -> float:
        """Waits for both marks, and destroys them."""
        milliseconds = ct.c_float()
        self._call("cuEventSynchronize", second)
        self._call("cuEventElapsedTime", ct.byref(milliseconds), first, second)
        for event in (first, second):
            self._call("cuEventDestroy", event)
        return milliseconds.value

    def _call(self, name: str, *arguments: Any) -> None:
        function = ct.c_void_p()
        found = self._find(
            name.encode(), ct.byref(function), ct.c_int(12000), ct.c_uint64(0), ct.c_void_p()
        )
        if found or not function.value:
            raise RuntimeError(f"the CUDA driver has no {name}")
        result = ct.CFUNCTYPE(ct.c_int)(function.value)(*arguments)
        if result:
            raise RuntimeError(f"{name} returned {result}")
