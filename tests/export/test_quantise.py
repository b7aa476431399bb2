"""int8 graphs: what is in integers, what stays in float, and how near the answers are."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization.shape_inference import quant_pre_process
from tests.export.small import GRAPHS, run_onnx, run_torch, spec_of

from jpegrt.export.calibration import examples_of_each_quality
from jpegrt.export.model import Example
from jpegrt.export.quantise import quantisable_nodes, quantise
from jpegrt.export.stem_split import STEM_SCALE, split_stem_inputs
from jpegrt.training.networks.cellnet import CellNet

QUANTISED = ["grey", "420"]  # one without, and one with a fixed filter for chroma


def examples_for(network: CellNet, graph: str, photographs: list[Path]) -> list[Example]:
    spec = spec_of(network, graph)
    return list(examples_of_each_quality(photographs, spec, 2, 48, (10, 50, 90)))


@pytest.fixture(scope="module")
def int8(
    network: CellNet, graphs: dict[str, onnx.ModelProto], photographs: list[Path]
) -> dict[str, onnx.ModelProto]:
    return {
        graph: quantise(
            graphs[graph], (e.inputs for e in examples_for(network, graph, photographs))
        )
        for graph in QUANTISED
    }


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {output: node for node in model.graph.node for output in node.output}


@cache
def tensors(model_bytes: bytes) -> dict[str, np.ndarray]:
    model = onnx.load_from_string(model_bytes)
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}


@pytest.mark.parametrize("graph", QUANTISED)
def test_convolutions_are_in_integers(int8: dict[str, onnx.ModelProto], graph: str) -> None:
    model = int8[graph]
    produced = producers(model)
    values = tensors(model.SerializeToString())
    in_integers = in_float = 0
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        sources = [produced.get(name) for name in node.input[:2]]
        if all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
            in_integers += 1
            weight = sources[1]
            assert weight is not None
            quantised, scale = values[weight.input[0]], values[weight.input[1]]
            assert quantised.dtype == np.int8
            assert scale.shape == (quantised.shape[0],)  # one to a channel
            assert not values[weight.input[2]].any()  # symmetric
        else:
            in_float += 1
            assert "upsampling" in node.input[1]
    # stem, expand, project, head; and of chroma besides: join.
    assert (in_integers, in_float) == ((4, 0) if graph == "grey" else (9, 1))


@pytest.mark.parametrize("graph", QUANTISED)
def test_the_image_and_the_result_stay_in_float(
    int8: dict[str, onnx.ModelProto], graph: str
) -> None:
    model = int8[graph]
    produced = producers(model)
    for output in model.graph.output:
        last = produced[output.name]
        assert last.op_type == "Add"
        sources = {produced[name].op_type if name in produced else "input" for name in last.input}
        assert "DequantizeLinear" not in sources
    assert "luma" in produced["luma_restored"].input


@pytest.mark.parametrize("graph", QUANTISED)
def test_stems_are_quantised_on_the_grid_that_splits_them(
    int8: dict[str, onnx.ModelProto], graph: str
) -> None:
    model = int8[graph]
    values = tensors(model.SerializeToString())
    concatenations = {n.output[0] for n in model.graph.node if n.op_type == "Concat"}
    steps = [
        values[node.input[1]]
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] in concatenations
    ]
    assert len(steps) == (1 if graph == "grey" else 2)
    np.testing.assert_allclose(steps, STEM_SCALE, rtol=1e-6)


@pytest.mark.parametrize("graph", QUANTISED)
def test_int8_answers_are_near(
    network: CellNet, int8: dict[str, onnx.ModelProto], photographs: list[Path], graph: str
) -> None:
    for example in examples_for(network, graph, photographs[:2]):
        expected = run_torch(network, graph, example.inputs)
        found = run_onnx(int8[graph], example.inputs)
        for one, other in zip(found, expected, strict=True):
            assert np.abs(one - other).mean() < 1 / 255
        # Nearer to the answer than doing nothing is.
        changed = np.abs(expected[0] - example.inputs["luma"]).mean()
        assert np.abs(found[0] - expected[0]).mean() < 0.2 * changed


@pytest.mark.parametrize("graph", QUANTISED)
def test_int8_files_are_smaller(
    graphs: dict[str, onnx.ModelProto], int8: dict[str, onnx.ModelProto], graph: str
) -> None:
    sizes = [
        sum(t.ByteSize() for t in model.graph.initializer if "weight" in t.name)
        for model in (graphs[graph], int8[graph])
    ]
    assert sizes[1] < sizes[0]


def prepared(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """As `quantise` prepares it, so that shapes are stated."""
    before, after = folder / "before.onnx", folder / "after.onnx"
    onnx.save(model, before)
    quant_pre_process(str(before), str(after), skip_symbolic_shape=True)
    return onnx.load(after)


@pytest.mark.parametrize("graph", GRAPHS)
def test_splitting_the_stems_changes_no_answer(
    network: CellNet,
    graphs: dict[str, onnx.ModelProto],
    photographs: list[Path],
    tmp_path: Path,
    graph: str,
) -> None:
    model = prepared(graphs[graph], tmp_path)
    split = split_stem_inputs(model)
    assert len(split) == (1 if graph == "grey" else 2)
    onnx.checker.check_model(model)
    for example in examples_for(network, graph, photographs[:2]):
        before = run_onnx(graphs[graph], example.inputs)
        after = run_onnx(model, example.inputs)
        for one, other in zip(before, after, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4, rtol=0)


def test_a_split_stem_sees_the_image_in_two_parts_that_fit_eight_bits(
    graphs: dict[str, onnx.ModelProto], tmp_path: Path
) -> None:
    model = prepared(graphs["grey"], tmp_path)
    (stem,) = split_stem_inputs(model)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(stem, onnx.TensorProto.FLOAT, None)
    )
    luma = np.random.default_rng(0).uniform(-0.9, 0.9, (1, 4, 8, 8)).astype(np.float32)
    seen = run_onnx(model, {"luma": luma, "steps": np.full((1, 64), 9, np.float32)})[-1]
    coarse, magnified = seen[:, :4], seen[:, -4:]
    steps = coarse / STEM_SCALE
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    assert steps.min() >= -128
    assert steps.max() <= 127
    np.testing.assert_allclose(coarse + magnified / 16, luma, atol=1e-6)
    within = np.abs(luma) < 127 * STEM_SCALE
    assert 0.5 < within.mean() < 0.9  # the rest is clipped, and its remainder large
    assert np.abs(magnified[within]).max() <= 16 * STEM_SCALE / 2 + 1e-6


@pytest.mark.parametrize("seen", ["image", "enhanced"])
def test_a_stem_may_read_an_image_alone(seen: str) -> None:
    """As that of carsr's second stage does, which reads what the first one makes."""
    random = np.random.default_rng(0)
    weight = random.uniform(-0.5, 0.5, (4, 3, 3, 3)).astype(np.float32)
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 18]>
        graph (float[1, 3, 8, 8] image) => (float[1, 4, 6, 6] answer) {{
            enhanced = Add(image, image)
            answer = Conv({seen}, stem_weight)
        }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "stem_weight"))
    image = {"image": random.uniform(-0.3, 0.3, (1, 3, 8, 8)).astype(np.float32)}
    (before,) = run_onnx(model, image)
    (stem,) = split_stem_inputs(model)
    onnx.checker.check_model(model)
    assert next(node for node in model.graph.node if stem in node.output).op_type == "Concat"
    (after,) = run_onnx(model, image)
    np.testing.assert_allclose(after, before, atol=1e-6, rtol=0)


