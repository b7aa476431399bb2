"""`jpegrt evaluate`."""

import argparse
import sys
from itertools import groupby
from pathlib import Path

from jpegrt.runtime.cli.options import add_model_options, positive, within
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.errors import UsageError, one_line
from jpegrt.runtime.evaluation import (
    SUBSAMPLINGS,
    ImageResult,
    Protocol,
    QualityResult,
    Report,
    Scores,
    evaluate,
    find_originals,
)
from jpegrt.runtime.output import check_writable, write_json
from jpegrt.runtime.session import Session

_HEADER = (
    "        |          JPEG          |        restored        |  gain |\n"
    "quality |  PSNR    SSIM   PSNR-B |  PSNR    SSIM   PSNR-B |    dB | worst gain\n"
    "--------+------------------------+------------------------+-------+-----------"
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compress a folder's originals at several quality factors, restore them, and print the "
        "PSNR (dB), SSIM and PSNR-B (dB) of the JPEGs and of the restored images. For a model that "
        "enlarges, originals are reduced first, and the JPEGs enlarged by bicubic interpolation to "
        "be compared."
    )
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="lossless originals"
    )
    parser.add_argument(
        "--quality",
        type=_quality,
        nargs="+",
        default=list(Protocol.qualities),
        metavar="Q",
        help="libjpeg quality factors (default: 10 20 30 40)",
    )
    parser.add_argument(
        "--colour", action="store_true", help="RGB JPEGs (default: grey, colour images as luma)"
    )
    parser.add_argument(
        "--subsampling", choices=SUBSAMPLINGS, help="of chroma, with --colour (default: 420)"
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="only the first N images, by name"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write a report as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace a report that exists")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.subsampling and not arguments.colour:
        raise UsageError("--subsampling needs --colour: grey JPEGs have no chroma")
    if arguments.json:
        check_writable(arguments.json, overwrite=arguments.overwrite)
        if not arguments.json.parent.is_dir():  # rather mistyped than to be made
            raise UsageError(f"{arguments.json} cannot be written: its folder does not exist")
    files = find_originals(arguments.images, arguments.limit)
    session = Session(
        arguments.model,
        precision=arguments.precision,
        engine=arguments.engine,
        threads=arguments.threads,
    )
    protocol = Protocol(
        tuple(dict.fromkeys(arguments.quality)),
        arguments.colour,
        arguments.subsampling or Protocol.subsampling,
        session.enlargement,
    )
    results = _measure(files, protocol, session)
    if arguments.json:
        report = Report(
            session.model_name,
            session.precision,
            session.engine_name,
            str(arguments.images),
            protocol,
            results,
        )
        write_json(report.to_json(), arguments.json, overwrite=arguments.overwrite)
    return 0


def _measure(files: list[Path], protocol: Protocol, session: Session) -> tuple[QualityResult, ...]:
    """Measures, and prints the table as it goes, a row when all images of a quality are done."""
    show(
        f"model {session.model_name}, precision {session.precision}, "
        f"engine {session.engine_name}, images {len(files)}"
    )
    show(protocol.describe())
    show(_HEADER)
    results = []
    measured = evaluate(files, protocol, session.restore)
    for quality, images in groupby(measured, key=lambda image: image.quality):
        done: list[ImageResult] = []
        try:
            for image in images:
                done.append(image)
                _show_progress(f"quality {quality}: {len(done)} of {len(files)}, {image.image}")
        finally:
            _show_progress("")
        results.append(QualityResult(quality, tuple(done)))
        show(_row(results[-1]))
    return tuple(results)


def _row(result: QualityResult) -> str:
    worst = result.worst
    return (
        f"{result.quality:7d} | {_columns(result.jpeg)} | {_columns(result.restored)} | "
        f"{result.gain_db:+5.2f} | {worst.gain_db:+5.2f} ({one_line(worst.image)})"
    )


def _columns(scores: Scores) -> str:
    return f"{scores.psnr_db:5.2f}  {scores.ssim:7.4f}  {scores.psnr_b_db:6.2f}"


def _show_progress(text: str) -> None:
    """Replaces the terminal's current line, or does nothing if there is no terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{one_line(text)}")
        sys.stderr.flush()


def _quality(text: str) -> int:
    """An argparse type: a quality factor from 1 to 100."""
    return within(text, 100)
