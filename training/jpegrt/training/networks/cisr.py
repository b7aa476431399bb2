"""CISR: artefact removal and enlargement that help each other, unfolded.

H. Luo, F. Zhou, G. Liao, G. Qiu, "Super-resolving Compressed Images via Parallel and Series
Integration of Artefacts Removal and Resolution Enhancement". Two modules of one structure (figure
3): ARM estimates the clean low-resolution image y from the compressed one z and the enlarged
estimate x; REM estimates x from z and y. J times in turn, with shared weights (eq. 7); x begins as
bicubic interpolation of z.

Tensors, float32:
    image  (N, 3, H, W)     z: R, G, B of the compressed image, centred samples / 255
    keys   (N, 1, H, W)     d: 0 at blocking edges of z, else 1, of any dtype, as
                            `jpegrt.kernels.find_blocking_edges` returns them; None for 1 everywhere
    low    (N, 3, H, W)     y: the deblocked image
    high   (N, 3, sH, sW)   x: the enlarged image
Any size of at least 1 x 1. Time and memory of the non-local operator: (H * W)^2 and H * W. Trained
by L1 losses on both outputs of every unfolding (eq. 8): `jpegrt.training.losses.cisr`.

The published models: tiny is `groups = 2, unfoldings = 5` (3.97 M parameters at x2), full is
`groups = 5, unfoldings = 3` (9.55 M).

Where the paper is silent or leaves a choice:
- Patches are 3x3 of all components, one around each pixel; overlapping results are averaged, h^2 is
  at least 1e-6, and u = z where d is 0 everywhere: see `jpegrt.kernels.non_local`.
- h begins at 30 levels, the constant of its traditional operator.
- d is of our own detector, not that of its reference 53.
- Backbones are as in RCAN: reduction 16, a convolution after the groups, within a skip. The
  enlargement is a convolution to 64 s^2 channels, a shuffle and a convolution to RGB, which makes
  the published count; "s^2 filters" to the letter is 3.82 M.
- (s^2 + 1) / 2, the number of the copy that is taken as registered, is rounded half up.
- The convolution that ends each module begins at zero: new modules return their long skip.

The ablations are arguments: `connection` (table 4), `shared_weights` (table 5), `non_local` and
`long_skip` (table 6).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jpegrt.training.networks.bicubic import BicubicUpsampling
from jpegrt.training.networks.linear_start import begin_at_zero
from jpegrt.training.networks.non_local import non_local

COMPONENTS = 3
TRADITIONAL_H = 30 / 255  # section 4.3.5

Connection = Literal["unfolded", "arm-rem", "rem-arm", "parallel"]
NonLocalKind = Literal["modified", "traditional", "none"]
LongSkip = Literal["adaptive", "z", "g", "u", "none"]


class Estimate(NamedTuple):
    """What one unfolding makes: low (N, 3, H, W), None where nothing estimates it, and high (N, 3,
    sH, sW)."""

    low: Tensor | None
    high: Tensor


@dataclass(frozen=True)
class ModuleOptions:
    """What both modules have in common; as of `CISR`."""

    channels: int
    groups: int
    blocks: int
    reduction: int
    non_local: NonLocalKind
    long_skip: LongSkip


class ChannelAttentionBlock(nn.Module):
    """x + a * conv(relu(conv(x))), a the channels' attention, from their means (RCAN, eq. 7 to 10)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.expand, self.project = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.project(F.relu(self.expand(x)))
        means = residual.mean((2, 3), keepdim=True)
        attention = torch.sigmoid(self.excite(F.relu(self.squeeze(means))))
        return x + attention * residual


