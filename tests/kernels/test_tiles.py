"""Images restored in tiles: the same pixels as of the whole image, of bounded inputs."""

import ctypes as ct
import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.engines import Identity, full_model
from tests.kernels.images import Pixels, synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import GraphSpec, ModelSpec, NativeError, Pipeline, Status, Tensors, _native
from jpegrt.kernels._native import lib

Planes = NDArray[Any]
SCALE = 1 / 255


def spread(planes: Planes, reach: int) -> Planes:
    """What `reach` pixels around adds up to, zeros beyond the edges, unlike in every direction."""
    height, width = planes.shape[-2:]
    padded = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(reach, reach)] * 2)
    total = np.zeros_like(planes)
    for weight, (y, x) in enumerate([(0, 0), (0, 2), (1, 1), (2, 0), (2, 1), (2, 2)], start=1):
        top, left = y * reach, x * reach
        total += weight * padded[..., top : top + height, left : left + width]
    return np.sin(total)


class Spreading:
    """Lets every pixel depend on those `reach` cells, blocks or pixels away, and keeps shapes."""

    def __init__(self, reach: int) -> None:
        self.reach = reach
        self.shapes: list[tuple[int, ...]] = []

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        (first, *_) = inputs.values()
        self.shapes.append(first.shape[2:])
        if "spectrum" in inputs:
            means = inputs["spectrum"][:, :1] / 8
            blocks = means + spread(means, self.reach) / 4
            outputs["luma_restored"][:] = blocks.repeat(8, axis=2).repeat(8, axis=3)
        elif "image" in inputs:
            image, restored = inputs["image"], outputs["image_restored"]
            factor = restored.shape[2] // image.shape[2]
            changed = image + spread(image, self.reach) / 4
            restored[:] = changed.repeat(factor, axis=2).repeat(factor, axis=3)
        else:
            Identity().run(graph, inputs, outputs)
            change = spread(inputs["luma"], self.reach) / 4
            outputs["luma_restored"][:] += change
            if "chroma" in inputs:
                outputs["chroma_restored"][:] += np.concatenate([change, -change], axis=1)


def cells(cell_px: int, reach: int) -> ModelSpec:
    spec = full_model(cell_px)
    reach_px = reach * cell_px + cell_px - 1
    return ModelSpec(cell_px, SCALE, spec.graphs, receptive_field_px=reach_px)


def spectral(reach: int) -> ModelSpec:
    graphs = [GraphSpec("luma", 1)]
    return ModelSpec(1, SCALE, graphs, "spectral", receptive_field_px=8 * reach + 7)


def on_pixels(
    domain: str, reach: int, enlargement: int = 1, minimum_px: int = 1, multiple_px: int = 1
) -> ModelSpec:
    graphs = [GraphSpec("only", 3 if domain == "rgb" else 1)]
    return ModelSpec(
        1,
        SCALE,
        graphs,
        domain,
        enlargement,
        minimum_px,
        multiple_px,
        receptive_field_px=max(reach, 1),
    )


REACH = 3
MODELS = {
    "cells of 8": cells(8, REACH),
    "cells of 2": cells(2, REACH),
    "cells of 1": cells(1, REACH),
    "spectral": spectral(REACH),
    "luma": on_pixels("luma", REACH),
    "rgb": on_pixels("rgb", REACH),
    "rgb, size rule": on_pixels("rgb", REACH, 2, minimum_px=37, multiple_px=6),
    "luma enlarged": on_pixels("luma", REACH, 3, multiple_px=4),
}


def pipeline(name: str, tile_px: int, threads: int = 1, reach: int = REACH) -> Pipeline:
    return Pipeline(MODELS[name], Spreading(reach), threads=threads, tile_px=tile_px)


def jpeg_of(pixels: Pixels, subsampling: str = "4:2:0") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=40, subsampling=subsampling)
    return file.getvalue()


def restore(pipeline: Pipeline, source: bytes | Pixels, dtype: type = np.uint16) -> Pixels:
    given = pipeline.read(source) if isinstance(source, bytes) else pipeline.load_pixels(source)
    pixels: NDArray[Any] = np.full(given, 99, dtype)
    pipeline.restore(pixels)
    return pixels


def restore_strips(pipeline: Pipeline, jpeg: bytes, order: Sequence[int] | None = None) -> Pixels:
    pixels = np.full(pipeline.read(jpeg), 99, np.uint8)
    strips = pipeline.strips()
    for index in range(len(strips)) if order is None else order:
        pipeline.restore_strip(index, pixels[strips[index].start : strips[index].stop])
    return pixels


