"""A process that trades as fast as it can until it is killed.

It says that it is at work, and then after each cycle how many trades are booked.
"""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

from market_source import SettableSource

from clock import ManualClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import (
    AccountInfo,
    Decision,
    Decisions,
    Interval,
    MarketState,
    Portfolio,
    Signal,
    TradingModel,
)
from paper_execution import ExecutionRules
from repositories import books, coins, cycles, models, pools
from timestamps import parse_time_ms
from trading_engine import TradingEngine

COINS = ("BTC", "ETH", "SOL")
START_MS = parse_time_ms("2024-03-01")


class Gambler:
    """Enters and closes at random, with leverage, partial closes, stops and targets."""

    history_bars = 1

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        return {coin: self._bet(coin, portfolio, market_state[coin].price) for coin in market_state}

    def _bet(self, coin: str, portfolio: Portfolio, price: Decimal) -> Decision:
        position = portfolio.positions.get(coin)
        if position is not None and random.random() < 0.6:
            part = position.quantity / 3 if random.random() < 0.5 else None
            return Decision(Signal.CLOSE_POSITION, quantity=part)
        signal = random.choice((Signal.BUY_TO_ENTER, Signal.SELL_TO_ENTER))
        sign = 1 if signal is Signal.BUY_TO_ENTER else -1
        return Decision(
            signal,
            weight=Decimal("0.1"),
            leverage=Decimal(random.randint(1, 20)),
            stop_loss=price * (1 - sign * Decimal("0.01")),
            profit_target=price * (1 + sign * Decimal("0.02")),
        )


def main(path: str) -> None:
    """Trade in the database at `path`, one cycle and one tick after the other."""
    clock = ManualClock(START_MS)
    source = SettableSource(clock)
    source.quotes = {f"{coin}USDT": Decimal(100) for coin in COINS}
    database = Database(Path(path), clock)
    database.upgrade()
    model = _model(database, clock)
    with database.transaction() as connection:
        cycles.interrupt_running(connection, clock.now_ms())
    aggregator = MultiSourceDataAggregator(
        database, {"binance": source}, {"price": ["binance"], "klines": ["binance"]}, clock,
        wall_clock=clock,
    )  # fmt: skip
    print("at work", flush=True)  # noqa: T201 - what the test waits for
    while True:
        clock.set(clock.now_ms() + 60_000)
        for symbol, price in source.quotes.items():
            factor = Decimal(str(round(random.gauss(1, 0.01), 4)))
            source.quotes[symbol] = (price * factor).quantize(Decimal("0.01"))
        engine = TradingEngine(
            model, database, aggregator, lambda symbols, cycle_id: Gambler(),
            ExecutionRules(Decimal("0.001")), clock, lot_rounding=False,
        )  # fmt: skip
        engine.check_exits(aggregator.get_prices(COINS, 0))
        engine.execute_trading_cycle(clock.now_ms())
        booked = database.connection.execute("SELECT COUNT(*) FROM trades").fetchone()[0]
        print(booked, flush=True)  # noqa: T201 - what nobody may lose


def _model(database: Database, clock: ManualClock) -> TradingModel:
    """The model of earlier runs, its clock set after what they booked or began, or a new one."""
    known = models.list_models(database.connection)
    if known:
        booked = books.latest_value_time(database.connection) or START_MS
        newest = database.connection.execute("SELECT MAX(started_at) FROM cycles").fetchone()
        begun = newest[0] or START_MS
        clock.set(max(booked, begun) + 60_000)
        return known[0]
    model = TradingModel("Gambler", "random", Decimal(1_000_000), Interval.M1, 1, "off")
    with database.transaction() as connection:
        model = models.add(connection, model, clock.now_ms())
        pool = [coins.get(connection, symbol) for symbol in COINS]
        pools.replace_members(connection, model.id, pool, clock.now_ms())
    return model
