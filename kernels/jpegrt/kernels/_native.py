"""Loads the shared library and declares its types and prototypes: the only ctypes in the project.

The names and their order are those of jpegrt.h, which documents them.
"""

import ctypes as ct
import math
import os
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

_NAME = {"win32": "jpegrt.dll", "darwin": "libjpegrt.dylib"}.get(sys.platform, "libjpegrt.so")

_Scalar = TypeVar("_Scalar", bound=np.generic)

MAX_COMPONENTS = 4
MAX_RANK = 4


class Status(IntEnum):
    OK = 0
    INVALID_ARGUMENT = 1
    NO_MEMORY = 2
    NOT_JPEG = 3
    DAMAGED = 4
    UNSUPPORTED = 5
    TOO_LARGE = 6
    ENGINE = 7
    INTERNAL = 8
    BUNDLE = 9
    NO_DEVICE = 10
    CUDA = 11


class Dtype(IntEnum):
    FLOAT32 = 0
    FLOAT16 = 1
    UINT8 = 2
    UINT16 = 3


class Device(IntEnum):
    CPU = 0
    CUDA = 1


class Domain(IntEnum):
    CELLS = 0
    LUMA = 1
    RGB = 2
    SPECTRAL = 3


class Layout(IntEnum):
    CELLS = 0
    SPECTRUM = 1
    PLANE = 2
    SAMPLES = 3


class Blocks(ct.Structure):
    _fields_ = (
        ("data", ct.c_void_p),
        ("table", ct.c_void_p),
        ("rows", ct.c_uint32),
        ("columns", ct.c_uint32),
        ("stride", ct.c_uint32),
    )


class Packed(ct.Structure):
    _fields_ = (
        ("data", ct.c_void_p),
        ("size", ct.c_size_t),
        ("table", ct.c_void_p),
        ("rows", ct.c_uint32),
        ("columns", ct.c_uint32),
    )


class Component(ct.Structure):
    _fields_ = (
        ("blocks", Blocks),
        ("width", ct.c_uint32),
        ("height", ct.c_uint32),
        ("h", ct.c_uint32),
        ("v", ct.c_uint32),
    )


class Image(ct.Structure):
    _fields_ = (
        ("width", ct.c_uint32),
        ("height", ct.c_uint32),
        ("components", ct.c_uint32),
        ("colour", ct.c_int),
        ("coding", ct.c_int),
        ("arithmetic", ct.c_uint32),
        ("restart_interval", ct.c_uint32),
        ("warnings", ct.c_uint32),
        ("inverted", ct.c_uint32),
        ("component", Component * MAX_COMPONENTS),
    )


class ReadOptions(ct.Structure):
    _fields_ = (
        ("struct_size", ct.c_uint32),
        ("allow_damaged", ct.c_uint32),
        ("max_pixels", ct.c_uint64),
    )


class Tensor(ct.Structure):
    _fields_ = (
        ("name", ct.c_char_p),
        ("data", ct.c_void_p),
        ("dtype", ct.c_int),
        ("device", ct.c_int),
        ("rank", ct.c_uint32),
        ("shape", ct.c_int64 * MAX_RANK),
    )


EngineRun = ct.CFUNCTYPE(
    ct.c_int,
    ct.c_void_p,
    ct.c_char_p,
    ct.POINTER(Tensor),
    ct.c_size_t,
    ct.POINTER(Tensor),
    ct.c_size_t,
    ct.c_void_p,
    ct.POINTER(ct.c_char),
    ct.c_size_t,
)
EngineDestroy = ct.CFUNCTYPE(None, ct.c_void_p)


class Engine(ct.Structure):
    _fields_ = (
        ("struct_size", ct.c_uint32),
        ("user", ct.c_void_p),
        ("run", EngineRun),
        ("destroy", EngineDestroy),
    )


class Graph(ct.Structure):
    _fields_ = (
        ("name", ct.c_char_p),
        ("components", ct.c_uint32),
        ("chroma_h", ct.c_uint32),
        ("chroma_v", ct.c_uint32),
    )


