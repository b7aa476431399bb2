"""int8 ranges: averaged over images, narrowed where that represents them better."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from jpegrt.export.ranges import activation_ranges

Images = list[NDArray[np.float32]]


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    """x -> twice = x + x -> negated."""

    def tensor(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None])

    nodes = [
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Neg", ["twice"], ["negated"]),
    ]
    graph = helper.make_graph(nodes, "doubling", [tensor("x")], [tensor("negated")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path / "doubling.onnx"
    onnx.save(model, path)
    return path


def ranges(model: Path, images: Images) -> dict[str, tuple[float, float]]:
    found = activation_ranges(model, ["twice", "negated"], ({"x": image} for image in images))
    return {name: (float(low), float(high)) for name, (low, high) in found.items()}


def even(low: float, high: float) -> NDArray[np.float32]:
    return np.linspace(low, high, 5000, dtype=np.float32)


def test_extremes_are_averaged_over_images(doubling: Path) -> None:
    found = ranges(doubling, [even(-1, 2), even(-2, 4)])
    assert found["twice"] == pytest.approx((-3, 6))
    assert found["negated"] == pytest.approx((-6, 3))


def test_zero_is_in_the_range(doubling: Path) -> None:
    found = ranges(doubling, [even(1, 2)])
    assert found["twice"] == pytest.approx((0, 4))
    assert found["negated"] == pytest.approx((-4, 0))


def test_a_smooth_image_counts_as_much_as_a_detailed_one(doubling: Path) -> None:
    """The wide one needs all of the averaged range; the two narrow ones want finer levels."""
    wide, narrow = even(-3, 3), even(-0.05, 0.05)
    assert ranges(doubling, [wide])["twice"] == pytest.approx((-6, 6))
    low, _high = ranges(doubling, [wide, narrow, narrow])["twice"]
    assert low > -2.2 * 0.95


def test_nothing_but_zero(doubling: Path) -> None:
    assert ranges(doubling, [np.zeros(4, np.float32)])["twice"] == (0, 0)
