"""The engine module for TensorRT: behind an emulated driver, with a libnvinfer that copies."""

import ctypes as ct
import gc
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg
from tests.kernels.devices import Device, open_emulated, open_gpu
from tests.kernels.engines import Identity
from tests.kernels.images import synthetic
from tests.runtime.fake_nvinfer import build_libraries, build_module, tensorrt_major, write_engine

from jpegrt.export.build import BuildRequest, build
from jpegrt.export.builder import device_target
from jpegrt.export.profiles import Profile
from jpegrt.kernels import NativeError, Pipeline, Status, _native
from jpegrt.kernels._native import check_create, lib
from jpegrt.runtime import Session
from jpegrt.runtime.bundle import open_bundle

# Two profiles, of up to 16 x 16 and 64 x 64 pixels, and scratch memory.
GREY = """fake engine
input luma -1 4 -1 -1
input steps -1 64
output luma_restored 4
profile 0 luma 1 4 1 1  1 4 8 8
profile 0 steps 1 64  1 64
profile 1 luma 1 4 1 1  2 4 32 32
profile 1 steps 1 64  2 64
scratch 8
"""
BUILD = "run jpegrt build cellnet --flavour tensorrt --target sm99 --precision"


@dataclass(frozen=True)
class Built:
    module: Path
    library: Path
    lean: Path
    driver: Path  # emulated


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, driver: Path) -> Built:
    folder = tmp_path_factory.mktemp("tensorrt")
    return Built(build_module(folder), *build_libraries(folder), driver)


def open_session(
    module: Path, bundle_folder: Path, device: Device, *, engines: bytes, library: Path
) -> ct.c_void_p:
    """On the device, in fp32."""
    read = _native.ReadOptions(ct.sizeof(_native.ReadOptions), 0, 0)
    options = _native.SessionOptions(
        ct.sizeof(_native.SessionOptions), 1, read, cuda=device.kernels.handle
    )
    engine = _native.EngineOptions(
        ct.sizeof(_native.EngineOptions),
        precision=b"fp32",
        library=str(library).encode(),
        engines=engines,
    )
    session = ct.c_void_p()
    status = lib.jpegrt_session_open(
        str(bundle_folder).encode(),
        str(module).encode(),
        ct.byref(options),
        ct.byref(engine),
        ct.byref(session),
    )
    check_create(status)
    return session


def restore_on(
    session: ct.c_void_p, jpeg: bytes, device: Device, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """A grey JPEG, on the device's stream."""
    assert lib.jpegrt_session_read(session, jpeg, len(jpeg), ct.byref(_native.Image())) == 0
    out = device.upload(np.zeros(shape, np.uint8))
    assert not lib.jpegrt_session_restore_device(
        session, out.pointer, shape[1], _native.Dtype.UINT8, device.stream
    ), lib.jpegrt_session_message(session)
    return device.download(out)


@pytest.fixture
def engines(
    tmp_path: Path, built: Built, monkeypatch: pytest.MonkeyPatch, bundle_folder: Path
) -> Path:
    """A folder with an engine of grey in fp32."""
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(built.driver))
    monkeypatch.setenv("JPEGRT_TENSORRT", str(built.library))
    monkeypatch.setenv("FAKE_NVINFER_LOG", str(tmp_path / "log"))
    write_engine(tmp_path / "engines", "grey", GREY, source=bundle_folder / "grey.fp32.onnx")
    return tmp_path / "engines"


def log_of(engines: Path) -> list[str]:
    return (engines.parent / "log").read_text().splitlines()


class Opened:
    """An engine of the module, called as a session would. Raises NativeError."""

    def __init__(self, built: Built, bundle_folder: Path, **options: bytes | int) -> None:
        bundle, self._engine = ct.c_void_p(), _native.Engine()
        check_create(lib.jpegrt_bundle_open(str(bundle_folder).encode(), ct.byref(bundle)))
        try:
            chosen = {"precision": b"fp32", **options}
            given = _native.EngineOptions(ct.sizeof(_native.EngineOptions), **chosen)
            module = str(built.module).encode()
            check_create(
                lib.jpegrt_engine_open(module, bundle, ct.byref(given), ct.byref(self._engine))
            )
        finally:
            lib.jpegrt_bundle_destroy(bundle)

    def close(self) -> None:
        self._engine.destroy(self._engine.user)

    def run(
        self,
        graph: str,
        inputs: dict[str, NDArray[np.float32]],
        outputs: dict[str, NDArray[np.float32]],
        *,
        stream: int = 0,
        device: int = 1,
        dtype: int = 0,
    ) -> str:
        """Why it failed; "" if it did not."""
        message = ct.create_string_buffer(1024)
        given = (self._tensors(part, device, dtype) for part in (inputs, outputs))
        arguments = (part for tensors in given for part in (tensors, len(tensors)))
        failed = self._engine.run(
            self._engine.user, graph.encode(), *arguments, stream, message, len(message)
        )
        text = message.value.decode()
        assert bool(failed) == bool(text)
        assert not text or text.isprintable()
        return text

    @staticmethod
    def _tensors(
        arrays: dict[str, NDArray[np.float32]], device: int, dtype: int
    ) -> "ct.Array[_native.Tensor]":
        tensors = [
            _native.Tensor(
                name.encode(), array.ctypes.data, dtype, device, array.ndim, (*array.shape,)
            )
            for name, array in arrays.items()
        ]
        return (_native.Tensor * len(tensors))(*tensors)