class Skipped(nn.Module):
    """x + conv(layers(x))."""

    def __init__(self, channels: int, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.layers(x)
        return x + residual


def backbone(planes: int, options: ModuleOptions) -> nn.Sequential:
    """RCAN's residual groups (section 3.2), from `planes` to `channels`."""
    channels = options.channels
    groups = (
        Skipped(
            channels,
            *(ChannelAttentionBlock(channels, options.reduction) for _ in range(options.blocks)),
        )
        for _ in range(options.groups)
    )
    return nn.Sequential(nn.Conv2d(planes, channels, 3, padding=1), Skipped(channels, *groups))


def _light_network(planes: int, kernel_px: int, outputs: int) -> nn.Sequential:
    """The two layers that estimate h and the weights of the long skip (section 4.1)."""
    return nn.Sequential(
        nn.Conv2d(planes, 64, kernel_px, padding=kernel_px // 2),
        nn.ReLU(),
        nn.Conv2d(64, outputs, 1),
    )


class ModifiedNonLocal(nn.Module):
    """u of eq. 9 and 10, with `width`, the network that estimates h(m) from g."""

    def __init__(self) -> None:
        super().__init__()
        self.width = _light_network(COMPONENTS, 3, 1)
        nn.init.constant_(self.width[2].bias, TRADITIONAL_H)  # type: ignore[arg-type]

    def forward(self, image: Tensor, guide: Tensor, keys: Tensor | None) -> Tensor:
        return non_local(guide, image, self.width(guide), keys)


class TraditionalNonLocal(nn.Module):
    """Non-local means of z by itself: h is 30 levels, no guide, no mask (section 4.3.5)."""

    def forward(self, image: Tensor, guide: Tensor, keys: Tensor | None) -> Tensor:
        return non_local(image, image, TRADITIONAL_H)


class RestorationModule(nn.Module):
    """ARM (figure 3a, `copies_across` = s and `enlargement` = 1) or REM (figure 3b, 1 and s).

    `forward` is all of it. With a kernel for the non-local operator, it is these steps: `copies_of`
    and `guide_of` the auxiliary image, `non_local.width(guide)`, the kernel, `restore`.
    """

    def __init__(self, copies_across: int, enlargement: int, options: ModuleOptions) -> None:
        super().__init__()
        self.copies_across, self._long_skip = copies_across, options.long_skip
        self.non_local: nn.Module | None = None
        if options.non_local != "none":
            modified = options.non_local == "modified"
            self.non_local = ModifiedNonLocal() if modified else TraditionalNonLocal()
        candidates = 2 if self.non_local is None else 3
        planes = COMPONENTS * (copies_across**2 + candidates - 1)
        self.backbone = backbone(planes, options)
        self.upsampling: nn.Module = nn.Identity()
        tail: list[nn.Module] = []
        if enlargement > 1:
            self.upsampling = BicubicUpsampling(enlargement, COMPONENTS)
            wide = options.channels * enlargement**2
            tail.append(nn.Conv2d(options.channels, wide, 3, padding=1))
            tail.append(nn.PixelShuffle(enlargement))
        last = nn.Conv2d(options.channels, COMPONENTS, 3, padding=1)
        begin_at_zero(last)
        self.tail = nn.Sequential(*tail, last)
        self.combination: nn.Module | None = None
        if options.long_skip == "adaptive":
            layers = _light_network(COMPONENTS * candidates, 1, candidates)
            self.combination = nn.Sequential(*layers, nn.Softmax(1))

    def copies_of(self, auxiliary: Tensor) -> Tensor:
        """Space to depth: (N, 3 r^2, H, W), R's r^2 copies before G's and B's."""
        return F.pixel_unshuffle(auxiliary, self.copies_across)

    def guide_of(self, copies: Tensor) -> Tensor:
        """g: the copy whose number is (r^2 + 1) / 2, rounded half up, from 1 on."""
        number = (self.copies_across**2 + 2) // 2
        return copies[:, number - 1 :: self.copies_across**2]

    def restore(
        self, image: Tensor, copies: Tensor, guide: Tensor, filtered: Tensor | None
    ) -> Tensor:
        """Everything behind the non-local operator, of which `filtered` is u."""
        others = (image,) if filtered is None else (image, filtered)
        restored: Tensor = self.tail(self.backbone(torch.cat((copies, *others), 1)))
        skip = self._skip(image, guide, filtered)
        if skip is None:
            return restored
        upsampled: Tensor = self.upsampling(skip)
        return restored + upsampled

    def _skip(self, image: Tensor, guide: Tensor, filtered: Tensor | None) -> Tensor | None:
        """v of eq. 11, or what an ablation has in its place."""
        if self.combination is None:
            single = {"z": image, "g": guide, "u": filtered, "none": None}
            return single[self._long_skip]
        candidates = (image, guide) if filtered is None else (image, guide, filtered)
        weights = self.combination(torch.cat(candidates, 1)).split(1, 1)
        terms = [weight * candidate for weight, candidate in zip(weights, candidates, strict=True)]
        return torch.stack(terms).sum(0)

    def forward(self, image: Tensor, auxiliary: Tensor, keys: Tensor | None) -> Tensor:
        copies = self.copies_of(auxiliary)
        guide = self.guide_of(copies)
        filtered: Tensor | None = None
        if self.non_local is not None:
            filtered = self.non_local(image, guide, keys)
        return self.restore(image, copies, guide, filtered)


class CISR(nn.Module):
    """The whole network. Export calls `forward` or `forward_stages`, training the latter.

    unfoldings: J. connection: "unfolded" is the paper's; its rivals of table 4 go through both
    modules once: "arm-rem" gives REM only what ARM made, "rem-arm" cleans what REM made, at its
    size, and estimates no `low`, "parallel" mixes both modules' answers to z with a 3x3
    convolution, which begins as taking REM's.
    """

    domain: ClassVar[str] = "rgb"
    minimum_px: ClassVar[int] = 1
    multiple_px: ClassVar[int] = 1
    # The whole image: channel attention and the non-local operator read all of it.
    receptive_field_px: ClassVar[None] = None

    def __init__(
        self,
        scale: Literal[2, 3, 4] = 2,
        groups: int = 2,
        unfoldings: int = 5,
        blocks: int = 12,
        channels: int = 64,
        reduction: int = 16,
        shared_weights: bool = True,
        connection: Connection = "unfolded",
        non_local: NonLocalKind = "modified",
        long_skip: LongSkip = "adaptive",
    ) -> None:
        """Raises ValueError for arguments that exclude each other."""
        super().__init__()
        if connection != "unfolded" and unfoldings != 1:
            raise ValueError(
                f'connection "{connection}" has no unfoldings: set unfoldings = 1, got {unfoldings}'
            )
        if non_local == "none" and long_skip == "u":
            raise ValueError(
                'long_skip "u" needs the non-local operator that non_local "none" drops'
            )
        if channels < reduction:
            raise ValueError(f"channels must be at least reduction, got {channels} and {reduction}")
        options = ModuleOptions(channels, groups, blocks, reduction, non_local, long_skip)
        self.enlargement, self.unfoldings = scale, unfoldings
        self.connection = connection
        copies = 1 if connection == "rem-arm" else scale
        different = 1 if shared_weights else unfoldings
        self.arm = nn.ModuleList(RestorationModule(copies, 1, options) for _ in range(different))
        self.rem = nn.ModuleList(RestorationModule(1, scale, options) for _ in range(different))
        self.upsampling = BicubicUpsampling(scale, COMPONENTS)
        self.fusion: nn.Conv2d | None = None
        if connection == "parallel":
            self.fusion = nn.Conv2d(2 * COMPONENTS, COMPONENTS, 3, padding=1)
            nn.init.dirac_(self.fusion.weight.data[:, COMPONENTS:])
            nn.init.zeros_(self.fusion.weight.data[:, :COMPONENTS])
            nn.init.zeros_(self.fusion.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, keys: Tensor | None = None) -> Tensor:
        """The last unfolding's enlarged image."""
        return self.forward_stages(image, keys)[-1].high

    def forward_stages(self, image: Tensor, keys: Tensor | None = None) -> list[Estimate]:
        """The estimates of every unfolding; the last is the result."""
        if self.connection != "unfolded":
            return [self._forward_once(image, keys)]
        estimates = []
        high: Tensor = self.upsampling(image)
        for j in range(self.unfoldings):
            low: Tensor = self.arm[j % len(self.arm)](image, high, keys)
            high = self.rem[j % len(self.rem)](image, low, keys)
            estimates.append(Estimate(low, high))
        return estimates

    def _forward_once(self, image: Tensor, keys: Tensor | None) -> Estimate:
        arm, rem = self.arm[0], self.rem[0]
        if self.connection == "rem-arm":
            enlarged = rem(image, image, keys)
            if keys is not None:
                keys = F.interpolate(keys.float(), scale_factor=self.enlargement)
            return Estimate(None, arm(enlarged, enlarged, keys))
        low = arm(image, self.upsampling(image), keys)
        if self.fusion is None:
            return Estimate(low, rem(low, low, keys))
        high = rem(image, image, keys)
        return Estimate(low, self.fusion(torch.cat((self.upsampling(low), high), 1)))
