"""The bars of a backtest on one grid of time: every coin's history, aligned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from domain import FloatArray, Interval, KlineSeries, TimeArray
from exits import exact_price


@dataclass(frozen=True, slots=True)
class CoinBars:
    """One coin's bars and where they stand on the grid.

    `grid_of` (one a bar) is a bar's grid index; `bar_at` (one a grid time) the last bar at or
    before it, −1 before the first; `open` and `close` its prices on the grid, where it has no bar
    the last close, NaN before its first.
    """

    series: KlineSeries
    grid_of: TimeArray
    bar_at: TimeArray
    open: FloatArray
    close: FloatArray
    has_every_bar: bool

    def bar_from(self, at: int) -> int | None:
        """The first bar at or after a grid time; None after the last."""
        if self.has_every_bar:
            return at
        bar: int = self.bar_at.item(at)
        if bar < 0 or self.grid_of.item(bar) < at:
            bar += 1
        return bar if bar < len(self.series) else None

    def grid_index_from(self, at: int) -> int | None:
        """The grid index of that bar; None where there is none, or `at` is beyond the grid."""
        if at >= len(self.bar_at):
            return None
        if self.has_every_bar:
            return at
        bar = self.bar_from(at)
        return None if bar is None else self.grid_of.item(bar)

    def open_price(self, at: int) -> Decimal:
        """The exact open of the bar at a grid time, or where there is none the last close."""
        return exact_price(self.open.item(at))

    def close_price(self, at: int) -> Decimal:
        """The exact last close at or before a grid time."""
        return exact_price(self.close.item(at))


@dataclass(frozen=True, slots=True)
class Grid:
    """The union of all coins' open times, ascending, shape (n,); `first` is the range's start."""

    interval: Interval
    open_time: TimeArray
    first: int
    coins: Mapping[str, CoinBars]

    def __len__(self) -> int:
        return len(self.open_time)

    def close_time(self, at: int) -> int:
        """When the bar at a grid index closes."""
        return self.open_time.item(at) + self.interval.milliseconds

    def first_open_from(self, time_ms: int) -> int:
        """The first grid index of the range whose bar opens at or after a time."""
        return max(int(np.searchsorted(self.open_time, time_ms)), self.first)

    def first_close_from(self, time_ms: int) -> int:
        """The first grid index of the range whose bar closes at or after a time."""
        opened = time_ms - self.interval.milliseconds
        return max(int(np.searchsorted(self.open_time, opened)), self.first)


def align(history: Mapping[str, KlineSeries], interval: Interval, start_ms: int) -> Grid:
    """All coins' bars on one grid; a coin's missing bars are simply absent."""
    times = [series.open_time for series in history.values()]
    grid = times[0] if len(times) == 1 else np.unique(np.concatenate(times))
    first = int(np.searchsorted(grid, start_ms))
    coins = {coin: _on_grid(series, grid) for coin, series in history.items()}
    return Grid(interval, grid, first, coins)


def _on_grid(series: KlineSeries, grid: TimeArray) -> CoinBars:
    if len(series) == len(grid):  # it has every bar
        every = np.arange(len(grid))
        return CoinBars(series, every, every, series.open, series.close, has_every_bar=True)
    grid_of = np.searchsorted(grid, series.open_time)
    bar_at = np.searchsorted(series.open_time, grid, side="right") - 1
    close = np.where(bar_at >= 0, series.close[np.maximum(bar_at, 0)], np.nan)
    opened = close.copy()
    opened[grid_of] = series.open
    return CoinBars(series, grid_of, bar_at, opened, close, has_every_bar=False)
