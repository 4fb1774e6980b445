"""The exits of every model on every price: what fires, how soon, what it costs, as in a backtest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from market_source import SettableSource
from new_database import new_database

from backtest_run import BacktestConfig
from backtesting import BacktestEngine
from clock import ManualClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import (
    MINUTE_MS,
    Comparison,
    Decision,
    Entry,
    Exits,
    Fill,
    FillKind,
    Interval,
    KlineSeries,
    Position,
    PriceCondition,
    Reason,
    Side,
    Signal,
    TradingModel,
)
from event_stream import EventStream
from exit_watch import ExitWatch
from ledger import Account, post
from ledger_audit import audit
from owner_settings import SettingsStore
from paper_execution import ExecutionRules
from repositories import books, coins, models
from strategies.scripted import ScriptedTrader
from timestamps import iso_utc, parse_time_ms
from trading_desk import TradingDesk

START_MS = parse_time_ms("2024-03-01T10:00:00Z")
MODEL = TradingModel("One", "buy_and_hold", Decimal(10_000), Interval.M1, 60, "off")


@dataclass
class Watched:
    """Models with positions, watched on prices that the test sets. No trader, no loop, no LLM."""

    clock: ManualClock
    source: SettableSource
    database: Database
    aggregator: MultiSourceDataAggregator
    watch: ExitWatch

    def model(self, name: str = "One") -> TradingModel:
        return models.add(self.database.connection, replace(MODEL, name=name), START_MS)

    def hold(self, model: TradingModel, *fills: Fill) -> None:
        """Book these fills, as cycles would."""
        with self.database.ledger_transaction() as connection:
            account = books.load_account(connection, model.id)
            for fill in fills:
                ids = {fill.coin: coins.get(connection, fill.coin).id}
                account, entry = post(account, fill)
                books.book(connection, model.id, ids, entry)
            ids = {coin: coins.get(connection, coin).id for coin in account.positions}
            books.store_account(connection, model.id, account, ids, {})

    def tick(self, price: str | float, coin: str = "BTC", seconds: float = 1) -> None:
        self.clock.set(self.clock.now_ms() + int(seconds * 1000))
        self.source.quotes[f"{coin}USDT"] = Decimal(str(price))
        self.watch.check(self.aggregator.get_prices([coin], 0))

    def trades(self, model: TradingModel) -> list[Entry]:
        rows = books.all_entries(self.database.connection, model.id)
        return [row.entry for row in rows]

    def ends(self, model: TradingModel) -> list[tuple[Reason, Decimal]]:
        """Why and where its positions were closed."""
        closes = [e.fill for e in self.trades(model) if e.fill.kind is not FillKind.OPEN]
        return [(fill.reason, fill.price) for fill in closes]

    def positions(self, model: TradingModel) -> dict[str, Position]:
        return dict(books.load_account(self.database.connection, model.id).positions)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Watched]:
    clock = ManualClock(START_MS)
    source = SettableSource(clock)
    source.quotes = {"BTCUSDT": Decimal(100), "ETHUSDT": Decimal(10)}
    database = new_database(tmp_path / "exits.db", clock)
    aggregator = MultiSourceDataAggregator(
        database, {"binance": source}, {"price": ["binance"], "klines": ["binance"]}, clock,
        wall_clock=clock,
    )  # fmt: skip
    settings = SettingsStore(database, 0.001)
    desk = TradingDesk(database, aggregator, settings, clock, EventStream())
    watch = ExitWatch(database, desk, clock, clock)
    yield Watched(clock, source, database, aggregator, watch)
    watch.stop()
    for model in models.list_models(database.connection):
        assert audit(database.connection, model).differences == ()
    database.close()


def opened(
    side: Side = Side.LONG, leverage: int = 1, coin: str = "BTC", price: int = 100, **exits: object
) -> Fill:
    return Fill(
        FillKind.OPEN, coin, side, Decimal(10), Decimal(price), START_MS, Decimal(leverage),
        exits=Exits(**exits),  # type: ignore[arg-type]
    )  # fmt: skip


BELOW_95 = PriceCondition(None, Comparison.BELOW, Decimal(95))
ABOVE_105 = PriceCondition(None, Comparison.ABOVE, Decimal(105))
CLOSE_BELOW_95 = PriceCondition(Interval.M5, Comparison.BELOW, Decimal(95))

CASES = [
    (opened(stop_loss=Decimal(95)), "94.5", Reason.STOP_LOSS),
    (opened(profit_target=Decimal(110)), "110", Reason.PROFIT_TARGET),
    (opened(trailing_stop_pct=Decimal(5)), "94.9", Reason.TRAILING_STOP),
    (opened(invalidation=BELOW_95), "94.9", Reason.INVALIDATION),
    (opened(invalidation=ABOVE_105), "106", Reason.INVALIDATION),
    (opened(leverage=10), "90", Reason.LIQUIDATION),
    (opened(Side.SHORT, stop_loss=Decimal(105)), "106", Reason.STOP_LOSS),
    (opened(Side.SHORT, profit_target=Decimal(90)), "89", Reason.PROFIT_TARGET),
    (opened(Side.SHORT, trailing_stop_pct=Decimal(5)), "105.1", Reason.TRAILING_STOP),
    (opened(Side.SHORT, invalidation=ABOVE_105), "106", Reason.INVALIDATION),
    (opened(Side.SHORT, invalidation=BELOW_95), "94", Reason.INVALIDATION),
    (opened(Side.SHORT, leverage=10), "110", Reason.LIQUIDATION),
]


@pytest.mark.parametrize(("fill", "price", "reason"), CASES)
def test_a_price_fires_the_exit_that_it_reaches(
    world: Watched, fill: Fill, price: str, reason: Reason
):
    model = world.model()
    world.hold(model, fill)
    for quiet in ("100.5", "99.5", "100"):
        world.tick(quiet)
    assert world.ends(model) == []
    world.tick(price)
    assert world.ends(model) == [(reason, Decimal(price))]
    world.tick(price)
    assert len(world.ends(model)) == 1


def test_a_trailing_stop_follows_the_best_price_also_over_a_restart(world: Watched):
    model = world.model()
    world.hold(model, opened(trailing_stop_pct=Decimal(5)))
    world.tick("104")
    world.tick("110")
    assert world.positions(model)["BTC"].best_price == 110  # on the disk at once
    world.tick("108")
    world.watch.forget()
    world.tick("104.6")  # 5 % under 110 is 104.5
    assert world.ends(model) == []
    world.tick("104.4")
    assert world.ends(model) == [(Reason.TRAILING_STOP, Decimal("104.4"))]


def test_each_model_of_many_has_its_own_exits(world: Watched):
    held = {}
    for number in range(10):
        held[number] = world.model(f"Model {number}")
        world.hold(held[number], opened(stop_loss=Decimal(90 + number)))
    world.tick("94.5")
    assert [len(world.ends(model)) for model in held.values()] == [0] * 5 + [1] * 5


def test_what_is_opened_and_closed_meanwhile_is_followed(world: Watched):
    model = world.model()
    world.tick("100")
    world.hold(model, opened(stop_loss=Decimal(95)))
    world.hold(model, opened()._replace(kind=FillKind.CLOSE, exits=Exits()))
    world.tick("94")
    assert world.ends(model) == [(Reason.SIGNAL, Decimal(100))]
    world.hold(model, opened(stop_loss=Decimal(90)), opened(coin="ETH", price=10))
    world.tick("89")
    assert world.ends(model)[1:] == [(Reason.STOP_LOSS, Decimal(89))]
    assert set(world.positions(model)) == {"ETH"}


# ------------------------------------------------------------------------------- on closed bars


def settled(world: Watched) -> None:
    """Wait for the bars that are being looked at."""
    world.watch._aside.submit(lambda: None).result(5)


def test_a_condition_on_closed_bars_fires_when_one_closes_and_not_before(world: Watched):
    model = world.model()
    world.hold(model, opened(invalidation=CLOSE_BELOW_95))
    world.tick("94", seconds=200)
    settled(world)
    assert world.ends(model) == []  # the bar is still open
    world.tick("94", seconds=101)  # the bar of 10:00 has closed at 94
    settled(world)
    assert world.ends(model) == [(Reason.INVALIDATION, Decimal(94))]


def test_a_bar_that_does_not_meet_it_is_asked_for_once(world: Watched):
    model = world.model()
    world.hold(model, opened(invalidation=CLOSE_BELOW_95))
    for _ in range(5):
        world.tick("99", seconds=60.5)
        settled(world)
    asked = world.source.asked["klines"]
    assert asked == 1
    world.tick("94", seconds=1)
    settled(world)
    assert (world.source.asked["klines"], world.ends(model)) == (1, [])


def test_a_bar_that_closed_before_the_entry_ends_nothing(world: Watched):
    model = world.model()
    late = opened(invalidation=CLOSE_BELOW_95)._replace(time_ms=START_MS + 5 * MINUTE_MS)
    world.clock.set(START_MS + 5 * MINUTE_MS)
    world.source.quotes["BTCUSDT"] = Decimal(94)
    world.hold(model, late)
    world.tick("96", seconds=2)
    settled(world)
    assert world.ends(model) == []


# ------------------------------------------------------------------------- as in a backtest


TICKS_A_BAR = 4  # open, the adverse extreme, the other one, close


def walk(bars: int, seed: int) -> KlineSeries:
    """A random walk in bars of a minute, whose extremes come in the order that exits assume."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, 0.35, (bars, 3)).round(2)
    times = START_MS + np.arange(bars, dtype=np.int64) * MINUTE_MS
    opens = np.empty(bars)
    closes = np.empty(bars)
    price = 100.0
    for bar in range(bars):
        opens[bar] = price
        closes[bar] = price = round(price + float(steps[bar, 0]), 2)
    high = (np.maximum(opens, closes) + np.abs(steps[:, 1])).round(2)
    low = (np.minimum(opens, closes) - np.abs(steps[:, 2])).round(2)
    volume = np.ones(bars)
    return KlineSeries(Interval.M1, times, opens, high, low, closes, volume, "binance")


