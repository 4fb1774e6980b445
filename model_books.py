"""The books of one model while it trades: its account at marks, and what a booking writes.

What writes does so in the transaction that runs on the thread's connection.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import audit_log
import ledger
from audit_log import THE_APP, Action, Audited
from data_aggregator import MultiSourceDataAggregator
from database import Connection, Database
from domain import Clock, Entry, Portfolio, TradingModel
from event_stream import EventStream
from ledger import Account
from loss_limits import LossWatch, watched
from repositories import books, coins, loss_watches, open_positions
from repositories.books import BookedTrade, Mark
from risk_limits import RiskProfile

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ValuedAccount:
    """An account at its marks. `ages` are seconds since each held coin's mark was seen."""

    account: Account
    portfolio: Portfolio
    ages: Mapping[str, float]
    stale: frozenset[str]


class ModelBooks:
    """Reads and writes the books of one model, and tells what was booked."""

    def __init__(
        self,
        model: TradingModel,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        limits: RiskProfile | None,
        clock: Clock,
        events: EventStream,
    ):
        self.model = model
        self.database = database
        self._latest = data_aggregator.latest
        self._limits = limits
        self._clock = clock
        self._events = events

    @property
    def connection(self) -> Connection:
        """This thread's connection."""
        return self.database.connection

    # ------------------------------------------------------------------------------- reading

    def account(self) -> Account:
        """The account as it is booked. Raises LedgerMismatch where it cannot be read."""
        return books.load_account(self.connection, self.model.id)

    def marks(self, fresh: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """The last good price of each held coin: `fresh`, else known, else stored with it."""
        stored = books.load_marks(self.connection, self.model.id)
        held = open_positions.held_by(self.connection, self.model.id)
        marks = {coin: mark.price for coin, mark in stored.items()}
        known = self._latest.last_known(held)
        return marks | {coin: price.ticker.price for coin, price in known.items()} | dict(fresh)

    def valued_account(self) -> ValuedAccount:
        """The account at the last good marks; nothing is asked of a source."""
        account = self.account()
        known = self._latest.last_known(account.positions)
        stored = books.load_marks(self.connection, self.model.id)
        ages: dict[str, float] = {}
        stale: set[str] = set()
        for coin in account.positions:
            if coin in known:
                ages[coin] = self._latest.age_seconds(known[coin])
                if self._latest.is_stale(known[coin]):
                    stale.add(coin)
                continue
            stale.add(coin)
            if coin in stored:
                ages[coin] = max(0.0, (self._clock.now_ms() - stored[coin].time_ms) / 1000)
        portfolio = ledger.value(account, self.marks({}))
        return ValuedAccount(account, portfolio, ages, frozenset(stale))

    # ------------------------------------------------------------------------------- writing

    def append(self, entry: Entry, justification: str | None = None) -> BookedTrade:
        """Book a ledger line in the running transaction."""
        coin = entry.fill.coin
        coin_ids = {coin: coins.get(self.connection, coin).id}
        trade_id = books.book(self.connection, self.model.id, coin_ids, entry)
        return BookedTrade(trade_id, self.model.id, entry, justification or None)

    def store(self, account: Account, marks: Mapping[str, Decimal], now_ms: int) -> Portfolio:
        """Store account, positions and value in the running transaction."""
        connection = self.connection
        coin_ids = {coin: coins.get(connection, coin).id for coin in account.positions}
        stamped = books.load_marks(connection, self.model.id)
        for coin in account.positions:
            if coin in marks and (coin not in stamped or stamped[coin].price != marks[coin]):
                stamped[coin] = Mark(marks[coin], now_ms)
        books.store_account(connection, self.model.id, account, coin_ids, stamped)
        portfolio = ledger.value(account, marks)
        books.record_value(connection, self.model.id, portfolio, now_ms)
        return portfolio

    def watch_losses(self, value: Decimal, now_ms: int) -> LossWatch:
        """What the account's losses have come to, kept in the running transaction."""
        before = loss_watches.get(self.connection, self.model.id)
        begun = before or LossWatch.begun(value, now_ms)
        watch = watched(begun, value, now_ms, self._limits)
        if watch != before:
            loss_watches.store(self.connection, self.model.id, watch)
        if watch.stopped_reason is not None and begun.stopped_reason is None:
            audit_log.record(
                self.connection, THE_APP, Action.STOP, Audited.MODEL, self.model.id,
                self.model.name, after={"stopped_reason": watch.stopped_reason},
            )  # fmt: skip
        return watch

    def record_value(self) -> None:
        """One point of the value curve, at the last good marks."""
        portfolio = self.valued_account().portfolio
        now_ms = self._clock.now_ms()
        with self.database.transaction() as connection:
            books.record_value(connection, self.model.id, portfolio, now_ms)
            self.watch_losses(portfolio.total_value, now_ms)
        self.publish_value(portfolio, now_ms)

    # ------------------------------------------------------------------------------- telling

    def publish_trade(self, trade: BookedTrade) -> None:
        """Tell of a trade."""
        fill = trade.entry.fill
        log.info(
            "trade %d of model %d: %s %s, %s %s at %s (%s)", trade.id, self.model.id,
            fill.kind.value, fill.side.value, f"{fill.quantity:f}", fill.coin, f"{fill.price:f}",
            fill.reason.value,
        )  # fmt: skip
        self._events.publish("trade", {"trade": trade, "model_name": self.model.name})

    def publish_value(self, portfolio: Portfolio, time_ms: int) -> None:
        """Tell what the account is worth."""
        self._events.publish(
            "account_value",
            {"model_id": self.model.id, "time_ms": time_ms, "portfolio": portfolio},
        )
