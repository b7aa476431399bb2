"""The kernels on a GPU: device arrays in and out, on the caller's stream.

Arrays are whatever has `__cuda_array_interface__` (PyCUDA, PyTorch, CuPy, Numba), or a `DeviceArray`
around a pointer. Streams are None (the default stream), a raw handle, or an object of cuda-core,
PyCUDA, PyTorch or CuPy. No call waits for the device.
"""

from jpegrt.kernels.cuda.arrays import DeviceArray, device_array, stream_handle
from jpegrt.kernels.cuda.components import PackedComponent, Projection, Unpacking
from jpegrt.kernels.cuda.images import (
    CellImage,
    DecodedComponent,
    Decoding,
    decode_scratch_bytes,
)
from jpegrt.kernels.cuda.kernels import CURRENT_CONTEXT, Cuda
from jpegrt.kernels.cuda.non_local import non_local_scratch_bytes

__all__ = [
    "CURRENT_CONTEXT",
    "CellImage",
    "Cuda",
    "DecodedComponent",
    "Decoding",
    "DeviceArray",
    "PackedComponent",
    "Projection",
    "Unpacking",
    "decode_scratch_bytes",
    "device_array",
    "non_local_scratch_bytes",
    "stream_handle",
]
