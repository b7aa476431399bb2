"""How far one picture is from another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.metrics import SSIM_WINDOW_PX, psnr, psnr_b, ssim

_BLOCK_PX = 8


@dataclass(frozen=True)
class Measures:
    """Of an image against a reference, as `metrics` defines them.

    psnr_db: infinite if they are the same.
    ssim, psnr_b_db: None of images too small for them.
    mean, largest: of the absolute differences, in levels of 8 bits.
    """

    psnr_db: float
    ssim: float | None
    psnr_b_db: float | None
    mean: float
    largest: int


def measure(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Measures:
    """Of uint8 pixels of one shape, (H, W) or (H, W, 3)."""
    shorter = min(image.shape[:2])
    differences = absolute_difference(image, reference)
    return Measures(
        psnr(image, reference),
        ssim(image, reference) if shorter >= SSIM_WINDOW_PX else None,
        psnr_b(image, reference) if shorter > _BLOCK_PX else None,
        float(differences.mean()),
        int(differences.max()),
    )


def absolute_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of each sample."""
    return np.maximum(a, b) - np.minimum(a, b)
