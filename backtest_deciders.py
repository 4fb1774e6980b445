"""When a trader has something to say in a backtest, and what.

A decider hides how a trader is asked: signals computed for the whole history at once (rule
strategies), a list with times (scripts), or a question a bar (LLMs and any other trader). The
engine jumps to the next bar at which its decider may speak, so that its own cost follows
decisions, not bars.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from decimal import getcontext, localcontext
from heapq import heappop, heappush, heapreplace
from typing import Protocol, cast

import numpy as np

from backtest_exits import NEVER
from backtest_market import CoinBars, Grid
from domain import (
    AccountInfo,
    BoolArray,
    CoinMarket,
    Decision,
    Decisions,
    Portfolio,
    Side,
    Trader,
)
from ledger import Account
from paper_execution import closes_first, in_order
from strategies import Strategy
from strategies.scripted import ScriptedTrader

NEARBY = 8  # of a coin's signals: where the next one that matters is looked for first


class Decider(Protocol):
    """What the engine asks. Grid indices that it is given never go back."""

    def opening(self) -> list[tuple[str, Decision]]:
        """Decisions made before the first bar of the range, closes first."""

    def follow(self, coin: str, held: Side | None, at: int) -> None:
        """From the bar at `at` on, the coin is held on this side."""

    def next_bar(self, at: int) -> int:
        """The first grid index ≥ `at` at whose close there may be a decision, or NEVER."""

    def decide(self, at: int, account: Account) -> list[tuple[str, Decision]]:
        """Decisions at the close of the bar at `at`, which `next_bar` gave; closes first."""


class SignalDecider:
    """A rule strategy: its signals for the whole history, searched for the next that matters.

    The coins wait in a heap by the bar of their next signal, or the one up to which they have
    been searched, so that what a decision costs does not grow with the coins that are silent.
    """

    def __init__(self, strategy: Strategy, grid: Grid):
        self._strategy = strategy
        self._coins = [_CoinSignals(strategy, coin, bars) for coin, bars in grid.coins.items()]
        self._places = {coin: place for place, coin in enumerate(grid.coins)}
        before = grid.first - 1
        self._waiting = [(before, place) for place in range(len(self._coins))]
        for signals in self._coins:
            signals.waits_for = before

    def opening(self) -> list[tuple[str, Decision]]:
        """Nothing: it is first asked at the close of the first bar."""
        return []

    def follow(self, coin: str, held: Side | None, at: int) -> None:
        """Other signals matter to a coin that is held, or no longer."""
        place = self._places[coin]
        signals = self._coins[place]
        if signals.held is held:
            return
        signals.held = held
        if signals.waits_for >= at:
            signals.waits_for = at - 1
            heappush(self._waiting, (at - 1, place))

    def next_bar(self, at: int) -> int:
        """The nearest signal that its coin's state makes matter."""
        waiting = self._waiting
        while waiting:
            bar, place = waiting[0]
            signals = self._coins[place]
            if bar != signals.waits_for:  # it has waited for another bar since
                heappop(waiting)
            elif bar < at:
                signals.waits_for = signals.search(at)
                heapreplace(waiting, (signals.waits_for, place))
            else:
                return bar
        return NEVER

    def decide(self, at: int, account: Account) -> list[tuple[str, Decision]]:
        """The strategy's decisions for every coin with a signal on this bar."""
        waiting = self._waiting
        decisions: list[tuple[str, Decision]] = []
        decided: list[int] = []
        while waiting and waiting[0][0] == at:
            _, place = heappop(waiting)
            signals = self._coins[place]
            if signals.waits_for != at:  # it has waited for another bar since
                continue
            decided.append(place)
            signals.waits_for = NEVER
            coin, held = signals.coin, signals.held
            for decision in self._strategy.decide(*signals.on(at), held):
                decisions.append((coin, decision))
        for place in decided:  # from the next bar on they are searched again
            self._coins[place].waits_for = at
            heappush(waiting, (at, place))
        return closes_first(decisions)


class _CoinSignals:
    """One coin's signals as sorted grid indices for each state that a coin can be in."""

    def __init__(self, strategy: Strategy, coin: str, bars: CoinBars):
        signals = strategy.signals(coin, bars.series)
        self.coin = coin
        self.held: Side | None = None
        self.waits_for = NEVER  # its bar in the decider's heap
        # Memory views give plain numbers, at a fraction of what an array's own cost.
        self._bar_at = bars.bar_at.data
        self._enter_long = _view(signals.enter_long)
        self._enter_short = _view(signals.enter_short)
        self._closes = {side: _view(signals.closes(side)) for side in Side}
        self._bars: dict[Side | None, memoryview] = {
            held: bars.grid_of[np.flatnonzero(matters)].data
            for held, matters in (
                (None, signals.enter_long | signals.enter_short),
                (Side.LONG, signals.closes(Side.LONG) | signals.enter_short),
                (Side.SHORT, signals.closes(Side.SHORT) | signals.enter_long),
            )
        }
        self._searched: dict[Side | None, int] = dict.fromkeys(self._bars, 0)

    def search(self, at: int) -> int:
        """The first grid index ≥ `at` with a signal that matters, or NEVER."""
        bars, place = self._bars[self.held], self._searched[self.held]
        stop = min(place + NEARBY, len(bars))
        place = bisect_left(bars, at, place, stop)
        if place == stop:
            place = bisect_left(bars, at, place)
        self._searched[self.held] = place
        return bars[place] if place < len(bars) else NEVER

    def on(self, at: int) -> tuple[bool, bool, bool]:
        """Whether to enter long, to enter short, and to close what is held, at `at`."""
        bar, held = self._bar_at[at], self.held
        closes = held is not None and self._closes[held][bar]
        return self._enter_long[bar], self._enter_short[bar], closes


def _view(flags: BoolArray) -> memoryview[bool]:
    return cast("memoryview[bool]", flags.data)


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

    def follow(self, coin: str, held: Side | None, at: int) -> None:
        """A list says what it says, whatever is held."""

    def next_bar(self, at: int) -> int:
        """The next bar of the list."""
        place = int(np.searchsorted(self._times, at))
        return int(self._times[place]) if place < len(self._times) else NEVER

    def decide(self, at: int, account: Account) -> list[tuple[str, Decision]]:
        """What the list says for this bar."""
        return in_order(self._decisions.get(at, {}))


class BarByBarDecider:
    """Any trader: shown the closed bars up to now and asked every `decide_every` bars.

    It answers in the decimal context that it is made in, as live, not in the ledger's.
    """

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
        self._context = getcontext()

    def opening(self) -> list[tuple[str, Decision]]:
        """Nothing: it is first asked at the close of the first bar."""
        return []

    def follow(self, coin: str, held: Side | None, at: int) -> None:
        """It is shown what is held each time it is asked."""

    def next_bar(self, at: int) -> int:
        """Every `decide_every`-th bar of the range."""
        first = self._grid.first
        since = max(at - first, 0)
        step = -(-since // self._every) * self._every + first
        return step if step < len(self._grid) else NEVER

    def decide(self, at: int, account: Account) -> list[tuple[str, Decision]]:
        """Ask the trader."""
        with localcontext(self._context):
            return in_order(self._answer(at, account))

    def _answer(self, at: int, account: Account) -> Decisions:
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
        return answer

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
