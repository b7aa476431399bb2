"""Endless batches of degraded patches and their originals."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset

from jpegrt.training.degradation import (
    Degradation,
    DegradedPatch,
    JpegDegrader,
    cells_of,
    ycbcr_from_rgb,
)
from jpegrt.training.images import PatchSource


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


class PatchBatches(IterableDataset[Batch]):
    """Batches drawn from `source`; batch `n` depends on the seed and `n` alone.

    So a run resumed at step n sees what an unbroken one would have seen.
    """

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
        self._source = source
        self._degradation = degradation
        self._cell_px = cell_px
        self._batch = batch
        self._seed = seed
        self._first_step = first_step

    def __iter__(self) -> Iterator[Batch]:
        # Workers take turns, and DataLoader hands their batches out in turn.
        worker = torch.utils.data.get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        degrader = JpegDegrader(self._degradation, self._cell_px)
        step = self._first_step + first
        while True:
            yield self._draw(degrader, np.random.default_rng((self._seed, step)))
            step += stride

    def _draw(self, degrader: JpegDegrader, rng: np.random.Generator) -> Batch:
        sampling = degrader.draw_sampling(rng)
        degraded: list[DegradedPatch] = []
        targets = []
        for _ in range(self._batch):
            patch = self._source.draw(rng)
            if sampling == "grey":
                patch = np.asarray(Image.fromarray(patch).convert("L"))
                targets.append(cells_of(patch[None], self._cell_px))
            else:
                targets.append(cells_of(ycbcr_from_rgb(patch), self._cell_px))
            degraded.append(degrader.degrade(patch, sampling, rng))
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
