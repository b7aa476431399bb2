"""PSNR of networks that take DCT coefficients on held-out images while training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from jpegrt.kernels import samples_from_blocks
from jpegrt.training.degradation import Degradation, JpegCoder
from jpegrt.training.images import centre_crop, load_rgb
from jpegrt.training.loss import error_db
from jpegrt.training.pixel_batches import components_of, tensor_of
from jpegrt.training.pixel_validation import CROP_PX, IMAGES, QUALITIES
from jpegrt.training.spectral_batches import SpectralBatch, collate


class SpectralValidation:
    """Centre crops of a few of the held-out images, compressed once at each of QUALITIES."""

    def __init__(self, files: Sequence[Path], degradation: Degradation) -> None:
        files = files[:: max(1, len(files) // IMAGES)][:IMAGES]
        crops = [components_of(centre_crop(load_rgb(file), CROP_PX, 8), 1) for file in files]
        coder = JpegCoder(degradation)
        self._cases: dict[str, list[tuple[SpectralBatch, Tensor]]] = {}
        for quality in QUALITIES:
            coded = [coder.compress(crop, "grey", quality, [])[0] for crop in crops]
            self._cases[f"Q{quality}"] = [
                (collate([c], [crop]), tensor_of([samples_from_blocks(*c)]))
                for c, crop in zip(coded, crops, strict=True)
            ]

    @torch.no_grad()
    def gains(self, network: nn.Module) -> dict[str, float]:
        """ "Q" and quality -> mean PSNR of the restored luma less that of the JPEG, dB."""
        return {
            name: float(np.mean([_gain(network, *c) for c in cases]))
            for name, cases in self._cases.items()
        }


def _gain(network: nn.Module, batch: SpectralBatch, decoded: Tensor) -> float:
    return error_db(decoded, batch.high) - error_db(network(batch.spectrum), batch.high)
