"""Rounds, ratios and the control, on a clock that the tests move."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from jpegrt.runtime.bench.control import LEAST_ROUNDS, LEVEL, control
from jpegrt.runtime.bench.rounds import Contender, Samples, measure
from jpegrt.runtime.bench.statistics import latency_ms, ratio


class World:
    """A clock, and contenders that take the time that they are told to; `calls` is in their order."""

    def __init__(self) -> None:
        self.now, self.slowness = 0.0, 1.0
        self.calls: list[str] = []

    def clock(self) -> float:
        return self.now

    def contender(
        self,
        name: str,
        seconds: float | Callable[[], float],
        stages: Mapping[str, float] | None = None,
    ) -> Contender:
        def call() -> Mapping[str, float] | None:
            self.calls.append(name)
            self.now += self.slowness * (seconds if isinstance(seconds, float) else seconds())
            return stages

        return Contender(name, call)

    def measure(
        self, *contenders: Contender, rounds: int = 9, seconds: float = 0.0
    ) -> dict[str, Samples]:
        return measure(contenders, rounds, seconds, clock=self.clock)


def test_a_ratio_is_that_of_the_times() -> None:
    world = World()
    samples = world.measure(world.contender("base", 0.002), world.contender("slow", 0.15))
    found = ratio([(samples["slow"], samples["base"])])
    assert [found.median, found.low, found.high] == pytest.approx([75, 75, 75])


def test_what_slows_a_whole_round_changes_no_ratio() -> None:
    world = World()
    contenders = [world.contender("base", 0.002), world.contender("slow", 0.15)]

    def disturb(number: int) -> None:
        world.slowness = 1 + 4 * (number % 2)

    samples = measure(contenders, 8, 0.0, clock=world.clock, before_round=disturb)
    assert max(samples["slow"].blocks_s) == pytest.approx(5 * min(samples["slow"].blocks_s))
    found = ratio([(samples["slow"], samples["base"])])
    assert [found.low, found.high] == pytest.approx([75, 75])


def test_a_call_that_was_interrupted_does_not_count() -> None:
    world = World()
    times = iter([0.01] * 5 + [9.0] + [0.01] * 1000)
    samples = world.measure(
        world.contender("base", 0.01),
        world.contender("interrupted", lambda: next(times)),
        seconds=0.05,
    )
    assert samples["interrupted"].blocks_s == pytest.approx([0.01] * 9)
    assert max(samples["interrupted"].calls_s) == pytest.approx(9)


def test_every_round_has_every_contender_in_an_order_of_its_own() -> None:
    world = World()
    names = ["a", "b", "c", "d"]
    world.measure(*(world.contender(name, 1.0) for name in names), rounds=12)
    rounds = [tuple(world.calls[i : i + 4]) for i in range(8, len(world.calls), 4)]
    assert len(rounds) == 12
    assert all(sorted(order) == names for order in rounds)
    assert len(set(rounds)) > 6
    assert len({order[0] for order in rounds}) > 2


def test_blocks_are_filled_and_the_first_call_is_apart() -> None:
    world = World()
    times = iter([0.5] + [0.001] * 10_000)
    samples = world.measure(
        world.contender("loads", lambda: next(times)),
        world.contender("long", 0.2),
        rounds=3,
        seconds=0.05,
    )
    assert samples["loads"].first_s == pytest.approx(0.5)
    assert max(samples["loads"].calls_s) == pytest.approx(0.001)
    assert len(samples["loads"].calls_s) == 3 * 50
    # Each block begins with a call that is not timed; and two were to warm up.
    assert world.calls.count("loads") == 2 + 3 * 51
    assert world.calls.count("long") == 2 + 3


def test_stages_are_kept_call_by_call() -> None:
    world = World()
    stages = {"network": 30.0}
    samples = world.measure(world.contender("a", 0.04, stages), rounds=3, seconds=0.08)
    assert samples["a"].stages_ms == [stages] * len(samples["a"].calls_s) == [stages] * 6


def test_energy_is_that_of_a_call() -> None:
    world = World()

    class Meter:
        name = "a meter"

        def joules(self) -> float:
            return 7.0 * world.now  # seven watts

    contenders = [world.contender("a", 0.25), world.contender("b", 0.5)]
    samples = measure(contenders, 3, 0.0, clock=world.clock, meter=Meter())
    assert samples["a"].joules == pytest.approx([1.75] * 3)
    assert samples["b"].joules == pytest.approx([3.5] * 3)


def test_names_are_unique() -> None:
    world = World()
    with pytest.raises(ValueError, match="name"):
        world.measure(world.contender("a", 1.0), world.contender("a", 1.0))


def noisy(rng: np.random.Generator, rounds: int, slower: float = 1.0) -> tuple[Samples, Samples]:
    """Two contenders with the noise of a shared machine: each block up to a few per cent, some more."""

    def blocks() -> list[float]:
        noise = rng.normal(0, 0.02, rounds) + rng.exponential(0.03, rounds)
        return [float(value) for value in 1 + noise]

    return Samples(blocks_s=[slower * block for block in blocks()]), Samples(blocks_s=blocks())


def test_the_control_holds_for_equal_things() -> None:
    rng = np.random.default_rng(0)
    held = [control([noisy(rng, 15) for _ in range(4)]).holds for _ in range(200)]
    assert sum(held) >= 194


def test_few_rounds_cannot_hold_as_often() -> None:
    """Half of equal things' ratios are above 1: all of n with the chance of 2 in 2^n."""
    assert 2 / 2**LEAST_ROUNDS < 1 - LEVEL < 2 / 2 ** (LEAST_ROUNDS - 1)


def test_the_control_fails_where_one_of_two_equal_things_is_favoured() -> None:
    rng = np.random.default_rng(0)
    checks = [control([noisy(rng, 15, slower=1.1) for _ in range(4)]) for _ in range(50)]
    assert not any(check.holds for check in checks)
    assert all(check.resolution > 0.05 for check in checks)


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    found = [ratio([noisy(rng, 15, slower=3.0)]) for _ in range(300)]
    held = sum(each.low <= 3 <= each.high for each in found)
    assert 0.9 * 300 < held < 0.995 * 300


def test_several_images_give_the_middle_one_and_the_range() -> None:
    base = Samples(blocks_s=[1.0] * 5)
    found = ratio([(Samples(blocks_s=[times] * 5), base) for times in (2.0, 90.0, 5.0)])
    assert (found.median, found.least, found.most) == (5, 2, 90)


def test_percentiles_are_over_all_calls() -> None:
    calls = [0.001 * number for number in range(101)]
    assert latency_ms(Samples(first_s=2.0, calls_s=calls)) == {
        "first": 2000,
        "p50": 50,
        "p90": 90,
        "p99": 99,
    }
