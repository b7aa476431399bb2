"""Fixtures that the runtime's tests share."""

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kernels.c_programs import ROOT, Libjpeg, build_tool
from tests.kernels.devices import Device, build_emulated_driver, open_emulated, open_gpu
from tests.runtime.command_line import CommandLine
from tests.runtime.embedding import Installation, install, onnxruntime_headers, run

from jpegrt.runtime.bundle import shipped_bundles


@pytest.fixture(scope="session")
def libjpeg(tmp_path_factory: pytest.TempPathFactory) -> Libjpeg:
    return Libjpeg(tmp_path_factory.mktemp("c_programs"))


@pytest.fixture(scope="session")
def emulated_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_emulated_driver(tmp_path_factory.mktemp("emulated_driver"))


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(
    request: pytest.FixtureRequest, emulated_driver: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    """A GPU, or the CPU behind an emulated driver, which sessions then open too."""
    if request.param == "emulated":
        monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(emulated_driver))
    opened = open_gpu() if request.param == "gpu" else open_emulated(emulated_driver)
    yield opened
    gc.collect()  # sessions that exceptions refer to
    opened.close()
    if opened.emulated:
        assert opened.held == 0


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    """A copy of the default model, to be tampered with."""
    return Path(shutil.copytree(shipped_bundles() / "cellnet", tmp_path / "bundle"))


@pytest.fixture
def jpegrt(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Built once for all tests: it takes half a minute, so these are slow tests."""
    return install(tmp_path_factory.mktemp("installation"))


@pytest.fixture(scope="session")
def pretending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/c/pretend_onnxruntime.c"""
    path = tmp_path_factory.mktemp("pretending") / "libonnxruntime.so"
    flags = ("-D_GNU_SOURCE", "-fPIC", "-shared", f"-I{onnxruntime_headers()}")
    source = ROOT / "tests/c/pretend_onnxruntime.c"
    run(build_tool("cc"), *flags, source, "-o", path, "-ldl")
    return path


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/cuda/emulated_driver.cpp"""
    return build_emulated_driver(tmp_path_factory.mktemp("emulated_driver"))


@pytest.fixture(autouse=True)
def _no_fetched_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user who runs the tests has fetched is not part of them."""
    monkeypatch.setenv("JPEGRT_MODELS", str(tmp_path / "fetched-models"))
