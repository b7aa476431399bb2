"""Times the non-local operator on the CPU against PyTorch on the same attention.

In interleaved rounds, on the same threads: jpegrt's operator, images in and out; PyTorch's
`scaled_dot_product_attention` alone, on patches padded to 32 numbers that were laid out beforehand;
and the unfused expression, softmax(q k^T) v, alone. "non-local again" is a control: its ratio has
to be 1. The three have to agree before they are timed. Two images: uniform noise with every key,
and a crop of a JPEG without the keys at its blocking edges. --large measures 512x512 pixels once.
Prints a table; --json writes the figures with the machine they were measured on.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from interleave import measure, summarise
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import scaled_dot_product_attention

from jpegrt.kernels import find_blocking_edges, non_local, reference

EXAMPLE = Path(__file__).parent / "example/example.jpg"
HEAD = 32

Floats = NDArray[np.float32]
Keys = NDArray[np.uint8]


def attention_operands(value: Floats, h: float, keys: Keys) -> tuple[torch.Tensor, ...]:
    """q, k, v (1, 1, N, 32) whose unscaled attention is the operator with value as its guide."""
    patches = reference.patches_of(value[0].astype(np.float64)).reshape(27, -1).T
    centred = patches - patches.mean(0)
    inverse = 1 / (h * h + 1e-6)
    padding = np.zeros((len(patches), HEAD - 29))
    ones = np.ones((len(patches), 1))
    bias = np.where(keys.reshape(-1, 1) != 0, 0, -1e4)
    query = np.hstack([2 * inverse * centred, -inverse * ones, ones, padding])
    key = np.hstack([centred, (centred**2).sum(1, keepdims=True), bias, padding])
    values = np.hstack([patches, np.zeros((len(patches), HEAD - 27))])
    return tuple(torch.from_numpy(a.astype(np.float32))[None, None] for a in (query, key, values))


def unfused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return torch.softmax(query @ key.mT, -1) @ value


def image_of(attended: torch.Tensor, side: int) -> Floats:
    patches = attended[0, 0, :, :27].numpy().astype(np.float64).T.reshape(3, 9, -1)
    return reference.image_of(patches, side, side)[None].astype(np.float32)


def peak_extra_mib(run: Callable[[], object]) -> float:
    """By how much the process's resident memory grows at most while it runs."""

    def peak_kib() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is resident now
    before = peak_kib()
    run()
    return (peak_kib() - before) / 1024


def crop(side: int) -> Floats:
    with Image.open(EXAMPLE) as image:
        pixels = np.asarray(image.convert("RGB").resize((512, 512)) if side == 512 else image)
    value = pixels[:side, :side].astype(np.float32) / 255
    return np.ascontiguousarray(value.transpose(2, 0, 1)[None])


def measure_once(side: int, window_px: int, threads: int) -> dict[str, object]:
    value = crop(side)
    run = partial(non_local, value, value, 0.1, window_px=window_px, threads=threads)
    start = time.perf_counter()
    extra_mib = peak_extra_mib(run)
    seconds = time.perf_counter() - start
    print(f"{side}x{side}, window_px {window_px}: {seconds:.2f} s, {extra_mib:.1f} MiB extra")
    return {"side": side, "window_px": window_px, "seconds": seconds, "extra_mib": extra_mib}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=128, help="pixels, at most 384")
    parser.add_argument("--h", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    side, threads = arguments.side, arguments.threads

    torch.set_num_threads(threads)
    noise = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    photograph = crop(side)
    reports = []
    for name, value, keys in (
        ("noise", noise, np.ones((1, 1, side, side), np.uint8)),
        ("JPEG", photograph, find_blocking_edges(photograph)),
    ):
        ours = partial(non_local, value, value, arguments.h, keys, threads=threads)
        operands = attention_operands(value, arguments.h, keys)
        fused = partial(scaled_dot_product_attention, *operands, scale=1.0)
        with torch.inference_mode():
            # The answers first; the operands' products cancel, hence the tolerance.
            for run in (fused, partial(unfused, *operands)):
                np.testing.assert_allclose(image_of(run(), side), ours(), atol=1e-3)
            variants: dict[str, Callable[[], object]] = {
                "non-local": ours,
                "non-local again": ours,
                "scaled_dot_product_attention": fused,
                "unfused": partial(unfused, *operands),
            }
            extra = {label: peak_extra_mib(run) for label, run in variants.items()}
            summaries = summarise(measure(variants, arguments.rounds, seconds=0.0))
        print(f"{name}, {side}x{side} RGB, {threads} threads, {keys.mean():.0%} of the keys")
        for label, summary in summaries.items():
            low, high = summary.ratio_95
            print(
                f"  {label:30} {summary.median_ms:8.1f} ms  {summary.ratio:5.2f} x "
                f"({low:.2f} to {high:.2f})  {extra[label]:7.1f} MiB extra"
            )
        reports.append(
            {
                "image": name,
                "keys": float(keys.mean()),
                **{
                    label: {**summary.to_json(), "extra_mib": extra[label]}
                    for label, summary in summaries.items()
                },
            }
        )
    large = (
        [measure_once(512, window_px, threads) for window_px in (16, 0)] if arguments.large else []
    )
    if arguments.json:
        description = {
            "side": side,
            "h": arguments.h,
            "threads": threads,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "images": reports,
            "large": large,
        }
        arguments.json.write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    main()
