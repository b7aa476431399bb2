"""CellNet: restoration on pixel cells, our own network.

The inverse DCT of every block is written as r x r pixel cells (a pixel-unshuffle by r), so that the
unpack kernel makes the input straight from the coefficients and a 3x3 convolution costs 1 / r^2 of
what it would at full resolution. One luma trunk restores grey and colour images alike; chroma is
restored after it, guided by its features, with one small stem for each sampling.

Tensors, for luma of H x W samples (multiples of r and of the chroma factors), all float32:
    luma    (N, r^2, H / r, W / r)            centred samples / 255, about -0.5 to 0.5
    chroma  (N, 2 r^2 / (h v), H / r, W / r)  likewise, Cb's cells before Cr's
    steps   (N, 64) or (N, 192)               quantisation steps, raster order, Y (Cb, Cr)
The outputs are cells too, chroma at full resolution: (N, 2 r^2, H / r, W / r).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.networks.linear_start import begin_at_zero
from jpegrt.training.samplings import SAMPLINGS


def error_size(steps: Tensor) -> Tensor:
    """The typical RMS error of a JPEG with these (N, 64) steps, (N, 1, 1, 1), in units of 255.

    0.71 times the root of the steps' geometric mean: fitted on luma of the training images at
    qualities 5 to 95, where it is within 15 % from 10 to 95. The network's residual is
    multiplied by it, so that one trunk (and one set of int8 ranges) serves every quality.
    """
    return 0.71 / 255 * (0.5 * steps.log().mean(1)).exp()[:, None, None, None]


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3; the identity when new."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.expand, self.project = (
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation) for _ in range(2)
        )
        begin_at_zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.project(F.relu(self.expand(x)))
        return x + residual


class StepPlanes(nn.Module):
    """(N, 64) quantisation steps into a few constant planes, (N, planes, *like.shape[2:])."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, planes))

    def forward(self, steps: Tensor, like: Tensor) -> Tensor:
        planes: Tensor = self.layers(steps.log() / 4)
        return planes[:, :, None, None].expand(-1, -1, like.shape[2], like.shape[3])


class Head(nn.Module):
    """Features to a residual of the size that the steps make likely; zero when new."""

    def __init__(self, channels: int, planes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, planes, 3, padding=1)
        begin_at_zero(self.conv)

    def forward(self, features: Tensor, steps: Tensor) -> Tensor:
        residual: Tensor = self.conv(features)
        return error_size(steps) * residual


