"""JSCNN: one residual network for JPEG super-resolution, super-resolution and deblocking.

F. Xu, Z. Yan, G. Xiao, K. Zhang, W. Zuo, "JPEG Image Super-Resolution via Deep Residual Network".
31 layers of 3x3 convolutions with zero padding, 64 channels, batch norm, 14 residual units in one
big skip that adds the input (section 2.1): the network predicts what the input lacks. It knows
neither quality nor scale.

Tensors, float32:
    image     (N, 1, H, W)   luma, centred samples / 255; of an enlargement, already enlarged by
                             bicubic interpolation
    restored  (N, 1, H, W)   likewise
Any size of at least 1 x 1. Trained by the mean squared error of `restored` (section 2.2).

Where the paper is silent or leaves a choice:
- 14 units of two layers, the first and the last make 30. The 31st is a layer before the last,
  inside no unit.
- It follows He et al. (2016), "identity mappings and after-addition activation". There, that says
  that nothing but the addition is on the skip: batch norm and ReLU come before each convolution
  (`activation = "before"`). The words also fit a ReLU after every addition, as in He et al. (2015):
  `activation = "after"`, which folds into the convolutions wholly.
- Convolutions before a batch norm have no bias, which it would cancel.
- Weights begin as the paper says (He et al. 2015), but for the last layer, which begins at zero: a
  new network changes nothing.
"""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.networks.linear_start import begin_at_zero

Activation = Literal["before", "after"]


def _conv(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)


class PreActivatedLayer(nn.Sequential):
    """conv(relu(norm(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.BatchNorm2d(channels), nn.ReLU(), _conv(channels))


class PostActivatedLayer(nn.Sequential):
    """relu(norm(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__(_conv(channels), nn.BatchNorm2d(channels), nn.ReLU())


class PreActivatedUnit(nn.Module):
    """x + layer(layer(x)), layers with their activation before (He et al. 2016, figure 4e)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(PreActivatedLayer(channels) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.layers(x)
        return x + residual


class PostActivatedUnit(nn.Module):
    """relu(x + norm(conv(layer(x)))), activation after (He et al. 2016, figure 4a)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PostActivatedLayer(channels), _conv(channels), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.layers(x)
        return F.relu(x + residual)


class JSCNN(nn.Module):
    """The whole network, 2 * units + 3 layers. Training and export call it with the image."""

    domain: ClassVar[str] = "luma"
    enlargement: ClassVar[int] = 1
    minimum_px: ClassVar[int] = 1
    multiple_px: ClassVar[int] = 1

    def __init__(
        self, channels: int = 64, units: int = 14, activation: Activation = "before"
    ) -> None:
        super().__init__()
        before = activation == "before"
        first = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        body: list[nn.Module]
        if before:
            body = [first, *(PreActivatedUnit(channels) for _ in range(units))]
            body += [PreActivatedLayer(channels), nn.BatchNorm2d(channels), nn.ReLU()]
        else:
            body = [first, nn.BatchNorm2d(channels), nn.ReLU()]
            body += [PostActivatedUnit(channels) for _ in range(units)]
            body += [PostActivatedLayer(channels)]
        self.body = nn.Sequential(*body)
        self.last = nn.Conv2d(channels, 1, 3, padding=1)
        for module in self.body.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        begin_at_zero(self.last)

    @property
    def receptive_field_px(self) -> int:
        """How far an input sample can change the output, to either side: a pixel a layer."""
        return sum(isinstance(module, nn.Conv2d) for module in self.modules())

    def forward(self, image: Tensor) -> Tensor:
        """The restored image."""
        residual: Tensor = self.last(self.body(image))
        return image + residual