@pytest.mark.parametrize("name", MODELS)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    channels=st.sampled_from([1, 3]),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    tile_px=st.integers(12, 160),
)
@settings(deadline=None, max_examples=40)
def test_tiles_make_the_pixels_of_the_whole_image(
    name: str, height: int, width: int, channels: int, subsampling: str, tile_px: int
) -> None:
    jpeg = jpeg_of(synthetic(height, width, channels), subsampling)
    expected = restore(pipeline(name, 0), jpeg)
    np.testing.assert_array_equal(restore(pipeline(name, tile_px), jpeg), expected)


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name].takes_pixels])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_in_tiles(name: str, channels: int) -> None:
    pixels = synthetic(131, 117, channels)[:, 5:]  # rows that lie apart
    expected = restore(pipeline(name, 0), pixels)
    np.testing.assert_array_equal(restore(pipeline(name, 60), pixels), expected)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("name", ["cells of 8", "cells of 2", "spectral", "rgb"])
def test_every_sampling(libjpeg: Libjpeg, name: str, sampling: str) -> None:
    if name == "spectral" and sampling == "luma subsampled":
        return  # which such models refuse
    jpeg = libjpeg.encode(synthetic(170, 205), SAMPLINGS[sampling], quality=40)
    engine = Spreading(REACH)
    tiled = Pipeline(MODELS[name], engine, threads=1, tile_px=40)
    expected = restore(pipeline(name, 0), jpeg)
    np.testing.assert_array_equal(restore(tiled, jpeg), expected)
    assert len(engine.shapes) > 1


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("tile_px", [1, 40])
def test_plain_decoders_in_tiles(libjpeg: Libjpeg, sampling: str, tile_px: int) -> None:
    jpeg = libjpeg.encode(synthetic(75, 101), SAMPLINGS[sampling], quality=40)
    tiled = Pipeline(threads=1, tile_px=tile_px)
    expected = restore(Pipeline(threads=1), jpeg, np.uint8)
    np.testing.assert_array_equal(restore(tiled, jpeg, np.uint8), expected)
    np.testing.assert_array_equal(restore_strips(tiled, jpeg), expected)


@pytest.mark.parametrize("name", ["cells of 8", "spectral"])
def test_tiles_are_projected(name: str) -> None:
    jpeg = jpeg_of(synthetic(120, 150), "4:4:4")
    whole, tiled = (
        Pipeline(MODELS[name], Spreading(REACH), threads=1, project=0.1, tile_px=tile_px)
        for tile_px in (0, 60)
    )
    expected = restore(whole, jpeg)
    assert (expected != restore(pipeline(name, 0), jpeg)).any()
    np.testing.assert_array_equal(restore(tiled, jpeg), expected)


@pytest.mark.parametrize("name", MODELS)
def test_a_tile_that_is_too_narrow_shows(name: str) -> None:
    """What the tests above rely on: a network that sees more than its model says is found out."""
    jpeg = jpeg_of(synthetic(150, 150))
    reach = 60 // MODELS[name].input_px + 1
    whole, tiled = (restore(pipeline(name, tile_px, reach=reach), jpeg) for tile_px in (0, 60))
    assert (whole != tiled).any()


@pytest.mark.parametrize("name", MODELS)
def test_all_tiles_of_an_image_have_one_bounded_size(name: str) -> None:
    engine, spec = Spreading(REACH), MODELS[name]
    restore(Pipeline(spec, engine, threads=1, tile_px=100), jpeg_of(synthetic(333, 250, 1)))
    assert len(engine.shapes) > 4
    ((rows, columns),) = set(engine.shapes)
    assert max(rows, columns) * spec.input_px <= 100


@pytest.mark.parametrize("name", MODELS)
def test_small_images_are_seen_whole(name: str) -> None:
    engine = Spreading(REACH)
    restore(Pipeline(MODELS[name], engine, threads=1, tile_px=100), jpeg_of(synthetic(96, 64, 1)))
    assert len(engine.shapes) == 1


@pytest.mark.parametrize("name", MODELS)
def test_strips_are_rows_of_the_image(name: str) -> None:
    jpeg = jpeg_of(synthetic(201, 130))
    tiled = pipeline(name, 70)
    expected = restore(tiled, jpeg, np.uint8)
    strips = tiled.strips()
    assert len(strips) > 2
    assert [row for strip in strips for row in strip] == list(range(len(expected)))
    np.testing.assert_array_equal(restore_strips(tiled, jpeg), expected)
    backwards = range(len(strips) - 1, -1, -1)
    np.testing.assert_array_equal(restore_strips(tiled, jpeg, backwards), expected)


@pytest.mark.parametrize("name", MODELS)
def test_threads_change_nothing(name: str) -> None:
    jpeg = jpeg_of(synthetic(201, 130))
    expected = restore(pipeline(name, 70), jpeg)
    for threads in (1, 2, 5):
        np.testing.assert_array_equal(restore(pipeline(name, 70, threads), jpeg), expected)


def test_without_tiles_an_image_is_one_strip() -> None:
    whole = pipeline("rgb", 0)
    whole.read(jpeg_of(synthetic(201, 130)))
    assert whole.strips() == [range(201)]


