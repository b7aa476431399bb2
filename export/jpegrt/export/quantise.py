"""int8 graphs, by explicit quantise / dequantise (QDQ) nodes.

Activations are asymmetric uint8, weights symmetric int8 per output channel: what the integer
kernels of CPUs run fastest, in ONNX Runtime and OpenVINO alike. Convolutions, their ReLUs and the
additions between them are quantised. Float stays what makes the result exact: the input that the
residual is added to, the residual's size, the fixed filter that upsamples chroma, hrcnn's decoding,
first layers that are not split (`stem_split.py`), a trunk that batch normalisations read: each unit
would round it again (jscnn lost 0.2 to 1.7 dB), and convolutions of several layers' outputs,
concatenated: OpenVINO's answers to them are off (cjpgsr's moved by 0.7 levels).
"""

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable
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
# What moves values without computing: its input may be integers.
_MOVES = ("Concat", "DepthToSpace", "Reshape", "Slice", "SpaceToDepth", "Split", "Transpose")


def quantise(model: onnx.ModelProto, calibration: Iterable[Inputs]) -> onnx.ModelProto:
    """The graph in int8, its activation ranges those seen on `calibration`."""
    return Quantisation(model, calibration).graph()


class Quantisation:
    """A graph that is calibrated, to be had in int8, whole or with some layers left in float."""

    def __init__(self, model: onnx.ModelProto, calibration: Iterable[Inputs]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            before, after = (Path(folder) / name for name in ("float.onnx", "split.onnx"))
            onnx.save(model, before)
            quant_pre_process(before, after, skip_symbolic_shape=True)
            self._prepared = onnx.load(after)
            self._stem_inputs = split_stem_inputs(self._prepared)
            onnx.save(self._prepared, after)
            nodes = quantisable_nodes(self._prepared, self._stem_inputs)
            self._ranges = activation_ranges(
                after, _activations(self._prepared, nodes), calibration
            )
        convolutions = {node.name for node in self._prepared.graph.node if node.op_type == "Conv"}
        self.layers = [name for name in nodes if name in convolutions]

    def graph(self, in_float: Collection[str] = ()) -> onnx.ModelProto:
        """In int8, but for the convolutions `in_float`, of `layers`, and what only they feed."""
        nodes = quantisable_nodes(self._prepared, self._stem_inputs, in_float)
        quantizer = QDQQuantizer(
            onnx.shape_inference.infer_shapes(self._prepared),
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, self._ranges),
            nodes_to_quantize=nodes,
            nodes_to_exclude=[],
            op_types_to_quantize=_QUANTISED,
            extra_options={
                "WeightSymmetric": True,
                "TensorQuantOverrides": {
                    name: [_stem_range(scale)] for name, scale in self._stem_inputs.items()
                },
            },
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        result: onnx.ModelProto = quantizer.model.model
        _keep_in_float(result, _read_in_float(self._prepared, set(nodes)))
        onnx.checker.check_model(result)
        return result


def _stem_range(scale: float) -> dict[str, Any]:
    return {
        "quant_type": QuantType.QUInt8,
        "scale": np.array(scale, np.float32),
        "zero_point": np.array(STEM_ZERO_POINT, np.uint8),
    }


def quantisable_nodes(
    model: onnx.ModelProto, stem_inputs: Collection[str], in_float: Collection[str] = ()
) -> list[str]:
    """Trained convolutions, but for those `in_float`, and the ReLUs and additions that only they
    and each other feed.

    First layers see images, of which eight bits are not enough, and have few products: they stay
    in float, but for those on `stem_inputs`, images that are split. So do those of several layers'
    outputs, concatenated.
    """
    producer = {output: node for node in model.graph.node for output in node.output}
    normalised = {
        node.input[0] for node in model.graph.node if node.op_type == "BatchNormalization"
    }
    features = set(stem_inputs)  # what some layer has seen
    joined = _joined_layers(model)
    chosen: list[str] = []
    for node in model.graph.node:  # in topological order
        trained = node.op_type == "Conv" and not any(
            part in node.input[1] for part in EXACT_WEIGHTS
        )
        if trained:
            integer = node.input[0] in features - joined and node.name not in in_float
        elif node.op_type in _QUANTISED and node.op_type != "Conv":
            integer = all(name in producer and producer[name].name in chosen for name in node.input)
            integer = integer and node.output[0] not in normalised
        else:
            integer = False
        if integer:
            chosen.append(node.name)
        if trained or not features.isdisjoint(node.input):
            features.update(node.output)
    return chosen


def _joined_layers(model: onnx.ModelProto) -> set[str]:
    """Concatenations of more than one output of nodes that may be quantised."""
    layers = {
        output for node in model.graph.node if node.op_type in _QUANTISED for output in node.output
    }
    return {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Concat" and len(layers.intersection(node.input)) > 1
    }


def _activations(model: onnx.ModelProto, nodes: Iterable[str]) -> list[str]:
    """What the named nodes read and write, without weights; in the graph's order."""
    weights = {initializer.name for initializer in model.graph.initializer}
    chosen = [node for node in model.graph.node if node.name in set(nodes)]
    names = [name for node in chosen for name in (*node.input, *node.output) if name not in weights]
    return list(dict.fromkeys(names))


def _read_in_float(model: onnx.ModelProto, quantised: Collection[str]) -> set[str]:
    """Quantised convolutions, by name, whose outputs nothing but arithmetic in float reads."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    return {
        node.name
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.name in quantised
        and not any(
            reader.name in quantised or reader.op_type in _MOVES
            for reader in readers[node.output[0]]
        )
    }


def _keep_in_float(model: onnx.ModelProto, convolutions: set[str]) -> None:
    """Takes the rounding off the outputs of these, in place.

    It would only lose: a head's output is the residual itself, rounding it is noise in the result,
    and clipping it leaves the worst artefacts. Inputs and weights stay integers.
    """
    reader = {name: node for node in model.graph.node for name in node.input}
    for convolution in [node for node in model.graph.node if node.name in convolutions]:
        rounding = reader[convolution.output[0]]
        restoring = reader[rounding.output[0]]
        convolution.output[0] = restoring.output[0]
        model.graph.node.remove(rounding)
        model.graph.node.remove(restoring)
