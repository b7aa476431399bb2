"""CISR: counts, what new modules return, the unfolding, and each of its ablations."""

from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from tests.training.probing import (
    adam_losses,
    parameter_count,
    parameters_without_gradient,
    photograph,
    randomised,
)
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt import kernels
from jpegrt.kernels import reference
from jpegrt.training.losses.cisr import cisr_loss, unfolding_weights
from jpegrt.training.networks import build_network
from jpegrt.training.networks.cisr import (
    CISR,
    ChannelAttentionBlock,
    Connection,
    Estimate,
    LongSkip,
    ModifiedNonLocal,
    NonLocalKind,
)
from jpegrt.training.networks.non_local import non_local

ONCE: tuple[Connection, ...] = ("arm-rem", "rem-arm", "parallel")
scales = pytest.mark.parametrize("scale", [2, 3, 4])


def small(scale: Literal[2, 3, 4] = 2, **options: Any) -> CISR:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "groups": 1,
        "blocks": 1,
        "channels": 4,
        "reduction": 2,
        "unfoldings": 2,
    }
    return CISR(scale, **{**sizes, **options})


def keys_of(image: Tensor) -> Tensor:
    torch.manual_seed(3)
    return (torch.rand(len(image), 1, *image.shape[2:]) < 0.8).to(torch.uint8)


def test_parameters_are_the_papers() -> None:
    """Table 3 at x2, within half a percent."""
    assert parameter_count(CISR()) == pytest.approx(3.97e6, rel=0.005)
    assert parameter_count(CISR(groups=5, unfoldings=3)) == pytest.approx(9.56e6, rel=0.005)


def test_unshared_parameters_are_as_many_times_more_as_there_are_unfoldings() -> None:
    """Table 5."""
    one, three = (small(unfoldings=3, shared_weights=shared) for shared in (True, False))
    assert parameter_count(three) == 3 * parameter_count(one)
    assert len(small(unfoldings=3).arm) == len(small(unfoldings=3).rem) == 1
    torch.manual_seed(4)
    image = photograph(6, 6)
    network = randomised(three)
    before = network.forward_stages(image)
    nn.init.zeros_(network.rem[1].tail[-1].weight)  # type: ignore[index, union-attr]
    after = network.forward_stages(image)
    equal = [torch.equal(a.high, b.high) for a, b in zip(before, after, strict=True)]
    assert equal == [True, False, False]


def test_backbones_are_of_channel_attention_blocks() -> None:
    network = CISR()
    for module in (network.arm[0], network.rem[0]):
        blocks = [m for m in module.modules() if isinstance(m, ChannelAttentionBlock)]
        assert len(blocks) == 2 * 12
    assert sum(isinstance(m, ChannelAttentionBlock) for m in network.modules()) == 48


@scales
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (7, 4)])
def test_any_size_will_do(scale: Literal[2, 3, 4], height: int, width: int) -> None:
    network = randomised(small(scale))
    image = torch.cat((photograph(height, width), photograph(height, width, seed=1)))
    estimates = network.forward_stages(image, keys_of(image))
    assert len(estimates) == 2
    for low, high in estimates:
        assert low is not None
        assert low.shape == image.shape
        assert high.shape == (2, 3, scale * height, scale * width)
    assert torch.equal(network(image, keys_of(image)), estimates[-1].high)


def test_the_unfolding_is_equation_7() -> None:
    network, image = randomised(small(unfoldings=3)), photograph(6, 7)
    keys = keys_of(image)
    high = network.upsampling(image)
    for estimate in network.forward_stages(image, keys):
        low = network.arm[0](image, high, keys)
        high = network.rem[0](image, low, keys)
        assert estimate.low is not None
        assert torch.equal(estimate.low, low)
        assert torch.equal(estimate.high, high)


@pytest.mark.parametrize(("scale", "row", "column"), [(2, 1, 0), (3, 1, 1), (4, 2, 0)])
def test_the_registered_copy(scale: Literal[2, 3, 4], row: int, column: int) -> None:
    """Numbers 3, 5 and 9 of the s^2 copies, in raster order from 1 on (section 3.2)."""
    arm, image = small(scale).arm[0], photograph(4 * scale, 5 * scale)
    copies = arm.copies_of(image)  # type: ignore[operator]
    assert copies.shape == (1, 3 * scale**2, 4, 5)
    guide = arm.guide_of(copies)  # type: ignore[operator]
    assert torch.equal(guide, image[:, :, row::scale, column::scale])
    rem = small(scale).rem[0]
    assert torch.equal(rem.guide_of(rem.copies_of(image)), image)  # type: ignore[operator]