class Model(ct.Structure):
    _fields_ = (
        ("struct_size", ct.c_uint32),
        ("cell_px", ct.c_uint32),
        ("scale", ct.c_float),
        ("n_graphs", ct.c_uint32),
        ("graphs", ct.POINTER(Graph)),
        ("domain", ct.c_int),
        ("enlargement", ct.c_uint32),
        ("minimum_px", ct.c_uint32),
        ("multiple_px", ct.c_uint32),
        ("unfoldings", ct.c_uint32),
        ("window_px", ct.c_uint32),
        ("receptive_field_px", ct.c_uint32),
    )


class EngineOptions(ct.Structure):
    _fields_ = (
        ("struct_size", ct.c_uint32),
        ("threads", ct.c_uint32),
        ("precision", ct.c_char_p),
        ("provider", ct.c_char_p),
        ("library", ct.c_char_p),
        ("device_index", ct.c_uint32),
        ("engines", ct.c_char_p),
    )


ReadGraph = ct.CFUNCTYPE(
    ct.c_int,
    ct.c_void_p,
    ct.c_char_p,
    ct.POINTER(ct.c_void_p),
    ct.POINTER(ct.c_size_t),
    ct.POINTER(ct.c_char),
    ct.c_size_t,
)
FileSha256 = ct.CFUNCTYPE(ct.c_char_p, ct.c_void_p, ct.c_char_p)


class EngineRequest(ct.Structure):
    _fields_ = (
        ("struct_size", ct.c_uint32),
        ("abi", ct.c_uint32),
        ("threads", ct.c_uint32),
        ("device_index", ct.c_uint32),
        ("provider", ct.c_char_p),
        ("library", ct.c_char_p),
        ("engines", ct.c_char_p),
        ("folder", ct.c_char_p),
        ("model", ct.c_char_p),
        ("precision", ct.c_char_p),
        ("read_graph", ReadGraph),
        ("file_sha256", FileSha256),
        ("bundle", ct.c_void_p),
    )


class SessionOptions(ct.Structure):
    _fields_ = (
        ("struct_size", ct.c_uint32),
        ("threads", ct.c_uint32),
        ("read", ReadOptions),
        ("project", ct.c_uint32),
        ("slack", ct.c_float),
        ("cuda", ct.c_void_p),
        ("tile_px", ct.c_uint32),
    )


class Strip(ct.Structure):
    _fields_ = (
        ("first_row", ct.c_uint32),
        ("rows", ct.c_uint32),
    )


class PixelSize(ct.Structure):
    _fields_ = (
        ("width", ct.c_uint32),
        ("height", ct.c_uint32),
        ("channels", ct.c_uint32),
    )


class Timings(ct.Structure):
    _fields_ = (
        ("entropy_decode_ms", ct.c_double),
        ("unpack_ms", ct.c_double),
        ("network_ms", ct.c_double),
        ("pixels_ms", ct.c_double),
    )


class NonLocalOptions(ct.Structure):
    _fields_ = (
        ("struct_size", ct.c_uint32),
        ("threads", ct.c_uint32),
        ("images", ct.c_uint32),
        ("channels", ct.c_uint32),
        ("height", ct.c_uint32),
        ("width", ct.c_uint32),
        ("window_px", ct.c_uint32),
        ("dtype", ct.c_int),
        ("h", ct.c_float),
    )


class BlockingEdgesOptions(ct.Structure):
    _fields_ = (
        ("struct_size", ct.c_uint32),
        ("images", ct.c_uint32),
        ("channels", ct.c_uint32),
        ("height", ct.c_uint32),
        ("width", ct.c_uint32),
        ("grid_x", ct.c_uint32),
        ("grid_y", ct.c_uint32),
        ("ratio", ct.c_float),
        ("least_step", ct.c_float),
    )


class Unpacking(ct.Structure):
    _fields_ = (
        ("blocks", Blocks),
        ("packed", ct.c_void_p),
        ("out", ct.c_void_p),
        ("plane", ct.c_uint64),
        ("pitch", ct.c_uint32),
        ("cell_width", ct.c_uint32),
        ("cell_height", ct.c_uint32),
        ("grid_rows", ct.c_uint32),
        ("grid_columns", ct.c_uint32),
    )


