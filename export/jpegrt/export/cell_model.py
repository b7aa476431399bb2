"""cellnet as export needs it: a graph for grey, and one for each sampling."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from jpegrt.export.calibration import examples, examples_of_each_quality
from jpegrt.export.graphs import export_graph, graph_specs, module_of, outputs_of
from jpegrt.export.model import Example, Model
from jpegrt.kernels import GraphSpec
from jpegrt.training.degradation import CELL_SCALE
from jpegrt.training.networks.cellnet import CellNet


class CellModel(Model):
    """samplings: of those that the network has."""

    crop_px = 256

    def __init__(self, network: CellNet, samplings: list[str]) -> None:
        self._network = network
        self._samplings = samplings

    @property
    def network(self) -> CellNet:
        return self._network

    @property
    def specs(self) -> list[GraphSpec]:
        return graph_specs(self._network, self._samplings)

    def module(self, spec: GraphSpec) -> nn.Module:
        return module_of(self._network, spec)

    def output_names(self, spec: GraphSpec) -> list[str]:
        return [tensor.name for tensor in outputs_of(spec, self._network.cell_px)]

    def export(self, spec: GraphSpec) -> onnx.ModelProto:
        return export_graph(self._network, spec)

    def examples(
        self, files: Sequence[Path], spec: GraphSpec, qualities: Sequence[int]
    ) -> Iterator[Example]:
        return examples(files, spec, self._network.cell_px, self.crop_px, qualities)

    def examples_of_each_quality(
        self, files: Sequence[Path], spec: GraphSpec, qualities: Sequence[int]
    ) -> Iterator[Example]:
        return examples_of_each_quality(files, spec, self._network.cell_px, self.crop_px, qualities)

    def manifest(self) -> dict[str, Any]:
        return {
            "scale": 1,
            "domain": "cells",
            "cell_px": self._network.cell_px,
            "input_scale": CELL_SCALE,
            "size_rule": {
                "minimum_px": 1,
                "multiple_px": 1,
                "receptive_field_px": self._network.receptive_field_px,
            },
            "colour_rule": _colour_rule(self._samplings),
            "graphs": [asdict(spec) for spec in self.specs],
            "parameters": sum(p.numel() for p in self._network.parameters()),
            "multiply_adds_per_px": multiply_adds_per_px(self._network),
        }


def _colour_rule(samplings: Sequence[str]) -> str:
    if not samplings:
        return (
            "grey; luma of YCbCr and YCCK, whose chroma stays as a plain decoder makes it; RGB and "
            "CMYK channel by channel"
        )
    return (
        f"grey; YCbCr {', '.join(':'.join(name) for name in samplings)} natively; "
        "other samplings after upsampling; RGB and CMYK channel by channel"
    )


def multiply_adds_per_px(network: CellNet) -> int:
    """Of grey images: each weight of the luma trunk's convolutions serves one cell once."""
    weights = sum(
        module.weight.numel() for module in network.luma.modules() if isinstance(module, nn.Conv2d)
    )
    return round(weights / network.cell_px**2)
