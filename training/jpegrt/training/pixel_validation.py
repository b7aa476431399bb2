"""PSNR of networks that take pixels on held-out images while training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from jpegrt.runtime.resize import enlarge
from jpegrt.training.images import centre_crop, load_rgb
from jpegrt.training.loss import error_db
from jpegrt.training.pixel_batches import (
    Pair,
    PixelBatch,
    collate,
    components_of,
    pair_of,
    tensor_of,
)
from jpegrt.training.pixel_degradation import Compression, PixelDegradation

# Small and few: these networks cost a hundred times what cellnet does, or more.
CROP_PX = 96
IMAGES = 8
QUALITIES = (10, 20, 40, 75)
ENLARGED_QUALITY = 40


def cases_of(degradation: PixelDegradation) -> dict[str, tuple[int, int | None]]:
    """What is measured: its name -> scale, and quality factor (None: not compressed).

    Of scale 1 those of QUALITIES that the recipe trains on, or its lowest; of each larger one the
    quality next to ENLARGED_QUALITY; of the least of them no compression too, if there is that.
    """
    lowest, highest = degradation.quality
    trained = degradation.qualities or tuple(range(lowest, highest + 1))
    next_to_40 = min(trained, key=lambda quality: abs(quality - ENLARGED_QUALITY))
    cases: dict[str, tuple[int, int | None]] = {}
    for scale in sorted(set(degradation.scales)):
        if scale == 1:
            chosen = [quality for quality in QUALITIES if quality in trained] or [min(trained)]
            cases |= {f"Q{quality}": (1, quality) for quality in chosen}
            continue
        if degradation.uncompressed < 1:
            cases[f"x{scale} Q{next_to_40}"] = (scale, next_to_40)
        if degradation.uncompressed and all(quality for _, quality in cases.values()):
            cases[f"x{scale}"] = (scale, None)
    return cases


class Stages(Protocol):
    """What a network makes of a batch: the deblocked image and the enlarged one, or None for one
    that it does not make."""

    def __call__(self, network: Any, batch: PixelBatch) -> tuple[Tensor | None, Tensor | None]: ...


class PixelValidation:
    """Centre crops of a few of the held-out images, degraded once for each of `cases_of`."""

    def __init__(
        self,
        files: Sequence[Path],
        degradation: PixelDegradation,
        stages: Stages,
        *,
        components: int,
        enlarged: bool,
        keys: bool = False,
    ) -> None:
        """keys: of the batches that `stages` gets."""
        self._stages = stages
        files = files[:: max(1, len(files) // IMAGES)][:IMAGES]
        sampling = degradation.samplings[0]
        images = [load_rgb(file) for file in files]
        self._pairs: dict[str, list[tuple[PixelBatch, float]]] = {}
        for name, (scale, quality) in cases_of(degradation).items():
            crops = [components_of(centre_crop(i, CROP_PX, scale), components) for i in images]
            compression = None if quality is None else Compression(quality, sampling)
            pairs = [pair_of(crop, scale, compression, enlarged) for crop in crops]
            self._pairs[name] = [
                (collate([pair], keys=keys), _input_error_db(pair, scale)) for pair in pairs
            ]

    @torch.no_grad()
    def gains(self, network: nn.Module) -> dict[str, float]:
        """Mean PSNR gained, dB. A case's name -> that of the enlarged image over the input, enlarged
        by bicubic interpolation where it is smaller; the name and " low" -> that of the deblocked
        image over the input, both against the reduced original."""
        gains: dict[str, list[float]] = {}
        for name, pairs in self._pairs.items():
            for batch, input_db in pairs:
                low, high = self._stages(network, batch)
                if high is not None:
                    gains.setdefault(name, []).append(input_db - error_db(high, batch.high))
                if low is not None and batch.low is not None:
                    gain = error_db(batch.image, batch.low) - error_db(low, batch.low)
                    gains.setdefault(f"{name} low", []).append(gain)
        return {name: float(np.mean(values)) for name, values in gains.items()}


def _input_error_db(pair: Pair, scale: int) -> float:
    shown = pair.image if pair.image.shape == pair.high.shape else enlarge(pair.image, scale)
    return error_db(tensor_of([shown]), tensor_of([pair.high]))
