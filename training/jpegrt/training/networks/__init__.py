"""The networks, one file each, and how a recipe names them."""

from collections.abc import Mapping
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
    return NETWORKS[architecture](**arguments)
