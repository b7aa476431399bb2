"""HR-CNN: its structure, the decoder it begins as, and the decoding segment as one layer."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from tests.kernels.images import synthetic
from tests.training.probing import (
    adam_losses,
    parameter_count,
    parameters_without_gradient,
    randomised,
)
from torch import Tensor
from torch.nn import functional as F

from jpegrt.kernels import (
    CoefficientReader,
    coefficient_plane_from_blocks,
    reference,
    spectrum_from_blocks,
)
from jpegrt.training.networks import build_network
from jpegrt.training.networks.hrcnn import HRCNN, LEVEL_SHIFT, CodedMasks


def new(hidden_relu: bool = True, random_decoder: bool = False) -> HRCNN:
    torch.manual_seed(0)
    return HRCNN(hidden_relu, random_decoder)


@pytest.fixture(scope="module")
def component() -> tuple[reference.Blocks, reference.Table, Tensor]:
    """Blocks and table of a grey JPEG of 5 x 7 blocks, and its original, (1, 1, 40, 56)."""
    pixels = synthetic(40, 56, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=20)
    jpeg = CoefficientReader().read(buffer.getvalue())
    original = (torch.from_numpy(pixels).float() - 128)[None, None] / 255
    blocks, table = jpeg.components[0].blocks, jpeg.components[0].table
    assert blocks is not None
    assert table is not None
    return blocks, table, original


def spectrum_of(component: tuple[reference.Blocks, reference.Table, Tensor]) -> Tensor:
    return torch.from_numpy(spectrum_from_blocks(*component[:2], 1 / 255))[None]


def test_parameters_are_the_papers() -> None:
    network = new()
    assert parameter_count(network.decoding) == 275_089
    assert parameter_count(network.detail) == 232_068
    assert parameter_count(network) == 507_157


def test_coded_masks_are_the_unpack_kernels_rearrangement(
    component: tuple[reference.Blocks, reference.Table, Tensor],
) -> None:
    plane = torch.from_numpy(coefficient_plane_from_blocks(*component[:2], 1 / 255))
    masks = CodedMasks()
    assert not list(masks.parameters())
    assert masks.masks.sum((1, 2, 3)).tolist() == [1] * 64
    assert torch.equal(masks(plane[None, None]), spectrum_of(component))


def test_a_new_network_is_a_plain_decoder(
    component: tuple[reference.Blocks, reference.Table, Tensor],
) -> None:
    restored = new()(spectrum_of(component))[0, 0].detach().numpy()
    expected = reference.centred_samples(*component[:2]) / 255
    np.testing.assert_allclose(restored, np.maximum(expected, -LEVEL_SHIFT), atol=2e-6)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 5)])
def test_shapes_and_features(rows: int, columns: int) -> None:
    network = randomised(new())
    spectrum = torch.randn(2, 64, rows, columns)
    features = network.forward_features(spectrum)
    assert features.snapshots.shape == (2, 64, 8 * rows, 8 * columns)
    assert features.decoded.shape == features.restored.shape == (2, 1, 8 * rows, 8 * columns)
    assert torch.equal(features.restored, network(spectrum))
    assert features.decoded.min() >= -LEVEL_SHIFT  # both segments end in a ReLU (eq. 8)
    assert features.restored.min() >= -LEVEL_SHIFT


@pytest.mark.parametrize("random_decoder", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (2, 1), (4, 5)])
def test_the_decoding_segment_is_one_transposed_convolution(
    random_decoder: bool, rows: int, columns: int
) -> None:
    """64 coefficients and a constant to a sample, 14 x 14, stride 8; exact to the last sample."""
    decoding = new(random_decoder=random_decoder).decoding
    with torch.no_grad():
        for parameter in decoding.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        spectrum = torch.randn(2, 64, rows, columns)
        samples = decoding.linear(spectrum)[1]
        collapsed = decoding.collapsed()
        found = collapsed(spectrum)
        unbordered = collapsed.samples(F.pad(spectrum, (0, 0, 0, 0, 0, 1), value=1))
    assert collapsed.samples.weight.shape == (65, 1, 14, 14)
    size = samples.abs().max()
    torch.testing.assert_close(found / size, samples / size, atol=1e-5, rtol=0)
    for edge in (0, -1):  # the transposed convolution alone is wrong there
        assert not torch.allclose(unbordered[:, :, edge], samples[:, :, edge], atol=1e-3)
        assert not torch.allclose(unbordered[..., edge], samples[..., edge], atol=1e-3)
    assert torch.equal(decoding(spectrum)[1], F.relu(samples))


def test_a_decoder_may_begin_at_random() -> None:
    spectrum = torch.randn(1, 64, 2, 2)
    assert not torch.allclose(new(random_decoder=True)(spectrum), new()(spectrum), atol=0.1)


@pytest.mark.parametrize("hidden_relu", [True, False])
def test_residual_blocks_are_linear_without_their_relus(hidden_relu: bool) -> None:
    block = randomised(new(hidden_relu)).detail[0].double()
    x, y = torch.randn(2, 1, 1, 16, 16, dtype=torch.float64)
    difference = block(x) + block(y) - block(x + y) - block(torch.zeros_like(x))
    assert (difference.abs().max().item() < 1e-12) == (not hidden_relu)


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_receptive_field(axis: str) -> None:
    """Of the coefficients of one block, the first and the last of which are farthest."""
    network = new().double()
    blocks = 2 * (network.receptive_field_px // 8) + 3
    shape = (1, 64, blocks, 1) if axis == "rows" else (1, 64, 1, blocks)
    spectrum = torch.zeros(shape, dtype=torch.float64)
    assert network(spectrum).isfinite().all()
    spectrum.flatten(2)[:, 0, blocks // 2] = torch.nan
    changed = network(spectrum).isnan().any(3 if axis == "rows" else 2).flatten()
    positions = np.flatnonzero(changed.numpy())
    first = 8 * (blocks // 2)
    assert 0 < positions.min() < positions.max() < 8 * blocks - 1
    assert positions.max() - first == network.receptive_field_px
    assert first + 7 - positions.min() == network.receptive_field_px


def test_it_is_deterministic() -> None:
    spectrum = torch.randn(1, 64, 3, 3)
    assert torch.equal(new(True, True)(spectrum), new(True, True)(spectrum))


def test_gradients_reach_every_parameter() -> None:
    network = randomised(new(random_decoder=True), 0.05)
    torch.nn.init.constant_(network.decoding.pixels.bias, 2)  # type: ignore[arg-type]
    loss = network(torch.randn(1, 64, 3, 3)).square().mean()
    assert parameters_without_gradient(network, loss) == set()


def test_it_learns(component: tuple[reference.Blocks, reference.Table, Tensor]) -> None:
    spectrum, original = spectrum_of(component), component[2]
    network = new()
    losses = adam_losses(network, lambda: F.mse_loss(network(spectrum), original), 6, 1e-4)
    assert losses[-1] < 0.9 * losses[0]


def test_recipes_name_it() -> None:
    network = build_network({"architecture": "hrcnn", "hidden_relu": False})
    assert isinstance(network, HRCNN)
    assert network.domain == "spectral"
    assert network.minimum_px == network.multiple_px == 8
    with pytest.raises(ValueError, match="hidden_relu must be true or false, got 1"):
        build_network({"architecture": "hrcnn", "hidden_relu": 1})
