"""`TradingEngine` trades one model on paper: a cycle asks its trader and books what it decides.

One snapshot serves a whole cycle; closes are booked before opens; everything that a cycle books is
one transaction, so that a process that dies in it has booked all or nothing. Exits are watched
apart from cycles, on every price, whatever the trader is doing.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import ledger
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import (
    AccountInfo,
    Clock,
    CoinMarket,
    Decision,
    Decisions,
    Entry,
    Instrument,
    Kline,
    Portfolio,
    Position,
    Reason,
    Signal,
    Ticker,
    Trader,
    TradingModel,
)
from entry_terms import EntryTerms
from errors import Conflict, SourceError, SourceUnavailable, TradingSystemError
from event_stream import EventStream
from exits import ExitHit, exit_at_price, exit_levels, with_best_price
from latest_prices import KnownPrice
from ledger import Account
from paper_execution import ExecutionRules, Outcome, execute, execute_exit, in_order
from repositories import books, coins, cycles, models, pools, trading_state
from repositories.books import BookedTrade, Mark
from repositories.cycles import Cycle, DecisionRecord
from trading_halt import TRADING_HALTED, check_not_halted
from trading_lease import TradingLease

DECISION_PRICE_AGE_SECONDS = 1.0
FILL_PRICE_AGE_SECONDS = 5.0
MOST_FAILURE_WORDS = 500

log = logging.getLogger(__name__)


class Stopwatch:
    """Real milliseconds by step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, step: str) -> None:
        """Note the time since the last lap."""
        now = time.perf_counter()
        self.laps[step] = round((now - self._since) * 1000, 3)
        self._since = now


@dataclass(frozen=True, slots=True)
class CycleReport:
    """A finished cycle: what was decided, what of it was booked, and the account after it."""

    cycle: Cycle
    decisions: tuple[DecisionRecord, ...] = ()
    trades: tuple[BookedTrade, ...] = ()


@dataclass(frozen=True, slots=True)
class ValuedAccount:
    """An account at its marks. `ages` are seconds since each held coin's mark was seen."""

    account: Account
    portfolio: Portfolio
    ages: Mapping[str, float]
    stale: frozenset[str]


