"""Layers that lose too much in int8 stay in float, and no others."""

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from jpegrt.export.graphs import export_module
from jpegrt.export.quantise import Quantisation
from jpegrt.export.sensitivity import quantise_within_bounds
from jpegrt.export.verify import Verification
from jpegrt.kernels import Engine
from jpegrt.training.networks.jscnn import JSCNN

LAYERS = 12


class Chain(nn.Module):
    """Convolutions, one of which reads a channel a thousand times as large as the others, which
    eight bits drown."""

    def __init__(self, delicate: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Conv2d(4, 4, 3, padding=1) for _ in range(LAYERS)]
        with torch.no_grad():
            for layer in layers:
                layer.weight.mul_(0.3).add_(torch.eye(4)[:, :, None, None] * torch.eye(3)[1])
            layers[delicate - 1].weight[3] *= 1000
            layers[delicate].weight[:, 3] /= 1000
        self.layers = nn.ModuleList(layers)

    def forward(self, image: Tensor) -> Tensor:
        for layer in self.layers:
            image = torch.relu(layer(image))
        return image


def export(module: nn.Module, channels: int) -> onnx.ModelProto:
    rows, columns = (torch.export.Dim(name) for name in ("rows", "columns"))
    example = (torch.rand(1, channels, 16, 16),)
    return export_module(module.eval(), example, ({2: rows, 3: columns},), ["image"], ["out"])


def images(channels: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [{"image": rng.random((1, channels, 16, 16), np.float32)} for _ in range(2)]


class Judge:
    """Verifies by the error of the whole, in decibels that grow with it."""

    def __init__(self, module: nn.Module, channels: int, scale: float) -> None:
        self._module, self._images, self._scale = module, images(channels), scale
        self.asked = 0

    @torch.no_grad()
    def __call__(self, engine: Engine) -> Verification:
        self.asked += 1
        errors = []
        for inputs in self._images:
            expected = self._module(torch.from_numpy(inputs["image"])).numpy()
            outputs = {"out": np.zeros_like(expected)}
            engine.run("any", inputs, outputs)
            errors.append(np.abs(outputs["out"] - expected).mean() / np.abs(expected).mean())
        loss = self._scale * float(np.mean(errors))
        return Verification({"whole": {40: loss}}, 0, 0, True)


def in_integers(model: onnx.ModelProto) -> list[bool]:
    """Of each convolution, in order."""
    produced = {output: node.op_type for node in model.graph.node for output in node.output}
    return [
        produced.get(node.input[0]) == "DequantizeLinear"
        for node in model.graph.node
        if node.op_type == "Conv"
    ]


@pytest.mark.parametrize("delicate", [3, 8])
def test_the_delicate_layer_stays_in_float(delicate: int) -> None:
    module = Chain(delicate)
    model = export(module, 4)
    said: list[str] = []
    judge = Judge(module, 4, 0.5)  # 8 % of error are within the bound
    mixed = quantise_within_bounds(model, images(4), judge, said.append)
    assert in_integers(mixed) == [i not in (0, delicate) for i in range(LAYERS)]
    assert said[0] == f"int8 loses too much: measuring each of {LAYERS - 1} layers"
    assert said[1].startswith("in float: ")


def test_what_is_good_enough_is_not_measured_layer_by_layer() -> None:
    module = Chain(3)
    judge = Judge(module, 4, 1e-6)
    said: list[str] = []
    whole = quantise_within_bounds(export(module, 4), images(4), judge, said.append)
    assert in_integers(whole) == [i > 0 for i in range(LAYERS)]
    assert (judge.asked, said) == (1, [])


def test_what_cannot_be_good_enough_is_int8_throughout() -> None:
    module = Chain(3)
    said: list[str] = []
    whole = quantise_within_bounds(export(module, 4), images(4), Judge(module, 4, 1e6), said.append)
    assert in_integers(whole) == [i > 0 for i in range(LAYERS)]
    assert len(said) == 1


def test_what_has_few_layers_is_not_measured_layer_by_layer() -> None:
    layers = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(4)))
    judge = Judge(layers, 4, 1e6)
    quantise_within_bounds(export(layers, 4), images(4), judge, lambda line: None)
    assert judge.asked == 1


def test_a_shift_needs_a_margin_too() -> None:
    layers = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(5)))
    model = export(layers, 4)

    def said_of(shift: float) -> list[str]:
        said: list[str] = []
        result = Verification({"whole": {40: 0.0}}, 0, shift, True)
        quantise_within_bounds(model, images(4), lambda engine: result, said.append)
        return said

    assert said_of(0.07) == []
    assert said_of(-0.09) == ["int8 loses too much: measuring each of 4 layers"]


@pytest.fixture(scope="module")
def jscnn() -> onnx.ModelProto:
    network = JSCNN(channels=8, units=2)
    nn.init.normal_(network.last.weight, std=0.1)
    return Quantisation(export(network, 1), images(1)).graph()


def test_a_trunk_that_batch_norms_read_is_not_rounded(jscnn: onnx.ModelProto) -> None:
    """Nor is the image, which the first layer sees and the residual is added to."""
    produced = {output: node for node in jscnn.graph.node for output in node.output}
    additions = [node for node in jscnn.graph.node if node.op_type == "Add"]
    assert len(additions) == 3
    for addition in additions:
        sources = {produced[n].op_type if n in produced else "image" for n in addition.input}
        assert sources <= {"Conv", "Add", "image"}
    assert in_integers(jscnn) == [False, *[True] * 6]


def test_an_output_of_the_graph_is_not_rounded() -> None:
    layers = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    model = Quantisation(export(layers, 4), images(4)).graph()
    (last,) = (node for node in model.graph.node if "out" in node.output)
    assert last.op_type == "Conv"
    assert in_integers(model) == [False, True]
