"""Restoring luma from DCT coefficients: hrcnn."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from jpegrt.training.degradation import Degradation
from jpegrt.training.images import PatchSource
from jpegrt.training.loss import PIXEL_LOSSES
from jpegrt.training.recipe import Recipe
from jpegrt.training.spectral_batches import SpectralBatch, SpectralBatches
from jpegrt.training.spectral_validation import SpectralValidation
from jpegrt.training.tasks.task import Task


class SpectralTask(Task[nn.Module, SpectralBatch]):
    """A network from a spectrum to samples."""

    def __init__(self, recipe: Recipe, network: nn.Module) -> None:
        """Raises ValueError if the recipe's images are not what the network takes."""
        assert isinstance(recipe.degradation, Degradation)
        self._degradation = recipe.degradation
        self._data, self._schedule = recipe.data, recipe.schedule
        if self._degradation.samplings != ("grey",):
            raise ValueError(
                f'recipe {recipe.name}: samplings must be ["grey"]: the network takes luma'
            )

    def trained(self, network: nn.Module) -> nn.Module:
        return network

    def batches(self, files: Sequence[Path], first_step: int) -> SpectralBatches:
        return SpectralBatches(
            PatchSource(files, self._data.patch_px),
            self._degradation,
            batch=self._schedule.batch,
            seed=self._schedule.seed,
            first_step=first_step,
        )

    def losses(self, network: nn.Module, batch: SpectralBatch) -> dict[str, Tensor]:
        loss = self._schedule.loss
        return {loss: PIXEL_LOSSES[loss](network(batch.spectrum), batch.high)}

    def validation(self, files: Sequence[Path]) -> SpectralValidation:
        return SpectralValidation(files, self._degradation)
