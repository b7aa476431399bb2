"""The benchmark of the non-local operator runs, and compares what it says it does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/benchmark_non_local.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True
    )


@pytest.mark.slow
def test_on_the_cpu(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = run("--side", "40", "--rounds", "2", "--json", report)
    assert result.returncode == 0, result.stderr
    cases = json.loads(report.read_text())["cases"]
    assert [case["case"].split(",")[0] for case in cases] == ["noise", "JPEG"]
    for case in cases:
        assert case["non-local"]["ratio"] == 1
        assert case["unfused"]["ratio"] > 0 and case["unfused"]["extra_mib"] > 5


@pytest.mark.slow
def test_dry_run_for_a_gpu() -> None:
    result = run("--side", "24", "--device", "cuda", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("float32 and float16") == 2