@pytest.mark.parametrize("skip", ["z", "g"])
def test_new_modules_return_their_long_skip(skip: LongSkip) -> None:
    network, image = small(long_skip=skip), photograph(6, 5)
    ((low, high), _) = network.forward_stages(image)
    enlarged = network.upsampling(image)
    expected = image if skip == "z" else enlarged[:, :, 1::2, ::2]
    assert low is not None
    assert torch.equal(low, expected)
    assert torch.equal(high, network.upsampling(expected))


def test_the_adaptive_combination_is_convex() -> None:
    """Eq. 11: new modules return a mixture of z, g and u, whose weights sum to 1 in each pixel."""
    module = small().arm[0]
    image, guide, filtered = (photograph(8, 8, seed=seed) for seed in range(3))
    candidates = torch.stack((image, guide, filtered))
    copies = torch.cat((guide, guide, guide, guide), 1)
    skip = module.restore(image, copies, guide, filtered)  # type: ignore[operator]
    weights = module.combination(torch.cat((image, guide, filtered), 1))  # type: ignore[operator]
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(1, 8, 8))
    torch.testing.assert_close(skip, (weights.transpose(0, 1)[:, :, None] * candidates).sum(0))


def test_the_modified_operator_measures_likeness_by_the_guide() -> None:
    image, guide = photograph(9, 8), photograph(9, 8, seed=1)
    keys = keys_of(image)
    operator = randomised(ModifiedNonLocal())
    h = operator.width(guide)
    assert h.shape == (1, 1, 9, 8)
    found = operator(image, guide, keys)
    assert torch.equal(found, non_local(guide, image, h, keys))
    expected = kernels.non_local(
        guide.numpy(), image.numpy(), h.detach().numpy(), keys.numpy()
    )  # what the runtime computes
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=2e-4)


def test_modules_in_steps_are_the_modules() -> None:
    """As the runtime calls them, with the kernel in the middle."""
    network, image = randomised(small()), photograph(8, 9)
    high, keys = network.upsampling(image), keys_of(image)
    for module, auxiliary in ((network.arm[0], high), (network.rem[0], photograph(8, 9, seed=1))):
        copies = module.copies_of(auxiliary)  # type: ignore[operator]
        guide = module.guide_of(copies).contiguous()  # type: ignore[operator]
        h = module.non_local.width(guide).detach().numpy()  # type: ignore[operator, union-attr]
        filtered = kernels.non_local(guide.numpy(), image.numpy(), h, keys.numpy())
        found = module.restore(image, copies, guide, torch.from_numpy(filtered))  # type: ignore[operator]
        torch.testing.assert_close(found, module(image, auxiliary, keys), atol=1e-4, rtol=0)


def test_each_output_depends_on_the_whole_image() -> None:
    network, image = randomised(small()), photograph(24, 24)
    assert network.receptive_field_px is None
    changed = image.clone()
    changed[..., -1, -1] += 0.5
    difference = (network(changed) - network(image)).abs()
    assert difference[..., 0, 0].max() > 0


def test_blocking_edges_matter_to_the_modified_operator_only() -> None:
    image = photograph(8, 8)
    for kind in get_args(NonLocalKind):
        network = randomised(small(non_local=kind))
        same = torch.equal(network(image), network(image, keys_of(image)))
        assert same == (kind != "modified"), kind


def test_traditional_non_local_means_filter_the_image_by_itself() -> None:
    """Table 6: h = 30 levels."""
    module, image = small(non_local="traditional").arm[0], photograph(8, 8)
    found = module.non_local(image, photograph(8, 8, seed=1), None)  # type: ignore[operator]
    expected = reference.non_local(image.numpy(), image.numpy(), 30 / 255)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_without_the_operator_there_is_no_u() -> None:
    """Table 6: one image less for the backbone, one weight less for the long skip."""
    with_u, without = small().arm[0], small(non_local="none").arm[0]
    planes = [module.backbone[0].in_channels for module in (with_u, without)]  # type: ignore[index, union-attr]
    assert planes == [3 * (4 + 2), 3 * (4 + 1)]
    assert without.combination[-2].out_channels == 2  # type: ignore[index, union-attr]
    assert without.non_local is None


@pytest.mark.parametrize("skip", get_args(LongSkip))
def test_single_long_skips(skip: LongSkip) -> None:
    """Table 6: new modules return just what is skipped, or nothing."""
    module, image = small(long_skip=skip).arm[0], photograph(6, 6)
    guide, filtered = photograph(6, 6, seed=1), photograph(6, 6, seed=2)
    copies = torch.cat((guide, guide, guide, guide), 1)
    found = module.restore(image, copies, guide, filtered)  # type: ignore[operator]
    single = {"z": image, "g": guide, "u": filtered, "none": torch.zeros_like(image)}
    if skip == "adaptive":
        assert all(not torch.allclose(found, other) for other in single.values())
        assert module.combination is not None
    else:
        assert torch.equal(found, single[skip])
        assert module.combination is None


