"""The engine module for ONNX Runtime in a session on CUDA: behind an emulated driver, with an ONNX
Runtime that takes the CPU for its GPU."""

import ctypes as ct
import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import INCLUDE, ROOT, Libjpeg, build_tool
from tests.kernels.devices import Device, open_emulated
from tests.kernels.images import synthetic
from tests.runtime.embedding import onnxruntime_headers, onnxruntime_library, run

from jpegrt.kernels import NativeError, Status, _native
from jpegrt.kernels._native import check_create, lib
from jpegrt.runtime.bundle import shipped_bundles

CELLNET = shipped_bundles() / "cellnet"


@pytest.fixture
def device(driver: Path) -> Iterator[Device]:
    opened = open_emulated(driver)
    yield opened
    gc.collect()
    opened.close()
    assert opened.held == 0


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runtime/engine_modules/onnxruntime.cpp"""
    built = tmp_path_factory.mktemp("module") / "libjpegrt_onnxruntime.so"
    source = ROOT / "runtime/engine_modules/onnxruntime.cpp"
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", f"-I{INCLUDE}"]
    headers = ["-isystem", str(onnxruntime_headers())]
    run(build_tool("c++"), *flags, *headers, source, "-ldl", "-o", built)
    return built


class Session:
    """A native session with the shipped bundle. Raises NativeError."""

    def __init__(
        self, module: Path, provider: bytes, library: Path, device: Device | None = None
    ) -> None:
        self._handle = ct.c_void_p()
        options = _native.SessionOptions(
            ct.sizeof(_native.SessionOptions),
            1,
            _native.ReadOptions(ct.sizeof(_native.ReadOptions), 0, 0),
            cuda=device.kernels.handle if device else None,
        )
        engine = _native.EngineOptions(
            ct.sizeof(_native.EngineOptions),
            threads=1,
            precision=b"fp32",
            provider=provider,
            library=str(library).encode(),
        )
        status = lib.jpegrt_session_open(
            str(CELLNET).encode(),
            str(module).encode(),
            ct.byref(options),
            ct.byref(engine),
            ct.byref(self._handle),
        )
        check_create(status)

    def __del__(self) -> None:
        lib.jpegrt_session_destroy(self._handle)

    def read(self, jpeg: bytes) -> NDArray[np.uint8]:
        """An array for its pixels."""
        image = _native.Image()
        self._check(lib.jpegrt_session_read(self._handle, jpeg, len(jpeg), ct.byref(image)))
        return np.full((image.height, image.width * image.components), 99, np.uint8)

    def restore(self, jpeg: bytes) -> NDArray[np.uint8]:
        pixels = self.read(jpeg)
        self._check(lib.jpegrt_session_restore(self._handle, pixels.ctypes.data, pixels.strides[0]))
        return pixels

    def restore_device(self, jpeg: bytes, device: Device, stream: int) -> NDArray[np.uint8]:
        pixels = self.read(jpeg)
        out = device.upload(pixels)
        self._check(
            lib.jpegrt_session_restore_device(
                self._handle, out.pointer, pixels.strides[0], _native.Dtype.UINT8, stream
            )
        )
        return device.download(out)

    def _check(self, status: int) -> None:
        if status:
            raise NativeError(status, lib.jpegrt_session_message(self._handle).decode())


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an ONNX Runtime that takes the CPU for its GPU writes down."""
    monkeypatch.setenv("REAL_ONNXRUNTIME", str(onnxruntime_library()))
    monkeypatch.setenv("PRETEND", "host")
    monkeypatch.setenv("PRETEND_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.mark.parametrize("sampling", ["grey", "2x2,1x1,1x1", "4x1,1x1,1x1"])
def test_the_cpus_pixels(
    device: Device, module: Path, pretending: Path, log: Path, libjpeg: Libjpeg, sampling: str
) -> None:
    grey = sampling == "grey"
    jpeg = libjpeg.encode(synthetic(40, 56, 1 if grey else 3), "" if grey else sampling)
    expected = Session(module, b"CPU", onnxruntime_library()).restore(jpeg)
    session = Session(module, b"CUDA", pretending, device)
    np.testing.assert_array_equal(session.restore_device(jpeg, device, device.stream), expected)
    np.testing.assert_array_equal(session.restore_device(jpeg, device, device.stream), expected)
    np.testing.assert_array_equal(session.restore_device(jpeg, device, 0), expected)
    lines = log.read_text().splitlines()
    assert lines == [
        f"user_compute_stream {device.stream:#x}",
        "enqueued (nil)",
        "enqueued (nil)",
        "user_compute_stream 0x1",  # which names the default stream
        "enqueued (nil)",
    ]
    np.testing.assert_array_equal(session.restore(jpeg), expected)


def test_a_gpus_provider_takes_host_tensors(
    module: Path, pretending: Path, log: Path, libjpeg: Libjpeg
) -> None:
    jpeg = libjpeg.encode(synthetic(24, 16, 1))
    session = Session(module, b"CUDA", pretending)
    expected = Session(module, b"CPU", onnxruntime_library()).restore(jpeg)
    np.testing.assert_array_equal(session.restore(jpeg), expected)
    assert log.read_text().splitlines() == ["run (nil)"]


def test_the_cpus_provider_refuses_device_tensors(
    device: Device, module: Path, libjpeg: Libjpeg
) -> None:
    session = Session(module, b"CPU", onnxruntime_library(), device)
    with pytest.raises(NativeError) as raised:
        session.restore(libjpeg.encode(synthetic(24, 16, 1)))
    assert raised.value.status is Status.ENGINE
    assert str(raised.value) == (
        "this engine runs on the CPU, and the session's tensors are on a GPU: "
        "open it with the provider CUDA or TensorRT, or make the session without cuda"
    )
