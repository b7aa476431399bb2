"""Quality goes into a manifest only if it was measured with what was verified."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/record_quality.py"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    manifest = {
        "format": 1,
        "model": "small",
        "cell_px": 2,
        "input_scale": 1 / 255,
        "graphs": [{"name": "grey", "components": 1, "chroma_h": 1, "chroma_v": 1}],
        "precisions": {
            "int8": {"files": {"grey": "grey.onnx"}, "verification": {"openvino": {}}},
        },
        "default_precision": "int8",
        "files": {"grey.onnx": {"sha256": ""}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def record(bundle: Path, **report: str) -> subprocess.CompletedProcess[str]:
    """Records a report of the bundle's own model, precision and engine, but for `report`."""
    quality = {
        "quality": 10,
        "jpeg": {"psnr_db": 30.0},
        "restored": {"psnr_db": 31.0},
        "worst_gain_db": 0.1,
    }
    content = {"model": "small", "precision": "int8", "engine": "openvino", "qualities": [quality]}
    path = bundle.parent / "live1.json"
    path.write_text(json.dumps(content | report))
    command = [sys.executable, str(SCRIPT), str(bundle), str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_row_says_what_was_measured_and_on_what(bundle: Path) -> None:
    result = record(bundle)
    assert (result.returncode, result.stderr) == (0, "")
    (row,) = json.loads((bundle / "manifest.json").read_text())["quality"]
    assert row == {
        "set": "live1",
        "engine": "openvino",
        "qualities": [10],
        "jpeg_psnr_db": [30.0],
        "psnr_db": [31.0],
        "worst_gain_db": [0.1],
    }


@pytest.mark.parametrize(
    ("key", "value"), [("model", "large"), ("precision", "fp32"), ("engine", "onnxruntime")]
)
def test_what_was_measured_with_something_else_is_refused(
    bundle: Path, key: str, value: str
) -> None:
    before = (bundle / "manifest.json").read_bytes()
    result = record(bundle, **{key: value})
    assert result.returncode != 0
    assert value in result.stderr
    assert "Traceback" not in result.stderr
    assert (bundle / "manifest.json").read_bytes() == before
