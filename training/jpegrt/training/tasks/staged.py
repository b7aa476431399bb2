"""Deblocking, then enlarging: the published networks of two stages, each with its own losses."""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from jpegrt.training.losses.carsr import Step, carsr_loss
from jpegrt.training.losses.cisr import cisr_loss
from jpegrt.training.losses.cjpgsr import cjpgsr_loss
from jpegrt.training.networks.carsr import CARSR
from jpegrt.training.networks.cisr import CISR
from jpegrt.training.networks.cjpgsr import CJPGSR
from jpegrt.training.pixel_batches import PixelBatch
from jpegrt.training.tasks.pixels import PixelTask


class CARSRTask(PixelTask):
    """The schedule's part is one of the three steps: "car", "sr" or "joint"."""

    def trained(self, network: nn.Module) -> nn.Module:
        parts = {"car": network.car, "sr": network.sr, "joint": network}
        return cast(nn.Module, parts[self._schedule.part])

    def stages(self, network: CARSR, batch: PixelBatch) -> tuple[Tensor | None, Tensor | None]:
        if self._schedule.part == "car":
            return network.car(batch.image), None
        return network.forward_stages(batch.image)

    def losses(self, network: nn.Module, batch: PixelBatch) -> dict[str, Tensor]:
        assert isinstance(network, CARSR) and batch.low is not None
        step = cast(Step, self._schedule.part)
        image = batch.image.contiguous(memory_format=torch.channels_last)
        return {step: carsr_loss(network, step, image, batch.low, batch.high)}


class CJPGSRTask(PixelTask):
    """Both stages at once, with the cycle."""

    def stages(self, network: CJPGSR, batch: PixelBatch) -> tuple[Tensor | None, Tensor | None]:
        return network.forward_stages(batch.image)

    def losses(self, network: nn.Module, batch: PixelBatch) -> dict[str, Tensor]:
        assert isinstance(network, CJPGSR) and batch.low is not None
        image = batch.image.contiguous(memory_format=torch.channels_last)
        return {"l1": cjpgsr_loss(*network.forward_stages(image), batch.low, batch.high)}


class CISRTask(PixelTask):
    """Every unfolding's two estimates."""

    keys: ClassVar[bool] = True

    def stages(self, network: CISR, batch: PixelBatch) -> tuple[Tensor | None, Tensor | None]:
        last = network.forward_stages(batch.image, batch.keys)[-1]
        return last.low, last.high

    def losses(self, network: nn.Module, batch: PixelBatch) -> dict[str, Tensor]:
        assert isinstance(network, CISR) and batch.low is not None
        image = batch.image.contiguous(memory_format=torch.channels_last)
        estimates = network.forward_stages(image, batch.keys)
        return {"l1": cisr_loss(estimates, batch.low, batch.high)}
