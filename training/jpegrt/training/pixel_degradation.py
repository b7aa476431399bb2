"""Degradation of training patches for networks that take pixels: reduced, then compressed.

Reducing is MATLAB's antialiased bicubic interpolation, rounded to 8 bits; JPEGs are Pillow's
(libjpeg-turbo), decoded by it again, with pixels that equal the native decoder's.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime.evaluation import SUBSAMPLINGS, encode
from jpegrt.runtime.resize import reduce

SCALES = (1, 2, 3, 4)


@dataclass(frozen=True)
class PixelDegradation:
    """How patches are reduced and compressed.

    scales: by how much patches are reduced, one drawn for each patch; repeat one to have it often.
    quality: lowest and highest quality factor.
    quality_skew: 1 draws qualities uniformly; more favours low ones (a uniform number from 0 to 1
        is raised to it).
    qualities: if any, one of these is drawn, instead of `quality`.
    uncompressed: share of the reduced patches that are not compressed: plain super-resolution.
    samplings: "grey" for networks that take luma; one of "444", "422" and "420" is drawn for each
        patch of networks that take RGB.
    """

    scales: tuple[int, ...] = (1,)
    quality: tuple[int, int] = (10, 95)
    quality_skew: float = 1.0
    qualities: tuple[int, ...] = ()
    uncompressed: float = 0.0
    samplings: tuple[str, ...] = ("grey",)

    def __post_init__(self) -> None:
        if not self.scales or set(self.scales) - set(SCALES):
            raise ValueError(f"scales must be some of {SCALES}, got {self.scales}")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise ValueError(f"quality must be a rising pair within 1 to 100, got {self.quality}")
        if not all(1 <= quality <= 100 for quality in self.qualities):
            raise ValueError(f"qualities must be within 1 to 100, got {self.qualities}")
        if not 0 < self.quality_skew < np.inf:
            raise ValueError(f"quality_skew must be positive, got {self.quality_skew}")
        if not 0 <= self.uncompressed <= 1:
            raise ValueError(f"uncompressed must be from 0 to 1, got {self.uncompressed}")
        if self.uncompressed and max(self.scales) == 1:
            raise ValueError("uncompressed patches of scale 1 are not degraded: set it to 0")
        if self.samplings != ("grey",) and (
            not self.samplings or set(self.samplings) - set(SUBSAMPLINGS)
        ):
            raise ValueError(
                f'samplings must be ["grey"], or some of {SUBSAMPLINGS}, got {self.samplings}'
            )

    def draw_quality(self, scale: int, rng: np.random.Generator) -> int | None:
        """A quality factor, or None for no compression."""
        if rng.random() < self.uncompressed and scale > 1:
            return None
        if self.qualities:
            return int(rng.choice(self.qualities))
        lowest, highest = self.quality
        position = rng.random() ** self.quality_skew
        return min(highest, lowest + int(position * (highest + 1 - lowest)))


@dataclass(frozen=True)
class LowResolution:
    """A degraded patch, uint8 (H / scale, W / scale) or (H / scale, W / scale, 3): before and after
    its compression."""

    clean: NDArray[np.uint8]
    compressed: NDArray[np.uint8]


def degrade(
    patch: NDArray[np.uint8], scale: int, quality: int | None, sampling: str
) -> LowResolution:
    """patch: (H, W) for "grey", else (H, W, 3) RGB. quality None: not compressed."""
    clean = patch
    if scale > 1:
        clean = np.clip(np.round(reduce(patch, scale)), 0, 255).astype(np.uint8)
    if quality is None:
        return LowResolution(clean, clean)
    jpeg = encode(np.ascontiguousarray(clean), quality, "444" if sampling == "grey" else sampling)
    with Image.open(io.BytesIO(jpeg)) as image:
        return LowResolution(clean, np.asarray(image))
