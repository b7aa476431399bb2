"""Engine modules: opened by path or name, asked in words, and never more than was promised."""

import ctypes as ct
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import ROOT, STRICT_C99, Libjpeg, build_tool
from tests.kernels.images import synthetic
from tests.runtime.embedding import (
    Installation,
    attempt,
    onnxruntime_library,
    run,
)

from jpegrt.kernels import NativeError, Status, _native
from jpegrt.kernels._native import check_create, lib
from jpegrt.runtime import Session
from jpegrt.runtime.bundle import open_bundle, shipped_bundles

CELLNET = shipped_bundles() / "cellnet"
ONNXRUNTIME = str(onnxruntime_library())


def engine_options(**values: bytes | int) -> _native.EngineOptions:
    return _native.EngineOptions(ct.sizeof(_native.EngineOptions), **values)


def session_options(threads: int) -> _native.SessionOptions:
    read = _native.ReadOptions(ct.sizeof(_native.ReadOptions), 0, 0)
    return _native.SessionOptions(ct.sizeof(_native.SessionOptions), threads, read)


@contextmanager
def opened(
    module: Path | str,
    options: _native.EngineOptions | None = None,
    *,
    folder: Path = CELLNET,
    threads: int = 0,
) -> Iterator[ct.c_void_p]:
    """A native session. Raises NativeError."""
    handle = ct.c_void_p()
    status = lib.jpegrt_session_open(
        str(folder).encode(),
        str(module).encode(),
        ct.byref(session_options(threads)),
        ct.byref(options) if options else None,
        ct.byref(handle),
    )
    check_create(status)
    try:
        yield handle
    finally:
        lib.jpegrt_session_destroy(handle)


def restore(session: ct.c_void_p, jpeg: bytes) -> NDArray[np.uint8]:
    """Raises NativeError."""

    def check(status: int) -> None:
        if status:
            raise NativeError(status, lib.jpegrt_session_message(session).decode())

    image = _native.Image()
    check(lib.jpegrt_session_read(session, jpeg, len(jpeg), ct.byref(image)))
    shape = (image.height, image.width, image.components)
    pixels = np.zeros(shape, np.uint8)
    check(lib.jpegrt_session_restore(session, pixels.ctypes.data, shape[1] * shape[2]))
    return pixels.squeeze()


