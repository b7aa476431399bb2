"""Sessions on CUDA against those on the CPU, on a GPU and behind an emulated driver."""

import ctypes as ct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg
from tests.kernels.devices import Device
from tests.kernels.engines import Identity, Raising, Recording, full_model, model
from tests.kernels.images import synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import (
    DeviceTensors,
    Engine,
    GraphSpec,
    ModelSpec,
    NativeError,
    Pipeline,
    Status,
    Tensors,
    _native,
)
from jpegrt.kernels._native import lib
from jpegrt.kernels.coefficients import DEFAULT_MAX_PIXELS, read_options
from jpegrt.kernels.cuda import DeviceArray

Pixels = NDArray[Any]

NAMES = [*SAMPLINGS, "grey", "rgb"]
SIZES = [(1, 1), (2, 3), (33, 17), (50, 71), (64, 300)]
DTYPES = (np.uint8, np.uint16)
MODELS = {
    "every graph": lambda: full_model(2),
    "whole blocks": lambda: full_model(8),
    "full chroma": lambda: model(1, "4:4:4"),
    "grey alone": lambda: model(4),
}


class OnDevice:
    """An engine of NumPy's on a device: it waits for the stream, and runs on copies."""

    def __init__(self, device: Device, engine: Engine) -> None:
        self.device, self.engine = device, engine
        self.streams: list[int] = []
        self.addresses: list[list[int]] = []

    def run(self, graph: str, inputs: DeviceTensors, outputs: DeviceTensors, stream: int) -> None:
        self.streams.append(stream)
        self.addresses.append([t.pointer for t in (*inputs.values(), *outputs.values())])
        self.device.synchronise(stream)
        given = {name: self.device.download(tensor) for name, tensor in inputs.items()}
        made = {name: np.empty(tensor.shape, np.float32) for name, tensor in outputs.items()}
        self.engine.run(graph, given, made)
        for name, tensor in outputs.items():
            self.device.write(tensor, made[name])


