"""scripts/verify_precisions.py: each model's precisions on a set, one report of several runs."""

import json
import runpy
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.kernels import Engine, Tensors
from jpegrt.runtime.bundle import MANIFEST, open_bundle
from jpegrt.runtime.model_card import model_card
from jpegrt.runtime.verification import shipped_original

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_precisions.py"
RECORD = SCRIPT.with_name("record_precisions.py")


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    for name, y in (("a.png", 0), ("b.png", 64)):
        Image.fromarray(shipped_original()[y : y + 64, :80]).save(folder / name)
    return folder


def test_a_report_of_several_runs(
    tmp_path: Path,
    originals: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = write_pixel_bundle(tmp_path / "first", domain="luma", scale=2)
    second = write_pixel_bundle(tmp_path / "second")
    report = tmp_path / "report.json"

    def run(*options: str) -> int:
        command = [str(SCRIPT), str(originals), "--json", str(report), *options]
        monkeypatch.setattr(sys, "argv", command)
        code: int = runpy.run_path(str(SCRIPT), run_name="verify_precisions")["main"]()
        return code

    def rows() -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = json.loads(report.read_text())["results"]
        return results

    assert run("--models", str(first), "--crop", "48") == 0
    assert run("--models", str(first), str(second), "--crop", "48") == 0
    keys = ("model", "precision", "engine", "set", "images", "crop_px", "qualities")
    assert [tuple(row[key] for key in keys) for row in rows()] == [
        (model, "fp16", "float16 rounded", "originals", 2, 48, [10, 40])
        for model in ("small-luma-x2", "small-rgb-x1")
    ]
    assert all(row["passed"] and len(row["comparisons"]) == 2 for row in rows())
    assert capsys.readouterr().out.count("is in the report") == 1
    # Another crop, or other graphs, are measured, and take the older result's place.
    assert run("--models", str(second), "--crop", "32") == 0
    assert [row["crop_px"] for row in rows()] == [48, 32]
    manifest = json.loads((first / MANIFEST).read_text())
    (file,) = manifest["files"].values()
    before = rows()[0]["files_sha256"]
    content = (first / "only.onnx").read_bytes() + b"\x12\x00"  # another name of what wrote it
    (first / "only.onnx").write_bytes(content)
    file.update(sha256=sha256(content).hexdigest(), bytes=len(content))
    (first / MANIFEST).write_text(json.dumps(manifest))
    assert run("--models", str(first), "--crop", "48") == 0
    assert "is in the report" not in capsys.readouterr().out
    after = [row["files_sha256"] for row in rows()]
    assert before not in after
    # The cards show what is of the bundle's present graphs, and say what is missing.
    command = [str(RECORD), str(report), str(first), str(second)]
    monkeypatch.setattr(sys, "argv", command)
    assert runpy.run_path(str(RECORD), run_name="record_precisions")["main"]() == 0
    for folder, pixels in ((first, 48), (second, 32)):
        line = f"| fp16 | float16 rounded | originals, 2 images | {pixels} x {pixels} | Q10 Q40 |"
        assert line in model_card(open_bundle(folder).manifest)
    stale = [{**row, "files_sha256": before} for row in rows()]
    report.write_text(json.dumps({"results": stale}))
    assert runpy.run_path(str(RECORD), run_name="record_precisions")["main"]() == 1
    assert "not in the report: small-luma-x2, small-rgb-x1" in capsys.readouterr().err
    report.write_text(
        json.dumps({"results": [{**row, "files_sha256": after[n]} for n, row in enumerate(stale)]})
    )
    # What fails is told by the exit code, whether it was measured now or before.
    failed = [{**row, "passed": False} for row in rows()]
    report.write_text(json.dumps({"results": failed}))
    assert run("--models", str(second), "--crop", "32") == 1


def test_the_reference_is_computed_once() -> None:
    remembered = runpy.run_path(str(SCRIPT))["Remembered"]
    runs = []

    class Doubled:
        def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
            runs.append(graph)
            np.copyto(outputs["y"], 2 * inputs["x"])

    engine: Engine = remembered(Doubled())
    for x in (1.0, 2.0, 1.0):
        y = np.zeros((2, 3), np.float32)
        engine.run("only", {"x": np.full((2, 3), x, np.float32)}, {"y": y})
        assert (y == 2 * x).all()
    assert len(runs) == 2
    wide = np.zeros((3, 2), np.float32)
    engine.run("only", {"x": np.ones((3, 2), np.float32)}, {"y": wide})
    assert len(runs) == 3 and (wide == 2).all()
