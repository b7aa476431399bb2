"""int8 graphs, by explicit quantise / dequantise (QDQ) nodes.

Activations are asymmetric uint8, weights symmetric int8 per output channel: what the integer
kernels of CPUs run fastest, in ONNX Runtime and OpenVINO alike. Convolutions, their ReLUs and the
additions between them are quantised. Float stays what makes the result exact: the input that the
residual is added to, the residual's size, the fixed filter that upsamples chroma, and hrcnn's decoding.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process

from jpegrt.export.half_precision import EXACT_WEIGHTS
from jpegrt.export.ranges import Inputs, activation_ranges
from jpegrt.export.stem_split import STEM_ZERO_POINT, split_stem_inputs

_QUANTISED = ["Conv", "Relu", "LeakyRelu", "Add"]


def quantise(model: onnx.ModelProto, calibration: Iterable[Inputs]) -> onnx.ModelProto:
    """The graph in int8, its activation ranges those seen on `calibration`."""
    with tempfile.TemporaryDirectory() as folder:
        float_file, prepared_file = (Path(folder) / name for name in ("float.onnx", "split.onnx"))
        onnx.save(model, float_file)
        quant_pre_process(float_file, prepared_file, skip_symbolic_shape=True)
        prepared = onnx.load(prepared_file)
        stem_inputs = split_stem_inputs(prepared)
        onnx.save(prepared, prepared_file)
        nodes = quantisable_nodes(prepared)
        ranges = activation_ranges(prepared_file, _activations(prepared, nodes), calibration)
    quantizer = QDQQuantizer(
        onnx.shape_inference.infer_shapes(prepared),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
        nodes_to_quantize=nodes,
        nodes_to_exclude=[],
        op_types_to_quantize=_QUANTISED,
        extra_options={
            "WeightSymmetric": True,
            "TensorQuantOverrides": {
                name: [_stem_range(scale)] for name, scale in stem_inputs.items()
            },
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    _keep_residuals_in_float(result, _heads(prepared, nodes))
    onnx.checker.check_model(result)
    return result


def _stem_range(scale: float) -> dict[str, Any]:
    return {
        "quant_type": QuantType.QUInt8,
        "scale": np.array(scale, np.float32),
        "zero_point": np.array(STEM_ZERO_POINT, np.uint8),
    }


def quantisable_nodes(model: onnx.ModelProto) -> list[str]:
    """Trained convolutions, and the ReLUs and additions that only they and each other feed."""
    producer = {output: node for node in model.graph.node for output in node.output}
    chosen: list[str] = []
    for node in model.graph.node:  # in topological order
        if node.op_type == "Conv":
            integer = not any(part in node.input[1] for part in EXACT_WEIGHTS)
        elif node.op_type in _QUANTISED:
            integer = all(name in producer and producer[name].name in chosen for name in node.input)
        else:
            integer = False
        if integer:
            chosen.append(node.name)
    return chosen


def _activations(model: onnx.ModelProto, nodes: Iterable[str]) -> list[str]:
    """What the named nodes read and write, without weights; in the graph's order."""
    weights = {initializer.name for initializer in model.graph.initializer}
    chosen = [node for node in model.graph.node if node.name in set(nodes)]
    names = [name for node in chosen for name in (*node.input, *node.output) if name not in weights]
    return list(dict.fromkeys(names))


def _heads(model: onnx.ModelProto, quantised: Iterable[str]) -> set[str]:
    """Convolutions, by name, that make a residual: those named so, and those added in float."""
    names = set(quantised)
    added = {
        name
        for node in model.graph.node
        if node.op_type == "Add" and node.name not in names
        for name in node.input
    }
    return {
        node.name
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.name in names
        and ("head" in node.input[1] or node.output[0] in added)
    }


def _keep_residuals_in_float(model: onnx.ModelProto, heads: set[str]) -> None:
    """Takes the rounding off the outputs of the heads, in place.

    A head's output is the residual itself: rounding it is noise in the result, and clipping it
    leaves the worst artefacts. Its inputs and weights stay integers.
    """
    reader = {name: node for node in model.graph.node for name in node.input}
    for head in [node for node in model.graph.node if node.name in heads]:
        rounding = reader[head.output[0]]
        restoring = reader[rounding.output[0]]
        for node in model.graph.node:
            for position, name in enumerate(node.input):
                if name == restoring.output[0]:
                    node.input[position] = head.output[0]
        model.graph.node.remove(rounding)
        model.graph.node.remove(restoring)
