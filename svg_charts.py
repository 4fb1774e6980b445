"""Charts as SVG without script: what a template needs to draw them, in coordinates. Pure.

Coordinates are of a view box `WIDTH` wide with y downwards, rounded to a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from domain import DAY_MS

WIDTH = 960.0
LEFT, RIGHT, TOP, BOTTOM = 8.0, 76.0, 8.0, 22.0
VALUE_TICKS = 5
TIME_TICKS = 7
SHORT_RANGE_DAYS = 7
MARGIN_OF_VALUES = 0.04  # of their range, above and below

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where it is, and what stands at it."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class LineDrawing:
    """Lines over time: `paths` are `d` attributes by name; `zero` is where 0 is, if in sight."""

    height: float
    left: float
    right: float
    top: float
    bottom: float
    paths: Mapping[str, str]
    value_ticks: Sequence[Tick]
    time_ticks: Sequence[Tick]
    zero: float | None
    width: float = WIDTH

    def area(self, name: str) -> str:
        """The path of a line closed down to 0, or to the lower edge where that is out of sight."""
        path = self.paths[name]
        if not path:
            return ""
        base = self.bottom if self.zero is None else self.zero
        first, last = path[1:].split(" ", 1)[0], path.rsplit("L", 1)[-1].lstrip("M")
        return f"{path} L{last.split(',')[0]},{base} L{first.split(',')[0]},{base} Z"


def line_drawing(
    times_ms: Sequence[int],
    lines: Mapping[str, Values],
    height: float,
    label_of: Callable[[float], str],
    *,
    highest: float | None = None,
) -> LineDrawing:
    """Lines of values at the same times, ascending; `highest` is where the axis ends at least."""
    known = [value for values in lines.values() for value in values if value is not None]
    low, high = _range_of(known if highest is None else [*known, highest])
    if highest is not None:
        high = max(highest, max(known, default=highest))
    right, bottom = WIDTH - RIGHT, height - BOTTOM
    first, last = (times_ms[0], times_ms[-1]) if times_ms else (0, 1)
    over = max(last - first, 1)

    def x(time_ms: float) -> float:
        return round(LEFT + (time_ms - first) / over * (right - LEFT), 1)

    def y(value: float) -> float:
        return round(bottom - (value - low) / (high - low) * (bottom - TOP), 1)

    ticks = [value for value in round_steps(low, high, VALUE_TICKS) if low <= value <= high]
    return LineDrawing(
        height, LEFT, right, TOP, bottom,
        {name: _path([x(t) for t in times_ms], values, y) for name, values in lines.items()},
        [Tick(y(value), label_of(value)) for value in ticks],
        _time_ticks(first, last, x) if times_ms else [],
        y(0.0) if low <= 0 <= high else None,
    )  # fmt: skip


def _path(xs: Sequence[float], values: Values, y: Callable[[float], float]) -> str:
    """Move, then lines; where a value is missing the line goes on from the one before."""
    points = [f"{at},{y(v)}" for at, v in zip(xs, values, strict=True) if v is not None]
    return "M" + " L".join(points) if points else ""


def _range_of(values: Sequence[float]) -> tuple[float, float]:
    """From the lowest to the highest with a margin; never empty."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = (high - low) * MARGIN_OF_VALUES or abs(high) * MARGIN_OF_VALUES or 1.0
    return low - margin, high + margin


def round_steps(low: float, high: float, about: int) -> list[float]:
    """About so many values at steps of 1, 2, 2.5 or 5 times a power of ten, all over the range."""
    raw = (high - low) / max(about - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def _time_ticks(first: int, last: int, x: Callable[[float], float]) -> list[Tick]:
    form = "%m-%d %H:%M" if last - first < SHORT_RANGE_DAYS * DAY_MS else "%Y-%m-%d"
    ticks = []
    for place in range(TIME_TICKS):
        time_ms = first + (last - first) * (place + 0.5) / TIME_TICKS
        label = f"{datetime.fromtimestamp(time_ms / 1000, UTC):{form}}"
        ticks.append(Tick(x(time_ms), label))
    return ticks


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a bar chart, in coordinates, with the value that it stands for."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: float


@dataclass(frozen=True, slots=True)
class BarDrawing:
    """Bars up and down from the line at `zero`."""

    height: float
    bars: Sequence[Bar]
    zero: float
    value_ticks: Sequence[Tick]
    left: float = LEFT
    right: float = WIDTH - RIGHT
    width: float = WIDTH


def bar_drawing(
    rows: Sequence[tuple[str, float]], height: float, label_of: Callable[[float], str]
) -> BarDrawing:
    """A bar for each (label, value), in their order, with 0 always in sight."""
    low, high = _range_of([0.0, *(value for _, value in rows)])
    right, bottom = WIDTH - RIGHT, height - BOTTOM

    def y(value: float) -> float:
        return round(bottom - (value - low) / (high - low) * (bottom - TOP), 1)

    step = (right - LEFT) / max(len(rows), 1)
    bars = [
        Bar(
            round(LEFT + step * (place + 0.1), 1), min(y(0), y(value)), round(step * 0.8, 1),
            round(abs(y(value) - y(0)), 1), label, value,
        )
        for place, (label, value) in enumerate(rows)
    ]  # fmt: skip
    ticks = [Tick(y(value), label_of(value)) for value in round_steps(low, high, VALUE_TICKS)]
    return BarDrawing(height, bars, y(0.0), ticks)