def test_what_joins_several_rounded_tensors_stays_in_float() -> None:
    """As cjpgsr's pool does; its joins have one such part, the other being divided."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 18]>
        graph (float[1, 3, 8, 8] image) => (float[1, 3, 8, 8] answer) {
            first = Conv(image, first_weight)
            left = Conv(first, left_weight)
            right = Conv(first, right_weight)
            both = Concat <axis = 1> (left, right)
            pool = Conv(both, pool_weight)
            half = Div(right, two)
            one = Concat <axis = 1> (left, half)
            join = Conv(one, join_weight)
            answer = Add(pool, join)
        }""")
    for node in model.graph.node:
        node.name = node.output[0]
    assert quantisable_nodes(model, []) == ["left", "right", "join"]


@pytest.mark.parametrize("graph", QUANTISED)
def test_residuals_are_not_rounded(int8: dict[str, onnx.ModelProto], graph: str) -> None:
    heads = [
        node
        for node in int8[graph].graph.node
        if node.op_type == "Conv" and "head" in node.input[1]
    ]
    readers = {name: node.op_type for node in int8[graph].graph.node for name in node.input}
    produced = producers(int8[graph])
    assert len(heads) == (1 if graph == "grey" else 2)
    for head in heads:
        assert readers[head.output[0]] == "Mul"
        assert all(produced[name].op_type == "DequantizeLinear" for name in head.input[:2])
