"""Measures images that were compressed twice: what each model makes of them, and `--model auto`.

IMAGES is a folder of lossless originals. Each is compressed by libjpeg, decoded, cropped by some
pixels above and before, and compressed again; what is restored is compared with the original's crop.
Also recorded: how many of the files are found to be recompressed, and how many that were compressed
once are taken for it, of these images and of those of the folders --once, the middle of each. Prints
README's table.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import read_coefficients
from jpegrt.runtime.auto_session import AUTO, open_session
from jpegrt.runtime.evaluation import encode, encoder_versions, find_originals, load_original
from jpegrt.runtime.metrics import psnr
from jpegrt.runtime.output import write_json
from jpegrt.runtime.recompression import find_recompression
from jpegrt.runtime.session import Session

# The first quality, the second, and the crop in between: 0, 0 leaves the grid where it was.
PAIRS = (
    (30, 70, (4, 3)),
    (30, 70, (0, 0)),
    (75, 90, (2, 5)),
    (70, 40, (0, 0)),
    (75, 60, (0, 0)),
    (90, 80, (0, 0)),
    (70, 40, (4, 3)),
)
ONCE = (5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
MIDDLE_PX = 1024  # more than is looked at

Pixels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, metavar="IMAGES")
    parser.add_argument("--colour", action="store_true", help="4:2:0, compared as RGB")
    parser.add_argument(
        "--once", type=Path, nargs="+", default=[], metavar="IMAGES", help="folders of originals"
    )
    parser.add_argument("--models", nargs="+", default=["cellnet"], metavar="NAME")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images, by name")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--overwrite", action="store_true")
    arguments = parser.parse_args()
    originals = [
        load_original(file, colour=arguments.colour)
        for file in find_originals(arguments.images, arguments.limit)
    ]
    sessions = {name: open_session(name, threads=1) for name in (*arguments.models, AUTO)}
    plain = Session("none", threads=1)
    rows = []
    print(f"| | the JPEG | {' | '.join(sessions)} | found |")
    print(f"|---|---|{'---|' * len(sessions)}---|")
    for first, second, crop in PAIRS:
        rows.append(measured(originals, first, second, crop, plain, sessions))
        print(markdown(rows[-1], len(originals)), flush=True)
    once = {"these": mistaken(originals)}
    for folder in arguments.once:
        others = (load_original(file, colour=arguments.colour) for file in find_originals(folder))
        once[folder.name] = mistaken(map(middle, others))
    for name, found in once.items():
        print(f"compressed once, {name}: {found}")
    report = {
        "images": len(originals),
        "colour": "RGB, 4:2:0" if arguments.colour else "grey",
        "versions": encoder_versions(),
        "rows": rows,
        "compressed_once": once,
    }
    write_json(report, arguments.json, overwrite=arguments.overwrite)


def measured(
    originals: list[Pixels],
    first: int,
    second: int,
    crop: tuple[int, int],
    plain: Session,
    sessions: dict[str, Session],
) -> dict[str, Any]:
    """Means over the images, PSNR in dB."""
    down, across = crop
    values: dict[str, list[float]] = {name: [] for name in ("jpeg", *sessions)}
    found = 0
    for original in originals:
        target = np.ascontiguousarray(original[down:, across:])
        once = plain.restore(encode(original, first, "420"))[down:, across:]
        twice = encode(np.ascontiguousarray(once), second, "420")
        for name, session in {"jpeg": plain, **sessions}.items():
            values[name].append(psnr(session.restore(twice), target))
        found += is_found(twice)
    return {
        "first_quality": first,
        "second_quality": second,
        "crop": list(crop),
        "psnr_db": {name: round(float(np.mean(each)), 3) for name, each in values.items()},
        "found": found,
    }


def mistaken(originals: Iterable[Pixels]) -> dict[str, Any]:
    """How many JPEGs that were compressed once are taken for recompressed ones, by quality."""
    counts = dict.fromkeys(ONCE, 0)
    images = 0
    for original in originals:
        images += 1
        for quality in ONCE:
            counts[quality] += is_found(encode(original, quality, "420"))
    return {"images": images, "taken_for_recompressed": counts}


def is_found(jpeg: bytes) -> bool:
    sign = find_recompression(read_coefficients(jpeg))
    return sign is not None and sign.is_likely


def middle(original: Pixels) -> Pixels:
    top, left = (max(side - MIDDLE_PX, 0) // 2 for side in original.shape[:2])
    return np.ascontiguousarray(original[top : top + MIDDLE_PX, left : left + MIDDLE_PX])


def markdown(row: dict[str, Any], images: int) -> str:
    down, across = row["crop"]
    crop = f"cropped by {down} and {across} pixels, " if down or across else ""
    values = " | ".join(f"{value:.2f}" for value in row["psnr_db"].values())
    found = f"{row['found']} of {images}" if row["found"] else "none"
    return f"| quality {row['first_quality']}, {crop}then {row['second_quality']} | {values} | {found} |"


if __name__ == "__main__":
    main()
