"""Batches for networks that take pixels: degraded patches and their originals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from jpegrt.kernels import find_blocking_edges
from jpegrt.runtime.resize import enlarge
from jpegrt.training import tensor_pixels
from jpegrt.training.images import PatchSource
from jpegrt.training.pixel_degradation import (
    Compression,
    LowResolution,
    PixelDegradation,
    degrade,
)
from jpegrt.training.seeded_batches import CutBatches
from jpegrt.training.tensor_jpeg import ycbcr_from_rgb

PIXEL_SCALE = 1 / 255


@dataclass
class PixelBatch:
    """Centred samples / 255, float32, C = 1 of luma or 3 of RGB.

    image: the network's input: (N, C, H / scale, W / scale), or already enlarged, (N, C, H, W).
    low: (N, C, H / scale, W / scale), the reduced image before its compression; None where scales
        are mixed in a batch.
    high: (N, C, H, W), the original.
    keys: (N, 1, H / scale, W / scale), uint8, 0 at the image's blocking edges; None if not asked for.
    """

    image: Tensor
    low: Tensor | None
    high: Tensor
    keys: Tensor | None = None


@dataclass
class CutPixels:
    """What a batch is made of: RGB patches, uint8 (N, S, S, 3), and of each the scale and the
    compression, None for none."""

    patches: Tensor
    scales: tuple[int, ...]
    compressions: tuple[Compression | None, ...]


class PixelBatches(CutBatches[CutPixels, PixelBatch]):
    """Batches drawn from `source`, of patches of `patch_px` of the original.

    components: 1 for luma, 3 for RGB. enlarged: the network takes images enlarged to their
    original's size; then scales are mixed in a batch, else a batch has one. keys: batches have them.
    The patches of `source` have to be large enough for every scale: `source_px`.
    """

    def __init__(
        self,
        source: PatchSource,
        degradation: PixelDegradation,
        *,
        components: int,
        enlarged: bool,
        patch_px: int,
        batch: int,
        seed: int,
        first_step: int,
        keys: bool = False,
    ) -> None:
        super().__init__(source, batch=batch, seed=seed, first_step=first_step)
        self._keys = keys
        self._degradation = degradation
        self._components = components
        self._enlarged = enlarged
        self._patch_px = patch_px

    def cut(self, rng: np.random.Generator) -> CutPixels:
        common_scale = int(rng.choice(self._degradation.scales))
        patches, scales, compressions = [], [], []
        for _ in range(self._batch):
            scale = int(rng.choice(self._degradation.scales)) if self._enlarged else common_scale
            patches.append(self._source.draw(rng))
            scales.append(scale)
            compressions.append(self._degradation.draw_compression(scale, rng))
        return CutPixels(torch.from_numpy(np.stack(patches)), tuple(scales), tuple(compressions))

    def degrade(self, cut: CutPixels) -> PixelBatch:
        pairs = []
        for rgb, scale, compression in zip(
            cut.patches.numpy(), cut.scales, cut.compressions, strict=True
        ):
            side = source_px(self._patch_px, (scale,))
            patch = components_of(rgb, self._components)[:side, :side]
            pairs.append(pair_of(patch, scale, compression, self._enlarged).cut(self._patch_px))
        return collate(pairs, keys=self._keys)

    @property
    def device_can(self) -> bool:
        """WebP and the keys are the CPU's."""
        return not self._degradation.webp_qualities and not self._keys

    def degrade_on_device(self, cut: CutPixels) -> PixelBatch:
        """Patches of one scale and sampling together; order is kept."""
        groups: dict[tuple[int, str], list[int]] = {}
        for n, (scale, compression) in enumerate(zip(cut.scales, cut.compressions, strict=True)):
            # Of what is not compressed any sampling will do.
            sampling = compression.sampling if compression else self._degradation.samplings[0]
            groups.setdefault((scale, sampling), []).append(n)
        batches = [
            self._degrade_alike(cut, chosen, scale, sampling)
            for (scale, sampling), chosen in groups.items()
        ]
        order = [n for chosen in groups.values() for n in chosen]
        return _joined(batches, sorted(range(len(order)), key=order.__getitem__))

    def _degrade_alike(
        self, cut: CutPixels, chosen: list[int], scale: int, sampling: str
    ) -> PixelBatch:
        patches, compressions = cut.patches[chosen], [cut.compressions[n] for n in chosen]
        qualities = [compression.quality if compression else None for compression in compressions]
        side = source_px(self._patch_px, (scale,))
        high = patches[:, :side, :side].permute(0, 3, 1, 2)
        if self._components == 1:
            high = ycbcr_from_rgb(high)[:, :1]
        clean, compressed = tensor_pixels.degrade(high, scale, qualities, sampling)
        if not self._enlarged:
            return PixelBatch(centred(compressed), centred(clean), centred(high))
        px = self._patch_px
        image = tensor_pixels.enlarged(compressed, scale)[..., :px, :px]
        return PixelBatch(centred(image), None, centred(high[..., :px, :px]))