class TradingEngine:
    """Trades one model. Built afresh for every cycle; `lock` is shared by the engines of a model."""

    def __init__(
        self,
        model: TradingModel,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        trader: Callable[[list[str]], Trader],
        rules: ExecutionRules,
        clock: Clock,
        *,
        lease: TradingLease | None = None,
        events: EventStream | None = None,
        lock: threading.Lock | None = None,
        lot_rounding: bool = True,
    ):
        self.model = model
        self.database = database
        self.data_aggregator = data_aggregator
        self.rules = rules
        self.clock = clock
        self.events = events or EventStream()
        self._make_trader = trader
        self._lease = lease
        self._lock = lock or threading.Lock()
        self._lot_rounding = lot_rounding

    # -------------------------------------------------------------------------------- cycle

    def execute_trading_cycle(self, scheduled_at: int | None = None) -> CycleReport:
        """One cycle now; a failure is this model's alone and stands in the report's cycle.

        Raises Conflict: cycle_running while another one is, cycle_done when `scheduled_at` was
        run before, trading_halted by the kill switch, loop_elsewhere where another process trades.
        """
        if not self._lock.acquire(blocking=False):
            raise Conflict(f"A cycle of {self.model.name!r} is running.", code="cycle_running")
        try:
            return self._run_cycle(scheduled_at)
        finally:
            self._lock.release()

    def _run_cycle(self, scheduled_at: int | None) -> CycleReport:
        now_ms = self.clock.now_ms()
        previous_ms = cycles.previous_start(self.database.connection, self.model.id)
        with self.database.transaction() as connection:
            check_not_halted(connection)
            self._check_lease(connection)
            cycle = self._begin(connection, scheduled_at, now_ms)
        self._publish_cycle(cycle)
        try:
            report = self._decide_and_book(cycle, previous_ms)
        except TradingSystemError as error:
            log.warning("cycle %s of model %s failed: %s", cycle.id, self.model.id, error.message)
            report = self._failed(cycle, error.code, error.message)
        except Exception as error:  # the edge: a trader's own mistake must not stop the loop
            log.exception("cycle %s of model %s failed", cycle.id, self.model.id)
            words = f"{type(error).__name__}: {error}"[:MOST_FAILURE_WORDS]
            report = self._failed(cycle, "trader_error", words)
        self._publish(report)
        return report

    def _begin(
        self, connection: sqlite3.Connection, scheduled_at: int | None, now_ms: int
    ) -> Cycle:
        cycles.interrupt_left_open(connection, self.model.id, now_ms)
        if scheduled_at is not None:
            cycles.give_back_times_to_come(
                connection, self.model.id, scheduled_at, self.model.cycle_minutes
            )
        return cycles.begin(connection, self.model.id, scheduled_at, now_ms)

    def _decide_and_book(self, cycle: Cycle, previous_ms: int | None) -> CycleReport:
        stopwatch = Stopwatch()
        members = pools.members(self.database.connection, self.model.id)
        shares = {member.coin.symbol: member.share for member in members if member.share > 0}
        trader = self._make_trader(list(shares))
        market = self._snapshot(shares, trader)
        stopwatch.lap("snapshot_ms")
        decisions = self._ask(trader, cycle, market, previous_ms)
        stopwatch.lap("decision_ms")
        prices = self._fill_prices(decisions)
        terms = self._entry_terms(shares, decisions)
        stopwatch.lap("fill_prices_ms")
        return self._book(cycle, decisions, prices, terms, stopwatch)

    def _snapshot(self, shares: Mapping[str, float], trader: Trader) -> dict[str, CoinMarket]:
        """The coins that may be entered, and those that are held and can only be closed."""
        held = books.load_account(self.database.connection, self.model.id).positions
        wanted = list(dict.fromkeys([*shares, *held]))
        if not wanted:
            return {}
        market = self.data_aggregator.get_market_state(
            wanted, self.model.interval, trader.history_bars, DECISION_PRICE_AGE_SECONDS
        )
        if not market:
            raise SourceUnavailable("No coin of the pool has a price and up-to-date candles.")
        return {
            coin: replace(seen, pool_share=shares.get(coin, 0.0)) for coin, seen in market.items()
        }

    def _ask(
        self,
        trader: Trader,
        cycle: Cycle,
        market: Mapping[str, CoinMarket],
        previous_ms: int | None,
    ) -> list[tuple[str, Decision]]:
        account = books.load_account(self.database.connection, self.model.id)
        marks = self._marks({coin: seen.price for coin, seen in market.items()})
        portfolio = ledger.value(account, marks)
        initial = account.initial_capital
        asked = AccountInfo(
            time_ms=cycle.started_at,
            started_ms=self.model.created_at,
            initial_capital=initial,
            total_return=float((portfolio.total_value - initial) / initial * 100),
            previous_time_ms=previous_ms,
        )
        answer: Decisions = trader.make_decision(market, portfolio, asked)
        return in_order(answer)

    def _fill_prices(self, decisions: list[tuple[str, Decision]]) -> dict[str, KnownPrice]:
        """Prices of the coins to be traded, fresh at the fill: deciding may have taken long."""
        wanted = [coin for coin, decision in decisions if decision.signal is not Signal.HOLD]
        return self.data_aggregator.get_prices(wanted, FILL_PRICE_AGE_SECONDS) if wanted else {}

    def _entry_terms(
        self, shares: Mapping[str, float], decisions: list[tuple[str, Decision]]
    ) -> EntryTerms:
        entered = [coin for coin, decision in decisions if decision.side is not None]
        partly_closed = [
            coin
            for coin, decision in decisions
            if decision.signal is Signal.CLOSE_POSITION and decision.quantity is not None
        ]
        # Brings the venues' lists up to date.
        instruments = self._instruments([*entered, *partly_closed])
        known = (coins.find(self.database.connection, coin) for coin in entered)
        venues = self.data_aggregator.venues.trading_venues(
            coin for coin in known if coin is not None
        )
        halted = {coin for coin, states in venues.items() if states and not any(states.values())}
        return EntryTerms(shares, instruments, frozenset(halted))

    def _instruments(self, sized: list[str]) -> dict[str, Instrument] | None:
        """Trading rules of the coins to be entered or partly closed; None if they cannot be had."""
        if not sized or not self._lot_rounding:
            return {}
        try:
            return self.data_aggregator.venues.instruments(sized)
        except SourceError:
            return None

    # ------------------------------------------------------------------------------ booking

    def _book(
        self,
        cycle: Cycle,
        decisions: list[tuple[str, Decision]],
        prices: Mapping[str, KnownPrice],
        terms: EntryTerms,
        stopwatch: Stopwatch,
    ) -> CycleReport:
        """Carry out the decisions and finish the cycle, in one transaction."""
        records: list[DecisionRecord] = []
        trades: list[BookedTrade] = []
        with self.database.ledger_transaction() as connection:
            self._check_lease(connection)
            cycles.check_running(connection, cycle)
            too_late = self._stopped_meanwhile(connection)
            account = books.load_account(connection, self.model.id)
            marks = self._marks({coin: price.ticker.price for coin, price in prices.items()})
            for coin, decision in decisions:
                known = coins.find(connection, coin)
                coin_id = None if known is None else known.id
                record = cycles.add_decision(
                    connection, cycle, coin_id, coin, decision, cycle.started_at
                )
                refusal = None
                if decision.signal is not Signal.HOLD:
                    refusal = too_late or _refusal(coin, decision, prices, terms)
                if refusal is not None:
                    outcome = Outcome(coin, decision, "refused", refusal)
                else:
                    account, outcome = execute(
                        account, coin, decision, marks, terms.rules(coin, self.rules),
                        cycle.started_at, terms.instrument(coin), record.id,
                    )  # fmt: skip
                records.append(
                    cycles.set_outcome(
                        connection, record, outcome.status, outcome.reason, outcome.changes
                    )
                )
                if outcome.entry is not None:
                    trades.append(self._append(outcome.entry, decision.justification))
            self._store(account, marks, cycle.started_at)
            stopwatch.lap("booking_ms")
            finished = replace(
                cycle, status="done", finished_at=self.clock.now_ms(), timings=stopwatch.laps
            )
            cycles.finish(connection, finished)
        return CycleReport(finished, tuple(records), tuple(trades))

    def _check_lease(self, connection: sqlite3.Connection) -> None:
        """Raises Conflict (loop_elsewhere) where another process trades."""
        if self._lease is not None:
            self._lease.check(connection)

    def _stopped_meanwhile(self, connection: sqlite3.Connection) -> str | None:
        """Why an answer comes too late: what a person stopped while the trader was thinking."""
        if trading_state.halt(connection).halted:
            return TRADING_HALTED
        model = models.get(connection, self.model.id)
        if model.archived_at is not None:
            return "archived"
        return "paused" if self.model.enabled and not model.enabled else None

    def _append(self, entry: Entry, justification: str | None) -> BookedTrade:
        """Book a ledger line in the running transaction."""
        connection = self.database.connection
        coin_ids = {entry.fill.coin: coins.get(connection, entry.fill.coin).id}
        trade_id = books.book(connection, self.model.id, coin_ids, entry)
        return BookedTrade(trade_id, self.model.id, entry, justification or None)

    def _store(self, account: Account, marks: Mapping[str, Decimal], now_ms: int) -> None:
        """Store account, positions and value in the running transaction."""
        connection = self.database.connection
        coin_ids = {coin: coins.get(connection, coin).id for coin in account.positions}
        stamped = books.load_marks(connection, self.model.id)
        for coin in account.positions:
            if coin in marks and (coin not in stamped or stamped[coin].price != marks[coin]):
                stamped[coin] = Mark(marks[coin], now_ms)
        books.store_account(connection, self.model.id, account, coin_ids, stamped)
        books.record_value(connection, self.model.id, ledger.value(account, marks), now_ms)

    def _failed(self, cycle: Cycle, code: str, message: str) -> CycleReport:
        failed = replace(
            cycle,
            status="failed",
            finished_at=self.clock.now_ms(),
            error_code=code,
            error=message,
        )
        with self.database.transaction() as connection:
            cycles.finish(connection, failed)
        return CycleReport(failed)

    # -------------------------------------------------------------------------------- exits

    def check_exits(self, prices: Mapping[str, KnownPrice]) -> list[BookedTrade]:
        """Close what these prices bring to its stop, target or liquidation; remember the marks."""
        seen = books.load_account(self.database.connection, self.model.id).positions
        if not seen.keys() & prices.keys():
            return []
        now_ms = self.clock.now_ms()
        trades: list[BookedTrade] = []
        with self.database.ledger_transaction() as connection:
            self._check_lease(connection)
            account = books.load_account(connection, self.model.id)
            for coin in sorted(account.positions.keys() & prices.keys()):
                position = self._lived_through(account.positions[coin], prices[coin].ticker)
                hit = self._exit_hit(account.positions[coin], prices[coin].ticker.price)
                if hit is None:
                    mark = Mark(prices[coin].ticker.price, prices[coin].ticker.time_ms)
                    books.store_watch(connection, self.model.id, position, mark)
                    account = replace(account, positions={**account.positions, coin: position})
                    continue
                account, entry = execute_exit(account, position, hit, self.rules, now_ms)
                trades.append(self._append(entry, None))
            if trades:
                fresh = {coin: price.ticker.price for coin, price in prices.items()}
                self._store(account, self._marks(fresh), now_ms)
        for trade in trades:
            self._publish_trade(trade)
        return trades

    def _exit_hit(self, position: Position, price: Decimal) -> ExitHit | None:
        best = position.best_price if position.best_price is not None else position.entry_price
        levels = exit_levels(position, self.rules.maintenance_margin_rate)
        return exit_at_price(levels, price, float(best))

    @staticmethod
    def _lived_through(position: Position, ticker: Ticker) -> Position:
        price = float(ticker.price)
        return with_best_price(position, Kline(ticker.time_ms, price, price, price, price, 0.0))

    def flatten(self) -> list[BookedTrade]:
        """Close every position now. Raises SourceError when one of them has no fresh price."""
        held = books.load_account(self.database.connection, self.model.id).positions
        if not held:
            return []
        prices = self.data_aggregator.get_prices(held, FILL_PRICE_AGE_SECONDS)
        unpriced = sorted(set(held) - set(prices))
        if unpriced:
            raise SourceUnavailable(f"No fresh price of {', '.join(unpriced)}: nothing was closed.")
        now_ms = self.clock.now_ms()
        trades = []
        with self.database.ledger_transaction() as connection:
            account = books.load_account(connection, self.model.id)
            marks = self._marks({coin: price.ticker.price for coin, price in prices.items()})
            for position in list(account.positions.values()):
                hit = ExitHit(Reason.FLATTEN, marks[position.coin])
                account, entry = execute_exit(account, position, hit, self.rules, now_ms)
                trades.append(self._append(entry, None))
            self._store(account, marks, now_ms)
        for trade in trades:
            self._publish_trade(trade)
        return trades

    # ------------------------------------------------------------------------------ account

    def valued_account(self) -> ValuedAccount:
        """The account at the last good marks; nothing is asked of a source."""
        account = books.load_account(self.database.connection, self.model.id)
        known = self.data_aggregator.latest.last_known(account.positions)
        stored = books.load_marks(self.database.connection, self.model.id)
        marks = self._marks({})
        ages: dict[str, float] = {}
        stale: set[str] = set()
        for coin in account.positions:
            if coin in known:
                ages[coin] = self.data_aggregator.latest.age_seconds(known[coin])
                if self.data_aggregator.latest.is_stale(known[coin]):
                    stale.add(coin)
                continue
            stale.add(coin)
            if coin in stored:
                ages[coin] = max(0.0, (self.clock.now_ms() - stored[coin].time_ms) / 1000)
        return ValuedAccount(account, ledger.value(account, marks), ages, frozenset(stale))

    def record_value(self) -> None:
        """One point of the value curve, at the last good marks."""
        portfolio = self.valued_account().portfolio
        now_ms = self.clock.now_ms()
        with self.database.transaction() as connection:
            books.record_value(connection, self.model.id, portfolio, now_ms)
        self._publish_value(portfolio, now_ms)

    def _marks(self, fresh: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """The last good price of each held coin: `fresh`, else known, else stored with it."""
        stored = books.load_marks(self.database.connection, self.model.id)
        marks = {coin: mark.price for coin, mark in stored.items()}
        known = self.data_aggregator.latest.last_known(marks)
        return marks | {coin: price.ticker.price for coin, price in known.items()} | dict(fresh)

    # ------------------------------------------------------------------------------- events

    def _publish(self, report: CycleReport) -> None:
        for trade in report.trades:
            self._publish_trade(trade)
        if report.cycle.status == "done":
            self._publish_value(self.valued_account().portfolio, report.cycle.started_at)
        self._publish_cycle(report.cycle)

    def _publish_trade(self, trade: BookedTrade) -> None:
        self.events.publish("trade", {"trade": trade, "model_name": self.model.name})

    def _publish_value(self, portfolio: Portfolio, time_ms: int) -> None:
        self.events.publish(
            "account_value",
            {"model_id": self.model.id, "time_ms": time_ms, "portfolio": portfolio},
        )

    def _publish_cycle(self, cycle: Cycle) -> None:
        self.events.publish("cycle", {"cycle": cycle})


def _refusal(
    coin: str, decision: Decision, prices: Mapping[str, KnownPrice], terms: EntryTerms
) -> str | None:
    """Why an order may not go to the ledger at all."""
    refusal = terms.refusal(coin) if decision.side is not None else None
    if refusal is None and coin not in prices:
        return "no_price"
    return refusal
