"""Batches: their shapes, and that a batch depends on the seed and its number alone."""

from dataclasses import astuple
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from jpegrt.training.batches import Batch, PatchBatches
from jpegrt.training.degradation import Degradation
from jpegrt.training.devices import on_device
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


@pytest.mark.parametrize("cell_px", [2, 4])
@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
def test_degrading_on_a_device_changes_nothing(
    source: PatchSource, sampling: str, cell_px: int
) -> None:
    """But the last bits of an inverse DCT in floats."""
    degradation = Degradation((3, 95), samplings=(sampling,), other_tables=0.5)
    drawn = PatchBatches(source, degradation, cell_px=cell_px, batch=6, seed=1, first_step=0)
    drawn.only_cuts = True
    cut = next(iter(drawn))
    assert cut.patches.dtype == torch.uint8
    expected, found = drawn.degrade(cut), drawn.degrade_on_device(cut)
    for one, other in zip(astuple(expected), astuple(found), strict=True):
        if isinstance(one, Tensor):
            assert one.dtype == other.dtype == torch.float32
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
        else:
            assert one == other
    assert torch.equal(expected.steps, found.steps)


@pytest.mark.parametrize("sampling", ["grey", "420"])
def test_no_tensor_of_degrading_stays_on_the_cpu(source: PatchSource, sampling: str) -> None:
    drawn = batches(source, Degradation(samplings=(sampling,)))
    meta = torch.device("meta")
    cut = drawn.cut(np.random.default_rng(0))
    on_meta = drawn.degrade_on_device(on_device(cut, meta))
    expected = drawn.degrade(cut)
    for one, other in zip(astuple(expected), astuple(on_meta), strict=True):
        if isinstance(one, Tensor):
            assert (other.device, other.shape, other.dtype) == (meta, one.shape, one.dtype)


def test_ranks_draw_batches_of_their_own(source: PatchSource) -> None:
    drawn = {}
    for rank in (0, 1, 2):
        of_rank = batches(source, COLOUR)
        of_rank.rank = rank
        drawn[rank] = list(islice(of_rank, 3))
    alone = list(islice(batches(source, COLOUR), 3))
    assert all(map(same, drawn[0], alone))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        for a in drawn[one]:
            assert not any(same(a, b) for b in drawn[other])
