"""`BacktestEngine` replays history through the trader, risk, exits and ledger of the live engine.

A decision at the close of bar t sees bars ≤ t and fills at the open of t + 1 (or at that close).
The engine goes from event to event (a decision, an order due, an exit reached, a funding); the
equity between two events is array arithmetic. Inside one bar: funding due at its open, what the
open has passed, orders due at the open (closes first), then exits inside the bar, then decisions
at its close.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

import numpy as np

import ledger
from backtest_deciders import (
    NEVER,
    BarByBarDecider,
    Decider,
    ScriptDecider,
    SignalDecider,
)
from backtest_market import CoinBars, Grid, align
from domain import (
    HOUR_MS,
    Decision,
    Entry,
    FloatArray,
    Interval,
    KlineSeries,
    Portfolio,
    Position,
    Reason,
    TimeArray,
    Trader,
)
from errors import InvalidInput
from exits import ExitHit, ExitLevels, exit_levels, first_exit
from ledger import Account
from paper_execution import ExecutionRules, Instrument, Outcome, execute, execute_exit
from strategies import Strategy
from strategies.scripted import ScriptedTrader

MOST_REFUSALS_KEPT = 1000


class FillTiming(StrEnum):
    """Where a decision at the close of a bar fills."""

    NEXT_OPEN = "next_open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Funding:
    """Perpetual funding: `rate` of the notional at the mark, every `every_hours` hours UTC."""

    rate: Decimal
    every_hours: int = 8


@dataclass(frozen=True, slots=True)
class BacktestConfig:
    """What a run is. `start_ms` ≤ open times < `end_ms`; `warmup_bars` None takes the trader's."""

    coins: tuple[str, ...]
    start_ms: int
    end_ms: int
    interval: Interval
    initial_capital: Decimal
    rules: ExecutionRules
    fill: FillTiming = FillTiming.NEXT_OPEN
    decide_every: int = 1
    funding: Funding | None = None
    warmup_bars: int | None = None


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A finished run: the ledger, and the account at every bar's close (float64, shape (n,))."""

    config: BacktestConfig
    account: Account
    entries: tuple[Entry, ...]
    refusals: tuple[tuple[int, Outcome], ...]
    refusal_count: int
    close_time: TimeArray
    cash: FloatArray
    positions_value: FloatArray
    bars_in_position: int
    history: Mapping[str, KlineSeries]

    @property
    def equity(self) -> FloatArray:
        """Total value at every bar's close."""
        return self.cash + self.positions_value


class Cancelled(Exception):
    """Raised by a progress callback to stop a run."""


@dataclass(slots=True)
class _Watch:
    """Exits of one open position, searched up to bar `searched` of its coin."""

    levels: ExitLevels
    searched: int
    best_price: float
    found: tuple[int, ExitHit] | None = None


@dataclass(slots=True)
class _Run:
    """The moving parts of one run."""

    account: Account
    entries: list[Entry] = field(default_factory=list)
    refusals: list[tuple[int, Outcome]] = field(default_factory=list)
    refusal_count: int = 0
    due: dict[int, list[tuple[str, Decision]]] = field(default_factory=dict)
    watches: dict[str, _Watch] = field(default_factory=dict)
    curve_from: int = 0
    bars_in_position: int = 0


