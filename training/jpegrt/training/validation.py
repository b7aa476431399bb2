"""PSNR on held-out images while training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jpegrt.training.batches import Batch, collate
from jpegrt.training.degradation import Degradation, JpegDegrader, cells_of, ycbcr_from_rgb
from jpegrt.training.images import load_rgb
from jpegrt.training.networks.cellnet import CellNet

QUALITIES = (10, 20, 40, 75, 90)
CROP_PX = 256


class Validation:
    """Centre crops of the held-out images, compressed once at each of QUALITIES."""

    def __init__(self, files: Sequence[Path], degradation: Degradation, cell_px: int) -> None:
        degrader = JpegDegrader(degradation, cell_px)
        sampling = degradation.samplings[0]
        crops = [_centre_crop(load_rgb(file)) for file in files]
        self._batches: dict[int, list[Batch]] = {
            quality: [_batch(crop, sampling, quality, degrader, cell_px) for crop in crops]
            for quality in QUALITIES
        }

    @torch.no_grad()
    def gains(self, network: CellNet, part: str) -> dict[int, float]:
        """quality -> mean PSNR of the restored luma (or chroma) less that of the JPEG, dB."""
        return {
            quality: float(np.mean([_gain(network, part, batch) for batch in batches]))
            for quality, batches in self._batches.items()
        }


def _centre_crop(rgb: np.ndarray) -> np.ndarray:
    height, width = (min(CROP_PX, size // 16 * 16) for size in rgb.shape[:2])
    y, x = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return np.ascontiguousarray(rgb[y : y + height, x : x + width])


def _batch(
    rgb: np.ndarray, sampling: str, quality: int, degrader: JpegDegrader, cell_px: int
) -> Batch:
    patch, planes = rgb, ycbcr_from_rgb(rgb)
    if sampling == "grey":
        patch = np.asarray(Image.fromarray(rgb).convert("L"))
        planes = patch[None]
    degraded = degrader.compress(patch, sampling, quality, [])
    return collate(sampling, [degraded], [cells_of(planes, cell_px)], cell_px)


def _gain(network: CellNet, part: str, batch: Batch) -> float:
    if part == "luma":
        restored = network(batch.luma, batch.steps[:, :64])
        return _db(batch.luma, batch.target_luma) - _db(restored, batch.target_luma)
    assert batch.chroma is not None and batch.target_chroma is not None
    _, restored = network.forward_colour(batch.luma, batch.chroma, batch.steps, batch.sampling)
    upsampled = network.chroma.upsampling[batch.sampling](batch.chroma)
    return _db(upsampled, batch.target_chroma) - _db(restored, batch.target_chroma)


# Of pixels, that is with the error of rounding to them: without it the chroma of a grey photograph
# has no error, and a gain without bound.
_ROUNDING_ERROR = 1 / 12 / 255**2


def _db(cells: Tensor, target: Tensor) -> float:
    """Mean squared error in dB (a lower one is better)."""
    return 10 * float(((cells - target).square().mean() + _ROUNDING_ERROR).log10())
