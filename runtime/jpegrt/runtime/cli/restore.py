"""`jpegrt restore`."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from jpegrt.runtime.cli.options import add_limit_option, add_model_options
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.errors import RestoreError, UsageError, one_line
from jpegrt.runtime.output import check_writable, output_path, write_png
from jpegrt.runtime.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Restore JPEGs: one file to a file, or any number to a folder as <stem>.png. A file that "
        "cannot be restored is reported and leaves no output; the others are restored."
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUTPUT")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument(
        "--allow-damaged",
        action="store_true",
        help="restore what is there of truncated or corrupt files",
    )
    add_limit_option(parser)
    parser.add_argument("--json", action="store_true", help="report on stdout as JSON")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    outputs = _plan(arguments.inputs, arguments.output, overwrite=arguments.overwrite)
    session = Session(
        arguments.model,
        precision=arguments.precision,
        engine=arguments.engine,
        threads=arguments.threads,
        allow_damaged=arguments.allow_damaged,
        max_pixels=arguments.max_pixels,
    )
    reports = []
    told = True
    for source, target in outputs.items():
        reports.append(_restore(session, source, target, overwrite=arguments.overwrite))
        if not arguments.json and "error" not in reports[-1]:
            told &= _tell(_line(reports[-1]))
    if arguments.json:
        told &= _tell(json.dumps(reports, indent=1))
    return 1 if not told or any("error" in report for report in reports) else 0


def _tell(text: str) -> bool:
    """False, with the reason on stderr, if stdout fails: the other images are wanted anyway."""
    try:
        show(text)
    except BrokenPipeError:  # nobody reads it, which is no failure
        pass
    except RestoreError as error:
        print(f"jpegrt: {error}", file=sys.stderr)
        return False
    return True


def _plan(inputs: list[Path], output: Path, *, overwrite: bool) -> dict[Path, Path]:
    """input -> output, with everything checked that can be before any work is done."""
    into_folder = len(inputs) > 1 or os.path.isdir(output)  # which raises nothing, unlike Path's
    planned: dict[Path, Path] = {}
    for source in inputs:
        target = output_path(source, output) if into_folder else output
        if target in planned.values():
            raise UsageError(f"two inputs would be written to {target}: restore them separately")
        if target.suffix.lower() != ".png":
            raise UsageError(f"{target}: outputs are PNG files, so name it something.png")
        check_writable(target, overwrite=overwrite)
        planned[source] = target
    return planned


def _restore(session: Session, source: Path, target: Path, *, overwrite: bool) -> dict[str, Any]:
    report: dict[str, Any] = {"input": str(source), "output": str(target)}
    try:
        started = time.perf_counter()
        pixels, timings = session.restore_timed(source)
        restored = time.perf_counter()
        write_png(pixels, target, overwrite=overwrite)
        written = time.perf_counter()
    except RestoreError as error:
        print(f"jpegrt: {one_line(f'{source}: {error}')}", file=sys.stderr)
        return {**report, "error": str(error)}
    return {
        **report,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "components": 1 if pixels.ndim == 2 else 3,
        "model": session.model_name,
        "precision": session.precision,
        "engine": session.engine_name,
        "milliseconds": {
            "entropy_decode": round(timings.entropy_decode_ms, 3),
            "unpack": round(timings.unpack_ms, 3),
            "network": round(timings.network_ms, 3),
            "pixels": round(timings.pixels_ms, 3),
            "restore": round(1e3 * (restored - started), 3),
            "encode": round(1e3 * (written - restored), 3),
        },
    }


def _line(report: dict[str, Any]) -> str:
    times = report["milliseconds"]
    return (
        f"{one_line(report['output'])}: {report['width']} x {report['height']}, {report['model']} "
        f"{report['precision']}, restored in {times['restore']:.0f} ms "
        f"(network {times['network']:.0f} ms), written in {times['encode']:.0f} ms"
    )
