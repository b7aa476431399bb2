"""C-JPG SR: s-LWSR's structure, both stages, and the three terms of its loss."""

from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.probing import (
    adam_losses,
    parameter_count,
    parameters_without_gradient,
    photograph,
    randomised,
    reach_px,
)
from torch.nn import functional as F

from jpegrt.training.losses.cjpgsr import bicubic_downsampled, cjpgsr_loss
from jpegrt.training.networks import build_network
from jpegrt.training.networks.cjpgsr import CJPGSR, Body, ResidualBlock

Scale = Literal[2, 4]
scales = pytest.mark.parametrize("scale", [2, 4])


def small(scale: Scale = 4, recovering: bool = True) -> CJPGSR:
    torch.manual_seed(0)
    return CJPGSR(scale, channels=6, groups=2, recovering=recovering)


def test_the_enlarging_stage_is_s_lwsr32() -> None:
    """571 k parameters at x4, 26 residual blocks (section 3.1)."""
    assert parameter_count(CJPGSR(recovering=False)) == 571_107
    network = CJPGSR()
    assert network.recover is not None
    # All but the two sub-pixel layers.
    assert parameter_count(network.recover) == 571_107 - 2 * 36_992
    for stage in (network.recover, network.enlarge):
        assert sum(isinstance(module, ResidualBlock) for module in stage.modules()) == 26


def test_the_information_pool_feeds_every_back_group() -> None:
    """Silenced but for the pool's way, the body still passes features on, through each group."""
    torch.manual_seed(0)
    body = Body(4, 2)
    for module in body.modules():
        if isinstance(module, ResidualBlock):
            torch.nn.init.zeros_(module.project.weight)
            torch.nn.init.zeros_(module.project.bias)  # type: ignore[arg-type]
    x = torch.randn(1, 4, 3, 3)
    # Blocks pass their input: groups double it, the pool sees x, 2 x, 4 x and 4 x.
    pool = body.pool(torch.cat((x, 2 * x, 4 * x, 4 * x), 1))
    expected = 4 * x
    for group, late in zip(body.back, (2 * x, x), strict=True):
        expected = group.join(torch.cat((expected, (late + pool) / 2), 1))  # type: ignore[operator]
    torch.testing.assert_close(body(x), x + expected)


@scales
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 3)])
def test_any_size_will_do(scale: Scale, height: int, width: int) -> None:
    network, image = small(scale), photograph(height, width)
    recovered, restored = network.forward_stages(image)
    assert recovered is not None
    assert recovered.shape == image.shape
    assert restored.shape == (1, 3, scale * height, scale * width)
    assert torch.equal(network(image), restored)
    assert torch.equal(network.enlarge(recovered), restored)


def test_straight_training_has_no_first_stage() -> None:
    network, image = small(recovering=False), photograph(5, 5)
    recovered, restored = network.forward_stages(image)
    assert recovered is None
    assert torch.equal(network.enlarge(image), restored)
    assert all(name.startswith("enlarge.") for name in network.state_dict())


@scales
@pytest.mark.parametrize("recovering", [True, False])
def test_receptive_field(scale: Scale, recovering: bool) -> None:
    network = CJPGSR(scale, 3, 1, recovering).double()
    size = 2 * network.receptive_field_px + 3
    assert reach_px(network, photograph(size, size), scale) == network.receptive_field_px


def test_the_published_reach() -> None:
    assert CJPGSR().receptive_field_px == 54 + 55


def test_the_cycle_downsamples_as_pillow_does() -> None:
    image = photograph(24, 32)
    found = bicubic_downsampled(image, 4)[0].numpy()
    for component, plane in enumerate(image[0].numpy()):
        expected = Image.fromarray(plane).resize((8, 6), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(found[component], np.asarray(expected), atol=1e-6)


def test_the_loss_by_hand() -> None:
    """Of constant images every term is the difference of two constants."""
    low, high = torch.full((2, 3, 4, 4), 0.1), torch.full((2, 3, 16, 16), 0.3)
    recovered, restored = torch.full_like(low, 0.4), torch.full_like(high, 0.2)
    loss = cjpgsr_loss(recovered, restored, low, high)
    assert loss.item() == pytest.approx(0.3 + 0.1 + 0.1)  # eq. 2, 3 and 4
    assert cjpgsr_loss(None, restored, low, high).item() == pytest.approx(0.1)


def test_the_cycle_counts_what_the_enlargement_takes_from_the_low_image() -> None:
    """A restored image equal to the original costs nothing there, one of its mean does."""
    high = photograph(32, 32)
    low = bicubic_downsampled(high, 4)
    flat = high.mean().expand_as(high)
    assert cjpgsr_loss(low, high, low, high).item() == 0
    cycle = (low - high.mean()).abs().mean()
    term = cjpgsr_loss(low, flat, low, high) - F.l1_loss(flat, high)
    torch.testing.assert_close(term, cycle)


def test_gradients_flow_through_both_stages() -> None:
    """The first term trains only the first stage, the other two both."""
    network = randomised(small())
    image, low, high = photograph(6, 6), photograph(6, 6, seed=1), photograph(24, 24)
    recovered, restored = network.forward_stages(image)
    of_enlarging = {name for name, _ in network.named_parameters() if name.startswith("enlarge.")}
    first = cjpgsr_loss(recovered, restored.detach(), low, high)
    assert parameters_without_gradient(network, first) == of_enlarging
    recovered, restored = network.forward_stages(image)
    assert recovered is not None
    others = cjpgsr_loss(recovered.detach(), restored, low, high)
    assert parameters_without_gradient(network, others) == set()


def test_a_new_network_interpolates() -> None:
    """Bilinearly, by 2 and by 2 again; inside the border, beyond which are zeros."""
    image = photograph(12, 16)
    recovered, restored = CJPGSR(channels=8, groups=1).forward_stages(image)
    assert recovered is not None
    torch.testing.assert_close(recovered, image, atol=1e-6, rtol=0)
    expected = image
    for _ in range(2):
        expected = F.interpolate(expected, scale_factor=2, mode="bilinear", align_corners=False)
    inside = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(restored[inside], expected[inside], atol=1e-6, rtol=0)


@pytest.mark.parametrize("recovering", [True, False])
def test_it_learns(recovering: bool) -> None:
    torch.manual_seed(2)
    high = photograph(64, 64)
    low = bicubic_downsampled(high, 4)
    image = low + 0.05 * torch.randn_like(low)
    network = small(recovering=recovering)
    losses = adam_losses(
        network, lambda: cjpgsr_loss(*network.forward_stages(image), low, high), 60, 1e-3
    )
    assert losses[-1] < 0.9 * losses[0]


def test_it_is_deterministic() -> None:
    image = photograph(6, 6)
    assert torch.equal(small()(image), small()(image))


def test_recipes_name_it() -> None:
    network = build_network({"architecture": "cjpgsr", "channels": 4, "recovering": False})
    assert isinstance(network, CJPGSR)
    assert (network.domain, network.enlargement) == ("rgb", 4)
    with pytest.raises(ValueError, match="scale must be one of 2, 4, got 3"):
        build_network({"architecture": "cjpgsr", "scale": 3})
