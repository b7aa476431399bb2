"""The native session: JPEG bytes or pixels in, pixels out, an engine of the caller's in between."""

import ctypes as ct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import _native
from jpegrt.kernels._native import NativeError, array_at, check, check_create, lib
from jpegrt.kernels.coefficients import (
    DEFAULT_MAX_PIXELS,
    JpegImage,
    image_from_native,
    read_options,
)
from jpegrt.kernels.cuda import Cuda, DeviceArray, device_array, stream_handle
from jpegrt.kernels.cuda.arrays import dtype_of

DOMAINS = tuple(domain.name.lower() for domain in _native.Domain)

Tensors = Mapping[str, NDArray[np.float32]]
DeviceTensors = Mapping[str, DeviceArray]


class Engine(Protocol):
    """What runs a network. The contract of `jpegrt_engine` in jpegrt.h, in Python."""

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        """Runs one of the model's graphs: reads `inputs`, writes `outputs` in place.

        Both are the pipeline's own memory, C-contiguous float32: keep no reference to them.
        Called on the thread that called the session. What it raises is raised by the session.
        """


class CudaEngine(Protocol):
    """What runs a network on a GPU: an `Engine` whose tensors are there."""

    def run(self, graph: str, inputs: DeviceTensors, outputs: DeviceTensors, stream: int) -> None:
        """Enqueues one of the model's graphs on the stream, whose raw handle this is (0: default).

        The tensors have `__cuda_array_interface__`, are float32, and begin at multiples of 256
        bytes. The rest as for `Engine.run`.
        """


@dataclass(frozen=True)
class GraphSpec:
    """One graph of a model: grey (components 1), or colour of one sampling (components 3).

    chroma_h, chroma_v: luma samples per chroma sample, across and down.
    """

    name: str
    components: int
    chroma_h: int = 1
    chroma_v: int = 1


@dataclass(frozen=True)
class ModelSpec:
    """Which tensors a model's graphs take: `jpegrt_model` in jpegrt.h.

    domain: "cells" or "spectral" for JPEGs' coefficients; "luma" or "rgb" for pixels. cell_px is 1
        but for cells.
    enlargement, minimum_px, multiple_px: of models on pixels; how often the output is as wide and
        as high as the image, and the sides that the network takes.
    unfoldings, window_px: of unfolded models, else 0; how often their graphs run, and the window of
        the non-local operator, 0 for the whole image.
    receptive_field_px: how many pixels of the image away something can change a restored pixel, to
        either side; None: anything can, anywhere.
    """

    cell_px: int
    scale: float
    graphs: Sequence[GraphSpec]
    domain: str = "cells"
    enlargement: int = 1
    minimum_px: int = 1
    multiple_px: int = 1
    unfoldings: int = 0
    window_px: int = 0
    receptive_field_px: int | None = None

    @property
    def input_px(self) -> int:
        """Pixels from one row, or column, of a graph's input to the next."""
        return 8 if self.domain == "spectral" else self.cell_px

    @property
    def takes_pixels(self) -> bool:
        return self.domain in ("luma", "rgb")


@dataclass(frozen=True)
class Timings:
    """Milliseconds that each stage of one image took."""

    entropy_decode_ms: float
    unpack_ms: float
    network_ms: float
    pixels_ms: float

    @property
    def total_ms(self) -> float:
        return self.entropy_decode_ms + self.unpack_ms + self.network_ms + self.pixels_ms


def require_pixels(pixels: NDArray[Any]) -> None:
    """Raises ValueError for arrays that no pipeline takes."""
    channels = pixels.shape[2:]
    if (
        pixels.dtype != np.uint8
        or pixels.ndim not in (2, 3)
        or channels not in ((), (1,), (3,))
        or 0 in pixels.shape
    ):
        raise ValueError(
            f"need uint8 pixels of shape (H, W) or (H, W, 3), got {pixels.dtype} {pixels.shape}"
        )


