"""Restores JPEGs and shows what it did: figures on the terminal, pictures in a folder.

Without a file it restores the example beside this script, whose original is there too.
Exit codes: 0 done, 1 a file could not be restored (the others were), 2 nothing was tried.
"""

import argparse
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from interleave import Summary, measure, summarise
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from jpegrt.kernels import JpegImage, Timings, read_coefficients
from jpegrt.runtime import RestoreError, Session, UsageError
from jpegrt.runtime.cli.options import add_model_options
from jpegrt.runtime.errors import one_line
from jpegrt.runtime.evaluation import load_original
from jpegrt.runtime.metrics import psnr
from jpegrt.runtime.output import check_writable, write_png
from jpegrt.runtime.session import read_file
from jpegrt.runtime.tables import QualityEstimate, estimate_quality

Pixels = NDArray[np.uint8]

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "scripts/example/example.jpg"

MEASURING_SECONDS = 2.0  # about, for each file
PANEL_PX = (320, 640)  # narrowest and widest
DETAIL_ZOOM = 4
GAP_PX = 12
CAPTION_PX = 16
BACKGROUND, INK = (255, 255, 255), (40, 40, 40)


@dataclass(frozen=True)
class Times:
    """first_ms: of the first restore, which also loads the network; stages: medians of the rest."""

    first_ms: float
    runs: int
    stages: Timings
    restore: Summary
    plain: Summary
    pillow: Summary


def pillow_decode(jpeg: bytes) -> Pixels:
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image)


def measure_times(jpeg: bytes, first: Timings, session: Session, plain: Session) -> Times:
    """Restores and decodes in turns, as often as MEASURING_SECONDS allow."""
    timings: list[Timings] = []
    variants: dict[str, Callable[[], object]] = {
        "plain": partial(plain.restore, jpeg),
        "pillow": partial(pillow_decode, jpeg),
        "restore": lambda: timings.append(session.restore_timed(jpeg)[1]),
    }
    runs = min(25, max(3, round(1e3 * MEASURING_SECONDS / first.total_ms)))
    summaries = summarise(measure(variants, runs, seconds=0))
    measured = timings[-runs:]  # without those that warmed up
    stages = Timings(
        median(t.entropy_decode_ms for t in measured),
        median(t.unpack_ms for t in measured),
        median(t.network_ms for t in measured),
        median(t.pixels_ms for t in measured),
    )
    return Times(
        first.total_ms,
        runs,
        stages,
        summaries["restore"],
        summaries["plain"],
        summaries["pillow"],
    )


def most_changed(before: Pixels, after: Pixels, width: int, height: int) -> tuple[int, int]:
    """(x, y) of the region of that size in which the images differ most."""
    change = np.abs(before.astype(np.int32) - after)
    if change.ndim == 3:
        change = change.sum(2)
    sums = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    regions = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
    regions += sums[:-height, :-width]
    y, x = np.unravel_index(np.argmax(regions), regions.shape)
    return int(x), int(y)


