"""`BacktestEngine` replays history through the trader, risk, exits and ledger of the live engine.

A decision at the close of bar t sees bars ≤ t and fills at the open of t + 1 (or at that close).
The engine goes from event to event (a decision, an order due, an exit reached, a funding); the
equity between two events is array arithmetic. Inside one bar: funding due at its open, what the
open has passed, orders due at the open (closes first), then exits inside the bar, then decisions
at its close.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from heapq import heappop, heappush
from typing import cast

import numpy as np

import ledger
from backtest_curve import AccountCurve
from backtest_deciders import BarByBarDecider, Decider, ScriptDecider, SignalDecider
from backtest_exits import NEVER, ExitWatches
from backtest_losses import BacktestLosses
from backtest_market import align
from domain import (
    HOUR_MS,
    Decision,
    Entry,
    FillKind,
    FloatArray,
    Instrument,
    Interval,
    KlineSeries,
    Portfolio,
    Signal,
    TimeArray,
    Trader,
)
from errors import InvalidInput, OrderRefused
from exits import ExitHit, exact_price, exact_prices
from ledger import Account
from paper_execution import (
    NOTHING_LIVED_THROUGH,
    ExecutionRules,
    Outcome,
    booked,
    closes_first,
    execute_exit,
    refused,
)
from risk import TrackRecord, scaled
from strategies import Strategy
from strategies.scripted import ScriptedTrader

MOST_REFUSALS_KEPT = 100  # of each reason; all are counted
MOST_PROGRESS_CALLS = 1000


class FillTiming(StrEnum):
    """Where a decision at the close of a bar fills."""

    NEXT_OPEN = "next_open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Funding:
    """Perpetual funding: `rate` of the notional at the mark, every `every_hours` hours UTC."""

    rate: Decimal
    every_hours: int = 8

    @property
    def period_ms(self) -> int:
        """The time between two settlements."""
        return self.every_hours * HOUR_MS

    def settlements(self, after_ms: int, until_ms: int) -> int:
        """How many settlements lie in after_ms < time ≤ until_ms."""
        return until_ms // self.period_ms - after_ms // self.period_ms


@dataclass(frozen=True, slots=True)
class BacktestConfig:
    """What a run is. `start_ms` ≤ open times < `end_ms`; `warmup_bars` None takes the trader's.

    `seed` is that of what its report draws by chance.
    """

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
    position_scales: Mapping[str, Decimal] = field(
        default_factory=dict
    )  # of risk's largest, by coin
    seed: int = 0

    def rules_of(self, coin: str) -> ExecutionRules:
        """The rules for a coin, whose largest position may be a part of that of others."""
        scale = self.position_scales.get(coin)
        return (
            self.rules
            if scale is None
            else replace(self.rules, risk=scaled(self.rules.risk, scale))
        )


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A finished run: the ledger, and the account at every bar's close (float64, shape (n,)).

    `refusals` are the first (time, outcome) of every reason, `refusal_counts` how many there
    were; `warmup_bars` how many bars the run wanted before its start; `history` the bars used.
    """

    config: BacktestConfig
    account: Account
    entries: tuple[Entry, ...]
    refusals: tuple[tuple[int, Outcome], ...]
    refusal_counts: Mapping[str, int]
    warmup_bars: int
    close_time: TimeArray
    cash: FloatArray
    positions_value: FloatArray
    bars_in_position: int
    history: Mapping[str, KlineSeries]

    @property
    def equity(self) -> FloatArray:
        """Total value at every bar's close."""
        return self.cash + self.positions_value

    @property
    def refusal_count(self) -> int:
        """How many decisions were refused."""
        return sum(self.refusal_counts.values())


class Cancelled(Exception):
    """Raised by a progress callback to stop a run."""


_Order = tuple[int, int, str, Decision]  # the bar that fills it, its number, coin, decision


