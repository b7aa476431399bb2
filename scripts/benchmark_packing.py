"""Measures packed coefficients on a folder of lossless images: how large they are, what packing costs.

The images are compressed in 4:2:0 at each quality. Sizes are totals over the folder, index included:
beside the entropy-coded bytes (all scans, without markers' segments) and beside dense int16. Times
are those of the whole folder, in interleaved rounds in this process: reading coefficients by stock
libjpeg and by jpegrt, reading and packing by jpegrt, and libjpeg's plain decode to RGB.
"stock reader again" is a control: its ratio has to be 1. Prints a table; --json writes the figures
with the machine they were measured on.
"""

import argparse
import ctypes as ct
import io
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from interleave import measure, summarise
from PIL import Image
from stock_libjpeg import coefficient_reader

from jpegrt.kernels import CoefficientReader, _native, blocks_from_packed
from jpegrt.kernels._native import check, lib
from jpegrt.kernels.libjpeg import plain_decode

PACKED, STOCK = "read and pack", "stock reader"


def entropy_coded_bytes(jpeg: bytes) -> int:
    """Bytes of all scans: what follows each SOS segment up to the next marker that is no restart."""
    total, at = 0, 2
    while jpeg[at + 1] != 0xD9:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        at += 2 + length
        if marker != 0xDA:
            continue
        start = at
        while jpeg[at] != 0xFF or jpeg[at + 1] == 0 or 0xD0 <= jpeg[at + 1] <= 0xD7:
            at += 1
        total += at - start
    return total


def sizes(jpegs: list[bytes]) -> dict[str, float]:
    """Totals in bytes. The streams are decoded again and compared first."""
    reader = CoefficientReader()
    packed = dense = 0
    for jpeg in jpegs:
        whole = reader.read(jpeg).components
        for component, stream in zip(whole, reader.read_packed(jpeg).components, strict=True):
            assert component.blocks is not None and stream.packed is not None
            np.testing.assert_array_equal(blocks_from_packed(stream.packed), component.blocks)
            packed += stream.packed.size
            dense += component.blocks.nbytes
    entropy = sum(entropy_coded_bytes(jpeg) for jpeg in jpegs)
    return {
        "packed_bytes": packed,
        "entropy_coded_bytes": entropy,
        "dense_bytes": dense,
        "packed_over_entropy_coded": packed / entropy,
        "dense_over_packed": dense / packed,
    }


def native_readers() -> tuple[Callable[[bytes], None], Callable[[bytes], None]]:
    """The two native reads without what Python adds, in one reader's memory each."""

    def reader(packing: bool) -> Callable[[bytes], None]:
        handle, image = ct.c_void_p(), _native.Image()
        packed = (_native.Packed * _native.MAX_COMPONENTS)()
        check(lib.jpegrt_coefficients_create(ct.byref(handle)), "jpegrt_coefficients_create")
        call = lib.jpegrt_coefficients_read_packed if packing else lib.jpegrt_coefficients_read
        outputs = (ct.byref(image), packed) if packing else (ct.byref(image),)

        def read(jpeg: bytes) -> None:
            check(call(handle, jpeg, len(jpeg), None, *outputs), "read")

        return read

    return reader(False), reader(True)


def times(
    jpegs: list[bytes], shapes: list[tuple[int, ...]], rounds: int, seconds: float
) -> dict[str, dict[str, object]]:
    stock = coefficient_reader()
    read, read_packed = native_readers()
    pixels = [np.empty(shape, np.uint8) for shape in shapes]

    def each(read_one: Callable[[bytes], None]) -> Callable[[], None]:
        def read_all() -> None:
            for jpeg in jpegs:
                read_one(jpeg)

        return read_all

    def decode_all() -> None:
        for jpeg, out in zip(jpegs, pixels, strict=True):
            plain_decode(jpeg, out)

    variants: dict[str, Callable[[], object]] = {
        STOCK: each(stock),
        "stock reader again": each(stock),
        "jpegrt's reader": each(read),
        PACKED: each(read_packed),
        "plain decode": decode_all,
    }
    samples = measure(variants, rounds, seconds)
    report = {name: summary.to_json() for name, summary in summarise(samples).items()}
    for base in ("jpegrt's reader", "plain decode"):
        pair = {base: samples[base], PACKED: samples[PACKED]}
        report[f"{PACKED} / {base}"] = summarise(pair)[PACKED].to_json()
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="lossless images, of which none is grey")
    parser.add_argument("--quality", type=int, nargs="+", default=[10, 20, 30, 40, 50])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.05, help="of each variant in a round")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    reports = []
    for quality in arguments.quality:
        jpegs: list[bytes] = []
        shapes: list[tuple[int, ...]] = []
        for path in sorted(arguments.folder.iterdir()):
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality, subsampling="4:2:0")
            jpegs.append(file.getvalue())
            shapes.append((image.height, image.width, 3))
        size, time = sizes(jpegs), times(jpegs, shapes, arguments.rounds, arguments.seconds)
        over_reader = time[f"{PACKED} / jpegrt's reader"]["ratio"]
        over_decode = time[f"{PACKED} / plain decode"]["ratio"]
        print(
            f"quality {quality}, {len(jpegs)} images: "
            f"{size['packed_over_entropy_coded']:.3f} x the entropy-coded bytes, "
            f"{size['dense_over_packed']:.1f} x smaller than dense; {PACKED} "
            f"{time[PACKED]['median_ms']:.2f} ms, {time[PACKED]['ratio']:.3f} x stock's "
            f"jpeg_read_coefficients (control {time['stock reader again']['ratio']:.3f}), "
            f"{over_reader:.3f} x jpegrt's, {over_decode:.3f} x a plain decode"
        )
        reports.append({"quality": quality, "images": len(jpegs), **size, "times": time})
    if arguments.json:
        description = {
            "subsampling": "4:2:0",
            "libjpeg": lib.jpegrt_libjpeg_version().decode(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
            "qualities": reports,
        }
        arguments.json.write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    main()
