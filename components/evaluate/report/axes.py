"""Axes: values in percent of a plot, and round numbers beside them."""

import math
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    label: str


@final
@dataclass(frozen=True)
class Axis:
    """Maps values to percent."""

    low: float
    high: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        low, high = self._scaled(self.low), self._scaled(self.high)
        return round(100 * (self._scaled(value) - low) / (high - low), 2)

    def ticks(self, count: int = 5, *, percent: bool = False, whole: bool = False) -> list[Tick]:
        """About `count` round values; `whole` ones for what is counted."""
        values = self._decades() if self.logarithmic else _round_steps(self.low, self.high, count, whole)
        return [Tick(self.at(value), f"{100 * value:g} %" if percent else number(value)) for value in values]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value

    def _decades(self) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        factors = (1,) if last - first > 2 else (1, 2, 5)
        values = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        return [value for value in values if self.low <= value <= self.high]


def number(value: float) -> str:
    """As people write it, to about four digits: 1,200 or 0.05."""
    if value == int(value) or abs(value) >= 1000:
        shown = f"{value:,.0f}"
    elif abs(value) >= 1:
        shown = f"{value:.4g}"
    else:
        shown = f"{value:.4f}".rstrip("0") if abs(value) >= 0.001 else f"{value:.3g}"
    return shown.replace("-", "−")


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """Ends with room beyond them, a share of their distance; never the same."""
    if low == high:
        return (low - 0.5, high + 0.5) if low == 0 else (low - abs(low) / 2, high + abs(high) / 2)
    room = (high - low) * share
    return low - room, high + room


def _round_steps(low: float, high: float, count: int, whole: bool) -> list[float]:
    raw = max((high - low) / count, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(raw))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next(factor * power for factor in factors if factor * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]
