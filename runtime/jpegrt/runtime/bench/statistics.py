"""What samples say: ratios of one round's blocks, their median, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from jpegrt.runtime.bench.rounds import Samples

LEVEL = 0.95
_RESAMPLINGS = 2000


@dataclass(frozen=True)
class Ratio:
    """A ratio of times: the median over images of each image's median over rounds.

    low, high: the bootstrap interval of that, rounds drawn anew. least, most: over the images.
    """

    median: float
    low: float
    high: float
    least: float
    most: float

    def to_json(self) -> dict[str, float]:
        return {name: float(f"{value:.6g}") for name, value in asdict(self).items()}


def ratio(pairs: Sequence[tuple[Samples, Samples]], level: float = LEVEL, seed: int = 0) -> Ratio:
    """Of a contender to its base, a pair for each image, all of the same number of rounds."""
    per_round = np.array([ratios_of_rounds(*pair) for pair in pairs])
    medians = np.median(per_round, axis=1)
    drawn = np.random.default_rng(seed).integers(
        0, per_round.shape[1], (_RESAMPLINGS, per_round.shape[1])
    )
    resampled = np.zeros((len(pairs), _RESAMPLINGS))
    for image, rounds in enumerate(per_round):
        resampled[image] = np.median(rounds[drawn], axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(np.median(resampled, axis=0), [tail, 1 - tail])
    middle = float(np.median(medians))
    return Ratio(middle, float(low), float(high), float(medians.min()), float(medians.max()))


def ratios_of_rounds(contender: Samples, base: Samples) -> NDArray[np.float64]:
    ratios: NDArray[np.float64] = np.array(contender.blocks_s) / np.array(base.blocks_s)
    return ratios


def latency_ms(samples: Samples) -> dict[str, float]:
    """Percentiles over all calls, and the first call, in milliseconds."""
    p50, p90, p99 = np.percentile(samples.calls_s, [50, 90, 99])
    values = {"first": samples.first_s, "p50": p50, "p90": p90, "p99": p99}
    return {name: round(1e3 * float(value), 4) for name, value in values.items()}


def medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each key, over rows with the same keys."""
    return {key: float(np.median([row[key] for row in rows])) for key in rows[0]} if rows else {}