def draw_comparison(before: Pixels, after: Pixels, captions: tuple[str, str]) -> Pixels:
    """The JPEG on the left, the restored image on the right; below each, a detail enlarged."""
    height, width = before.shape[:2]
    panel = min(max(width, PANEL_PX[0]), PANEL_PX[1])
    shown = min(1.0, panel / width)
    shown_size = round(width * shown), max(1, round(height * shown))
    detail_width = min(width, panel // DETAIL_ZOOM)
    detail_height = min(height, max(1, detail_width * 3 // 4))
    x, y = most_changed(before, after, detail_width, detail_height)

    font = ImageFont.load_default(CAPTION_PX)
    line = 2 * CAPTION_PX
    detail_top = line + shown_size[1] + GAP_PX
    bottom = detail_top + DETAIL_ZOOM * detail_height
    picture = Image.new("RGB", (2 * panel + GAP_PX, bottom + line), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for column, (pixels, caption) in enumerate(zip((before, after), captions, strict=True)):
        left = column * (panel + GAP_PX)
        draw.text((left + 4, CAPTION_PX // 2), caption, INK, font)
        image = Image.fromarray(pixels).convert("RGB")
        picture.paste(image.resize(shown_size, Image.Resampling.LANCZOS), (left, line))
        detail = image.crop((x, y, x + detail_width, y + detail_height))
        enlarged = detail.resize(
            (DETAIL_ZOOM * detail_width, DETAIL_ZOOM * detail_height), Image.Resampling.NEAREST
        )
        picture.paste(enlarged, (left, detail_top))
    note = f"above: {shown:.0%} of its size; below: the region that changed most, {DETAIL_ZOOM} x"
    draw.text((4, bottom + CAPTION_PX // 2), note, INK, font)
    return np.asarray(picture)


def describe_file(image: JpegImage, quality: QualityEstimate, size: int) -> str:
    sampling = "grey" if len(image.components) == 1 else image.subsampling
    table = "its table is the standard one" if quality.exact else "by the nearest standard table"
    return (
        f"  file            {image.width} x {image.height} pixels, {sampling}, {size:,} bytes, "
        f"quality {quality.quality} ({table})"
    )


def describe_times(times: Times) -> str:
    stages = times.stages
    lines = [
        f"  first restore   {times.first_ms:8.2f} ms, the loading of the network included",
        f"  then, as the median of {times.runs} runs:",
        f"  entropy decode  {stages.entropy_decode_ms:8.2f} ms",
        f"  unpack          {stages.unpack_ms:8.2f} ms",
        f"  network         {stages.network_ms:8.2f} ms",
        f"  pixels          {stages.pixels_ms:8.2f} ms",
        f"  whole restore   {times.restore.median_ms:8.2f} ms, {times.restore.ratio:.1f} x plain",
        f"  plain decode    {times.plain.median_ms:8.2f} ms, the same pipeline without a model",
        f"  plain decode    {times.pillow.median_ms:8.2f} ms, Pillow's plain decode",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Outputs:
    comparison: Path
    restored: Path


def plan(files: list[Path], folder: Path) -> dict[Path, Outputs]:
    """Where the pictures of each file go. Raises UsageError."""
    planned: dict[Path, Outputs] = {}
    for file in files:
        outputs = Outputs(
            folder / f"{file.stem}_before_after.png", folder / f"{file.stem}_restored.png"
        )
        if outputs in planned.values():
            raise UsageError(
                f"two files would be written to {outputs.restored}: restore one a time"
            )
        for path in (outputs.comparison, outputs.restored):
            check_writable(path, overwrite=True)
        planned[file] = outputs
    return planned


def demonstrate(
    file: Path, original: Path | None, outputs: Outputs, session: Session, plain: Session
) -> None:
    """Raises RestoreError."""
    content = read_file(file)
    restored, first = session.restore_timed(content)
    decoded = plain.restore(content)
    image = read_coefficients(content)
    table = image.components[0].table
    assert table is not None
    quality = estimate_quality(table)
    captions = (
        f"JPEG of quality {quality.quality}",
        f"restored by {session.model_name}, {session.precision}",
    )
    print(one_line(file))
    print(describe_file(image, quality, len(content)))
    print(f"  model           {session.model_name}, {session.precision}, {session.engine_name}")
    if original:
        truth = load_original(original, colour=restored.ndim == 3)
        if truth.shape != restored.shape:
            raise RestoreError(f"{original} is not of the JPEG's size")
        before, after = psnr(decoded, truth), psnr(restored, truth)
        print(
            f"  PSNR            {before:.2f} dB before, {after:.2f} dB after: {after - before:+.2f}"
        )
        captions = f"{captions[0]}: {before:.2f} dB", f"{captions[1]}: {after:.2f} dB"
    print(describe_times(measure_times(content, first, session, plain)))
    write_png(draw_comparison(decoded, restored, captions), outputs.comparison)
    write_png(restored, outputs.restored)
    print(f"  before, after   {outputs.comparison}\n  restored        {outputs.restored}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.jpg")
    parser.add_argument(
        "--original", type=Path, metavar="FILE", help="lossless original of the one JPEG given"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: demo/")
    add_model_options(parser)
    arguments = parser.parse_args()
    if arguments.original and len(arguments.files) != 1:
        parser.error("--original needs exactly one JPEG")
    return arguments


def shortened(path: Path) -> Path:
    """Relative to the current folder where the file is below that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def run(arguments: argparse.Namespace) -> int:
    files, original = arguments.files, arguments.original
    if not files:
        files, original = [shortened(EXAMPLE)], EXAMPLE.with_suffix(".png")
    planned = plan(files, arguments.output or shortened(ROOT / "demo"))
    session = Session(
        arguments.model,
        precision=arguments.precision,
        engine=arguments.engine,
        threads=arguments.threads,
    )
    plain = Session("none", threads=arguments.threads)
    exit_code = 0
    for file, outputs in planned.items():
        try:
            demonstrate(file, original, outputs, session, plain)
        except RestoreError as error:
            print(f"demo: {one_line(f'{file}: {error}')}", file=sys.stderr)
            exit_code = 1
    return exit_code


def main() -> int:
    try:
        return run(parse_arguments())
    except RestoreError as error:
        print(f"demo: {one_line(error)}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
