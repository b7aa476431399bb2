"""The networks, one file each, and how a recipe names them."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from jpegrt.training.networks.cellnet import CellNet

NETWORKS = {"cellnet": CellNet}


def build_network(options: Mapping[str, Any]) -> CellNet:
    """The network of a recipe's [network] table: `architecture`, and its constructor's arguments."""
    arguments = dict(options)
    architecture = arguments.pop("architecture", None)
    if architecture not in NETWORKS:
        raise ValueError(
            f"unknown architecture {architecture!r}: expected one of {', '.join(NETWORKS)}"
        )
    network = NETWORKS[architecture]
    known = set(signature(network).parameters)
    if unknown := set(arguments) - known:
        raise ValueError(f"[network] has unknown keys {sorted(unknown)}; known: {sorted(known)}")
    for name, value in arguments.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"[network] {name} must be a positive integer, got {value!r}")
    return network(**arguments)
