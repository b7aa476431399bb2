"""int8 graphs, by explicit quantise / dequantise (QDQ) nodes.

Activations are asymmetric uint8, weights symmetric int8 per output channel: what the integer
kernels of CPUs run fastest, in ONNX Runtime and OpenVINO alike. Convolutions, their ReLUs and the
additions between them are quantised. Float stays what makes the result exact: the input that the
residual is added to, the residual's size, and the fixed filter that upsamples chroma.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from jpegrt.export.stem_split import STEM_SCALE, STEM_ZERO_POINT, split_stem_inputs

_STEM_RANGE = {
    "quant_type": QuantType.QUInt8,
    "scale": np.array(STEM_SCALE, np.float32),
    "zero_point": np.array(STEM_ZERO_POINT, np.uint8),
}

Inputs = dict[str, NDArray[np.float32]]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: Iterable[Inputs]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)


def quantise(model: onnx.ModelProto, calibration: Iterable[Inputs]) -> onnx.ModelProto:
    """The graph in int8, its activation ranges those seen on `calibration`."""
    with tempfile.TemporaryDirectory() as folder:
        float_file, prepared, quantised = (
            str(Path(folder) / name) for name in ("float.onnx", "prepared.onnx", "int8.onnx")
        )
        onnx.save(model, float_file)
        quant_pre_process(float_file, prepared, skip_symbolic_shape=True)
        split = onnx.load(prepared)
        stem_inputs = split_stem_inputs(split)
        onnx.save(split, prepared)
        quantize_static(
            prepared,
            quantised,
            _Reader(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Relu", "Add"],
            nodes_to_quantize=quantisable_nodes(split),
            extra_options={
                "WeightSymmetric": True,
                # Each image's range averaged over the images, not the widest of all: rare
                # extremes clip, and everything else is twice as fine.
                "CalibMovingAverage": True,
                "TensorQuantOverrides": {name: [_STEM_RANGE] for name in stem_inputs},
            },
        )
        result = onnx.load(quantised)
    onnx.checker.check_model(result)
    return result


def quantisable_nodes(model: onnx.ModelProto) -> list[str]:
    """Trained convolutions, and the ReLUs and additions that only they and each other feed."""
    producer = {output: node for node in model.graph.node for output in node.output}
    chosen: list[str] = []
    for node in model.graph.node:  # in topological order
        if node.op_type == "Conv":
            integer = "upsampling" not in node.input[1]
        elif node.op_type in ("Relu", "Add"):
            integer = all(name in producer and producer[name].name in chosen for name in node.input)
        else:
            integer = False
        if integer:
            chosen.append(node.name)
    return chosen
