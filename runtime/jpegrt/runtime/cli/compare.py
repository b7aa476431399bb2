"""`jpegrt compare`."""

import argparse
import json
import math
from pathlib import Path

from jpegrt.runtime.cli.options import add_limit_option
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.comparison import MOST_PIXELS, Comparison, compare
from jpegrt.runtime.errors import UsageError, one_line
from jpegrt.runtime.output import check_writable


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compare two versions of an image, such as a JPEG and what was restored from it: writes one "
        "HTML page to look at, with a slider, synchronised zoom and a map of the differences, and "
        "prints PSNR, SSIM and PSNR-B. The page has everything in it and needs no network. Takes "
        "JPEG, PNG, WebP, TIFF, AVIF, BMP and PNM files, turned upright. B may be A enlarged by a "
        "whole factor: A is then enlarged too, bicubic."
    )
    parser.add_argument("a", metavar="A", help="the image before")
    parser.add_argument("b", metavar="B", help="the image after")
    parser.add_argument(
        "original", nargs="?", metavar="ORIGINAL", help="what both are measured against"
    )
    parser.add_argument(
        "--original", dest="named_original", metavar="FILE", help="the same, by an option"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("comparison.html"),
        metavar="PAGE",
        help="default: comparison.html",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a page that exists")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_limit_option(parser, MOST_PIXELS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.original and arguments.named_original:
        raise UsageError("the original is named twice: leave one out")
    original = arguments.original or arguments.named_original
    check_writable(arguments.output, overwrite=arguments.overwrite)
    files = [arguments.a, arguments.b, *([original] if original else [])]
    names = [Path(file).name for file in files]
    if len(set(names)) < len(names):
        names = files
    comparison = compare(*files, names=names, max_pixels=arguments.max_pixels)
    comparison.save(arguments.output, overwrite=arguments.overwrite)
    show(
        json.dumps({"output": str(arguments.output), **comparison.report()}, indent=1)
        if arguments.json
        else _text(arguments.output, comparison)
    )
    return 0


def _text(output: Path, comparison: Comparison) -> str:
    height, width = comparison.pictures[0].pixels.shape[:2]
    lines = [
        f"{one_line(output)}: {width} x {height} pixels",
        f"  {'':<20}{'PSNR':>9}{'SSIM':>9}{'PSNR-B':>9}",
    ]
    for pair, measured in comparison.measures.items():
        lines.append(
            f"  {pair:<20}{_number(measured.psnr_db, 2):>9}{_number(measured.ssim, 4):>9}"
            f"{_number(measured.psnr_b_db, 2):>9}"
        )
    return "\n".join([*lines, *(f"  {note}" for note in comparison.notes)])


def _number(value: float | None, digits: int) -> str:
    """Infinite: the same; None: the images are too small for it."""
    if value is None:
        return "-"
    return "inf" if math.isinf(value) else f"{value:.{digits}f}"
