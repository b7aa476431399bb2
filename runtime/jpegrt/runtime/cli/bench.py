"""`jpegrt bench`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from jpegrt.runtime.bench.plan import DEVICES, Plan
from jpegrt.runtime.bench.workload import GREY, SUBSAMPLINGS
from jpegrt.runtime.bundle import list_bundles
from jpegrt.runtime.cli.options import PRECISIONS, positive, thread_count, within
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.engines import ENGINE_NAMES
from jpegrt.runtime.errors import UsageError, one_line
from jpegrt.runtime.output import check_writable, write_json, written_whole
from jpegrt.runtime.session import usable_cpus

_ALL = "all"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Measure how long restoring takes, beside libjpeg's plain decode of the same bytes, in this "
        "process and in the same interleaved rounds. A plain decode is timed twice, under two "
        "names: if the interval of their ratio leaves out 1, the run says that it is not valid, and "
        "exits with 1. Nothing is timed before its answer was checked. Compare only figures of an "
        "idle machine."
    )
    parser.add_argument(
        "images",
        nargs="*",
        type=Path,
        metavar="IMAGE",
        help="originals, or folders of lossless ones, which are compressed at each quality "
        "(default: a photograph that comes with the package, mirrored to 768x512)",
    )
    plan = parser.add_argument_group("what is measured")
    plan.add_argument(
        "--models",
        nargs="+",
        default=list(Plan.models),
        metavar="NAME",
        help="models of `jpegrt models`, bundles' folders, or all: every shipped one that does not "
        "enlarge (default: cellnet)",
    )
    plan.add_argument(
        "--engine",
        nargs="+",
        choices=ENGINE_NAMES,
        default=list(Plan.engines),
        metavar="ENGINE",
        help="what runs the networks, as of `jpegrt restore` (default: auto)",
    )
    plan.add_argument(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        default=[],
        help="default: each model's own; fp16 on TensorRT. Of others beside fp32 the report says how "
        "many times as fast they are",
    )
    plan.add_argument(
        "--qualities",
        nargs="+",
        type=lambda text: within(text, 100),
        default=list(Plan.qualities),
        metavar="Q",
        help="libjpeg quality factors (default: 10 30 50 90)",
    )
    plan.add_argument(
        "--subsampling",
        nargs="+",
        choices=SUBSAMPLINGS,
        default=[GREY],
        help="of chroma, or grey JPEGs (default)",
    )
    plan.add_argument(
        "--threads",
        nargs="+",
        type=thread_count,
        metavar="N",
        help="numbers to compare in throughput; everything else takes the last (default: 1, and "
        "one per CPU)",
    )
    plan.add_argument(
        "--batch",
        nargs="+",
        type=positive,
        default=list(Plan.batches),
        metavar="N",
        help="numbers of images handed over at once (default: 1 8)",
    )
    plan.add_argument(
        "--megapixels",
        nargs="*",
        type=_megapixels,
        default=list(Plan.megapixels),
        metavar="MP",
        help="sizes to compare the latency of (default: 0.1 0.4 1.6)",
    )
    plan.add_argument(
        "--baselines",
        nargs="*",
        default=list(Plan.baselines),
        metavar="NAME",
        help="beside plain decodes: by-hand, each engine alone on the same tensor; tools, other "
        "restorers on the PATH; torch and torch-compiled, the same network in PyTorch with Pillow "
        "in front, with the extra [export]; ncnn, likewise, with [ncnn] (default: by-hand tools)",
    )
    plan.add_argument("--device", choices=DEVICES, default="cpu", help="cuda also measures a GPU")
    plan.add_argument(
        "--label", default="", metavar="TEXT", help="what to call this machine (default: its CPU)"
    )
    plan.add_argument("--rounds", type=positive, default=Plan.rounds, metavar="N")
    plan.add_argument(
        "--seconds",
        type=_seconds,
        default=Plan.seconds,
        metavar="S",
        help="how long each is timed in a round, at least (default: 0.05)",
    )
    plan.add_argument(
        "--dry-run", action="store_true", help="only show what would be measured, and what is not"
    )
    reports = parser.add_argument_group("reports")
    reports.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    reports.add_argument("--html", type=Path, metavar="FILE", help="one page, with charts")
    reports.add_argument("--markdown", type=Path, metavar="FILE", help="tables")
    reports.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="measure nothing: write the reports of what an earlier run's --json has",
    )
    reports.add_argument("--overwrite", action="store_true", help="replace reports that exist")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    _check_outputs(arguments)
    if arguments.source:
        report = _read(arguments.source)
    else:
        plan = _plan(arguments)
        if arguments.dry_run:
            _show_plan(plan, arguments.images)
            return 0
        report = _measure(plan, arguments.images)
    if arguments.json:  # first, so that what was measured is kept whatever comes
        write_json(report, arguments.json, overwrite=arguments.overwrite)
    from jpegrt.runtime.bench.report_markdown import markdown

    tables = markdown(report)
    show(tables)
    if arguments.markdown:
        _write(tables, arguments.markdown, arguments.overwrite)
    if arguments.html:
        from jpegrt.runtime.bench.report_html import page

        _write(page(report), arguments.html, arguments.overwrite)
    return 0 if report["valid"] else 1


def _plan(arguments: argparse.Namespace) -> Plan:
    models = [
        name
        for given in arguments.models
        for name in (_models_at_scale_1() if given == _ALL else [given])
    ]
    return Plan(
        models=_once(models),
        precisions=_once(arguments.precision),
        engines=_once(arguments.engine),
        qualities=_once(arguments.qualities),
        subsamplings=_once(arguments.subsampling),
        threads=_once(arguments.threads or sorted({1, usable_cpus()})),
        batches=_once(arguments.batch),
        megapixels=_once(arguments.megapixels),
        baselines=_once(arguments.baselines),
        device=arguments.device,
        label=arguments.label,
        rounds=arguments.rounds,
        seconds=arguments.seconds,
    )


def _models_at_scale_1() -> list[str]:
    return [bundle.name for bundle in list_bundles() if bundle.spec.enlargement == 1]


def _once(values: list[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _measure(plan: Plan, images: list[Path]) -> dict[str, Any]:
    from jpegrt.runtime.bench import benchmark
    from jpegrt.runtime.bench.workload import load_pictures

    try:
        return benchmark.run(plan, load_pictures(images), _say)
    finally:
        _say("")


def _show_plan(plan: Plan, images: list[Path]) -> None:
    from jpegrt.runtime.bench.benchmark import describe

    show(describe(plan, images))


def _say(text: str) -> None:
    """Replaces the terminal's current line, or does nothing if there is no terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{one_line(text)}")
        sys.stderr.flush()


def _check_outputs(arguments: argparse.Namespace) -> None:
    for file in (arguments.json, arguments.html, arguments.markdown):
        if file:
            check_writable(file, overwrite=arguments.overwrite)
            if not file.parent.is_dir():  # rather mistyped than to be made
                raise UsageError(f"{file} cannot be written: its folder does not exist")


def _read(path: Path) -> dict[str, Any]:
    from jpegrt.runtime.bench.benchmark import FORMAT

    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT or "control" not in report:
        raise UsageError(f"{path} is no report that this version wrote: measure again")
    return report


def _write(text: str, path: Path, overwrite: bool) -> None:
    with written_whole(path, overwrite=overwrite) as file:
        file.write(text.encode())


def _megapixels(text: str) -> float:
    return _number(text, 1000.0, "megapixels")


def _seconds(text: str) -> float:
    return _number(text, 60.0, "seconds")


def _number(text: str, largest: float, unit: str) -> float:
    """An argparse type. Raises what argparse shows with the option's name."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= largest:
        raise argparse.ArgumentTypeError(f"must be {unit} up to {largest:g}, not {text}")
    return value
