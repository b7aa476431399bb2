"""Times `restore`'s way through a batch of small images against a loop over Session.restore.

Both restore the same JPEGs and write PNGs into a folder, in this process, in interleaved rounds, on
the CPUs that this process may use. The loop gives each image all threads, and saves with Pillow.
The batch includes what only it does: metadata, the journal, and waiting until files are on the disk.
"loop again" is a control: its ratio has to be 1. "one session" is the batch with one session of all
threads, as for large images. Prints a table; --json writes the figures with the machine.
"""

import argparse
import io
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from interleave import measure, summarise
from PIL import Image

from jpegrt.runtime import Session
from jpegrt.runtime.batch import Job, Sessions, work_through
from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.journal import Journal
from jpegrt.runtime.restorer import Restorer
from jpegrt.runtime.session import usable_cpus


def crops(paths: list[Path], count: int, side_px: int, quality: int) -> list[bytes]:
    """JPEGs in 4:2:0 of squares out of the images, from evenly spread places."""
    jpegs: list[bytes] = []
    places = np.random.default_rng(0)
    while len(jpegs) < count:
        with Image.open(paths[len(jpegs) % len(paths)]) as opened:
            image = opened.convert("RGB")
        x, y = (int(places.integers(0, max(1, side - side_px + 1))) for side in image.size)
        file = io.BytesIO()
        image.crop((x, y, min(x + side_px, image.width), min(y + side_px, image.height))).save(
            file, "JPEG", quality=quality, subsampling="4:2:0"
        )
        jpegs.append(file.getvalue())
    return jpegs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path, nargs="+", help="images to crop")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--side", type=int, default=256, help="in pixels, of the crops")
    parser.add_argument("--quality", type=int, default=50)
    parser.add_argument("--model", default="cellnet")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    def make(threads: int) -> Session:
        return Session(arguments.model, engine=arguments.engine, threads=threads)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        jobs = []
        for number, jpeg in enumerate(
            crops(arguments.image, arguments.count, arguments.side, arguments.quality)
        ):
            source = root / f"{number:04}.jpg"
            source.write_bytes(jpeg)
            jobs.append(Job(source, root / "batch" / f"{number:04}.png"))
        looped = root / "loop"
        looped.mkdir()
        session = make(arguments.threads)

        def loop() -> None:
            for job in jobs:
                pixels = session.restore(job.source)
                Image.fromarray(pixels).save(looped / job.target.name)

        def run(sessions: Sessions) -> Callable[[], None]:
            def restore_all() -> None:
                with Journal(root / "batch", {}, alone=False) as journal:
                    restorer = Restorer(sessions, ImageFormat(), overwrite=True, journal=journal)
                    for report in work_through(jobs, restorer, sessions.workers):
                        assert "error" not in report, report

            return restore_all

        narrow = Sessions(make, arguments.threads, len(jobs))
        wide = Sessions(make, arguments.threads, len(jobs), large_pixels=0)

        variants: dict[str, Callable[[], object]] = {
            "loop": loop,
            "loop again": loop,
            "batch": run(narrow),
            "one session": run(wide),
        }
        loop()
        run(narrow)()
        for job in jobs:  # the answers first
            assert np.array_equal(
                np.asarray(Image.open(looped / job.target.name)),
                np.asarray(Image.open(job.target)),
            )
        summaries = summarise(measure(variants, arguments.rounds, seconds=0.1))

    for name, summary in summaries.items():
        rate = 1e3 * arguments.count / summary.median_ms
        print(
            f"{name:12} {rate:7.1f} images a second, {1 / summary.ratio:.2f} x the loop's "
            f"({1 / summary.ratio_95[1]:.2f} to {1 / summary.ratio_95[0]:.2f})"
        )
    if arguments.json:
        description = {
            "images": arguments.count,
            "side_px": arguments.side,
            "quality": arguments.quality,
            "model": session.model_name,
            "precision": session.precision,
            "engine": session.engine_name,
            "threads": arguments.threads,
            "usable_cpus": usable_cpus(),
            "load_average": os.getloadavg()[0],
            "machine": platform.machine(),
            "python": sys.version.split()[0],
            "variants": {name: summary.to_json() for name, summary in summaries.items()},
        }
        arguments.json.write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    main()
