"""Bandwidth of the kernels on a GPU, against a plain copy on the device.

A batch of synthetic images, larger than the L2 cache, is unpacked, projected and searched for
blocking edges again and again in interleaved rounds; what counts is bytes read and written per
second, beside those of a copy of as many. Every result is compared with the CPU's first. Prints
JSON. --dry-run does all but what needs a device.
"""

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import (
    NativeError,
    cells_from_blocks,
    coefficient_plane_from_blocks,
    find_blocking_edges,
    pack_blocks,
    project_cells,
    samples_from_blocks,
    spectrum_from_blocks,
)
from jpegrt.kernels._native import Layout
from jpegrt.kernels.cuda import Cuda, DeviceArray, PackedComponent, Projection, Unpacking

if TYPE_CHECKING:
    from cuda_driver import CudaDriver

SCALE = 1 / 128
SIDE = 128  # blocks; an image of 1024 x 1024 samples
CELL = (2, 2)
IMAGE_BLOCKS = SIDE * SIDE
REPEATS = 20  # enqueued together, so that the device never waits for the host


@dataclass(frozen=True)
class Image:
    """One image's blocks, and what kernels take that is made of them."""

    blocks: NDArray[np.int16]
    table: NDArray[np.uint16]

    def source(self, packed: bool) -> NDArray[Any]:
        return pack_blocks(self.blocks) if packed else self.blocks

    def restored_cells(self, dtype: Any) -> NDArray[Any]:
        """What a network might leave: half of the blocks have to be moved a little."""
        cells = cells_from_blocks(self.blocks, self.table, CELL, SCALE)
        spread = np.repeat([0.0, 4 * SCALE], cells.shape[2] // 2)
        noise = np.random.default_rng(0).normal(0, 1, cells.shape) * spread
        restored: NDArray[Any] = (cells + noise).astype(dtype)
        return restored

    def value(self, dtype: Any) -> NDArray[Any]:
        """Grey samples, (1, height, width)."""
        samples = samples_from_blocks(self.blocks, self.table)[None]
        return (samples / 255).astype(dtype)


Enqueue = Callable[[object], None]


class Kernel(Protocol):
    """One thing to do with the batch."""

    @property
    def name(self) -> str: ...

    def inputs(self, image: Image) -> list[NDArray[Any]]: ...

    def expected(self, image: Image) -> NDArray[Any]:
        """What the CPU makes of an image."""

    def prepare(
        self,
        cuda: Cuda,
        images: Sequence[Image],
        inputs: Sequence[Sequence[DeviceArray]],
        outs: Sequence[DeviceArray],
    ) -> Enqueue:
        """A function of the stream. inputs: for each of the kernel's, those of all images, which
        lie one after another if they are of one size, as the outputs do."""


def components(
    images: Sequence[Image], sources: Sequence[DeviceArray], packed: bool
) -> list[tuple[Any, NDArray[np.uint16]]]:
    return [
        (PackedComponent(source, SIDE, SIDE) if packed else source, image.table)
        for image, source in zip(images, sources, strict=True)
    ]


@dataclass(frozen=True)
class Unpack:
    layout: Layout
    dtype: Any
    packed: bool = False

    @property
    def name(self) -> str:
        source = "packed" if self.packed else "blocks"
        return f"{self.layout.name.lower()} {np.dtype(self.dtype).name} from {source}"

    def inputs(self, image: Image) -> list[NDArray[Any]]:
        return [image.source(self.packed)]

    def expected(self, image: Image) -> NDArray[Any]:
        blocks, table = image.blocks, image.table
        if self.layout == Layout.CELLS:
            result: NDArray[Any] = cells_from_blocks(blocks, table, CELL, SCALE)
        elif self.layout == Layout.SPECTRUM:
            result = spectrum_from_blocks(blocks, table, SCALE)
        elif self.layout == Layout.PLANE:
            result = coefficient_plane_from_blocks(blocks, table, SCALE)
        else:
            result = samples_from_blocks(blocks, table)
        return result.astype(self.dtype)

    def prepare(
        self,
        cuda: Cuda,
        images: Sequence[Image],
        inputs: Sequence[Sequence[DeviceArray]],
        outs: Sequence[DeviceArray],
    ) -> Enqueue:
        cell = CELL if self.layout == Layout.CELLS else None
        sources = components(images, inputs[0], self.packed)
        unpackings = [
            Unpacking(*source, out, cell) for source, out in zip(sources, outs, strict=True)
        ]
        return cuda.prepare_unpack(unpackings, self.layout, SCALE)


@dataclass(frozen=True)
class Project:
    dtype: Any
    packed: bool = False

    @property
    def name(self) -> str:
        source = "packed" if self.packed else "blocks"
        return f"projection {np.dtype(self.dtype).name} from {source}"

    def inputs(self, image: Image) -> list[NDArray[Any]]:
        return [image.source(self.packed), image.restored_cells(self.dtype)]

    def expected(self, image: Image) -> NDArray[Any]:
        cells = image.restored_cells(self.dtype).astype(np.float32)
        return project_cells(image.blocks, image.table, cells, CELL, scale=SCALE).astype(self.dtype)

    def prepare(
        self,
        cuda: Cuda,
        images: Sequence[Image],
        inputs: Sequence[Sequence[DeviceArray]],
        outs: Sequence[DeviceArray],
    ) -> Enqueue:
        sources = components(images, inputs[0], self.packed)
        projections = [
            Projection(*source, cells, CELL, out)
            for source, cells, out in zip(sources, inputs[1], outs, strict=True)
        ]
        return cuda.prepare_project_cells(projections, SCALE)


@dataclass(frozen=True)
class FindBlockingEdges:
    dtype: Any

    @property
    def name(self) -> str:
        return f"blocking edges {np.dtype(self.dtype).name}"

    def inputs(self, image: Image) -> list[NDArray[Any]]:
        return [image.value(self.dtype)]

    def expected(self, image: Image) -> NDArray[Any]:
        value = image.value(self.dtype).astype(np.float32)
        keys: NDArray[Any] = find_blocking_edges(value[None])[0]
        return keys

    def prepare(
        self,
        cuda: Cuda,
        images: Sequence[Image],
        inputs: Sequence[Sequence[DeviceArray]],
        outs: Sequence[DeviceArray],
    ) -> Enqueue:
        shape = (len(images), *outs[0].shape)
        value = DeviceArray(inputs[0][0].pointer, shape, self.dtype)
        keys = DeviceArray(outs[0].pointer, shape, np.uint8)
        return lambda stream: cuda.find_blocking_edges(value, keys, stream=stream)


KERNELS: list[Kernel] = [
    *(Unpack(layout, dtype) for layout in (Layout.CELLS, Layout.SPECTRUM, Layout.PLANE)
      for dtype in (np.float32, np.float16)),
    Unpack(Layout.SAMPLES, np.uint8),
    Unpack(Layout.CELLS, np.float32, packed=True),
    Unpack(Layout.CELLS, np.float16, packed=True),
    Unpack(Layout.SPECTRUM, np.float16, packed=True),
    Project(np.float32),
    Project(np.float16),
    Project(np.float16, packed=True),
    FindBlockingEdges(np.float32),
    FindBlockingEdges(np.float16),
]  # fmt: skip


def synthetic_image(seed: int) -> Image:
    """Blocks about as sparse as a photograph's at quality 50, and a table."""
    generator = np.random.default_rng(seed)
    frequency = 1 + np.add.outer(np.arange(8), np.arange(8))
    blocks = generator.laplace(0, 8 / frequency**1.7, (SIDE, SIDE, 8, 8)).round()
    table = np.clip(4 * frequency + seed, 1, 255)
    return Image(blocks.astype(np.int16), table.astype(np.uint16))


def plan(arguments: argparse.Namespace) -> dict[str, Any]:
    """What will be run, and what it moves, as far as that is known without a device."""
    image = synthetic_image(0)
    kernels = {}
    for kernel in KERNELS:
        read = sum(array.nbytes for array in kernel.inputs(image))
        kernels[kernel.name] = {
            "bytes_read": read,
            "bytes_written": kernel.expected(image).nbytes,
        }
    return {
        "images": arguments.images,
        "image_samples": 64 * IMAGE_BLOCKS,
        "rounds": arguments.rounds,
        "bytes_an_image": kernels,
    }


def views_of(whole: DeviceArray) -> list[DeviceArray]:
    """The arrays that lie one after another in it."""
    count, *shape = whole.shape
    size = whole.nbytes // count
    return [DeviceArray(whole.pointer + i * size, tuple(shape), whole.dtype) for i in range(count)]


def upload_all(driver: "CudaDriver", arrays: Sequence[NDArray[Any]]) -> list[DeviceArray]:
    if len({array.shape for array in arrays}) > 1:
        return [driver.upload(array) for array in arrays]
    return views_of(driver.upload(np.stack(arrays)))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from cuda_driver import CudaDriver

    cuda, driver = Cuda(), CudaDriver()
    made = [synthetic_image(seed) for seed in range(min(4, arguments.images))]
    images = [made[i % len(made)] for i in range(arguments.images)]
    variants: dict[str, Callable[[], None]] = {}
    moved = {}
    for kernel in KERNELS:
        expected = [kernel.expected(image) for image in made]
        parts = [kernel.inputs(image) for image in made]
        inputs = [
            upload_all(driver, [parts[i % len(made)][k] for i in range(len(images))])
            for k in range(len(parts[0]))
        ]
        outs = views_of(driver.empty((len(images), *expected[0].shape), expected[0].dtype))
        run = partial(kernel.prepare(cuda, images, inputs, outs), driver.stream)
        run()
        for out, answer in zip(outs, expected, strict=False):  # the answers first
            if not np.array_equal(driver.download(out), answer):
                raise SystemExit(f"benchmark_cuda: {kernel.name} differs from the CPU")
        variants[kernel.name] = run
        moved[kernel.name] = sum(array.nbytes for part in (*inputs, outs) for array in part)
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
