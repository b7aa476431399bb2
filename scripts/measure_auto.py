"""Measures `--model auto` beside every choice it could have made: each model at each strength.

ORIGINALS is a folder of lossless images that none was trained on. They are compressed by libjpeg at
each quality, in grey and as 4:2:0, restored by auto and by every model, and compared as `jpegrt
evaluate` does. A row is one quality: the set's mean PSNR of the JPEGs, of auto, and of the best
single choice, one model and one strength for all images. It passes if auto is not below the JPEGs,
and below the best choice by no more than 0.05 dB. Prints a row when it is measured, and writes it
into --json; started again, goes on with the rows that are not there. Exit code 1 if a row fails.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.amounts import TABLE
from jpegrt.runtime.auto_session import AUTO, open_session
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.evaluation import encode, encoder_versions, find_originals, load_original
from jpegrt.runtime.metrics import psnr
from jpegrt.runtime.output import write_json
from jpegrt.runtime.session import Session
from jpegrt.runtime.strength import blend

MODELS = ("cellnet", "cellnet-large", "hrcnn")
HIGHEST_QUALITY = {"hrcnn": 60}  # better files it makes worse at once
QUALITIES = (5, *range(10, 96, 10), 95, 97, 99, 100)
KINDS = ("grey", "420")
STRENGTHS = tuple(tenths / 10 for tenths in range(1, 11))
MOST_BELOW_DB = 0.05  # up to NEAR_BEST_TO
NEAR_BEST_TO = 95

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path, metavar="ORIGINALS")
    parser.add_argument("--quality", type=int, nargs="+", default=QUALITIES, metavar="Q")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images, by name")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--overwrite", action="store_true", help="measure rows that are there again"
    )
    arguments = parser.parse_args()
    files = find_originals(arguments.originals, arguments.limit)
    auto = open_session(AUTO, threads=1)
    sessions = {name: Session(name, threads=1) for name in arguments.models}
    report = {
        "images": len(files),
        "versions": encoder_versions(),
        "engine": auto.engine_name,
        "models": {
            name: {"precision": session.precision, "files": files_of(name)}
            for name, session in sessions.items()
        },
        "rows": [],
    }
    known = {} if arguments.overwrite else rows_of(arguments.json, report)
    amounts = hashlib.sha256(TABLE.read_bytes()).hexdigest()[:16]
    for kind in KINDS:
        originals = [load_original(file, colour=kind != "grey") for file in files]
        for quality in arguments.quality:
            row = known.get((kind, quality))
            if row is None or row["amounts"] != amounts:
                choices = row["choices"] if row else None
                if choices is None:
                    choices = measure_choices(originals, kind, quality, sessions)
                row = measure_auto(originals, kind, quality, auto, choices) | {"amounts": amounts}
                known[kind, quality] = row
                report["rows"] = [known[key] for key in sorted(known, key=in_order)]
                write_json(report, arguments.json)
            print(line(row), flush=True)
    return 0 if all(row["passes"] for row in known.values()) else 1


def in_order(key: tuple[str, int]) -> tuple[int, int]:
    kind, quality = key
    return KINDS.index(kind), quality


def files_of(model: str) -> str:
    """What tells a bundle with other weights or graphs from this one."""
    checksums = sorted(facts["sha256"] for facts in find_bundle(model).manifest["files"].values())
    return hashlib.sha256("".join(checksums).encode()).hexdigest()[:16]


def rows_of(file: Path, report: dict[str, Any]) -> dict[tuple[str, int], Row]:
    """Those measured before, by kind and quality, if that was of the same images and models."""
    if not file.exists():
        return {}
    before = json.loads(file.read_text())
    if {**before, "rows": []} != report:
        sys.exit(f"{file} is of other images, models or versions: pass --overwrite to replace it")
    return {(row["kind"], row["quality"]): row for row in before["rows"]}


def measure_choices(
    originals: list[NDArray[np.uint8]], kind: str, quality: int, sessions: dict[str, Session]
) -> dict[str, float]:
    """Mean PSNR of every model at every strength, and of "none", which are the JPEGs, dB."""
    plain = Session("none", threads=1)
    values: dict[str, list[float]] = {}
    for original in shown(originals, f"{kind} {quality}, single choices"):
        content = encode(original, quality, "420")
        decoded = plain.restore(content)
        values.setdefault("none", []).append(psnr(decoded, original))
        for name, session in sessions.items():
            if quality > HIGHEST_QUALITY.get(name, 100):
                continue
            restored = session.restore16(content)
            for strength in STRENGTHS:
                pixels = decoded.copy()
                blend(pixels, restored, strength)
                values.setdefault(f"{name} {strength:g}", []).append(psnr(pixels, original))
    return {choice: rounded(np.mean(each)) for choice, each in values.items()}


def measure_auto(
    originals: list[NDArray[np.uint8]],
    kind: str,
    quality: int,
    auto: Session,
    choices: dict[str, float],
) -> Row:
    """Means over the images, PSNR in dB; and what auto chose, for how many."""
    plain = Session("none", threads=1)
    jpeg, by_auto = [], []
    chosen: Counter[str] = Counter()
    for original in shown(originals, f"{kind} {quality}, auto"):
        content = encode(original, quality, "420")
        jpeg.append(psnr(plain.restore(content), original))
        by_auto.append(psnr(auto.restore(content), original))
        chosen[f"{auto.account.model} {auto.account.strength:g}"] += 1
    best = max(choices, key=choices.__getitem__)
    mean = rounded(np.mean(by_auto))
    difference = rounded(mean - choices[best])
    return {
        "kind": kind,
        "quality": quality,
        "jpeg_psnr_db": choices["none"],
        "auto_psnr_db": mean,
        "auto": dict(chosen),
        "worst_gain_db": rounded(np.min(np.subtract(by_auto, jpeg))),
        "best": best,
        "best_psnr_db": choices[best],
        "difference_db": difference,
        "passes": passes(quality, mean - choices["none"], difference),
        "choices": choices,
    }


def shown(originals: list[NDArray[np.uint8]], what: str) -> Iterator[NDArray[np.uint8]]:
    """Each in turn, with progress on a terminal."""
    for done, original in enumerate(originals):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{what}: {done} of {len(originals)}", end="", file=sys.stderr)
        yield original
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)


def passes(quality: int, gain_db: float, difference_db: float) -> bool:
    """gain_db: over the JPEGs; difference_db: from the best choice."""
    return gain_db >= 0 and (quality > NEAR_BEST_TO or difference_db >= -MOST_BELOW_DB)


def rounded(db: np.floating[Any] | float) -> float:
    return round(float(db), 4)


def line(row: Row) -> str:
    return (
        f"{row['kind']:4} {row['quality']:3}: JPEG {row['jpeg_psnr_db']:.3f}, "
        f"auto {row['auto_psnr_db']:.3f} ({', '.join(row['auto'])}), "
        f"best {row['best_psnr_db']:.3f} ({row['best']}), {row['difference_db']:+.3f} dB: "
        f"{'passes' if row['passes'] else 'FAILS'}"
    )


if __name__ == "__main__":
    sys.exit(main())
