"""Times the non-local operator against PyTorch on the same attention.

In interleaved rounds, on the same threads or the same GPU: jpegrt's operator, images in and out;
PyTorch's `scaled_dot_product_attention` alone, on patches padded to 32 numbers that were laid out
beforehand; and the unfused expression, softmax(q k^T) v, alone. "non-local again" is a control: its
ratio has to be 1. The answers are compared before they are timed. Two images: uniform noise with
every key, and a crop of a JPEG without the keys at its blocking edges. --device cuda does so in
float32 and float16; with --dry-run, all of it but what needs the device. --large measures 512x512
pixels once, on the CPU. Prints a table; --json writes the figures and what they were measured on.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from interleave import measure, summarise
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import scaled_dot_product_attention

from jpegrt.kernels import find_blocking_edges, non_local, reference
from jpegrt.kernels.cuda import CURRENT_CONTEXT, Cuda, non_local_scratch_bytes

EXAMPLE = Path(__file__).parent / "example/example.jpg"
HEAD = 32

Floats = NDArray[np.float32]
Keys = NDArray[np.uint8]


def attention_operands(
    value: Floats, h: float, keys: Keys
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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

    def tensor(array: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.float32))[None, None]

    return tensor(query), tensor(key), tensor(values)


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


@dataclass(frozen=True)
class Case:
    """An image to filter by itself."""

    name: str
    value: Floats
    h: float
    keys: Keys

    def variants_on_cpu(self, threads: int) -> dict[str, Callable[[], object]]:
        ours = partial(non_local, self.value, self.value, self.h, self.keys, threads=threads)
        query, key, value = attention_operands(self.value, self.h, self.keys)
        fused = partial(scaled_dot_product_attention, query, key, value, scale=1.0)
        plain = partial(unfused, query, key, value)
        for run in (fused, plain):  # the operands' products cancel, hence the tolerance
            np.testing.assert_allclose(image_of(run(), self.value.shape[2]), ours(), atol=1e-3)
        return named(ours, fused, plain)

    def variants_on_gpu(self, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
        """Each waits for the GPU when it is done."""
        value = torch.from_numpy(self.value).to("cuda", dtype)
        keys = torch.from_numpy(self.keys).cuda()
        filtered = torch.empty_like(value)
        scratch = torch.empty(non_local_scratch_bytes(value), dtype=torch.uint8, device="cuda")
        operands = attention_operands(self.value, self.h, self.keys)
        query, key, values = (operand.to("cuda", dtype) for operand in operands)
        stream = torch.cuda.current_stream()
        kernels = Cuda(CURRENT_CONTEXT)

        def waiting(run: Callable[[], object]) -> Callable[[], object]:
            def run_and_wait() -> None:
                run()
                stream.synchronize()

            return run_and_wait

        ours = waiting(
            lambda: kernels.non_local(
                value, value, self.h, filtered, keys, scratch=scratch, stream=stream
            )
        )
        ours()
        expected = non_local(self.value, self.value, self.h, self.keys)
        tolerance = 1e-5 if dtype == torch.float32 else 2e-3
        if dtype == torch.float16:
            halves = self.value.astype(np.float16)
            expected = non_local(halves, halves, self.h, self.keys).astype(np.float32)
        np.testing.assert_allclose(filtered.float().cpu().numpy(), expected, atol=tolerance)
        return named(
            ours,
            waiting(lambda: scaled_dot_product_attention(query, key, values, scale=1.0)),
            waiting(lambda: unfused(query, key, values)),
        )


def named(
    ours: Callable[[], object], fused: Callable[[], object], plain: Callable[[], object]
) -> dict[str, Callable[[], object]]:
    return {
        "non-local": ours,
        "non-local again": ours,
        "scaled_dot_product_attention": fused,
        "unfused": plain,
    }


def cases(side: int, h: float) -> list[Case]:
    noise = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    photograph = crop(side)
    return [
        Case("noise", noise, h, np.ones((1, 1, side, side), np.uint8)),
        Case("JPEG", photograph, h, find_blocking_edges(photograph)),
    ]


def report(
    name: str, variants: dict[str, Callable[[], object]], rounds: int, with_memory: bool
) -> dict[str, object]:
    extra = {label: peak_extra_mib(run) for label, run in variants.items()} if with_memory else {}
    print(name)
    figures: dict[str, object] = {"case": name}
    for label, summary in summarise(measure(variants, rounds, seconds=0.0)).items():
        low, high = summary.ratio_95
        memory = f"  {extra[label]:7.1f} MiB extra" if with_memory else ""
        print(
            f"  {label:30} {summary.median_ms:8.2f} ms  {summary.ratio:5.2f} x "
            f"({low:.2f} to {high:.2f}){memory}"
        )
        figures[label] = summary.to_json() | ({"extra_mib": extra[label]} if with_memory else {})
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=128, help="pixels, at most 384")
    parser.add_argument("--h", type=float, default=0.3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dry-run", action="store_true", help="for --device cuda")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    threads, rounds = arguments.threads, arguments.rounds
    needs_gpu = arguments.device == "cuda" and not arguments.dry_run
    if needs_gpu and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU and a PyTorch built for it; or ask for --dry-run")

    torch.set_num_threads(threads)
    device = platform.machine()
    reports: list[dict[str, object]] = []
    with torch.inference_mode():
        for case in cases(arguments.side, arguments.h):
            label = f"{case.name}, {arguments.side}x{arguments.side}, {case.keys.mean():.0%} keys"
            if arguments.device == "cpu":
                label += f", {threads} threads"
                reports.append(report(label, case.variants_on_cpu(threads), rounds, True))
            elif arguments.dry_run:
                case.variants_on_cpu(threads)
                print(f"{label}: float32 and float16 would be run on a GPU")
            else:
                device = torch.cuda.get_device_name()
                for dtype in (torch.float32, torch.float16):
                    variants = case.variants_on_gpu(dtype)
                    reports.append(report(f"{label}, {dtype}", variants, rounds, False))
    large = [measure_once(512, window_px, threads) for window_px in (16, 0) if arguments.large]
    if arguments.json:
        description = {
            "side": arguments.side,
            "h": arguments.h,
            "threads": threads,
            "device": device,
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "cases": reports,
            "large": large,
        }
        arguments.json.write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    main()
