"""Weights as files: the averaged weights of a run, in float16 safetensors."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

WEIGHTS = Path(__file__).parent / "weights"


def save_weights(network: nn.Module, path: Path) -> None:
    """Writes the network's state in float16, whole or not at all."""
    temporary = path.with_suffix(".part")
    state = {name: tensor.to(torch.float16) for name, tensor in network.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
    temporary.replace(path)


def load_weights(network: nn.Module, path: Path) -> None:
    """Reads what `save_weights` wrote, into float32. Raises FileNotFoundError, RuntimeError."""
    network.load_state_dict({name: t.float() for name, t in load_file(path).items()})


def load_grown(network: nn.Module, path: Path) -> None:
    """Starts a wider or deeper network from a smaller one's weights, answering as it does.

    Every weight of the small network is copied into a corner of its namesake. What the corner's
    outputs would read of new inputs is zeroed; new outputs keep their random start, and so do
    new residual blocks, which begin as the identity.
    """
    state = network.state_dict()
    for name, small in load_file(path).items():
        grown = state[name]
        if small.dim() > 1:
            grown[: small.shape[0], small.shape[1] :] = 0
        grown[tuple(slice(size) for size in small.shape)] = small.float()
    network.load_state_dict(state)


def find_weights(name: str, runs: Path) -> Path:
    """A recipe's weights: those of a run under `runs` if there are any, else the shipped ones."""
    for path in (runs / name / f"{name}.safetensors", WEIGHTS / f"{name}.safetensors"):
        if path.exists():
            return path
    raise FileNotFoundError(f"no weights of {name}: train it first (jpegrt train {name})")
