"""Weights of two bytes: the same answers, bit for bit."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.export.small import random_network, run_onnx, spec_of

from jpegrt.export.graphs import example_inputs, export_graph, inputs_of
from jpegrt.export.half_storage import round_weights, store_in_half
from jpegrt.training.networks.cellnet import CellNet


@pytest.fixture(scope="module")
def trained() -> CellNet:
    """Its weights were kept in float16."""
    return random_network().half().float()


@pytest.fixture(scope="module")
def model(trained: CellNet) -> onnx.ModelProto:
    return export_graph(trained, spec_of(trained, "420"))


def test_the_answers_are_the_same_bits(trained: CellNet, model: onnx.ModelProto) -> None:
    spec = spec_of(trained, "420")
    names = [tensor.name for tensor in inputs_of(spec, trained.cell_px)]
    tensors = example_inputs(spec, trained.cell_px, rows=9, columns=7)
    inputs = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
    for stored, given in zip(
        run_onnx(store_in_half(model), inputs), run_onnx(model, inputs), strict=True
    ):
        np.testing.assert_array_equal(stored, given)


def test_trained_weights_take_two_bytes(model: onnx.ModelProto) -> None:
    stored = store_in_half(model)
    kinds = {tensor.name: tensor.data_type for tensor in stored.graph.initializer}
    weights = [t for t in model.graph.initializer if "conv.weight" in t.name]
    assert weights
    for weight in weights:
        assert kinds[f"{weight.name}_half"] == TensorProto.FLOAT16
        assert weight.name not in kinds
    sizes = [sum(t.ByteSize() for t in m.graph.initializer) for m in (stored, model)]
    assert sizes[0] < 0.6 * sizes[1]


def test_weights_that_need_more_keep_it(model: onnx.ModelProto) -> None:
    finer = onnx.ModelProto()
    finer.CopyFrom(model)
    weight = next(t for t in finer.graph.initializer if t.name.endswith("stem.weight"))
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = 1 + 2**-20
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    kept = {t.name: t for t in store_in_half(finer).graph.initializer}[weight.name]
    np.testing.assert_array_equal(numpy_helper.to_array(kept), values)


def test_rounded_weights_take_two_bytes_all(trained: CellNet, model: onnx.ModelProto) -> None:
    """Of products alone: of biases and fixed filters every bit stays."""
    finer = onnx.ModelProto()
    finer.CopyFrom(model)
    for tensor in finer.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor) * np.float32(1 + 2**-13)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    before = finer.SerializeToString()
    rounded = {t.name: numpy_helper.to_array(t) for t in round_weights(finer).graph.initializer}
    assert finer.SerializeToString() == before
    changed = {
        t.name
        for t in finer.graph.initializer
        if not np.array_equal(rounded[t.name], numpy_helper.to_array(t))
    }
    products = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert changed == {node.input[1] for node in products} - {
        name for name in rounded if "upsampling" in name
    }
    kinds = {t.name: t.data_type for t in store_in_half(round_weights(finer)).graph.initializer}
    for name in changed:
        assert kinds[f"{name}_half"] == TensorProto.FLOAT16
        assert np.abs(rounded[name]).max() > 0


def test_what_float16_cannot_hold_is_not_rounded() -> None:
    values = np.full((1, 1, 8, 8), 1e5, np.float32)
    weight = numpy_helper.from_array(values, "weight")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    node = helper.make_node("Conv", ["x", "weight"], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", [x], [y], [weight]))
    assert round_weights(model) == model


def test_the_given_graph_is_left_alone(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    store_in_half(model)
    assert model.SerializeToString() == before