@pytest.fixture
def opened(built: Built, engines: Path, bundle_folder: Path) -> Iterator[Opened]:
    engine = Opened(built, bundle_folder, engines=str(engines).encode())
    yield engine
    engine.close()
    assert ct.CDLL(str(built.driver)).emulated_held() == 0


def refusal(built: Built, bundle: Path, **options: bytes | int) -> str:
    with pytest.raises(NativeError) as caught:
        Opened(built, bundle, **options)
    assert caught.value.status is Status.ENGINE
    assert str(caught.value).isprintable()
    return str(caught.value)


def grey(rows: int, columns: int) -> dict[str, NDArray[np.float32]]:
    """A grey graph's inputs."""
    luma = np.random.default_rng(rows).random((1, 4, rows, columns), np.float32)
    return {"luma": luma, "steps": np.ones((1, 64), np.float32)}


def restored(rows: int, columns: int, planes: int = 4) -> dict[str, NDArray[np.float32]]:
    return {"luma_restored": np.full((1, planes, rows, columns), np.nan, np.float32)}


def run_grey(engine: Opened, rows: int = 4, columns: int = 4, **how: int) -> str:
    inputs, outputs = grey(rows, columns), restored(rows, columns)
    why = engine.run("grey", inputs, outputs, **how)
    if not why:
        np.testing.assert_array_equal(outputs["luma_restored"], inputs["luma"])
    return why


def test_each_size_runs_in_its_profile(built: Built, engines: Path, bundle_folder: Path) -> None:
    engine = Opened(built, bundle_folder, engines=str(engines).encode())
    for rows, columns, stream in [(4, 6, 0x10), (8, 8, 0x20), (9, 8, 0x10), (32, 32, 0), (4, 6, 0)]:
        assert run_grey(engine, rows, columns, stream=stream) == ""
    engine.close()
    assert log_of(engines) == [  # one engine, a context for each profile, when it is needed
        "engine",
        "context",
        "run 1x4x4x6 profile 0 stream 0x10",
        "run 1x4x8x8 profile 0 stream 0x20",
        "context",
        "run 1x4x9x8 profile 1 stream 0x10",
        "run 1x4x32x32 profile 1 stream (nil)",
        "run 1x4x4x6 profile 0 stream (nil)",
        "ended",
    ]
    assert ct.CDLL(str(built.driver)).emulated_held() == 0


def test_memory_is_as_much_as_the_image_needs(opened: Opened, built: Built) -> None:
    most = ct.CDLL(str(built.driver)).emulated_most_pool_bytes
    most.restype = ct.c_size_t
    most()
    for rows in (8, 32):
        assert run_grey(opened, rows, 16) == ""
        assert most() == 8 * 4 * rows * 16


@pytest.mark.parametrize("call", ["cuMemAllocAsync", "cuStreamWaitEvent", "cuEventCreate"])
def test_a_driver_that_fails(opened: Opened, built: Built, call: str) -> None:
    driver = ct.CDLL(str(built.driver))
    driver.emulated_fail(call.encode(), 0)
    assert run_grey(opened).startswith(f"{call}: emulated error")
    assert run_grey(opened) == ""


def test_a_size_that_no_profile_takes(opened: Opened, engines: Path) -> None:
    why = run_grey(opened, 33, 8)
    assert "grey.fp32.tensorrt-" in why
    assert "has no profile for a luma of 1x4x33x8; " + BUILD in why
    assert why.endswith(f"fp32 -o {engines} with --min, --opt and --max around the image's size")
    assert run_grey(opened, 8, 8) == ""


