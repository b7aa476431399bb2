"""HR-CNN: from DCT coefficients to pixels in one convolutional network.

J. Niu, "End-to-End JPEG Decoding and Artifacts Suppression Using Heterogeneous Residual
Convolutional Neural Network". Its layers are F1 to F16: coded masks (eq. 2 and 4), a transposed
convolution that makes 64 full-size snapshots of the spectrum (eq. 5), two convolutions that decode
them to pixels (eq. 6), and four residual blocks that sharpen those (eq. 7 and 8).

Tensors, for one component of R x C blocks, all float32:
    spectrum  (N, 64, R, C)     dequantised coefficients / 255; plane 8 v + u is coefficient (v, u)
    restored  (N, 1, 8R, 8C)    centred samples / 255; never below -128 / 255, black
`spectrum` is what `spectrum_from_blocks(blocks, table, 1 / 255)` returns. Trained by the mean
squared error of `restored` (eq. 9).

Where the paper is silent or leaves a choice:
- It feeds the quantised levels, one network a quality. Here they are multiplied by their steps, so
  that one network serves every quality.
- Coefficients are of centred samples, as in a file. The ReLUs that close the segments keep samples
  of [0, 1] non-negative: the bias of F4 begins as the level shift, 128 / 255, and the output is
  centred again.
- Its "ReLU applied to F5" ends, by its own description, the decoding segment: that is F4.
- It names no activation within the residual blocks, which would then be linear. Here a leaky ReLU
  follows their two hidden layers (most of a plain one's channels died in the first minutes of
  training); `hidden_relu = false` leaves them out.
- The blocks work on centred samples: what stays of their mean, the 11x11 filters have to learn away.
- It does not say how weights begin. Here the decoding segment begins as the inverse DCT and every
  residual block as the identity: a new network is a plain decoder. That start is narrow: Adam
  should begin with steps of 1e-4, ten times that leaves it. `random_decoder = true` draws the
  decoding segment at random, which takes 1e-3.
- The 11x11 filters begin as a sliding cosine transform (`wave_filters`), not at random.
"""

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.networks.linear_start import begin_at_zero

BLOCK_PX = 8
FREQUENCIES = BLOCK_PX * BLOCK_PX
LEVEL_SHIFT = 128 / 255

NEGATIVE_SLOPE = 0.1  # of the leaky ReLUs

# Of the first layer of a residual block.
WIDE_PX = 11
WIDE_FILTERS = 64


class Features(NamedTuple):
    """What each segment makes (figure 4): snapshots (N, 64, 8R, 8C), decoded and restored (N, 1, 8R,
    8C), in centred samples / 255."""

    snapshots: Tensor
    decoded: Tensor
    restored: Tensor


class CodedMasks(nn.Module):
    """The fixed first layer: a plane of coefficients, (N, 1, 8R, 8C), into (N, 64, R, C).

    Each 8x8 mask has a single one (eq. 2, whose i is read as the column). The unpack kernel makes
    the same rearrangement, so that `HRCNN` begins behind it.
    """

    masks: Tensor

    def __init__(self) -> None:
        super().__init__()
        masks = torch.eye(FREQUENCIES).reshape(FREQUENCIES, 1, BLOCK_PX, BLOCK_PX)
        self.register_buffer("masks", masks, persistent=False)

    def forward(self, plane: Tensor) -> Tensor:
        return F.conv2d(plane, self.masks, stride=BLOCK_PX)


def inverse_dct_basis() -> Tensor:
    """(64, 8, 8): the block of samples that each coefficient stands for (T.81, A.3.3)."""
    u, x = torch.arange(BLOCK_PX, dtype=torch.float64)[:, None], torch.arange(BLOCK_PX)
    waves = torch.cos((2 * x + 1) * u * math.pi / 16) / 2
    waves[0] /= math.sqrt(2)
    basis = torch.einsum("vy,ux->vuyx", waves, waves).reshape(FREQUENCIES, BLOCK_PX, BLOCK_PX)
    return basis.float()