class Projection(ct.Structure):
    _fields_ = (
        ("blocks", Blocks),
        ("packed", ct.c_void_p),
        ("cells", ct.c_void_p),
        ("projected", ct.c_void_p),
        ("plane", ct.c_uint64),
        ("pitch", ct.c_uint32),
        ("cell_width", ct.c_uint32),
        ("cell_height", ct.c_uint32),
    )


class CellImage(ct.Structure):
    _fields_ = (
        ("cells", ct.c_void_p * 3),
        ("plane", ct.c_uint64),
        ("pitch", ct.c_uint32),
        ("width", ct.c_uint32),
        ("height", ct.c_uint32),
        ("colour", ct.c_int),
        ("pixels", ct.c_void_p),
        ("row_stride", ct.c_uint64),
    )


class Decoding(ct.Structure):
    _fields_ = (
        ("image", ct.POINTER(Image)),
        ("packed", ct.c_void_p * MAX_COMPONENTS),
        ("pixels", ct.c_void_p),
        ("row_stride", ct.c_uint64),
    )


_HANDLE = ct.c_void_p
_HANDLE_OUT = ct.POINTER(ct.c_void_p)
_BLOCKS = ct.POINTER(Blocks)
_IMAGE_OUT = ct.POINTER(Image)
_PACKED = ct.POINTER(Packed)

