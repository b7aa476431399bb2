"""Endless batches of degraded patches and their originals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from jpegrt.training import tensor_jpeg
from jpegrt.training.degradation import (
    CELL_SCALE,
    YCBCR_FROM_RGB,
    Degradation,
    DegradedPatch,
    JpegDegrader,
    cells_of,
    ycbcr_from_rgb,
)
from jpegrt.training.images import PatchSource
from jpegrt.training.samplings import SAMPLINGS
from jpegrt.training.seeded_batches import CutBatches


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


@dataclass
class CutPatches:
    """What a batch is made of: RGB patches, uint8 (N, H, W, 3), and their JPEGs' sampling and luma
    and chroma tables, (N, 2, 8, 8)."""

    sampling: str
    patches: Tensor
    tables: Tensor

    @classmethod
    def of(
        cls, sampling: str, drawn: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64]]]
    ) -> "CutPatches":
        """Of patches and their tables."""
        patches, tables = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
        return cls(sampling, patches, tables)


class PatchBatches(CutBatches[CutPatches, Batch]):
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
        super().__init__(source, batch=batch, seed=seed, first_step=first_step)
        self._cell_px = cell_px
        self._degradation = degradation

    @cached_property
    def _degrader(self) -> JpegDegrader:
        """Made by the process that draws: its reader is not to be shared."""
        return JpegDegrader(self._degradation, self._cell_px)

    def cut(self, rng: np.random.Generator) -> CutPatches:
        sampling = self._degrader.draw_sampling(rng)
        drawn = [
            (self._source.draw(rng), self._degrader.draw_tables(rng)) for _ in range(self._batch)
        ]
        return CutPatches.of(sampling, drawn)

    def degrade(self, cut: CutPatches) -> Batch:
        degraded: list[DegradedPatch] = []
        targets = []
        for patch, tables in zip(cut.patches.numpy(), cut.tables.numpy(), strict=True):
            if cut.sampling == "grey":
                patch = np.asarray(Image.fromarray(patch).convert("L"))
                targets.append(cells_of(patch[None], self._cell_px))
            else:
                targets.append(cells_of(ycbcr_from_rgb(patch), self._cell_px))
            degraded.append(self._degrader.compress_by(tables, patch, cut.sampling))
        return collate(cut.sampling, degraded, targets, self._cell_px)

    def degrade_on_device(self, cut: CutPatches) -> Batch:
        rgb = cut.patches.permute(0, 3, 1, 2)
        components = tensor_jpeg.ycbcr_from_rgb(rgb)
        if cut.sampling == "grey":
            target = components = components[:, :1]
        else:
            matrix = torch.from_numpy(YCBCR_FROM_RGB).to(rgb.device)
            target = torch.einsum("cd,ndhw->nchw", matrix, rgb.double())
            target = target + torch.tensor([0.0, 128, 128]).to(target)[:, None, None]
        blocks = tensor_jpeg.compressed_blocks(components, cut.tables, cut.sampling)
        tables = cut.tables.mT if cut.sampling == "440" else cut.tables
        steps = [tables[:, 0 if n == 0 else 1] for n in range(len(blocks))]
        cells = []
        for n, component in enumerate(blocks):
            h, v = SAMPLINGS[cut.sampling] if n else (1, 1)
            cell = (self._cell_px // v, self._cell_px // h)
            cells.append(tensor_jpeg.cells_of(component, steps[n], cell, CELL_SCALE))
        centred = (
            tensor_jpeg.cut_into_cells(target, (self._cell_px, self._cell_px)).float() - 128
        ) * CELL_SCALE
        planes = self._cell_px * self._cell_px
        return Batch(
            cut.sampling,
            cells[0],
            torch.cat([table.flatten(1) for table in steps], 1).float(),
            centred[:, :planes],
            torch.cat(cells[1:], 1) if len(cells) > 1 else None,
            centred[:, planes:] if len(cells) > 1 else None,
        )


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
