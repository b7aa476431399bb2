"""Weights as files: the averaged weights of a run, in float16 safetensors.

Buffers, such as a batch norm's statistics, keep their type: a variance may be too small for float16.
"""

from operator import gt
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights"


def save_weights(network: nn.Module, path: Path) -> None:
    """Writes the network's state, whole or not at all."""
    temporary = path.with_suffix(".part")
    learned = {name for name, _ in network.named_parameters()}
    state = {
        name: tensor.to(torch.float16) if name in learned else tensor
        for name, tensor in network.state_dict().items()
    }
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
    temporary.replace(path)


def load_weights(network: nn.Module, path: Path) -> None:
    """Reads what `save_weights` wrote, into float32. Raises FileNotFoundError, ValueError."""
    state, saved = network.state_dict(), _read(path)
    for name in {**state, **saved}:
        one, other = saved.get(name), state.get(name)
        if one is None or other is None or one.shape != other.shape:
            raise _misfit(path, name, one, other)
    network.load_state_dict(saved)  # which converts to each tensor's own type


def load_grown(network: nn.Module, path: Path) -> None:
    """Starts a wider or deeper network from a smaller one's weights, answering as it does.

    Every weight of the small network is copied into a corner of its namesake. What the corner's
    outputs would read of new inputs is zeroed; new outputs keep their random start, and so do
    new residual blocks, which begin as the identity. Raises FileNotFoundError, ValueError.
    """
    state = network.state_dict()
    for name, small in _read(path).items():
        grown = state.get(name)
        if grown is None or small.dim() != grown.dim() or any(map(gt, small.shape, grown.shape)):
            raise _misfit(path, name, small, grown)
        if small.dim() > 1:
            grown[: small.shape[0], small.shape[1] :] = 0
        grown[tuple(slice(size) for size in small.shape)] = small.float()
    network.load_state_dict(state)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error


def _misfit(path: Path, name: str, saved: Tensor | None, wanted: Tensor | None) -> ValueError:
    """Names the recipe that the weights are of: their file is called after it."""
    sizes = ["absent" if t is None else "x".join(map(str, t.shape)) for t in (saved, wanted)]
    return ValueError(
        f"the weights of recipe {path.stem} ({path}) do not fit this network: "
        f"{name} is {sizes[0]} in the file, {sizes[1]} in the network"
    )


def find_weights(name: str, runs: Path) -> Path:
    """A recipe's weights: those of a run under `runs` if there are any, else the shipped ones."""
    for path in (runs / name / f"{name}.safetensors", WEIGHTS / f"{name}.safetensors"):
        if path.exists():
            return path
    raise FileNotFoundError(f"no weights of {name}: train it first (jpegrt train {name})")