def test_shapes_and_tensors_that_are_not_the_engines(opened: Opened) -> None:
    inputs = grey(4, 4)
    assert "makes a luma_restored of 1x4x4x4, and the model's is 1x4x4x5; " + BUILD in opened.run(
        "grey", inputs, restored(4, 5)
    )
    assert "makes a luma_restored of 1x4x4x4, and the model's is 1x9x4x4" in opened.run(
        "grey", inputs, restored(4, 4, 9)
    )
    other = "has other tensors than the model's graph; " + BUILD
    assert other in opened.run("grey", {"luma": inputs["luma"]}, restored(4, 4))
    assert other in opened.run("grey", {**inputs, "chroma": inputs["luma"]}, restored(4, 4))
    assert other in opened.run("grey", inputs, {"high": inputs["luma"]})
    assert other in opened.run("grey", restored(4, 4), inputs)
    flat = {**inputs, "luma": inputs["luma"][0]}
    assert "has no profile for a luma of 4x4x4" in opened.run("grey", flat, restored(4, 4))


def test_tensors_that_no_engine_takes(opened: Opened) -> None:
    assert run_grey(opened, device=0) == (
        "this engine runs on a GPU, and the session's tensors are on the CPU: "
        "make the session with cuda"
    )
    assert run_grey(opened, dtype=1) == ("this engine takes float32 tensors, and luma is another")


def test_an_engine_with_half_tensors(opened: Opened, engines: Path, bundle_folder: Path) -> None:
    source = bundle_folder / "grey.fp32.onnx"
    write_engine(engines, "grey", GREY + "half luma\n", source=source)
    assert "has other tensors than the model's graph" in run_grey(opened)


def test_a_graph_that_was_not_built(opened: Opened) -> None:
    why = opened.run("420", grey(4, 4), restored(4, 4))
    assert "420.fp32.tensorrt-" in why and "cannot be read; " + BUILD in why


def test_vendors_failures_are_one_line(
    opened: Opened, engines: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = f"TensorRT {tensorrt_major()}.9.8.7"
    monkeypatch.setenv("FAKE_NVINFER", "dead")
    assert run_grey(opened) == f"{version} cannot start: CUDA does not start"
    monkeypatch.setenv("FAKE_NVINFER", "stuck")
    why = run_grey(opened)
    assert why.startswith(f"{version} failed on ") and why.endswith(": launch failed in layer 3")
    monkeypatch.delenv("FAKE_NVINFER")
    assert run_grey(opened) == ""


def test_a_file_that_is_no_engine(opened: Opened, engines: Path, bundle_folder: Path) -> None:
    write_engine(engines, "grey", "ftrt", source=bundle_folder / "grey.fp32.onnx")
    assert run_grey(opened).endswith(".engine: magic tag does not match")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"source_sha256": "0"}, "is stale: grey.fp32.onnx of the model cellnet is not what it"),
        ({"source": "none.onnx"}, "is stale: none.onnx of the model cellnet is not what it was"),
        ({"model": "hrcnn"}, "is stale: "),
        ({"target": "sm86"}, " on sm86, and this machine has tensorrt "),
        ({"version": "10.0"}, "was built for tensorrt 10.0 on sm99, and this machine has "),
        ({"flavour": "rtx"}, "was built for rtx "),
        ({"graph": "420"}, "is of graph 420 in fp32, and was renamed; "),
        ({"precision": "fp16"}, "is of graph grey in fp16, and was renamed; "),
        ({"engine_bytes": 1000}, "bytes of 1000; "),
        ({"engine_sha256": "0"}, "was changed after it was built (its SHA-256 differs); "),
        ({"engine_sha256": "absent"}, "lacks engine_sha256; "),
        ({"engine_bytes": "many"}, "lacks engine_bytes; "),
        ({"format": 2}, "has another format than 1: upgrade jpegrt, or "),
    ],
)
def test_engines_that_are_refused(
    opened: Opened, engines: Path, changed: dict[str, str | int], said: str
) -> None:
    (sidecar,) = engines.glob("*.json")
    facts = json.loads(sidecar.read_text())
    changed = {name: value for name, value in {**facts, **changed}.items() if value != "absent"}
    sidecar.write_text(json.dumps(changed))
    why = run_grey(opened)
    assert said in why and f"{BUILD} fp32 -o {engines}" in why
    assert not (engines.parent / "log").exists()  # TensorRT saw nothing of it
    sidecar.write_text(json.dumps(facts))
    assert run_grey(opened) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "1"}'])
def test_sidecars_that_are_none(opened: Opened, engines: Path, text: str) -> None:
    (sidecar,) = engines.glob("*.json")
    sidecar.write_text(text)
    assert BUILD in run_grey(opened)
    sidecar.unlink()
    assert "which says what the engine is, cannot be read (it is not there); " in run_grey(opened)


