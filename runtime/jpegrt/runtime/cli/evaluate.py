"""`jpegrt evaluate`."""

import argparse
import sys
from itertools import groupby
from pathlib import Path

from jpegrt.runtime.auto_session import AUTO, open_session
from jpegrt.runtime.cli.options import (
    add_model_options,
    add_strength_option,
    engine_options,
    positive,
    within,
)
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
from jpegrt.runtime.papers import CODECS, PAPERS
from jpegrt.runtime.session import Session

_HEADER = (
    "        |          JPEG          |        restored        |  gain |\n"
    "quality |  PSNR    SSIM   PSNR-B |  PSNR    SSIM   PSNR-B |    dB | worst gain\n"
    "--------+------------------------+------------------------+-------+-----------"
)


_DEFAULT_MODEL = "cellnet"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compress a folder's originals at several quality factors, restore them, and print the "
        "PSNR (dB), SSIM and PSNR-B (dB) of the JPEGs and of the restored images. For a model that "
        "enlarges, originals are reduced first, and the JPEGs enlarged by bicubic interpolation to "
        "be compared. With --paper, measure the standard sets as a paper did, and print its tables "
        "in Markdown with our figures beside the published ones: for example, jpegrt evaluate "
        "--paper jscnn --images SETS, where SETS holds folders named set5, set14, b100, classic5 "
        "and live1, or some of these."
    )
    parser.add_argument(
        "--images",
        type=Path,
        required=True,
        metavar="DIR",
        help="lossless originals; with --paper, a folder of sets",
    )
    parser.add_argument(
        "--quality",
        type=_quality,
        nargs="+",
        metavar="Q",
        help="libjpeg quality factors (default: 10 20 30 40); with --paper, only rows of these",
    )
    parser.add_argument(
        "--colour", action="store_true", help="RGB JPEGs (default: grey, colour images as luma)"
    )
    parser.add_argument(
        "--subsampling", choices=SUBSAMPLINGS, help="of chroma, with --colour (default: 420)"
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="only the first N images (of a set), by name"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write a report as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace a report that exists")
    paper = parser.add_argument_group("tables of papers")
    paper.add_argument(
        "--paper",
        choices=PAPERS,
        help="the network whose paper it is; its own models are measured where they are there, "
        "unless --model names another, or none for the baselines alone",
    )
    paper.add_argument(
        "--sets", nargs="+", metavar="SET", help="only rows of these (default: all that are there)"
    )
    paper.add_argument("--codec", choices=CODECS, help="only rows of its files (default: all rows)")
    paper.add_argument("--markdown", type=Path, metavar="FILE", help="also write what is printed")
    paper.add_argument(
        "--progress", action="store_true", help="show it also where stderr is no terminal"
    )
    add_strength_option(add_model_options(parser, "(default: cellnet), or auto"))
    parser.set_defaults(run=run, model=None)  # of a paper it is its own


def run(arguments: argparse.Namespace) -> int:
    for file in (arguments.json, arguments.markdown):
        if file:
            check_writable(file, overwrite=arguments.overwrite)
            if not file.parent.is_dir():  # rather mistyped than to be made
                raise UsageError(f"{file} cannot be written: its folder does not exist")
    if arguments.paper:
        if arguments.colour or arguments.subsampling:
            raise UsageError("--colour and --subsampling are not for --paper, which says both")
        if arguments.model == AUTO or arguments.strength is not None:
            raise UsageError("--model auto and --strength are not for --paper: name a model")
        from jpegrt.runtime.cli.evaluate_paper import run_paper

        return run_paper(arguments)
    if arguments.sets or arguments.codec or arguments.markdown or arguments.progress:
        raise UsageError("--sets, --codec, --markdown and --progress need --paper")
    if arguments.subsampling and not arguments.colour:
        raise UsageError("--subsampling needs --colour: grey JPEGs have no chroma")
    files = find_originals(arguments.images, arguments.limit)
    session = open_session(
        arguments.model or _DEFAULT_MODEL,
        strength=arguments.strength,
        precision=arguments.precision,
        **engine_options(arguments),
        threads=arguments.threads,
    )
    protocol = Protocol(
        tuple(dict.fromkeys(arguments.quality or Protocol.qualities)),
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
            arguments.strength if session.model_name == AUTO else session.strength,
            arguments.images.resolve().name,  # not its path, which is of this machine alone
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
