"""fp16 graphs: which tensors are float16, and what that costs where they are really rounded."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests.export.small import GRAPHS, run_onnx, spec_of

from jpegrt.export.graphs import example_inputs, inputs_of
from jpegrt.export.half_emulation import emulate_half
from jpegrt.export.half_precision import to_half
from jpegrt.export.half_storage import store_in_half
from jpegrt.training.networks.cellnet import CellNet


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Of every tensor that is no weight."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


def inputs_for(network: CellNet, graph: str) -> dict[str, NDArray[np.float32]]:
    spec = spec_of(network, graph)
    tensors = example_inputs(spec, network.cell_px, rows=20, columns=24)
    names = [tensor.name for tensor in inputs_of(spec, network.cell_px)]
    return {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}


@pytest.mark.parametrize("graph", GRAPHS)
def test_products_are_float16_and_nothing_else_is(
    graphs: dict[str, onnx.ModelProto], graph: str
) -> None:
    model = to_half(graphs[graph])
    types = element_types(model)
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    in_half = {
        node.op_type for node in model.graph.node if types[node.output[0]] == TensorProto.FLOAT16
    }
    assert in_half == {"Cast", "Conv", "Gemm", "Relu", "Add"}
    for node in model.graph.node:
        if node.op_type == "Conv":
            fixed = "upsampling" in node.input[1]
            assert (types[node.output[0]] == TensorProto.FLOAT16) is not fixed
        elif node.op_type == "Gemm":  # SM75 has none in float32
            assert types[node.output[0]] == TensorProto.FLOAT16
        elif node.op_type in ("Log", "Exp", "ReduceMean", "Mul"):
            assert types[node.output[0]] == TensorProto.FLOAT


def test_what_float16_cannot_hold_stays_float32(graphs: dict[str, onnx.ModelProto]) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(graphs["grey"])
    weight = next(t for t in model.graph.initializer if t.name.endswith("head.conv.weight"))
    large = numpy_helper.to_array(weight).copy()
    large.flat[0] = 7e4
    weight.CopyFrom(numpy_helper.from_array(large, weight.name))
    half = to_half(model)
    head = next(node for node in half.graph.node if weight.name in node.input)
    assert element_types(half)[head.output[0]] == TensorProto.FLOAT


def test_weights_stored_in_half_give_the_same_graph(graphs: dict[str, onnx.ModelProto]) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(graphs["420"])
    for tensor in model.graph.initializer:  # as training keeps them
        if tensor.data_type == TensorProto.FLOAT:
            rounded = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    stored = store_in_half(model)
    assert any(node.name.endswith("_widened") for node in stored.graph.node)
    assert [n.SerializeToString() for n in to_half(stored).graph.node] == [
        n.SerializeToString() for n in to_half(model).graph.node
    ]


@pytest.mark.parametrize("graph", GRAPHS)
def test_rounded_answers_are_near(
    graphs: dict[str, onnx.ModelProto], network: CellNet, graph: str
) -> None:
    inputs = inputs_for(network, graph)
    expected = run_onnx(graphs[graph], inputs)
    found = run_onnx(emulate_half(to_half(graphs[graph])), inputs)
    for ours, theirs in zip(found, expected, strict=True):
        difference = np.abs(ours - theirs)
        assert 0 < difference.max() < 1 / 255  # rounded indeed, by less than a level
        assert difference.mean() < 0.1 / 255


def test_emulation_rounds_as_numpy_does() -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
            helper.make_node("Cast", ["half"], ["y"], to=TensorProto.FLOAT),
        ],
        "rounding",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    random = np.random.default_rng(0)
    sizes = 10.0 ** random.integers(-9, 6, 50_000)
    edges = [65503, 65504, 65519.996, 65520, -65520, -65519, 0, -0.0, np.inf, -np.inf, np.nan]
    every = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    ties = (every[1:] + every[:-1]) / 2
    values = np.concatenate((random.standard_normal(50_000) * sizes, edges, every, -every, ties))
    x = values.astype(np.float32)
    with np.errstate(over="ignore"):
        expected = x.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(run_onnx(emulate_half(model), {"x": x})[0], expected)


def test_emulation_shows_what_overflows(
    graphs: dict[str, onnx.ModelProto], network: CellNet
) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(graphs["grey"])
    weight = next(t for t in model.graph.initializer if t.name.endswith("stem.weight"))
    large = numpy_helper.to_array(weight) * np.float32(3e5)
    weight.CopyFrom(numpy_helper.from_array(large, weight.name))
    inputs = inputs_for(network, "grey")
    assert np.isfinite(run_onnx(model, inputs)[0]).all()
    assert not np.isfinite(run_onnx(emulate_half(to_half(model)), inputs)[0]).all()
