"""PSNR of cellnet on held-out images while training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from jpegrt.training.batches import Batch, collate
from jpegrt.training.degradation import Degradation, JpegDegrader, cells_of, ycbcr_from_rgb
from jpegrt.training.images import centre_crop, load_rgb
from jpegrt.training.loss import error_db
from jpegrt.training.networks.cellnet import CellNet

QUALITIES = (10, 20, 40, 75, 90)
CROP_PX = 256


class Validation:
    """Centre crops of the held-out images, compressed once at each of QUALITIES."""

    def __init__(
        self, files: Sequence[Path], degradation: Degradation, cell_px: int, part: str
    ) -> None:
        """part: whose gains are measured, "luma" or "chroma"."""
        self._part = part
        degrader = JpegDegrader(degradation, cell_px)
        sampling = degradation.samplings[0]
        crops = [centre_crop(load_rgb(file), CROP_PX, 16) for file in files]
        self._batches: dict[int, list[Batch]] = {
            quality: [_batch(crop, sampling, quality, degrader, cell_px) for crop in crops]
            for quality in QUALITIES
        }

    @torch.no_grad()
    def gains(self, network: CellNet) -> dict[str, float]:
        """ "Q" and quality -> mean PSNR of the restored part less that of the JPEG, dB."""
        return {
            f"Q{quality}": float(np.mean([_gain(network, self._part, batch) for batch in batches]))
            for quality, batches in self._batches.items()
        }


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
        return error_db(batch.luma, batch.target_luma) - error_db(restored, batch.target_luma)
    assert batch.chroma is not None and batch.target_chroma is not None
    assert network.chroma is not None
    _, restored = network.forward_colour(batch.luma, batch.chroma, batch.steps, batch.sampling)
    upsampled = network.chroma.upsampling[batch.sampling](batch.chroma)
    return error_db(upsampled, batch.target_chroma) - error_db(restored, batch.target_chroma)
