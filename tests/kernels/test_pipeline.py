"""The pipeline with a model: what engines are given, and what becomes of what they write."""

import ctypes as ct
import io
import subprocess
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.c_programs import Libjpeg, build_tool
from tests.kernels.engines import (
    GRAPHS,
    Filling,
    Identity,
    Plane,
    Raising,
    Recording,
    full_model,
    model,
    plane_from_cells,
)
from tests.kernels.images import Pixels, synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import (
    Component,
    GraphSpec,
    ModelSpec,
    NativeError,
    Pipeline,
    Status,
    _native,
    read_coefficients,
    reference,
)
from jpegrt.kernels._native import lib

CELL_SIDES = (1, 2, 4, 8)
SIZES = [(1, 1), (8, 8), (33, 17), (17, 33), (48, 64), (50, 71)]
SCALE = 1 / 128


def restore(pipeline: Pipeline, jpeg: bytes) -> Pixels:
    pixels = np.full(pipeline.read(jpeg), 99, np.uint8)
    pipeline.restore(pixels)
    return pixels


def pillow(jpeg: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def pillow_ycbcr(jpeg: bytes) -> Pixels:
    """Upsampled by libjpeg, colours left as they are."""
    image = Image.open(io.BytesIO(jpeg))
    image.draft("YCbCr", image.size)
    assert image.mode == "YCbCr"
    return np.asarray(image)


def centred(component: Component) -> NDArray[np.float64]:
    assert component.blocks is not None
    assert component.table is not None
    return reference.centred_samples(component.blocks, component.table)


def assert_shows(plane: Plane, component: Component) -> None:
    """The plane holds the component's samples, and repeats the last ones beyond them."""
    expected = centred(component) * SCALE
    rows, columns = expected.shape
    np.testing.assert_allclose(plane[:rows, :columns], expected, atol=1e-3 * SCALE, rtol=0)
    padding = ((0, plane.shape[0] - rows), (0, plane.shape[1] - columns))
    np.testing.assert_array_equal(plane, np.pad(plane[:rows, :columns], padding, "edge"))


def steps_of(components: tuple[Component, ...]) -> NDArray[np.uint16]:
    return np.concatenate([c.table.ravel() for c in components if c.table is not None])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell_px", CELL_SIDES)
@pytest.mark.parametrize("sampling", ["1x1", "2x2"])
def test_grey_tensors(libjpeg: Libjpeg, sampling: str, cell_px: int, size: tuple[int, int]) -> None:
    jpeg = libjpeg.encode(synthetic(*size, channels=1), sampling)
    components = read_coefficients(jpeg).components
    engine = Recording()
    restore(Pipeline(full_model(cell_px), engine), jpeg)

    assert engine.graphs == ["grey"]
    height, width = (-(-side // 8) * 8 for side in size)
    shape = (1, cell_px**2, height // cell_px, width // cell_px)
    inputs = engine.inputs[0]
    assert {name: tensor.shape for name, tensor in inputs.items()} == {
        "luma": shape,
        "steps": (1, 64),
    }
    assert engine.output_shapes[0] == {"luma_restored": shape}
    assert_shows(plane_from_cells(inputs["luma"][0], (cell_px, cell_px)), components[0])
    np.testing.assert_array_equal(inputs["steps"][0], steps_of(components))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("sampling", "graph", "cell_px"),
    [
        (sampling, graph, cell_px)
        for sampling, graph in [
            *((name, name) for name in GRAPHS),
            ("4:4:4, written as 2x1", "4:4:4"),
        ]
        for cell_px in CELL_SIDES
        if cell_px >= max(GRAPHS[graph])
    ],
)
def test_colour_tensors(
    libjpeg: Libjpeg, sampling: str, graph: str, cell_px: int, size: tuple[int, int]
) -> None:
    jpeg = libjpeg.encode(synthetic(*size), SAMPLINGS[sampling])
    components = read_coefficients(jpeg).components
    engine = Recording()
    restore(Pipeline(full_model(cell_px), engine), jpeg)

    assert engine.graphs == [graph]
    mcu = [8 * max(c.v for c in components), 8 * max(c.h for c in components)]
    height, width = (-(-side // m) * m for side, m in zip(size, mcu, strict=True))
    (h, v), cells = GRAPHS[graph], (height // cell_px, width // cell_px)
    inputs = engine.inputs[0]
    assert {name: tensor.shape for name, tensor in inputs.items()} == {
        "luma": (1, cell_px**2, *cells),
        "chroma": (1, 2 * cell_px**2 // (h * v), *cells),
        "steps": (1, 192),
    }
    assert engine.output_shapes[0] == {
        "luma_restored": (1, cell_px**2, *cells),
        "chroma_restored": (1, 2 * cell_px**2, *cells),
    }
    assert_shows(plane_from_cells(inputs["luma"][0], (cell_px, cell_px)), components[0])
    chroma_cell = (cell_px // v, cell_px // h)
    for cells_of_one, component in zip(
        np.split(inputs["chroma"][0], 2), components[1:], strict=True
    ):
        assert_shows(plane_from_cells(cells_of_one, chroma_cell), component)
    np.testing.assert_array_equal(inputs["steps"][0], steps_of(components))


@pytest.mark.parametrize("cell_px", CELL_SIDES)
@pytest.mark.parametrize(
    "sampling", ["4:1:1", "4:1:0", "chroma unlike", "luma subsampled", "thirds"]
)
def test_other_samplings_go_to_the_full_resolution_graph(
    libjpeg: Libjpeg, sampling: str, cell_px: int
) -> None:
    jpeg = libjpeg.encode(synthetic(48, 96), SAMPLINGS[sampling])  # whole MCUs in all of these
    engine = Recording()
    pixels = restore(
        Pipeline(model(cell_px, "4:4:4", "4:2:0") if cell_px > 1 else model(1, "4:4:4"), engine),
        jpeg,
    )

    assert engine.graphs == ["4:4:4"]
    components = read_coefficients(jpeg).components
    inputs = engine.inputs[0]
    expected = (pillow_ycbcr(jpeg).astype(np.float32) - 128) * SCALE
    planes = [inputs["luma"][0], *np.split(inputs["chroma"][0], 2)]
    full = max(c.h for c in components), max(c.v for c in components)
    for c, (component, cells) in enumerate(zip(components, planes, strict=True)):
        plane = plane_from_cells(cells, (cell_px, cell_px))
        if (component.h, component.v) == full:
            assert_shows(plane, component)
        else:
            np.testing.assert_array_equal(plane, expected[:, :, c])
    np.testing.assert_array_equal(inputs["steps"][0], steps_of(components))
    assert np.abs(pixels - pillow(jpeg).astype(int)).max() <= 2


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:0", "4:1:1", "luma subsampled"])
def test_colour_with_a_grey_model_keeps_its_chroma(libjpeg: Libjpeg, sampling: str) -> None:
    jpeg = libjpeg.encode(synthetic(48, 64), SAMPLINGS[sampling])
    engine = Recording()
    pixels = restore(Pipeline(model(4), engine), jpeg)
    assert engine.graphs == ["grey"]
    assert set(engine.inputs[0]) == {"luma", "steps"}
    np.testing.assert_array_equal(
        engine.inputs[0]["steps"][0], steps_of(read_coefficients(jpeg).components[:1])
    )
    assert np.abs(pixels - pillow(jpeg).astype(int)).max() <= 2

    grey = restore(Pipeline(model(4), Filling(np.zeros)), jpeg).astype(int)
    chroma = pillow_ycbcr(jpeg).astype(int)[:, :, 1:] - 128
    assert np.abs(grey[:, :, 0] - np.clip(128 + 1.402 * chroma[:, :, 1], 0, 255)).max() <= 2


@pytest.mark.parametrize("sampling", ["1x1,1x1,1x1", "1x1,2x2,1x1"])
def test_rgb_goes_through_the_grey_graph(libjpeg: Libjpeg, sampling: str) -> None:
    jpeg = libjpeg.encode(synthetic(32, 48), sampling, "rgb")
    engine = Recording()
    pixels = restore(Pipeline(full_model(8), engine), jpeg)
    assert engine.graphs == ["grey"] * 3
    for component, inputs in zip(read_coefficients(jpeg).components, engine.inputs, strict=True):
        np.testing.assert_array_equal(inputs["steps"][0], steps_of((component,)))
    assert np.abs(pixels - pillow(jpeg).astype(int)).max() <= 1


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("cell_px", CELL_SIDES)
def test_odd_sizes_come_out_whole(libjpeg: Libjpeg, cell_px: int, sampling: str) -> None:
    pipeline = Pipeline(full_model(cell_px), Identity())
    for size in [(1, 1), (2, 3), (33, 17), (41, 77)]:
        jpeg = libjpeg.encode(synthetic(*size), SAMPLINGS[sampling], quality=97)
        difference = np.abs(restore(pipeline, jpeg) - pillow(jpeg).astype(int))
        assert difference.mean() < 5  # chroma is filtered otherwise, but it is in place


def pixels_from_planes(planes: list[NDArray[np.float64]]) -> Pixels:
    """ITU-T T.871, section 7, on centred samples; grey for one plane."""
    luma = planes[0] + 128
    channels = [luma]
    if len(planes) == 3:
        cb, cr = planes[1:]
        channels = [
            luma + 1.402 * cr,
            luma - (0.299 * 1.402 * cr + 0.114 * 1.772 * cb) / 0.587,
            luma + 1.772 * cb,
        ]
    levels = np.clip(np.floor(np.stack(channels, axis=-1) + 0.5), 0, 255).astype(np.uint8)
    return levels if len(planes) == 3 else levels[:, :, 0]


@pytest.mark.parametrize("size", [(37, 51), (1, 1), (9, 256 * 8 + 5), (3, 5000)])
@pytest.mark.parametrize("cell_px", CELL_SIDES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_what_the_engine_wrote(
    libjpeg: Libjpeg, channels: int, cell_px: int, size: tuple[int, int]
) -> None:
    height, width = size
    written: list[Plane] = []

    def noise(shape: tuple[int, ...]) -> NDArray[np.float64]:
        cells = np.random.default_rng(len(written)).uniform(-1.3, 1.3, shape)
        for one in np.split(cells[0], shape[1] // cell_px**2):
            written.append(plane_from_cells(one.astype(np.float32), (cell_px, cell_px)))
        return cells

    jpeg = libjpeg.encode(synthetic(height, width, channels))
    pixels = restore(Pipeline(full_model(cell_px), Filling(noise)), jpeg).astype(int)
    planes = [plane[:height, :width].astype(np.float64) / SCALE for plane in written]
    difference = np.abs(pixels - pixels_from_planes(planes))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 2e-3  # ties, in float32


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("value", "level"), [(np.nan, 0), (np.inf, 255), (-np.inf, 0), (1e30, 255), (-1e30, 0)]
)
def test_values_that_are_no_levels(
    libjpeg: Libjpeg, channels: int, value: float, level: int
) -> None:
    def only_luma(shape: tuple[int, ...]) -> NDArray[np.float64]:
        return np.full(shape, value if shape[1] == 16 else 0.0)

    jpeg = libjpeg.encode(synthetic(20, 30, channels))
    assert np.all(restore(Pipeline(full_model(4), Filling(only_luma)), jpeg) == level)


def test_nan_everywhere_is_black(libjpeg: Libjpeg) -> None:
    engine = Filling(lambda shape: np.full(shape, np.nan))
    assert not restore(Pipeline(full_model(8), engine), libjpeg.encode(synthetic(20, 30))).any()


@pytest.mark.parametrize(
    "error", [RuntimeError("out of cheese"), MemoryError(), KeyboardInterrupt(), SystemExit(3)]
)
def test_exceptions_come_through(libjpeg: Libjpeg, error: BaseException) -> None:
    jpeg = libjpeg.encode(synthetic(20, 30))
    engine = Raising()
    pipeline = Pipeline(full_model(8), engine)
    before = restore(pipeline, jpeg)
    engine.error = error
    with pytest.raises(type(error)) as caught:
        restore(pipeline, jpeg)
    assert caught.value is error
    engine.error = None
    again = np.empty_like(before)
    pipeline.restore(again)  # without another read
    np.testing.assert_array_equal(again, before)
    np.testing.assert_array_equal(restore(pipeline, jpeg), before)


def test_engines_own_mistakes_come_through(libjpeg: Libjpeg) -> None:
    class WrongShape:
        def run(self, graph: str, inputs: object, outputs: dict[str, Plane]) -> None:
            outputs["luma_restored"][:] = np.zeros((2, 2, 2, 2), np.float32)

    class WrongName:
        def run(self, graph: str, inputs: dict[str, Plane], outputs: object) -> Plane:
            return inputs["image"]

    class NoRun:
        pass

    jpeg = libjpeg.encode(synthetic(20, 30))
    for engine, error in (
        (WrongShape(), ValueError),
        (WrongName(), KeyError),
        (NoRun(), AttributeError),
    ):
        pipeline = Pipeline(full_model(8), engine)  # type: ignore[arg-type]
        with pytest.raises(error):
            restore(pipeline, jpeg)


def test_what_an_engine_returns_is_ignored(libjpeg: Libjpeg) -> None:
    class Talkative(Identity):
        def run(self, graph: str, inputs: object, outputs: object) -> str:  # type: ignore[override]
            super().run(graph, inputs, outputs)  # type: ignore[arg-type]
            return "done"

    jpeg = libjpeg.encode(synthetic(20, 30))
    np.testing.assert_array_equal(
        restore(Pipeline(full_model(8), Talkative()), jpeg),  # type: ignore[arg-type]
        restore(Pipeline(full_model(8), Identity()), jpeg),
    )


NativeRun = Callable[..., int]


def native_session(
    run: NativeRun, destroyed: list[int], cell_px: int = 8
) -> tuple[int, ct.c_void_p]:
    """A session behind the C ABI; `destroyed` also keeps the callbacks alive."""
    engine = _native.Engine(
        ct.sizeof(_native.Engine),
        7,
        _native.EngineRun(run),
        _native.EngineDestroy(lambda user: destroyed.append(user or 0)),
    )
    graph = _native.Graph(b"grey", 1, 1, 1)
    native_model = _native.Model(ct.sizeof(_native.Model), cell_px, SCALE, 1, ct.pointer(graph))
    handle = ct.c_void_p()
    status = _native.lib.jpegrt_session_create(None, native_model, engine, ct.byref(handle))
    handle.keep = engine  # type: ignore[attr-defined]
    return status, handle


def test_a_native_engines_message_is_the_sessions(libjpeg: Libjpeg) -> None:
    lib = _native.lib
    jpeg = libjpeg.encode(synthetic(8, 8, channels=1))
    pixels = np.zeros((8, 8), np.uint8)

    def endless(_user: int, _graph: bytes, *rest: object) -> int:
        message, size = rest[-2:]
        assert isinstance(size, int)
        ct.memset(message, ord("x"), size)  # type: ignore[arg-type]
        return 1

    for run, expected in (
        (endless, "x" * 1023),
        (lambda *_: -5, "the engine failed without a message"),
    ):
        destroyed: list[int] = []
        status, handle = native_session(run, destroyed)
        assert status == Status.OK
        assert lib.jpegrt_session_read(handle, jpeg, len(jpeg), None) == Status.OK
        for _ in range(2):
            status = lib.jpegrt_session_restore(handle, pixels.ctypes.data, 8)
            assert status == Status.ENGINE
            assert lib.jpegrt_session_message(handle).decode() == expected
        assert destroyed == []
        lib.jpegrt_session_destroy(handle)
        assert destroyed == [7]


def test_a_refused_session_destroys_its_engine() -> None:
    destroyed: list[int] = []
    status, handle = native_session(lambda *_: 0, destroyed, cell_px=5)
    assert status == Status.INVALID_ARGUMENT
    assert handle.value is None
    assert destroyed == [7]


def test_rows_may_be_further_apart_than_their_pixels(libjpeg: Libjpeg) -> None:
    lib = _native.lib
    jpeg = libjpeg.encode(synthetic(20, 30))
    for spec, engine in ((None, None), (full_model(4), Identity())):
        pipeline = Pipeline(spec, engine)
        expected = restore(pipeline, jpeg)
        padded = np.full((20, 100), 99, np.uint8)
        status = lib.jpegrt_session_restore(pipeline._handle, padded.ctypes.data, 100)
        assert status == Status.OK
        np.testing.assert_array_equal(padded[:, :90].reshape(20, 30, 3), expected)
        assert np.all(padded[:, 90:] == 99)
        status = lib.jpegrt_session_restore(pipeline._handle, padded.ctypes.data, 89)
        assert status == Status.INVALID_ARGUMENT


def test_threads_do_not_change_pixels(libjpeg: Libjpeg) -> None:
    for sampling in ("4:2:0", "4:1:1", "luma subsampled"):
        jpeg = libjpeg.encode(synthetic(150, 99), SAMPLINGS[sampling])
        expected, *others = (
            restore(Pipeline(full_model(8), Identity(), threads=threads), jpeg)
            for threads in (1, 2, 5, 32)
        )
        for other in others:
            np.testing.assert_array_equal(other, expected)


def test_pipelines_in_eight_threads(libjpeg: Libjpeg) -> None:
    jpegs = [
        libjpeg.encode(synthetic(70, 90, seed=seed), SAMPLINGS[sampling], *flags)
        for seed, (sampling, flags) in enumerate(
            [("4:2:0", ()), ("4:4:4", ("progressive",)), ("4:1:1", ()), ("4:2:2", ("arithmetic",))]
        )
    ]
    reference_pipeline = Pipeline(full_model(8), Identity(), threads=1)
    expected = [restore(reference_pipeline, jpeg) for jpeg in jpegs]
    wrong: list[str] = []

    def work(offset: int) -> None:
        engine = Recording()
        pipeline = Pipeline(full_model(8), engine, threads=2)
        for i in range(offset, offset + 12):
            if not np.array_equal(restore(pipeline, jpegs[i % 4]), expected[i % 4]):
                wrong.append(f"image {i % 4} in thread {offset}")
        if engine.threads != {threading.get_ident()}:
            wrong.append("the engine ran on another thread")

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_restoring_before_reading() -> None:
    pipeline = Pipeline(full_model(8), Identity())
    status = _native.lib.jpegrt_session_restore(pipeline._handle, np.zeros(1).ctypes.data, 1)
    assert status == Status.INVALID_ARGUMENT
    message = _native.lib.jpegrt_session_message(pipeline._handle).decode()
    assert message == "no image: read one before restoring it"
    with pytest.raises((ValueError, NativeError), match="read"):
        pipeline.restore(np.zeros((8, 8), np.uint8))


def test_restoring_after_a_failed_read(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(20, 30))
    pipeline = Pipeline(full_model(8), Identity())
    expected = restore(pipeline, jpeg)
    with pytest.raises(NativeError):
        pipeline.read(jpeg[: len(jpeg) // 2])
    with pytest.raises((ValueError, NativeError), match="read"):
        pipeline.restore(np.zeros_like(expected))
    np.testing.assert_array_equal(restore(pipeline, jpeg), expected)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((20, 30), np.uint8),
        np.zeros((30, 20, 3), np.uint8),
        np.zeros((20, 30, 3), np.int8),
        np.zeros((20, 30, 6), np.uint8)[:, :, ::2],
    ],
)
def test_wrong_pixels_are_refused(libjpeg: Libjpeg, pixels: Pixels) -> None:
    pipeline = Pipeline()
    pipeline.read(libjpeg.encode(synthetic(20, 30)))
    with pytest.raises(ValueError, match="need"):
        pipeline.restore(pixels)


GREY = GraphSpec("grey", 1)


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec(8, SCALE, []),
        ModelSpec(8, SCALE, [GraphSpec("colour", 3)]),
        ModelSpec(8, SCALE, [GREY, GraphSpec("two", 2)]),
        ModelSpec(1, SCALE, [GREY, GraphSpec("4:2:0", 3, 2, 2)]),
        ModelSpec(8, SCALE, [GREY, GraphSpec("thirds", 3, 3, 1)]),
        ModelSpec(8, SCALE, [GREY, GraphSpec("none", 3, 0, 1)]),
        ModelSpec(3, SCALE, [GREY]),
        ModelSpec(0, SCALE, [GREY]),
        ModelSpec(16, SCALE, [GREY]),
        ModelSpec(8, 0, [GREY]),
        ModelSpec(8, -1, [GREY]),
        ModelSpec(8, float("nan"), [GREY]),
    ],
)
def test_models_that_do_not_fit_are_refused(spec: ModelSpec) -> None:
    with pytest.raises(NativeError) as caught:
        Pipeline(spec, Identity())
    assert caught.value.status is Status.INVALID_ARGUMENT


def test_a_model_needs_an_engine() -> None:
    with pytest.raises(ValueError, match="engine"):
        Pipeline(full_model(8))
    with pytest.raises(ValueError, match="model"):
        Pipeline(engine=Identity())


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="threads"):
        Pipeline(threads=-1)
    for max_pixels in (0, -1, 1 << 64):
        with pytest.raises(ValueError, match="max_pixels"):
            Pipeline(max_pixels=max_pixels)


def test_read_only_pixels_are_refused(libjpeg: Libjpeg) -> None:
    pipeline = Pipeline()
    pixels = np.zeros(pipeline.read(libjpeg.encode(synthetic(8, 8))), np.uint8)
    pixels.flags.writeable = False
    with pytest.raises(ValueError, match="writ"):
        pipeline.restore(pixels)
    assert not pixels.any()


def test_a_pipeline_frees_its_memory_when_dropped() -> None:
    pipeline = Pipeline(full_model(8), Identity())
    gone = weakref.ref(pipeline)
    del pipeline
    assert gone() is None  # at once: buffers of hundreds of megabytes cannot wait for the collector


_THROWING = """
#include <stdexcept>
extern "C" int run() { throw std::runtime_error("out of luck"); }
"""


def test_an_engine_that_throws_leaves_the_session_usable(tmp_path: Path, libjpeg: Libjpeg) -> None:
    source, library = tmp_path / "throwing.cpp", tmp_path / "libthrowing.so"
    source.write_text(_THROWING)
    subprocess.run([build_tool("c++"), "-shared", "-fPIC", source, "-o", library], check=True)
    run = ct.cast(ct.CDLL(str(library)).run, _native.EngineRun)
    engine = _native.Engine(ct.sizeof(_native.Engine), None, run, _native.EngineDestroy())
    graph = _native.Graph(b"grey", 1, 1, 1)
    spec = _native.Model(ct.sizeof(_native.Model), 2, 1.0, 1, ct.pointer(graph), 0, 1, 1, 1)
    session = ct.c_void_p()
    references = (ct.byref(x) for x in (spec, engine, session))
    assert lib.jpegrt_session_create(None, *references) == Status.OK
    jpeg = libjpeg.encode(synthetic(16, 24, channels=1))
    pixels = (ct.c_uint8 * (16 * 24))()
    for _ in range(2):
        assert lib.jpegrt_session_read(session, jpeg, len(jpeg), None) == Status.OK
        assert lib.jpegrt_session_restore(session, pixels, 24) == Status.INTERNAL
        assert b"out of luck" in lib.jpegrt_session_message(session)
    lib.jpegrt_session_destroy(session)


@pytest.mark.parametrize("scale", [np.inf, np.nan, 0.0, -1.0, 1e-45])
def test_scales_that_no_float_can_undo(scale: float) -> None:
    with pytest.raises(NativeError, match="scale"):
        Pipeline(ModelSpec(2, scale, [GraphSpec("grey", 1)]), Identity())
