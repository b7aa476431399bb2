"""JSCNN: its depth, what it is when new, and both places of its activations."""

from typing import get_args

import pytest
import torch
from tests.training.probing import (
    adam_losses,
    parameter_count,
    parameters_without_gradient,
    photograph,
    randomised,
    reach_px,
)
from torch import nn
from torch.nn import functional as F

from jpegrt.training.networks import build_network
from jpegrt.training.networks.jscnn import JSCNN, Activation

both = pytest.mark.parametrize("activation", get_args(Activation))


def small(activation: Activation = "before", channels: int = 8, units: int = 2) -> JSCNN:
    torch.manual_seed(0)
    return JSCNN(channels, units, activation)


@both
def test_structure_is_the_papers(activation: Activation) -> None:
    """31 layers of 3x3, 64 filters in all but the last, receptive field 63 x 63 (section 2.1)."""
    network = JSCNN(activation=activation)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 31
    assert {c.kernel_size for c in convolutions} == {(3, 3)}
    assert [c.out_channels for c in convolutions] == [64] * 30 + [1]
    assert 2 * network.receptive_field_px + 1 == 63
    assert parameter_count(network) == 576 + 29 * 36_864 + 577 + 30 * 128


@both
def test_a_new_network_changes_nothing(activation: Activation) -> None:
    image = photograph(9, 11, 1)
    assert torch.equal(small(activation)(image), image)


@both
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (9, 5)])
def test_any_size_will_do(activation: Activation, height: int, width: int) -> None:
    network = randomised(small(activation)).eval()
    image = photograph(height, width, 1)
    restored = network(image)
    assert restored.shape == image.shape
    assert not torch.allclose(restored, image)


@both
def test_receptive_field(activation: Activation) -> None:
    network = JSCNN(2, activation=activation).double().eval()
    assert reach_px(network, photograph(65, 65, 1)) == network.receptive_field_px == 31


def test_nothing_but_additions_is_on_the_skip_of_activation_before() -> None:
    """With silent units, features pass through them as they are, negative ones too."""
    before, after = (small(activation).body for activation in get_args(Activation))
    features = torch.randn(2, 8, 6, 6)
    silenced = [[m for m in body if hasattr(m, "layers")] for body in (before, after)]
    for units, expected in zip(silenced, (features, F.relu(features)), strict=True):
        assert len(units) == 2
        passed = features
        for unit in units:
            for parameter in unit.parameters():
                nn.init.zeros_(parameter)
            passed = unit(passed)
        assert torch.equal(passed, expected)


@both
def test_batch_norms_learn_statistics_and_keep_them(activation: Activation) -> None:
    network = randomised(small(activation))
    image = photograph(16, 16, 1)
    before = network.eval()(image)
    network.train()(image)
    after = network.eval()(image)
    assert not torch.allclose(before, after)
    assert torch.equal(after, network(image))


@both
def test_it_is_deterministic(activation: Activation) -> None:
    image = photograph(12, 12, 1)
    one, other = (randomised(small(activation))(image) for _ in range(2))
    assert torch.equal(one, other)


@both
def test_gradients_reach_every_parameter(activation: Activation) -> None:
    network = randomised(small(activation))
    loss = network(torch.randn(2, 1, 16, 16)).square().mean()
    assert parameters_without_gradient(network, loss) == set()


@both
def test_it_learns(activation: Activation) -> None:
    torch.manual_seed(2)
    original = photograph(32, 32, 1)
    noisy = original + 0.05 * torch.randn_like(original)
    network = small(activation)
    losses = adam_losses(network, lambda: F.mse_loss(network(noisy), original))
    assert losses[-1] < 0.9 * losses[0]


def test_recipes_name_it() -> None:
    network = build_network({"architecture": "jscnn", "channels": 8, "activation": "after"})
    assert isinstance(network, JSCNN)
    assert (network.domain, network.enlargement) == ("luma", 1)
    with pytest.raises(ValueError, match="activation must be one of 'before', 'after', got 'both'"):
        build_network({"architecture": "jscnn", "activation": "both"})
