"""The CUDA example: it compiles wherever nvcc is, and restores where a GPU is."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.kernels.c_programs import INCLUDE, ROOT, Libjpeg
from tests.kernels.devices import open_gpu, require_nvcc
from tests.kernels.engines import Identity, full_model
from tests.kernels.images import synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import Pipeline, _native

EXAMPLE = ROOT / "runtime/examples/restore_async.cu"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nvcc = require_nvcc()
    library = Path(_native.lib._name).resolve()
    built = tmp_path_factory.mktemp("restore_async") / "restore_async"
    options = ["-std=c++17", "-Werror", "all-warnings", f"-I{INCLUDE}", "-arch=sm_75"]
    # As the linker's: nvcc itself knows no file called .so.0.1
    link = ["-Xlinker", str(library), "-Xlinker", f"-rpath={library.parent}"]
    command = [str(nvcc), *options, str(EXAMPLE), *link, "-o", str(built)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return built


def run(program: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [str(part) for part in (program, *arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_without_a_driver(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", "/nonexistent/libcuda.so.1")
    result = run(program, tmp_path / "in.jpg", tmp_path / "out.pnm")
    assert result.returncode == 1
    assert "in.jpg: no CUDA driver: " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out.pnm").exists()
    assert run(program).returncode == 2


@pytest.mark.gpu
@pytest.mark.parametrize("sampling", ["grey", "4:4:4", "4:2:2", "4:4:0", "4:2:0", "4:1:1"])
def test_restores_as_the_cpu_does(
    program: Path, libjpeg: Libjpeg, tmp_path: Path, sampling: str
) -> None:
    open_gpu().close()
    channels = 1 if sampling == "grey" else 3
    for size in [(1, 1), (33, 17), (50, 71)]:
        jpeg = libjpeg.encode(synthetic(*size, channels=channels), SAMPLINGS.get(sampling, ""))
        pipeline = Pipeline(full_model(2), Identity())
        expected = np.empty(pipeline.read(jpeg), np.uint8)
        pipeline.restore(expected)
        (tmp_path / "in.jpg").write_bytes(jpeg)
        result = run(program, tmp_path / "in.jpg", tmp_path / "out.pnm")
        assert result.returncode == 0, result.stderr
        header, pixels = (tmp_path / "out.pnm").read_bytes().split(b"255\n", 1)
        assert header == f"P{5 if channels == 1 else 6} {size[1]} {size[0]} ".encode()
        np.testing.assert_array_equal(
            np.frombuffer(pixels, np.uint8).reshape(expected.shape), expected
        )
