"""The GPU benchmark without a GPU: its dry run, and all of it on an emulated driver."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.kernels.devices import build_emulated_driver, open_emulated

SCRIPT = Path(__file__).parents[2] / "scripts/benchmark_cuda.py"


def run(*arguments: str, driver: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"JPEGRT_CUDA_DRIVER": str(driver)},
    )


def test_dry_run() -> None:
    result = run("--dry-run", driver="/nonexistent/libcuda.so.1")
    assert (result.returncode, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["device"].startswith("no CUDA driver: ")
    plan = report["plan"]
    cells = plan["bytes_an_image"]["cells float16 from blocks"]
    assert cells == {
        "bytes_read": 2 * plan["image_samples"],
        "bytes_written": 2 * plan["image_samples"],
    }
    projection = plan["bytes_an_image"]["projection float32 from blocks"]
    assert projection == {
        "bytes_read": (2 + 4) * plan["image_samples"],
        "bytes_written": 4 * plan["image_samples"],
    }
    edges = plan["bytes_an_image"]["blocking edges float16"]
    assert edges == {
        "bytes_read": 2 * plan["image_samples"],
        "bytes_written": plan["image_samples"],
    }
    packed = plan["bytes_an_image"]["cells float16 from packed"]
    assert 0 < packed["bytes_read"] < cells["bytes_read"] / 4


def test_without_a_device() -> None:
    result = run(driver="/nonexistent/libcuda.so.1")
    assert result.returncode == 1
    assert result.stderr.startswith("benchmark_cuda: no CUDA driver: ")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_on_an_emulated_driver(tmp_path: Path) -> None:
    driver = build_emulated_driver(tmp_path)
    open_emulated(driver).close()
    figures = tmp_path / "figures.json"
    result = run("--images", "2", "--rounds", "1", "--json", str(figures), driver=driver)
    assert result.returncode == 0, result.stderr
    report = json.loads(figures.read_text())
    assert report["device"] == "emulated"
    assert report["kernels"].keys() == report["plan"]["bytes_an_image"].keys()
    assert all(kernel["of_copy"] > 0 for kernel in report["kernels"].values())
