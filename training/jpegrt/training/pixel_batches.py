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
from jpegrt.training.images import PatchSource
from jpegrt.training.pixel_degradation import (
    Compression,
    LowResolution,
    PixelDegradation,
    degrade,
)
from jpegrt.training.seeded_batches import SeededBatches

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


class PixelBatches(SeededBatches[PixelBatch]):
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
        super().__init__(seed, first_step)
        self._source = source
        self._keys = keys
        self._degradation = degradation
        self._components = components
        self._enlarged = enlarged
        self._patch_px = patch_px
        self._batch = batch

    def draw(self, rng: np.random.Generator) -> PixelBatch:
        common_scale = int(rng.choice(self._degradation.scales))
        pairs = []
        for _ in range(self._batch):
            scale = int(rng.choice(self._degradation.scales)) if self._enlarged else common_scale
            side = source_px(self._patch_px, (scale,))
            patch = components_of(self._source.draw(rng), self._components)[:side, :side]
            compression = self._degradation.draw_compression(scale, rng)
            pairs.append(pair_of(patch, scale, compression, self._enlarged).cut(self._patch_px))
        return collate(pairs, keys=self._keys)


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
    samples = (stacked.astype(np.float32) - 128) * np.float32(PIXEL_SCALE)
    return torch.from_numpy(np.ascontiguousarray(samples))
