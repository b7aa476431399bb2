"""CAR-SR: compression artefacts removed, then super-resolution.

Y. Jin, B. Park, J. Jeong, "Super-resolution of compressed image by deep residual network". A stage
like DnCNN removes artefacts (CAR, section 2.1.1), one like EDSR enlarges (SR, section 2.1.2).

Tensors, float32:
    image      (N, 3, H, W)     R, G, B of the compressed image Z, centred samples / 255
    deblocked  (N, 3, H, W)     what the first stage makes of it, an estimate of the low-resolution
                                original Y
    restored   (N, 3, sH, sW)   the enlarged image, an estimate of the original X
Any size of at least 1 x 1. Trained in three steps (section 3), each with an L1 loss:
`jpegrt.training.losses.carsr`.

Where the paper is silent or leaves a choice:
- The number of residual blocks of SR: 8. EDSR's 32 would be 38 M parameters.
- As in EDSR, which it cites for them, the residual blocks are within one more skip of features.
- "Sub pixel convolution [7]" is read as that reference has it: one convolution to 3 s^2 channels
  and a shuffle, for every scale; EDSR's chain of wider layers would be 2.4 M parameters at x2.
- No scale is named; 2, 3 and 4 are possible.
- It does not say how weights begin. Here a new first stage changes nothing, and a new second one
  interpolates bilinearly (zeros beyond the edges).
"""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.networks.linear_start import begin_at_zero, interpolate, pass_through

COMPONENTS = 3
RESIDUAL_SCALING = 0.1  # section 2.1.2


class ArtefactRemoval(nn.Module):
    """CAR: x + conv(16 times conv-norm-relu(relu(conv(x)))), all 3x3."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        hidden: list[nn.Module] = [nn.Conv2d(COMPONENTS, channels, 3, padding=1), nn.ReLU()]
        for _ in range(layers):
            conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            hidden += [conv, nn.BatchNorm2d(channels), nn.ReLU()]
        self.hidden = nn.Sequential(*hidden)
        self.last = nn.Conv2d(channels, COMPONENTS, 3, padding=1)
        begin_at_zero(self.last)

    def forward(self, image: Tensor) -> Tensor:
        residual: Tensor = self.last(self.hidden(image))
        return image + residual


class ScaledResidualBlock(nn.Module):
    """x + 0.1 conv(relu(conv(x))), 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand, self.project = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.project(F.relu(self.expand(x)))
        return x + RESIDUAL_SCALING * residual


class SuperResolution(nn.Module):
    """SR: features, residual blocks within a skip, and the sub-pixel convolution."""

    def __init__(self, scale: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(COMPONENTS, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ScaledResidualBlock(channels) for _ in range(blocks)))
        self.close = nn.Conv2d(channels, channels, 3, padding=1)
        phases = nn.Conv2d(channels, COMPONENTS * scale * scale, 3, padding=1)
        self.enlarge = nn.Sequential(phases, nn.PixelShuffle(scale))
        pass_through(self.stem, COMPONENTS)
        begin_at_zero(self.close)
        interpolate(phases, scale, COMPONENTS)

    def forward(self, image: Tensor) -> Tensor:
        features = self.stem(image)
        restored: Tensor = self.enlarge(features + self.close(self.blocks(features)))
        return restored


class CARSR(nn.Module):
    """Both stages, `car` and `sr`. Export calls `forward`, training `losses.carsr`."""

    domain: ClassVar[str] = "rgb"
    minimum_px: ClassVar[int] = 1
    multiple_px: ClassVar[int] = 1

    def __init__(
        self,
        scale: Literal[2, 3, 4] = 2,
        car_channels: int = 64,
        car_layers: int = 16,
        channels: int = 256,
        blocks: int = 8,
    ) -> None:
        super().__init__()
        self.enlargement = scale
        self.car = ArtefactRemoval(car_channels, car_layers)
        self.sr = SuperResolution(scale, channels, blocks)

    @property
    def receptive_field_px(self) -> int:
        """How far, in input pixels, an input sample can change the output, to either side."""
        # A pixel a convolution: the enlarging one too is before its shuffle.
        return sum(isinstance(module, nn.Conv2d) for module in self.modules())

    @property
    def deblocking(self) -> nn.Module:
        """The first stage."""
        return self.car

    def forward(self, image: Tensor) -> Tensor:
        """The enlarged image."""
        return self.forward_stages(image)[1]

    def forward_stages(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The deblocked and the enlarged image."""
        deblocked: Tensor = self.car(image)
        restored: Tensor = self.sr(deblocked)
        return deblocked, restored