class BarSource(SettableSource):
    """A source whose candles are those of a series."""

    series: KlineSeries

    def klines(self, symbol, interval, start_ms, end_ms, limit):  # type: ignore[no-untyped-def]
        """Folded from the series' minutes."""
        self._count("klines")
        minutes = self.series.between(0, self.clock.now_ms())
        opens = np.array([interval.floor(int(t)) for t in minutes.open_time], dtype=np.int64)
        firsts = np.flatnonzero(np.diff(opens, prepend=-1))
        lasts = np.append(firsts[1:], len(opens)) - 1
        folded = KlineSeries(
            interval, opens[firsts], minutes.open[firsts],
            np.maximum.reduceat(minutes.high, firsts), np.minimum.reduceat(minutes.low, firsts),
            minutes.close[lasts], minutes.volume[lasts], self.name,
        )  # fmt: skip
        return folded.between(
            start_ms or 0, min(end_ms or 2**62, interval.floor(self.clock.now_ms()))
        )


def by_backtest(series: KlineSeries, decision: Decision) -> list[tuple[Reason, float]]:
    words = {
        "signal": decision.signal.value, "quantity": 10, "leverage": decision.leverage,
        "stop_loss": decision.stop_loss, "profit_target": decision.profit_target,
        "trailing_stop_pct": decision.trailing_stop_pct,
        "invalidation": str(decision.invalidation_condition or ""),
    }  # fmt: skip
    said = {"time": iso_utc(START_MS), "coin": "BTC", **words}
    trader = ScriptedTrader(["BTC"], {"decisions": [said]})
    end_ms = int(series.open_time[-1]) + MINUTE_MS
    config = BacktestConfig(
        ("BTC",), START_MS, end_ms, Interval.M1, Decimal(10_000), ExecutionRules(Decimal(0))
    )
    entries = BacktestEngine(trader, config).run_backtest({"BTC": series}).entries
    return [(e.fill.reason, float(e.fill.price)) for e in entries[1:]]


