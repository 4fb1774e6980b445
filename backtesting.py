"""`BacktestEngine` replays history through the trader, risk, exits and ledger of the live engine.

A decision at the close of bar t sees bars ≤ t and fills at the open of t + 1 (or at that close).
The engine goes from event to event (a decision, an order due, an exit reached, a funding); the
equity between two events is array arithmetic. Inside one bar: funding due at its open, what the
open has passed, orders due at the open (closes first), then exits inside the bar, then decisions
at its close.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

import ledger
from backtest_curve import AccountCurve
from backtest_deciders import BarByBarDecider, Decider, ScriptDecider, SignalDecider
from backtest_exits import NEVER, ExitWatches
from backtest_holdings import Holdings
from backtest_losses import BacktestLosses
from backtest_market import align
from backtest_orders import DueOrders, Refusals
from backtest_run import BacktestConfig, BacktestResult, FillTiming
from domain import (
    Decision,
    Entry,
    FillKind,
    Instrument,
    KlineSeries,
    Portfolio,
    Signal,
    Trader,
)
from errors import InvalidInput, OrderRefused
from exits import ExitHit, exact_price
from ledger import Account
from paper_execution import (
    NOTHING_LIVED_THROUGH,
    Outcome,
    closed,
    entered,
    execute_exit,
    refused,
)
from risk import TrackRecord
from strategies import Strategy
from strategies.scripted import ScriptedTrader

MOST_PROGRESS_CALLS = 1000

HOLD, CLOSE_POSITION = Signal.HOLD, Signal.CLOSE_POSITION
ENDS = (FillKind.CLOSE, FillKind.LIQUIDATION)


class Cancelled(Exception):
    """Raised by a progress callback to stop a run."""


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
        self.account = Account.opened_with(config.initial_capital)
        self.entries: list[Entry] = []
        self.refusals = Refusals()
        self.orders = DueOrders(self.grid, self.at_open)
        self.closed_at: dict[str, int] = {}
        self.curve = AccountCurve(self.grid, float(config.initial_capital))
        self.watches = ExitWatches(self.grid, config.rules.maintenance_margin_rate)
        self.losses = self._watched_losses()
        self.funding_bars = self._funding_bars()
        fills_at = {
            coin: bars.open if self.at_open else bars.close
            for coin, bars in self.grid.coins.items()
        }
        self.holdings = Holdings(fills_at)
        # Memory views give plain numbers, at a fraction of an array's cost.
        self.prices = {coin: prices.data for coin, prices in fills_at.items()}
        self.decider = self._decider()
        self.decides_at = -1  # the bar of its next decision; one behind us: to be asked anew
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

    @ledger.exact
    def _replay(self) -> None:
        first, length = self.grid.first, len(self.grid)
        self._queue(first - 1, self.decider.opening())
        bars = length - first
        at = told_from = first
        while (at := self._next_event(at)) < length:
            self._live_through_bar(at)
            if at >= told_from:
                self.progress((at - first) / bars)
                told_from = at + max(bars // MOST_PROGRESS_CALLS, 1)
            at += 1
        self.curve.paint(length)
        self.progress(1.0)

    def _next_event(self, at: int) -> int:
        """The first grid index ≥ `at` at which anything happens, or NEVER."""
        event = self.orders.next_bar
        if event == at:
            return at
        if self.decides_at < at:
            self.decides_at = self.decider.next_bar(at)
        if self.decides_at < event:
            event = self.decides_at
        if self.funding_bars:
            event = min(event, self._next_funding(at))
        if self.watches.waiting:
            event = min(event, self.watches.next_bar(event))
        return event

    def _live_through_bar(self, at: int) -> None:
        watches, orders = self.watches, self.orders
        if self.funding_bars:
            self._pay_funding(at)
        if watches.waiting and watches.next_bar(at) == at:
            self._exit_positions(at, at_open=True)
        if self.at_open and orders.next_bar == at:
            self._fill_due_orders(at, self.grid.open_time.item(at))
        if watches.waiting and watches.next_bar(at) == at:
            self._exit_positions(at, at_open=False)
        if self.decides_at < at:
            self.decides_at = self.decider.next_bar(at)
        if self.decides_at == at:
            self._decide(at)
        if not self.at_open and orders.next_bar == at:
            self._fill_due_orders(at, self.grid.close_time(at))

    # ---------------------------------------------------------------------------- decisions

    def _decider(self) -> Decider:
        config, grid = self.config, self.grid
        if isinstance(self.trader, ScriptedTrader):
            decided_at = self._bar_before_next_open if self.at_open else grid.first_close_from
            script = ScriptDecider(self.trader, grid, config.start_ms, decided_at)
            for time_ms, coin, decision in script.outside:
                self.refusals.add(time_ms, Outcome(coin, decision, "refused", "outside_range"))
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

    def _portfolio_at_close(self, at: int, account: Account) -> Portfolio:
        marks = {coin: self.grid.coins[coin].close_price(at) for coin in account.positions}
        return ledger.value(account, marks)

    def _decide(self, at: int) -> None:
        self.decides_at = -1  # to be asked anew
        self._queue(at, self.decider.decide(at, self.account))

    def _queue(self, at: int, decisions: Sequence[tuple[str, Decision]]) -> None:
        """Queue what was decided at the close of `at`."""
        for coin, decision in decisions:
            if decision.signal is HOLD:
                continue
            reason = self.orders.add(at, coin, decision)
            if reason is not None:
                time_ms = self.grid.close_time(at)
                self.refusals.add(time_ms, Outcome(coin, decision, "refused", reason))

    # -------------------------------------------------------------------------------- fills

    def _fill_due_orders(self, at: int, time_ms: int) -> None:
        watched_from = at if self.at_open else at + 1
        for coin, decision in self.orders.take(at):
            try:
                account, entry = self._filled(coin, decision, at, time_ms)
            except OrderRefused as refusal:
                self.refusals.add(time_ms, refused(coin, decision, refusal))
            else:
                self._book(account, entry, at, watched_from)

    def _filled(
        self, coin: str, decision: Decision, at: int, time_ms: int
    ) -> tuple[Account, Entry]:
        """The account with a decision carried out, and the ledger's line; raises OrderRefused."""
        mark, rules = exact_price(self.prices[coin][at]), self.rules[coin]
        instrument = self.instruments.get(coin)
        if decision.signal is CLOSE_POSITION:
            return closed(self.account, coin, decision, mark, rules, time_ms, instrument)
        portfolio = self.holdings.valued(self.account, at)
        record = NOTHING_LIVED_THROUGH
        if self.losses is not None:
            record = self._track_record(self.losses, at, time_ms, float(portfolio.total_value))
        account, entry, _ = entered(
            self.account, portfolio, coin, decision, mark, rules, time_ms, instrument, record=record
        )
        return account, entry

    def _track_record(
        self, losses: BacktestLosses, at: int, time_ms: int, value: float
    ) -> TrackRecord:
        """What risk asks of the run so far before an entry in the bar at `at`."""
        self.curve.paint(at)
        limit = losses.limit_at(at - self.grid.first, time_ms, value)
        return TrackRecord(time_ms, self.closed_at, limit)

    def _book(self, account: Account, entry: Entry, at: int, watched_from: int) -> None:
        """The account is another from the bar at `at` on: keep the ledger's line, and tell all who
        follow what the position has become."""
        self.account = account
        self.entries.append(entry)
        fill = entry.fill
        coin = fill.coin
        if fill.kind in ENDS:
            self.closed_at[coin] = fill.time_ms
        position = account.positions.get(coin)
        self.curve.change(account, coin, position, at)
        self.holdings.changed[coin] = position
        self.watches.follow(coin, position, watched_from)
        self.decider.follow(coin, None if position is None else position.side, watched_from)
        self.decides_at = -1

    # -------------------------------------------------------------------- exits and funding

    def _exit_positions(self, at: int, at_open: bool) -> None:
        """Carry out the exits of this bar: those that its open has passed, or all."""
        for coin, hit in self.watches.hits(at):
            if hit.at_open or not at_open:
                self._exit(coin, hit, at)

    def _exit(self, coin: str, hit: ExitHit, at: int) -> None:
        held = self.account
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
        if not self.account.positions:
            return NEVER
        place = bisect_left(self.funding_bars, at)
        return self.funding_bars[place] if place < len(self.funding_bars) else NEVER

    def _pay_funding(self, at: int) -> None:
        """Every settlement since the bar before, at this bar's open price."""
        funding, account = self.config.funding, self.account
        if funding is None or not account.positions:
            return
        time_ms, before = self.grid.open_time.item(at), self.grid.open_time.item(at - 1)
        for coin, position in account.positions.items():
            mark = self.grid.coins[coin].open_price(at)
            for _ in range(funding.settlements(max(before, position.opened_at), time_ms)):
                fill = ledger.funding_fill(
                    self.account.positions[coin], mark, funding.rate, time_ms
                )
                paid, entry = ledger.post(self.account, fill)
                self._book(paid, entry, at, at)

    # -------------------------------------------------------------------------------- result

    def _result(self) -> BacktestResult:
        grid, first = self.grid, self.grid.first
        return BacktestResult(
            config=self.config,
            account=self.account,
            entries=tuple(self.entries),
            refusals=tuple(self.refusals.first),
            refusal_counts=dict(self.refusals.counts),
            warmup_bars=self._warmup_bars(),
            close_time=grid.open_time[first:] + grid.interval.milliseconds,
            cash_after=np.array(self.curve.cash_after),
            cash=self.curve.cash[first:],
            positions_value=self.curve.positions_value[first:],
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
