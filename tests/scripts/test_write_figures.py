"""README's table says what manifests and committed benchmarks say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/write_figures.py"
sys.path.insert(0, str(ROOT / "scripts"))

from write_figures import BENCHMARKS, figures, with_figures

from jpegrt.runtime.bundle import list_bundles


def run(readme: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--readme", str(readme), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_readme_has_the_table_that_the_script_writes() -> None:
    result = run(ROOT / "README.md", "--check")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_figure_that_was_changed_by_hand_is_found(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    text = (ROOT / "README.md").read_text()
    assert text.count("29.26 / 31.61") == 1
    readme.write_text(text.replace("29.26 / 31.61", "29.99 / 31.61"))
    assert "run python scripts/write_figures.py" in run(readme, "--check").stderr
    assert run(readme).returncode == 0
    assert readme.read_text() == text


def test_ratios_are_the_fastest_engine_s_of_the_default_precision() -> None:
    def model(
        precision: str, engine: str, median: float
    ) -> tuple[dict[str, str], dict[str, object]]:
        name = f"cellnet {precision} {engine}"
        ratio = {"median": median, "least": 0.5 * median, "most": 2 * median}
        row = {"name": name, "quality": 50, "subsampling": "grey", "ratio": ratio}
        return {"name": name, "model": "cellnet", "precision": precision}, row

    measured = [model("int8", "a", 90), model("int8", "b", 30.4), model("fp32", "b", 8)]
    benchmark = {
        "label": "A machine",
        "plan": {"threads": [1, 2]},
        "models": [of for of, _ in measured],
        "rows": [row for _, row in measured],
    }
    table = figures(list_bundles(), [benchmark])
    header, _, none, cellnet, *others = table.splitlines()
    assert header.endswith("| restore / plain decode, grey Q50, A machine, 2 threads |")
    assert none.endswith("| 1 |")
    assert cellnet.endswith("| 15.2 to 61, median 30 |")
    assert others
    assert all(other.endswith("| - |") for other in others)


def test_a_readme_without_the_markers_is_refused() -> None:
    with pytest.raises(SystemExit, match="figures:begin"):
        with_figures("# jpegrt\n", "a table")


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: str(path.stem))
def test_committed_benchmarks_are_valid_runs(path: Path) -> None:
    assert json.loads(path.read_text()).get("valid", True)
