"""One model on a market that a test sets, with a trader that says what it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from market_source import FINEST, SettableSource
from new_database import new_database

from clock import ManualClock
from cycle_booking import CycleReport
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import (
    AccountInfo,
    Decision,
    Decisions,
    Instrument,
    Interval,
    MarketState,
    Portfolio,
    Signal,
    TradingModel,
)
from event_stream import EventStream
from ledger_audit import audit
from paper_execution import ExecutionRules
from repositories import books, coins, models, pools
from timestamps import parse_time_ms
from trading_engine import TradingEngine

START_MS = parse_time_ms("2024-03-01T10:00:30Z")
FEE = Decimal("0.001")


@dataclass
class SaysWhatItIsTold:
    """A trader whose next answer the test sets, and who remembers what it was shown."""

    answer: Decisions = field(default_factory=dict)
    shown: MarketState = field(default_factory=dict)
    told: AccountInfo | None = None
    before_answering: Callable[[], None] = lambda: None
    history_bars: int = 3

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        self.shown, self.told = market_state, account_info
        self.before_answering()
        return self.answer


@dataclass
class World:
    """One model on a settable market."""

    clock: ManualClock
    source: SettableSource
    database: Database
    aggregator: MultiSourceDataAggregator
    trader: SaysWhatItIsTold
    model: TradingModel
    events: EventStream
    lock: threading.Lock
    lots: Instrument = FINEST

    def engine(self, **terms: Any) -> TradingEngine:
        rules = terms.pop("rules", ExecutionRules(FEE))
        lock = terms.pop("lock", self.lock)
        return TradingEngine(
            self.model, self.database, self.aggregator, lambda symbols, cycle_id: self.trader, rules,
            self.clock, events=self.events, lock=lock, **terms,
        )  # fmt: skip

    def elsewhere(self, **terms: Any) -> TradingEngine:
        """The engine as another process would make it: with a lock of its own."""
        return self.engine(lock=threading.Lock(), **terms)

    def cycle(self, answer: Decisions | None = None, **terms: Any) -> CycleReport:
        if answer is not None:
            self.trader.answer = answer
        return self.engine(**terms).execute_trading_cycle()

    def tick(self, **prices: str) -> Any:
        """Move prices and let the engine look at its exits."""
        for coin, price in prices.items():
            self.source.quotes[f"{coin}USDT"] = Decimal(price)
        self.clock.set(self.clock.now_ms() + 1000)
        seen = self.aggregator.get_prices(prices, 0)
        if seen.keys() != prices.keys():  # a jump is believed at the second look
            self.clock.set(self.clock.now_ms() + 10_000)
            seen = self.aggregator.get_prices(prices, 0)
        return self.engine().check_exits(seen)

    @property
    def account(self) -> Any:
        return books.load_account(self.database.connection, self.model.id)

    def trades(self) -> list[books.BookedTrade]:
        return books.all_entries(self.database.connection, self.model.id)


def opened_world(folder: Path) -> Iterator[World]:
    """A world in a folder; its books must balance when the test is over."""
    clock = ManualClock(START_MS)
    source = SettableSource(clock)
    source.quotes = {"BTCUSDT": Decimal(100), "ETHUSDT": Decimal(10)}
    database = new_database(folder / "desk.db", clock)
    aggregator = MultiSourceDataAggregator(
        database, {"binance": source}, {"price": ["binance"], "klines": ["binance"]}, clock,
        wall_clock=clock,
    )  # fmt: skip
    model = TradingModel("Told", "scripted", Decimal(10_000), Interval.M1, 1, "off")
    with database.transaction() as connection:
        model = models.add(connection, model, START_MS)
        pool = [coins.get(connection, symbol) for symbol in ("BTC", "ETH")]
        pools.replace_members(connection, model.id, pool, START_MS)
    yield World(
        clock, source, database, aggregator, SaysWhatItIsTold(), model, EventStream(),
        threading.Lock(),
    )  # fmt: skip
    assert audit(database.connection, model).differences == ()  # whatever a test did
    database.close()


def buy(quantity: str | int = 10, **terms: Any) -> Decision:
    return Decision(Signal.BUY_TO_ENTER, quantity=Decimal(quantity), **terms)


def short(quantity: str | int = 10, **terms: Any) -> Decision:
    return Decision(Signal.SELL_TO_ENTER, quantity=Decimal(quantity), **terms)


CLOSE = Decision(Signal.CLOSE_POSITION)
HOLD = Decision(Signal.HOLD)
