"""Writes README's table of models, from their manifests and from what `jpegrt bench` has measured.

Quality and cost are the manifests'; the time over a plain decode is that of scripts/results/bench_*.json,
a column for each: luma at quality 50, each model in its default precision on its fastest engine.
--check writes nothing, and fails if README says something else.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jpegrt.runtime.bench.report_markdown import number, sampling_name, table, threads_text
from jpegrt.runtime.bundle import Bundle, list_bundles

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BENCHMARKS = sorted((ROOT / "scripts/results").glob("bench_*.json"))
BEGIN, END = "<!-- figures:begin -->\n", "<!-- figures:end -->\n"
DEFAULT_MODEL = "cellnet"
QUALITY, SUBSAMPLING = 50, "grey"
# Sets of the manifests' tables, and the qualities that are shown of each.
SETS = {"live1_grey": (10, 20, 30, 40), "live1_420": (10, 40)}
HEADERS = {"live1_grey": "LIVE1, grey", "live1_420": "LIVE1, 4:2:0"}


def figures(bundles: Sequence[Bundle], benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """The table, of models that were measured on all of SETS."""
    shown = [bundle for bundle in bundles if all(row_of(bundle, name) for name in SETS)]
    header = ["model", "precision", "cost a luma pixel"]
    for name, qualities in SETS.items():
        header.append(f"{HEADERS[name]}, Q{' / '.join(map(str, qualities))}")
    header += [machine_name(benchmark) for benchmark in benchmarks]
    plain = ["none (the JPEG)", "-", "-"]
    plain += [
        decibels(row_of(shown[0], name), qualities, "jpeg_") for name, qualities in SETS.items()
    ]
    rows = [[*plain, *("1" for _ in benchmarks)]]
    for bundle in shown:
        default = " (default)" if bundle.name == DEFAULT_MODEL else ""
        cost = round(bundle.manifest["multiply_adds_per_px"] / 1e3)
        rows.append(
            [
                f"{bundle.name}{default}",
                bundle.default_precision,
                f"{cost} k multiply-adds",
                *(decibels(row_of(bundle, name), qualities) for name, qualities in SETS.items()),
                *(ratio_of(bundle, benchmark) for benchmark in benchmarks),
            ]
        )
    return table(header, rows) + "\n"


def row_of(bundle: Bundle, name: str) -> Mapping[str, Any]:
    """The manifest's row of a set, empty if there is none with all qualities."""
    for row in bundle.manifest.get("quality", []):
        if row["set"] == name and set(SETS[name]) <= set(row["qualities"]):
            return dict(row)
    return {}


def decibels(row: Mapping[str, Any], qualities: Sequence[int], of: str = "") -> str:
    values = dict(zip(row["qualities"], row[f"{of}psnr_db"], strict=True))
    return " / ".join(f"{values[quality]:.2f}" for quality in qualities)


def machine_name(benchmark: Mapping[str, Any]) -> str:
    threads = benchmark["plan"]["threads"][-1]
    return (
        f"restore / plain decode, {sampling_name(SUBSAMPLING)} Q{QUALITY}, {benchmark['label']}, "
        f"{threads_text(threads)}"
    )


def ratio_of(bundle: Bundle, benchmark: Mapping[str, Any]) -> str:
    """Of the fastest engine, "-" if the model was not measured there."""
    setups = [
        model["name"]
        for model in benchmark["models"]
        if (model["model"], model["precision"]) == (bundle.name, bundle.default_precision)
    ]
    ratios = [
        row["ratio"]
        for row in benchmark["rows"]
        if row["name"] in setups and (row["quality"], row["subsampling"]) == (QUALITY, SUBSAMPLING)
    ]
    if not ratios:
        return "-"
    best = min(ratios, key=lambda ratio: float(ratio["median"]))
    if best["least"] == best["most"]:
        return number(best["median"])
    least, most, median = (whole(best[key]) for key in ("least", "most", "median"))
    return f"{least} to {most}, median {median}"


def whole(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def with_figures(readme: str, block: str) -> str:
    """README's text with the block in its place."""
    before, _, rest = readme.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{README.name} has no {BEGIN.strip()} with an {END.strip()} after it")
    return f"{before}{BEGIN}{block}{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE")
    arguments = parser.parse_args()
    benchmarks = [json.loads(path.read_text()) for path in BENCHMARKS]
    text = arguments.readme.read_text()
    wanted = with_figures(text, figures(list_bundles(), benchmarks))
    if arguments.check and text != wanted:
        sys.exit(f"{arguments.readme} differs: run python scripts/write_figures.py")
    if not arguments.check:
        arguments.readme.write_text(wanted)


if __name__ == "__main__":
    main()
