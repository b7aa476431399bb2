"""Builds the engines of every shipped model for every target, and reports how long that took.

usage: python scripts/build_engines.py [-o DIR] [--json REPORT] [-j N]

Unfolded models, which run on CPUs only, are left out. Needs TensorRT for RTX (scripts/setup.sh rtx), which
builds for GPUs that are not there.
"""

import argparse
import platform
import sys
import time
from pathlib import Path
from typing import Any

from jpegrt.export.build import BuildRequest, Built, build
from jpegrt.export.builder import find_vendor
from jpegrt.export.profiles import DEFAULT_PROFILES
from jpegrt.runtime.bundle import list_bundles
from jpegrt.runtime.output import write_json


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("build/engines"), metavar="DIR")
    parser.add_argument("--json", type=Path, default=Path("build/engines.json"), metavar="REPORT")
    parser.add_argument("-j", type=int, default=1, metavar="N", help="how many at a time")
    arguments = parser.parse_args()
    vendor = find_vendor("rtx")
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    bundles = list_bundles()
    left_out = [bundle.name for bundle in bundles if bundle.spec.unfoldings]
    for bundle in bundles:
        if bundle.name in left_out:
            continue
        # What lost too much in int8 is not offered in it.
        precisions = ("fp16", "int8") if "int8" in bundle.precisions else ("fp16",)
        request = BuildRequest(
            bundle,
            arguments.output / bundle.name,
            vendor.targets,
            precisions,
            DEFAULT_PROFILES,
            vendor.flavour,
            processes=arguments.j,
        )
        built = build(request, lambda line: print(line, file=sys.stderr))
        rows.extend(_row(bundle.name, engine) for engine in built)
    report = {
        "flavour": vendor.flavour,
        "version": vendor.version,
        "machine": f"{platform.machine()}, no GPU needed",
        "profiles": {profile.name: profile.to_json() for profile in DEFAULT_PROFILES},
        "wall_seconds": round(time.perf_counter() - started, 1),
        "engines_found": sum(bool(row.get("was_there")) for row in rows),
        "left_out": left_out,
        "engines": rows,
    }
    write_json(report, arguments.json)
    failed = [row for row in rows if "failure" in row]
    for row in failed:
        print(f"{row['engine']}: {row['failure']}", file=sys.stderr)
    print(f"{len(rows) - len(failed)} of {len(rows)} engines; report in {arguments.json}")
    if left_out:
        print(f"left out, since they run on CPUs only: {', '.join(left_out)}")
    return 1 if failed else 0


def _row(model: str, built: Built) -> dict[str, Any]:
    row: dict[str, Any] = {"model": model, "engine": built.engine.name, "target": built.target}
    if built.facts is None:
        return {**row, "failure": built.failure}
    return {
        **row,
        "graph": built.facts.graph,
        "precision": built.facts.precision,
        "build_seconds": built.facts.build_seconds,
        "bytes": built.facts.engine_bytes,
        "onnx_sha256": built.facts.onnx_sha256,
        "was_there": built.was_there,
    }


if __name__ == "__main__":
    sys.exit(main())
