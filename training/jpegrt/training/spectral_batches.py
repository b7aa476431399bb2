"""Batches for networks that take DCT coefficients: spectra of compressed luma and its originals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jpegrt.kernels import spectrum_from_blocks
from jpegrt.training import tensor_jpeg
from jpegrt.training.batches import CutPatches
from jpegrt.training.degradation import CELL_SCALE, Coefficients, Degradation, JpegCoder
from jpegrt.training.images import PatchSource
from jpegrt.training.pixel_batches import centred, components_of, tensor_of
from jpegrt.training.seeded_batches import CutBatches


@dataclass
class SpectralBatch:
    """spectrum: (N, 64, H / 8, W / 8), dequantised coefficients / 255, as in `networks.hrcnn`.

    high: (N, 1, H, W), the original's centred samples / 255. Both float32.
    """

    spectrum: Tensor
    high: Tensor


class SpectralBatches(CutBatches[CutPatches, SpectralBatch]):
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
        super().__init__(source, batch=batch, seed=seed, first_step=first_step)
        self._degradation = degradation

    @cached_property
    def _coder(self) -> JpegCoder:
        """Made by the process that draws: its reader is not to be shared."""
        return JpegCoder(self._degradation)

    def cut(self, rng: np.random.Generator) -> CutPatches:
        drawn = [(self._source.draw(rng), self._coder.draw_tables(rng)) for _ in range(self._batch)]
        return CutPatches.of("grey", drawn)

    def degrade(self, cut: CutPatches) -> SpectralBatch:
        coded, originals = [], []
        for rgb, tables in zip(cut.patches.numpy(), cut.tables.numpy(), strict=True):
            patch = components_of(rgb, 1)
            coded += self._coder.compress_by(tables, patch, cut.sampling)
            originals.append(patch)
        return collate(coded, originals)

    def degrade_on_device(self, cut: CutPatches) -> SpectralBatch:
        luma = tensor_jpeg.ycbcr_from_rgb(cut.patches.permute(0, 3, 1, 2))[:, :1]
        (blocks,) = tensor_jpeg.compressed_blocks(luma, cut.tables, cut.sampling)
        spectrum = tensor_jpeg.spectra_of(blocks, cut.tables[:, 0], CELL_SCALE)
        return SpectralBatch(spectrum, centred(luma))


def collate(coded: Sequence[Coefficients], originals: Sequence[NDArray[np.uint8]]) -> SpectralBatch:
    """Stacks luma patches of one size, (H, W) in levels."""
    spectra = [spectrum_from_blocks(blocks, table, CELL_SCALE) for blocks, table in coded]
    return SpectralBatch(torch.from_numpy(np.stack(spectra)), tensor_of(originals))
