"""Exits of a backtest's open positions, found ahead by searching their bars.

A position is watched from the bar after its fill on (from that bar itself where it filled at the
open). What changes a position (an add, a partial close, a funding) starts its watch anew, with
the best price that it had reached before that bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from heapq import heappop, heappush, heapreplace

import numpy as np

from backtest_market import Grid
from domain import KlineSeries, Position, Side
from exits import ExitHit, ExitLevels, exit_levels, first_exit
from ledger import already_exact

NEVER = 2**62
_exit_levels = already_exact(exit_levels)
LOOK_AHEAD = 1024  # bars searched at least: what is found stays true until the position changes


@dataclass(slots=True)
class _Watch:
    """One position, watched from bar `since` of its coin on and searched up to bar `searched`."""

    coin: str
    levels: ExitLevels
    lived_from: int  # the first bar since which its condition on closed bars stands
    since: int
    best_before: float  # the best price before bar `since`, where a stop trails it
    searched: int
    best_searched: float  # the same before bar `searched`
    exit_at: int = NEVER  # the grid index of the exit that was found
    hit: ExitHit | None = None


class ExitWatches:
    """The watches of all open positions; a maintenance margin rate of None never liquidates.

    Those with something to watch wait in a heap, `waiting`, by the grid index up to which nothing
    happens to them, so that what a bar costs does not grow with the positions that are far from
    their levels.
    """

    def __init__(self, grid: Grid, maintenance_margin_rate: Decimal | None):
        self._grid = grid
        self._maintenance_margin_rate = maintenance_margin_rate
        self._watches: dict[str, _Watch] = {}
        self._first_bars: dict[str, int] = {}  # from which on each position is watched
        self._places = {coin: place for place, coin in enumerate(grid.coins)}
        self.waiting: list[tuple[int, int, int, _Watch]] = []
        self._count = 0  # tells watches of the same coin apart, so that none is compared

    def follow(self, coin: str, position: Position | None, at: int) -> None:
        """Watch what the coin's position has become from grid index `at` on; None ends it."""
        before = self._watches.pop(coin, None)
        if position is None:
            del self._first_bars[coin]
            return
        bars = self._grid.coins[coin]
        bar = bars.bar_from(at) if at < len(self._grid) else None
        first = self._first_bars.setdefault(coin, len(bars.series) if bar is None else bar)
        levels = _exit_levels(position, self._maintenance_margin_rate)
        if bar is None or not levels.any:
            return
        lived_from = bar
        if before is not None and before.levels.at_close == levels.at_close:
            lived_from = before.lived_from
        best = float(position.best_price or position.entry_price)
        if levels.trailing_share is not None:
            if before is not None and before.levels.trailing_share is not None:
                first, best = before.since, before.best_before
            best = _best_price(levels.side, bars.series.slice(first, bar), best)
        watch = _Watch(coin, levels, lived_from, bar, best, bar, best)
        self._watches[coin] = watch
        self._count += 1
        waiting = (bars.grid_of.item(bar), self._places[coin], self._count, watch)
        heappush(self.waiting, waiting)

    def next_bar(self, horizon: int) -> int:
        """The grid index of the first exit up to `horizon`; a later one, or NEVER, if none is."""
        waiting = self.waiting
        while waiting:
            at, place, count, watch = waiting[0]
            if self._watches.get(watch.coin) is not watch:
                heappop(waiting)
            elif watch.exit_at == at:
                return at
            elif at > horizon:
                return NEVER
            else:
                self._search(watch, horizon)
                until = min(watch.exit_at, self._searched_until(watch))
                heapreplace(waiting, (until, place, count, watch))
        return NEVER

    def hits(self, at: int) -> list[tuple[str, ExitHit]]:
        """The exits that the bars at grid index `at` reach, in the order of the run's coins."""
        reached = []
        again = []
        while self.next_bar(at) == at:
            waiting = heappop(self.waiting)
            again.append(waiting)
            watch = waiting[-1]
            assert watch.hit is not None
            reached.append((watch.coin, watch.hit))
        for waiting in again:
            heappush(self.waiting, waiting)
        return reached

    def _search(self, watch: _Watch, horizon: int) -> None:
        """Search a watch that has no exit yet up to a grid index, or a good way further."""
        bars = self._grid.coins[watch.coin]
        last = len(bars.series)
        wanted = last if horizon >= len(self._grid) else bars.bar_at.item(horizon) + 1
        stop = min(max(wanted, watch.searched + LOOK_AHEAD), last)
        watch.searched, watch.hit, watch.best_searched = first_exit(
            watch.levels,
            bars.series,
            watch.searched,
            stop,
            watch.best_searched,
            watch.lived_from,
        )
        if watch.hit is not None:
            watch.exit_at = bars.grid_of.item(watch.searched)

    def _searched_until(self, watch: _Watch) -> int:
        """The first grid index that a watch has not been searched at, or NEVER."""
        bars = self._grid.coins[watch.coin]
        known = watch.searched
        return bars.grid_of.item(known) if known < len(bars.series) else NEVER


def _best_price(side: Side, lived: KlineSeries, before: float) -> float:
    """The furthest price in favour of a position over bars that it lived through."""
    if side is Side.LONG:
        return float(np.max(lived.high, initial=before))
    return float(np.min(lived.low, initial=before))
