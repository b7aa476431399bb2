"""The A/A control: a plain decode timed twice, under two names, in the same rounds.

Its ratio has to be 1. Where the interval of it does not hold 1 the machine, or the method, favours one
of two equal things, and none of the run's ratios can be trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jpegrt.runtime.bench.rounds import Samples
from jpegrt.runtime.bench.statistics import Ratio, ratio

# At 0.95 one sound run in twenty would be called not valid; the interval is that of the whole run.
LEVEL = 0.99
# With fewer, not even the range of all rounds holds 1 as often as that.
LEAST_ROUNDS = 8


@dataclass(frozen=True)
class Control:
    """The ratio of the two, over all cases of a run."""

    found: Ratio

    @property
    def holds(self) -> bool:
        return self.found.low <= 1 <= self.found.high

    @property
    def resolution(self) -> float:
        """What a ratio of this run can be off by, as a part of it: the interval's farther end."""
        return max(self.found.high - 1, 1 - self.found.low)

    def to_json(self) -> dict[str, object]:
        found = self.found.to_json()
        return {
            "ratio": found["median"],
            "interval": [found["low"], found["high"]],
            "level": LEVEL,
            "holds": self.holds,
            "resolution": round(self.resolution, 6),
        }


def control(pairs: Sequence[tuple[Samples, Samples]]) -> Control:
    """Of a pair for each case."""
    return Control(ratio(pairs, LEVEL))