class Pipeline:
    """Restores one image after another, reusing its memory. One thread at a time.

    Without a model and an engine it is a plain decoder whose pixels equal libjpeg's.
    """

    def __init__(
        self,
        model: ModelSpec | None = None,
        engine: Engine | CudaEngine | None = None,
        *,
        cuda: Cuda | None = None,
        threads: int = 0,
        allow_damaged: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        project: float | None = None,
        tile_px: int = 0,
    ) -> None:
        """cuda: the GPU to restore on; the engine is then a `CudaEngine`. None: the CPU.
        threads: for everything but the engine, 0 = one per core; on a GPU there are none. The rest as for
        `CoefficientReader.read`; max_pixels limits restored pixels too, where they are more.
        project: the slack, in steps, with which what a model on coefficients restores is projected
            as by `project_cells`, where a component is sampled 1x1; None: it is not projected.
        tile_px: the sides of the tiles that the network sees of an image, at most; 0: all of it. Of
            models with a receptive field, on the CPU.
        Raises NativeError or ValueError."""
        self._handle = ct.c_void_p()  # first, for __del__
        self._shape: tuple[int, ...] = ()
        self._given: NDArray[np.uint8] | None = None  # what the native side reads, kept alive
        self._errors: list[BaseException] = []
        for name, number in (("threads", threads), ("tile_px", tile_px)):
            if number < 0:
                raise ValueError(f"{name} must not be negative, got {number}")
        if (model is None) != (engine is None):
            raise ValueError("a model needs an engine, and an engine a model")
        if model is not None and model.domain not in DOMAINS:
            raise ValueError(f"a model's domain is one of {', '.join(DOMAINS)}, not {model.domain}")
        options = _native.SessionOptions(
            ct.sizeof(_native.SessionOptions),
            threads,
            read_options(allow_damaged, max_pixels),
            project is not None,
            project or 0,
            None if cuda is None else cuda.handle,
            tile_px,
        )
        native_model = native_engine = None
        if model is not None and engine is not None:
            graphs = (_native.Graph * len(model.graphs))(
                *(
                    _native.Graph(g.name.encode(), g.components, g.chroma_h, g.chroma_v)
                    for g in model.graphs
                )
            )
            native_model = _native.Model(
                ct.sizeof(_native.Model),
                model.cell_px,
                model.scale,
                len(graphs),
                graphs,
                DOMAINS.index(model.domain),
                model.enlargement,
                model.minimum_px,
                model.multiple_px,
                model.unfoldings,
                model.window_px,
                model.receptive_field_px or 0,
            )
            # Kept: the native side calls it as long as the session lives.
            self._callback = _native.EngineRun(
                _callback(engine, self._errors, on_device=cuda is not None)
            )
            native_engine = _native.Engine(
                ct.sizeof(_native.Engine), None, self._callback, _native.EngineDestroy()
            )
        status = lib.jpegrt_session_create(
            ct.byref(options),
            ct.byref(native_model) if native_model else None,
            ct.byref(native_engine) if native_engine else None,
            ct.byref(self._handle),
        )
        check_create(status)

    def __del__(self) -> None:
        lib.jpegrt_session_destroy(self._handle)

    def read(self, jpeg: bytes) -> tuple[int, ...]:
        """Entropy-decodes; returns the shape of the pixels to come: (height, width), or (height,
        width, 3) RGB, or (height, width, 4) CMYK, in which 0 is no ink."""
        self._read(jpeg)
        return self._shape

    def load_pixels(self, pixels: NDArray[np.uint8]) -> tuple[int, ...]:
        """Takes uint8 (H, W) or (H, W, 3) RGB instead of a JPEG, for models on pixels; returns the
        shape of the pixels to come, which models that enlarge make larger.

        Rows may lie apart. The array must stay as it is until it is restored.
        Raises NativeError or ValueError.
        """
        require_pixels(pixels)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        inner = (channels, 1) if pixels.ndim == 3 else (1,)
        if pixels.strides[1:] != inner or pixels.strides[0] < pixels.shape[1] * channels:
            pixels = np.ascontiguousarray(pixels)
        self._shape, self._given = (), pixels
        height, width = pixels.shape[:2]
        # NumPy may state any stride where there is one row only.
        row_stride = pixels.strides[0] if height > 1 else width * channels
        address = pixels.ctypes.data
        self._check(
            lib.jpegrt_session_load_pixels(
                self._handle, address, width, height, channels, row_stride
            )
        )
        self._shape = self._output_shape()
        return self._shape

    def read_image(self, jpeg: bytes) -> JpegImage:
        """Entropy-decodes; returns geometry, tables and a copy of the coefficients."""
        return image_from_native(self._read(jpeg))

    def restore(self, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        """Writes the image last read into `pixels`, of the shape that `read` returned.

        uint16 pixels are of the whole range: 257 is one level of 8 bits.
        """
        self._refuse_other(pixels, self._shape)
        deep = pixels.dtype == np.uint16
        call = lib.jpegrt_session_restore16 if deep else lib.jpegrt_session_restore
        self._check(call(self._handle, pixels.ctypes.data, pixels.strides[0]))

    def strips(self) -> list[range]:
        """The rows of the pixels to come that each strip has, a row of tiles, from the top."""
        strips: list[range] = []
        while rows := self._strip(len(strips)):
            strips.append(rows)
        return strips

    def restore_strip(self, index: int, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        """Writes one strip of the image last read into `pixels`, which has as many rows as it and
        else the shape that `read` returned: what `restore` writes there."""
        self._refuse_other(pixels, (len(self._strip(index)), *self._shape[1:]))
        dtype = _native.Dtype.UINT16 if pixels.dtype == np.uint16 else _native.Dtype.UINT8
        self._check(
            lib.jpegrt_session_restore_strip(
                self._handle, index, pixels.ctypes.data, pixels.strides[0], dtype
            )
        )

    def restore_device(self, pixels: Any, stream: object = None) -> None:
        """Enqueues restoring the image last read, of a pipeline on a GPU, and waits for nothing.

        pixels: on the device, anything that has `__cuda_array_interface__`, uint8 or uint16, of the
            shape that `read` returned; rows may lie apart. Keep it until the stream got there.
        stream: as for the functions of `jpegrt.kernels.cuda`. Raises NativeError or ValueError.
        """
        out = device_array(pixels)
        if not self._shape:
            raise ValueError("no image: read one before restoring it")
        if out.shape != self._shape or not out.has_contiguous_rows:
            raise ValueError(
                f"need device pixels of shape {self._shape}, without gaps within a row, "
                f"got {out.shape} with strides {out.strides}"
            )
        self._check(
            lib.jpegrt_session_restore_device(
                self._handle, out.pointer, out.strides[0], dtype_of(out), stream_handle(stream)
            )
        )

    @property
    def timings(self) -> Timings:
        """Of the image last read and restored, or of all its strips restored since."""
        timings = _native.Timings()
        check(lib.jpegrt_session_timings(self._handle, ct.byref(timings)), "jpegrt_session_timings")
        return Timings(
            timings.entropy_decode_ms, timings.unpack_ms, timings.network_ms, timings.pixels_ms
        )

    def _strip(self, index: int) -> range:
        """Empty from the number of strips on."""
        strip = _native.Strip()
        self._check(lib.jpegrt_session_strip(self._handle, index, ct.byref(strip)))
        return range(strip.first_row, strip.first_row + strip.rows)

    def _refuse_other(
        self, pixels: NDArray[np.uint8] | NDArray[np.uint16], shape: tuple[int, ...]
    ) -> None:
        """Raises ValueError for pixels that cannot be written into."""
        if not self._shape:
            raise ValueError("no image: read one before restoring it")
        if (
            pixels.dtype not in (np.uint8, np.uint16)
            or not pixels.flags.c_contiguous
            or not pixels.flags.writeable
            or pixels.shape != shape
        ):
            raise ValueError(
                f"need a writable C-contiguous uint8 or uint16 array of shape {shape}, "
                f"got {pixels.dtype} {pixels.shape}"
            )

    def _read(self, jpeg: bytes) -> _native.Image:
        self._shape, self._given = (), None
        image = _native.Image()
        self._check(lib.jpegrt_session_read(self._handle, jpeg, len(jpeg), ct.byref(image)))
        self._shape = self._output_shape()
        return image

    def _output_shape(self) -> tuple[int, ...]:
        size = _native.PixelSize()
        self._check(lib.jpegrt_session_output_size(self._handle, ct.byref(size)))
        return (size.height, size.width, *((size.channels,) if size.channels > 1 else ()))

    def _check(self, status: int) -> None:
        if self._errors:
            raise self._errors.pop()
        if status:
            raise NativeError(status, lib.jpegrt_session_message(self._handle).decode())


# No method: a callback that knew its pipeline would keep it, and its memory, alive.
def _callback(engine: Any, errors: list[BaseException], *, on_device: bool):  # type: ignore[no-untyped-def]
    def run(_user, graph, inputs, n_inputs, outputs, n_outputs, stream, _message, _size):  # type: ignore[no-untyped-def]
        # An exception cannot cross C: it is kept, and raised again when the call returns.
        try:
            view = _device_view if on_device else _host_view
            tensors = (
                {tensor.name.decode(): view(tensor) for tensor in given[:count]}
                for given, count in ((inputs, n_inputs), (outputs, n_outputs))
            )
            engine.run(graph.decode(), *tensors, *([stream or 0] if on_device else []))
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt has to come back too
            errors.append(error)
            return 1
        return 0

    return run


def _host_view(tensor: _native.Tensor) -> NDArray[np.float32]:
    return array_at(tensor.data, np.float32, tuple(tensor.shape[: tensor.rank]))


def _device_view(tensor: _native.Tensor) -> DeviceArray:
    return DeviceArray(tensor.data, tuple(tensor.shape[: tensor.rank]), np.float32)
