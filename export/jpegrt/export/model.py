"""What a bundle is written from: a network of any kind, as export needs it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from jpegrt.kernels import GraphSpec


@dataclass(frozen=True)
class Example:
    """A graph's inputs by name, in its order, N = 1, and the original as its output would be.

    parts: of the output's planes, those whose PSNR is measured, by name. component_planes: how many
    planes a component has.
    """

    quality: int
    inputs: dict[str, NDArray[np.float32]]
    original: NDArray[np.float32]
    parts: dict[str, slice]
    component_planes: int


class Model(Protocol):
    """A trained network and its graphs. crop_px: the side of the images to calibrate and to verify
    with."""

    crop_px: int

    @property
    def network(self) -> nn.Module: ...

    @property
    def specs(self) -> Sequence[GraphSpec]: ...

    def module(self, spec: GraphSpec) -> nn.Module:
        """What the graph computes, from its inputs in order."""

    def output_names(self, spec: GraphSpec) -> list[str]: ...

    def export(self, spec: GraphSpec) -> onnx.ModelProto:
        """The graph in fp32, with dynamic N and sides."""

    def examples(
        self, files: Sequence[Path], spec: GraphSpec, qualities: Sequence[int]
    ) -> Iterator[Example]:
        """Each file's centre, compressed at one quality after another in turn."""

    def examples_of_each_quality(
        self, files: Sequence[Path], spec: GraphSpec, qualities: Sequence[int]
    ) -> Iterator[Example]:
        """Each file's centre, compressed at every quality."""

    def manifest(self) -> dict[str, Any]:
        """The manifest's keys from `scale` to `multiply_adds_per_px`."""
