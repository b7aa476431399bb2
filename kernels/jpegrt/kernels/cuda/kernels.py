"""The kernels, loaded into a CUDA context, and their calls."""

import ctypes as ct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jpegrt.kernels import _native
from jpegrt.kernels._native import Dtype, Layout, NativeError, check, lib
from jpegrt.kernels.cuda.arrays import (
    DTYPES,
    INTERFACE,
    common_dtype,
    device_array,
    pointer_of,
    require,
    stream_handle,
)
from jpegrt.kernels.cuda.components import Projection, Unpacking, fill_projection, fill_unpacking
from jpegrt.kernels.cuda.images import CellImage, Decoding, native_cell_images, native_decodings
from jpegrt.kernels.cuda.non_local import edges_options, non_local_options

CURRENT_CONTEXT = -1


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
            fill_unpacking(into, component, out, layout)
        dtype = common_dtype(outs)
        kept = components  # their tables are what the native structs point to

        def enqueue(stream: object = None) -> None:
            handle = stream_handle(stream)
            self._check(
                lib.jpegrt_cuda_unpack(
                    self._handle, native, len(kept), layout, dtype, scale, handle
                )
            )

        return enqueue

    def project_cells(
        self,
        components: Sequence[Projection],
        scale: float = 1.0,
        slack: float = 0.0,
        stream: object = None,
    ) -> None:
        """`jpegrt.kernels.project_cells` of any number of components in one go.

        All cells are float32, or all float16. Raises NativeError.
        """
        self.prepare_project_cells(components, scale, slack)(stream)

    def prepare_project_cells(
        self, components: Sequence[Projection], scale: float = 1.0, slack: float = 0.0
    ) -> Callable[[object], None]:
        """`project_cells` as a function of the stream, as `prepare_unpack` is of `unpack`."""
        native = (_native.Projection * len(components))()
        cells = [device_array(component.cells) for component in components]
        for into, component, planes in zip(native, components, cells, strict=True):
            fill_projection(into, component, planes)
        dtype = common_dtype(cells)
        kept = components  # their tables are what the native structs point to

        def enqueue(stream: object = None) -> None:
            handle = stream_handle(stream)
            self._check(
                lib.jpegrt_cuda_project_cells(
                    self._handle, native, len(kept), dtype, scale, slack, handle
                )
            )

        return enqueue

    def pixels_from_cells(
        self, images: Sequence[CellImage], scale: float = 1.0, stream: object = None
    ) -> None:
        """A network's output, cells multiplied by scale, into interleaved pixels.

        All cells are of one dtype and size, all pixels of one dtype. Raises NativeError.
        """
        native, side = native_cell_images(images)
        cells = [device_array(image.cells) for image in images]
        pixels = [device_array(image.pixels) for image in images]
        status = lib.jpegrt_cuda_pixels_from_cells(
            self._handle,
            native,
            len(native),
            side,
            common_dtype(cells),
            scale,
            common_dtype(pixels, Dtype.UINT8),
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
        native = native_decodings(images)
        memory = None if scratch is None else device_array(scratch)
        if memory is not None:
            needed = lib.jpegrt_cuda_decode_scratch_bytes(native, len(native))
            require(memory.nbytes >= needed, f"{needed} bytes of scratch memory")
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
        options = non_local_options(images, window_px, 0 if hasattr(h, INTERFACE) else h)
        plane = (images.shape[0], 1, *images.shape[2:])
        memory = None if scratch is None else device_array(scratch)
        if memory is not None:
            needed = lib.jpegrt_cuda_non_local_scratch_bytes(ct.byref(options))
            require(memory.nbytes >= needed, f"{needed} bytes of scratch memory")
        status = lib.jpegrt_cuda_non_local(
            self._handle,
            ct.byref(options),
            images.pointer,
            pointer_of(value, images.shape, images.dtype),
            pointer_of(h, plane, np.float32) if hasattr(h, INTERFACE) else None,
            None if keys is None else pointer_of(keys, plane, np.uint8),
            pointer_of(filtered, images.shape, images.dtype),
            None if memory is None else memory.pointer,
            stream_handle(stream),
        )
        self._check(status)

    def find_blocking_edges(
        self,
        value: Any,
        keys: Any,
        grid: tuple[int, int] = (0, 0),
        *,
        ratio: float = 2.0,
        least_step: float = 1 / 255,
        stream: object = None,
    ) -> None:
        """`jpegrt.kernels.find_blocking_edges` of float32 or float16 images on the device.

        keys: uint8 (images, 1, height, width) on the device. Raises NativeError.
        """
        images = device_array(value)
        options = edges_options(images, grid, ratio, least_step)
        plane = (images.shape[0], 1, *images.shape[2:])
        status = lib.jpegrt_cuda_find_blocking_edges(
            self._handle,
            ct.byref(options),
            images.pointer,
            DTYPES[images.dtype],
            pointer_of(keys, plane, np.uint8),
            stream_handle(stream),
        )
        self._check(status)

    def _check(self, status: int) -> None:
        if status:
            raise NativeError(status, lib.jpegrt_cuda_message(self._handle).decode())
