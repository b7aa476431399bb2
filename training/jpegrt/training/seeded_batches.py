"""Endless batches that a resumed run sees as an unbroken one would have."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import IterableDataset

from jpegrt.training.images import PatchSource

Cut = TypeVar("Cut")
Batch = TypeVar("Batch")
Batch_co = TypeVar("Batch_co", covariant=True)


class SeededBatches(IterableDataset[Batch_co], ABC):
    """Batch `n` depends on the seed, `n` and `rank` alone, whatever the number of workers.

    rank: which of the processes that train together draws; each sees batches of its own. A process
    that is alone has 0.
    """

    def __init__(self, seed: int, first_step: int) -> None:
        self._seed = seed
        self._first_step = first_step
        self.rank = 0

    def __iter__(self) -> Iterator[Batch_co]:
        # Workers take turns, and DataLoader hands their batches out in turn.
        worker = torch.utils.data.get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        step = self._first_step + first
        while True:
            yield self.draw(np.random.default_rng((self._seed, step, self.rank)))
            step += stride

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Batch_co:
        """One batch, of nothing but `rng` and what it was made with."""


class CutBatches(SeededBatches[Any], Generic[Cut, Batch]):
    """Batches made in two steps: patches are cut, here, and degraded, here or on a device.

    A cut is a dataclass, of `batch` patches. Both ways of degrading it give the same batch.
    """

    only_cuts = False  # whether cuts are drawn, which `degrade_on_device` makes batches of

    def __init__(self, source: PatchSource, *, batch: int, seed: int, first_step: int) -> None:
        super().__init__(seed, first_step)
        self._source = source
        self._batch = batch

    @property
    def device_can(self) -> bool:
        """Whether `degrade_on_device` can make these batches."""
        return True

    def draw(self, rng: np.random.Generator) -> Any:
        cut = self.cut(rng)
        return cut if self.only_cuts else self.degrade(cut)

    @abstractmethod
    def cut(self, rng: np.random.Generator) -> Cut:
        """What a batch is made of, with all that is random about it."""

    @abstractmethod
    def degrade(self, cut: Cut) -> Batch:
        """By libjpeg."""

    @abstractmethod
    def degrade_on_device(self, cut: Cut) -> Batch:
        """By `tensor_jpeg`, on the device that the cut's tensors are on."""
