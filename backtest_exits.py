"""Exits of a backtest's open positions, found ahead by searching their bars.

A position is watched from the bar after its fill on (from that bar itself where it filled at the
open). What changes a position (an add, a partial close, a funding) starts its watch anew, with
the best price that it had reached before that bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from backtest_market import CoinBars, Grid
from domain import Position, Side
from exits import ExitHit, ExitLevels, exit_levels, first_exit

NEVER = 2**62
LOOK_AHEAD = 1024  # bars searched at least: what is found stays true until the position changes


@dataclass(slots=True)
class _Watch:
    """One position, watched from bar `since` of its coin on and searched up to bar `searched`."""

    levels: ExitLevels
    since: int
    lived_from: int  # the first bar since which its condition on closed bars stands
    best_before: float  # the best price before bar `since`
    searched: int
    best_searched: float  # the best price before bar `searched`
    exit_at: int = NEVER  # the grid index of the exit that was found
    hit: ExitHit | None = None

    def best_price_before(self, bar: int, bars: CoinBars) -> float:
        """The best price before `bar`, whatever has been searched beyond it."""
        if self.levels.side is Side.LONG:
            return float(np.max(bars.series.high[self.since : bar], initial=self.best_before))
        return float(np.min(bars.series.low[self.since : bar], initial=self.best_before))


class ExitWatches:
    """The watches of all open positions; a maintenance margin rate of None never liquidates."""

    def __init__(self, grid: Grid, maintenance_margin_rate: Decimal | None):
        self._grid = grid
        self._maintenance_margin_rate = maintenance_margin_rate
        self._watches: dict[str, _Watch] = {}

    def follow(self, coin: str, position: Position | None, at: int) -> None:
        """Watch what the coin's position has become from grid index `at` on; None ends it."""
        before = self._watches.pop(coin, None)
        if position is None or at >= len(self._grid):
            return
        bars = self._grid.coins[coin]
        bar = bars.bar_from(at)
        if bar is None:
            return
        if before is not None:
            best = before.best_price_before(bar, bars)
        else:
            best = float(position.best_price or position.entry_price)
        levels = exit_levels(position, self._maintenance_margin_rate)
        # Where there is nothing to watch for, all bars count as searched.
        searched = bar if levels.any else len(bars.series)
        same = before is not None and before.levels.at_close == levels.at_close
        lived_from = before.lived_from if before is not None and same else bar
        self._watches[coin] = _Watch(levels, bar, lived_from, best, searched, best)

    def next_bar(self, horizon: int) -> int:
        """The grid index of the first exit up to `horizon`; a later one, or NEVER, if none is."""
        first = NEVER
        for coin, watch in self._watches.items():
            first = min(first, self._exit_of(coin, watch, min(first, horizon)))
        return first

    def hits(self, at: int) -> list[tuple[str, ExitHit]]:
        """The exits that the bars at grid index `at` reach, in the order of the run's coins."""
        reached = []
        for coin in self._grid.coins:
            watch = self._watches.get(coin)
            if watch is not None and self._exit_of(coin, watch, at) == at:
                assert watch.hit is not None
                reached.append((coin, watch.hit))
        return reached

    def _exit_of(self, coin: str, watch: _Watch, horizon: int) -> int:
        """The grid index of the coin's exit, which is known up to `horizon` at least."""
        if watch.exit_at != NEVER:
            return watch.exit_at
        bars = self._grid.coins[coin]
        if watch.searched <= bars.bar_at[horizon]:
            stop = max(int(bars.bar_at[horizon]) + 1, watch.searched + LOOK_AHEAD)
            bar, watch.hit, watch.best_searched = first_exit(
                watch.levels,
                bars.series,
                watch.searched,
                min(stop, len(bars.series)),
                watch.best_searched,
                watch.lived_from,
            )
            watch.searched = bar
            watch.exit_at = NEVER if watch.hit is None else int(bars.grid_of[bar])
        return watch.exit_at
