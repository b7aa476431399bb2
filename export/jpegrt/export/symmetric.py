"""int8 graphs as TensorRT takes them, made of those for CPUs.

TensorRT knows signed integers around zero only, and biases in float. So every asymmetric uint8
range is replaced by the symmetric int8 range that just covers it, and each bias by its value; the
weights, int8 and symmetric already, stay. What follows a ReLU keeps seven bits of the eight.
"""

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jpegrt.export.half_precision import drop_unused, to_half, unfold_casts


def to_symmetric(model: onnx.ModelProto, in_half: Collection[str] = ()) -> onnx.ModelProto:
    """The graph that `quantise` makes, in TensorRT's terms; its products in float become fp16, and
    so do the convolutions `in_half`, by name, with the weights that they have in int8."""
    symmetric = onnx.ModelProto()
    symmetric.CopyFrom(model)
    unfold_casts(symmetric)
    weights = {tensor.name: tensor for tensor in symmetric.graph.initializer}
    ranges = set()
    for node in list(symmetric.graph.node):
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        values, scale, zero_point = node.input
        if weights[zero_point].data_type == TensorProto.UINT8:
            ranges.add((scale, zero_point))
        elif values in weights and weights[values].data_type == TensorProto.INT32:
            _restore_bias(symmetric, node, weights)
    _restore_relus(symmetric, weights)
    _restore_products(symmetric, in_half, weights)
    for scale, zero_point in sorted(ranges):
        _centre(weights[scale], weights[zero_point])
    drop_unused(symmetric)
    # Custom operator sets that the quantiser lists are not used, and other parsers refuse them.
    default = [opset for opset in symmetric.opset_import if not opset.domain]
    del symmetric.opset_import[:]
    symmetric.opset_import.extend(default)
    return to_half(symmetric)


def _restore_bias(
    model: onnx.ModelProto, node: onnx.NodeProto, weights: dict[str, TensorProto]
) -> None:
    """Replaces the dequantisation of int32 biases, of symmetric ranges, by the float biases."""
    values, scale = (numpy_helper.to_array(weights[name]) for name in node.input[:2])
    biases = (values * scale.astype(np.float64)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(biases, node.output[0]))
    model.graph.node.remove(node)


def _restore_relus(model: onnx.ModelProto, weights: dict[str, TensorProto]) -> None:
    """Puts a ReLU before every range that starts at 0: until now the range did its work."""
    for position, node in reversed(list(enumerate(model.graph.node))):
        if node.op_type == "QuantizeLinear" and not numpy_helper.to_array(weights[node.input[2]]):
            name = f"{node.input[0]}_positive"
            relu = helper.make_node("Relu", [node.input[0]], [name], name=name)
            node.input[0] = name
            model.graph.node.insert(position, relu)


def integer_layers(model: onnx.ModelProto) -> list[str]:
    """The convolutions that a quantised graph computes with integers, in its order."""
    restored = {n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and restored.issuperset(node.input[:2])
    ]


def _restore_products(
    model: onnx.ModelProto, names: Collection[str], weights: dict[str, TensorProto]
) -> None:
    """Gives these convolutions inputs that were not rounded, and their weights as floats."""
    producer = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.name not in names:
            continue
        rounding = producer[producer[node.input[0]].input[0]]
        node.input[0] = rounding.input[0]
        values, scale = (
            numpy_helper.to_array(weights[n]) for n in producer[node.input[1]].input[:2]
        )
        floats = (values * scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.float32)
        name = f"{node.input[1]}_float"
        model.graph.initializer.append(numpy_helper.from_array(floats, name))
        node.input[1] = name


def _centre(scale: TensorProto, zero_point: TensorProto) -> None:
    """One activation's range, in place: uint8 around `zero_point` becomes int8 around zero."""
    zero = int(numpy_helper.to_array(zero_point))
    widening = max(zero / 128, (255 - zero) / 127)
    widened = np.array(numpy_helper.to_array(scale) * widening, np.float32)
    scale.CopyFrom(numpy_helper.from_array(widened, scale.name))
    zero_point.CopyFrom(numpy_helper.from_array(np.array(0, np.int8), zero_point.name))
