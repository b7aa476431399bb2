"""Restoring JPEGs from pixel cells: cellnet's luma trunk, then its chroma branch."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from jpegrt.training.batches import Batch, PatchBatches
from jpegrt.training.degradation import Degradation
from jpegrt.training.images import PatchSource
from jpegrt.training.loss import log_squared_error
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.recipe import Recipe
from jpegrt.training.tasks.task import Task
from jpegrt.training.validation import Validation


class CellTask(Task[CellNet, Batch]):
    """The schedule's part is "luma" or "chroma"."""

    def __init__(self, recipe: Recipe, network: CellNet) -> None:
        assert isinstance(recipe.degradation, Degradation)
        if recipe.schedule.part == "chroma" and network.chroma is None:
            raise ValueError(f"recipe {recipe.name}: the network has no chroma branch to train")
        self._degradation = recipe.degradation
        self._data, self._schedule = recipe.data, recipe.schedule
        self._cell_px = network.cell_px

    def trained(self, network: CellNet) -> nn.Module:
        if self._schedule.part == "luma":
            return network.luma
        assert network.chroma is not None
        return network.chroma

    def batches(self, files: Sequence[Path], first_step: int) -> PatchBatches:
        return PatchBatches(
            PatchSource(files, self._data.patch_px),
            self._degradation,
            cell_px=self._cell_px,
            batch=self._schedule.batch,
            seed=self._schedule.seed,
            first_step=first_step,
        )

    def losses(self, network: CellNet, batch: Batch) -> dict[str, Tensor]:
        """The loss of the part being trained; the other part only supplies features."""
        luma = batch.luma.contiguous(memory_format=torch.channels_last)
        if self._schedule.part == "luma":
            restored, _ = network.luma(luma, batch.steps[:, :64])
            return {"luma": log_squared_error(restored, batch.target_luma, batch.steps[:, :64])}
        assert network.chroma is not None
        assert batch.chroma is not None and batch.target_chroma is not None
        with torch.no_grad():
            restored_luma, features = network.luma(luma, batch.steps[:, :64])
        restored = network.chroma(
            restored_luma, features, batch.chroma, batch.steps, batch.sampling
        )
        steps = batch.steps[:, 64:128]
        return {"chroma": log_squared_error(restored, batch.target_chroma, steps)}

    def validation(self, files: Sequence[Path]) -> Validation:
        return Validation(files, self._degradation, self._cell_px, self._schedule.part)