class LumaTrunk(nn.Module):
    """Luma cells and the luma table -> restored cells, and the features that chroma starts from."""

    def __init__(self, cell_px: int, channels: int, blocks: int, step_planes: int) -> None:
        super().__init__()
        planes = cell_px * cell_px
        self.step_planes = StepPlanes(step_planes)
        self.stem = nn.Conv2d(planes + step_planes, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.head = Head(channels, planes)

    def forward(self, luma: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        features = self.stem(torch.cat((luma, self.step_planes(steps, luma)), 1))
        features = self.blocks(features)
        return luma + self.head(features, steps), features


class ChromaUpsampling(nn.Module):
    """Chroma cells to full-resolution cells with the triangle filter of libjpeg's decoder.

    Each output sample mixes the two nearest chroma samples 3:1 along every halved axis; they lie in
    the same cell or in a neighbour, so that the whole is one fixed 3x3 convolution on cells.
    """

    kernel: Tensor

    def __init__(self, cell_px: int, h: int, v: int) -> None:
        super().__init__()
        across, down = _triangle_taps(cell_px, h), _triangle_taps(cell_px, v)
        # (cell row dy, cell column dx, tap row, tap column, source row, source column)
        kernel = torch.einsum("yas,xbt->yxstab", down, across)
        planes_in = (cell_px // v) * (cell_px // h)
        kernel = kernel.reshape(cell_px * cell_px, planes_in, 3, 3)
        self.register_buffer("kernel", torch.cat((kernel, kernel)), persistent=False)

    def forward(self, chroma: Tensor) -> Tensor:
        # Two groups: Cb and Cr do not mix.
        return F.conv2d(F.pad(chroma, (1, 1, 1, 1), mode="replicate"), self.kernel, groups=2)


def _triangle_taps(cell_px: int, factor: int) -> Tensor:
    """(cell_px outputs, 3 neighbouring cells, cell_px / factor sources) along one axis."""
    sources = cell_px // factor
    taps = torch.zeros(cell_px, 3, sources)
    for output in range(cell_px):
        position = (output + 0.5) / factor - 0.5
        nearest = output // factor
        if factor == 1:
            taps[output, 1, nearest] = 1
            continue
        other = nearest + (1 if position > nearest else -1)
        for source, weight in ((nearest, 0.75), (other, 0.25)):
            cell, place = divmod(source, sources)
            taps[output, cell + 1, place] += weight
    return taps


# Of the chroma branch's blocks, over and over: a 4:2:0 chroma block is 16 luma samples wide, and
# to smooth the steps between such blocks a network has to see several of them.
CHROMA_DILATIONS = (1, 2, 4)


class ChromaBranch(nn.Module):
    """Restored luma, its features, chroma cells and tables -> full-resolution chroma cells."""

    def __init__(
        self, cell_px: int, luma_channels: int, channels: int, blocks: int, step_planes: int
    ) -> None:
        super().__init__()
        self.step_planes = StepPlanes(step_planes)
        self.upsampling = nn.ModuleDict()
        self.stems = nn.ModuleDict()
        for name, (h, v) in SAMPLINGS.items():
            if cell_px % h or cell_px % v:
                continue
            planes = cell_px * cell_px + 2 * cell_px * cell_px // (h * v)
            self.upsampling[name] = (
                nn.Identity() if (h, v) == (1, 1) else ChromaUpsampling(cell_px, h, v)
            )
            self.stems[name] = nn.Conv2d(planes + step_planes, channels, 3, padding=1)
        self.join = nn.Conv2d(luma_channels, channels, 1)
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(channels, CHROMA_DILATIONS[i % len(CHROMA_DILATIONS)])
                for i in range(blocks)
            )
        )
        self.head = Head(channels, 2 * cell_px * cell_px)

    def forward(
        self, luma: Tensor, features: Tensor, chroma: Tensor, steps: Tensor, sampling: str
    ) -> Tensor:
        # Cb and Cr share a table in practice; where they do not, their mean serves both.
        steps = (steps[:, 64:128] + steps[:, 128:192]) / 2
        image = torch.cat((chroma, luma), 1)
        planes = torch.cat((image, self.step_planes(steps, image)), 1)
        mixed = self.stems[sampling](planes) + self.join(features)
        residual: Tensor = self.head(self.blocks(mixed), steps)
        upsampled: Tensor = self.upsampling[sampling](chroma)
        return upsampled + residual


class CellNet(nn.Module):
    """The whole network. `cell_px` is r; the other arguments are channels and residual blocks.

    Without `colour` it has no chroma branch, and restores grey images alone.
    """

    def __init__(
        self,
        cell_px: int = 2,
        channels: int = 32,
        blocks: int = 8,
        chroma_channels: int = 32,
        chroma_blocks: int = 6,
        step_planes: int = 4,
        colour: bool = True,
    ) -> None:
        super().__init__()
        self.cell_px = cell_px
        self.luma = LumaTrunk(cell_px, channels, blocks, step_planes)
        self.chroma = (
            ChromaBranch(cell_px, channels, chroma_channels, chroma_blocks, step_planes)
            if colour
            else None
        )

    @property
    def samplings(self) -> list[str]:
        """Keys of SAMPLINGS: of the colour images that it restores."""
        return [] if self.chroma is None else list(self.chroma.stems)

    @property
    def receptive_field_px(self) -> int:
        """How far, in luma samples, an input sample can change the output, to either side."""
        # The longest way: all of the luma trunk, then all of the chroma branch.
        reach_cells = 1 + 2 * len(self.luma.blocks) + 1
        if self.chroma is not None:
            dilations = (CHROMA_DILATIONS * len(self.chroma.blocks))[: len(self.chroma.blocks)]
            reach_cells += 1 + 2 * sum(dilations) + 1
        return reach_cells * self.cell_px + self.cell_px - 1

    def forward(self, luma: Tensor, steps: Tensor) -> Tensor:
        """Grey: restored luma cells."""
        restored: Tensor = self.luma(luma, steps)[0]
        return restored

    def forward_colour(
        self, luma: Tensor, chroma: Tensor, steps: Tensor, sampling: str
    ) -> tuple[Tensor, Tensor]:
        """Restored luma cells and full-resolution chroma cells; `sampling` is one of `samplings`."""
        assert self.chroma is not None
        restored, features = self.luma(luma, steps[:, :64])
        restored_chroma: Tensor = self.chroma(restored, features, chroma, steps, sampling)
        return restored, restored_chroma
