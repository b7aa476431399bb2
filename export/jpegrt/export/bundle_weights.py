"""A network's weights, out of its bundle: the fp32 graphs have them under their own names.

Weights that export folds into others (batch norms, hrcnn's decoding) are not there any more; whatever
else a network learned is in its bundle bit by bit, and need not be kept twice.
"""

from collections.abc import Mapping

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import UsageError


def load_bundle_weights(network: nn.Module, bundle: Bundle) -> None:
    """Gives `network` the weights that its bundle was exported from.

    Raises UsageError if the bundle is another network's, or has some of them folded.
    """
    _load(network, weights_of(bundle), bundle)


def load_folded_weights(network: nn.Module, bundle: Bundle) -> None:
    """Gives `network` what its bundle computes with, for evaluation alone: a batch norm that export
    folded into a convolution is taken out, and that convolution gets what it became.

    Raises UsageError if the bundle is another network's, or has more than batch norms folded.
    """
    found = weights_of(bundle)
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.BatchNorm2d) and f"{name}.running_mean" not in found:
            network.set_submodule(name, nn.Identity())
        elif isinstance(layer, nn.Conv2d) and f"{name}.weight_bias" in found:
            layer.bias = nn.Parameter(found[f"{name}.weight_bias"].float())
            found[f"{name}.bias"] = found[f"{name}.weight_bias"]
    _load(network, found, bundle)
    for name, statistics in network.named_buffers():
        if name in found:
            statistics.copy_(found[name])


def weights_of(bundle: Bundle) -> dict[str, Tensor]:
    """By their names in the network's state; and constants of the graphs, which no network has."""
    name_in = _unfolded_name if bundle.spec.unfoldings else _name
    return {
        name_in(graph.name, weight.name): torch.from_numpy(numpy_helper.to_array(weight).copy())
        for graph in bundle.spec.graphs
        for weight in onnx.load_from_string(bundle.read_graph(graph.name, "fp32")).graph.initializer
    }


def _load(network: nn.Module, found: Mapping[str, Tensor], bundle: Bundle) -> None:
    state = network.state_dict()
    for name, parameter in network.named_parameters():
        if name not in found or found[name].shape != parameter.shape:
            raise UsageError(
                f"{bundle.name}'s graphs do not have {name} of this network: "
                "name another bundle, or train again"
            )
        state[name] = found[name]
    network.load_state_dict(state)


def _name(graph: str, weight: str) -> str:
    return weight.removesuffix("_half").partition(".")[2]  # behind the exported module's attribute


def _unfolded_name(graph: str, weight: str) -> str:
    """Every unfolding has the same weights: the first's names stand for all."""
    return f"{graph.removesuffix('_guide')}.0.{_name(graph, weight)}"
