"""The kernels on a GPU: device arrays in and out, on the caller's stream.

Arrays are whatever has `__cuda_array_interface__` (PyCUDA, PyTorch, CuPy, Numba), or a `DeviceArray`
around a pointer. Streams are None (the default stream), a raw handle, or an object of cuda-core,
PyCUDA, PyTorch or CuPy. No call waits for the device.
"""

import ctypes as ct
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from jpegrt.kernels import _native
from jpegrt.kernels._native import Dtype, Layout, NativeError, check, lib
from jpegrt.kernels.coefficients import Colour

CURRENT_CONTEXT = -1

_INTERFACE = "__cuda_array_interface__"

_DTYPES = {
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


@dataclass(frozen=True)
class PackedComponent:
    """A component's packed stream on the device: uint8, 4-byte aligned, checked before it was sent."""

    stream: Any
    rows: int
    columns: int


@dataclass(frozen=True)
class Unpacking:
    """One component and where it goes: `jpegrt_unpacking` in jpegrt.h.

    source: int16 (rows, columns, 8, 8) on the device, C-contiguous, or a `PackedComponent`.
    table: quantisation steps, uint16 (8, 8), a NumPy array.
    out: on the device, shaped as the function of the layout's name in `jpegrt.kernels` returns it,
        or for cells larger: what lies beyond the blocks is then filled with the nearest samples.
        Rows are contiguous; planes and rows may be further apart.
    cell: (h, w) of cells, else None.
    """

    source: Any
    table: NDArray[np.uint16]
    out: Any
    cell: tuple[int, int] | None = None


@dataclass(frozen=True)
class CellImage:
    """Full-resolution cells and where their pixels go: `jpegrt_cell_image` in jpegrt.h.

    cells: float32 or float16 (components * r * r, rows, columns) on the device, C-contiguous.
    pixels: uint8 or uint16 on the device: (height, width) for grey, else (height, width, 3).
    """

    cells: Any
    pixels: Any
    colour: Colour


@dataclass(frozen=True)
class DecodedComponent:
    """One component of an image to decode plainly; width and height are its samples'."""

    source: Any
    table: NDArray[np.uint16]
    width: int
    height: int
    h: int
    v: int


@dataclass(frozen=True)
class Decoding:
    """An image to decode plainly, and its uint8 pixels on the device, shaped as in `CellImage`."""

    components: Sequence[DecodedComponent]
    pixels: Any
    colour: Colour


class Cuda:
    """The kernels, loaded into one CUDA context. One thread at a time."""

    def __init__(self, device: int = 0) -> None:
        """device: an ordinal, whose primary context is used, or CURRENT_CONTEXT for the caller's.

        Raises NativeError (Status.NO_DEVICE) if there is no driver or no such device.
        """
        self._handle = ct.c_void_p()  # first, for __del__
        check(lib.jpegrt_cuda_create(ct.byref(self._handle)), "jpegrt_cuda_create")
        self._check(lib.jpegrt_cuda_attach(self._handle, device))

    def __del__(self) -> None:
        self.close()

    @property
    def handle(self) -> ct.c_void_p:
        """For pipelines that restore here, which keep the kernels after `close`."""
        if not self._handle:
            raise ValueError("this Cuda is closed: make another")
        return self._handle

    def close(self) -> None:
        """Unloads the kernels; they must have finished. Nothing can be called afterwards."""
        lib.jpegrt_cuda_destroy(self._handle)
        self._handle = ct.c_void_p()

    def unpack(
        self,
        components: Sequence[Unpacking],
        layout: Layout,
        scale: float = 1.0,
        stream: object = None,
    ) -> None:
        """Unpacks any number of components, all with outputs of one dtype, in one go.

        Cells, spectra and planes are float32 or float16, samples uint8. Raises NativeError.
        """
        self.prepare_unpack(components, layout, scale)(stream)

    def prepare_unpack(
        self, components: Sequence[Unpacking], layout: Layout, scale: float = 1.0
    ) -> Callable[[object], None]:
        """`unpack` as a function of the stream, for memory that is unpacked again and again."""
        native = (_native.Unpacking * len(components))()
        outs = [device_array(component.out) for component in components]
        for into, component, out in zip(native, components, outs, strict=True):
            _fill_unpacking(into, component, out, layout)
        dtype = _common_dtype(outs)
        kept = components  # their tables are what the native structs point to

        def enqueue(stream: object = None) -> None:
            handle = stream_handle(stream)
            self._check(
                lib.jpegrt_cuda_unpack(
                    self._handle, native, len(kept), layout, dtype, scale, handle
                )
            )

        return enqueue

    def pixels_from_cells(
        self, images: Sequence[CellImage], scale: float = 1.0, stream: object = None
    ) -> None:
        """A network's output, cells multiplied by scale, into interleaved pixels.

        All cells are of one dtype and size, all pixels of one dtype. Raises NativeError.
        """
        native = (_native.CellImage * len(images))()
        cells = [device_array(image.cells) for image in images]
        pixels = [device_array(image.pixels) for image in images]
        sides = set()
        for into, image, planes, out in zip(native, images, cells, pixels, strict=True):
            components = 1 if image.colour == Colour.GREY else 3
            _require(len(planes.shape) == 3 and planes.is_contiguous, "contiguous cells of 3 axes")
            count, rows, columns = planes.shape
            side = math.isqrt(count // components)
            _require(components * side * side == count, "components * r * r planes of cells")
            sides.add(side)
            height, width = _pixel_size(out, components)
            _require(height <= side * rows and width <= side * columns, "cells for every pixel")
            for c in range(components):
                step = side * side * planes.strides[0]
                into.cells[c] = planes.pointer + c * step
            into.plane, into.pitch = rows * columns, columns
            into.width, into.height, into.colour = width, height, image.colour
            into.pixels, into.row_stride = out.pointer, out.strides[0]
        _require(len(sides) <= 1, "cells of one size")
        status = lib.jpegrt_cuda_pixels_from_cells(
            self._handle,
            native,
            len(native),
            max(sides, default=1),
            _common_dtype(cells),
            scale,
            _common_dtype(pixels, Dtype.UINT8),
            stream_handle(stream),
        )
        self._check(status)

    def decode(
        self, images: Sequence[Decoding], scratch: object = None, stream: object = None
    ) -> None:
        """Plainly decodes images; the pixels equal those of libjpeg.

        scratch: device memory of at least `decode_scratch_bytes`, or None to take it from the
        device's stream-ordered pool. Raises NativeError.
        """
        native = _native_decodings(images)
        memory = None if scratch is None else device_array(scratch)
        if memory is not None:
            needed = lib.jpegrt_cuda_decode_scratch_bytes(native, len(native))
            _require(memory.nbytes >= needed, f"{needed} bytes of scratch memory")
        status = lib.jpegrt_cuda_decode(
            self._handle,
            native,
            len(native),
            None if memory is None else memory.pointer,
            stream_handle(stream),
        )
        self._check(status)

    def non_local(
        self,
        guide: Any,
        value: Any,
        h: Any,
        filtered: Any,
        keys: Any = None,
        *,
        window_px: int = 0,
        scratch: object = None,
        stream: object = None,
    ) -> None:
        """`jpegrt.kernels.non_local` on arrays on the device, into `filtered`.

        scratch: device memory of at least `non_local_scratch_bytes`, or None to take it from the
        device's stream-ordered pool. Raises NativeError.
        """
        images = device_array(guide)
        options = _non_local_options(images, window_px, 0 if hasattr(h, _INTERFACE) else h)
        plane = (images.shape[0], 1, *images.shape[2:])
        memory = None if scratch is None else device_array(scratch)
        if memory is not None:
            needed = lib.jpegrt_cuda_non_local_scratch_bytes(ct.byref(options))
            _require(memory.nbytes >= needed, f"{needed} bytes of scratch memory")
        status = lib.jpegrt_cuda_non_local(
            self._handle,
            ct.byref(options),
            images.pointer,
            _pointer_of(value, images.shape, images.dtype),
            _pointer_of(h, plane, np.float32) if hasattr(h, _INTERFACE) else None,
            None if keys is None else _pointer_of(keys, plane, np.uint8),
            _pointer_of(filtered, images.shape, images.dtype),
            None if memory is None else memory.pointer,
            stream_handle(stream),
        )
        self._check(status)

    def _check(self, status: int) -> None:
        if status:
            raise NativeError(status, lib.jpegrt_cuda_message(self._handle).decode())


def decode_scratch_bytes(images: Sequence[Decoding]) -> int:
    """Bytes of scratch memory that `Cuda.decode` needs for these images."""
    native = _native_decodings(images)
    return int(lib.jpegrt_cuda_decode_scratch_bytes(native, len(native)))


def non_local_scratch_bytes(guide: Any) -> int:
    """Bytes of scratch memory that `Cuda.non_local` needs for images like these."""
    options = _non_local_options(device_array(guide), 0, 0.0)
    return int(lib.jpegrt_cuda_non_local_scratch_bytes(ct.byref(options)))


def device_array(array: Any) -> DeviceArray:
    """A view of anything that has `__cuda_array_interface__`."""
    if isinstance(array, DeviceArray):
        return array
    interface = getattr(array, _INTERFACE, None)
    if interface is None:
        raise TypeError(f"need an array on the device, got {type(array).__name__}")
    return DeviceArray(
        interface["data"][0] or 0,
        tuple(interface["shape"]),
        interface["typestr"],
        None if interface.get("strides") is None else tuple(interface["strides"]),
    )


def dtype_of(array: DeviceArray) -> Dtype:
    _require(array.dtype in _DTYPES, f"float32, float16, uint8 or uint16, not {array.dtype}")
    return _DTYPES[array.dtype]


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


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"need {what}")


def _pointer_of(array: Any, shape: tuple[int, ...], dtype: DTypeLike) -> int:
    """The address of a contiguous array of this shape and dtype."""
    view = device_array(array)
    _require(
        view.shape == shape and view.dtype == np.dtype(dtype) and view.is_contiguous,
        f"a contiguous {np.dtype(dtype)} array of shape {shape}, got {view.dtype} {view.shape}",
    )
    return view.pointer


def _non_local_options(guide: DeviceArray, window_px: int, h: float) -> _native.NonLocalOptions:
    _require(len(guide.shape) == 4 and guide.is_contiguous, "contiguous images of 4 axes")
    _require(guide.dtype in (np.float32, np.float16), "float32 or float16 images")
    _require(0 <= window_px < 1 << 32, "a window of 0 or more pixels")
    images, channels, height, width = guide.shape
    return _native.NonLocalOptions(
        ct.sizeof(_native.NonLocalOptions),
        0,
        images,
        channels,
        height,
        width,
        window_px,
        _DTYPES[guide.dtype],
        h,
    )


def _common_dtype(arrays: Sequence[DeviceArray], default: Dtype = Dtype.FLOAT32) -> Dtype:
    _require(len({array.dtype for array in arrays}) <= 1, "arrays of one dtype")
    return dtype_of(arrays[0]) if arrays else default


def _fill_blocks(blocks: _native.Blocks, source: Any, table: NDArray[np.uint16]) -> int | None:
    """Fills `blocks`; returns the address of the packed stream if that is what the source is."""
    blocks.table = _native.pointer(table, np.uint16, (8, 8))
    if isinstance(source, PackedComponent):
        blocks.rows, blocks.columns, blocks.stride = source.rows, source.columns, source.columns
        return device_array(source.stream).pointer
    array = device_array(source)
    _require(
        array.dtype == np.int16
        and len(array.shape) == 4
        and array.shape[2:] == (8, 8)
        and array.is_contiguous,
        f"int16 blocks (rows, columns, 8, 8), got {array.dtype} {array.shape}",
    )
    blocks.data = array.pointer
    blocks.rows, blocks.columns = array.shape[:2]
    blocks.stride = blocks.columns
    return None


def _fill_unpacking(
    into: _native.Unpacking, component: Unpacking, out: DeviceArray, layout: Layout
) -> None:
    into.packed = _fill_blocks(into.blocks, component.source, component.table)
    rows, columns = into.blocks.rows, into.blocks.columns
    _require((component.cell is None) == (layout != Layout.CELLS), "a cell for cells, else none")
    height, width = component.cell or ((8, 8) if layout == Layout.SPECTRUM else (1, 1))
    _require(height in (1, 2, 4, 8) and width in (1, 2, 4, 8), "cell sides of 1, 2, 4 or 8")
    shape = (height * width, 8 // height * rows, 8 // width * columns)
    planes = out.shape if len(out.shape) == 3 else (1, *out.shape)
    if layout == Layout.CELLS and len(planes) == 3:
        into.cell_height, into.cell_width = height, width
        into.grid_rows, into.grid_columns = planes[1] * height // 8, planes[2] * width // 8
        fits = into.grid_rows >= rows and into.grid_columns >= columns
        whole = planes[1] * height % 8 == 0 and planes[2] * width % 8 == 0
        _require(planes[0] == shape[0] and fits and whole, f"room for cells of shape {shape}")
    else:
        _require(planes == shape, f"an output of shape {shape}, got {out.shape}")
    size = out.dtype.itemsize
    _require(out.strides[-1] == size, "contiguous rows")
    _require(all(stride % size == 0 and stride > 0 for stride in out.strides), "positive strides")
    into.out = out.pointer
    into.pitch = out.strides[-2] // size
    into.plane = out.strides[0] // size if len(out.shape) == 3 else 0


def _pixel_size(pixels: DeviceArray, components: int) -> tuple[int, int]:
    """Height and width of interleaved pixels."""
    expected = 2 if components == 1 else 3
    shape = pixels.shape
    _require(
        len(shape) == expected and (components == 1 or shape[2] == 3),
        f"pixels of {'(height, width)' if components == 1 else '(height, width, 3)'}, got {shape}",
    )
    _require(pixels.has_contiguous_rows, "pixels without gaps within a row")
    return shape[0], shape[1]


def _native_decodings(images: Sequence[Decoding]) -> "ct.Array[_native.Decoding]":
    native = (_native.Decoding * len(images))()
    for into, decoding in zip(native, images, strict=True):
        out = device_array(decoding.pixels)
        _require(out.dtype == np.uint8, "uint8 pixels")
        image = _native.Image()
        image.components = len(decoding.components)
        _require(
            image.components == (1 if decoding.colour == Colour.GREY else 3), "1 or 3 components"
        )
        image.height, image.width = _pixel_size(out, image.components)
        image.colour = decoding.colour
        for c, component in enumerate(decoding.components):
            target = image.component[c]
            into.packed[c] = _fill_blocks(target.blocks, component.source, component.table)
            target.width, target.height = component.width, component.height
            target.h, target.v = component.h, component.v
        into.image = ct.pointer(image)  # ctypes keeps the image alive with the array
        into.pixels, into.row_stride = out.pointer, out.strides[0]
    return native
