"""Measures what `--model auto` chooses by: each model's gain over the plain decode, at each quality.

IMAGES is the folder that `jpegrt train --data` takes. The images are those held out of training,
halved if they are large, as training offers them, and the middle of each. They are compressed by
libjpeg, in grey, as 4:4:4 and as 4:2:0. Of every model is recorded what it gains in PSNR at full
strength, and at the gentlest strength that gains most in the mean, within a hundredth of a dB, while it
makes no image worse by more than a twentieth: 0 where there is none.
The table is written where the runtime reads it.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime.amounts import TABLE
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.evaluation import encode, encoder_versions
from jpegrt.runtime.metrics import luma_bt601, psnr
from jpegrt.runtime.output import write_json
from jpegrt.runtime.session import Session
from jpegrt.runtime.strength import blend
from jpegrt.training.images import REDUCED_ABOVE_PX, centre_crop, find_images, load_rgb

# Those that could be best: hrcnn and jscnn gain half a decibel less at every quality measured.
MODELS = ("cellnet", "cellnet-large")
QUALITIES = (5, 10, 20, 40, 60, 80, 90, 95, 96, 97, 98, 99, 100)
NEAR_DB = 0.01
WORST_DB = -0.05
KINDS = ("grey", "444", "420")
STRENGTHS = tuple(tenths / 10 for tenths in range(1, 11))
SETS = ("clic2025", "xiph", "gb82")
VALIDATION_EVERY = 13  # as the recipes of cellnet and hrcnn

Pixels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, metavar="IMAGES")
    parser.add_argument("--largest", type=int, default=320, metavar="PX", help="side of the crops")
    parser.add_argument("--json", type=Path, default=TABLE, metavar="FILE")
    arguments = parser.parse_args()
    files = find_images(arguments.images, SETS, VALIDATION_EVERY).validation
    colour = [original(file, arguments.largest) for file in files]
    grey = [luma_bt601(rgb) for rgb in colour]
    sessions = {name: Session(name, threads=1) for name in MODELS}
    plain = Session("none", threads=1)
    table = {
        "images": f"{len(files)} held out of {', '.join(SETS)}, at most {arguments.largest} px",
        "versions": encoder_versions(),
        "engine": sessions[MODELS[0]].engine_name,
        "models": {
            name: {
                "precision": session.precision,
                "multiply_adds_per_px": find_bundle(name).manifest["multiply_adds_per_px"],
            }
            for name, session in sessions.items()
        },
        "qualities": QUALITIES,
        "gains": {
            kind: measured(grey if kind == "grey" else colour, plain, sessions, kind)
            for kind in KINDS
        },
    }
    write_json(table, arguments.json)


def original(file: Path, largest_px: int) -> Pixels:
    """(H, W, 3), sides of whole MCUs."""
    rgb = load_rgb(file)
    if rgb.shape[0] * rgb.shape[1] > REDUCED_ABOVE_PX:
        rgb = np.asarray(Image.fromarray(rgb).reduce(2))
    return centre_crop(rgb, largest_px, 16)


def measured(
    originals: list[Pixels], plain: Session, sessions: dict[str, Session], kind: str
) -> dict[str, dict[str, list[float]]]:
    """Of every model, by quality: gain_db, and the best strength with what it gains."""
    rows: dict[str, dict[str, list[float]]] = {
        name: {"gain_db": [], "strength": [], "gain_at_strength_db": []} for name in sessions
    }
    for quality in QUALITIES:
        jpegs = [encode(image, quality, "444" if kind == "444" else "420") for image in originals]
        decoded = [plain.restore(jpeg) for jpeg in jpegs]
        for name, session in sessions.items():
            restored = [session.restore16(jpeg) for jpeg in jpegs]
            gains = np.asarray(
                [
                    gains_of_blends(*images)
                    for images in zip(originals, decoded, restored, strict=True)
                ]
            )
            means = np.where(gains.min(axis=0) >= WORST_DB, gains.mean(axis=0), 0)
            best = int(np.flatnonzero(means >= means.max() - NEAR_DB)[0])  # the gentlest
            row = rows[name]
            row["gain_db"].append(round(float(gains[:, -1].mean()), 4))
            row["strength"].append(STRENGTHS[best] if means[best] > 0 else 0)
            row["gain_at_strength_db"].append(round(float(means[best]), 4))
            said = f"{row['gain_db'][-1]:+.3f}, {means[best]:+.3f} at {row['strength'][-1]}"
            print(f"{kind} {quality}: {name} {said}", flush=True)
    return rows


def gains_of_blends(image: Pixels, base: Pixels, restored: NDArray[np.uint16]) -> list[float]:
    """PSNR gained over `base` at each of STRENGTHS, dB."""
    before, gains = psnr(base, image), []
    for strength in STRENGTHS:
        blended = base.copy()
        blend(blended, restored, strength)
        gains.append(psnr(blended, image) - before)
    return gains


if __name__ == "__main__":
    main()