class DecodingSegment(nn.Module):
    """F2 to F4: spectrum to samples / 255, from 0 (eq. 5 and 6); linear but for the last ReLU."""

    def __init__(self, random: bool) -> None:
        super().__init__()
        self.snapshots = nn.ConvTranspose2d(FREQUENCIES, FREQUENCIES, BLOCK_PX, stride=BLOCK_PX)
        self.merge = nn.Conv2d(FREQUENCIES, 8, 5, padding=2)
        self.pixels = nn.Conv2d(8, 1, 3, padding=1)
        if not random:
            self._begin_as_inverse_dct()
        nn.init.constant_(self.pixels.bias, LEVEL_SHIFT)  # type: ignore[arg-type]

    @torch.no_grad()
    def _begin_as_inverse_dct(self) -> None:
        """Every frequency is its own snapshot; each row of them is a channel of `merge`."""
        for parameter in self.parameters():
            parameter.zero_()
        frequency = torch.arange(FREQUENCIES)
        self.snapshots.weight[frequency, frequency] = inverse_dct_basis()
        self.merge.weight[frequency // BLOCK_PX, frequency, 2, 2] = 1
        self.pixels.weight[0, :, 1, 1] = 1

    def linear(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Snapshots, and samples before the ReLU."""
        snapshots: Tensor = self.snapshots(spectrum)
        samples: Tensor = self.pixels(self.merge(snapshots))
        return snapshots, samples

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        snapshots, samples = self.linear(spectrum)
        return snapshots, F.relu(samples)

    def collapsed(self) -> "CollapsedDecoding":
        """The segment without its ReLU, with 1/85 of the multiplications."""
        return CollapsedDecoding(self)


class CollapsedDecoding(nn.Module):
    """`DecodingSegment.linear`'s samples by one transposed convolution: 14x14, stride 8, padding 3.

    Exact at the image's border too, where the segment pads zeros after its first and after its
    second layer. The first layer's biases, which end where the image does, are a 65th coefficient,
    1 in every block. What the second layer would make just outside of the image, and the last one
    must not see, is taken off the outermost rows and columns.
    """

    @torch.no_grad()
    def __init__(self, segment: DecodingSegment) -> None:
        super().__init__()
        biases = segment.snapshots.bias
        assert biases is not None
        constant = biases[None, :, None, None].expand(1, -1, BLOCK_PX, BLOCK_PX)
        blocks = torch.cat((segment.snapshots.weight, constant))
        # Each coefficient's answer: its block and 2 samples around it, then another one.
        merged = F.conv2d(F.pad(blocks, (4, 4, 4, 4)), segment.merge.weight)
        merge_bias, pixels = segment.merge.bias, segment.pixels.weight
        assert merge_bias is not None

        def answers(merged: Tensor, pixels: Tensor, stride: tuple[int, int]) -> nn.ConvTranspose2d:
            """Of `pixels`, a part of the last layer, to `merged`, a part of the first two's answer,
            (65, 8, height, width); to the merging biases too."""
            reach = [side - 1 for side in pixels.shape[2:]]
            weight = F.conv2d(F.pad(merged, (reach[1],) * 2 + (reach[0],) * 2), pixels)
            height, width = weight.shape[2:]
            layer = nn.ConvTranspose2d(
                FREQUENCIES + 1, 1, (height, width), stride, (3 if height > 1 else 0, 3)
            )
            layer.weight.copy_(weight)
            assert layer.bias is not None
            layer.bias.copy_(pixels.sum((2, 3)) @ merge_bias)
            return layer

        self.samples = answers(merged, pixels, (BLOCK_PX, BLOCK_PX))
        assert self.samples.bias is not None and segment.pixels.bias is not None
        self.samples.bias.add_(segment.pixels.bias)
        # Above the image, 1 sample from it, and below.
        self.above = answers(merged[:, :, 1:2], pixels[:, :, :1], (1, BLOCK_PX))
        self.below = answers(merged[:, :, -2:-1], pixels[:, :, 2:], (1, BLOCK_PX))
        # To its left and right, without the corners, which those above and below have.
        self.left = _Beside(merged[..., 1:2], merge_bias, pixels[..., :1])
        self.right = _Beside(merged[..., -2:-1], merge_bias, pixels[..., 2:])

    def forward(self, spectrum: Tensor) -> Tensor:
        """(N, 64, R, C) to (N, 1, 8R, 8C), before the ReLU."""
        coefficients = F.pad(spectrum, (0, 0, 0, 0, 0, 1), value=1.0)
        samples: Tensor = self.samples(coefficients)
        top = samples[:, :, :1] - self.above(coefficients[:, :, :1])
        bottom = samples[:, :, -1:] - self.below(coefficients[:, :, -1:])
        samples = torch.cat((top, samples[:, :, 1:-1], bottom), 2)
        left = samples[..., :1] - self.left(coefficients[..., :1])
        right = samples[..., -1:] - self.right(coefficients[..., -1:])
        return torch.cat((left, samples[..., 1:-1], right), 3)


class _Beside(nn.Module):
    """What a column of `merged` just outside of the image adds to the column within."""

    def __init__(self, merged: Tensor, merge_bias: Tensor, pixels: Tensor) -> None:
        super().__init__()
        self.merged = nn.ConvTranspose2d(
            FREQUENCIES + 1, len(merge_bias), (12, 1), (BLOCK_PX, 1), (2, 0)
        )
        self.pixels = nn.Conv2d(len(merge_bias), 1, (3, 1), padding=(1, 0), bias=False)
        assert self.merged.bias is not None
        self.merged.weight.copy_(merged)
        self.merged.bias.copy_(merge_bias)
        self.pixels.weight.copy_(pixels)

    def forward(self, coefficients: Tensor) -> Tensor:
        samples: Tensor = self.pixels(self.merged(coefficients))
        return samples


def wave_filters() -> Tensor:
    """(64, 1, 11, 11): the 32 slowest two-dimensional cosines but the constant, and their negatives.

    Of norm 1. Behind a ReLU, a pair is all of a sliding transform's coefficient, which the next
    layer can shrink.
    """
    frequency = torch.arange(WIDE_PX, dtype=torch.float64)
    waves = torch.cos((2 * torch.arange(WIDE_PX) + 1) * frequency[:, None] * math.pi / 22)
    waves /= waves.norm(dim=1, keepdim=True)
    order = (frequency[:, None] ** 2 + frequency**2).flatten().argsort(stable=True)
    slowest = order[1 : 1 + WIDE_FILTERS // 2]
    filters = torch.einsum("vy,ux->vuyx", waves, waves).flatten(0, 1)[slowest]
    return torch.cat((filters, -filters))[:, None].float()


class DetailBlock(nn.Module):
    """x + conv1x1(leaky(conv7x7(leaky(conv11x11(x))))) (eq. 7); the identity when new."""

    def __init__(self, hidden_relu: bool) -> None:
        super().__init__()
        self.wide = nn.Conv2d(1, WIDE_FILTERS, WIDE_PX, padding=5)
        self.narrow = nn.Conv2d(WIDE_FILTERS, 16, 7, padding=3)
        self.project = nn.Conv2d(16, 1, 1)
        self.activation = nn.LeakyReLU(NEGATIVE_SLOPE) if hidden_relu else nn.Identity()
        begin_at_zero(self.project)
        self.wide.weight.data.copy_(wave_filters())
        nn.init.zeros_(self.wide.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.activation(self.narrow(self.activation(self.wide(x))))
        residual: Tensor = self.project(hidden)
        return x + residual


class HRCNN(nn.Module):
    """The whole network: 275,089 parameters decode, 232,068 sharpen (table III).

    Training and export call it with the spectrum. Any number of blocks will do.
    """

    domain: ClassVar[str] = "spectral"
    enlargement: ClassVar[int] = 1
    minimum_px: ClassVar[int] = BLOCK_PX
    multiple_px: ClassVar[int] = BLOCK_PX

    def __init__(self, hidden_relu: bool = True, random_decoder: bool = False) -> None:
        super().__init__()
        self.decoding = DecodingSegment(random_decoder)
        self.detail = nn.Sequential(*(DetailBlock(hidden_relu) for _ in range(4)))

    @property
    def receptive_field_px(self) -> int:
        """How far, in samples, a coefficient (where its block has it) can change the output."""
        reach_of_block = (2 + 1) + len(self.detail) * (5 + 3)
        return reach_of_block + BLOCK_PX - 1

    def forward(self, spectrum: Tensor) -> Tensor:
        """Restored samples."""
        return self.forward_features(spectrum).restored

    def forward_features(self, spectrum: Tensor) -> Features:
        """Restored samples, and what the segments before made of them."""
        snapshots, samples = self.decoding(spectrum)
        decoded = samples - LEVEL_SHIFT
        restored = F.relu(self.detail(decoded) + LEVEL_SHIFT)  # eq. 8
        return Features(snapshots, decoded, restored - LEVEL_SHIFT)
