"""Modules as ONNX; and the graphs of networks on cells: grey, and each sampling of colour."""

import warnings
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from jpegrt.kernels import GraphSpec
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.samplings import SAMPLINGS

OPSET = 18


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: its name, and how many planes (or values, for `steps`) it has."""

    name: str
    planes: int


class GreyGraph(nn.Module):
    def __init__(self, network: CellNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, luma: Tensor, steps: Tensor) -> Tensor:
        restored: Tensor = self.network(luma, steps)
        return restored


class ColourGraph(nn.Module):
    def __init__(self, network: CellNet, sampling: str) -> None:
        super().__init__()
        self.network = network
        self.sampling = sampling

    def forward(self, luma: Tensor, chroma: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.forward_colour(luma, chroma, steps, self.sampling)


def graph_specs(network: CellNet, samplings: list[str]) -> list[GraphSpec]:
    """The graphs of a model: grey, and one for each of `samplings`."""
    return [GraphSpec("grey", 1), *(GraphSpec(s, 3, *SAMPLINGS[s]) for s in samplings)]


def inputs_of(spec: GraphSpec, cell_px: int) -> list[TensorSpec]:
    """As jpegrt_graph in jpegrt.h lists them."""
    planes = cell_px * cell_px
    luma, steps = TensorSpec("luma", planes), TensorSpec("steps", 64 * spec.components)
    if spec.components == 1:
        return [luma, steps]
    chroma = TensorSpec("chroma", 2 * planes // (spec.chroma_h * spec.chroma_v))
    return [luma, chroma, steps]


def outputs_of(spec: GraphSpec, cell_px: int) -> list[TensorSpec]:
    planes = cell_px * cell_px
    luma = TensorSpec("luma_restored", planes)
    return [luma] if spec.components == 1 else [luma, TensorSpec("chroma_restored", 2 * planes)]


def module_of(network: CellNet, spec: GraphSpec) -> nn.Module:
    """The PyTorch module whose inputs and outputs are the graph's."""
    return GreyGraph(network) if spec.components == 1 else ColourGraph(network, spec.name)


def example_inputs(spec: GraphSpec, cell_px: int, rows: int, columns: int) -> tuple[Tensor, ...]:
    """Random inputs of the right shapes; `steps` are positive."""
    return tuple(
        1 + 20 * torch.rand(1, tensor.planes)
        if tensor.name == "steps"
        else torch.rand(1, tensor.planes, rows, columns) - 0.5
        for tensor in inputs_of(spec, cell_px)
    )


def export_graph(network: CellNet, spec: GraphSpec) -> onnx.ModelProto:
    """The graph in fp32, with dynamic N, rows and columns."""
    module = module_of(network, spec).eval()
    batch, rows, columns = (torch.export.Dim(name) for name in ("n", "rows", "columns"))
    inputs = inputs_of(spec, network.cell_px)
    shapes = tuple(
        {0: batch} if tensor.name == "steps" else {0: batch, 2: rows, 3: columns}
        for tensor in inputs
    )
    # Two of everything: a dimension of 1 in the example would be taken for a constant.
    example = tuple(
        torch.cat((t, t)) for t in example_inputs(spec, network.cell_px, rows=18, columns=22)
    )
    outputs = [tensor.name for tensor in outputs_of(spec, network.cell_px)]
    return export_module(module, example, shapes, [tensor.name for tensor in inputs], outputs)


def export_module(
    module: nn.Module,
    example: tuple[Tensor, ...],
    dynamic_shapes: tuple[dict[int, Any], ...],
    input_names: list[str],
    output_names: list[str],
) -> onnx.ModelProto:
    """A module in evaluation mode as an ONNX model in fp32.

    Batch norms that follow a convolution become part of it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about its own insides
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            dynamic_shapes=dynamic_shapes,
            input_names=input_names,
            output_names=output_names,
            opset_version=OPSET,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    model = _without_provenance(program.model_proto)
    onnx.checker.check_model(model, full_check=True)
    return model


def _without_provenance(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops what the exporter notes of the Python code behind each node: a third of the file."""
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    del model.metadata_props[:]
    return model
