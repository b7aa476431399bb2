"""Engines that are missing are built, by a command in a process of its own, once."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.export.fake_tensorrt import FakeTensorRt
from tests.kernels.c_programs import ROOT, Libjpeg
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.fake_cuda_core import FakeCudaCore
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.runtime import Session, UsageError, engine_search
from jpegrt.runtime.bundle import find_bundle, open_bundle
from jpegrt.runtime.engine_files import engine_cache, sidecar_of
from jpegrt.runtime.engine_search import EngineSearch, Runner

# In place of the vendor's module, in processes of their own; it counts what it builds.
STAND_IN = """
import sys
from tests.export.fake_tensorrt import FakeTensorRt

module = FakeTensorRt("rtx", seconds=0.5)
make = module.Builder

def builder(log):
    with open({log!r}, "a") as file:
        print("built", file=file)
    return make(log)

module.Builder = builder
sys.modules[__name__] = module
"""
READ = """
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.engine_search import EngineSearch, Runner

EngineSearch(find_bundle("cellnet"), "fp32", Runner("rtx", "1.7.1", "sm86")).read("grey")
"""


class Builds:
    def __init__(self, folder: Path) -> None:
        self._log = folder / "builds"
        (folder / "tensorrt_rtx.py").write_text(STAND_IN.format(log=str(self._log)))

    @property
    def count(self) -> int:
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    """A user's cache of its own, and the stand-in for what processes import."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(engine_search, "_failures", {})
    return Builds(folder)


@pytest.fixture
def quiet() -> Iterator[None]:
    """The command line's own handler is for this test alone."""
    log = logging.getLogger("jpegrt")
    yield
    for handler in list(log.handlers):
        log.removeHandler(handler)


@pytest.fixture
def emulated(emulated_driver: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCudaCore:
    """A device for stand-ins."""
    core = FakeCudaCore()
    for name, module in (("tensorrt_rtx", FakeTensorRt("rtx", core=core)), ("cuda.core", core)):
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(emulated_driver))
    return core


def search(target: str = "sm86") -> EngineSearch:
    return EngineSearch(find_bundle("cellnet"), "fp32", Runner("rtx", "1.7.1", target))


def test_processes_at_once_build_once(builds: Builds) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", READ]) for _ in range(2)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    assert builds.count == 1
    engine, content = search().read("grey")
    assert engine == engine_cache("cellnet") / "grey.fp32.rtx-1.7.1.sm86.engine"
    assert builds.count == 1
    # What was damaged is built anew.
    engine.write_bytes(content[:-1])
    assert search().read("grey") == (engine, content)
    assert builds.count == 2
    assert {path.name for path in engine.parent.iterdir()} == {
        engine.name,
        sidecar_of(engine).name,
    }


def test_a_build_that_failed_is_not_tried_for_every_image(
    builds: Builds, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jpegrt")
    command = "build cellnet --flavour rtx --target sm90 --precision fp32 --graph grey"
    for _ in range(2):
        with pytest.raises(UsageError) as caught:
            search("sm90").read("grey")
        assert str(caught.value) == (
            f"the engine could not be built by jpegrt {command}: TensorRT for RTX 1.7.1 has no "
            "target sm90: choose one of sm75, sm86"
        )
    assert caplog.messages[0] == f"building an engine, once: jpegrt {command}"
    assert sum("building" in message for message in caplog.messages) == 1
    assert builds.count == 0


def test_a_failure_does_not_stand_for_ever(
    builds: Builds, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cause may have been cured: here the cache cannot be written to, and then it can."""
    caplog.set_level(logging.INFO, "jpegrt")
    folder = engine_cache("cellnet")
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    with pytest.raises(UsageError, match="cannot be made"):
        search().read("grey")
    folder.unlink()
    with pytest.raises(UsageError, match="cannot be made"):
        search().read("grey")
    assert sum("building" in message for message in caplog.messages) == 1
    later = 1e6 + time.monotonic()
    monkeypatch.setattr("jpegrt.runtime.engine_search.time.monotonic", lambda: later)
    assert search().read("grey")[0].parent == folder
    assert builds.count == 1


def test_the_reason_of_a_graphs_failure_is_told(
    builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"sm75\.engine: no engine could be built: FP32 GEMM is"):
        search("sm75").read("grey")


def test_a_folder_that_was_named_is_not_written_to(builds: Builds, tmp_path: Path) -> None:
    named = EngineSearch(
        find_bundle("cellnet"), "fp32", Runner("rtx", "1.7.1", "sm86"), tmp_path / "engines"
    )
    with pytest.raises(UsageError, match="has no engine of cellnet's graph grey in fp32"):
        named.read("grey")
    assert builds.count == 0 and not (tmp_path / "engines").exists()


@pytest.mark.usefixtures("quiet")
def test_restore_needs_nothing_else(
    builds: Builds,
    emulated: FakeCudaCore,
    libjpeg: Libjpeg,
    tmp_path: Path,
    jpegrt: CommandLine,
) -> None:
    jpeg = libjpeg.encode(synthetic(40, 56, 1))
    (tmp_path / "a.jpg").write_bytes(jpeg)
    command = ("restore", tmp_path / "a.jpg", "-o", tmp_path / "a.png", "--engine", "rtx")
    outcome = jpegrt(*command, "--precision", "fp32", "--device", "0")
    assert outcome.code == 0, outcome.err
    lines = outcome.err.splitlines()
    assert lines[0] == (
        "jpegrt: building an engine, once: jpegrt build cellnet --flavour rtx --target sm86 "
        "--precision fp32 --graph grey"
    )
    assert lines[1].startswith("jpegrt: [1/1] grey.fp32.rtx-1.7.1.sm86.engine: ")
    assert builds.count == 1
    expected = Session("cellnet", engine="onnxruntime", precision="fp32").restore(jpeg)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)


def test_a_bundles_own_engines_come_first(
    builds: Builds, tmp_path: Path, bundle_folder: Path
) -> None:
    built = search().read("grey")[0]
    bundle = open_bundle(bundle_folder)
    shutil.copytree(built.parent, bundle_folder / "engines")
    assert EngineSearch(bundle, "fp32", search().runner).read("grey")[0] == (
        bundle_folder / "engines" / built.name
    )
    assert builds.count == 1


@pytest.mark.usefixtures("quiet")
def test_verify_takes_engines(
    builds: Builds, emulated: FakeCudaCore, tmp_path: Path, jpegrt: CommandLine
) -> None:
    """On host tensors, which the engine copies."""
    folder = write_pixel_bundle(tmp_path / "small")
    outcome = jpegrt("verify", folder, "--engine", "rtx", "--precision", "fp32", "--quality", "40")
    assert outcome.code == 0, outcome.err
    assert "small-rgb-x1 fp32 on rtx, against fp32 on onnxruntime" in outcome.out
    assert "passes: 0.0000 dB lost" in outcome.out
    assert f"jpegrt build {folder} --flavour rtx" in outcome.err
    assert builds.count == 1