@dataclass(slots=True)
class _Run:
    """The moving parts of one run."""

    account: Account
    entries: list[Entry] = field(default_factory=list)
    refusals: list[tuple[int, Outcome]] = field(default_factory=list)
    refusal_counts: Counter[str] = field(default_factory=Counter)
    due: list[_Order] = field(default_factory=list)  # a heap
    ordered: int = 0
    closed_at: dict[str, int] = field(default_factory=dict)


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
        self.at_open = config.fill is FillTiming.NEXT_OPEN
        self.instruments = instruments or {}
        self.rules = {coin: config.rules_of(coin) for coin in config.coins}
        self.progress = progress or (lambda share: None)

    def run_backtest(self, history: Mapping[str, KlineSeries]) -> BacktestResult:
        """Replay `history`: for every coin the closed bars of the range, and warm-up before it.

        Bars from `end_ms` on are left out. Raises InvalidInput (no_data) where a coin has no bar
        in the range. `progress` is called with the share done and may raise to cancel.
        """
        config = self.config
        self.history = {coin: _bars_of_range(coin, history, config) for coin in config.coins}
        self.grid = align(self.history, config.interval, config.start_ms)
        self.state = _Run(Account.opened_with(config.initial_capital))
        self.curve = AccountCurve(self.grid)
        self.watches = ExitWatches(self.grid, config.rules.maintenance_margin_rate)
        self.losses = self._watched_losses()
        self.funding_bars = self._funding_bars()
        # What orders fill at; memory views give plain numbers, at a fraction of an array's cost.
        self.prices = {
            coin: (bars.open if self.at_open else bars.close).data
            for coin, bars in self.grid.coins.items()
        }
        self.decider = self._decider()
        self._replay()
        return self._result()

    def _watched_losses(self) -> BacktestLosses | None:
        config, grid = self.config, self.grid
        if config.rules.risk is None:
            return None
        return BacktestLosses(
            config.rules.risk,
            grid.open_time[grid.first :] + grid.interval.milliseconds,
            self.curve.cash[grid.first :],
            self.curve.positions_value[grid.first :],
            float(config.initial_capital),
        )

    # ------------------------------------------------------------------------------ the loop

    def _replay(self) -> None:
        first, length = self.grid.first, len(self.grid)
        for coin, decision in self.decider.opening():
            self._order(first - 1, coin, decision)
        at = told_from = first
        while (at := self._next_event(at)) < length:
            self._live_through_bar(at)
            if at >= told_from:
                self.progress((at - first) / (length - first))
                told_from = at + max((length - first) // MOST_PROGRESS_CALLS, 1)
            at += 1
        self.curve.stood(self.state.account, length)
        self.progress(1.0)

    def _next_event(self, at: int) -> int:
        """The first grid index ≥ `at` at which anything happens, or NEVER."""
        due = self.state.due
        if due and due[0][0] == at:
            return at
        event = self.decider.next_bar(at)
        if due and due[0][0] < event:
            event = due[0][0]
        if self.funding_bars:
            event = min(event, self._next_funding(at))
        return min(event, self.watches.next_bar(event))

    def _live_through_bar(self, at: int) -> None:
        next_exit, due = self.watches.next_bar, self.state.due
        if self.funding_bars:
            self._pay_funding(at)
        if next_exit(at) == at:
            self._exit_positions(at, at_open=True)
        if self.at_open and due and due[0][0] == at:
            self._fill_due_orders(at)
        if next_exit(at) == at:
            self._exit_positions(at, at_open=False)
        if self.decider.next_bar(at) == at:
            for coin, decision in self.decider.decide(at, self.state.account):
                self._order(at, coin, decision)
        if not self.at_open and due and due[0][0] == at:
            self._fill_due_orders(at)

    # ---------------------------------------------------------------------------- decisions

    def _decider(self) -> Decider:
        config, grid = self.config, self.grid
        if isinstance(self.trader, ScriptedTrader):
            decided_at = self._bar_before_next_open if self.at_open else grid.first_close_from
            script = ScriptDecider(self.trader, grid, config.start_ms, decided_at)
            for time_ms, coin, decision in script.outside:
                self._refused(time_ms, Outcome(coin, decision, "refused", "outside_range"))
            return script
        if self._speaks_in_signals() and config.decide_every == 1:
            return SignalDecider(cast(Strategy, self.trader), grid)
        return BarByBarDecider(self.trader, grid, config.decide_every, self._portfolio_at_close)

    def _speaks_in_signals(self) -> bool:
        """Whether its signals say all; a strategy that decides in its own way has to be asked."""
        own_way = getattr(type(self.trader), "make_decision", None)
        return isinstance(self.trader, Strategy) and own_way is Strategy.make_decision

    def _bar_before_next_open(self, time_ms: int) -> int:
        return self.grid.first_open_from(time_ms) - 1

    def _order(self, at: int, coin: str, decision: Decision) -> None:
        """Queue what was decided at the close of `at` for the bar of its coin that fills it."""
        bars = self.grid.coins.get(coin)
        fills_from = at + 1 if self.at_open else at
        bar = bars.bar_from(fills_from) if bars and fills_from < len(self.grid) else None
        if bars is not None and bar is not None:
            state = self.state
            state.ordered += 1
            heappush(state.due, (bars.grid_of.item(bar), state.ordered, coin, decision))
        elif decision.signal is not Signal.HOLD:
            reason = "not_in_pool" if bars is None else "no_next_bar"
            time_ms = self.grid.close_time(at)
            self._refused(time_ms, Outcome(coin, decision, "refused", reason))

    @ledger.exact
    def _fill_due_orders(self, at: int) -> None:
        time_ms = self.grid.open_time.item(at) if self.at_open else self.grid.close_time(at)
        due, orders = self.state.due, []
        while due and due[0][0] == at:
            orders.append(heappop(due)[2:])
        for coin, decision in closes_first(orders):
            if decision.signal is not Signal.HOLD:
                self._execute(coin, decision, at, time_ms)

    def _execute(self, coin: str, decision: Decision, at: int, time_ms: int) -> None:
        marks = self._marks(at, coin, decision)
        try:
            account, entry, _ = booked(
                self.state.account,
                coin,
                decision,
                marks,
                self.rules[coin],
                time_ms,
                self.instruments.get(coin),
                record=NOTHING_LIVED_THROUGH
                if self.losses is None or decision.side is None
                else self._track_record(self.losses, at, time_ms, marks),
            )
        except OrderRefused as refusal:
            self._refused(time_ms, refused(coin, decision, refusal))
        else:
            self._book(account, entry, at, at if self.at_open else at + 1)

    def _track_record(
        self, losses: BacktestLosses, at: int, time_ms: int, marks: Mapping[str, Decimal]
    ) -> TrackRecord:
        """What risk asks of the run so far before an entry in the bar at `at`."""
        self.curve.stood(self.state.account, at)
        self.curve.paint()
        value = float(ledger.value(self.state.account, marks).total_value)
        limit = losses.limit_at(at - self.grid.first, time_ms, value)
        return TrackRecord(time_ms, self.state.closed_at, limit)

    def _book(self, account: Account, entry: Entry, at: int, watched_from: int) -> None:
        """The account is another from the bar at `at` on: keep the ledger's line, and watch what
        the position has become."""
        state, fill = self.state, entry.fill
        coin = fill.coin
        self.curve.changes(state.account, coin, at)
        state.account = account
        state.entries.append(entry)
        if fill.kind is FillKind.CLOSE or fill.kind is FillKind.LIQUIDATION:
            state.closed_at[coin] = fill.time_ms
        position = account.positions.get(coin)
        self.watches.follow(coin, position, watched_from)
        self.decider.follow(coin, position.side if position else None, watched_from)

    def _refused(self, time_ms: int, outcome: Outcome) -> None:
        reason = str(outcome.reason)
        self.state.refusal_counts[reason] += 1
        if self.state.refusal_counts[reason] <= MOST_REFUSALS_KEPT:
            self.state.refusals.append((time_ms, outcome))

    # -------------------------------------------------------------------------------- marks

    def _marks(self, at: int, coin: str, decision: Decision) -> dict[str, Decimal]:
        """The exact price of `coin` now; for an entry those of the held coins too, to size it."""
        prices = self.prices
        marks = {coin: exact_price(prices[coin][at])}
        held = self.state.account.positions
        if held and decision.side is not None:
            marks.update(zip(held, exact_prices([prices[name][at] for name in held]), strict=True))
        return marks

    def _portfolio_at_close(self, at: int, account: Account) -> Portfolio:
        marks = {coin: self.grid.coins[coin].close_price(at) for coin in account.positions}
        return ledger.value(account, marks)

    # -------------------------------------------------------------------- exits and funding

    @ledger.exact
    def _exit_positions(self, at: int, at_open: bool) -> None:
        """Carry out the exits of this bar: those that its open has passed, or all."""
        for coin, hit in self.watches.hits(at):
            if hit.at_open or not at_open:
                self._exit(coin, hit, at)

    def _exit(self, coin: str, hit: ExitHit, at: int) -> None:
        held = self.state.account
        time_ms = self.grid.open_time.item(at) if hit.at_open else self.grid.close_time(at)
        account, entry = execute_exit(held, held.positions[coin], hit, self.config.rules, time_ms)
        self._book(account, entry, at, at)

    def _funding_bars(self) -> list[int]:
        """Grid indices at whose open a settlement is due: at it, or since the bar before."""
        if self.config.funding is None:
            return []
        due = np.diff(self.grid.open_time // self.config.funding.period_ms)
        bars: list[int] = (np.flatnonzero(due) + 1).tolist()
        return bars

    def _next_funding(self, at: int) -> int:
        if not self.state.account.positions:
            return NEVER
        place = bisect_left(self.funding_bars, at)
        return self.funding_bars[place] if place < len(self.funding_bars) else NEVER

    @ledger.exact
    def _pay_funding(self, at: int) -> None:
        """Every settlement since the bar before, at this bar's open price."""
        funding, account = self.config.funding, self.state.account
        if funding is None or not account.positions:
            return
        time_ms, before = self.grid.open_time.item(at), self.grid.open_time.item(at - 1)
        for coin, position in account.positions.items():
            mark = self.grid.coins[coin].open_price(at)
            for _ in range(funding.settlements(max(before, position.opened_at), time_ms)):
                fill = ledger.funding_fill(
                    self.state.account.positions[coin], mark, funding.rate, time_ms
                )
                paid, entry = ledger.post(self.state.account, fill)
                self._book(paid, entry, at, at)

    # -------------------------------------------------------------------------------- result

    def _result(self) -> BacktestResult:
        state, grid = self.state, self.grid
        self.curve.paint()
        return BacktestResult(
            config=self.config,
            account=state.account,
            entries=tuple(state.entries),
            refusals=tuple(state.refusals),
            refusal_counts=dict(state.refusal_counts),
            warmup_bars=self._warmup_bars(),
            close_time=grid.open_time[grid.first :] + grid.interval.milliseconds,
            cash=self.curve.cash[grid.first :],
            positions_value=self.curve.positions_value[grid.first :],
            bars_in_position=self.curve.bars_in_position,
            history=self.history,
        )

    def _warmup_bars(self) -> int:
        """Those asked for, else what the trader looks back at before its first bar."""
        asked = self.config.warmup_bars
        return self.trader.history_bars - 1 if asked is None else asked


def _bars_of_range(
    coin: str, history: Mapping[str, KlineSeries], config: BacktestConfig
) -> KlineSeries:
    """The coin's closed bars up to the end of the range."""
    series = history[coin].closed() if coin in history else KlineSeries.empty(config.interval)
    first, end = np.searchsorted(series.open_time, [config.start_ms, config.end_ms])
    if first >= end:
        raise InvalidInput(
            f"There are no bars of {coin} in this range.",
            code="no_data",
            fields={"coins": f"{coin} has no bars in this range"},
            values={"coin": coin},
            reasons={"coins": {"code": "no_data", "values": {"coin": coin}}},
        )
    return series.slice(0, int(end))
