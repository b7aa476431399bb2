"""Training with the rounding that int8 inference brings, so that the weights learn to bear it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.networks.cellnet import Head, ResidualBlock

_RANGE_DECAY = 0.99


class Uint8Rounding(nn.Module):
    """Rounds a tensor to 256 levels; gradients pass as if it did not.

    The levels span the lowest and the highest value of an image, averaged over images, and 0 is one
    of them: as `jpegrt.export.quantise` sets them.
    """

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        # torch.fake_quantize_per_tensor_affine does this too, four times slower on a CPU.
        with torch.no_grad():
            if self.training:
                self._follow(x)
            scale = max(float(self.high - self.low), 1e-6) / 255
            zero_point = round(-float(self.low) / scale)
            levels = (x / scale).round_().clamp_(-zero_point, 255 - zero_point)
            error = levels.mul_(scale).sub_(x)
        return x + error

    def _follow(self, x: Tensor) -> None:
        low, high = x.amin((1, 2, 3)).float().mean(), x.amax((1, 2, 3)).float().mean()
        decay = _RANGE_DECAY if self.high > self.low else 0.0
        self.low.lerp_(low.clamp(max=0), 1 - decay)
        self.high.lerp_(high.clamp(min=0), 1 - decay)


def round_activations(network: nn.Module) -> nn.ModuleList:
    """From now on, `network` and its copies round every activation that the int8 graphs round.

    That is the output of each convolution (after its ReLU, where one follows) and each addition.
    Returns the roundings, which are no part of the network; their ranges stand still in `eval`.
    """
    roundings = nn.ModuleList()
    for name, module in network.named_modules():
        if isinstance(module, ResidualBlock):
            for rounded in (module.expand, module.project, module):
                roundings.append(_round_output(rounded, relu=rounded is module.expand))
        elif isinstance(module, Head):
            roundings.append(_round_output(module.conv))
        elif isinstance(module, nn.Conv2d) and ("stem" in name or "join" in name):
            roundings.append(_round_output(module))
    return roundings


def _round_output(module: nn.Module, relu: bool = False) -> Uint8Rounding:
    rounding = Uint8Rounding()

    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        rounded: Tensor = rounding(F.relu(output) if relu else output)
        return rounded

    module.register_forward_hook(hook)
    return rounding
