"""The networks, one file each, and how a recipe names them."""

from collections.abc import Mapping
from inspect import signature
from typing import Any, Literal, get_args, get_origin, get_type_hints

from torch import nn

from jpegrt.training.networks.carsr import CARSR
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.networks.cisr import CISR
from jpegrt.training.networks.cjpgsr import CJPGSR
from jpegrt.training.networks.hrcnn import HRCNN
from jpegrt.training.networks.jscnn import JSCNN

NETWORKS: dict[str, type[nn.Module]] = {
    "cellnet": CellNet,
    "jscnn": JSCNN,
    "carsr": CARSR,
    "cjpgsr": CJPGSR,
    "cisr": CISR,
    "hrcnn": HRCNN,
}


def build_network(options: Mapping[str, Any]) -> nn.Module:
    """The network of a recipe's [network] table: `architecture`, and its constructor's arguments.

    Raises ValueError for one that there is not, or a value that it cannot have.
    """
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
    types = get_type_hints(network.__init__)
    for name, value in arguments.items():
        if expected := _misfit(value, types[name]):
            raise ValueError(f"[network] {name} must be {expected}, got {value!r}")
    return network(**arguments)


def _misfit(value: object, expected: Any) -> str | None:
    """What a value of the parameter's type has to be, if this one is not."""
    if get_origin(expected) is Literal:
        choices = get_args(expected)
        fits = any(type(value) is type(choice) and value == choice for choice in choices)
        return None if fits else f"one of {', '.join(map(repr, choices))}"
    if expected is bool:
        return None if type(value) is bool else "true or false"
    return None if type(value) is int and value >= 1 else "a positive integer"