def refusal(module: Path | str, **options: bytes | int) -> tuple[Status, str]:
    with pytest.raises(NativeError) as caught, opened(module, engine_options(**options)):
        pass
    assert str(caught.value).isprintable()
    return caught.value.status, str(caught.value)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/c/probe_module.c"""
    return build_probe(tmp_path_factory.mktemp("probe"))


def build_probe(folder: Path, *flags: str) -> Path:
    module = folder / "libjpegrt_probe.so"
    include = f"-I{ROOT / 'kernels/include'}"
    source = ROOT / "tests/c/probe_module.c"
    run(build_tool("cc"), *STRICT_C99, *flags, "-fPIC", "-shared", include, source, "-o", module)
    return module


def test_a_module_gets_what_was_asked_for(probe: Path, libjpeg: Libjpeg, tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = engine_options(
        threads=3, precision=b"fp32", library=str(log).encode(), device_index=5, engines=b"here"
    )
    with opened(probe, options) as session:
        assert restore(session, libjpeg.encode(synthetic(16, 24, 1))).shape == (16, 24)
        assert "destroyed" not in log.read_text()
    size = len(open_bundle(CELLNET).read_graph("grey", "fp32"))
    digest = hashlib.sha256((CELLNET / "grey.fp32.onnx").read_bytes()).hexdigest()
    assert log.read_text().splitlines() == [
        "cellnet fp32 on CPU, 3 threads, device 5",
        f"engines in here, bundle in {CELLNET}/, {digest}, no more",
        f"run grey, {size} bytes",
        "model cellnet has no graph no such graph in fp32",
        "destroyed",
    ]


def test_a_module_may_have_precisions_of_its_own(tmp_path: Path) -> None:
    """The bundle has fp32 and, by default, int8."""
    module, log = build_probe(tmp_path, "-DOWN_PRECISIONS"), tmp_path / "log"
    for asked in ({}, {"precision": b"fp16"}, {"precision": b"fp32"}):
        with opened(module, engine_options(library=str(log).encode(), **asked)):
            pass
    made = [line for line in log.read_text().splitlines() if line.startswith("cellnet ")]
    assert [line.split()[1] for line in made] == ["fp16", "fp16", "fp32"]
    status, sentence = refusal(module, precision=b"int8")
    assert status is Status.INVALID_ARGUMENT
    assert sentence.endswith("has no precision int8: choose one of fp16, fp32")


@pytest.mark.parametrize(("session_threads", "engine_threads", "expected"), [(3, 0, 3), (3, 2, 2)])
def test_threads(
    probe: Path, tmp_path: Path, session_threads: int, engine_threads: int, expected: int
) -> None:
    log = tmp_path / "log"
    options = engine_options(threads=engine_threads, library=str(log).encode())
    with opened(probe, options, threads=session_threads):
        pass
    assert f"{expected} threads" in log.read_text()


def test_an_engine_outlives_its_bundle(probe: Path, libjpeg: Libjpeg, tmp_path: Path) -> None:
    log = tmp_path / "log"
    bundle, engine, session = ct.c_void_p(), _native.Engine(), ct.c_void_p()
    check_create(lib.jpegrt_bundle_open(str(CELLNET).encode(), ct.byref(bundle)))
    options = engine_options(library=str(log).encode())
    status = lib.jpegrt_engine_open(
        str(probe).encode(), bundle, ct.byref(options), ct.byref(engine)
    )
    check_create(status)
    model = lib.jpegrt_bundle_model(bundle)
    check_create(lib.jpegrt_session_create(None, model, ct.byref(engine), ct.byref(session)))
    lib.jpegrt_bundle_destroy(bundle)
    restore(session, libjpeg.encode(synthetic(16, 24, 1)))
    lib.jpegrt_session_destroy(session)
    assert log.read_text().splitlines()[-1] == "destroyed"


def test_a_session_that_cannot_be_made_destroys_the_engine(probe: Path, tmp_path: Path) -> None:
    log, handle = tmp_path / "log", ct.c_void_p()
    options = engine_options(library=str(log).encode())
    status = lib.jpegrt_session_open(
        str(CELLNET).encode(),
        str(probe).encode(),
        ct.byref(session_options(1025)),
        ct.byref(options),
        ct.byref(handle),
    )
    assert status == Status.INVALID_ARGUMENT
    assert b"1024 threads" in lib.jpegrt_create_message()
    # Either it was never made, or it is gone.
    assert not log.exists() or log.read_text().endswith("destroyed\n")


@pytest.mark.parametrize(
    ("provider", "status", "said"),
    [
        (b"refusing", Status.UNSUPPORTED, "no thank you"),
        (b"silent", Status.ENGINE, "the engine module failed without a message"),
        (b"idle", Status.ENGINE, "made no engine"),
    ],
)
def test_modules_that_fail(probe: Path, provider: bytes, status: Status, said: str) -> None:
    found, sentence = refusal(probe, provider=provider)
    assert found is status
    assert said in sentence


def test_modules_that_are_none(tmp_path: Path) -> None:
    status, sentence = refusal("nonesuch")
    assert status is Status.ENGINE
    assert sentence.startswith("engine module nonesuch cannot be opened (")
    assert "libjpegrt_nonesuch.so: cannot open shared object file" in sentence
    assert sentence.endswith("install it beside libjpegrt, or give its path")
    assert "cannot be opened" in refusal(tmp_path / "module.so")[1]
    assert "exports no jpegrt_engine_module_open" in refusal(ONNXRUNTIME)[1]


def test_options_are_checked(probe: Path) -> None:
    assert refusal(probe, precision=b"fp8") == (
        Status.INVALID_ARGUMENT,
        "model cellnet has no precision fp8: choose one of fp32, int8",
    )
    assert "1024 threads" in refusal(probe, threads=1025)[1]
    options = engine_options()
    options.struct_size -= 1
    with pytest.raises(NativeError, match="struct_size"), opened(probe, options):
        pass
    assert lib.jpegrt_engine_open(None, None, None, None) == Status.INVALID_ARGUMENT
    assert lib.jpegrt_session_open(None, None, None, None, None) == Status.INVALID_ARGUMENT


def test_a_missing_bundle(probe: Path, tmp_path: Path) -> None:
    with pytest.raises(NativeError) as caught, opened(probe, folder=tmp_path):
        pass
    assert caught.value.status is Status.BUNDLE
    assert str(caught.value).startswith(f"{tmp_path}/manifest.json cannot be read")


# ---- onnxruntime


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPEGRT_ONNXRUNTIME", ONNXRUNTIME)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    ("sampling", "channels"),
    [("", 1), ("2x2,1x1,1x1", 3), ("2x1,1x1,1x1", 3), ("1x1,1x1,1x1", 3), ("4x1,1x1,1x1", 3)],
)
def test_the_same_pixels_as_from_python(
    installation: Installation,
    libjpeg: Libjpeg,
    library: None,
    precision: str,
    sampling: str,
    channels: int,
) -> None:
    options = engine_options(precision=precision.encode(), threads=2)
    python = Session("cellnet", engine="onnxruntime", precision=precision, threads=2)
    with opened(installation.module, options, threads=2) as session:
        for size in [(40, 56), (9, 7), (72, 24)]:
            jpeg = libjpeg.encode(synthetic(*size, channels), sampling, quality=30)
            np.testing.assert_array_equal(restore(session, jpeg), python.restore(jpeg))


@pytest.mark.slow
def test_the_library_is_an_option_too(installation: Installation, libjpeg: Libjpeg) -> None:
    with opened(installation.module, engine_options(library=ONNXRUNTIME.encode())) as session:
        assert restore(session, libjpeg.encode(synthetic(8, 8, 1))).shape == (8, 8)


@pytest.mark.slow
def test_libraries_that_are_none(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JPEGRT_ONNXRUNTIME", str(tmp_path / "none.so"))
    status, sentence = refusal(installation.module)
    assert status is Status.ENGINE
    assert sentence.startswith(f"ONNX Runtime cannot be opened ({tmp_path}/none.so: cannot open")
    assert "install it, and name its libonnxruntime in JPEGRT_ONNXRUNTIME" in sentence
    other = str(installation.library)
    assert "exports no OrtGetApiBase" in refusal(installation.module, library=other.encode())[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (b"CUDA", "was built without CUDAExecutionProvider, it has "),
        (b"TensorRT", "was built without TensorrtExecutionProvider, it has "),
        (b"cpu", "unknown execution provider cpu: choose CPU, CUDA or TensorRT"),
    ],
)
def test_providers_that_are_not_there(
    installation: Installation, library: None, provider: bytes, said: str
) -> None:
    status, sentence = refusal(installation.module, provider=provider)
    assert status is Status.ENGINE
    assert said in sentence


@pytest.fixture
def program(installation: Installation, tmp_path: Path, libjpeg: Libjpeg) -> list[str | Path]:
    """A command that opens a session with the module, in a process of its own."""
    (tmp_path / "grey.jpg").write_bytes(libjpeg.encode(synthetic(8, 8, 1)))
    return [
        installation.build / "restore_many",
        CELLNET,
        installation.module,
        tmp_path / "grey.jpg",
    ]


@pytest.mark.slow
def test_an_old_library_is_refused_in_silence(program: list[str | Path], pretending: Path) -> None:
    environment = {
        "JPEGRT_ONNXRUNTIME": str(pretending),
        "REAL_ONNXRUNTIME": ONNXRUNTIME,
        "PRETEND": "old",
    }
    result = attempt(*program, "1", "1", environment=environment)
    assert result.returncode == 1
    first = result.stderr.splitlines()[0]
    assert first == f"{pretending} is ONNX Runtime 1.16.3, which is too old: install 1.20 or newer"


@pytest.mark.slow
def test_a_provider_that_is_not_taken_is_an_error(
    installation: Installation,
    pretending: Path,
    libjpeg: Libjpeg,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REAL_ONNXRUNTIME", ONNXRUNTIME)
    monkeypatch.setenv("PRETEND", "silent")
    options = engine_options(provider=b"CUDA", library=str(pretending).encode())
    not_taken = "did not take the execution provider CUDA: "
    with (
        opened(installation.module, options) as session,
        pytest.raises(NativeError, match=not_taken) as caught,
    ):
        restore(session, libjpeg.encode(synthetic(8, 8, 1)))
    assert caught.value.status is Status.ENGINE


@pytest.mark.slow
def test_graphs_that_cannot_run(
    installation: Installation, bundle_folder: Path, libjpeg: Libjpeg, library: None
) -> None:
    jpeg = libjpeg.encode(synthetic(8, 8, 1))
    (bundle_folder / "grey.int8.onnx").write_bytes(b"not ONNX")
    with opened(installation.module, folder=bundle_folder) as session:
        with pytest.raises(NativeError, match="SHA-256 differs") as caught:
            restore(session, jpeg)
        assert caught.value.status is Status.ENGINE
    manifest = json.loads((bundle_folder / "manifest.json").read_text())
    for content, said in [  # what is no graph, and one that wants other tensors
        (b"not ONNX", "grey.int8.onnx is not ONNX; export or install the model again"),
        (b"", "ONNX Runtime cannot load graph grey: "),
        ((bundle_folder / "420.int8.onnx").read_bytes(), "ONNX Runtime failed on graph grey: "),
    ]:
        (bundle_folder / "grey.int8.onnx").write_bytes(content)
        manifest["files"]["grey.int8.onnx"]["sha256"] = hashlib.sha256(content).hexdigest()
        (bundle_folder / "manifest.json").write_text(json.dumps(manifest))
        with (
            opened(installation.module, folder=bundle_folder) as session,
            pytest.raises(NativeError, match=said),
        ):
            restore(session, jpeg)
