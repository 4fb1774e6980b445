"""A week of paper trading on real candles books the very trades that a backtest of it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from new_database import new_database
from real_klines import real_series

from backtest_run import BacktestConfig
from backtesting import BacktestEngine
from binance_fetcher import BinanceDataFetcher
from clock import ManualClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import DAY_MS, HOUR_MS, Entry, Interval, KlineSeries, TradingModel
from exchange_simulator.replayed_market import ReplayedMarket
from exchange_simulator.server import SimulatorServer
from paper_execution import ExecutionRules
from repositories import books, coins, models, pools
from risk_limits import RiskName, profile_named
from strategies import make_trader
from timestamps import iso_utc, parse_time_ms
from trading_engine import TradingEngine

COINS = ("BTC", "ETH", "SOL")
START_MS = parse_time_ms("2022-05-09")  # the week in which LUNA fell
END_MS = START_MS + 7 * DAY_MS
CAPITAL = Decimal(10_000)

PLAIN = ExecutionRules(Decimal("0.001"))
HELD_BACK = ExecutionRules(
    Decimal("0.001"), slippage_bps=Decimal(2), risk=profile_named(RiskName.BALANCED)
)


def hour(index: int) -> str:
    return iso_utc(START_MS + index * HOUR_MS)


SCRIPT = [
    {"time": hour(3), "coin": "BTC", "signal": "buy_to_enter", "weight": 0.3, "leverage": 3},
    {"time": hour(3), "coin": "ETH", "signal": "sell_to_enter", "notional": 2500, "leverage": 2},
    {"time": hour(20), "coin": "BTC", "signal": "buy_to_enter", "quantity": 0.01},
    {"time": hour(31), "coin": "ETH", "signal": "close_position", "quantity": 0.4},
    {"time": hour(50), "coin": "BTC", "signal": "sell_to_enter", "quantity": 0.5},
    {"time": hour(70), "coin": "BTC", "signal": "close_position"},
    {"time": hour(90), "coin": "SOL", "signal": "buy_to_enter", "weight": 2 / 3},
    {"time": hour(120), "coin": "ETH", "signal": "close_position"},
]

TRADERS: list[tuple[str, dict[str, Any]]] = [
    ("buy_and_hold", {}),
    ("ma_cross", {"fast": 5, "slow": 12, "allow_short": True, "leverage": 2, "weight": 0.8}),
    ("ma_cross", {"fast": 4, "slow": 9, "kind": "ema"}),
    ("random", {"seed": 3, "enter_chance": 0.2, "close_chance": 0.2, "allow_short": True}),
    ("rsi", {"length": 3, "oversold": 40, "overbought": 60, "allow_short": True}),
    ("donchian", {"entry": 8, "exit": 4, "allow_short": True, "weight": 0.9}),
    ("equal_weight", {"rebalance_bars": 6, "tolerance": 0.02, "weight": 0.7}),
    ("dca", {"share": 0.1, "every_bars": 12}),
    ("scripted", {"decisions": SCRIPT}),
]


@dataclass
class PaperWorld:
    """The exchange that replays the week, and what the live engine stands on."""

    clock: ManualClock
    database: Database
    data_aggregator: MultiSourceDataAggregator


@pytest.fixture(scope="module")
def exchange(real_klines: Path) -> Iterator[SimulatorServer]:
    files = [next(real_klines.glob(f"{coin}USDT-1h-*")) for coin in COINS]
    market = ReplayedMarket.from_files(files)
    with SimulatorServer(market, ManualClock(START_MS), weight_limit=10**9) as server:
        yield server


@pytest.fixture
def world(exchange: SimulatorServer, tmp_path: Path) -> Iterator[PaperWorld]:
    clock = exchange.clock
    assert isinstance(clock, ManualClock)
    clock.set(START_MS)
    database = new_database(tmp_path / "paper.db", clock)
    fetcher = BinanceDataFetcher(base_url=exchange.url, clock=clock)
    # Ages are told by the market's clock too: a price is fresh as long as that stands still.
    aggregator = MultiSourceDataAggregator(
        database, {"binance": fetcher}, {"price": ["binance"], "klines": ["binance"]}, clock,
        wall_clock=clock,
    )  # fmt: skip
    yield PaperWorld(clock, database, aggregator)
    database.close()


def trade_on_paper(
    world: PaperWorld, key: str, params: Mapping[str, Any], rules: ExecutionRules, lots: bool
) -> list[Entry]:
    """A cycle at every close of the week's bars, each a moment into the next bar."""
    model = TradingModel(key, key, CAPITAL, Interval.H1, 60, "off", params)
    with world.database.transaction() as connection:
        model = models.add(connection, model, START_MS)
        pool = [coins.get(connection, symbol) for symbol in COINS]
        pools.replace_members(connection, model.id, pool, START_MS)
    for now_ms in range(START_MS + HOUR_MS, END_MS, HOUR_MS):
        world.clock.set(now_ms)
        engine = TradingEngine(
            model, world.database, world.data_aggregator,
            lambda symbols, cycle_id: make_trader(key, symbols, params), rules, world.clock,
            lot_rounding=lots,
        )  # fmt: skip
        report = engine.execute_trading_cycle(now_ms)
        assert report.cycle.status == "done", report.cycle.error
    return [trade.entry for trade in books.all_entries(world.database.connection, model.id)]


def backtest(
    world: PaperWorld, key: str, params: Mapping[str, Any], rules: ExecutionRules, lots: bool
) -> list[Entry]:
    trader = make_trader(key, COINS, params)
    history: dict[str, KlineSeries] = {coin: real_series(coin) for coin in COINS}
    config = BacktestConfig(COINS, START_MS, END_MS, Interval.H1, CAPITAL, rules)
    instruments = world.data_aggregator.venues.instruments(COINS) if lots else None
    return list(BacktestEngine(trader, config, instruments).run_backtest(history).entries)


def booked(entry: Entry) -> tuple[object, ...]:
    """A ledger line without the ids that only the live books have."""
    fill = entry.fill
    return (
        fill.time_ms, fill.coin, fill.kind, fill.side, fill.quantity, fill.price, fill.fee,
        fill.leverage, fill.reason, entry.gross, entry.pnl, entry.cash_after,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "lots"), [(PLAIN, False), (HELD_BACK, True)], ids=["plain", "risk, slippage, lots"]
)
@pytest.mark.parametrize(
    ("key", "params"), TRADERS, ids=[f"{k}{i}" for i, (k, _) in enumerate(TRADERS)]
)
def test_paper_and_backtest_book_the_same_trades_to_the_last_digit(
    world: PaperWorld, key: str, params: dict[str, Any], rules: ExecutionRules, lots: bool
):
    on_paper = trade_on_paper(world, key, params, rules, lots)
    in_backtest = backtest(world, key, params, rules, lots)
    assert len(on_paper) >= (3 if key == "buy_and_hold" else 6)
    assert [booked(entry) for entry in on_paper] == [booked(entry) for entry in in_backtest]
