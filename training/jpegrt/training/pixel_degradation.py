"""Degradation of training patches for networks that take pixels: reduced, then compressed.

Reducing is MATLAB's antialiased bicubic interpolation, rounded to 8 bits; JPEGs are Pillow's
(libjpeg-turbo), decoded by it again, with pixels that equal the native decoder's. So are WebPs
(libwebp).
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.runtime.evaluation import SUBSAMPLINGS, encode
from jpegrt.runtime.resize import reduce

SCALES = (1, 2, 3, 4)
WEBP = "webp"


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
    webp_qualities: if any, half of the patches are WebPs instead, of one of these qualities.
    """

    scales: tuple[int, ...] = (1,)
    quality: tuple[int, int] = (10, 95)
    quality_skew: float = 1.0
    qualities: tuple[int, ...] = ()
    uncompressed: float = 0.0
    samplings: tuple[str, ...] = ("grey",)
    webp_qualities: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.scales or set(self.scales) - set(SCALES):
            raise ValueError(f"scales must be some of {SCALES}, got {self.scales}")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise ValueError(f"quality must be a rising pair within 1 to 100, got {self.quality}")
        if not all(1 <= quality <= 100 for quality in self.qualities):
            raise ValueError(f"qualities must be within 1 to 100, got {self.qualities}")
        if not all(1 <= quality <= 100 for quality in self.webp_qualities):
            raise ValueError(f"webp_qualities must be within 1 to 100, got {self.webp_qualities}")
        if self.webp_qualities and self.samplings == ("grey",):
            raise ValueError("WebP has no grey images: webp_qualities are for networks on RGB")
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

    def draw_compression(self, scale: int, rng: np.random.Generator) -> "Compression | None":
        """None for no compression."""
        sampling = str(rng.choice(self.samplings))
        if rng.random() < self.uncompressed and scale > 1:
            return None
        if self.webp_qualities and rng.random() < 0.5:
            return Compression(int(rng.choice(self.webp_qualities)), WEBP)
        if self.qualities:
            return Compression(int(rng.choice(self.qualities)), sampling)
        lowest, highest = self.quality
        position = rng.random() ** self.quality_skew
        return Compression(min(highest, lowest + int(position * (highest + 1 - lowest))), sampling)


@dataclass(frozen=True)
class Compression:
    """quality: libjpeg's or libwebp's; sampling: "grey", "444", "422" or "420" of a JPEG, or WEBP."""

    quality: int
    sampling: str


@dataclass(frozen=True)
class LowResolution:
    """A degraded patch, uint8 (H / scale, W / scale) or (H / scale, W / scale, 3): before and after
    its compression."""

    clean: NDArray[np.uint8]
    compressed: NDArray[np.uint8]


def degrade(patch: NDArray[np.uint8], scale: int, compression: Compression | None) -> LowResolution:
    """patch: (H, W) for "grey", else (H, W, 3) RGB. compression None: not compressed."""
    clean = patch
    if scale > 1:
        clean = np.clip(np.round(reduce(patch, scale)), 0, 255).astype(np.uint8)
    if compression is None:
        return LowResolution(clean, clean)
    with Image.open(io.BytesIO(_encode(np.ascontiguousarray(clean), compression))) as image:
        return LowResolution(clean, np.asarray(image))


def _encode(image: NDArray[np.uint8], compression: Compression) -> bytes:
    if compression.sampling != WEBP:
        sampling = "444" if compression.sampling == "grey" else compression.sampling
        return encode(image, compression.quality, sampling)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=compression.quality)
    return buffer.getvalue()
