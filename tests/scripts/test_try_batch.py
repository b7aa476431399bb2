"""The trial of a batch that is killed and resumed, of few files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/try_batch.py"


@pytest.mark.slow
def test_a_batch_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, "--count", "12", "--bad", "2", "--kills", "1"]
    result = subprocess.run(
        [*map(str, command), "--json", str(tmp_path / "tried.json")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    report = json.loads((tmp_path / "tried.json").read_text())
    assert (report["files"], report["bad"], report["outputs"]) == (12, 2, 10)
    (killed_after,) = report["killed_after_outputs"]
    assert 5 <= killed_after <= 10
    assert report["done_twice"] == 0
