"""`TradingEngine` trades one model on paper: a cycle asks its trader and books what it decides.

One snapshot serves a whole cycle; closes are booked before opens; everything that a cycle books is
one transaction, so that a process that dies in it has booked all or nothing. What stands against
trading (the kill switch, a pause, another process at the loop) is looked at when a cycle begins and
once more in that transaction: deciding may have taken long. Exits are watched apart from cycles, on
every price, whatever the trader is doing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import audit_log
import ledger
from audit_log import Action, Actor, Audited
from cycle_booking import CycleBooking, CycleReport
from data_aggregator import MultiSourceDataAggregator
from database import Connection, Database
from domain import (
    AccountInfo,
    Clock,
    CoinMarket,
    Decision,
    Decisions,
    Instrument,
    MarketState,
    Portfolio,
    Signal,
    Trader,
    TradingModel,
    other_intervals,
)
from entry_terms import EntryTerms
from errors import Conflict, SourceError, TradingSystemError
from event_stream import EventStream
from latest_prices import KnownPrice
from live_exits import LiveExits
from log_context import logged_with
from market_snapshots import MarketSnapshots
from model_books import ModelBooks, ValuedAccount
from paper_execution import ExecutionRules, in_order
from repositories import books, coins, cycles, loss_watches, open_positions, pools
from repositories.books import BookedTrade
from repositories.cycles import Cycle
from trading_halt import check_not_halted
from trading_lease import TradingLease

FILL_PRICE_AGE_SECONDS = 5.0
CLOSE_PRICE_AGE_SECONDS = 60.0
RECENT_TRADES = 20
MOST_FAILURE_WORDS = 500

log = logging.getLogger(__name__)


class Stopwatch:
    """Real milliseconds by step, and those of the processor in all."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.perf_counter()
        self._processor_since = time.thread_time()

    def lap(self, step: str) -> None:
        """Note the time since the last lap."""
        now = time.perf_counter()
        self.laps[step] = round((now - self._since) * 1000, 3)
        self._since = now

    def processor(self) -> None:
        """Note how long this thread has kept a processor busy: waiting costs nothing."""
        self.laps["processor_ms"] = round((time.thread_time() - self._processor_since) * 1000, 3)

    def split(self, step: str, part: str, part_ms: float) -> None:
        """Tell a part of a step apart from the rest of it."""
        self.laps[part] = round(part_ms, 3)
        self.laps[step] = round(max(0.0, self.laps[step] - part_ms), 3)


