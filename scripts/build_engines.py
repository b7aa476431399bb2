"""Builds the engines of every shipped model for every target, and reports how long that took.

usage: python scripts/build_engines.py [-o DIR] [--json REPORT] [-j N]

What cannot be built is left out, with the reason: int8 where what TensorRT takes loses too much. Needs
TensorRT for RTX (scripts/setup.sh rtx), which builds for GPUs that are not there. The report has
seconds of the wall clock, and of processors, which tell more on a machine that does other work too.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from jpegrt.export.build import BuildRequest, Built, build
from jpegrt.export.builder import find_vendor
from jpegrt.export.engine_graphs import DerivationError
from jpegrt.export.profiles import DEFAULT_PROFILES
from jpegrt.runtime.bundle import list_bundles
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.output import write_json
from jpegrt.runtime.session import usable_cpus


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("build/engines"), metavar="DIR")
    parser.add_argument("--json", type=Path, default=Path("build/engines.json"), metavar="REPORT")
    # A builder takes gigabytes of memory.
    usual = min(usable_cpus(), 4)
    parser.add_argument("-j", type=int, default=usual, metavar="N", help="how many at a time")
    arguments = parser.parse_args()
    vendor = find_vendor("rtx")
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, str]] = []
    for bundle in list_bundles():
        # What lost too much in int8 is not offered in it.
        precisions = ("fp16", "int8") if "int8" in bundle.precisions else ("fp16",)
        for precision in precisions:
            request = BuildRequest(
                bundle,
                arguments.output / bundle.name,
                vendor.targets,
                (precision,),
                DEFAULT_PROFILES,
                vendor.flavour,
                processes=arguments.j,
            )
            try:
                built = build(request, lambda line: print(line, file=sys.stderr))
            except (DerivationError, UsageError) as error:
                what = {"model": bundle.name, "precision": precision, "reason": str(error)}
                left_out.append(what)
            else:
                rows.extend(_row(bundle.name, engine) for engine in built)
    report = {
        "flavour": vendor.flavour,
        "version": vendor.version,
        "machine": f"{platform.machine()}, no GPU needed",
        "profiles": {profile.name: profile.to_json() for profile in DEFAULT_PROFILES},
        "wall_seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(sum(os.times()[:4]), 1),
        "processes": arguments.j,
        "engines_found": sum(bool(row.get("was_there")) for row in rows),
        "left_out": left_out,
        "engines": rows,
    }
    write_json(report, arguments.json)
    failed = [row for row in rows if "failure" in row]
    for row in failed:
        print(f"{row['engine']}: {row['failure']}", file=sys.stderr)
    print(f"{len(rows) - len(failed)} of {len(rows)} engines; report in {arguments.json}")
    for what in left_out:
        print(f"left out: {what['model']} in {what['precision']}: {what['reason']}")
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