def test_a_folder_without_such_engines(built: Built, engines: Path, bundle_folder: Path) -> None:
    folder = str(engines).encode()
    why = refusal(built, bundle_folder, engines=folder, precision=b"fp16")
    assert why.startswith(f"{engines} has no engine of cellnet in fp16 for tensorrt ")
    assert " on sm99; there is grey.fp32.tensorrt-" in why
    assert why.endswith(f"{BUILD} fp16 -o {engines}")
    nowhere = refusal(built, bundle_folder, engines=folder + b"/none", precision=b"int8")
    assert nowhere.endswith(f"{BUILD} int8 -o {engines}/none")


def test_the_cache_is_where_engines_are_sought(
    built: Built, engines: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(engines.parent / "cache"))
    cache = engines.parent / "cache/jpegrt/engines/cellnet"
    why = refusal(built, bundle_folder)
    assert why.startswith(f"{cache} has no engine") and why.endswith(f"{BUILD} fp32")
    shutil.copytree(engines, cache)
    engine = Opened(built, bundle_folder)
    assert run_grey(engine) == ""
    engine.close()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(engines.parent))
    assert refusal(built, bundle_folder).startswith(f"{engines.parent}/.cache/jpegrt/engines/")


def test_a_bundle_may_bring_its_engines(
    built: Built, engines: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are looked into: 420 is in the cache alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(engines.parent))
    shutil.copytree(engines, bundle_folder / "engines")
    write_engine(
        engines.parent / "jpegrt/engines/cellnet",
        "420",
        GREY,
        source=bundle_folder / "420.fp32.onnx",
    )
    engine = Opened(built, bundle_folder)
    assert run_grey(engine) == ""
    assert engine.run("420", grey(4, 4), restored(4, 4)) == ""
    assert f"{engines.parent}/jpegrt/engines/cellnet/444" in engine.run("444", {}, {})
    engine.close()


def test_the_lean_runtime_has_engines_of_its_own(
    built: Built, engines: Path, bundle_folder: Path
) -> None:
    lean = {"library": str(built.lean).encode(), "engines": str(engines).encode()}
    why = refusal(built, bundle_folder, **lean)
    assert " in fp32 for lean " in why and "run jpegrt build cellnet --flavour lean --target" in why
    source = bundle_folder / "grey.fp32.onnx"
    write_engine(engines, "grey", GREY, source=source, flavour="lean")
    engine = Opened(built, bundle_folder, **lean)
    assert run_grey(engine) == ""
    engine.close()


def test_precisions_are_the_modules_own(built: Built, engines: Path, bundle_folder: Path) -> None:
    """fp16 is none of the bundle's; its default, int8, is one of ours."""
    bundle = open_bundle(bundle_folder)
    assert "fp16" not in bundle.precisions and bundle.choose_precision(None) == "int8"
    folder = str(engines).encode()
    source = bundle_folder / "grey.int8.onnx"
    write_engine(engines, "grey", GREY, source=source, precision="int8")
    given = _native.EngineOptions(ct.sizeof(_native.EngineOptions), engines=folder)
    handle, engine = ct.c_void_p(), _native.Engine()
    check_create(lib.jpegrt_bundle_open(str(bundle_folder).encode(), ct.byref(handle)))
    module = str(built.module).encode()
    check_create(lib.jpegrt_engine_open(module, handle, ct.byref(given), ct.byref(engine)))
    engine.destroy(engine.user)
    lib.jpegrt_bundle_destroy(handle)
    with pytest.raises(NativeError, match="has no precision fp8: choose one of fp16, int8, fp32"):
        Opened(built, bundle_folder, engines=folder, precision=b"fp8")


