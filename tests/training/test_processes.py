"""Several processes, which torchrun starts, train one network as one process would.

This file is also the program that they run: a run that may be stopped after a step, and leaves each
rank's weights.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.photographs import write_recipe
from tests.training.pixel_recipes import write_pixel_recipe
from torch import Tensor

from jpegrt.runtime.errors import UsageError
from jpegrt.training import loop
from jpegrt.training.batches import Batch
from jpegrt.training.loop import Training
from jpegrt.training.recipe import load_recipe
from jpegrt.training.seeded_batches import SeededBatches
from jpegrt.training.tasks.cells import CellTask

STEPS = 6
State = dict[str, Any]


def main(recipe: Path, data: Path, runs: Path, stop_after: int) -> None:
    """What every process of torchrun's does. Of two, the second one is stopped."""
    torch.set_num_threads(1)
    setattr(loop, "in_bfloat16", in_float32)  # noqa: B010
    training = Training(load_recipe(recipe), data, runs, resume=True, steps=STEPS)
    step = training._train_on

    def train_and_stop(batch: Any) -> Tensor:
        if training.step == stop_after and not training.first:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(batch)

    training._train_on = train_and_stop  # type: ignore[method-assign]
    training.run()
    rank = os.environ["RANK"]
    torch.save(training.network.state_dict(), runs / f"{training.step}-{rank}.pt")


def in_float32(_device: torch.device) -> nullcontext[None]:
    """Sums in bfloat16 depend on how a batch is split by much more than those in float32."""
    return nullcontext()


def run_two(recipe: Path, data: Path, runs: Path, stop_after: int = -1) -> None:
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    arguments = (__file__, str(recipe), str(data), str(runs), str(stop_after))
    root = Path(__file__).parents[2]
    done = subprocess.run(
        (*torchrun, *arguments),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


def ranks(runs: Path, step: int) -> tuple[State, State]:
    one, other = (torch.load(runs / f"{step}-{rank}.pt", weights_only=True) for rank in (0, 1))
    return one, other


def assert_same(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def largest_difference(one: State, other: State) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def write_adam_recipe(folder: Path, part: str) -> Path:
    """A recipe whose steps do not make much of the last bits of small gradients, as Muon's do."""
    recipe = write_recipe(folder, part=part)
    recipe.write_text(
        recipe.read_text().replace("ema = 0.9", 'ema = 0.9\noptimizer = "sgd"\nclip_norm = 0.3')
    )
    return recipe


class SeenByAll(SeededBatches[Batch]):
    """Every rank's share of each batch in one."""

    def __init__(self, shares: Sequence[Any]) -> None:
        super().__init__(0, 0)
        self._shares = shares
        for rank, batches in enumerate(shares):
            batches.rank = rank

    def __iter__(self) -> Iterator[Batch]:
        for batches in zip(*self._shares, strict=True):
            together: dict[str, Any] = {}
            for field in fields(Batch):
                parts = [getattr(batch, field.name) for batch in batches]
                together[field.name] = torch.cat(parts) if torch.is_tensor(parts[0]) else parts[0]
            yield Batch(**together)

    def draw(self, rng: np.random.Generator) -> Batch:
        raise AssertionError("its batches are drawn by others")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["luma", "chroma"])
def test_two_processes_learn_what_one_does(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    recipe = write_adam_recipe(tmp_path, part)
    recipe.write_text(recipe.read_text().replace('["420", "444", "422", "440"]', '["420"]'))
    run_two(recipe, data, tmp_path / "two")
    two, second = ranks(tmp_path / "two", STEPS)
    assert_same(two, second)

    draw_share = CellTask.batches

    def all_shares(self: CellTask, files: Sequence[Path], first_step: int) -> SeenByAll:
        shares = [draw_share(self, files, first_step) for _ in range(2)]
        for share in shares:
            share._batch //= 2
        return SeenByAll(shares)

    monkeypatch.setattr(CellTask, "batches", all_shares)
    monkeypatch.setattr(loop, "in_bfloat16", in_float32)
    training = Training(load_recipe(recipe), data, tmp_path / "one", resume=False, steps=STEPS)
    start = {name: value.clone() for name, value in training.network.state_dict().items()}
    training.run()
    one = training.network.state_dict()
    learned, apart = largest_difference(one, start), largest_difference(one, two)
    assert apart < 1e-4 * learned


@pytest.mark.slow
def test_a_stopped_run_of_two_goes_on_as_if_unbroken(data: Path, tmp_path: Path) -> None:
    """With chroma of samplings that differ between the two, by Muon."""
    recipe = write_recipe(tmp_path, part="chroma")
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    run_two(recipe, data, unbroken)
    run_two(recipe, data, broken, stop_after=2)
    assert_same(*ranks(broken, 3))
    run_two(recipe, data, broken)
    for one, other in zip(ranks(unbroken, STEPS), ranks(broken, STEPS), strict=True):
        assert_same(one, other)
    assert_same(*ranks(broken, STEPS))
    name = recipe.stem
    written = {path.name.split(".")[0] for path in (broken / name).iterdir()}
    assert written == {name, "checkpoint", "events"}
    logs = list((unbroken / name).glob("events.*"))
    assert len(logs) == 1


@pytest.mark.slow
def test_statistics_are_shared(data: Path, tmp_path: Path) -> None:
    recipe = write_pixel_recipe(tmp_path)
    run_two(recipe, data, tmp_path / "runs")
    one, other = ranks(tmp_path / "runs", STEPS)
    assert any(name.endswith("running_var") for name in one)
    assert_same(one, other)


def test_a_batch_that_cannot_be_split_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(write_recipe(tmp_path))
    joined = "jpegrt.training.processes.Fabric.world_size"
    monkeypatch.setattr(joined, property(lambda _self: 3))
    with pytest.raises(UsageError, match="a batch of 4 patches cannot be split evenly over 3"):
        Training(recipe, data, tmp_path / "runs", resume=False, steps=2)
    assert not (tmp_path / "runs").exists()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
