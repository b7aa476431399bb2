"""`jpegrt verify`."""

import argparse
import json
from pathlib import Path

from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.cli.options import PRECISIONS, add_engine_options, thread_count, within
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.engines import (
    check_options,
    choose_precision,
    create_engine,
    resolve_engine,
)
from jpegrt.runtime.evaluation import find_originals
from jpegrt.runtime.session import usable_cpus
from jpegrt.runtime.verification import (
    BIAS_LEVELS,
    QUALITIES,
    TOLERANCE_DB,
    Comparison,
    load_crop,
    shipped_original,
    verify,
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Restore JPEGs with a model in one precision on one engine, and with its fp32 on ONNX "
        "Runtime, and compare. The exit code is 1 if it loses more than it may."
    )
    parser.add_argument("model", metavar="MODEL", help="a model's name, or a bundle's folder")
    parser.add_argument("--precision", choices=PRECISIONS, help="default: the model's own")
    add_engine_options(parser)
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="lossless originals (default: one that ships)"
    )
    parser.add_argument(
        "--quality",
        type=lambda text: within(text, 100),
        nargs="+",
        default=list(QUALITIES),
        metavar="Q",
        help="libjpeg quality factors (default: 10 40 90)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="DB",
        help="PSNR that may be lost (default: "
        + ", ".join(f"{name} {limit:g}" for name, limit in TOLERANCE_DB.items())
        + ")",
    )
    parser.add_argument(
        "--bias",
        type=float,
        default=BIAS_LEVELS,
        metavar="LEVELS",
        help=f"how far a component's mean may move (default: {BIAS_LEVELS:g})",
    )
    parser.add_argument("--threads", type=thread_count, default=0, metavar="N")
    parser.add_argument("--json", action="store_true", help="all figures, as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    bundle = find_bundle(arguments.model)
    engine_name = resolve_engine(arguments.engine)
    check_options(engine_name, arguments.device, arguments.engines)
    precision = choose_precision(engine_name, bundle, arguments.precision)
    bundle.choose_precision("fp32")  # what it is compared with
    threads = arguments.threads or usable_cpus()
    reference = create_engine(resolve_engine("onnxruntime"), bundle, "fp32", threads)
    tested = create_engine(
        engine_name,
        bundle,
        precision,
        threads,
        device=arguments.device or 0,
        folder=arguments.engines,
    )
    originals = (
        [load_crop(file) for file in find_originals(arguments.images)]
        if arguments.images
        else [shipped_original()]
    )
    tolerance = arguments.tolerance
    result = verify(
        bundle.spec,
        reference,
        tested,
        originals,
        list(dict.fromkeys(arguments.quality)),
        TOLERANCE_DB.get(precision, 0.1) if tolerance is None else tolerance,
        arguments.bias,
    )
    if arguments.json:
        facts = {"model": bundle.name, "precision": precision, "engine": engine_name}
        show(json.dumps({**facts, "images": len(originals), **result.to_json()}, indent=1))
    else:
        show(
            f"{bundle.name} {precision} on {engine_name}, against fp32 on onnxruntime; "
            f"images: {len(originals)}\n"
            "graph  quality  PSNR change, dB  error, levels: largest    mean  bias, levels"
        )
        for comparison in result.comparisons:
            show(_line(comparison))
        show(result.verdict())
    return 0 if result.passed else 1


def _line(row: Comparison) -> str:
    bias = " ".join(f"{shift:+.4f}" for shift in row.bias)
    line = (
        f"{row.graph:<6} {row.quality:>7}  {row.psnr_change_db:>+15.4f}  "
        f"{row.largest_error:>22.4f} {row.mean_error:>7.4f}  {bias}"
    )
    return line if row.finite else f"{line}  not finite"
