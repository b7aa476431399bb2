"""Bicubic enlargement as a fixed layer, the same wherever the network runs."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _cubic(distance: float) -> float:
    """Keys' kernel (1981), a = -1/2."""
    d = abs(distance)
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return max(2 - d, 0) ** 2 * (1 - d) / 2


class BicubicUpsampling(nn.Module):
    """(N, channels, H, W) to (N, channels, scale * H, scale * W) by cubic convolution.

    Keys, a = -1/2, pixel centres on pixel centres, the nearest samples beyond the edges:
    `jpegrt.kernels.reference.bicubic`. A grouped 5x5 convolution and a shuffle.
    """

    kernel: Tensor

    def __init__(self, scale: int, channels: int) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        centres = [(phase + 0.5) / scale - 0.5 for phase in range(scale)]
        taps = torch.tensor([[_cubic(tap - c) for tap in range(-2, 3)] for c in centres])
        kernel = torch.einsum("yi,xj->yxij", taps, taps).reshape(scale * scale, 1, 5, 5)
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
        return F.pixel_shuffle(F.conv2d(padded, self.kernel, groups=self.channels), self.scale)
