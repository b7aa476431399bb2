"""Scales and ticks of charts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """From values to places on the page. low and high are drawn at `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        part = 0.5 if high == low else (value - low) / (high - low)
        return self.start + part * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        return log_ticks(self.low, self.high) if self.logarithmic else ticks(self.low, self.high)


def scale_of(
    values: Sequence[float],
    start: float,
    end: float,
    *,
    logarithmic: bool = False,
    from_zero: bool = False,
) -> Scale:
    """A scale with some room around the values."""
    low, high = min(values), max(values)
    if logarithmic:
        return Scale(low / 1.5, high * 1.5, start, end, logarithmic=True)
    low = 0.0 if from_zero else low
    room = 0.08 * (high - low) or 1.0
    return Scale(low if from_zero else low - room, high + room, start, end)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; with 2 and 5 between where those are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if math.log10(high / low) > 3 else (1, 2, 5)
    found = [factor * 10.0**decade for decade in decades for factor in factors]
    return [tick for tick in found if low * 0.999 <= tick <= high * 1.001]


def short(value: float) -> str:
    """A tick's label: 0.1, 20, 5,000, 50 k, 2.5 M."""
    for unit, name, least in ((1e6, " M", 1e6), (1e3, " k", 1e4)):
        if value >= least:
            return f"{value / unit:g}{name}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
