"""ONNX Runtime's providers for GPUs: as they are where there is one, and behind an emulated driver
with an ONNX Runtime that takes the CPU for its GPU."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from tests.kernels.c_programs import Libjpeg
from tests.kernels.devices import REQUIRE_GPU, Device
from tests.kernels.images import synthetic

from jpegrt.runtime import RestoreError, Session, UsageError
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.engines import create_engine, onnx_runtime

CUDA, TENSORRT, CPU = (f"{name}ExecutionProvider" for name in ("CUDA", "Tensorrt", "CPU"))


class Pretending:
    """taken: the providers that its sessions say they have; asked: those that were asked for."""

    def __init__(self) -> None:
        self.taken = [TENSORRT, CUDA, CPU]
        self.asked: list[list[tuple[str, dict[str, str]]]] = []
        self.module = SimpleNamespace(
            SessionOptions=ort.SessionOptions,
            RunOptions=ort.RunOptions,
            InferenceSession=self.session,
            get_available_providers=lambda: [TENSORRT, CUDA, CPU],
        )

    def session(self, model: bytes, options: Any, *, providers: Any, enable_fallback: int) -> Any:
        assert not enable_fallback
        self.asked.append(providers)
        real = ort.InferenceSession(model, options, providers=[CPU])

        class Binding:
            def __init__(self) -> None:
                self.real = real.io_binding()

            def bind_input(self, name: str, place: str, device: int, *rest: Any) -> None:
                assert (place, device) in (("cuda", 0), ("cpu", 0))
                self.real.bind_input(name, "cpu", 0, *rest)

            def bind_output(self, name: str, place: str, device: int, *rest: Any) -> None:
                self.real.bind_output(name, "cpu", 0, *rest)

        return SimpleNamespace(
            io_binding=Binding,
            get_providers=lambda: self.taken,
            run_with_iobinding=lambda binding, _: real.run_with_iobinding(binding.real),
        )


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch) -> Pretending:
    pretending = Pretending()
    monkeypatch.setattr(onnx_runtime, "ort", pretending.module)
    return pretending


@pytest.fixture
def runtime(device: Device, request: pytest.FixtureRequest) -> Pretending | None:
    """None is the real one."""
    if device.emulated:
        pretending: Pretending = request.getfixturevalue("pretending")
        return pretending
    if CUDA not in ort.get_available_providers():
        assert not REQUIRE_GPU, "onnxruntime-gpu is not installed: jpegrt[gpu]"
        pytest.skip("onnxruntime-gpu is not installed")
    return None


@pytest.mark.parametrize("engine", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
@pytest.mark.parametrize("sampling", ["grey", "2x2,1x1,1x1"])
def test_the_cpus_pixels(
    device: Device, runtime: Pretending | None, libjpeg: Libjpeg, engine: str, sampling: str
) -> None:
    if not runtime and engine == "onnxruntime-tensorrt" and not REQUIRE_GPU:
        pytest.importorskip("tensorrt")
    channels = 1 if sampling == "grey" else 3
    session = Session("cellnet", engine=engine, precision="fp32", threads=1)
    cpu = Session("cellnet", engine="openvino", precision="fp32", threads=1)
    for size in [(40, 56), (40, 56), (24, 16)]:
        jpeg = libjpeg.encode(synthetic(*size, channels), "" if channels == 1 else sampling)
        difference = np.abs(session.restore(jpeg).astype(int) - cpu.restore(jpeg))
        assert difference.max() <= 1
    assert session.engine_name == engine
    if runtime:
        (providers,) = runtime.asked  # loaded once
        expected = [CUDA] if engine == "onnxruntime-cuda" else [TENSORRT, CUDA]
        assert [name for name, _ in providers] == expected
        for _, options in providers:
            assert options["device_id"] == "0"
            assert int(options["user_compute_stream"]) > 1  # the session's own
        assert providers[-1][1]["use_tf32"] == "0"


def test_another_stream_loads_again(device: Device, pretending: Pretending) -> None:
    if not device.emulated:
        pytest.skip("it is the pretending one that counts")
    engine = create_engine("onnxruntime-cuda", find_bundle("cellnet"), "fp32", 1)
    inputs = {
        "luma": device.filled((1, 4, 8, 8), np.float32, 0),
        "steps": device.filled((1, 64), np.float32, 16),
    }
    outputs = {"luma_restored": device.empty((1, 4, 8, 8), np.float32)}
    for stream in (device.stream, device.stream, 0):
        engine.run("grey", inputs, outputs, stream)  # type: ignore[arg-type, call-arg]
    streams = [int(asked[0][1]["user_compute_stream"]) for asked in pretending.asked]
    assert streams == [device.stream, 1]  # which names the default one


def test_a_provider_that_is_not_taken_is_an_error(
    pretending: Pretending,
    emulated_driver: object,
    monkeypatch: pytest.MonkeyPatch,
    libjpeg: Libjpeg,
) -> None:
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(emulated_driver))
    jpeg = libjpeg.encode(synthetic(8, 8, 1))
    pretending.taken = [CPU]
    for engine, provider in (("onnxruntime-cuda", CUDA), ("onnxruntime-tensorrt", TENSORRT)):
        said = f"did not take {provider} for graph grey, only CPUExecutionProvider: install the"
        with pytest.raises(RestoreError, match=said):
            Session("cellnet", engine=engine).restore(jpeg)
    pretending.taken = [CUDA, CPU]
    with pytest.raises(RestoreError, match=f"{TENSORRT} for graph grey, only {CUDA}, {CPU}"):
        Session("cellnet", engine="onnxruntime-tensorrt").restore(jpeg)


def test_a_runtime_without_the_provider(
    emulated_driver: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(emulated_driver))
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["Azure", CPU])
    with pytest.raises(UsageError) as caught:
        Session("cellnet", engine="onnxruntime-cuda")
    assert str(caught.value) == (
        f"this ONNX Runtime was built without {CUDA}, it has Azure, {CPU}: run "
        "pip uninstall onnxruntime, then pip install 'jpegrt[gpu]'"
    )


def test_the_real_one_does_not_fall_back() -> None:
    """However it goes on without a provider that it cannot start, that is an error."""
    code = """
import numpy, warnings
from unittest.mock import patch
from jpegrt.runtime import RestoreError
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.engines import create_engine, onnx_runtime
warnings.simplefilter("ignore")
with patch.object(onnx_runtime.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"]):
    engine = create_engine("onnxruntime-cuda", find_bundle("cellnet"), "fp32", 1, device=99)
zeros = {"luma": numpy.zeros((1, 4, 8, 8), "f"), "steps": numpy.ones((1, 64), "f")}
try:
    engine.run("grey", zeros, {"luma_restored": numpy.empty((1, 4, 8, 8), "f")})
except RestoreError as error:
    assert "CUDAExecutionProvider" in str(error), error
else:
    raise AssertionError("it ran")
"""
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
