"""Exported graphs answer as PyTorch does, at any size."""

import numpy as np
import onnx
import pytest
from tests.export.small import GRAPHS, run_onnx, run_torch, spec_of

from jpegrt.export.graphs import example_inputs, inputs_of, outputs_of
from jpegrt.training.networks.cellnet import CellNet

# N, rows and columns of cells: the smallest, odd ones, and others than those exported with.
SIZES = [(1, 1, 1), (1, 4, 7), (3, 9, 5), (2, 32, 24)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("graph", GRAPHS)
def test_graphs_equal_pytorch(
    network: CellNet, graphs: dict[str, onnx.ModelProto], graph: str, size: tuple[int, int, int]
) -> None:
    spec, (n, rows, columns) = spec_of(network, graph), size
    inputs = {
        tensor.name: np.concatenate([example.numpy() for example in examples])
        for tensor, *examples in zip(
            inputs_of(spec, 2),
            *(example_inputs(spec, 2, rows, columns) for _ in range(n)),
            strict=True,
        )
    }
    expected = run_torch(network, graph, inputs)
    found = run_onnx(graphs[graph], inputs)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=0)
        assert np.abs(other).max() > 0.1
    assert not np.allclose(found[0], inputs["luma"], atol=1e-3)  # the network does something


@pytest.mark.parametrize("graph", GRAPHS)
def test_names_and_shapes_are_the_pipelines(
    network: CellNet, graphs: dict[str, onnx.ModelProto], graph: str
) -> None:
    spec, model = spec_of(network, graph), graphs[graph]
    for values, tensors in (
        (model.graph.input, inputs_of(spec, 2)),
        (model.graph.output, outputs_of(spec, 2)),
    ):
        assert [value.name for value in values] == [tensor.name for tensor in tensors]
        for value, tensor in zip(values, tensors, strict=True):
            n, planes, *sides = value.type.tensor_type.shape.dim
            assert planes.dim_value == tensor.planes
            assert [d.dim_value for d in (n, *sides)] == [0] * (1 + len(sides))  # dynamic
            assert len(sides) == (0 if tensor.name == "steps" else 2)


@pytest.mark.parametrize("graph", GRAPHS)
def test_nothing_is_said_of_this_machine(graphs: dict[str, onnx.ModelProto], graph: str) -> None:
    content = graphs[graph].SerializeToString()
    for trace in (b"site-packages", b"/jpegrt/", b".py"):
        assert trace not in content


def test_the_smallest_sampling_has_the_fewest_planes(network: CellNet) -> None:
    planes = {
        graph: {t.name: t.planes for t in inputs_of(spec_of(network, graph), 2)} for graph in GRAPHS
    }
    assert planes == {
        "grey": {"luma": 4, "steps": 64},
        "420": {"luma": 4, "chroma": 2, "steps": 192},
        "422": {"luma": 4, "chroma": 4, "steps": 192},
        "440": {"luma": 4, "chroma": 4, "steps": 192},
        "444": {"luma": 4, "chroma": 8, "steps": 192},
    }
