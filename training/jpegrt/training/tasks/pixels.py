"""Restoring pixels, or enlarging them: the published networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from jpegrt.training.images import PatchSource
from jpegrt.training.loss import PIXEL_LOSSES
from jpegrt.training.pixel_batches import PixelBatch, PixelBatches, source_px
from jpegrt.training.pixel_degradation import PixelDegradation
from jpegrt.training.pixel_validation import PixelValidation
from jpegrt.training.recipe import Recipe
from jpegrt.training.tasks.task import Task


class PixelTask(Task[nn.Module, PixelBatch]):
    """A network of one stage, from `PixelBatch.image` to `high`.

    For one of several stages, or with losses of its own, extend `trained`, `stages` and `losses`: a
    batch also has `low`. The network has a `domain`, "luma" or "rgb", and an `enlargement`.
    """

    # Whether images are enlarged before the network; it then takes every scale.
    enlarged: ClassVar[bool] = False
    # Whether batches have the keys of the non-local operator.
    keys: ClassVar[bool] = False

    def __init__(self, recipe: Recipe, network: Any) -> None:
        """Raises ValueError if the recipe's images are not what the network takes."""
        assert isinstance(recipe.degradation, PixelDegradation)
        self._degradation = recipe.degradation
        self._data, self._schedule = recipe.data, recipe.schedule
        self._components = 1 if network.domain == "luma" else 3
        scales = self._degradation.scales
        if not self.enlarged and set(scales) != {network.enlargement}:
            raise ValueError(
                f"recipe {recipe.name}: scales must be [{network.enlargement}], which is what the "
                f"network enlarges by, got {list(scales)}"
            )
        if not self.enlarged and self._data.patch_px % network.enlargement:
            raise ValueError(
                f"recipe {recipe.name}: patch_px must be a multiple of {network.enlargement}"
            )
        if (self._degradation.samplings == ("grey",)) != (network.domain == "luma"):
            wanted = '["grey"]' if network.domain == "luma" else 'some of "444", "422" and "420"'
            raise ValueError(
                f"recipe {recipe.name}: samplings must be {wanted}: the network takes "
                f"{network.domain}"
            )

    def trained(self, network: nn.Module) -> nn.Module:
        return network

    def batches(self, files: Sequence[Path], first_step: int) -> PixelBatches:
        side = source_px(self._data.patch_px, self._degradation.scales)
        return PixelBatches(
            PatchSource(files, side),
            self._degradation,
            components=self._components,
            enlarged=self.enlarged,
            patch_px=self._data.patch_px,
            batch=self._schedule.batch,
            seed=self._schedule.seed,
            first_step=first_step,
            keys=self.keys,
        )

    def stages(self, network: Any, batch: PixelBatch) -> tuple[Tensor | None, Tensor | None]:
        """What `network` makes of the batch: the deblocked image, if anything, and the enlarged."""
        return None, network(batch.image)

    def losses(self, network: nn.Module, batch: PixelBatch) -> dict[str, Tensor]:
        restored = network(batch.image.contiguous(memory_format=torch.channels_last))
        loss = self._schedule.loss
        return {loss: PIXEL_LOSSES[loss](restored, batch.high)}

    def validation(self, files: Sequence[Path]) -> PixelValidation:
        return PixelValidation(
            files,
            self._degradation,
            self.stages,
            components=self._components,
            enlarged=self.enlarged,
            keys=self.keys,
        )


class EnlargedTask(PixelTask):
    """One network for every scale: it takes what bicubic interpolation has enlarged."""

    enlarged = True
