"""Stems in int8 without losing the image's precision.

A stem sees the image itself, and eight bits of it are not enough: the finest files have errors
smaller than half such a step (0.02 to 0.03 dB are lost at qualities 20 to 90). So the stem is given
the image twice, rounded to the integer grid and what the rounding left, magnified; the two together
are precise, and each fits eight bits.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

# One integer step of a stem's input, in units of full range: cells reach +-0.64 before they clip.
STEM_SCALE = 1 / 200
STEM_ZERO_POINT = 128
# The remainder is at most half a step, so magnified it still uses only 1/8 of the range; its
# weights are divided by as much, and keep four bits of the eight.
_MAGNIFICATION = 16


def split_stem_inputs(model: onnx.ModelProto) -> list[str]:
    """Rewrites every stem, in place; returns the tensors that need STEM_SCALE when quantised.

    A stem is a convolution of a weight named `...stem...` on a concatenation of the image and
    constant planes.
    """
    weights = {initializer.name: initializer for initializer in model.graph.initializer}
    producer = {output: node for node in model.graph.node for output in node.output}
    split: list[str] = []
    for convolution in list(model.graph.node):
        if convolution.op_type != "Conv" or "stem" not in convolution.input[1]:
            continue
        concatenation = producer[convolution.input[0]]
        image, planes = concatenation.input
        weight = numpy_helper.to_array(weights[convolution.input[1]])
        constant_planes = _channels(model, planes)
        image_weight = weight[:, : weight.shape[1] - constant_planes]
        widened = np.concatenate((weight, image_weight / _MAGNIFICATION), axis=1)
        weights[convolution.input[1]].CopyFrom(
            numpy_helper.from_array(widened.astype(np.float32), convolution.input[1])
        )
        prefix = concatenation.output[0]
        new_nodes = _remainder_nodes(model, image, prefix)
        del concatenation.input[:]
        concatenation.input.extend([f"{prefix}_coarse", planes, f"{prefix}_magnified"])
        position = list(model.graph.node).index(concatenation)
        for offset, node in enumerate(new_nodes):
            model.graph.node.insert(position + offset, node)
        split.append(prefix)
    del model.graph.value_info[:]  # the stems' inputs have grown
    return split


def _channels(model: onnx.ModelProto, tensor: str) -> int:
    """Channels of a tensor whose shape the model states."""
    for value in model.graph.value_info:
        if value.name == tensor:
            return int(value.type.tensor_type.shape.dim[1].dim_value)
    raise ValueError(f"the model does not state the shape of {tensor}")


def _remainder_nodes(model: onnx.ModelProto, image: str, prefix: str) -> list[onnx.NodeProto]:
    """coarse = clip(round(image / scale)) * scale; magnified = (image - coarse) * magnification."""
    constants = {
        "steps": 1 / STEM_SCALE,
        "lowest": -STEM_ZERO_POINT,
        "highest": 255 - STEM_ZERO_POINT,
        "scale": STEM_SCALE,
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