class Copying:
    """`Identity` for grey and 4:4:4, enqueued as an engine of a GPU's would be."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def run(self, graph: str, inputs: DeviceTensors, outputs: DeviceTensors, stream: int) -> None:
        for name, tensor in outputs.items():
            source = inputs[name.removesuffix("_restored")]
            self.device.copy(source.pointer, tensor.pointer, tensor.nbytes, stream)


class Mixing(Identity):
    """Something that is not linear, and depends on every input."""

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        super().run(graph, inputs, outputs)
        for tensor in outputs.values():
            tensor[:] = np.tanh(tensor * np.float32(1.3)) + inputs["steps"].mean() / 997


def jpeg_of(libjpeg: Libjpeg, name: str, size: tuple[int, int], seed: int = 0) -> bytes:
    if name == "grey":
        return libjpeg.encode(synthetic(*size, channels=1, seed=seed), quality=40)
    if name == "rgb":
        return libjpeg.encode(synthetic(*size, seed=seed), "1x1,1x1,1x1", "rgb", quality=40)
    return libjpeg.encode(synthetic(*size, seed=seed), SAMPLINGS[name], quality=40)


def on_host(pipeline: Pipeline, jpeg: bytes, dtype: Any = np.uint8) -> Pixels:
    pixels = np.full(pipeline.read(jpeg), 99, dtype)
    pipeline.restore(pixels)
    return pixels


def on_device(device: Device, pipeline: Pipeline, jpeg: bytes, dtype: Any = np.uint8) -> Pixels:
    pixels = device.filled(pipeline.read(jpeg), dtype, 99)
    pipeline.restore_device(pixels, device.stream)
    return device.download(pixels)


def assert_alike(device: Device, cpu: Pipeline, gpu: Pipeline, jpeg: bytes) -> None:
    for dtype in DTYPES:
        expected = on_host(cpu, jpeg, dtype)
        np.testing.assert_array_equal(on_host(gpu, jpeg, dtype), expected)
        np.testing.assert_array_equal(on_device(device, gpu, jpeg, dtype), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", MODELS)
def test_a_model_gives_the_cpus_pixels(
    device: Device, libjpeg: Libjpeg, which: str, name: str
) -> None:
    for engine in (Identity(), Mixing()):
        cpu = Pipeline(MODELS[which](), engine)
        gpu = Pipeline(MODELS[which](), OnDevice(device, engine), cuda=device.kernels)
        for size in SIZES:
            assert_alike(device, cpu, gpu, jpeg_of(libjpeg, name, size))


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_decoder_gives_the_cpus_pixels(device: Device, libjpeg: Libjpeg, name: str) -> None:
    cpu, gpu = Pipeline(), Pipeline(cuda=device.kernels)
    for size in SIZES:
        assert_alike(device, cpu, gpu, jpeg_of(libjpeg, name, size))


@pytest.mark.parametrize("slack", [0.0, 0.3])
@pytest.mark.parametrize("name", ["4:4:4", "4:2:0", "4:1:0", "grey", "rgb"])
def test_projection_gives_the_cpus_pixels(
    device: Device, libjpeg: Libjpeg, name: str, slack: float
) -> None:
    cpu = Pipeline(full_model(2), Mixing(), project=slack)
    engine = OnDevice(device, Mixing())
    gpu = Pipeline(full_model(2), engine, cuda=device.kernels, project=slack)
    for size in SIZES:
        jpeg = jpeg_of(libjpeg, name, size)
        assert_alike(device, cpu, gpu, jpeg)
    free = Pipeline(full_model(2), engine, cuda=device.kernels)
    assert np.any(on_host(free, jpeg) != on_host(gpu, jpeg))


def test_progressive_files(device: Device, libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(40, 70), SAMPLINGS["4:2:0"], "progressive")
    gpu = Pipeline(full_model(2), OnDevice(device, Mixing()), cuda=device.kernels)
    assert_alike(device, Pipeline(full_model(2), Mixing()), gpu, jpeg)


@pytest.mark.parametrize("name", ["4:2:0", "rgb", "grey"])
def test_what_an_engine_is_given(device: Device, libjpeg: Libjpeg, name: str) -> None:
    jpeg = jpeg_of(libjpeg, name, (33, 50))
    there, here = Recording(), Recording()
    engine = OnDevice(device, there)
    gpu = Pipeline(full_model(2), engine, cuda=device.kernels)
    on_device(device, gpu, jpeg)
    on_host(Pipeline(full_model(2), here), jpeg)
    assert there.graphs == here.graphs
    assert there.output_shapes == here.output_shapes
    for given, expected in zip(there.inputs, here.inputs, strict=True):
        assert list(given) == list(expected)
        for tensor in given:
            np.testing.assert_array_equal(given[tensor], expected[tensor])
    assert set(engine.streams) == {device.stream}
    for addresses in engine.addresses:  # an emulated driver's own memory begins anywhere
        tensors = [a for a in addresses if abs(a - addresses[0]) < 1 << 20]
        assert all((a - addresses[0]) % 256 == 0 for a in tensors)

    engine.streams.clear()
    on_host(gpu, jpeg)
    assert len(set(engine.streams)) == 1
    assert not {0, device.stream} & set(engine.streams)  # the session's own


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pad", [0, 2, 32])
def test_rows_may_be_apart(device: Device, libjpeg: Libjpeg, dtype: Any, pad: int) -> None:
    jpeg = jpeg_of(libjpeg, "4:2:0", (20, 50))
    for gpu in (
        Pipeline(cuda=device.kernels),
        Pipeline(full_model(2), OnDevice(device, Identity()), cuda=device.kernels),
    ):
        expected = on_host(gpu, jpeg, dtype).reshape(20, 150)
        size = np.dtype(dtype).itemsize
        stride = (150 + pad) * size
        room = device.filled((20, 150 + pad), dtype, 99)
        view = DeviceArray(room.pointer, (20, 50, 3), dtype, (stride, 3 * size, size))
        gpu.restore_device(view, device.stream)
        result = device.download(room)
        np.testing.assert_array_equal(result[:, :150], expected)
        assert (result[:, 150:] == 99).all()

        result = np.full((20, 150 + pad), 99, dtype)
        call = lib.jpegrt_session_restore if size == 1 else lib.jpegrt_session_restore16
        assert call(gpu._handle, result.ctypes.data, stride) == Status.OK
        np.testing.assert_array_equal(result[:, :150], expected)
        assert (result[:, 150:] == 99).all()


@pytest.mark.parametrize("plain", [True, False])
def test_several_images_in_flight(device: Device, libjpeg: Libjpeg, plain: bool) -> None:
    """Each file is read while those before it have yet to be fetched."""
    jpegs = [jpeg_of(libjpeg, "4:4:4", (40 + 8 * i, 60 - i), seed=i) for i in range(6)]
    cpu = Pipeline() if plain else Pipeline(model(2, "4:4:4"), Identity())
    engine = () if plain else (model(2, "4:4:4"), Copying(device))
    gpu = Pipeline(*engine, cuda=device.kernels)
    expected = [on_host(cpu, jpeg) for jpeg in jpegs]
    results = [device.filled(pixels.shape, np.uint8, 99) for pixels in expected]
    waits = []
    with device.deferring():
        for jpeg, result in zip(jpegs, results, strict=True):
            gpu.read(jpeg)
            before = device.waits if device.emulated else 0
            gpu.restore_device(result, device.stream)
            waits.append((device.waits if device.emulated else 0) - before)
        for result, pixels in zip(results, expected, strict=True):
            np.testing.assert_array_equal(device.download(result), pixels)
    assert waits == [0] * len(jpegs)  # only `read` may


def test_one_image_restored_several_times(device: Device, libjpeg: Libjpeg) -> None:
    first, second, third = (jpeg_of(libjpeg, "4:2:0", (40, 60), seed=seed) for seed in range(3))
    gpu, expected = Pipeline(cuda=device.kernels), on_host(Pipeline(), first)
    results = [device.filled(expected.shape, np.uint8, 99) for _ in range(3)]
    with device.deferring():
        gpu.read(first)
        for result, stream in zip(results, (device.stream, None, device.stream), strict=True):
            gpu.restore_device(result, stream)
        gpu.read(second)
        gpu.read(third)
        device.synchronise(0)
        for result in results:
            np.testing.assert_array_equal(device.download(result), expected)


def test_coefficients_of_the_callers(device: Device, libjpeg: Libjpeg) -> None:
    """They are packed when they are loaded, from rows that lie apart too."""
    jpeg = jpeg_of(libjpeg, "4:2:0", (37, 51))
    expected = on_host(Pipeline(), jpeg)
    reader, image = ct.c_void_p(), _native.Image()
    lib.jpegrt_coefficients_create(ct.byref(reader))
    lib.jpegrt_coefficients_read(reader, jpeg, len(jpeg), None, ct.byref(image))
    assert image.component[0].blocks.stride > image.component[0].blocks.columns
    gpu = Pipeline(cuda=device.kernels)
    assert lib.jpegrt_session_load(gpu._handle, ct.byref(image)) == Status.OK
    lib.jpegrt_coefficients_destroy(reader)
    pixels = np.empty_like(expected)
    status = lib.jpegrt_session_restore(gpu._handle, pixels.ctypes.data, pixels.strides[0])
    assert status == Status.OK
    np.testing.assert_array_equal(pixels, expected)
    assert gpu.timings.entropy_decode_ms > 0


@pytest.mark.parametrize("flags", [(), ("ycck",)])
def test_inks_are_refused(device: Device, libjpeg: Libjpeg, flags: tuple[str, ...]) -> None:
    gpu = Pipeline(cuda=device.kernels)
    with pytest.raises(NativeError, match="CMYK is restored on the CPU only") as refusal:
        gpu.read(libjpeg.encode(synthetic(37, 51, 4), "", *flags))
    assert refusal.value.status is Status.UNSUPPORTED
    jpeg = jpeg_of(libjpeg, "4:2:0", (37, 51))
    np.testing.assert_array_equal(on_host(gpu, jpeg), on_host(Pipeline(), jpeg))


def test_an_image_that_was_read_has_no_blocks(device: Device, libjpeg: Libjpeg) -> None:
    image = Pipeline(cuda=device.kernels).read_image(jpeg_of(libjpeg, "4:2:0", (37, 51)))
    assert (image.height, image.width) == (37, 51)
    assert all(component.blocks is None for component in image.components)


@pytest.mark.parametrize("name", ["4:2:0", "4:1:1", "grey", "rgb"])
def test_memory_is_as_stated(device: Device, libjpeg: Libjpeg, name: str) -> None:
    """The bound in jpegrt.h, and alignment to 256 bytes of what it adds up."""
    if not device.emulated:
        pytest.skip("a GPU's pool does not tell")
    jpeg = jpeg_of(libjpeg, name, (200, 300))
    sizes: list[int] = []

    class Counting(Identity):
        def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
            super().run(graph, inputs, outputs)
            tensors = [*inputs.values(), *outputs.values()]
            sizes.append(sum(tensor.nbytes for tensor in tensors))

    gpu = Pipeline(full_model(2), OnDevice(device, Counting()), cuda=device.kernels)
    shape = gpu.read(jpeg)
    blocks = sum(
        rows * columns
        for c in Pipeline().read_image(jpeg).components
        if c.blocks is not None
        for rows, columns in [c.blocks.shape[:2]]
    )
    packed = 128 * blocks + 4 * (blocks // 32 + 3) + 3 * 36
    upsampled = 64 * blocks if name == "4:1:1" else 0
    _ = device.most_pool_bytes
    gpu.restore_device(device.empty(shape, np.uint8), device.stream)
    calls = 3 if name == "rgb" else 1  # one after another, in the same memory but for the outputs
    assert device.most_pool_bytes <= calls * sizes[0] + packed + upsampled + 256 * 12
    gpu.restore(np.empty(shape, np.uint8))
    pixels = shape[0] * (np.prod(shape[1:]) + 256)
    assert device.most_pool_bytes <= calls * sizes[0] + packed + upsampled + pixels + 256 * 12


# What fails, how often it goes well before, and what fails with it.
FAILURES = [
    *(("cuMemAllocAsync", after) for after in range(4)),
    *(("cuLaunchKernel", after) for after in range(4)),
    ("cuMemcpyHtoDAsync", 0),
    ("cuEventRecord", 0),
    ("cuMemcpy2DAsync", 0),
    ("cuStreamSynchronize", 0),
]


@pytest.mark.parametrize(("call", "after"), FAILURES)
def test_what_fails_leaves_no_memory(
    device: Device, libjpeg: Libjpeg, call: str, after: int
) -> None:
    """Of a model that upsamples, which has the most calls that can."""
    if not device.emulated:
        pytest.skip("a GPU does not fail on request")
    jpeg = jpeg_of(libjpeg, "4:1:1", (40, 60))
    expected = on_host(Pipeline(model(2, "4:4:4"), Identity()), jpeg)
    gpu = Pipeline(model(2, "4:4:4"), Copying(device), cuda=device.kernels)
    pixels = np.empty_like(expected)
    gpu.read(jpeg)
    held = device.held
    with (
        device.failing(call, after),
        pytest.raises(NativeError, match="emulated error") as raised,
    ):
        gpu.restore(pixels)
    assert raised.value.status == Status.CUDA
    assert device.held == held
    np.testing.assert_array_equal(on_host(gpu, jpeg), expected)


@pytest.mark.parametrize("call", ["cuMemHostAlloc", "cuEventCreate"])
def test_reading_that_fails(device: Device, libjpeg: Libjpeg, call: str) -> None:
    if not device.emulated:
        pytest.skip("a GPU does not fail on request")
    jpeg = jpeg_of(libjpeg, "4:2:0", (40, 60))
    gpu = Pipeline(cuda=device.kernels)
    for _ in range(3):  # both pieces of page-locked memory
        with device.failing(call), pytest.raises(NativeError, match=call) as raised:
            gpu.read(jpeg)
        assert raised.value.status == Status.CUDA
    np.testing.assert_array_equal(on_host(gpu, jpeg), on_host(Pipeline(), jpeg))


def test_waiting_that_fails(device: Device, libjpeg: Libjpeg) -> None:
    if not device.emulated:
        pytest.skip("a GPU does not fail on request")
    jpeg = jpeg_of(libjpeg, "4:2:0", (40, 60))
    expected, gpu = on_host(Pipeline(), jpeg), Pipeline(cuda=device.kernels)
    out = device.filled(expected.shape, np.uint8, 99)
    for _ in range(2):
        gpu.read(jpeg)
        gpu.restore_device(out, device.stream)
    with device.failing("cuStreamWaitEvent"), pytest.raises(NativeError, match="cuStreamWaitEvent"):
        gpu.restore_device(out, None)  # of coefficients that another stream may still fetch
    with (
        device.failing("cuEventSynchronize"),
        pytest.raises(NativeError, match="cuEventSynchronize"),
    ):
        gpu.read(jpeg)
    with pytest.raises(ValueError, match="no image"):
        gpu.restore_device(out, device.stream)
    np.testing.assert_array_equal(on_device(device, gpu, jpeg), expected)


def test_an_engine_that_fails(device: Device, libjpeg: Libjpeg) -> None:
    jpeg = jpeg_of(libjpeg, "4:2:0", (40, 60))
    expected, engine = on_host(Pipeline(full_model(2), Identity()), jpeg), Raising()
    gpu = Pipeline(full_model(2), OnDevice(device, engine), cuda=device.kernels)
    shape = gpu.read(jpeg)
    out = device.empty(shape, np.uint8)
    held = device.held if device.emulated else 0
    for error in (RuntimeError("no"), KeyboardInterrupt()):
        engine.error = error
        with pytest.raises(type(error)):
            gpu.restore(np.empty(shape, np.uint8))
        with pytest.raises(type(error)):
            gpu.restore_device(out, device.stream)
        assert not device.emulated or device.held == held
    engine.error = None
    np.testing.assert_array_equal(on_host(gpu, jpeg), expected)


def test_damaged_files(device: Device, libjpeg: Libjpeg) -> None:
    jpeg = jpeg_of(libjpeg, "4:2:0", (80, 120))
    gpu = Pipeline(cuda=device.kernels)
    cut = jpeg[: len(jpeg) - 200]
    for bad, status in ((cut, Status.DAMAGED), (b"no", Status.NOT_JPEG)):
        with pytest.raises(NativeError) as raised:
            gpu.read(bad)
        assert raised.value.status == status
        with pytest.raises(ValueError, match="no image"):
            gpu.restore_device(device.empty((80, 120, 3), np.uint8), device.stream)
    np.testing.assert_array_equal(on_host(gpu, jpeg), on_host(Pipeline(), jpeg))
    lenient = Pipeline(cuda=device.kernels, allow_damaged=True)
    np.testing.assert_array_equal(on_host(lenient, cut), on_host(Pipeline(allow_damaged=True), cut))


def test_an_engine_that_calls_its_session(device: Device, libjpeg: Libjpeg) -> None:
    jpeg = jpeg_of(libjpeg, "grey", (16, 24))
    out = device.empty((16, 24), np.uint8)
    said: list[str] = []

    class Calling(Copying):
        pipeline: Pipeline

        def run(self, *arguments: Any) -> None:
            calls: list[Callable[[], object]] = [
                lambda: self.pipeline.read(jpeg),
                lambda: lib.jpegrt_session_output_size(
                    self.pipeline._handle, ct.byref(_native.PixelSize())
                ),
                lambda: lib.jpegrt_session_restore_device(
                    self.pipeline._handle, out.pointer, 24, 2, None
                ),
            ]
            for call in calls:
                try:
                    status = call()
                except NativeError as error:
                    status = error.status
                assert status == Status.INVALID_ARGUMENT
                said.append(lib.jpegrt_session_message(self.pipeline._handle).decode())
            super().run(*arguments)

    engine = Calling(device)
    gpu = Pipeline(model(2), engine, cuda=device.kernels)
    engine.pipeline = gpu
    gpu.read(jpeg)
    status = lib.jpegrt_session_restore_device(gpu._handle, out.pointer, 24, 2, device.stream)
    device.synchronise()
    assert status == Status.OK
    assert said == ["an engine called the session that is running it"] * 3
    del engine.pipeline


def test_pixels_that_are_refused(device: Device, libjpeg: Libjpeg) -> None:
    gpu = Pipeline(cuda=device.kernels)
    shape = gpu.read(jpeg_of(libjpeg, "4:2:0", (20, 50)))
    out = device.empty((20, 50, 3), np.uint16)

    def refuse(match: str, pointer: int, stride: int, dtype: int) -> None:
        launches = device.launches if device.emulated else 0
        status = lib.jpegrt_session_restore_device(
            gpu._handle, pointer, stride, dtype, device.stream
        )
        assert status == Status.INVALID_ARGUMENT
        assert match in lib.jpegrt_session_message(gpu._handle).decode()
        assert not device.emulated or device.launches == launches

    refuse("null pointer", 0, 150, _native.Dtype.UINT8)
    refuse("row_stride is less", out.pointer, 149, _native.Dtype.UINT8)
    refuse("row_stride is less", out.pointer, 298, _native.Dtype.UINT16)
    refuse("even row_stride", out.pointer, 301, _native.Dtype.UINT16)
    refuse("even address", out.pointer + 1, 300, _native.Dtype.UINT16)
    refuse("uint8 or uint16", out.pointer, 4096, _native.Dtype.FLOAT32)
    with pytest.raises(ValueError, match="device pixels of shape"):
        gpu.restore_device(device.empty((20, 50), np.uint8))
    with pytest.raises(TypeError, match="on the device"):
        gpu.restore_device(np.empty(shape, np.uint8))


def test_what_only_the_cpu_does(device: Device, libjpeg: Libjpeg) -> None:
    for domain, components in (("luma", 1), ("rgb", 3)):
        spec = ModelSpec(1, 1.0, [GraphSpec("one", components)], domain)
        with pytest.raises(NativeError, match="runs on the CPU only: leave cuda NULL") as raised:
            Pipeline(spec, OnDevice(device, Identity()), cuda=device.kernels)
        assert raised.value.status == Status.UNSUPPORTED
    with pytest.raises(NativeError, match="this session has no model"):
        Pipeline(cuda=device.kernels).load_pixels(synthetic(8, 8))
    cpu = Pipeline()
    cpu.read(jpeg_of(libjpeg, "grey", (8, 8)))
    with pytest.raises(NativeError, match="restores on the CPU") as raised:
        cpu.restore_device(device.empty((8, 8), np.uint8))
    assert raised.value.status == Status.INVALID_ARGUMENT


def test_an_engine_is_called_in_the_sessions_context(device: Device, libjpeg: Libjpeg) -> None:
    seen: list[tuple[str, bool]] = []

    def see(what: str) -> int:
        context = ct.c_void_p()
        device._call("cuCtxGetCurrent", ct.byref(context))
        seen.append((what, context.value is not None))
        return 0

    run = _native.EngineRun(lambda *_: see("run"))
    destroy = _native.EngineDestroy(lambda _: see("destroy"))
    engine = _native.Engine(ct.sizeof(_native.Engine), None, run, destroy)
    options = _native.SessionOptions(
        ct.sizeof(_native.SessionOptions),
        0,
        read_options(False, DEFAULT_MAX_PIXELS),
        0,
        0,
        device.kernels.handle,
    )
    graph = _native.Graph(b"grey", 1, 1, 1)
    spec = _native.Model(ct.sizeof(_native.Model), 2, 1.0, 1, ct.pointer(graph), 0, 1, 1, 1)
    session = ct.c_void_p()
    references = (ct.byref(x) for x in (options, spec, engine, session))
    assert lib.jpegrt_session_create(*references) == Status.OK
    jpeg = jpeg_of(libjpeg, "grey", (16, 24))
    assert lib.jpegrt_session_read(session, jpeg, len(jpeg), None) == Status.OK
    pixels = (ct.c_uint8 * (16 * 24))()
    assert lib.jpegrt_session_restore(session, pixels, 24) == Status.OK
    lib.jpegrt_session_destroy(session)
    assert seen == [("run", True), ("destroy", True)]


def test_a_session_outlives_the_handle(device: Device, libjpeg: Libjpeg) -> None:
    jpeg = jpeg_of(libjpeg, "4:2:0", (20, 50))
    gpu = Pipeline(cuda=device.kernels)
    device.kernels.close()
    np.testing.assert_array_equal(on_host(gpu, jpeg), on_host(Pipeline(), jpeg))
    with pytest.raises(ValueError, match="closed"):
        Pipeline(cuda=device.kernels)


def session_options(**values: Any) -> _native.SessionOptions:
    read = _native.ReadOptions(ct.sizeof(_native.ReadOptions), 0, 0)
    return _native.SessionOptions(ct.sizeof(_native.SessionOptions), 1, read, **values)


def test_a_handle_that_is_not_attached() -> None:
    """As always where the library has no kernels, or the machine no driver."""
    cuda, session = ct.c_void_p(), ct.c_void_p()
    assert lib.jpegrt_cuda_create(ct.byref(cuda)) == Status.OK
    options = session_options(cuda=cuda)
    status = lib.jpegrt_session_create(ct.byref(options), None, None, ct.byref(session))
    assert status == Status.NO_DEVICE
    assert lib.jpegrt_create_message() == b"no CUDA device: attach the handle to one first"
    assert not session
    lib.jpegrt_cuda_destroy(cuda)


def test_options_of_an_older_header() -> None:
    """They end before `cuda`, and nothing behind that is read."""
    session, options = ct.c_void_p(), session_options(cuda=ct.c_void_p(1))
    options.struct_size = _native.SessionOptions.cuda.offset
    status = lib.jpegrt_session_create(ct.byref(options), None, None, ct.byref(session))
    assert status == Status.OK
    lib.jpegrt_session_destroy(session)
    for size in (0, 8, options.struct_size - 4, options.struct_size + 4, 1 << 20):
        options.struct_size = size
        status = lib.jpegrt_session_create(ct.byref(options), None, None, ct.byref(session))
        assert status == Status.INVALID_ARGUMENT
        assert b"struct_size" in lib.jpegrt_create_message()
