"""A network's weights, out of its bundle: the fp32 graphs have them under their own names.

Weights that export folds into others (batch norms, hrcnn's decoding) are not there any more; whatever
else a network learned is in its bundle bit by bit, and need not be kept twice.
"""

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
    found, state = weights_of(bundle), network.state_dict()
    for name, parameter in network.named_parameters():
        if name not in found or found[name].shape != parameter.shape:
            raise UsageError(
                f"{bundle.name}'s graphs do not have {name} of this network: "
                "name another bundle, or train again"
            )
        state[name] = found[name]
    network.load_state_dict(state)


def weights_of(bundle: Bundle) -> dict[str, Tensor]:
    """By their names in the network's state; and constants of the graphs, which no network has."""
    name_in = _unfolded_name if bundle.spec.unfoldings else _name
    return {
        name_in(graph.name, weight.name): torch.from_numpy(numpy_helper.to_array(weight).copy())
        for graph in bundle.spec.graphs
        for weight in onnx.load_from_string(bundle.read_graph(graph.name, "fp32")).graph.initializer
    }


def _name(graph: str, weight: str) -> str:
    return weight.removesuffix("_half").partition(".")[2]  # behind the exported module's attribute


def _unfolded_name(graph: str, weight: str) -> str:
    """Every unfolding has the same weights: the first's names stand for all."""
    return f"{graph.removesuffix('_guide')}.0.{_name(graph, weight)}"
