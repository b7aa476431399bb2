"""Times a whole restore, bytes to pixels, against libjpeg's plain decode of the same bytes.

Both run in this process, in interleaved rounds. "plain decode again" is a control: its ratio has
to be 1. Prints a table; --json writes the figures with the machine they were measured on.
"""

import argparse
import io
import json
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from interleave import measure, summarise
from PIL import Image
from stock_libjpeg import plain_decoder

from jpegrt.kernels import Pipeline
from jpegrt.kernels._native import lib
from jpegrt.runtime import Session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path, nargs="+", help="lossless images (768x512 by default)")
    parser.add_argument("--quality", type=int, default=50)
    parser.add_argument("--colour", action="store_true", help="RGB 4:2:0 instead of luma")
    parser.add_argument("--model", default="cellnet")
    parser.add_argument("--precision")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    session = Session(
        arguments.model,
        precision=arguments.precision,
        engine=arguments.engine,
        threads=arguments.threads,
    )
    decode = plain_decoder()
    reports = []
    ratios = []
    for path in arguments.image:
        with Image.open(path) as opened:
            image = opened.convert("RGB" if arguments.colour else "L")
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=arguments.quality, subsampling="4:2:0")
        jpeg = buffer.getvalue()
        pixels = np.empty(np.asarray(image).shape, np.uint8)

        # The answers first: a plain decode must be what our own pipeline gives without a model.
        decode(jpeg, pixels)
        pipeline = Pipeline(threads=arguments.threads)
        plain = np.empty(pipeline.read(jpeg), np.uint8)
        pipeline.restore(plain)
        np.testing.assert_array_equal(plain, pixels)

        variants: dict[str, Callable[[], object]] = {
            "plain decode": partial(decode, jpeg, pixels),
            "plain decode again": partial(decode, jpeg, pixels),
            "restore": partial(session.restore, jpeg),
        }
        summaries = summarise(measure(variants, arguments.rounds, seconds=0.05))
        timings = session.restore_timed(jpeg)[1]
        restore, control = summaries["restore"], summaries["plain decode again"]
        print(
            f"{path.name}: {image.width}x{image.height}, {len(jpeg)} bytes, "
            f"plain decode {summaries['plain decode'].median_ms:.3f} ms, "
            f"restore {restore.median_ms:.2f} ms: {restore.ratio:.1f} x "
            f"({restore.ratio_95[0]:.1f} to {restore.ratio_95[1]:.1f}; control "
            f"{control.ratio:.2f}); entropy decode {timings.entropy_decode_ms:.2f}, unpack "
            f"{timings.unpack_ms:.2f}, network {timings.network_ms:.2f}, pixels "
            f"{timings.pixels_ms:.2f} ms"
        )
        ratios.append(restore.ratio)
        reports.append(
            {
                "image": path.name,
                "bytes": len(jpeg),
                **{name: summary.to_json() for name, summary in summaries.items()},
            }
        )
    print(f"median ratio of {len(ratios)} images: {np.median(ratios):.1f}")
    if arguments.json:
        description = {
            "model": session.model_name,
            "precision": session.precision,
            "engine": session.engine_name,
            "threads": arguments.threads,
            "quality": arguments.quality,
            "colour": arguments.colour,
            "libjpeg": lib.jpegrt_libjpeg_version().decode(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
            "images": reports,
        }
        arguments.json.write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    main()
