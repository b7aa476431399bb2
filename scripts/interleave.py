"""Times variants in interleaved, reshuffled rounds, and compares them round by round."""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np


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
    variants: dict[str, Callable[[], object]], rounds: int, seconds: float, seed: int = 0
) -> dict[str, list[float]]:
    """Seconds a call, one value a round; each variant is repeated until it fills `seconds`."""
    shuffle = random.Random(seed)
    calls = {}
    for name, run in variants.items():
        run()  # warm up
        start = time.perf_counter()
        run()
        calls[name] = max(1, round(seconds / max(time.perf_counter() - start, 1e-9)))
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name in shuffle.sample(list(variants), len(variants)):
            start = time.perf_counter()
            for _ in range(calls[name]):
                variants[name]()
            samples[name].append((time.perf_counter() - start) / calls[name])
    return samples


def summarise(samples: dict[str, list[float]]) -> dict[str, Summary]:
    base = np.array(next(iter(samples.values())))
    random_state = np.random.default_rng(0)
    summaries = {}
    for name, times in samples.items():
        ratios = np.array(times) / base
        medians = np.median(random_state.choice(ratios, (2000, len(ratios))), axis=1)
        low, high = np.quantile(medians, [0.025, 0.975])
        summaries[name] = Summary(
            1e3 * statistics.median(times), float(np.median(ratios)), (float(low), float(high))
        )
    return summaries
