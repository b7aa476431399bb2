"""Starts from which a network has only its gain to learn: it begins as plain interpolation."""

import torch
from torch import nn


@torch.no_grad()
def pass_through(convolution: nn.Conv2d, channels: int) -> None:
    """The first `channels` outputs begin as the inputs of their number; 3x3, zero padding."""
    convolution.weight[:channels] = 0
    nn.init.zeros_(convolution.bias[:channels])  # type: ignore[index]
    for channel in range(channels):
        convolution.weight[channel, channel, 1, 1] = 1


@torch.no_grad()
def interpolate(convolution: nn.Conv2d, scale: int, channels: int) -> None:
    """Behind the pixel shuffle, the first `channels` begin as bilinear interpolation of the inputs
    of their number, pixel centres on pixel centres; 3x3."""
    outputs = channels * scale * scale
    convolution.weight[:outputs] = 0
    nn.init.zeros_(convolution.bias[:outputs])  # type: ignore[index]
    centres = (torch.arange(scale) + 0.5) / scale - 0.5
    taps = (1 - (torch.arange(-1, 2) - centres[:, None]).abs()).clamp(min=0)
    kernels = torch.einsum("yi,xj->yxij", taps, taps).reshape(scale * scale, 3, 3)
    for channel in range(channels):
        first = channel * scale * scale
        convolution.weight[first : first + scale * scale, channel] = kernels


@torch.no_grad()
def begin_at_zero(convolution: nn.Conv2d) -> None:
    """What it is added to begins alone."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