@pytest.mark.parametrize("connection", ONCE)
@scales
def test_rivals_go_through_both_modules_once(
    connection: Connection, scale: Literal[2, 3, 4]
) -> None:
    """Table 4."""
    network = randomised(small(scale, connection=connection, unfoldings=1))
    image = photograph(5, 4)
    keys = keys_of(image)
    ((low, high),) = network.forward_stages(image, keys)
    assert high.shape == (1, 3, scale * 5, scale * 4)
    arm, rem, enlarge = network.arm[0], network.rem[0], network.upsampling
    if connection == "rem-arm":
        enlarged = rem(image, image, keys)
        large_keys = keys.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
        assert low is None
        assert torch.equal(high, arm(enlarged, enlarged, large_keys))
        return
    expected_low = arm(image, enlarge(image), keys)
    assert low is not None
    assert torch.equal(low, expected_low)
    if connection == "arm-rem":
        assert torch.equal(high, rem(expected_low, expected_low, keys))
    else:
        parts = torch.cat((enlarge(expected_low), rem(image, image, keys)), 1)
        assert torch.equal(high, network.fusion(parts))  # type: ignore[misc]


def test_a_new_fusion_takes_rems_answer() -> None:
    network, image = small(connection="parallel", unfoldings=1), photograph(5, 4)
    torch.testing.assert_close(network(image), network.rem[0](image, image, None))


def test_the_loss_by_hand() -> None:
    low, high = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 4, 4), 0.5)
    estimates = [Estimate(low + 0.01 * j, high - 0.1 * j) for j in (1, 2, 3)]
    by_hand = (0.3 * 0.11 + 0.6 * 0.22 + 1.0 * 0.33) / 3
    assert cisr_loss(estimates, low, high).item() == pytest.approx(by_hand, rel=1e-5)
    by_hand = (0.3 * 0.01 + 0.6 * 0.02 + 1.0 * 0.03) / 3
    assert cisr_loss(estimates, low, high, 0.0).item() == pytest.approx(by_hand, rel=1e-5)
    only_high = [Estimate(None, high - 0.2)]
    assert cisr_loss(only_high, low, high).item() == pytest.approx(0.2, rel=1e-5)


def test_weights_of_the_unfoldings() -> None:
    assert unfolding_weights(3) == (0.3, 0.6, 1.0)
    assert unfolding_weights(5) == (0.2, 0.4, 0.6, 0.8, 1.0)
    assert unfolding_weights(1) == (1.0,)
    assert unfolding_weights(4) == (0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize("connection", get_args(Connection))
def test_gradients_reach_every_parameter(connection: Connection) -> None:
    unfoldings = 2 if connection == "unfolded" else 1
    network = randomised(small(connection=connection, unfoldings=unfoldings))
    image = photograph(6, 6)
    high = photograph(12, 12, seed=1)
    loss = cisr_loss(network.forward_stages(image, keys_of(image)), image, high)
    assert parameters_without_gradient(network, loss) == set()


def test_later_unfoldings_train_the_first_ones_modules() -> None:
    """The unfolding is one graph: nothing is detached on the way."""
    network, image = randomised(small(shared_weights=False)), photograph(6, 6)
    *_, last = network.forward_stages(image)
    loss = F.l1_loss(last.high, photograph(12, 12, seed=1))
    assert parameters_without_gradient(network, loss) == set()


def test_it_learns() -> None:
    torch.manual_seed(2)
    high = photograph(24, 24)
    low = F.avg_pool2d(high, 2)
    image = low + 0.05 * torch.randn_like(low)
    network = small(channels=8)
    keys = torch.from_numpy(kernels.find_blocking_edges(image.numpy()))
    losses = adam_losses(
        network, lambda: cisr_loss(network.forward_stages(image, keys), low, high), 8, 5e-3
    )
    assert losses[-1] < 0.9 * losses[0]


def test_it_is_deterministic() -> None:
    image = photograph(8, 8)
    one, other = (randomised(small())(image, keys_of(image)) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": 5}, "scale must be one of 2, 3, 4, got 5"),
        ({"connection": "series"}, "connection must be one of 'unfolded', 'arm-rem'"),
        ({"connection": "arm-rem"}, "has no unfoldings: set unfoldings = 1, got 5"),
        ({"non_local": "none", "long_skip": "u"}, 'long_skip "u" needs the non-local operator'),
        ({"shared_weights": "no"}, "shared_weights must be true or false, got 'no'"),
        ({"channels": 8}, "channels must be at least reduction, got 8 and 16"),
        ({"unfoldings": 0}, "unfoldings must be a positive integer, got 0"),
    ],
)
def test_mistakes_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_network({"architecture": "cisr", **options})


def test_recipes_name_it() -> None:
    network = build_network({"architecture": "cisr", "groups": 1, "blocks": 1, "unfoldings": 3})
    assert isinstance(network, CISR)
    assert (network.domain, network.enlargement, network.unfoldings) == ("rgb", 2, 3)