# name -> (result, parameters), in the order of jpegrt.h; tests/kernels/test_abi.py compares the two.
PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "jpegrt_version": (ct.c_uint32, []),
    "jpegrt_libjpeg_version": (ct.c_char_p, []),
    "jpegrt_plain_decode": (
        ct.c_int,
        [
            ct.c_char_p,
            ct.c_size_t,
            ct.c_uint32,
            ct.c_uint32,
            ct.c_uint32,
            ct.c_void_p,
            ct.c_uint64,
        ],
    ),
    "jpegrt_create_message": (ct.c_char_p, []),
    "jpegrt_spectrum_from_blocks": (ct.c_int, [_BLOCKS, ct.c_float, ct.c_void_p]),
    "jpegrt_coefficient_plane_from_blocks": (ct.c_int, [_BLOCKS, ct.c_float, ct.c_void_p]),
    "jpegrt_cells_from_blocks": (
        ct.c_int,
        [_BLOCKS, ct.c_uint32, ct.c_uint32, ct.c_float, ct.c_void_p],
    ),
    "jpegrt_samples_from_blocks": (ct.c_int, [_BLOCKS, ct.c_void_p]),
    "jpegrt_project_cells": (
        ct.c_int,
        [_BLOCKS, ct.c_uint32, ct.c_uint32, ct.c_float, ct.c_float, ct.c_void_p, ct.c_void_p],
    ),
    "jpegrt_coefficients_create": (ct.c_int, [_HANDLE_OUT]),
    "jpegrt_coefficients_destroy": (None, [_HANDLE]),
    "jpegrt_coefficients_message": (ct.c_char_p, [_HANDLE]),
    "jpegrt_coefficients_read_header": (
        ct.c_int,
        [_HANDLE, ct.c_char_p, ct.c_size_t, ct.POINTER(ReadOptions), _IMAGE_OUT],
    ),
    "jpegrt_coefficients_read": (
        ct.c_int,
        [_HANDLE, ct.c_char_p, ct.c_size_t, ct.POINTER(ReadOptions), _IMAGE_OUT],
    ),
    "jpegrt_packed_bound": (ct.c_size_t, [ct.c_uint32, ct.c_uint32]),
    "jpegrt_pack_blocks": (ct.c_int, [_BLOCKS, ct.c_void_p, ct.c_size_t, ct.c_void_p]),
    "jpegrt_packed_read_header": (ct.c_int, [ct.c_void_p, ct.c_size_t, _PACKED]),
    "jpegrt_packed_check": (ct.c_int, [_PACKED]),
    "jpegrt_blocks_from_packed": (ct.c_int, [_PACKED, ct.c_void_p]),
    "jpegrt_spectrum_from_packed": (ct.c_int, [_PACKED, ct.c_float, ct.c_void_p]),
    "jpegrt_coefficient_plane_from_packed": (ct.c_int, [_PACKED, ct.c_float, ct.c_void_p]),
    "jpegrt_cells_from_packed": (
        ct.c_int,
        [_PACKED, ct.c_uint32, ct.c_uint32, ct.c_float, ct.c_void_p],
    ),
    "jpegrt_samples_from_packed": (ct.c_int, [_PACKED, ct.c_void_p]),
    "jpegrt_coefficients_read_packed": (
        ct.c_int,
        [_HANDLE, ct.c_char_p, ct.c_size_t, ct.POINTER(ReadOptions), _IMAGE_OUT, _PACKED],
    ),
    "jpegrt_bundle_open": (ct.c_int, [ct.c_char_p, _HANDLE_OUT]),
    "jpegrt_bundle_destroy": (None, [_HANDLE]),
    "jpegrt_bundle_message": (ct.c_char_p, [_HANDLE]),
    "jpegrt_bundle_model_name": (ct.c_char_p, [_HANDLE]),
    "jpegrt_bundle_model": (ct.POINTER(Model), [_HANDLE]),
    "jpegrt_bundle_precision": (ct.c_char_p, [_HANDLE, ct.c_uint32]),
    "jpegrt_bundle_default_precision": (ct.c_char_p, [_HANDLE]),
    "jpegrt_bundle_read_graph": (
        ct.c_int,
        [_HANDLE, ct.c_char_p, ct.c_char_p, ct.POINTER(ct.c_void_p), ct.POINTER(ct.c_size_t)],
    ),
    "jpegrt_engine_open": (
        ct.c_int,
        [ct.c_char_p, _HANDLE, ct.POINTER(EngineOptions), ct.POINTER(Engine)],
    ),
    "jpegrt_session_create": (
        ct.c_int,
        [ct.POINTER(SessionOptions), ct.POINTER(Model), ct.POINTER(Engine), _HANDLE_OUT],
    ),
    "jpegrt_session_open": (
        ct.c_int,
        [
            ct.c_char_p,
            ct.c_char_p,
            ct.POINTER(SessionOptions),
            ct.POINTER(EngineOptions),
            _HANDLE_OUT,
        ],
    ),
    "jpegrt_session_destroy": (None, [_HANDLE]),
    "jpegrt_session_message": (ct.c_char_p, [_HANDLE]),
    "jpegrt_session_read": (ct.c_int, [_HANDLE, ct.c_char_p, ct.c_size_t, _IMAGE_OUT]),
    "jpegrt_session_load": (ct.c_int, [_HANDLE, _IMAGE_OUT]),
    "jpegrt_session_load_pixels": (
        ct.c_int,
        [_HANDLE, ct.c_void_p, ct.c_uint32, ct.c_uint32, ct.c_uint32, ct.c_size_t],
    ),
    "jpegrt_session_output_size": (ct.c_int, [_HANDLE, ct.POINTER(PixelSize)]),
    "jpegrt_session_restore": (ct.c_int, [_HANDLE, ct.c_void_p, ct.c_size_t]),
    "jpegrt_session_restore16": (ct.c_int, [_HANDLE, ct.c_void_p, ct.c_size_t]),
    "jpegrt_session_restore_device": (
        ct.c_int,
        [_HANDLE, ct.c_void_p, ct.c_size_t, ct.c_int, ct.c_void_p],
    ),
    "jpegrt_session_strip": (ct.c_int, [_HANDLE, ct.c_uint32, ct.POINTER(Strip)]),
    "jpegrt_session_restore_strip": (
        ct.c_int,
        [_HANDLE, ct.c_uint32, ct.c_void_p, ct.c_size_t, ct.c_int],
    ),
    "jpegrt_session_timings": (ct.c_int, [_HANDLE, ct.POINTER(Timings)]),
    "jpegrt_non_local": (
        ct.c_int,
        [ct.POINTER(NonLocalOptions), *[ct.c_void_p] * 5],
    ),
    "jpegrt_find_blocking_edges": (
        ct.c_int,
        [ct.POINTER(BlockingEdgesOptions), ct.c_void_p, ct.c_void_p],
    ),
    "jpegrt_cuda_create": (ct.c_int, [_HANDLE_OUT]),
    "jpegrt_cuda_destroy": (None, [_HANDLE]),
    "jpegrt_cuda_message": (ct.c_char_p, [_HANDLE]),
    "jpegrt_cuda_attach": (ct.c_int, [_HANDLE, ct.c_int32]),
    "jpegrt_cuda_unpack": (
        ct.c_int,
        [
            _HANDLE,
            ct.POINTER(Unpacking),
            ct.c_size_t,
            ct.c_int,
            ct.c_int,
            ct.c_float,
            ct.c_void_p,
        ],
    ),
    "jpegrt_cuda_project_cells": (
        ct.c_int,
        [
            _HANDLE,
            ct.POINTER(Projection),
            ct.c_size_t,
            ct.c_int,
            ct.c_float,
            ct.c_float,
            ct.c_void_p,
        ],
    ),
    "jpegrt_cuda_pixels_from_cells": (
        ct.c_int,
        [
            _HANDLE,
            ct.POINTER(CellImage),
            ct.c_size_t,
            ct.c_uint32,
            ct.c_int,
            ct.c_float,
            ct.c_int,
            ct.c_void_p,
        ],
    ),
    "jpegrt_cuda_decode_scratch_bytes": (ct.c_uint64, [ct.POINTER(Decoding), ct.c_size_t]),
    "jpegrt_cuda_decode": (
        ct.c_int,
        [_HANDLE, ct.POINTER(Decoding), ct.c_size_t, ct.c_void_p, ct.c_void_p],
    ),
    "jpegrt_cuda_non_local_scratch_bytes": (ct.c_uint64, [ct.POINTER(NonLocalOptions)]),
    "jpegrt_cuda_non_local": (
        ct.c_int,
        [_HANDLE, ct.POINTER(NonLocalOptions), *[ct.c_void_p] * 7],
    ),
    "jpegrt_cuda_find_blocking_edges": (
        ct.c_int,
        [
            _HANDLE,
            ct.POINTER(BlockingEdgesOptions),
            ct.c_void_p,
            ct.c_int,
            ct.c_void_p,
            ct.c_void_p,
        ],
    ),
}


