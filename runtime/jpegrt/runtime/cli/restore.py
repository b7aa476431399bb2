"""`jpegrt restore`."""

import argparse
import json
import os
import sys
import time
from contextlib import suppress
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
        "cannot be restored is reported and leaves no output; the others are restored. Models that "
        "take pixels (domain luma or rgb) restore PNG, WebP and PNM files too."
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUTPUT")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument(
        "--allow-damaged",
        action="store_true",
        help="restore what is there of truncated or corrupt files",
    )
    parser.add_argument(
        "--depth",
        type=int,
        choices=(8, 16),
        default=8,
        help="bits a sample of the PNG (default: 8); 16 keeps what the network computed finer",
    )
    parser.add_argument(
        "--project",
        type=_slack,
        nargs="?",
        const=0.0,
        metavar="SLACK",
        help="keep the DCT coefficients of what is restored within the intervals that the file's "
        "quantisation leaves them, or SLACK steps beyond (default: 0). Off unless given: a trained "
        "model gains about 0.01 dB by it, one that smooths too much up to 1 dB; files of "
        "encoders that do not simply round, such as mozjpeg, need slack, 0.5 say. Only for models "
        "on cells, and for components that are not subsampled",
    )
    add_limit_option(parser)
    parser.add_argument("--json", action="store_true", help="report on stdout as JSON")
    add_model_options(parser)
    parser.set_defaults(run=run)


def _slack(text: str) -> float:
    """An argparse type: a finite number of 0 or more."""
    with suppress(ValueError):
        if 0 <= (value := float(text)) < 1e30:
            return value
    raise argparse.ArgumentTypeError(
        f"SLACK must be a number of 0 or more, not {text}; put inputs before --project"
    )


def run(arguments: argparse.Namespace) -> int:
    outputs = _plan(arguments.inputs, arguments.output, overwrite=arguments.overwrite)
    session = Session(
        arguments.model,
        precision=arguments.precision,
        engine=arguments.engine,
        threads=arguments.threads,
        allow_damaged=arguments.allow_damaged,
        max_pixels=arguments.max_pixels,
        project=arguments.project,
    )
    reports = []
    told = True
    for source, target in outputs.items():
        reports.append(_restore(session, source, target, arguments))
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


def _restore(
    session: Session, source: Path, target: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    report: dict[str, Any] = {"input": str(source), "output": str(target)}
    try:
        started = time.perf_counter()
        pixels, timings = session.restore_timed(source, arguments.depth)
        restored = time.perf_counter()
        write_png(pixels, target, overwrite=arguments.overwrite)
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
