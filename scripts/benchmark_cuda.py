"""Bandwidth of the unpacking kernels on a GPU, against a plain copy on the device.

A batch of synthetic blocks, larger than the L2 cache, is unpacked again and again in interleaved
rounds; what counts is bytes read and written per second, beside those of a copy of as many. Every
result is compared with the CPU's first. Prints JSON. --dry-run does all but what needs a device.
"""

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import (
    NativeError,
    cells_from_blocks,
    coefficient_plane_from_blocks,
    pack_blocks,
    samples_from_blocks,
    spectrum_from_blocks,
)
from jpegrt.kernels._native import Layout
from jpegrt.kernels.cuda import Cuda, DeviceArray, PackedComponent, Unpacking

SCALE = 1 / 128
SIDE = 128  # blocks; an image of 1024 x 1024 samples
CELL = (2, 2)
IMAGE_BLOCKS = SIDE * SIDE
REPEATS = 20  # enqueued together, so that the device never waits for the host


@dataclass(frozen=True)
class Kernel:
    """One way to unpack the batch."""

    layout: Layout
    dtype: Any
    packed: bool = False

    @property
    def name(self) -> str:
        source = "packed" if self.packed else "blocks"
        return f"{self.layout.name.lower()} {np.dtype(self.dtype).name} from {source}"

    def expected(self, blocks: NDArray[np.int16], table: NDArray[np.uint16]) -> NDArray[Any]:
        """What the CPU makes of an image."""
        if self.layout == Layout.CELLS:
            result: NDArray[Any] = cells_from_blocks(blocks, table, CELL, SCALE)
        elif self.layout == Layout.SPECTRUM:
            result = spectrum_from_blocks(blocks, table, SCALE)
        elif self.layout == Layout.PLANE:
            result = coefficient_plane_from_blocks(blocks, table, SCALE)
        else:
            result = samples_from_blocks(blocks, table)
        return result.astype(self.dtype)

    def unpackings(
        self, sources: list[Any], tables: list[NDArray[np.uint16]], outs: list[DeviceArray]
    ) -> list[Unpacking]:
        cell = CELL if self.layout == Layout.CELLS else None
        return [
            Unpacking(source, table, out, cell)
            for source, table, out in zip(sources, tables, outs, strict=True)
        ]


KERNELS = [
    *(Kernel(layout, dtype) for layout in (Layout.CELLS, Layout.SPECTRUM, Layout.PLANE)
      for dtype in (np.float32, np.float16)),
    Kernel(Layout.SAMPLES, np.uint8),
    Kernel(Layout.CELLS, np.float32, packed=True),
    Kernel(Layout.CELLS, np.float16, packed=True),
    Kernel(Layout.SPECTRUM, np.float16, packed=True),
]  # fmt: skip


def synthetic_image(seed: int) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Blocks about as sparse as a photograph's at quality 50, and a table."""
    generator = np.random.default_rng(seed)
    frequency = 1 + np.add.outer(np.arange(8), np.arange(8))
    blocks = generator.laplace(0, 8 / frequency**1.7, (SIDE, SIDE, 8, 8)).round()
    table = np.clip(4 * frequency + seed, 1, 255)
    return blocks.astype(np.int16), table.astype(np.uint16)


def plan(arguments: argparse.Namespace) -> dict[str, Any]:
    """What will be run, and what it moves, as far as that is known without a device."""
    blocks, table = synthetic_image(0)
    packed_bytes = pack_blocks(blocks).nbytes
    kernels = {}
    for kernel in KERNELS:
        read = packed_bytes if kernel.packed else blocks.nbytes
        out = kernel.expected(blocks, table)
        expected_shape = DeviceArray(1 << 20, out.shape, kernel.dtype)
        source = DeviceArray(1 << 20, blocks.shape, np.int16)
        kernel.unpackings([source], [table], [expected_shape])
        kernels[kernel.name] = {"bytes_read": read, "bytes_written": out.nbytes}
    return {
        "images": arguments.images,
        "image_samples": 64 * IMAGE_BLOCKS,
        "rounds": arguments.rounds,
        "bytes_an_image": kernels,
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from cuda_driver import CudaDriver

    cuda, driver = Cuda(), CudaDriver()
    made = [synthetic_image(seed) for seed in range(min(4, arguments.images))]
    originals = [made[i % len(made)] for i in range(arguments.images)]
    tables = [table for _, table in originals]
    dense = [driver.upload(blocks) for blocks, _ in originals]
    streams = [pack_blocks(blocks) for blocks, _ in made]
    packed = [
        PackedComponent(driver.upload(streams[i % len(made)]), SIDE, SIDE)
        for i in range(arguments.images)
    ]
    variants: dict[str, Callable[[], None]] = {}
    moved = {}
    for kernel in KERNELS:
        shape = kernel.expected(*originals[0]).shape
        outs = [driver.empty(shape, kernel.dtype) for _ in originals]
        sources = packed if kernel.packed else dense
        unpackings = kernel.unpackings(sources, tables, outs)
        run = partial(cuda.prepare_unpack(unpackings, kernel.layout, SCALE), driver.stream)
        run()
        for i in range(len(made)):  # the answers first
            if not np.array_equal(driver.download(outs[i]), kernel.expected(*originals[i])):
                raise SystemExit(f"benchmark_cuda: {kernel.name} differs from the CPU")
        inputs = (s.stream.nbytes if isinstance(s, PackedComponent) else s.nbytes for s in sources)
        variants[kernel.name] = run
        moved[kernel.name] = sum(inputs) + sum(out.nbytes for out in outs)
    size = max(moved.values()) // 2
    if size < 2 * driver.l2_cache_bytes:
        print("benchmark_cuda: the batch fits the L2 cache; ask for more --images", file=sys.stderr)
    source, target = driver.empty((size,), np.uint8), driver.empty((size,), np.uint8)
    variants["copy"] = partial(driver.copy, source, target)
    moved["copy"] = 2 * size

    shuffle = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(arguments.rounds):
        for name in shuffle.sample(list(variants), len(variants)):
            start = driver.event()
            for _ in range(REPEATS):
                variants[name]()
            elapsed_ms = driver.milliseconds_between(start, driver.event())
            times[name].append(elapsed_ms / REPEATS)
    rates = {name: moved[name] / statistics.median(times[name]) / 1e6 for name in variants}
    return {
        "device": driver.device_name,
        "l2_cache_bytes": driver.l2_cache_bytes,
        "copy_gb_s": rates["copy"],
        "kernels": {
            name: {"gb_s": rates[name], "of_copy": rates[name] / rates["copy"]}
            for name in variants
            if name != "copy"
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=96, help="of 1024x1024 samples")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--dry-run", action="store_true", help="check all but the device's part")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()

    report: dict[str, Any] = {"plan": plan(arguments)}
    if arguments.dry_run:
        try:
            Cuda()
            report["device"] = "is there"
        except NativeError as error:
            report["device"] = str(error)
    else:
        try:
            report |= measure(arguments)
        except NativeError as error:
            raise SystemExit(f"benchmark_cuda: {error}") from error
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
