"""`jpegrt info`."""

import argparse
import json
from pathlib import Path
from typing import Any

from jpegrt.kernels import JpegImage, NativeError, read_coefficients
from jpegrt.runtime.cli.options import add_limit_option
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.errors import RestoreError, one_line
from jpegrt.runtime.recompression import find_recompression
from jpegrt.runtime.session import read_file
from jpegrt.runtime.tables import estimate_quality

_COMPONENTS = {
    "grey": ["Y"],
    "ycbcr": ["Y", "Cb", "Cr"],
    "rgb": ["R", "G", "B"],
    "cmyk": ["C", "M", "Y", "K"],
    "ycck": ["Y", "Cb", "Cr", "K"],
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show a JPEG's geometry, sampling, tables and estimated quality factor, and whether it seems "
        "to have been compressed before: at which quality factor, about, and where the blocks of "
        "that time begin. Scores are in standard deviations; from 16 it is possible, from 20 likely. "
        "First compressions that were finer, which are found on the same grid, are likely from 7."
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true")
    add_limit_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    path = arguments.file
    try:
        content = read_file(path)
        jpeg = read_coefficients(content, allow_damaged=True, max_pixels=arguments.max_pixels)
    except (RestoreError, NativeError) as error:
        raise RestoreError(f"{path}: {error}") from error
    description = _describe(jpeg, len(content))
    show(json.dumps(description, indent=1) if arguments.json else _text(path, description))
    return 0


def _describe(jpeg: JpegImage, size: int) -> dict[str, Any]:
    tables = [component.table for component in jpeg.components]
    assert tables[0] is not None
    quality = estimate_quality(tables[0])
    return {
        "width": jpeg.width,
        "height": jpeg.height,
        "bytes": size,
        "bits_per_pixel": round(8 * size / (jpeg.width * jpeg.height), 3),
        "colour": jpeg.colour.name.lower(),
        "subsampling": jpeg.subsampling,
        **({"inverted": jpeg.inverted} if len(jpeg.components) == 4 else {}),
        "coding": jpeg.coding.name.lower(),
        "entropy_coding": "arithmetic" if jpeg.arithmetic else "huffman",
        "restart_interval": jpeg.restart_interval,
        "damaged": jpeg.warnings > 0,
        "quality": quality.quality,
        "quality_exact": quality.exact,
        "recompression": _recompression(jpeg),
        "components": [
            {
                "width": component.width,
                "height": component.height,
                "sampling": [component.h, component.v],
                "blocks": list(component.blocks.shape[:2])
                if component.blocks is not None
                else None,
                "table": table.tolist() if table is not None else None,
            }
            for component, table in zip(jpeg.components, tables, strict=True)
        ],
    }


def _recompression(jpeg: JpegImage) -> dict[str, Any] | None:
    found = find_recompression(jpeg)
    if found is None:
        return None
    return {
        "confidence": "likely" if found.is_likely else "possible",
        "score": round(found.score, 1),
        "first_quality": found.quality,
        "shift": list(found.shift),
        "finer": found.is_finer,
    }


def _text(path: Path, d: dict[str, Any]) -> str:
    kind = (
        "the standard table" if d["quality_exact"] else "nearest; its table is not a standard one"
    )
    lines = [
        one_line(path),
        (
            f"  size         {d['width']} x {d['height']} pixels, {d['bytes']:,} bytes "
            f"({d['bits_per_pixel']} bits a pixel)"
        ),
        f"  colour       {d['colour']}, {d['subsampling']}"
        + {True: ", inverted (0 is all ink)", False: ", 0 is no ink", None: ""}[d.get("inverted")],
        f"  coding       {d['coding']}, {d['entropy_coding']}, "
        + (
            f"restart every {d['restart_interval']} MCUs"
            if d["restart_interval"]
            else "no restarts"
        ),
        f"  quality      {d['quality']} ({kind})",
    ]
    if first := d["recompression"]:
        down, across = first["shift"]
        grid = f"its blocks begin {down} down, {across} across" if down or across else "same grid"
        lines.append(
            f"  recompressed {first['confidence']}: first quality about {first['first_quality']}, "
            f"{grid} (score {first['score']})"
        )
    if d["damaged"]:
        lines.append("  damaged      yes: restore it with --allow-damaged")
    names = _COMPONENTS[d["colour"]]
    seen: list[list[list[int]]] = []
    for name, component in zip(names, d["components"], strict=True):
        if component["table"] in seen:
            lines.append(f"  table {name:<6} the same as {names[seen.index(component['table'])]}'s")
        else:
            rows = [" ".join(f"{step:4}" for step in row) for row in component["table"]]
            lines.append(f"  table {name:<6}{rows[0]}")
            lines += [" " * 14 + row for row in rows[1:]]
        seen.append(component["table"])
    return "\n".join(lines)
