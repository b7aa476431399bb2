"""What a graph is made of: its layers, their precisions, and the memory that its tensors take."""

from collections import Counter
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from onnx import TensorProto, helper

from jpegrt.export.profiles import tensor_shape
from jpegrt.kernels import ModelSpec

# What moves or describes data, and what a runtime folds away.
_NO_LAYERS = {"Constant", "Shape", "Gather", "Slice", "Unsqueeze", "Cast", "Concat", "Expand"}
_NO_LAYERS |= {"QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class GraphFacts:
    """layers: (operator, type of its output) -> how many; "int8" where its inputs were integers.
    peak_bytes: of the activations alive at once, run in the file's order, for an image of
    1024 x 1024 pixels.
    """

    layers: dict[tuple[str, str], int]
    weight_bytes: int
    peak_bytes: int
    inputs: dict[str, list[int | str]]


def inspect_graph(model: onnx.ModelProto, spec: ModelSpec) -> GraphFacts:
    """Facts of a model's graph, whose images, rows and columns are dynamic."""
    inputs = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    for value in sized.graph.input:
        dimensions = value.type.tensor_type.shape.dim
        shape = tuple(size.dim_value for size in dimensions)
        fixed = tensor_shape(value.name, shape, (1, 1024, 1024), spec)
        for dimension, size in zip(dimensions, fixed, strict=True):
            dimension.dim_value = size
    for value in sized.graph.output:
        value.type.tensor_type.ClearField("shape")
    del sized.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(sized, data_prop=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    types = {value.name: value.type.tensor_type for value in values}
    weights = {tensor.name for tensor in graph.initializer}
    return GraphFacts(
        _layers(graph, {name: kind.elem_type for name, kind in types.items()}),
        sum(len(tensor.raw_data) for tensor in graph.initializer),
        _peak(graph, {name: _bytes(kind) for name, kind in types.items()}, weights),
        inputs,
    )


def _layers(graph: onnx.GraphProto, types: dict[str, int]) -> dict[tuple[str, str], int]:
    producer = {output: node for node in graph.node for output in node.output}
    layers: Counter[tuple[str, str]] = Counter()
    for node in graph.node:
        if node.op_type in _NO_LAYERS:
            continue
        source = producer.get(node.input[0]) if node.input else None
        if source is not None and source.op_type == "DequantizeLinear":
            kind = "int8"
        else:
            kind = TensorProto.DataType.Name(types.get(node.output[0], 0)).lower()
        layers[node.op_type, kind] += 1
    return dict(layers)


def _bytes(kind: onnx.TypeProto.Tensor) -> int:
    sizes = [dimension.dim_value for dimension in kind.shape.dim]
    return int(prod(sizes)) * np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).itemsize


def _peak(graph: onnx.GraphProto, sizes: dict[str, int], weights: set[str]) -> int:
    last_use = {name: i for i, node in enumerate(graph.node) for name in node.input}
    kept = {value.name for value in (*graph.input, *graph.output)}
    alive = {value.name for value in graph.input}
    peak = 0
    for i, node in enumerate(graph.node):
        alive.update(name for name in node.output if name not in weights)
        peak = max(peak, sum(sizes.get(name, 0) for name in alive))
        alive -= {name for name in alive if last_use.get(name, -1) <= i and name not in kept}
    return peak
