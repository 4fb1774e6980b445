"""When a trader has something to say in a backtest, and what.

A decider hides how a trader is asked: signals computed for the whole history at once (rule
strategies), a list with times (scripts), or a question a bar (LLMs and any other trader). The
engine jumps to the next bar at which its decider may speak, so that its own cost follows
decisions, not bars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from backtest_exits import NEVER
from backtest_market import Grid
from domain import (
    AccountInfo,
    CoinMarket,
    Decision,
    KlineSeries,
    Portfolio,
    Side,
    TimeArray,
    Trader,
)
from ledger import Account
from paper_execution import in_order
from strategies import Strategy
from strategies.scripted import ScriptedTrader


class Decider(Protocol):
    """What the engine asks."""

    def opening(self) -> list[tuple[str, Decision]]:
        """Decisions made before the first bar of the range, closes first."""

    def next_bar(self, at: int, account: Account) -> int:
        """The first grid index ≥ `at` at whose close there may be a decision, or NEVER."""

    def decide(self, at: int, account: Account) -> list[tuple[str, Decision]]:
        """Decisions at the close of the bar at `at`, closes first; none where it is not asked."""


class SignalDecider:
    """A rule strategy: its signals for the whole history, searched for the next that matters."""

    def __init__(self, strategy: Strategy, grid: Grid):
        self._strategy = strategy
        self._coins = {
            coin: _CoinSignals(strategy, coin, bars.series, bars.grid_of)
            for coin, bars in grid.coins.items()
        }

    def opening(self) -> list[tuple[str, Decision]]:
        """Nothing: it is first asked at the close of the first bar."""
        return []

    def next_bar(self, at: int, account: Account) -> int:
        """The nearest signal that its coin's state makes matter."""
        return min(
            signals.next_bar(at, _held(account, coin)) for coin, signals in self._coins.items()
        )

    def decide(self, at: int, account: Account) -> list[tuple[str, Decision]]:
        """The strategy's decisions for every coin with a signal on this bar."""
        decisions: dict[str, list[Decision]] = {}
        for coin, signals in self._coins.items():
            held = _held(account, coin)
            if signals.next_bar(at, held) == at:
                decisions[coin] = self._strategy.decide(*signals.on(at, held), held)
        return in_order(decisions)


class _CoinSignals:
    """One coin's signals as sorted grid indices for each state that a coin can be in."""

    def __init__(self, strategy: Strategy, coin: str, series: KlineSeries, grid_of: TimeArray):
        signals = strategy.signals(coin, series)
        self._signals = signals
        self._grid_of = grid_of
        entries = signals.enter_long | signals.enter_short
        self._bars: dict[Side | None, TimeArray] = {
            None: grid_of[np.flatnonzero(entries)],
            Side.LONG: grid_of[np.flatnonzero(signals.closes(Side.LONG) | signals.enter_short)],
            Side.SHORT: grid_of[np.flatnonzero(signals.closes(Side.SHORT) | signals.enter_long)],
        }
        self._known: tuple[Side | None, int] = (None, -1)  # the last answer, and for which state

    def next_bar(self, at: int, held: Side | None) -> int:
        """The first grid index ≥ `at` with a signal that matters; `at` never goes back."""
        known_held, known = self._known
        if known_held is held and known >= at:
            return known
        bars = self._bars[held]
        place = int(np.searchsorted(bars, at))
        bar = int(bars[place]) if place < len(bars) else NEVER
        self._known = (held, bar)
        return bar

    def on(self, at: int, held: Side | None) -> tuple[bool, bool, bool]:
        """Whether to enter long, to enter short, and to close what is held, at `at`."""
        return self._signals.at(int(np.searchsorted(self._grid_of, at)), held)


class ScriptDecider:
    """A script: each decision is made at the close of the grid index that `decided_at` gives.

    An index before the range's first bar is its very start. `outside` are the decisions that the
    range does not reach: made before it began, or after its last bar.
    """

    def __init__(
        self, trader: ScriptedTrader, grid: Grid, start_ms: int, decided_at: Callable[[int], int]
    ):
        self._first = grid.first
        self._decisions: dict[int, dict[str, list[Decision]]] = {}
        self.outside: list[tuple[int, str, Decision]] = []
        for time_ms, coin, decision in trader.script:
            at = decided_at(time_ms)
            if time_ms < start_ms or at >= len(grid):
                self.outside.append((time_ms, coin, decision))
            else:
                self._decisions.setdefault(at, {}).setdefault(coin, []).append(decision)
        self._times = np.array(sorted(self._decisions), dtype=np.int64)

    def opening(self) -> list[tuple[str, Decision]]:
        """What the list says for the very start."""
        return in_order(self._decisions.get(self._first - 1, {}))

    def next_bar(self, at: int, account: Account) -> int:
        """The next bar of the list."""
        place = int(np.searchsorted(self._times, at))
        return int(self._times[place]) if place < len(self._times) else NEVER

    def decide(self, at: int, account: Account) -> list[tuple[str, Decision]]:
        """What the list says for this bar."""
        return in_order(self._decisions.get(at, {}))


class BarByBarDecider:
    """Any trader: shown the closed bars up to now and asked every `decide_every` bars."""

    def __init__(
        self,
        trader: Trader,
        grid: Grid,
        decide_every: int,
        value: Callable[[int, Account], Portfolio],
    ):
        self._trader = trader
        self._grid = grid
        self._every = decide_every
        self._value = value
        self._previous_time: int | None = None

    def opening(self) -> list[tuple[str, Decision]]:
        """Nothing: it is first asked at the close of the first bar."""
        return []

    def next_bar(self, at: int, account: Account) -> int:
        """Every `decide_every`-th bar of the range."""
        first = self._grid.first
        since = max(at - first, 0)
        step = -(-since // self._every) * self._every + first
        return step if step < len(self._grid) else NEVER

    def decide(self, at: int, account: Account) -> list[tuple[str, Decision]]:
        """Ask the trader."""
        if self.next_bar(at, account) != at:
            return []
        time_ms = self._grid.close_time(at)
        portfolio = self._value(at, account)
        initial = account.initial_capital
        asked = AccountInfo(
            time_ms=time_ms,
            started_ms=int(self._grid.open_time[self._grid.first]),
            initial_capital=initial,
            total_return=float((portfolio.total_value - initial) / initial * 100),
            previous_time_ms=self._previous_time,
        )
        answer = self._trader.make_decision(self._market_at(at), portfolio, asked)
        self._previous_time = time_ms
        return in_order(answer)

    def _market_at(self, at: int) -> Mapping[str, CoinMarket]:
        """Views on the bars that have closed; nothing after them can be reached."""
        market = {}
        for coin, bars in self._grid.coins.items():
            last = int(bars.bar_at[at]) + 1
            if last <= 0:
                continue
            seen = bars.series.slice(max(0, last - self._trader.history_bars), last)
            market[coin] = CoinMarket(bars.close_price(at), seen, source=seen.source)
        return market


def _held(account: Account, coin: str) -> Side | None:
    position = account.positions.get(coin)
    return position.side if position is not None else None
