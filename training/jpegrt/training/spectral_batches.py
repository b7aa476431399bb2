"""Batches for networks that take DCT coefficients: spectra of compressed luma and its originals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jpegrt.kernels import spectrum_from_blocks
from jpegrt.training.degradation import CELL_SCALE, Coefficients, Degradation, JpegCoder
from jpegrt.training.images import PatchSource
from jpegrt.training.pixel_batches import components_of, tensor_of
from jpegrt.training.seeded_batches import SeededBatches


@dataclass
class SpectralBatch:
    """spectrum: (N, 64, H / 8, W / 8), dequantised coefficients / 255, as in `networks.hrcnn`.

    high: (N, 1, H, W), the original's centred samples / 255. Both float32.
    """

    spectrum: Tensor
    high: Tensor


class SpectralBatches(SeededBatches[SpectralBatch]):
    """Batches of luma drawn from `source`."""

    def __init__(
        self,
        source: PatchSource,
        degradation: Degradation,
        *,
        batch: int,
        seed: int,
        first_step: int,
    ) -> None:
        super().__init__(seed, first_step)
        self._source = source
        self._degradation = degradation
        self._batch = batch

    @cached_property
    def _coder(self) -> JpegCoder:
        """Made by the process that draws: its reader is not to be shared."""
        return JpegCoder(self._degradation)

    def draw(self, rng: np.random.Generator) -> SpectralBatch:
        coded, originals = [], []
        for _ in range(self._batch):
            patch = components_of(self._source.draw(rng), 1)
            coded += self._coder.compress(patch, "grey", *self._coder.draw_tables(rng))
            originals.append(patch)
        return collate(coded, originals)


def collate(coded: Sequence[Coefficients], originals: Sequence[NDArray[np.uint8]]) -> SpectralBatch:
    """Stacks luma patches of one size, (H, W) in levels."""
    spectra = [spectrum_from_blocks(blocks, table, CELL_SCALE) for blocks, table in coded]
    return SpectralBatch(torch.from_numpy(np.stack(spectra)), tensor_of(originals))
