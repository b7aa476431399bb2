"""Endless batches that a resumed run sees as an unbroken one would have."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import IterableDataset

Batch_co = TypeVar("Batch_co", covariant=True)


class SeededBatches(IterableDataset[Batch_co], ABC):
    """Batch `n` depends on the seed and `n` alone, whatever the number of workers."""

    def __init__(self, seed: int, first_step: int) -> None:
        self._seed = seed
        self._first_step = first_step

    def __iter__(self) -> Iterator[Batch_co]:
        # Workers take turns, and DataLoader hands their batches out in turn.
        worker = torch.utils.data.get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        step = self._first_step + first
        while True:
            yield self.draw(np.random.default_rng((self._seed, step)))
            step += stride

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Batch_co:
        """One batch, of nothing but `rng` and what it was made with."""