def test_timings_of_strips_add_up() -> None:
    tiled = pipeline("cells of 8", 70)
    shape = tiled.read(jpeg_of(synthetic(201, 130)))
    seen = [tiled.timings.network_ms]
    for index, strip in enumerate(tiled.strips()):
        tiled.restore_strip(index, np.empty((len(strip), *shape[1:]), np.uint8))
        seen.append(tiled.timings.network_ms)
    assert seen[0] == 0
    assert all(more > less for less, more in pairwise(seen))


def test_what_is_refused() -> None:
    spec = ModelSpec(8, SCALE, [GraphSpec("grey", 1)])
    with pytest.raises(NativeError, match="sees the whole image and cannot restore it in tiles"):
        Pipeline(spec, Identity(), tile_px=100)
    with pytest.raises(ValueError, match="tile_px must not be negative"):
        Pipeline(tile_px=-1)
    with pytest.raises(NativeError, match="receptive_field_px is more than 65535"):
        Pipeline(ModelSpec(8, SCALE, spec.graphs, receptive_field_px=65536), Identity())
    tiled = Pipeline(threads=1, tile_px=16)
    with pytest.raises(NativeError, match="no image") as refused:
        tiled.strips()
    assert refused.value.status is Status.INVALID_ARGUMENT
    tiled.read(jpeg_of(synthetic(40, 40)))
    with pytest.raises(ValueError, match=r"shape \(16, 40, 3\)"):
        tiled.restore_strip(0, np.empty((17, 40, 3), np.uint8))


def test_sessions_on_a_gpu_refuse_tiles() -> None:
    options = _native.SessionOptions(ct.sizeof(_native.SessionOptions), 1, tile_px=16)
    options.read.struct_size = ct.sizeof(_native.ReadOptions)
    options.cuda = 1  # no handle, and not looked at
    session = ct.c_void_p()
    status = lib.jpegrt_session_create(ct.byref(options), None, None, ct.byref(session))
    assert status == Status.INVALID_ARGUMENT
    assert lib.jpegrt_create_message().startswith(b"tiles are restored on the CPU only")


def test_strips_that_are_not_there() -> None:
    options = _native.SessionOptions(ct.sizeof(_native.SessionOptions), 1, tile_px=16)
    options.read.struct_size = ct.sizeof(_native.ReadOptions)
    session, strip, pixels = ct.c_void_p(), _native.Strip(), np.zeros((40, 40, 3), np.uint8)
    assert lib.jpegrt_session_create(ct.byref(options), None, None, ct.byref(session)) == 0
    jpeg = jpeg_of(synthetic(40, 40))
    assert lib.jpegrt_session_read(session, jpeg, len(jpeg), None) == 0
    assert lib.jpegrt_session_strip(session, 3, ct.byref(strip)) == 0
    assert (strip.first_row, strip.rows) == (40, 0)

    def refusal(index: int, address: int | None, row: int, dtype: int) -> str:
        status = lib.jpegrt_session_restore_strip(session, index, address, row, dtype)
        assert status == Status.INVALID_ARGUMENT
        message: bytes = lib.jpegrt_session_message(session)
        return message.decode()

    address = pixels.ctypes.data
    assert refusal(3, address, 120, _native.Dtype.UINT8) == "the image has no such strip"
    assert "row_stride" in refusal(0, address, 119, _native.Dtype.UINT8)
    assert "uint8 or uint16" in refusal(0, address, 480, _native.Dtype.FLOAT32)
    assert refusal(0, None, 120, _native.Dtype.UINT8)
    assert lib.jpegrt_session_strip(session, 0, None) == Status.INVALID_ARGUMENT
    lib.jpegrt_session_destroy(session)


def test_structs_of_earlier_headers() -> None:
    graph = _native.Graph(b"grey", 1, 1, 1)
    model = _native.Model(
        _native.Model.receptive_field_px.offset, 8, 1.0, 1, ct.pointer(graph), receptive_field_px=9
    )
    run = _native.EngineRun(lambda *_: 0)
    engine = _native.Engine(ct.sizeof(_native.Engine), None, run, _native.EngineDestroy())
    options = _native.SessionOptions(_native.SessionOptions.tile_px.offset, 1, tile_px=9)
    options.read.struct_size = ct.sizeof(_native.ReadOptions)

    def create() -> int:
        session = ct.c_void_p()
        status = lib.jpegrt_session_create(
            ct.byref(options), ct.byref(model), ct.byref(engine), ct.byref(session)
        )
        lib.jpegrt_session_destroy(session)
        return int(status)

    assert create() == Status.OK
    # What lies beyond is not looked at: else there would be a receptive field.
    options.struct_size = ct.sizeof(_native.SessionOptions)
    assert create() == Status.INVALID_ARGUMENT
    model.struct_size = ct.sizeof(_native.Model)
    assert create() == Status.OK
    model.struct_size -= 1
    assert create() == Status.INVALID_ARGUMENT
    assert b"struct_size" in lib.jpegrt_create_message()
