"""Functions timed in turns, as `jpegrt bench` times its contenders, and compared with the first."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from jpegrt.runtime.bench.rounds import Contender, Samples, silent
from jpegrt.runtime.bench.rounds import measure as measure_contenders
from jpegrt.runtime.bench.statistics import ratio


@dataclass(frozen=True)
class Summary:
    """One variant's times, and its ratio to the first variant: per-round ratios, their median and
    the 95 % bootstrap interval of that."""

    median_ms: float
    ratio: float
    ratio_95: tuple[float, float]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def measure(
    variants: Mapping[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, Samples]:
    """Each variant is repeated in a round until it fills `seconds`."""
    contenders = [Contender(name, silent(call)) for name, call in variants.items()]
    return measure_contenders(contenders, rounds, seconds)


def summarise(samples: Mapping[str, Samples]) -> dict[str, Summary]:
    base = next(iter(samples.values()))
    summaries = {}
    for name, each in samples.items():
        found = ratio([(each, base)])
        median_ms = 1e3 * statistics.median(each.blocks_s)
        summaries[name] = Summary(median_ms, found.median, (found.low, found.high))
    return summaries
