"""int8 graphs for TensorRT: signed, around zero, biases in float; answers near those for CPUs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from tests.export.small import run_onnx, spec_of
from tests.export.test_half_precision import element_types

from jpegrt.export.calibration import examples_of_each_quality
from jpegrt.export.model import Example
from jpegrt.export.quantise import quantise
from jpegrt.export.symmetric import integer_layers, to_symmetric
from jpegrt.training.networks.cellnet import CellNet

GRAPHS = ["grey", "420"]


@pytest.fixture(scope="module")
def examples(network: CellNet, photographs: list[Path]) -> dict[str, list[Example]]:
    return {
        graph: list(
            examples_of_each_quality(photographs, spec_of(network, graph), 2, 48, (10, 50, 90))
        )
        for graph in GRAPHS
    }


@pytest.fixture(scope="module")
def int8(
    graphs: dict[str, onnx.ModelProto], examples: dict[str, list[Example]]
) -> dict[str, onnx.ModelProto]:
    return {
        graph: quantise(graphs[graph], (example.inputs for example in examples[graph]))
        for graph in GRAPHS
    }


@pytest.mark.parametrize("graph", GRAPHS)
def test_tensorrt_could_take_it(int8: dict[str, onnx.ModelProto], graph: str) -> None:
    model = to_symmetric(int8[graph])
    assert [opset.domain for opset in model.opset_import] == [""]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    rounded = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(rounded) > 10
    for node in rounded:
        zero_points = weights[node.input[2]]
        assert zero_points.data_type == TensorProto.INT8
        assert not numpy_helper.to_array(zero_points).any()
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert not kinds & {TensorProto.UINT8, TensorProto.INT32}


def test_layers_in_half(
    graphs: dict[str, onnx.ModelProto],
    int8: dict[str, onnx.ModelProto],
    examples: dict[str, list[Example]],
) -> None:
    """Their inputs are not rounded to integers, so that less is lost."""
    layers = integer_layers(int8["grey"])
    assert len(layers) > 2
    for in_half in (layers[-2:], layers):
        model = to_symmetric(int8["grey"], in_half)
        assert integer_layers(model) == [name for name in layers if name not in in_half]
        types = element_types(model)
        for node in model.graph.node:
            if node.name in in_half:
                assert {types[node.output[0]]} == {TensorProto.FLOAT16}
    inputs = examples["grey"][0].inputs
    expected = np.concatenate(run_onnx(graphs["grey"], inputs), 1)
    without, every = (
        float(
            np.abs(
                np.concatenate(run_onnx(to_symmetric(int8["grey"], names), inputs), 1) - expected
            ).mean()
        )
        for names in ([], layers)
    )
    assert 0 < every < without


@pytest.mark.parametrize("graph", GRAPHS)
def test_it_costs_little_more_than_for_cpus(
    graphs: dict[str, onnx.ModelProto],
    int8: dict[str, onnx.ModelProto],
    examples: dict[str, list[Example]],
    graph: str,
) -> None:
    symmetric = to_symmetric(int8[graph])
    errors: dict[str, list[float]] = {"cpu": [], "tensorrt": []}
    for example in examples[graph]:
        expected = np.concatenate(run_onnx(graphs[graph], example.inputs), 1)
        for name, model in (("cpu", int8[graph]), ("tensorrt", symmetric)):
            found = np.concatenate(run_onnx(model, example.inputs), 1)
            errors[name].append(float(np.sqrt(np.square(found - expected).mean())))
    # Half the levels after a ReLU: at worst twice the error. Without ReLUs it is ten times.
    assert 0 < np.mean(errors["tensorrt"]) < 2 * np.mean(errors["cpu"])
