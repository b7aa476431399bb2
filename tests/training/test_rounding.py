"""Training with int8's rounding."""

import pytest
import torch
from torch import Tensor

from jpegrt.training.networks import build_network
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.rounding import Uint8Rounding, round_activations


def network() -> CellNet:
    torch.manual_seed(0)
    options = {"channels": 16, "blocks": 2, "chroma_channels": 8, "chroma_blocks": 1}
    made = build_network({"architecture": "cellnet", **options})
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made


def inputs() -> tuple[Tensor, Tensor]:
    return torch.rand(3, 4, 12, 12) - 0.5, torch.full((3, 64), 20.0)


def test_256_levels_with_zero_among_them() -> None:
    rounding = Uint8Rounding()
    x = torch.linspace(-1, 3, 4000).reshape(1, 1, 40, 100)
    rounded = rounding(x)
    assert len(rounded.unique()) == 256
    assert 0 in rounded
    assert float((rounded - x).abs().max()) <= 4 / 255 * 0.51
    assert rounding(torch.zeros_like(x)).abs().max() == 0


def test_ranges_are_averages_over_images_and_stand_still_in_eval() -> None:
    rounding = Uint8Rounding()
    x = torch.stack((torch.full((1, 2, 2), 1.0), torch.full((1, 2, 2), 3.0)))
    rounding(x)
    assert float(rounding.high) == pytest.approx(2)
    assert float(rounding.low) == 0
    rounding(torch.full((1, 1, 2, 2), 102.0))
    assert float(rounding.high) == pytest.approx(3)
    rounding.eval()
    rounding(torch.full((1, 1, 2, 2), 1000.0))
    assert float(rounding.high) == pytest.approx(3)


def test_gradients_pass() -> None:
    rounding = Uint8Rounding()
    rounding(torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2))
    rounding.eval()
    x = torch.tensor([-2.0, -0.51, 0.3, 2.0], requires_grad=True)
    rounded = rounding(x.reshape(1, 1, 1, 4))
    assert rounded.flatten().tolist() == pytest.approx([-1, -0.51, 0.3, 1], abs=0.0079)
    rounded.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1, 1]


def test_every_convolution_and_addition_is_rounded() -> None:
    """Luma: stem, two blocks of three, head. Chroma: four stems, join, one block, head."""
    rounded = network()
    roundings = round_activations(rounded)
    assert len(roundings) == (1 + 2 * 3 + 1) + (4 + 1 + 3 + 1)
    assert not any("rounding" in name for name in rounded.state_dict())
    exact, luma, steps = network(), *inputs()
    with torch.no_grad():
        features = rounded.luma(luma, steps)[1]
        error = (rounded(luma, steps) - exact(luma, steps)).abs().max()
    assert len(features.unique()) <= 256
    assert 0 < float(error) < 0.05
