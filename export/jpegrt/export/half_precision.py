"""fp16 graphs, strongly typed: Casts say which tensors are float16, and no builder has to guess.

float16 are the products (convolutions, matrix products), whose weights and arithmetic are what
costs time, and the activations between them. Everything else stays float32, the graph's inputs and
outputs too: the logarithms and exponentials of the steps, which leave float16's range; the image
that a residual is added to, of which float16 would keep only 11 bits; and the layers that make it:
fixed filters, and hrcnn's decoding.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Weights of layers, by parts of their names, that make the image itself and not what changes it:
# they stay in float32 in every precision.
EXACT_WEIGHTS = ("upsampling", "decoding")

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_ACTIVATIONS = ("Relu", "LeakyRelu", "PRelu", "Add")


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The float32 graph with its products in float16; of a quantised one, those left in float."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    unfold_casts(half)
    weights = {tensor.name: tensor for tensor in half.graph.initializer}
    chosen = _half_nodes(half, weights)
    written = {name for node in chosen for name in node.output}
    available: set[str] = set()  # in float16, as `_half(name)`
    nodes: list[onnx.NodeProto] = []
    for node in half.graph.node:
        if not any(node is candidate for candidate in chosen):
            nodes.append(node)
            continue
        for name in filter(None, node.input):
            if name in written | available:
                continue
            available.add(name)
            if name in weights:
                array = numpy_helper.to_array(weights[name]).astype(np.float16)
                half.graph.initializer.append(numpy_helper.from_array(array, _half(name)))
            else:
                nodes.append(_cast(name, _half(name), TensorProto.FLOAT16))
        widened = list(node.output)
        node.input[:] = [_half(name) if name else "" for name in node.input]
        node.output[:] = [_half(name) for name in node.output]
        nodes.append(node)
        nodes.extend(_cast(_half(name), name, TensorProto.FLOAT) for name in widened)
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    del half.graph.value_info[:]
    drop_unused(half)
    onnx.checker.check_model(half, full_check=True)
    return half


def unfold_casts(model: onnx.ModelProto) -> None:
    """Widens, in place, the weights that are stored in float16: what `store_in_half` did, undone."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.input[0] in weights:
            stored = weights[node.input[0]]
            to = helper.get_attribute_value(node.attribute[0])
            array = numpy_helper.to_array(stored).astype(helper.tensor_dtype_to_np_dtype(to))
            model.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
            model.graph.node.remove(node)
    drop_unused(model)


def drop_unused(model: onnx.ModelProto) -> None:
    """Removes, in place, nodes and weights that no output needs."""
    needed = {output.name for output in model.graph.output}
    for node in reversed(list(model.graph.node)):  # in topological order
        if needed.isdisjoint(node.output):
            model.graph.node.remove(node)
        else:
            needed.update(node.input)
    for tensor in list(model.graph.initializer):
        if tensor.name not in needed:
            model.graph.initializer.remove(tensor)


def _half_nodes(model: onnx.ModelProto, weights: dict[str, TensorProto]) -> list[onnx.NodeProto]:
    """Products of weights that float16 holds, and the activations that only they and each other
    feed. A product of integers, which a quantised graph restores just before, is left alone."""
    producer = {output: node for node in model.graph.node for output in node.output}
    chosen: list[onnx.NodeProto] = []
    halves: set[str] = set()
    for node in model.graph.node:
        if node.op_type in _PRODUCTS:
            is_half = all(
                _in_range(weights[name]) and not any(part in name for part in EXACT_WEIGHTS)
                if name in weights
                else name not in producer or producer[name].op_type != "DequantizeLinear"
                for name in filter(None, node.input)
            )
        else:
            is_half = node.op_type in _ACTIVATIONS and all(
                name in halves or name in weights for name in node.input
            )
        if is_half:
            chosen.append(node)
            halves.update(node.output)
    return chosen


def _in_range(tensor: TensorProto) -> bool:
    values = numpy_helper.to_array(tensor)
    return bool(np.abs(values).max(initial=0) <= np.finfo(np.float16).max)


def _half(name: str) -> str:
    return f"{name}_f16"


def _cast(name: str, target: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [target], name=f"cast_{target}", to=to)
