"""Writes what precisions cost into bundles' manifests, where their cards show it.

The report is what `scripts/verify_precisions.py` wrote; results of other graphs than a bundle has now
are left out. `jpegrt models NAME --card` shows the result.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from jpegrt.runtime.bundle import MANIFEST, Bundle, list_bundles, open_bundle
from jpegrt.runtime.output import write_json

_KEPT = (
    *("precision", "engine", "set", "images", "crop_px", "qualities"),
    *("passed", "loss_db", "tolerance_db", "largest_bias"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("bundles", nargs="*", type=Path, help="folders (default: all that ship)")
    arguments = parser.parse_args()
    results = json.loads(arguments.report.read_text())["results"]
    bundles = [open_bundle(folder) for folder in arguments.bundles] or list_bundles()
    lacking = [bundle.name for bundle in bundles if not record(bundle, results)]
    if lacking:
        print(f"not in the report: {', '.join(lacking)}", file=sys.stderr)
    return 1 if lacking else 0


def record(bundle: Bundle, results: list[dict[str, Any]]) -> bool:
    """Whether there was anything to write."""
    of_bundle = (bundle.name, bundle.files_sha256)
    rows = [
        {key: row[key] for key in _KEPT}
        for row in results
        if (row["model"], row["files_sha256"]) == of_bundle
    ]
    if rows:
        write_json({**bundle.manifest, "precisions_on_sets": rows}, bundle.folder / MANIFEST)
    return bool(rows)


if __name__ == "__main__":
    sys.exit(main())
