"""Stems in int8 without losing the image's precision.

A stem sees the image itself, and eight bits of it are not enough: the finest files have errors
smaller than half such a step (0.02 to 0.03 dB are lost at qualities 20 to 90). So the stem is given
the image twice, rounded to the integer grid and what the rounding left, magnified; the two together
are precise, and each fits eight bits.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

# One integer step of a stem's input, in units of full range. Cells and pixels reach +-0.64 before
# they clip; the samples that hrcnn's details are made of, from 0 to 1, reach 1.15.
STEM_SCALE = 1 / 200
DETAIL_SCALE = 1 / 110
STEM_ZERO_POINT = 128
# The remainder is at most half a step, so magnified it still uses only 1/8 of the range; its
# weights are divided by as much, and keep four bits of the eight.
_MAGNIFICATION = 16


def split_stem_inputs(model: onnx.ModelProto) -> dict[str, float]:
    """Rewrites every stem, in place; returns the tensors to be quantised around STEM_ZERO_POINT, and
    their scales.

    A stem is a convolution of a weight named `...stem...` or `...detail...wide...`, on the image or
    on a concatenation of the image and constant planes.
    """
    weights = {initializer.name: initializer for initializer in model.graph.initializer}
    split: dict[str, float] = {}
    for convolution in list(model.graph.node):
        name = convolution.input[1] if convolution.op_type == "Conv" else ""
        if "stem" in name:
            scale = STEM_SCALE
        elif "detail" in name and "wide" in name:
            scale = DETAIL_SCALE
        else:
            continue
        concatenation = _concatenation(model, convolution)
        image, *planes = concatenation.input
        weight = numpy_helper.to_array(weights[name])
        constant_planes = sum(_channels(model, plane) for plane in planes)
        image_weight = weight[:, : weight.shape[1] - constant_planes]
        widened = np.concatenate((weight, image_weight / _MAGNIFICATION), axis=1)
        weights[name].CopyFrom(numpy_helper.from_array(widened.astype(np.float32), name))
        prefix = concatenation.output[0]
        new_nodes = _remainder_nodes(model, image, prefix, scale)
        del concatenation.input[:]
        concatenation.input.extend([f"{prefix}_coarse", *planes, f"{prefix}_magnified"])
        position = list(model.graph.node).index(concatenation)
        for offset, node in enumerate(new_nodes):
            model.graph.node.insert(position + offset, node)
        split[prefix] = scale
    del model.graph.value_info[:]  # the stems' inputs have grown
    return split


def _concatenation(model: onnx.ModelProto, convolution: onnx.NodeProto) -> onnx.NodeProto:
    """What the convolution reads; where it reads an image alone, one of it is inserted, in place."""
    nodes: list[onnx.NodeProto] = list(model.graph.node)
    image = convolution.input[0]
    for node in nodes:
        if node.op_type == "Concat" and image in node.output:
            return node
    position = nodes.index(convolution)
    name = f"{convolution.input[1]}_input"
    node = helper.make_node("Concat", [image], [name], name=name, axis=1)
    model.graph.node.insert(position, node)
    convolution.input[0] = name
    inserted: onnx.NodeProto = model.graph.node[position]
    return inserted


def _channels(model: onnx.ModelProto, tensor: str) -> int:
    """Channels of a tensor whose shape the model states."""
    for value in model.graph.value_info:
        if value.name == tensor:
            return int(value.type.tensor_type.shape.dim[1].dim_value)
    raise ValueError(f"the model does not state the shape of {tensor}")


def _remainder_nodes(
    model: onnx.ModelProto, image: str, prefix: str, scale: float
) -> list[onnx.NodeProto]:
    """coarse = clip(round(image / scale)) * scale; magnified = (image - coarse) * magnification."""
    constants = {
        "steps": 1 / scale,
        "lowest": -STEM_ZERO_POINT,
        "highest": 255 - STEM_ZERO_POINT,
        "scale": scale,
        "magnification": _MAGNIFICATION,
    }
    for name, value in constants.items():
        array = np.array(value, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, f"{prefix}_{name}"))

    def node(kind: str, inputs: list[str], output: str) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [f"{prefix}_{output}"], name=f"{prefix}_{output}")

    own = {name: f"{prefix}_{name}" for name in (*constants, "stretched", "rounded", "clipped")}
    return [
        node("Mul", [image, own["steps"]], "stretched"),
        node("Round", [own["stretched"]], "rounded"),
        node("Clip", [own["rounded"], own["lowest"], own["highest"]], "clipped"),
        node("Mul", [own["clipped"], own["scale"]], "coarse"),
        node("Sub", [image, f"{prefix}_coarse"], "remainder"),
        node("Mul", [f"{prefix}_remainder", own["magnification"]], "magnified"),
    ]
