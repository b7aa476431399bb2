"""The deblocked image that an enlarging model has in between, of the models that ship."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.kernels.images import synthetic
from tests.runtime.jpegs import decode, encode
from tests.runtime.photographs import photograph as photograph_file
from tests.runtime.pixel_bundles import write_pixel_bundle
from tests.runtime.recompressed import photograph

from jpegrt.runtime import RestoreError, Session, UsageError, restore
from jpegrt.runtime import memory as memory_module
from jpegrt.runtime.auto_session import open_session
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.deblocking import create_deblocking_engine
from jpegrt.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from jpegrt.runtime.metrics import psnr

FAST: dict[str, Any] = {"engine": "onnxruntime", "threads": 1}
ORIGINAL = photograph("RGB")[80:144, 40:120]
JPEG = encode(ORIGINAL, quality=10)


@pytest.fixture(scope="module")
def carsr() -> Session:
    return Session("carsr-x2", **FAST)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("model", ["carsr-x2", "cjpgsr-x4"])
def test_it_is_nearer_to_the_original(model: str, engine: str) -> None:
    session = Session(model, engine=engine, threads=1)
    deblocked = session.deblocked(JPEG)
    assert deblocked.shape == ORIGINAL.shape
    assert deblocked.dtype == np.uint8
    assert psnr(deblocked, ORIGINAL) > psnr(decode(JPEG), ORIGINAL) + 0.2
    assert session.restore(encode(ORIGINAL[:8, :8])).shape[0] == 8 * session.enlargement


def test_of_an_unfolded_model() -> None:
    session = Session("cisr-tiny-x2", **FAST)
    original = ORIGINAL[:24, :32]
    for channels in (original, original[..., 1]):
        jpeg = encode(channels, quality=10)
        deblocked = session.deblocked(jpeg)
        assert deblocked.shape == channels.shape
        assert psnr(deblocked, channels) > psnr(decode(jpeg), channels) + 0.2


def test_grey_and_cmyk(carsr: Session) -> None:
    grey = ORIGINAL[..., 1]
    jpeg = encode(grey, quality=10)
    deblocked = carsr.deblocked(jpeg)
    assert deblocked.shape == grey.shape
    assert psnr(deblocked, grey) > psnr(decode(jpeg), grey) + 0.2
    inks = synthetic(16, 24, 4)
    file = io.BytesIO()
    Image.frombytes("CMYK", (24, 16), inks.tobytes()).save(file, "JPEG")
    assert carsr.deblocked(file.getvalue()).shape == inks.shape


def test_sixteen_bits_and_other_sources(carsr: Session, tmp_path: Path) -> None:
    deblocked = carsr.deblocked(JPEG)
    deep = carsr.deblocked(JPEG, 16)
    assert deep.dtype == np.uint16
    assert 0 < np.abs(deep / 257 - deblocked).max() <= 0.51
    (tmp_path / "a.jpg").write_bytes(JPEG)
    for source in (tmp_path / "a.jpg", decode(JPEG)):
        np.testing.assert_array_equal(carsr.deblocked(source), deblocked)


def test_in_tiles(carsr: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an image of two tiles, with hardly more memory than the session asks for."""
    monkeypatch.setattr(memory_module, "_BYTES_PER_PX", {"rgb": 64})
    pixels = synthetic(480, 30)
    runs = []
    run = OnnxRuntimeEngine.run

    def counted(self: OnnxRuntimeEngine, graph: str, *tensors: Any) -> None:
        runs.append(graph)
        run(self, graph, *tensors)

    monkeypatch.setattr(OnnxRuntimeEngine, "run", counted)
    tiled = Session("carsr-x2", memory="26M", **FAST).deblocked(pixels, 16)
    assert runs == ["deblocked"] * 2
    difference = tiled.astype(int) - carsr.deblocked(pixels, 16)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_of_a_result(carsr: Session, orientation: int) -> None:
    jpeg = photograph_file(ORIGINAL, orientation=orientation, quality=20)
    result = restore(jpeg, model="carsr-x2", output="result", strength=0.5, **FAST)
    assert result.deblocked.shape == result.before.shape
    turned = np.rot90(carsr.deblocked(jpeg), {1: 0, 3: 2, 6: -1}[orientation])
    np.testing.assert_array_equal(result.deblocked, turned)  # at all strength
    deep = restore(jpeg, model="carsr-x2", output="result", depth=16, **FAST)
    assert deep.deblocked.shape == turned.shape
    assert deep.deblocked.dtype == np.uint16


def test_a_session_that_stops_there(carsr: Session, tmp_path: Path) -> None:
    """Has all that sessions have, such as files with metadata."""
    session = Session("carsr-x2", enlarge=False, **FAST)
    assert session.enlargement == 1
    np.testing.assert_array_equal(session.restore(JPEG), carsr.deblocked(JPEG))
    np.testing.assert_array_equal(session.deblocked(JPEG), carsr.deblocked(JPEG))
    restore(JPEG, model="carsr-x2", output="result", enlarge=False, **FAST).save(
        tmp_path / "deblocked.png"
    )
    with Image.open(tmp_path / "deblocked.png") as png:
        np.testing.assert_array_equal(np.asarray(png), carsr.deblocked(JPEG))


def test_models_that_do_not_enlarge_deblock_only(tmp_path: Path) -> None:
    for model in ("auto", "cellnet"):
        session = open_session(model, **FAST)
        np.testing.assert_array_equal(session.deblocked(JPEG), session.restore(JPEG))
        result = restore(JPEG, model=model, output="result", **FAST)
        np.testing.assert_array_equal(result.deblocked, result.array)
    np.testing.assert_array_equal(
        Session("cellnet", enlarge=False, **FAST).restore(JPEG),
        Session("cellnet", **FAST).restore(JPEG),
    )


def test_models_that_have_none_say_what_to_do(tmp_path: Path) -> None:
    bundle = write_pixel_bundle(tmp_path / "small", scale=2)
    for model, other in (("jscnn-x2", "jscnn"), (str(bundle), "cellnet")):
        said = f"no deblocked image before it enlarges: for one, restore with {other}, which does"
        with pytest.raises(UsageError, match=said):
            Session(model, **FAST).deblocked(JPEG)
        with pytest.raises(UsageError, match=said):
            Session(model, enlarge=False, **FAST)
        with pytest.raises(UsageError, match=said):
            _ = restore(encode(ORIGINAL[:8, :8]), model=model, output="result", **FAST).deblocked
    said = "model none decodes and deblocks nothing: choose"
    with pytest.raises(UsageError, match=said):
        Session("none").deblocked(JPEG)
    with pytest.raises(UsageError, match=said):
        _ = restore(JPEG, model="none", output="result").deblocked


def test_engines_that_are_built_have_no_first_stage() -> None:
    for engine in ("rtx", "tensorrt", "tensorrt-lean"):
        with pytest.raises(UsageError, match=f"engine {engine} has no engines of deblocking alone"):
            create_deblocking_engine(engine, find_bundle("carsr-x2"), "fp16", 1)


def test_bad_images_are_refused_as_ever(carsr: Session) -> None:
    with pytest.raises(RestoreError, match="is no JPEG"):
        carsr.deblocked(b"hello")
    with pytest.raises(RestoreError, match="more than the limit"):
        Session("carsr-x2", max_pixels=100, **FAST).deblocked(JPEG)
