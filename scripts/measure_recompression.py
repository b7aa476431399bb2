"""Measures images that were compressed twice: what each model makes of them, and `--model auto`.

IMAGES is a folder of lossless originals. Each is compressed by libjpeg, decoded, cropped by some
pixels above and before, and compressed again; what is restored is compared with the original's crop.
Also recorded: how many of the files are found to be recompressed, and how many are taken for it that
are not, compressed once at the second quality.
"""

import argparse
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
PAIRS = ((30, 70, (4, 3)), (70, 40, (0, 0)), (30, 70, (0, 0)), (70, 40, (4, 3)), (75, 90, (2, 5)))

Pixels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, metavar="IMAGES")
    parser.add_argument("--colour", action="store_true", help="4:2:0, compared as RGB")
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
    for first, second, crop in PAIRS:
        rows.append(measured(originals, first, second, crop, plain, sessions))
        print(rows[-1], flush=True)
    report = {
        "images": len(originals),
        "colour": "RGB, 4:2:0" if arguments.colour else "grey",
        "versions": encoder_versions(),
        "rows": rows,
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
    found = mistaken = 0
    for original in originals:
        target = np.ascontiguousarray(original[down:, across:])
        once = plain.restore(encode(original, first, "420"))[down:, across:]
        twice = encode(np.ascontiguousarray(once), second, "420")
        for name, session in {"jpeg": plain, **sessions}.items():
            values[name].append(psnr(session.restore(twice), target))
        signs = [
            find_recompression(read_coefficients(jpeg))
            for jpeg in (twice, encode(target, second, "420"))
        ]
        found += bool(signs[0] and signs[0].is_likely)
        mistaken += bool(signs[1] and signs[1].is_likely)
    return {
        "first_quality": first,
        "second_quality": second,
        "crop": list(crop),
        "psnr_db": {name: round(float(np.mean(each)), 3) for name, each in values.items()},
        "found": found,
        "mistaken": mistaken,
    }


if __name__ == "__main__":
    main()
