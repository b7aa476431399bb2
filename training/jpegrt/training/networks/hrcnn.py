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
- It names no activation within the residual blocks, which would then be linear. Here a ReLU
  follows their two hidden layers; `hidden_relu = false` leaves them out.
- It does not say how weights begin. Here the decoding segment begins as the inverse DCT and every
  residual block as the identity: a new network is a plain decoder. That start is narrow: Adam
  should begin with steps of 1e-4, ten times that leaves it. `random_decoder = true` draws the
  decoding segment at random, which takes 1e-3.
- The 11x11 filters begin without a mean, and larger: their inputs are samples of [0, 1], whose
  details are what they have to tell apart. In as many steps it gains a quarter more.
"""

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK_PX = 8
FREQUENCIES = BLOCK_PX * BLOCK_PX
LEVEL_SHIFT = 128 / 255

# The rest of a block's reach after collapsing: 8 + 2 * 3 samples.
COLLAPSED_PX = 14

# About the range of samples over that of their details.
DETAIL_GAIN = 8.0


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

    @torch.no_grad()
    def collapsed(self) -> nn.ConvTranspose2d:
        """The segment without its ReLU as one layer, 64 to 1 channels, 14x14, stride 8, padding 3.

        Equal to `linear` but for the image's outermost 3 samples, where the segment pads zeros
        after its first and its second layer. 1/87 of the multiplications.
        """
        layer = nn.ConvTranspose2d(FREQUENCIES, 1, COLLAPSED_PX, stride=BLOCK_PX, padding=3)
        # The answers to each coefficient of the middle one of 3 x 3 blocks, and to none.
        coefficients = torch.zeros(FREQUENCIES + 1, FREQUENCIES, 3, 3)
        coefficients[torch.arange(FREQUENCIES), torch.arange(FREQUENCIES), 1, 1] = 1
        samples = self.linear(coefficients.to(self.pixels.weight))[1]
        constant = samples[-1:]
        reached = slice(BLOCK_PX - 3, BLOCK_PX - 3 + COLLAPSED_PX)
        layer.weight.copy_((samples[:-1] - constant)[:, :, reached, reached])
        assert layer.bias is not None
        layer.bias.fill_(float(constant[0, 0, 12, 12]))
        return layer


class DetailBlock(nn.Module):
    """x + conv1x1(relu(conv7x7(relu(conv11x11(x))))) (eq. 7); the identity when new."""

    def __init__(self, hidden_relu: bool) -> None:
        super().__init__()
        self.wide = nn.Conv2d(1, 64, 11, padding=5)
        self.narrow = nn.Conv2d(64, 16, 7, padding=3)
        self.project = nn.Conv2d(16, 1, 1)
        self.activation = nn.ReLU() if hidden_relu else nn.Identity()
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]
        self._begin_with_details()

    @torch.no_grad()
    def _begin_with_details(self) -> None:
        filters = self.wide.weight
        filters -= filters.mean((2, 3), keepdim=True)
        filters *= DETAIL_GAIN

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
        snapshots, decoded = self.decoding(spectrum)
        restored = F.relu(self.detail(decoded))  # eq. 8
        return Features(snapshots, decoded - LEVEL_SHIFT, restored - LEVEL_SHIFT)
