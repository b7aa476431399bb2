"""What the training loop knows of a network."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from torch import Tensor, nn

from jpegrt.training.seeded_batches import SeededBatches

Network = TypeVar("Network", bound=nn.Module)
Network_contra = TypeVar("Network_contra", bound=nn.Module, contravariant=True)
Batch = TypeVar("Batch")


class Gains(Protocol[Network_contra]):
    """Held-out images, degraded once."""

    def gains(self, network: Network_contra) -> dict[str, float]:
        """What was restored, such as "Q10" -> mean PSNR gained over the input, dB."""


class Task(ABC, Generic[Network, Batch]):
    """What a recipe trains its network to do."""

    @abstractmethod
    def trained(self, network: Network) -> nn.Module:
        """The module whose parameters are trained; all others are frozen."""

    @abstractmethod
    def batches(self, files: Sequence[Path], first_step: int) -> SeededBatches[Batch]:
        """Endless, from the batch of `first_step` on; `CutBatches` if a device can degrade
        them."""

    @abstractmethod
    def losses(self, network: Network, batch: Batch) -> dict[str, Tensor]:
        """Named terms, whose sum is minimised."""

    @abstractmethod
    def validation(self, files: Sequence[Path]) -> Gains[Network]:
        """For the held-out images."""
