"""scripts/build_engines.py: everything shipped, for every target, and a report."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from tests.export.fake_tensorrt import FakeTensorRt

from jpegrt.runtime.bundle import Bundle, list_bundles
from jpegrt.runtime.verification import Comparison, Verification

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_engines.py"

# Of which the test says that int8 cannot be derived.
LEFT_OUT = {("jscnn-x2", "int8")}


def test_everything_is_built_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def verify(bundle: Bundle, derived: Bundle, precision: str) -> Verification:
        fails = (bundle.name, precision) == ("jscnn-x2", "int8-symmetric")
        comparison = Comparison("luma", 40, -float(fails), 1.0, 0.1, (0.0,), True)
        return Verification((comparison,), 0.15)

    # It takes minutes for all models, and has tests of its own.
    monkeypatch.setattr("jpegrt.export.engine_graphs._verify", verify)
    rtx = FakeTensorRt("rtx")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", rtx)
    report = tmp_path / "report.json"
    arguments = [
        "build_engines.py",
        "-o",
        str(tmp_path / "engines"),
        "--json",
        str(report),
        "-j",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    assert runpy.run_path(str(SCRIPT), run_name="build_engines")["main"]() == 0
    expected = {
        (bundle.name, graph.name, precision, target)
        for bundle in list_bundles()
        for graph in bundle.spec.graphs
        for precision in ("fp16", "int8")
        if precision == "fp16" or "int8" in bundle.precisions
        if (bundle.name, precision) not in LEFT_OUT
        for target in ("sm75", "sm86")
    }
    content = json.loads(report.read_text())
    assert {(what["model"], what["precision"]) for what in content["left_out"]} == LEFT_OUT
    rows = content["engines"]
    keys = ("model", "graph", "precision", "target")
    assert {tuple(row[key] for key in keys) for row in rows} == expected
    assert rtx.builds == len(expected)
    assert f"{len(expected)} of {len(expected)} engines" in capsys.readouterr().out
    for row in rows:
        file = tmp_path / "engines" / row["model"] / row["engine"]
        assert file.stat().st_size == row["bytes"]