class NativeError(RuntimeError):
    """A call into the native library failed; `status` says how, the text says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = Status(status)


def _open() -> ct.CDLL:
    if override := os.environ.get("JPEGRT_LIBRARY"):  # a sanitizer or work-in-progress build
        return ct.CDLL(override)
    # An editable install splits the package over two folders: sources and build products.
    from jpegrt import kernels

    for folder in kernels.__path__:
        path = Path(folder) / _NAME
        if path.exists():
            return ct.CDLL(str(path))
    raise ImportError(f"{_NAME} not found in {list(kernels.__path__)}; reinstall the package")


lib = _open()
for _name, (_result, _parameters) in PROTOTYPES.items():
    _function = getattr(lib, _name)
    _function.restype, _function.argtypes = _result, _parameters


def pointer(array: NDArray[Any], dtype: DTypeLike, shape: tuple[int, ...]) -> int:
    """The address of a C-contiguous array of exactly this dtype and shape, or a ValueError."""
    if array.dtype != np.dtype(dtype) or array.shape != shape or not array.flags.c_contiguous:
        raise ValueError(
            f"need a C-contiguous {np.dtype(dtype)} array of shape {shape}, "
            f"got {array.dtype} {array.shape}"
        )
    return array.ctypes.data


def array_at(address: int, dtype: type[_Scalar], shape: tuple[int, ...]) -> NDArray[_Scalar]:
    """Native memory as an array; valid as long as the memory is."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, memoryview((ct.c_uint8 * size).from_address(address)))


def check(status: int, call: str) -> None:
    """Raises NativeError for a call that has no handle to ask for a message."""
    if status:
        raise NativeError(status, f"{call}: {Status(status).name.lower().replace('_', ' ')}")


def check_create(status: int) -> None:
    """Raises NativeError for a `_create` or `_open`, with its message."""
    if status:
        raise NativeError(status, lib.jpegrt_create_message().decode(errors="replace"))