class BacktestEngine:
    """Replays `history` through one trader. One engine makes one run."""

    def __init__(
        self,
        trader: Trader,
        config: BacktestConfig,
        instruments: Mapping[str, Instrument] | None = None,
        progress: Callable[[float], None] | None = None,
    ):
        self.trader = trader
        self.config = config
        self.instruments = instruments or {}
        self.progress = progress or (lambda share: None)

    def run_backtest(self, history: Mapping[str, KlineSeries]) -> BacktestResult:
        """Replay `history` (bars of the range, and warm-up bars before it, for every coin).

        Raises InvalidInput (no_data) where the range has no bar. `progress` is called with the
        share done and may raise to cancel.
        """
        config = self.config
        self.grid = align(history, config.interval, config.start_ms)
        if self.grid.first >= len(self.grid):
            raise InvalidInput("There are no bars in this range.", code="no_data")
        self.state = _Run(Account.opened_with(config.initial_capital), curve_from=self.grid.first)
        self.cash_curve = np.zeros(len(self.grid))
        self.value_curve = np.zeros(len(self.grid))
        self.decider = self._decider()
        self._replay()
        return self._result(history)

    # ------------------------------------------------------------------------------ the loop

    def _replay(self) -> None:
        at = self.grid.first
        self._queue_opening_orders(at)
        length = len(self.grid)
        while (at := self._next_event(at)) < length:
            self._advance_curve(at)
            self._live_through_bar(at)
            self.progress((at - self.grid.first) / (length - self.grid.first))
            at += 1
        self._advance_curve(length)

    def _queue_opening_orders(self, first: int) -> None:
        """What a script wants done at the very start fills in the first bar."""
        if isinstance(self.decider, ScriptDecider) and first > 0 or self._starts_before_data():
            for coin, decision in self.decider.decide(first - 1, self.state.account):
                self._order(first - 1, coin, decision)

    def _starts_before_data(self) -> bool:
        return isinstance(self.decider, ScriptDecider)

    def _next_event(self, at: int) -> int:
        """The first grid index ≥ `at` at which anything happens."""
        state = self.state
        event = min(self.decider.next_bar(at, state.account), min(state.due, default=NEVER))
        event = min(event, self._next_funding(at))
        for coin in state.watches:
            event = min(event, self._next_exit(coin, at, min(event, len(self.grid) - 1)))
        return event

    def _live_through_bar(self, at: int) -> None:
        self._pay_funding(at)
        self._exit_positions(at, at_open=True)
        for coin, decision in _closes_first(self.state.due.pop(at, [])):
            self._execute(coin, decision, at, at_open=True)
        self._exit_positions(at, at_open=False)
        if self.decider.next_bar(at, self.state.account) == at:
            for coin, decision in self.decider.decide(at, self.state.account):
                self._order(at, coin, decision)

    # ---------------------------------------------------------------------------- decisions

    def _decider(self) -> Decider:
        if isinstance(self.trader, ScriptedTrader):
            return ScriptDecider(self.trader, self.grid)
        if isinstance(self.trader, Strategy) and self.config.decide_every == 1:
            return SignalDecider(self.trader, self.grid)
        return BarByBarDecider(
            self.trader, self.grid, self.config.decide_every, self._portfolio_at_close
        )

    def _order(self, at: int, coin: str, decision: Decision) -> None:
        """Fill at this close, or queue for the coin's next open."""
        bars = self.grid.coins[coin]
        if self.config.fill is FillTiming.CLOSE:
            if at >= self.grid.first:
                self._execute(coin, decision, at, at_open=False)
            return
        bar = bars.bar_from(at + 1) if at + 1 < len(self.grid) else None
        if bar is not None:
            self.state.due.setdefault(int(bars.grid_of[bar]), []).append((coin, decision))

    def _execute(self, coin: str, decision: Decision, at: int, at_open: bool) -> None:
        state = self.state
        time_ms = int(self.grid.open_time[at]) if at_open else self.grid.close_time(at)
        marks = self._marks(at, at_open, coin)
        state.account, outcome = execute(
            state.account,
            coin,
            decision,
            marks,
            self.config.rules,
            time_ms,
            self.instruments.get(coin),
        )
        if outcome.entry is not None:
            self._booked(outcome.entry, at if at_open else at + 1)
        elif outcome.status == "refused":
            state.refusal_count += 1
            if len(state.refusals) < MOST_REFUSALS_KEPT:
                state.refusals.append((time_ms, outcome))

    def _marks(self, at: int, at_open: bool, coin: str | None = None) -> dict[str, Decimal]:
        """Exact prices of the held coins and of `coin`: opens of this bar, or last closes."""
        wanted = set(self.state.account.positions)
        if coin is not None:
            wanted.add(coin)
        return {name: self._price(self.grid.coins[name], at, at_open) for name in wanted}

    def _price(self, bars: CoinBars, at: int, at_open: bool) -> Decimal:
        if at_open and bars.has_bar(at):
            return bars.open_price(at)
        return bars.close_price(at - 1 if at_open else at)

    def _portfolio_at_close(self, at: int, account: Account) -> Portfolio:
        return ledger.value(account, self._marks(at, at_open=False))

    # -------------------------------------------------------------------------------- exits

    def _booked(self, entry: Entry, exits_from: int) -> None:
        """Keep the ledger's line, and watch what the position has become from `exits_from` on."""
        state = self.state
        state.entries.append(entry)
        coin = entry.fill.coin
        known = state.watches.pop(coin, None)
        position = state.account.positions.get(coin)
        if position is None:
            return
        levels = exit_levels(position, self.config.rules.maintenance_margin_rate)
        if not levels.any or exits_from >= len(self.grid):
            return
        bar = self.grid.coins[coin].bar_from(exits_from)
        if bar is not None:
            state.watches[coin] = _Watch(levels, bar, self._best_price(position, known, bar))

    def _best_price(self, position: Position, known: _Watch | None, bar: int) -> float:
        """The best price before `bar`: of the watch so far, searched on to it, or the entry's."""
        if known is None:
            assert position.best_price is not None
            return float(position.best_price)
        if known.found is None:
            return known.best_price
        bars = self.grid.coins[position.coin]
        best = np.max if position.side.sign > 0 else np.min
        extremes = bars.series.high if position.side.sign > 0 else bars.series.low
        return float(best(np.append(extremes[known.searched : bar], known.best_price)))

    def _next_exit(self, coin: str, at: int, horizon: int) -> int:
        """The grid index of the coin's next exit, searched no further than `horizon`."""
        watch = self.state.watches[coin]
        bars = self.grid.coins[coin]
        stop = int(bars.bar_at[horizon]) + 1
        if watch.found is None and watch.searched < stop:
            bar, hit, best = first_exit(
                watch.levels, bars.series, watch.searched, stop, watch.best_price
            )
            watch.searched, watch.best_price = bar, best
            watch.found = None if hit is None else (bar, hit)
        return NEVER if watch.found is None else int(bars.grid_of[watch.found[0]])

    def _exit_positions(self, at: int, at_open: bool) -> None:
        """Carry out the exits of this bar: those that its open has passed, or the others."""
        for coin in list(self.state.watches):
            if self._next_exit(coin, at, at) != at:
                continue
            found = self.state.watches[coin].found
            assert found is not None
            bars = self.grid.coins[coin]
            passed = found[1].price == bars.open_price(at)
            if passed or not at_open:
                self._exit(coin, found[1], at, passed)

    def _exit(self, coin: str, hit: ExitHit, at: int, at_open: bool) -> None:
        state = self.state
        position = state.account.positions[coin]
        time_ms = int(self.grid.open_time[at]) if at_open else self.grid.close_time(at)
        state.account, entry = execute_exit(
            state.account, position, hit, self.config.rules, time_ms
        )
        self._booked(entry, at)

    # ------------------------------------------------------------------------------ funding

    def _next_funding(self, at: int) -> int:
        funding = self.config.funding
        if funding is None or not self.state.account.positions:
            return NEVER
        period = funding.every_hours * HOUR_MS
        time_ms = int(self.grid.open_time[at]) if at < len(self.grid) else 0
        due = -(-time_ms // period) * period
        return int(np.searchsorted(self.grid.open_time, due))

    def _pay_funding(self, at: int) -> None:
        funding = self.config.funding
        if funding is None:
            return
        time_ms = int(self.grid.open_time[at])
        if time_ms % (funding.every_hours * HOUR_MS):
            return
        for coin, position in list(self.state.account.positions.items()):
            mark = self._price(self.grid.coins[coin], at, at_open=True)
            fill = ledger.funding_fill(position, mark, funding.rate, time_ms)
            self.state.account, entry = ledger.post(self.state.account, fill)
            self._booked(entry, at)

    # -------------------------------------------------------------------------- equity curve

    def _advance_curve(self, until: int) -> None:
        """Fill the curves of the bars before `until` with the account as it stands."""
        state = self.state
        span = slice(state.curve_from, until)
        self.cash_curve[span] = float(state.account.cash)
        values = self.value_curve[span]
        for coin, position in state.account.positions.items():
            sign = position.side.sign
            closes = self.grid.coins[coin].close[span]
            offset = float(position.margin) - sign * float(position.cost)
            values += offset + sign * float(position.quantity) * closes
        if state.account.positions:
            state.bars_in_position += until - state.curve_from
        state.curve_from = until

    def _result(self, history: Mapping[str, KlineSeries]) -> BacktestResult:
        state, grid = self.state, self.grid
        return BacktestResult(
            config=self.config,
            account=state.account,
            entries=tuple(state.entries),
            refusals=tuple(state.refusals),
            refusal_count=state.refusal_count,
            close_time=grid.open_time[grid.first :] + grid.interval.milliseconds,
            cash=self.cash_curve[grid.first :],
            positions_value=self.value_curve[grid.first :],
            bars_in_position=state.bars_in_position,
            history=history,
        )
