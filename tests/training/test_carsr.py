"""CAR-SR: its stages, its three training steps, and what each of them trains."""

from typing import Literal, get_args

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
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.losses.carsr import Step, carsr_loss
from jpegrt.training.networks import build_network
from jpegrt.training.networks.carsr import CARSR

Scale = Literal[2, 3, 4]
scales = pytest.mark.parametrize("scale", get_args(Scale))


def small(scale: Scale = 2) -> CARSR:
    torch.manual_seed(0)
    return CARSR(scale, car_channels=8, car_layers=2, channels=8, blocks=2)


def training_images(scale: int) -> tuple[Tensor, Tensor, Tensor]:
    """Z, Y and X: compressed, low-resolution, original."""
    torch.manual_seed(2)
    high = photograph(12 * scale, 16 * scale)
    low = F.avg_pool2d(high, scale)
    return low + 0.05 * torch.randn_like(low), low, high


@scales
def test_structure_is_the_papers(scale: Scale) -> None:
    network = CARSR(scale)
    car = [m for m in network.car.modules() if isinstance(m, nn.Conv2d)]
    assert len(car) == 18  # conv, 16 layers, conv
    assert [c.out_channels for c in car] == [64] * 17 + [3]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.car.modules()) == 16
    sr = [m for m in network.sr.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in sr] == [256] * (1 + 2 * 8 + 1) + [3 * scale**2]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.sr.modules())
    assert {c.kernel_size for c in car + sr} == {(3, 3)}
    block = 2 * (256 * 256 * 9 + 256)
    sr_count = 7168 + 8 * block + block // 2 + (256 * 9 + 1) * 3 * scale**2
    assert parameter_count(network.sr) == sr_count
    assert parameter_count(network.car) == 1792 + 16 * (36_864 + 128) + 1731


@scales
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 3)])
def test_any_size_will_do(scale: Scale, height: int, width: int) -> None:
    network = randomised(small(scale)).eval()
    image = photograph(height, width)
    deblocked, restored = network.forward_stages(image)
    assert deblocked.shape == image.shape
    assert restored.shape == (1, 3, scale * height, scale * width)
    assert torch.equal(network(image), restored)


def test_a_new_first_stage_changes_nothing() -> None:
    network, image = small(), photograph(9, 7)
    assert torch.equal(network.forward_stages(image)[0], image)


def test_residuals_are_scaled() -> None:
    """x + 0.1 conv(relu(conv(x))) (section 2.1.2)."""
    block = small().sr.blocks[0]
    x = torch.randn(1, 8, 5, 5)
    residual = block(x) - x
    for parameter in block.project.parameters():  # type: ignore[union-attr]
        parameter.data *= 10
    torch.testing.assert_close(block(x) - x, 10 * residual)
    torch.testing.assert_close(block(x) - x, block.project(F.relu(block.expand(x))) / 10)  # type: ignore[operator]


def test_features_skip_the_residual_blocks() -> None:
    sr, image = small().sr, photograph(5, 6)
    for parameter in sr.close.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(sr(image), sr.enlarge(sr.stem(image)))


@scales
@pytest.mark.parametrize(("layers", "blocks"), [(2, 2), (1, 3)])
def test_receptive_field(scale: Scale, layers: int, blocks: int) -> None:
    network = CARSR(scale, 4, layers, 4, blocks).double().eval()
    found = reach_px(network, photograph(35, 35), scale)
    assert found == network.receptive_field_px == (layers + 2) + (2 * blocks + 3)


def test_the_published_reach() -> None:
    assert CARSR().receptive_field_px == 18 + 19


def test_losses_of_the_steps() -> None:
    image, low, high = training_images(2)
    network = small()
    for parameter in network.sr.enlarge.parameters():
        nn.init.zeros_(parameter)
    car, sr, joint = (carsr_loss(network, step, image, low, high) for step in get_args(Step))
    # New, the first stage returns its input; silenced, the second returns grey.
    assert car.item() == pytest.approx((image - low).abs().mean().item())
    assert sr.item() == joint.item() == pytest.approx(high.abs().mean().item())


@pytest.mark.parametrize("step", get_args(Step))
def test_each_step_trains_its_stage(step: Step) -> None:
    network = randomised(small())
    loss = carsr_loss(network, step, *training_images(2))
    untrained = parameters_without_gradient(network, loss)
    names = {name for name, _ in network.named_parameters()}
    trained = {"car": ("car.",), "sr": ("sr.",), "joint": ("car.", "sr.")}[step]
    assert names - untrained == {name for name in names if name.startswith(trained)}


@pytest.mark.parametrize("step", get_args(Step))
def test_only_steps_that_train_the_first_stage_change_its_statistics(step: Step) -> None:
    network = small().train()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    carsr_loss(network, step, *training_images(2))
    changed = [name for name, buffer in network.named_buffers() if (buffer != before[name]).any()]
    assert bool(changed) == (step != "sr")
    assert all(module.training for module in network.modules())


def test_unknown_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="step must be one of car, sr, joint, got 'all'"):
        carsr_loss(small(), "all", *training_images(2))  # type: ignore[arg-type]


@scales
def test_a_new_network_interpolates(scale: Scale) -> None:
    """Bilinearly; inside the border, beyond which are zeros."""
    image = photograph(12, 16)
    expected = F.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
    inside = (..., slice(scale, -scale), slice(scale, -scale))
    restored = small(scale).eval()(image)
    torch.testing.assert_close(restored[inside], expected[inside], atol=1e-6, rtol=0)


@pytest.mark.parametrize("step", get_args(Step))
def test_it_learns(step: Step) -> None:
    network, images = small(), training_images(2)
    losses = adam_losses(network, lambda: carsr_loss(network, step, *images), 40, 3e-3)
    assert losses[-1] < 0.9 * losses[0]


def test_it_is_deterministic() -> None:
    image = photograph(8, 8)
    assert torch.equal(small()(image), small()(image))


def test_recipes_name_it() -> None:
    network = build_network({"architecture": "carsr", "scale": 3, "channels": 8, "blocks": 1})
    assert isinstance(network, CARSR)
    assert (network.domain, network.enlargement) == ("rgb", 3)
    with pytest.raises(ValueError, match="scale must be one of 2, 3, 4, got 5"):
        build_network({"architecture": "carsr", "scale": 5})
