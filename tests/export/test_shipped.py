"""The bundles that ship are the weights that ship."""

from functools import lru_cache
from itertools import product

import numpy as np
import pytest
import torch
from tests.export.small import GRAPHS

from jpegrt.export.bundle_weights import load_bundle_weights, load_folded_weights
from jpegrt.export.graphs import example_inputs, graph_specs, inputs_of, module_of, outputs_of
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.engines import create_engine
from jpegrt.runtime.errors import UsageError
from jpegrt.training.networks import build_network
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.recipe import load_recipe


@lru_cache
def shipped(name: str) -> CellNet:
    bundle = find_bundle(name)
    network = build_network(load_recipe(bundle.manifest["training"]["recipes"][-1]).network)
    assert isinstance(network, CellNet)
    load_bundle_weights(network, bundle)
    return network.eval()


@pytest.mark.parametrize("name", ["jscnn", "hrcnn", "carsr-x2"])
def test_folded_weights_are_missed(name: str) -> None:
    bundle = find_bundle(name)
    network = build_network(load_recipe(bundle.manifest["training"]["recipes"][-1]).network)
    with pytest.raises(UsageError, match=f"{name}'s graphs do not have .* of this network"):
        load_bundle_weights(network, bundle)


def test_more_than_batch_norms_is_missed() -> None:
    network = build_network(load_recipe("hrcnn-best").network)
    with pytest.raises(UsageError, match="hrcnn's graphs do not have"):
        load_folded_weights(network, find_bundle("hrcnn"))


@torch.no_grad()
@pytest.mark.parametrize("name", ["jscnn", "carsr-x2"])
def test_a_network_with_folded_weights_answers_as_the_bundle(name: str) -> None:
    bundle = find_bundle(name)
    recipe = load_recipe(bundle.manifest["training"]["recipes"][-1])
    network = build_network(recipe.network)
    load_folded_weights(network, bundle)
    (graph,) = bundle.spec.graphs
    torch.manual_seed(0)
    image = torch.rand(1, graph.components, 19, 24) - 0.5
    expected = network.eval()(image).numpy()
    found = {"image_restored": np.zeros_like(expected)}
    create_engine("onnxruntime", bundle, "fp32", threads=1).run(
        graph.name, {"image": image.numpy()}, found
    )
    np.testing.assert_allclose(found["image_restored"], expected, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    ("model", "graph"),
    [*product(("cellnet", "cellnet-large"), GRAPHS), ("cellnet-small", "grey")],
)
def test_a_bundle_computes_what_its_weights_do_in_pytorch(model: str, graph: str) -> None:
    bundle, network = find_bundle(model), shipped(model)
    spec = {spec.name: spec for spec in graph_specs(network, network.samplings)}[graph]
    torch.manual_seed(0)
    tensors = example_inputs(spec, network.cell_px, rows=24, columns=19)
    answers = module_of(network, spec)(*tensors)
    expected = [t.numpy() for t in (answers if isinstance(answers, tuple) else (answers,))]
    names = [tensor.name for tensor in outputs_of(spec, network.cell_px)]
    found = {name: np.zeros_like(array) for name, array in zip(names, expected, strict=True)}
    inputs = [tensor.name for tensor in inputs_of(spec, network.cell_px)]
    create_engine("onnxruntime", bundle, "fp32", threads=1).run(
        graph, {n: t.numpy() for n, t in zip(inputs, tensors, strict=True)}, found
    )
    for name, array in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name], array, atol=1e-4, rtol=0)
    assert not np.allclose(expected[0], tensors[0].numpy(), atol=1e-3)  # it restores something
