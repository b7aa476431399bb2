"""README's figures are those that the committed measurements have."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from measure_auto import line, passes
from measure_recompression import markdown

RESULTS = ROOT / "scripts/results"


def test_readme_has_the_rows_of_files_compressed_twice() -> None:
    report = json.loads((RESULTS / "recompression.json").read_text())
    readme = (ROOT / "README.md").read_text().splitlines()
    for row in report["rows"]:
        assert markdown(row, report["images"]) in readme


def test_auto_was_best_at_every_quality() -> None:
    report = json.loads((RESULTS / "auto_live1.json").read_text())
    assert {(row["kind"], row["quality"]) for row in report["rows"]} >= {
        (kind, quality) for kind in ("grey", "420") for quality in (5, *range(10, 100, 10), 95)
    }
    assert [line(row) for row in report["rows"] if not row["passes"]] == []


@pytest.mark.parametrize(
    ("quality", "gain_db", "difference_db", "expected"),
    [
        (50, 1.0, -0.05, True),
        (50, 1.0, -0.051, False),
        (50, -0.001, 0.0, False),
        (95, 0.5, -0.06, False),
        (97, 0.5, -0.06, True),
        (99, -0.001, 0.0, False),
    ],
)
def test_what_passes(quality: int, gain_db: float, difference_db: float, expected: bool) -> None:
    assert passes(quality, gain_db, difference_db) == expected
