"""Contenders timed in interleaved rounds, in a new order in each.

In a round every contender fills a block of time with calls. Contenders are compared block by block
within a round: what disturbs the machine for longer than a round disturbs both sides of a ratio.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jpegrt.runtime.bench.energy import Meter

Clock = Callable[[], float]

_MOST_CALLS = 10_000


@dataclass(frozen=True)
class Contender:
    """Something to time. `call` may return what it knows of its own stages, in milliseconds."""

    name: str
    call: Callable[[], Mapping[str, float] | None]


def silent(call: Callable[[], object]) -> Callable[[], None]:
    """A contender's call of a function whose answer is dropped."""

    def run() -> None:
        call()

    return run


@dataclass
class Samples:
    """What was measured of one contender, in seconds.

    first_s: the very first call, which may load or compile something. blocks_s: one a round, the
    median of its calls. joules: a call's, one a round, empty without a meter.
    """

    first_s: float = 0.0
    blocks_s: list[float] = field(default_factory=list)
    calls_s: list[float] = field(default_factory=list)
    stages_ms: list[Mapping[str, float]] = field(default_factory=list)
    joules: list[float] = field(default_factory=list)


def measure(
    contenders: Sequence[Contender],
    rounds: int,
    seconds: float,
    *,
    clock: Clock = time.perf_counter,
    meter: Meter | None = None,
    seed: int = 0,
    before_round: Callable[[int], None] = lambda _: None,
) -> dict[str, Samples]:
    """seconds: how long a block is at least; a contender whose call is longer is called once."""
    shuffle = random.Random(seed)
    samples = {contender.name: Samples() for contender in contenders}
    if len(samples) < len(contenders):
        raise ValueError("two contenders share a name")
    calls = {}
    for contender in contenders:
        samples[contender.name].first_s = _time(contender, clock)[0]
        warm_s = _time(contender, clock)[0]
        calls[contender.name] = min(_MOST_CALLS, max(1, round(seconds / max(warm_s, 1e-9))))
    for number in range(rounds):
        before_round(number)
        for contender in shuffle.sample(contenders, len(contenders)):
            _fill_block(contender, calls[contender.name], samples[contender.name], clock, meter)
    return samples


def _fill_block(
    contender: Contender, calls: int, samples: Samples, clock: Clock, meter: Meter | None
) -> None:
    if calls > 1:
        contender.call()  # the one before has left its own data in the caches
    before = meter.joules() if meter else 0.0
    timed = [_time(contender, clock) for _ in range(calls)]
    if meter:
        samples.joules.append((meter.joules() - before) / calls)
    block = [seconds for seconds, _ in timed]
    samples.calls_s += block
    samples.blocks_s.append(statistics.median(block))
    samples.stages_ms += [stages for _, stages in timed if stages]


def _time(contender: Contender, clock: Clock) -> tuple[float, Mapping[str, float] | None]:
    started = clock()
    stages = contender.call()
    return clock() - started, stages