def test_what_is_missing_is_named(
    built: Built, engines: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(engines).encode()
    assert "this engine module has TensorRT only" in refusal(
        built, bundle_folder, engines=folder, provider=b"CUDA"
    )
    gone = refusal(built, bundle_folder, engines=folder, device_index=7)
    assert "finds no such GPU on this machine (it has 1, counted from 0, and number 7 " in gone
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", "/nonexistent/libcuda.so.1")
    none = refusal(built, bundle_folder, engines=folder)
    assert "finds no such GPU on this machine (no CUDA driver: /nonexistent/libcuda.so.1" in none
    assert none.endswith("or open the engine module onnxruntime, which runs on the CPU")
    major = tensorrt_major()
    monkeypatch.setenv("FAKE_NVINFER", "old")
    assert refusal(built, bundle_folder, engines=folder) == (
        f"{built.library} is TensorRT 8.9.8.7, and this engine module was built for {major}: "
        "install that, or build the module with the headers of 8"
    )
    assert "it exports no createInferRuntime_INTERNAL" in refusal(
        built, bundle_folder, engines=folder, library=str(built.driver).encode()
    )
    monkeypatch.setenv("JPEGRT_TENSORRT", "/nonexistent/libnvinfer.so")
    why = refusal(built, bundle_folder, engines=folder)
    assert why.startswith(f"TensorRT {major} cannot be opened (/nonexistent/libnvinfer.so: cannot")
    assert "install it, and name its libnvinfer in JPEGRT_TENSORRT if" in why
    monkeypatch.delenv("JPEGRT_TENSORRT")
    if not shutil.which(f"libnvinfer.so.{major}"):
        assert f"libnvinfer_lean.so.{major}" in refusal(built, bundle_folder, engines=folder)


def test_the_vendors_own_library_refuses_a_driver_that_is_none(
    built: Built, engines: Path, bundle_folder: Path
) -> None:
    """The emulated one, which serves no CUDA runtime."""
    spec = find_spec("tensorrt_lean_libs")
    if not spec or not spec.origin:
        pytest.skip("no tensorrt_lean_libs: pip install tensorrt_lean_cu13_libs")
    (library,) = Path(spec.origin).parent.glob(f"libnvinfer_lean.so.{tensorrt_major()}")
    options = {"library": str(library).encode(), "engines": str(engines).encode()}
    version = refusal(built, bundle_folder, **options).split(" for lean ")[1].split(" on ")[0]
    source = bundle_folder / "grey.fp32.onnx"
    write_engine(engines, "grey", GREY, source=source, flavour="lean", version=version)
    engine = Opened(built, bundle_folder, **options)
    why = run_grey(engine)
    engine.close()
    assert why.startswith(f"TensorRT {version} ") and "CUDA" in why


@pytest.mark.gpu
def test_a_gpu_restores_as_the_cpu_does(
    built: Built, bundle_folder: Path, libjpeg: Libjpeg, tmp_path: Path
) -> None:
    """TensorRT's own builder and library, at two sizes and so in two profiles."""
    device, target = open_gpu(), device_target()
    spec = find_spec("tensorrt_libs")
    if not spec or not spec.origin:
        pytest.skip("no TensorRT: pip install 'jpegrt[tensorrt]'")
    library = Path(spec.origin).parent / f"libnvinfer.so.{tensorrt_major()}"
    profiles = [Profile("small", (1, 8, 8), (1, 32, 32), (1, 64, 64))]
    profiles.append(Profile("large", (1, 8, 8), (1, 128, 128), (1, 256, 256)))
    bundle = open_bundle(bundle_folder)
    request = BuildRequest(
        bundle, tmp_path, [str(target)], ["fp32"], profiles, "tensorrt", graphs=["grey"]
    )
    assert all(part.facts for part in build(request, print))
    session = open_session(
        built.module, bundle_folder, device, engines=str(tmp_path).encode(), library=library
    )
    python = Session("cellnet", engine="onnxruntime", precision="fp32")
    for size in [(40, 56), (200, 120), (40, 56)]:
        jpeg = libjpeg.encode(synthetic(*size, 1), quality=30)
        expected = python.restore(jpeg).astype(int)
        assert np.abs(restore_on(session, jpeg, device, size) - expected).max() <= 1
    lib.jpegrt_session_destroy(session)
    device.close()


@pytest.fixture
def device(built: Built) -> Iterator[Device]:
    opened = open_emulated(built.driver)
    yield opened
    gc.collect()
    opened.close()
    assert opened.held == 0


def test_a_session_restores_on_the_callers_stream(
    built: Built, engines: Path, bundle_folder: Path, libjpeg: Libjpeg, device: Device
) -> None:
    jpeg = libjpeg.encode(synthetic(40, 56, 1), quality=30)
    pipeline = Pipeline(open_bundle(bundle_folder).spec, Identity())
    expected = np.empty(pipeline.read(jpeg), np.uint8)
    pipeline.restore(expected)
    session = open_session(
        built.module, bundle_folder, device, engines=str(engines).encode(), library=built.library
    )
    for _ in range(2):
        np.testing.assert_array_equal(restore_on(session, jpeg, device, expected.shape), expected)
    lib.jpegrt_session_destroy(session)
    run = f"run 1x4x20x28 profile 1 stream {device.stream:#x}"
    assert log_of(engines) == ["engine", "context", run, run, "ended"]
