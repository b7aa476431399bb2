"""C-JPG SR: a JPEG recovered at its own size, then enlarged.

"Lossless Single Image Super Resolution from Low-Quality JPG Images" (under review for ICLR 2020).
A stage that recovers the low-resolution image and one that enlarges it (section 3.1), both with the
body of s-LWSR (B. Li et al., "s-LWSR: Super Lightweight Super-Resolution Network", 2019).

Tensors, float32:
    image      (N, 3, H, W)     R, G, B of the compressed image, centred samples / 255
    recovered  (N, 3, H, W)     the recovered low-resolution image
    restored   (N, 3, sH, sW)   the enlarged image, s = 4 (or 2)
Any size of at least 1 x 1. Trained by three L1 terms (eq. 2 to 5), which read both:
`jpegrt.training.losses.cjpgsr`.

Where the paper is silent or leaves a choice:
- s-LWSR's structure is not in the text but for 26 residual blocks and the information pool (figure
  4). It is taken from that paper's published network, with 32 channels (s-LWSR32), of 571,107
  parameters at x4: see `Body`.
- Neither stage adds the image: skips are of features only, as the text has it.
- Scale 2 (one sub-pixel layer instead of two) is ours.
- It does not say how weights begin. Here a new first stage changes nothing, and a new second one
  interpolates bilinearly, by 2 and by 2 again (zeros beyond the edges): the body
  begins at zero.

The ablation "straight training" (section 4.2.1): `recovering = false` leaves the first stage out.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.networks.linear_start import begin_at_zero, interpolate, pass_through

COMPONENTS = 3


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand, self.project = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.project(F.relu(self.expand(x)))
        return x + residual


class FrontGroup(nn.Module):
    """Three blocks; returns the first's output and the third's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ResidualBlock(channels)
        self.rest = nn.Sequential(*(ResidualBlock(channels) for _ in range(2)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        early = self.first(x)
        return early, self.rest(early)


class BackGroup(nn.Module):
    """Three blocks on the features so far and those of the first half, joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(2 * channels, channels, 1)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(3)))

    def forward(self, x: Tensor, front: Tensor) -> Tensor:
        joined: Tensor = self.blocks(self.join(torch.cat((x, front), 1)))
        return joined


class Body(nn.Module):
    """s-LWSR's body: (N, channels, H, W) to the same, 6 * groups + 2 residual blocks.

    The first half has groups of three blocks and two blocks at its end; behind a group, its first
    and its third block's outputs are added. The information pool mixes the input, the first
    block's output of every group but the first, and those of the last two, with a 1x1 convolution.
    The second half mirrors the first: each group joins, by another 1x1 convolution, the features
    so far with the mean of the pool and its mirror's last output. The input is added at the end.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.front = nn.ModuleList(FrontGroup(channels) for _ in range(groups))
        self.middle = nn.ModuleList(ResidualBlock(channels) for _ in range(2))
        self.pool = nn.Conv2d((groups + 2) * channels, channels, 1, bias=False)
        self.back = nn.ModuleList(BackGroup(channels) for _ in range(groups))
        begin_at_zero(self.back[-1].join)  # type: ignore[arg-type]
        for block in self.back[-1].blocks:  # type: ignore[union-attr]
            begin_at_zero(block.project)

    def forward(self, features: Tensor) -> Tensor:
        x, pooled, mirrored = features, [features], []
        for i, group in enumerate(self.front):
            early, late = group(x)
            if i > 0:
                pooled.append(early)
            mirrored.append(late)
            x = early + late
        for block in self.middle:
            x = block(x)
            pooled.append(x)
        pool = self.pool(torch.cat(pooled, 1))
        for group, late in zip(self.back, reversed(mirrored), strict=True):
            x = group(x, (late + pool) / 2)
        return features + x


class Stage(nn.Sequential):
    """RGB to features, the body, and features to RGB, enlarged by 1, 2 or 4."""

    def __init__(self, scale: int, channels: int, groups: int) -> None:
        first = nn.Conv2d(COMPONENTS, channels, 3, padding=1)
        last = nn.Conv2d(channels, COMPONENTS, 3, padding=1)
        enlarging: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):  # each sub-pixel layer doubles the size
            phases = nn.Conv2d(channels, 4 * channels, 3, padding=1)
            interpolate(phases, 2, COMPONENTS)
            enlarging += [phases, nn.PixelShuffle(2)]
        pass_through(first, COMPONENTS)
        begin_at_zero(last)
        pass_through(last, COMPONENTS)
        super().__init__(first, Body(channels, groups), *enlarging, last)


class CJPGSR(nn.Module):
    """Both stages, `recover` and `enlarge`. Export calls `forward`, training `forward_stages`."""

    domain: ClassVar[str] = "rgb"
    minimum_px: ClassVar[int] = 1
    multiple_px: ClassVar[int] = 1

    def __init__(
        self,
        scale: Literal[2, 4] = 4,
        channels: int = 32,
        groups: int = 4,
        recovering: bool = True,
    ) -> None:
        super().__init__()
        self.enlargement, self._groups = scale, groups
        self.recover = Stage(1, channels, groups) if recovering else None
        self.enlarge = Stage(scale, channels, groups)

    @property
    def receptive_field_px(self) -> int:
        """How far, in input pixels, an input sample can change the output, to either side."""
        body = 2 * (6 * self._groups + 2)
        # Behind the body: the first sub-pixel layer reaches a pixel, those on finer grids another.
        enlarging = 1 + body + 2
        return enlarging + (1 + body + 1 if self.recover is not None else 0)

    @property
    def deblocking(self) -> nn.Module | None:
        """The first stage, if there is one."""
        return self.recover

    def forward(self, image: Tensor) -> Tensor:
        """The enlarged image."""
        return self.forward_stages(image)[1]

    def forward_stages(self, image: Tensor) -> tuple[Tensor | None, Tensor]:
        """The recovered (None without that stage) and the enlarged image."""
        recovered: Tensor | None = None if self.recover is None else self.recover(image)
        restored: Tensor = self.enlarge(image if recovered is None else recovered)
        return recovered, restored
