"""Writes measured quality into a bundle's manifest, where `jpegrt models` shows it.

Each report is what `jpegrt evaluate --json` wrote for this model in its default precision, on an
engine that this precision was verified on.
"""

import argparse
import json
import sys
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
    rows = []
    for path in arguments.reports:
        report = json.loads(path.read_text())
        if (report["model"], report["precision"]) != (bundle.name, bundle.default_precision):
            sys.exit(f"{path} is of {report['model']} {report['precision']}, not of this bundle")
        if report["engine"] not in verified:
            sys.exit(f"{path} is of engine {report['engine']}, verified are {', '.join(verified)}")
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
        "jpeg_psnr_db": [round(result["jpeg"]["psnr_db"], 3) for result in results],
        "psnr_db": [round(result["restored"]["psnr_db"], 3) for result in results],
        "worst_gain_db": [round(result["worst_gain_db"], 3) for result in results],
    }


if __name__ == "__main__":
    main()
