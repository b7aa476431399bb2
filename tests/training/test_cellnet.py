"""CellNet: what it is when new, what it sees, and how it upsamples chroma."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from tests.kernels.engines import plane_from_cells
from tests.kernels.images import synthetic
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.degradation import Degradation, JpegDegrader
from jpegrt.training.networks.cellnet import CellNet, ChromaUpsampling, error_size
from jpegrt.training.samplings import SAMPLINGS


def small(cell_px: int = 2, blocks: int = 1, chroma_blocks: int = 1) -> CellNet:
    torch.manual_seed(0)
    return CellNet(cell_px, 6, blocks, 6, chroma_blocks)


def randomised(network: CellNet) -> CellNet:
    """With no weight zero, so that everything that can matter does."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.3, 0.3)
    return network


def inputs(network: CellNet, sampling: str, rows: int = 6, columns: int = 8) -> list[Tensor]:
    """luma, chroma, steps; two of each."""
    planes, (h, v) = network.cell_px**2, SAMPLINGS[sampling]
    torch.manual_seed(1)
    return [
        torch.rand(2, planes, rows, columns) - 0.5,
        torch.rand(2, 2 * planes // (h * v), rows, columns) - 0.5,
        1 + 20 * torch.rand(2, 192),
    ]


@pytest.mark.parametrize("cell_px", [2, 4])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_new_network_changes_nothing(sampling: str, cell_px: int) -> None:
    network = small(cell_px)
    luma, chroma, steps = inputs(network, sampling)
    assert torch.equal(network(luma, steps[:, :64]), luma)
    restored, restored_chroma = network.forward_colour(luma, chroma, steps, sampling)
    assert torch.equal(restored, luma)
    assert network.chroma is not None
    assert torch.equal(restored_chroma, network.chroma.upsampling[sampling](chroma))
    if sampling == "444":
        assert torch.equal(restored_chroma, chroma)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_colour_restores_luma_as_grey_does(sampling: str) -> None:
    network = randomised(small())
    luma, chroma, steps = inputs(network, sampling)
    restored, restored_chroma = network.forward_colour(luma, chroma, steps, sampling)
    assert torch.equal(restored, network(luma, steps[:, :64]))
    assert restored_chroma.shape == (2, 8, 6, 8)
    assert not torch.allclose(restored, luma)


@pytest.mark.parametrize("first", [0, 64, 128])
def test_every_table_matters(first: int) -> None:
    network = randomised(small())
    luma, chroma, steps = inputs(network, "420")
    other = steps.clone()
    other[:, first : first + 64] *= 2
    before, after = (
        torch.cat(network.forward_colour(luma, chroma, s, "420"), 1) for s in (steps, other)
    )
    assert not torch.allclose(before, after)


def test_the_residual_grows_with_the_steps() -> None:
    assert error_size(torch.full((1, 64), 16.0)).item() == pytest.approx(4 * 0.71 / 255)
    sizes = error_size(torch.tensor([[1.0], [10.0], [100.0]]).expand(3, 64)).flatten()
    assert sizes.tolist() == sorted(sizes)


@pytest.mark.parametrize("cell_px", [2, 4])
@pytest.mark.parametrize(("blocks", "chroma_blocks"), [(1, 1), (2, 1), (1, 3)])
def test_receptive_field(cell_px: int, blocks: int, chroma_blocks: int) -> None:
    """Gradients of one output sample reach just as far as the network says, and no further."""
    network = randomised(small(cell_px, blocks, chroma_blocks))
    for module in network.modules():  # a ReLU may block a path by chance: let all through
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.constant_(module.bias, 10)
    reach_px = 0
    size = 2 * (network.receptive_field_px // cell_px) + 7
    centre = size // 2
    luma, chroma, steps = inputs(network, "444", size, size)
    luma.requires_grad_(True)
    restored = torch.cat(network.forward_colour(luma, chroma, steps, "444"), 1)
    for plane in range(cell_px**2):
        offset_y, offset_x = divmod(plane, cell_px)
        output = restored[0, -(cell_px**2) + plane, centre, centre]
        (gradient,) = torch.autograd.grad(output, luma, retain_graph=True)
        touched = plane_from_cells(gradient[0].numpy(), (cell_px, cell_px)) != 0
        y, x = np.nonzero(touched)
        for found, at in ((y, offset_y), (x, offset_x)):
            distance = np.abs(found - (centre * cell_px + at)).max()
            reach_px = max(reach_px, int(distance))
    assert reach_px == network.receptive_field_px


@pytest.mark.parametrize("cell_px", [2, 4])
@pytest.mark.parametrize("sampling", ["422", "440", "420"])
def test_upsampling_is_libjpegs(sampling: str, cell_px: int) -> None:
    """Of a real file, against libjpeg's own: each level within its rounding.

    At the edges whole cells are repeated, which repeats the last samples only where chroma cells
    are one sample along every halved axis, as those of 2 x 2 pixels are.
    """
    patch = synthetic(64, 48)
    turned = sampling == "440"  # made, as the degradation makes it, of the transposed patch
    if turned:
        patch = np.ascontiguousarray(patch.swapaxes(0, 1))
    buffer = io.BytesIO()
    name = {"422": "4:2:2", "440": "4:2:2", "420": "4:2:0"}[sampling]
    Image.fromarray(patch).save(buffer, "JPEG", quality=60, subsampling=name)
    image = Image.open(buffer)
    image.draft("YCbCr", image.size)
    expected = np.asarray(image)[..., 1:].astype(int)
    if turned:
        patch, expected = patch.swapaxes(0, 1), expected.swapaxes(0, 1)
    degraded = JpegDegrader(Degradation(), cell_px).compress(patch, sampling, 60, [])
    assert degraded.chroma is not None
    cells = ChromaUpsampling(cell_px, *SAMPLINGS[sampling])(torch.from_numpy(degraded.chroma)[None])
    for c, of_one in enumerate(np.split(cells[0].numpy(), 2)):
        found = np.clip(plane_from_cells(of_one, (cell_px, cell_px)) * 255 + 128, 0, 255)
        difference = np.abs(found - expected[..., c])
        if cell_px > 2:
            difference = difference[cell_px:-cell_px, cell_px:-cell_px]
        assert difference.max() < 2  # its samples were rounded before, and clipped
        assert difference.mean() < 0.5


@pytest.mark.parametrize("cell_px", [2, 4])
@pytest.mark.parametrize("sampling", ["422", "440", "420"])
def test_upsampling_is_bilinear(sampling: str, cell_px: int) -> None:
    h, v = SAMPLINGS[sampling]
    random = np.random.default_rng(0)
    planes = random.random((2, 32 // v, 48 // h), dtype=np.float32)
    cell = (cell_px // v, cell_px // h)
    rows, columns = 32 // cell_px, 48 // cell_px
    cells = planes.reshape(2, rows, cell[0], columns, cell[1]).transpose(0, 2, 4, 1, 3)
    stacked = torch.from_numpy(np.ascontiguousarray(cells).reshape(1, -1, rows, columns))
    restored = ChromaUpsampling(cell_px, h, v)(stacked)[0].numpy()
    expected = F.interpolate(
        torch.from_numpy(planes)[None], (32, 48), mode="bilinear", align_corners=False
    )[0].numpy()
    edge = cell_px
    for of_one, plane in zip(np.split(restored, 2), expected, strict=True):
        found = plane_from_cells(of_one, (cell_px, cell_px))
        inner = (slice(edge, -edge), slice(edge, -edge))
        np.testing.assert_allclose(found[inner], plane[inner], atol=1e-6)


def test_cells_too_small_for_a_sampling_leave_it_out() -> None:
    assert small(1).samplings == ["444"]
    assert set(small(2).samplings) == set(SAMPLINGS)


def test_a_network_of_luma_alone() -> None:
    whole, alone = small(), CellNet(2, 6, 1, colour=False)
    assert alone.samplings == []
    assert {name.split(".")[0] for name in alone.state_dict()} == {"luma"}
    assert alone.receptive_field_px < whole.receptive_field_px
    luma, _, steps = inputs(alone, "444")
    assert torch.equal(alone(luma, steps[:, :64]), luma)
