"""Real JPEGs as the inputs of graphs on cells: to calibrate int8 on, and to verify against."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.export.model import Example
from jpegrt.kernels import GraphSpec
from jpegrt.training.degradation import Degradation, JpegDegrader, cells_of, ycbcr_from_rgb
from jpegrt.training.images import centre_crop, load_rgb


def examples(
    files: Sequence[Path], graph: GraphSpec, cell_px: int, crop_px: int, qualities: Sequence[int]
) -> Iterator[Example]:
    """Each file's centre crop, compressed at one quality after another in turn."""
    degrader = JpegDegrader(Degradation(), cell_px)
    for number, file in enumerate(files):
        yield _example(load_rgb(file), graph, degrader, crop_px, qualities[number % len(qualities)])


def examples_of_each_quality(
    files: Sequence[Path], graph: GraphSpec, cell_px: int, crop_px: int, qualities: Sequence[int]
) -> Iterator[Example]:
    """Each file's centre crop, compressed at every quality."""
    degrader = JpegDegrader(Degradation(), cell_px)
    for file in files:
        rgb = load_rgb(file)
        for quality in qualities:
            yield _example(rgb, graph, degrader, crop_px, quality)


def _example(
    rgb: NDArray[np.uint8], graph: GraphSpec, degrader: JpegDegrader, crop_px: int, quality: int
) -> Example:
    crop = centre_crop(rgb, crop_px, 16)
    planes = ycbcr_from_rgb(crop)
    if graph.components == 1:
        crop = np.asarray(Image.fromarray(crop).convert("L"))
        planes = crop[None].astype(np.float64)
    degraded = degrader.compress(crop, graph.name, quality, [])
    inputs, parts = {"luma": degraded.luma[None]}, {"luma": slice(len(degraded.luma))}
    if degraded.chroma is not None:
        inputs["chroma"] = degraded.chroma[None]
        parts |= {"chroma": slice(len(degraded.luma), None), "whole": slice(None)}
    inputs["steps"] = degraded.steps[None]
    original = cells_of(planes, degrader.cell_px)
    return Example(quality, inputs, original, parts, len(degraded.luma))