class TradingEngine:
    """Trades one model. Built afresh for every cycle; `lock` is shared by the engines of a model.

    `trader` makes the trader of a cycle, from the symbols that may be entered and the cycle's id.
    """

    def __init__(
        self,
        model: TradingModel,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        trader: Callable[[list[str], int], Trader],
        rules: ExecutionRules,
        clock: Clock,
        *,
        lease: TradingLease | None = None,
        snapshots: MarketSnapshots | None = None,
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
        self.books = ModelBooks(model, database, data_aggregator, rules.risk, clock, self.events)
        self.exits = LiveExits(self.books, data_aggregator, rules, clock, self._check_lease)
        self._make_trader = trader
        self._lease = lease
        self._snapshots = snapshots or MarketSnapshots(data_aggregator, clock)
        self._lock = lock or threading.Lock()
        self._lot_rounding = lot_rounding

    # -------------------------------------------------------------------------------- cycle

    def execute_trading_cycle(
        self,
        scheduled_at: int | None = None,
        market: MarketState | None = None,
        by: Actor | None = None,
    ) -> CycleReport:
        """One cycle now; a failure is this model's alone and stands in the report's cycle.

        `market` is a snapshot that was taken for several models, `by` who asked for a cycle that
        was not due. Raises Conflict: cycle_running
        while another one is, cycle_done when `scheduled_at` was run before, trading_halted by the
        kill switch, max_drawdown after a loss, loop_elsewhere where another process trades.
        """
        if not self._lock.acquire(blocking=False):
            raise Conflict(f"A cycle of {self.model.name!r} is running.", code="cycle_running")
        try:
            return self._run_cycle(scheduled_at, market, by)
        finally:
            self._lock.release()

    def _run_cycle(
        self, scheduled_at: int | None, market: MarketState | None, by: Actor | None
    ) -> CycleReport:
        now_ms, began = self.clock.now_ms(), time.perf_counter()
        previous_ms = cycles.previous_start(self.database.connection, self.model.id)
        with self.database.transaction() as connection:
            cycle = self._begin(connection, scheduled_at, now_ms)
            if by is not None:
                self._note_asked(connection, by)
        with logged_with(cycle_id=cycle.id, model_id=self.model.id):
            self._publish_cycle(cycle)
            report = self._carried_out(cycle, previous_ms, market)
            self._publish(report, time.perf_counter() - began)
        return report

    def _carried_out(
        self, cycle: Cycle, previous_ms: int | None, market: MarketState | None
    ) -> CycleReport:
        """The cycle with what came of it; a failure stands in it."""
        try:
            report = self._decide_and_book(cycle, previous_ms, market)
        except TradingSystemError as error:
            log.warning("cycle %s of model %s failed: %s", cycle.id, self.model.id, error.message)
            return self._failed(cycle, error.code, error.message)
        except Exception as error:  # the edge: a trader's own mistake must not stop the loop
            log.exception("cycle %s of model %s failed", cycle.id, self.model.id)
            words = f"{type(error).__name__}: {error}"[:MOST_FAILURE_WORDS]
            return self._failed(cycle, "trader_error", words)
        log.debug("%d decisions, %d trades", len(report.decisions), len(report.trades))
        return report

    def _begin(self, connection: Connection, scheduled_at: int | None, now_ms: int) -> Cycle:
        """Open the cycle. Raises Conflict where none may be run."""
        check_not_halted(connection)
        self._check_lease(connection)
        watch = loss_watches.get(connection, self.model.id)
        if watch is not None and watch.stopped_reason is not None:
            raise Conflict(
                f"{self.model.name!r} has lost too much and is stopped until it is resumed.",
                code=watch.stopped_reason,
            )
        cycles.interrupt_left_open(connection, self.model.id, now_ms)
        if scheduled_at is not None:
            cycles.give_back_times_to_come(
                connection, self.model.id, scheduled_at, self.model.cycle_minutes
            )
        return cycles.begin(connection, self.model.id, scheduled_at, now_ms)

    def _note_asked(self, connection: Connection, by: Actor) -> None:
        model = self.model
        audit_log.record(connection, by, Action.RUN, Audited.MODEL, model.id, model.name)

    def _check_lease(self, connection: Connection) -> None:
        """Raises Conflict (loop_elsewhere) where another process trades."""
        if self._lease is not None:
            self._lease.check(connection)

    def _decide_and_book(
        self, cycle: Cycle, previous_ms: int | None, market: MarketState | None
    ) -> CycleReport:
        stopwatch = Stopwatch()
        shares = pools.shares(self.database.connection, self.model.id)
        trader = self._make_trader(list(shares), cycle.id)
        seen = self.snapshot(trader) if market is None else market
        shown = {
            coin: replace(coin_market, pool_share=shares.get(coin, 0.0))
            for coin, coin_market in seen.items()
        }
        stopwatch.lap("snapshot_ms")
        decisions = self._ask(trader, cycle, shown, previous_ms)
        stopwatch.lap("decision_ms")
        waited_ms = float(getattr(trader, "llm_ms", 0.0))
        stopwatch.split("decision_ms", "llm_ms", waited_ms)
        prices = self._fill_prices(decisions)
        terms = self._entry_terms(shares, decisions)
        stopwatch.lap("fill_prices_ms")
        booking = CycleBooking(self.model, self.books, self.rules, self._check_lease)

        def finished() -> Cycle:
            stopwatch.lap("booking_ms")
            stopwatch.processor()
            now_ms = self.clock.now_ms()
            return replace(cycle, status="done", finished_at=now_ms, timings=stopwatch.laps)

        return booking.book(cycle, decisions, prices, terms, finished)

    def snapshot(self, trader: Trader, also: Sequence[str] = ()) -> dict[str, CoinMarket]:
        """The coins that may be entered, those that are held and can only be closed, and `also`."""
        connection = self.database.connection
        enterable = pools.shares(connection, self.model.id)
        held = open_positions.held_by(connection, self.model.id)
        wanted = list(dict.fromkeys([*enterable, *held, *also]))
        if not wanted:
            return {}
        market = self._snapshots.take(
            wanted, self.model.interval, trader.history_bars, other_intervals(trader)
        )
        if not market:
            raise Conflict(  # the sources answer; what they say of this pool is not enough
                "No coin of the pool has a price and up-to-date candles.", code="nothing_to_trade"
            )
        return market

    def _ask(
        self,
        trader: Trader,
        cycle: Cycle,
        market: Mapping[str, CoinMarket],
        previous_ms: int | None,
    ) -> list[tuple[str, Decision]]:
        portfolio, asked = self.account_shown(market, cycle.started_at, previous_ms)
        answer: Decisions = trader.make_decision(market, portfolio, asked)
        return in_order(answer)

    def account_shown(
        self, market: Mapping[str, CoinMarket], time_ms: int, previous_ms: int | None
    ) -> tuple[Portfolio, AccountInfo]:
        """What a trader is told of the account when it is asked at `time_ms`."""
        account = self.books.account()
        marks = self.books.marks({coin: seen.price for coin, seen in market.items()})
        portfolio = ledger.value(account, marks)
        initial = account.initial_capital
        recent = books.list_trades(self.database.connection, [self.model.id], limit=RECENT_TRADES)
        told = AccountInfo(
            time_ms=time_ms,
            started_ms=self.model.created_at,
            initial_capital=initial,
            total_return=float((portfolio.total_value - initial) / initial * 100),
            previous_time_ms=previous_ms,
            recent_trades=tuple(trade.entry for trade in reversed(recent)),
        )
        return portfolio, told

    # ------------------------------------------------------------------- what orders are held to

    def _fill_prices(self, decisions: list[tuple[str, Decision]]) -> dict[str, KnownPrice]:
        """Prices of the coins to be traded, fresh at the fill: deciding may have taken long.

        A coin whose price is up to a minute old can still be closed at it; see `CycleBooking`.
        """
        wanted = [coin for coin, decision in decisions if decision.signal is not Signal.HOLD]
        if not wanted:
            return {}
        fresh = self.data_aggregator.get_prices(wanted, FILL_PRICE_AGE_SECONDS)
        latest = self.data_aggregator.latest
        old = {
            coin: price
            for coin, price in latest.last_known(wanted).items()
            if latest.age_seconds(price) <= CLOSE_PRICE_AGE_SECONDS
        }
        return old | fresh

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
        decided = [coin for coin, _ in decisions]
        found = coins.find_all(self.database.connection, decided)
        by_symbol = {coin.symbol: coin for coin in found}
        known = {coin: by_symbol[coin.upper()] for coin in decided if coin.upper() in by_symbol}
        venues = self.data_aggregator.venues.trading_venues(
            known[coin] for coin in dict.fromkeys(entered) if coin in known
        )
        halted = {coin for coin, states in venues.items() if states and not any(states.values())}
        latest = self.data_aggregator.latest
        stale = {
            coin
            for coin, price in latest.last_known(entered).items()
            if latest.age_seconds(price) > FILL_PRICE_AGE_SECONDS
        }
        ids = {coin: row.id for coin, row in known.items()}
        return EntryTerms(shares, instruments, frozenset(halted), frozenset(stale), ids)

    def _instruments(self, sized: list[str]) -> dict[str, Instrument] | None:
        """Trading rules of the coins to be entered or partly closed; None if they cannot be had."""
        if not sized or not self._lot_rounding:
            return {}
        try:
            return self.data_aggregator.venues.instruments(sized)
        except SourceError:
            return None

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

    # ------------------------------------------------------------------------ exits and account

    def check_exits(self, prices: Mapping[str, KnownPrice]) -> list[BookedTrade]:
        """Close what these prices bring to its stop, target or liquidation; remember the marks."""
        return self.exits.check(prices)

    def flatten(self, by: Actor) -> list[BookedTrade]:
        """Close every position now. Raises SourceError when one of them has no fresh price."""
        return self.exits.flatten(by)

    def valued_account(self) -> ValuedAccount:
        """The account at the last good marks; nothing is asked of a source."""
        return self.books.valued_account()

    def record_value(self) -> None:
        """One point of the value curve, at the last good marks."""
        self.books.record_value()

    # ------------------------------------------------------------------------------- events

    def _publish(self, report: CycleReport, seconds: float) -> None:
        for trade in report.trades:
            self.books.publish_trade(trade)
        if report.cycle.status == "done":
            portfolio = self.valued_account().portfolio
            self.books.publish_value(portfolio, report.cycle.started_at)
        self._publish_cycle(report.cycle, seconds)

    def _publish_cycle(self, cycle: Cycle, seconds: float | None = None) -> None:
        """`seconds` are the real ones that one took which has ended."""
        self.events.publish("cycle", {"cycle": cycle, "seconds": seconds})
