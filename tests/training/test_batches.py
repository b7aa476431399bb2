"""Batches: their shapes, and that a batch depends on the seed and its number alone."""

from dataclasses import astuple
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from jpegrt.training.batches import Batch, PatchBatches
from jpegrt.training.degradation import Degradation
from jpegrt.training.images import PatchSource, find_images
from jpegrt.training.samplings import SAMPLINGS

COLOUR = Degradation(samplings=("420", "444", "422", "440"))


@pytest.fixture(scope="module")
def source(data: Path) -> PatchSource:
    return PatchSource(find_images(data, ["meadows"], 4).training, 32)


def batches(
    source: PatchSource, degradation: Degradation, *, first_step: int = 0, seed: int = 0
) -> PatchBatches:
    return PatchBatches(source, degradation, cell_px=2, batch=3, seed=seed, first_step=first_step)


def same(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b
        for a, b in zip(astuple(one), astuple(other), strict=True)
    )


def test_grey_shapes(source: PatchSource) -> None:
    batch = next(iter(batches(source, Degradation())))
    assert batch.sampling == "grey"
    assert batch.luma.shape == batch.target_luma.shape == (3, 4, 16, 16)
    assert batch.steps.shape == (3, 64)
    assert batch.chroma is None
    assert batch.target_chroma is None


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_colour_shapes(source: PatchSource, sampling: str) -> None:
    batch = next(iter(batches(source, Degradation(samplings=(sampling,)))))
    h, v = SAMPLINGS[sampling]
    assert batch.sampling == sampling
    assert batch.luma.shape == batch.target_luma.shape == (3, 4, 16, 16)
    assert batch.steps.shape == (3, 192)
    assert batch.chroma is not None
    assert batch.target_chroma is not None
    assert batch.chroma.shape == (3, 8 // (h * v), 16, 16)
    assert batch.target_chroma.shape == (3, 8, 16, 16)


def test_inputs_are_near_their_targets(source: PatchSource) -> None:
    batch = next(iter(batches(source, Degradation(quality=(90, 95), samplings=("444",)))))
    assert batch.chroma is not None
    assert batch.target_chroma is not None
    assert (batch.luma - batch.target_luma).abs().mean() < 4 / 255
    assert (batch.chroma - batch.target_chroma).abs().mean() < 4 / 255


def test_seeded(source: PatchSource) -> None:
    first, again = (list(islice(batches(source, COLOUR), 4)) for _ in range(2))
    other = list(islice(batches(source, COLOUR, seed=1), 4))
    assert all(map(same, first, again))
    assert not any(map(same, first, other))
    assert not same(first[0], first[1])


def test_resumed(source: PatchSource) -> None:
    unbroken = list(islice(batches(source, COLOUR), 6))
    resumed = list(islice(batches(source, COLOUR, first_step=4), 2))
    assert all(map(same, unbroken[4:], resumed))


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(source: PatchSource, workers: int) -> None:
    loader = DataLoader(batches(source, COLOUR, first_step=2), batch_size=None, num_workers=workers)
    alone = islice(batches(source, COLOUR, first_step=2), 5)
    assert all(map(same, islice(loader, 5), alone))
