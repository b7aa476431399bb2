"""Endless batches of degraded patches and their originals."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jpegrt.training.degradation import (
    Degradation,
    DegradedPatch,
    JpegDegrader,
    cells_of,
    ycbcr_from_rgb,
)
from jpegrt.training.images import PatchSource
from jpegrt.training.seeded_batches import SeededBatches


@dataclass
class Batch:
    """Inputs and targets of one sampling, float32; layouts as in `networks.cellnet`.

    chroma and target_chroma are None for grey.
    """

    sampling: str
    luma: Tensor
    steps: Tensor
    target_luma: Tensor
    chroma: Tensor | None
    target_chroma: Tensor | None


class PatchBatches(SeededBatches[Batch]):
    """Batches of pixel cells, drawn from `source`."""

    def __init__(
        self,
        source: PatchSource,
        degradation: Degradation,
        *,
        cell_px: int,
        batch: int,
        seed: int,
        first_step: int,
    ) -> None:
        super().__init__(seed, first_step)
        self._source = source
        self._cell_px = cell_px
        self._batch = batch
        self._degradation = degradation

    @cached_property
    def _degrader(self) -> JpegDegrader:
        """Made by the process that draws: its reader is not to be shared."""
        return JpegDegrader(self._degradation, self._cell_px)

    def draw(self, rng: np.random.Generator) -> Batch:
        sampling = self._degrader.draw_sampling(rng)
        degraded: list[DegradedPatch] = []
        targets = []
        for _ in range(self._batch):
            patch = self._source.draw(rng)
            if sampling == "grey":
                patch = np.asarray(Image.fromarray(patch).convert("L"))
                targets.append(cells_of(patch[None], self._cell_px))
            else:
                targets.append(cells_of(ycbcr_from_rgb(patch), self._cell_px))
            degraded.append(self._degrader.degrade(patch, sampling, rng))
        return collate(sampling, degraded, targets, self._cell_px)


def collate(
    sampling: str, degraded: list[DegradedPatch], targets: list[np.ndarray], cell_px: int
) -> Batch:
    """Stacks patches of one sampling and size; targets are cells of Y or of Y, Cb, Cr."""
    target = torch.from_numpy(np.stack(targets))
    planes = cell_px * cell_px
    chroma = [d.chroma for d in degraded if d.chroma is not None]
    return Batch(
        sampling,
        torch.from_numpy(np.stack([d.luma for d in degraded])),
        torch.from_numpy(np.stack([d.steps for d in degraded])),
        target[:, :planes],
        torch.from_numpy(np.stack(chroma)) if chroma else None,
        target[:, planes:] if chroma else None,
    )
