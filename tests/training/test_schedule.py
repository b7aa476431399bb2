"""Schedules: lengths, learning rates, optimisers and clipping, and the mistakes in them."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.photographs import write_recipe
from torch import nn

from jpegrt.training.loop import Training
from jpegrt.training.optimizer import MuonAndAdam, clip_gradients, create_optimizer
from jpegrt.training.recipe import load_recipe
from jpegrt.training.schedule import Schedule

SGD = Schedule(optimizer="sgd", learning_rate=0.1, weight_decay=0.5, momentum=0.9)


def one_weight(value: float, gradient: float) -> nn.Linear:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(value)
    network.weight.grad = torch.full((1, 1), gradient)
    return network


def test_exponential_decay_has_equal_ratios() -> None:
    schedule = Schedule(
        decay="exponential", learning_rate=0.1, learning_rate_end=1e-4, warmup_steps=1
    )
    rates = [schedule.learning_rate_at(5, progress) for progress in (0, 1 / 3, 2 / 3, 1)]
    assert rates == pytest.approx([1e-1, 1e-2, 1e-3, 1e-4])


def test_stairs_hold_the_rate() -> None:
    schedule = Schedule(
        decay="exponential", learning_rate=16.0, learning_rate_end=1.0, stairs=5, warmup_steps=1
    )
    rates = [schedule.learning_rate_at(5, progress) for progress in (0, 0.19, 0.2, 0.5, 0.8, 1)]
    assert rates == pytest.approx([16, 16, 8, 4, 1, 1])


def test_cosine_decay_ends_where_it_is_told() -> None:
    schedule = Schedule(learning_rate=1e-2, learning_rate_end=2e-3, warmup_steps=4)
    rates = [schedule.learning_rate_at(5, progress) for progress in (0, 0.5, 1)]
    assert rates == pytest.approx([1e-2, 6e-3, 2e-3])
    assert schedule.learning_rate_at(1, 0) == pytest.approx(5e-3)  # warming up


def test_sgd_by_hand() -> None:
    """Weight decay is part of the gradient, which momentum sums."""
    network = one_weight(2.0, 3.0)
    optimizer = create_optimizer(network, SGD)
    optimizer.step(0.1)
    velocity = 3 + 0.5 * 2
    assert network.weight.item() == pytest.approx(2 - 0.1 * velocity)
    optimizer.step(0.01)
    velocity = 0.9 * velocity + 3 + 0.5 * 1.6
    assert network.weight.item() == pytest.approx(1.6 - 0.01 * velocity)


def test_adam_by_hand() -> None:
    """The first step is the learning rate; weight decay is apart from it."""
    network = one_weight(2.0, 3.0)
    create_optimizer(network, Schedule(optimizer="adam", weight_decay=0.5)).step(0.1)
    assert network.weight.item() == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1)


def test_muon_is_the_default() -> None:
    assert isinstance(create_optimizer(nn.Linear(1, 1), Schedule()), MuonAndAdam)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_states_go_on(optimizer: str) -> None:
    schedule = Schedule(optimizer=optimizer)
    weights = []
    for resumed in (False, True):
        network = one_weight(2.0, 3.0)
        used = create_optimizer(network, schedule)
        used.step(0.1)
        if resumed:
            state = used.state_dict()
            used = create_optimizer(network, schedule)
            used.load_state_dict(state)
        network.weight.grad = torch.full((1, 1), -1.0)
        used.step(0.1)
        weights.append(network.weight.item())
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("options", "rate", "clipped"),
    [
        ({"clip_norm": 0.0}, 0.1, 3.0),
        ({"clip_norm": 2.0}, 0.1, 2.0),
        ({"clip_norm": 0.0, "clip_tau": 0.1}, 0.1, 1.0),
        ({"clip_norm": 0.0, "clip_tau": 0.1}, 0.05, 2.0),
        ({"clip_norm": 0.0, "clip_tau": 0.1}, 0.01, 3.0),
    ],
)
def test_gradients_are_clipped(options: dict[str, float], rate: float, clipped: float) -> None:
    network = one_weight(0.0, 3.0)
    clip_gradients(network.parameters(), Schedule(**options), rate)  # type: ignore[arg-type]
    assert network.weight.grad is not None
    assert network.weight.grad.item() == pytest.approx(clipped, rel=1e-5)


def test_a_recipes_steps_are_its_length(data: Path, tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    path.write_text(path.read_text().replace("batch = 4", "batch = 4\nsteps = 3"))
    training = Training(load_recipe(path), data, tmp_path / "runs", resume=False)
    training.run()
    assert (training.step, training.progress) == (3, 1)
    longer = Training(load_recipe(path), data, tmp_path / "runs", resume=True, steps=6)
    assert longer.progress == 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "l2"}, "loss must be one of log, mse, l1, got 'l2'"),
        ({"optimizer": "adamw"}, "optimizer must be one of muon, adam, sgd, got 'adamw'"),
        ({"decay": "linear"}, "decay must be one of cosine, exponential, got 'linear'"),
        ({"steps": -1}, "steps must not be negative, got -1"),
        ({"weight_decay": math.nan}, "weight_decay must not be negative"),
        ({"clip_norm": -1.0}, "clip_norm must not be negative"),
        ({"clip_tau": math.inf}, "clip_tau must not be negative"),
        ({"momentum": 1.0}, "momentum must be from 0 to below 1"),
        ({"weight_decay": 0.1}, 'weight_decay is of "sgd" and "adam"'),
        ({"clip_tau": 0.1}, "one of clip_norm and clip_tau must be 0"),
        ({"learning_rate_end": 1.0}, "learning_rate_end must be from 0 to"),
        ({"decay": "exponential"}, "the exponential decay needs a learning_rate_end above 0"),
    ],
)
def test_mistakes_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Schedule(**options)
