"""Muon for convolutions between features, Adam for the rest."""

import pytest
import torch
from torch import Tensor, nn

from jpegrt.training.optimizer import MuonAndAdam

RATE = 1e-2


def layers(form: torch.memory_format = torch.channels_last) -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 16, 3), nn.Conv2d(16, 24, 3), nn.Conv2d(24, 4, 3))
    network.to(memory_format=form)  # type: ignore[call-overload]
    return network


def steps_of(network: nn.Module) -> list[Tensor]:
    """How far one step moves every weight, with random gradients."""
    optimizer = MuonAndAdam(network, RATE)
    before = [p.detach().clone() for p in network.parameters()]
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step(RATE)
    return [p.detach() - b for p, b in zip(network.parameters(), before, strict=True)]


def test_convolutions_between_features_step_orthogonally() -> None:
    step = steps_of(layers())[2].flatten(1)
    singular_values = torch.linalg.svdvals(step) / (RATE * 0.2 * (9 * 16) ** 0.5)
    # Muon's five Newton-Schulz iterations leave them between these.
    assert 0.5 < float(singular_values.min()) <= float(singular_values.max()) < 1.3


def test_stems_heads_and_biases_step_as_adam_does() -> None:
    steps = steps_of(layers())
    for number in (0, 1, 3, 4, 5):
        assert steps[number].abs().flatten() == pytest.approx(RATE, rel=1e-3)


def test_another_memory_format_is_refused() -> None:
    with pytest.raises(ValueError, match="channels_last"):
        MuonAndAdam(layers(torch.contiguous_format), RATE)


def test_frozen_weights_stay() -> None:
    network = layers()
    network[1].requires_grad_(False)
    moved = [bool(step.any()) for step in steps_of(network)]
    assert moved == [True, True, False, False, True, True]
