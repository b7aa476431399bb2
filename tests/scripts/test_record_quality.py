"""Quality goes into a manifest only if it was measured with what was verified."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jpegrt.runtime.bundle import find_bundle, list_bundles

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


def paper_report(bundle: Path, **measured_with: str) -> Path:
    """As `jpegrt evaluate --paper --json` writes it, with rows of this model and of others."""

    def row(quality: int | None, model: str | None, image: str | None = None) -> dict[str, object]:
        return {
            "set": "Set5",
            "image": image,
            "model": model,
            "compressions": [{"codec": "JPEG", "quality": quality}],
            "baseline": {"psnr_db": 30.0},
            "restored": {"psnr_db": 31.0} if model else None,
            "published": {"JPEG": {"psnr_db": 30.5}, "TheirNet": {"psnr_db": 32.0}, "Other": {}},
        }

    table = {
        "table": "Table 2",
        "baseline": "JPEG",
        "own": ["TheirNet"],
        "rows": [row(10, "small"), row(20, "small"), row(30, None), row(10, "small", "baby")],
    }
    facts = {"model": "small", "precision": "int8", "engine": "openvino"}
    path = bundle.parent / "paper.json"
    path.write_text(
        json.dumps({"paper": "theirs", "models": {"1": facts | measured_with}, "tables": [table]})
    )
    return path


def test_rows_of_a_paper_s_tables(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"scale": 1}))
    command = [sys.executable, str(SCRIPT), str(bundle), str(paper_report(bundle))]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    (row,) = json.loads((bundle / "manifest.json").read_text())["quality"]
    assert row == {
        "set": "Set5",
        "source": "as theirs's Table 2",
        "engine": "openvino",
        "qualities": [10, 20],
        "jpeg_psnr_db": [30.0, 30.0],
        "psnr_db": [31.0, 31.0],
        "published": {"JPEG": [30.5, 30.5], "TheirNet": [32.0, 32.0]},
    }
    command[-1] = str(paper_report(bundle, precision="fp32"))
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "fp32, not of this bundle" in refused.stderr


def test_a_description_replaces_what_it_names(bundle: Path, tmp_path: Path) -> None:
    before = json.loads((bundle / "manifest.json").read_text())
    description = tmp_path / "description.toml"
    description.write_text('summary = "small"\n[training]\nsteps = 7\n')
    command = [sys.executable, str(SCRIPT.with_name("describe_bundle.py")), bundle, description]
    subprocess.run([str(part) for part in command], check=True)
    after = json.loads((bundle / "manifest.json").read_text())
    assert after == before | {"summary": "small", "training": {"steps": 7}}


@pytest.mark.parametrize("name", [bundle.name for bundle in list_bundles()])
def test_shipped_manifests_say_what_their_descriptions_say(name: str) -> None:
    descriptions = SCRIPT.parents[1] / "export/jpegrt/export/descriptions"
    path = descriptions / f"{name.partition('-x')[0]}.toml"
    described = tomllib.loads(path.read_text())
    manifest = find_bundle(name).manifest
    assert {key: manifest[key] for key in described} == described


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", "large"), ("precision", "fp32"), ("engine", "onnxruntime"), ("strength", "0.5")],
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
