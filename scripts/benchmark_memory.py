"""The most memory that `jpegrt restore` takes for large JPEGs, and how long it takes.

Each JPEG is an image repeated up to a number of megapixels. A process of its own restores it, whose
peak of resident memory the system tells. Prints JSON; exits with 1 if a peak is above --memory.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_REPEAT = """
import sys
import numpy as np
from PIL import Image
image, target, side, subsampling = sys.argv[1:]
tile = np.asarray(Image.open(image).convert("RGB"))
height, width = (-(-int(side) // n) for n in tile.shape[:2])
pixels = np.tile(tile, (height, width, 1))[: int(side), : int(side)]
Image.fromarray(pixels).save(target, quality=50, subsampling=subsampling)
"""
_RESTORE = "from jpegrt.runtime.cli import main; raise SystemExit(main())"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path, help="a lossless image")
    parser.add_argument("--megapixels", type=float, default=100)
    parser.add_argument("--subsampling", default="4:2:0", choices=("4:4:4", "4:2:2", "4:2:0"))
    parser.add_argument("--models", nargs="+", default=["cellnet"])
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--format", default="png", choices=("png", "tiff", "jpeg", "webp"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    reports = []
    with tempfile.TemporaryDirectory() as name:
        jpeg = Path(name) / "large.jpg"
        side = round((1e6 * arguments.megapixels) ** 0.5)
        repeat = [str(arguments.image), str(jpeg), str(side), arguments.subsampling]
        # Elsewhere: a process that begins in one with much memory is charged with it.
        subprocess.run([sys.executable, "-c", _REPEAT, *repeat], check=True)
        for model in arguments.models:
            reports.append(_measure(jpeg, model, arguments))
            print(json.dumps(reports[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(reports, indent=1) + "\n")
    return int(any(report["peak_mib"] > report["memory_mib"] for report in reports))


def _measure(jpeg: Path, model: str, arguments: argparse.Namespace) -> dict[str, Any]:
    # Only here, in a process that is small all the same: to have the sizes that are compared.
    from jpegrt.runtime.memory import Memory

    output = jpeg.with_suffix(f".{arguments.format}")
    command = [sys.executable, "-c", _RESTORE, "restore", str(jpeg), "-o", str(output), "--json"]
    command += ["--model", model, "--memory", arguments.memory, "--overwrite"]
    command += ["--engine", arguments.engine, "--threads", str(arguments.threads)]
    command += ["--max-pixels", str(1 << 30)]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"jpegrt restore failed with {process.returncode}")
    (report,) = json.loads(said)
    return {
        "model": model,
        "precision": report["precision"],
        "engine": report["engine"],
        "width": report["width"],
        "height": report["height"],
        "subsampling": arguments.subsampling,
        "format": arguments.format,
        "jpeg_bytes": jpeg.stat().st_size,
        "memory_mib": Memory.of(arguments.memory).bytes >> 20,
        "peak_mib": round(usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)),
        "seconds": round(time.monotonic() - started, 1),
        "network_seconds": round(report["milliseconds"]["network"] / 1e3, 1),
        "threads": arguments.threads,
        "machine": platform.processor() or platform.machine(),
    }


if __name__ == "__main__":
    raise SystemExit(main())