def by_ticks(world: Watched, series: KlineSeries, fill: Fill) -> list[tuple[Reason, float]]:
    """The same prices one by one: open, adverse extreme, other extreme, close of every bar."""
    source = BarSource(world.clock)
    source.series = series
    world.aggregator = MultiSourceDataAggregator(
        world.database, {"binance": source}, {"price": ["binance"], "klines": ["binance"]},
        world.clock, wall_clock=world.clock,
    )  # fmt: skip
    world.source = source
    desk = TradingDesk(
        world.database, world.aggregator, SettingsStore(world.database, 0.0), world.clock,
        EventStream(),
    )  # fmt: skip
    world.watch.stop()
    world.watch = ExitWatch(world.database, desk, world.clock, world.clock)
    model = world.model()
    world.hold(model, fill)
    for bar in series:
        prices = (bar.open, bar.low, bar.high, bar.close)
        if fill.side is Side.SHORT:
            prices = (bar.open, bar.high, bar.low, bar.close)
        for place, price in enumerate(prices):
            world.clock.set(bar.open_time + place * MINUTE_MS // TICKS_A_BAR)
            world.tick(price, seconds=0)
            settled(world)
            if world.ends(model):
                return [(reason, float(price)) for reason, price in world.ends(model)]
    return []


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    "exits",
    [
        {"stop_loss": -3, "profit_target": 3},
        {"trailing_stop_pct": Decimal(2)},
        {"invalidation": (None, -2.5)},
        {"invalidation": (Interval.M5, -2)},
        {"invalidation": (Interval.M1, -2)},
        {"leverage": 25},
    ],
    ids=["stop and target", "trailing", "on prices", "on 5m closes", "on 1m closes", "liquidation"],
)
def test_the_same_prices_fire_the_same_exits_in_a_backtest(
    world: Watched, exits: dict[str, object], side: Side, seed: int
):
    series = walk(90, seed)
    sign = side.sign
    given = dict(exits)
    leverage = Decimal(str(given.pop("leverage", 1)))
    levels = {
        name: Decimal(100 + sign * level) for name, level in given.items() if isinstance(level, int)
    } | {name: value for name, value in given.items() if isinstance(value, Decimal)}
    if "invalidation" in given:
        interval, level = given["invalidation"]  # type: ignore[misc]
        operator = Comparison.BELOW if side is Side.LONG else Comparison.ABOVE
        levels["invalidation"] = PriceCondition(
            interval, operator, Decimal(str(100 + sign * level))
        )
    signal = Signal.BUY_TO_ENTER if side is Side.LONG else Signal.SELL_TO_ENTER
    condition = levels.get("invalidation")
    decision = Decision(
        signal, quantity=Decimal(10), leverage=leverage, invalidation_condition=condition,
        **{name: level for name, level in levels.items() if name != "invalidation"},
    )  # fmt: skip
    expected = by_backtest(series, decision)
    live = by_ticks(world, series, opened(side, int(leverage), **levels))
    assert [reason for reason, _ in live] == [reason for reason, _ in expected]
    for (_, at_tick), (_, in_bar) in zip(live, expected, strict=True):
        # A tick jumps over a level that a bar touches, by as much as a price moves at once.
        assert at_tick == pytest.approx(in_bar, abs=1.5)


# --------------------------------------------------------------------------------------- its cost


def test_a_hundred_coins_held_by_twenty_models_cost_little_a_batch(world: Watched):
    """Measured: about 3 ms; the bound leaves room for a busy machine."""
    symbols = [coin.symbol for coin in coins.list_coins(world.database.connection)][:100]
    world.source.quotes = {}
    for symbol in symbols:
        coin = coins.get(world.database.connection, symbol)
        if coin.binance_symbol is not None:
            world.source.quotes[coin.binance_symbol] = Decimal(100)
    for number in range(20):
        model = world.model(f"Model {number}")
        account = Account.opened_with(Decimal(10_000))
        fills = [
            opened(coin=symbol, stop_loss=Decimal(90), trailing_stop_pct=Decimal(5))._replace(
                quantity=Decimal("0.1")
            )
            for symbol in symbols
        ]
        assert account.cash > 0
        world.hold(model, *fills)
    prices = world.aggregator.get_prices(symbols, 0)
    assert len(prices) > 80
    world.watch.check(prices)  # reads the positions, and keeps the marks
    began = time.perf_counter()
    for _ in range(10):
        world.watch.check(prices)
    assert (time.perf_counter() - began) / 10 < 0.05
