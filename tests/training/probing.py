"""What every network is asked in the tests: how far it sees, what it trains, whether it learns."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from tests.kernels.images import synthetic
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def photograph(height: int, width: int, components: int = 3, seed: int = 0) -> Tensor:
    """(1, components, height, width) of centred samples / 255."""
    pixels = synthetic(height, width, components, seed).reshape(height, width, components)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().float() / 255 - 128 / 255


def randomised(network: Network, size: float = 0.1) -> Network:
    """With no weight zero, so that everything that can matter does."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-size, size)
    return network


def reach_px(run: Callable[[Tensor], Tensor], image: Tensor, enlargement: int = 1) -> int:
    """How far, in input pixels, the image's middle pixel changes what `run` makes of it.

    A NaN there reaches just what it can change, whatever the weights. In double precision, where a
    convolution is computed directly.
    """
    height, width = image.shape[2:]
    image = image.double()
    assert run(image).isfinite().all()
    image[:, :, height // 2, width // 2] = torch.nan
    changed = np.argwhere(run(image)[0].isnan().any(0).numpy()) // enlargement
    distances = np.abs(changed - [height // 2, width // 2])
    assert distances.max() < min(height, width) // 2, "the image is too small to tell"
    return int(distances.max())


def parameters_without_gradient(network: nn.Module, loss: Tensor) -> set[str]:
    """The names of those that this loss does not train."""
    network.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }


def adam_losses(
    network: nn.Module, loss: Callable[[], Tensor], steps: int = 8, learning_rate: float = 1e-3
) -> list[float]:
    """The loss before each of so many steps of Adam, and after the last."""
    optimizer = torch.optim.Adam(network.parameters(), learning_rate)
    losses = []
    for _ in range(steps):
        value = loss()
        losses.append(value.item())
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return [*losses, loss().item()]


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