def _joined(batches: Sequence[PixelBatch], order: list[int]) -> PixelBatch:
    """The patches of several batches, in that order of theirs."""
    lows = [batch.low for batch in batches if batch.low is not None]
    return PixelBatch(
        torch.cat([batch.image for batch in batches])[order],
        torch.cat(lows)[order] if lows else None,
        torch.cat([batch.high for batch in batches])[order],
    )


def source_px(patch_px: int, scales: Sequence[int]) -> int:
    """The least side that has a patch of `patch_px` and a whole number of every scale's pixels."""
    return max(-(-patch_px // scale) * scale for scale in scales)


def components_of(rgb: NDArray[np.uint8], components: int) -> NDArray[np.uint8]:
    """(H, W) luma (ITU-T T.871) of (H, W, 3) RGB, or the RGB as it is."""
    return np.asarray(Image.fromarray(rgb).convert("L")) if components == 1 else rgb


@dataclass(frozen=True)
class Pair:
    """One degraded image and its original, in levels: (H, W) or (H, W, 3)."""

    image: NDArray[np.uint8] | NDArray[np.float64]
    low: NDArray[np.uint8] | None
    high: NDArray[np.uint8]

    def cut(self, side: int) -> "Pair":
        """Its top left square, `side` pixels of the original wide."""
        if self.low is not None:
            return self  # whole: its scale divides the side
        return Pair(self.image[:side, :side], None, self.high[:side, :side])


def pair_of(
    original: NDArray[np.uint8], scale: int, compression: Compression | None, enlarged: bool
) -> Pair:
    """original: (H, W) or (H, W, 3), H and W multiples of scale."""
    found: LowResolution = degrade(original, scale, compression)
    if enlarged:
        return Pair(enlarge(found.compressed, scale), None, original)
    return Pair(found.compressed, found.clean, original)


def collate(pairs: Sequence[Pair], *, keys: bool) -> PixelBatch:
    """Stacks pairs of one size."""
    lows = [pair.low for pair in pairs if pair.low is not None]
    image = tensor_of([pair.image for pair in pairs])
    return PixelBatch(
        image,
        tensor_of(lows) if lows else None,
        tensor_of([pair.high for pair in pairs]),
        torch.from_numpy(find_blocking_edges(image.numpy())) if keys else None,
    )


def tensor_of(images: Sequence[NDArray[np.uint8] | NDArray[np.float64]]) -> Tensor:
    """Levels, (H, W) or (H, W, 3) each, into centred samples, (N, C, H, W)."""
    stacked = np.stack([np.atleast_3d(image) for image in images]).transpose(0, 3, 1, 2)
    return centred(torch.from_numpy(np.ascontiguousarray(stacked)))


def centred(levels: Tensor) -> Tensor:
    """Centred samples / 255, float32."""
    return (levels.float() - 128) * PIXEL_SCALE
