"""The non-local operator in PyTorch, against its definition in float64 and the kernel."""

import numpy as np
import pytest
import torch
from tests.training.probing import photograph
from torch import Tensor

from jpegrt import kernels
from jpegrt.kernels import reference
from jpegrt.training.networks.non_local import non_local


def inputs(components: int = 3, height: int = 11, width: int = 13) -> tuple[Tensor, ...]:
    """guide, value, h and keys of two images."""
    random = torch.Generator().manual_seed(0)
    guide = torch.cat([photograph(height, width, components, seed) for seed in range(2)])
    value = guide + 0.05 * torch.randn(guide.shape, generator=random)
    h = 0.05 + 0.3 * torch.rand(2, 1, height, width, generator=random)
    keys = (torch.rand(2, 1, height, width, generator=random) < 0.8).to(torch.uint8)
    return guide, value, h, keys


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (11, 13)])
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_definition(components: int, height: int, width: int, masked: bool) -> None:
    guide, value, h, keys = inputs(components, height, width)
    found = non_local(guide, value, h, keys if masked else None)
    expected = reference.non_local(
        guide.numpy(), value.numpy(), h.numpy(), keys.numpy() if masked else None
    )
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("h", [0.0, 0.01, 30 / 255, 10.0])
def test_one_h_for_all(h: float) -> None:
    """Down to 0, where float32 cancels most: the definition's, in double."""
    guide, value, _, _ = inputs()
    expected = reference.non_local(guide.numpy(), value.numpy(), h)
    found = non_local(guide.double(), value.double(), h)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


def test_it_is_the_kernel() -> None:
    guide, value, h, keys = inputs()
    expected = kernels.non_local(guide.numpy(), value.numpy(), h.numpy(), keys.numpy())
    found = non_local(guide, value, h, keys).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_image_without_keys_stays_what_it_is() -> None:
    guide, value, h, keys = inputs()
    keys[1] = 0
    value.requires_grad_()
    h.requires_grad_()
    filtered = non_local(guide, value, h, keys)
    torch.testing.assert_close(filtered[1], value[1])
    assert not torch.allclose(filtered[0], value[0])
    filtered.sum().backward()  # type: ignore[no-untyped-call]
    assert value.grad is not None
    assert h.grad is not None
    assert value.grad.isfinite().all()
    assert h.grad.isfinite().all()
    assert not h.grad[1].any()


def test_gradients_are_the_operators() -> None:
    """Of guide, value and h, in double, by finite differences."""
    torch.manual_seed(0)
    guide, value = (torch.rand(1, 1, 3, 4, dtype=torch.float64, requires_grad=True) for _ in "gz")
    h = (0.5 + torch.rand(1, 1, 3, 4, dtype=torch.float64)).requires_grad_()
    keys = torch.ones(1, 1, 3, 4)
    keys[..., 1, 2] = 0
    assert torch.autograd.gradcheck(lambda g, z, h: non_local(g, z, h, keys), (guide, value, h))


def test_autocast_leaves_its_precision_alone() -> None:
    guide, value, h, keys = inputs()
    expected = non_local(guide, value, h, keys)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(non_local(guide, value, h, keys), expected)
    guide, value, h = guide.bfloat16(), value.bfloat16(), h.bfloat16()
    expected = non_local(guide.float(), value.float(), h.float(), keys)
    assert torch.equal(non_local(guide, value, h, keys), expected.bfloat16())
