"""Writes measured quality into a bundle's manifest, where `jpegrt models` shows it.

Each report is what `jpegrt evaluate --json` wrote for this model in its default precision, on an
engine that this precision was verified on. Of a report of `--paper` the rows of this model are taken,
with the figures of the paper's own networks.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from jpegrt.runtime.bundle import MANIFEST, open_bundle
from jpegrt.runtime.output import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("reports", type=Path, nargs="+")
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    verified = bundle.manifest["precisions"][bundle.default_precision]["verification"]
    rows: list[dict] = []  # type: ignore[type-arg]
    for path in arguments.reports:
        report = json.loads(path.read_text())
        facts = report
        if "paper" in report:
            facts = report["models"].get(str(bundle.manifest.get("scale", 1)), {"model": "none"})
        if (facts["model"], facts.get("precision")) != (bundle.name, bundle.default_precision):
            sys.exit(f"{path} is of {facts['model']} {facts.get('precision')}, not of this bundle")
        if (strength := facts.get("strength", 1)) != 1:
            sys.exit(f"{path} is of strength {strength}, not of the whole restoration")
        if facts["engine"] not in verified:
            sys.exit(f"{path} is of engine {facts['engine']}, verified are {', '.join(verified)}")
        if "paper" in report:
            rows += paper_rows(report, bundle.name, facts["engine"])
        else:
            rows.append(row(report, path.stem))
    manifest = {**bundle.manifest, "quality": rows}
    write_json(manifest, arguments.bundle / MANIFEST)


def row(report: dict, name: str) -> dict:  # type: ignore[type-arg]
    """One line of the manifest's quality table: means over the set."""
    results = report["qualities"]
    return {
        "set": name,
        "engine": report["engine"],
        "qualities": [result["quality"] for result in results],
        "jpeg_psnr_db": [round(result["jpeg"]["psnr_db"], 6) for result in results],
        "psnr_db": [round(result["restored"]["psnr_db"], 6) for result in results],
        "worst_gain_db": [round(result["worst_gain_db"], 6) for result in results],
    }


def paper_rows(report: dict, model: str, engine: str) -> Iterator[dict]:  # type: ignore[type-arg]
    """A line of the quality table for each set of each of the paper's tables, with the protocol of
    those that were measured by several."""
    measured_by = Counter(table["table"] for table in report["tables"])
    for table in report["tables"]:
        source = f"as {report['paper']}'s {table['table']}"
        if measured_by[table["table"]] > 1:
            source += f": {table['protocol'].partition(', without')[0]}"
        measured = [row for row in table["rows"] if row["model"] == model and not row["image"]]
        measured = [row for row in measured if len(row["compressions"]) == 1]
        for name, of_set in groupby(measured, key=lambda row: str(row["set"])):
            rows = list(of_set)
            methods = [m for m in (table["baseline"], *table["own"]) if m]
            yield {
                "set": name,
                "source": source,
                "engine": engine,
                "qualities": [row["compressions"][0]["quality"] for row in rows],
                "jpeg_psnr_db": [round(row["baseline"]["psnr_db"], 6) for row in rows],
                "psnr_db": [round(row["restored"]["psnr_db"], 6) for row in rows],
                "published": {
                    method: [row["published"].get(method, {}).get("psnr_db") for row in rows]
                    for method in methods
                },
            }


if __name__ == "__main__":
    main()
