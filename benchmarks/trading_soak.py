"""`python -m benchmarks.trading_soak`: many models on many coins through an accelerated day.

Prints what a cycle costs without waiting for its LLM, how many turns were lost or run twice, and
what the process keeps in memory. Runs the app's own loop, books and traders on a market made up
here; half of the models ask an LLM that answers at once.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory import resident_mb
from clock import AcceleratedClock, SystemClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import (
    MINUTE_MS,
    Clock,
    Instrument,
    Interval,
    KlineSeries,
    LLMProvider,
    OrderBook,
    Ticker,
    TradingModel,
    VenueInstrument,
)
from event_stream import EventStream
from ledger_audit import audit
from llm_client import LLMAnswer, Question
from llm_usage import Usage
from owner_settings import SettingsStore
from price_stream import PriceStream
from repositories import coins, models, pools, providers
from repositories.providers import Provider
from scheduler import TradingLoop
from trading_desk import TradingDesk

START_MS = 1_717_200_000_000  # 2024-06-01T00:00:00Z
#: The first cycles of all models read their histories at once, in some seconds of real time: less
#: than one turn where time is not accelerated. The day that is measured begins after them.
START_SECONDS = 40.0
RULES: Sequence[tuple[str, dict[str, Any]]] = (
    ("ma_cross", {"fast": 5, "slow": 20, "allow_short": True}),
    ("rsi", {"length": 14, "oversold": 45, "overbought": 55}),
    ("macd", {}),
    ("bollinger", {}),
    ("donchian", {"entry": 20, "exit": 10}),
    ("combined", {}),
    ("random", {"seed": 1}),
    ("equal_weight", {"rebalance_bars": 60}),
    ("dca", {"share": 0.01, "every_bars": 60}),
    ("buy_and_hold", {}),
)
INSTRUMENT = Instrument(Decimal("0.000001"), Decimal(1), Decimal("0.0001"))


class WavingMarket:
    """A venue whose prices are waves of the market's time: the same at every question."""

    name = "binance"
    dropped_rows = 0

    def __init__(self, clock: Clock, symbols: Sequence[str]):
        self._clock = clock
        self._places = {symbol: place for place, symbol in enumerate(symbols)}

    def _price(self, symbol: str, time_ms: Any) -> Any:
        place = self._places[symbol]
        minutes = (np.asarray(time_ms, dtype=np.float64) - START_MS) / MINUTE_MS
        wave = np.sin(minutes / (7 + place % 13)) + 0.5 * np.sin(minutes / (61 + place))
        return np.round((1 + place % 17) * 10 * (1 + 0.01 * wave), 4)

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        """Every price now."""
        now_ms = self._clock.now_ms()
        return {
            symbol: Ticker(
                symbol, Decimal(repr(float(self._price(symbol, now_ms)))), now_ms, "binance"
            )
            for symbol in symbols
            if symbol in self._places
        }

    def klines(
        self, symbol: str, interval: Interval, start_ms: int | None, end_ms: int | None,
        limit: int | None,
    ) -> KlineSeries:  # fmt: skip
        """Bars of the range up to now, the last one open."""
        now_ms, step = self._clock.now_ms(), interval.milliseconds
        stop = now_ms + 1 if end_ms is None else min(end_ms, now_ms + 1)
        first = (
            interval.ceil(start_ms or 0) if start_ms is not None else stop - (limit or 500) * step
        )
        times = np.arange(interval.ceil(first), stop, step, dtype=np.int64)
        if limit is not None:
            times = times[-limit:] if start_ms is None else times[:limit]
        opens, closes = self._price(symbol, times), self._price(symbol, times + step)
        high, low = np.maximum(opens, closes), np.minimum(opens, closes)
        is_open = bool(len(times)) and int(times[-1]) + step > now_ms
        volume = np.full(len(times), 1000.0)
        return KlineSeries(interval, times, opens, high, low, closes, volume, self.name, is_open)

    def depth(self, symbol: str, limit: int) -> OrderBook:
        """One level a side."""
        price = self.prices([symbol])[symbol].price
        return OrderBook(((price, Decimal(1)),), ((price, Decimal(1)),), self.name, 0)

    def instruments(self) -> Mapping[str, VenueInstrument]:
        """What is listed."""
        return {
            symbol: VenueInstrument(symbol, symbol.removesuffix("USDT"), "USDT", True, INSTRUMENT)
            for symbol in self._places
        }


class InstantLLM:
    """A provider whose models answer at once: they turn two coins over now and then."""

    def __init__(self) -> None:
        self.provider = LLMProvider(1, "Instant", "http://localhost/v1", "none", ("instant",))
        self._turn = 0
        self._lock = threading.Lock()

    def ask(self, question: Question) -> LLMAnswer:
        """Enter one, close another."""
        with self._lock:
            self._turn += 1
            turn = self._turn
        enter, close = f"C{turn % 97:02}", f"C{(turn * 31) % 97:02}"
        words = {
            enter: {
                "signal": "buy_to_enter", "weight": 0.05, "leverage": 2, "confidence": 0.7,
                "trailing_stop_pct": 1, "justification": "It waves.",
            },
            close: {"signal": "close_position", "justification": "It has waved."},
        }  # fmt: skip
        return LLMAnswer(json.dumps(words), "", "stop", Usage(5000, 100))


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of a run; times in milliseconds, memory in MB."""

    turns: int
    expected: int
    doubled: int
    failed: int
    trades: int
    cost: Mapping[str, float]
    processor: Mapping[str, float]
    memory: tuple[float, ...]  # at the start and after each quarter
    books_differ: int

    @property
    def lost(self) -> int:
        """Turns that did not come to a cycle."""
        return self.expected - self.turns

    def lines(self) -> list[str]:
        """For a person."""
        cost, processor = (
            ", ".join(f"{name} {value:.0f} ms" for name, value in figures.items())
            for figures in (self.cost, self.processor)
        )
        memory = ", ".join(f"{megabytes:.0f}" for megabytes in self.memory)
        return [
            f"{self.turns:,} cycles of {self.expected:,} due: {self.lost} lost, "
            f"{self.doubled} doubled, {self.failed} failed; {self.trades:,} trades",
            f"own cost of a cycle, without its LLM: {cost}",
            f"of that on a processor: {processor}",
            f"memory at the start and after each quarter: {memory} MB",
            f"books that do not follow from their trades: {self.books_differ}",
        ]


def soak(
    folder: Path, *, model_count: int, coin_count: int, minutes: int, speed: float,
    start_seconds: float = START_SECONDS,
) -> Soak:  # fmt: skip
    """Run `minutes` of the market at `speed` times real time."""
    clock = AcceleratedClock(START_MS, SystemClock().now_ms(), speed)
    database = Database(folder / "soak.db", clock)
    database.upgrade()
    symbols = _make_coins(database, coin_count)
    group = _make_models(database, model_count, symbols)
    market = WavingMarket(clock, [f"{symbol}USDT" for symbol in symbols])
    aggregator = MultiSourceDataAggregator(
        database, {"binance": market}, {"price": ["binance"], "klines": ["binance"]}, clock
    )
    events = EventStream()
    llm = InstantLLM()
    desk = TradingDesk(
        database, aggregator, SettingsStore(database, 0.001), clock, events,
        lambda provider_id: llm,  # type: ignore[arg-type,return-value]
    )  # fmt: skip
    desk.snapshots.take(symbols, Interval.M1, 300)  # history, as after some days
    prices = PriceStream(aggregator, lambda: symbols, events, 0.2)
    loop = TradingLoop(database, desk, prices, clock)
    first_turn = (clock.now_ms() + int(start_seconds * speed * 1000)) // MINUTE_MS + 1
    loop.start()
    _wait_until(clock, (first_turn + 1) * MINUTE_MS)
    memory = [resident_mb(os.getpid())]
    for quarter in range(1, 5):
        _wait_until(clock, first_turn * MINUTE_MS + quarter * minutes * MINUTE_MS // 4 - 1)
        memory.append(resident_mb(os.getpid()))
    loop.stop()
    result = _result(database, group, range(first_turn, first_turn + minutes), memory)
    database.close()
    return result


def _make_coins(database: Database, count: int) -> list[str]:
    symbols = [f"C{number:02}" for number in range(count)]
    with database.transaction() as connection:
        for symbol in symbols:
            fields = {"symbol": symbol, "name": symbol, "binance_symbol": f"{symbol}USDT"}
            coins.add(connection, fields, START_MS)
    return symbols


def _make_models(database: Database, count: int, symbols: Sequence[str]) -> list[TradingModel]:
    """Half of them LLMs, half rule strategies of every kind, each on all coins, every minute."""
    made = []
    with database.transaction() as connection:
        provider = Provider("Instant", "http://localhost/v1", "", ("instant",))
        provider_id = providers.add(connection, provider, START_MS).id
        pool = [coins.get(connection, symbol) for symbol in symbols]
        for number in range(count):
            key, params = RULES[number // 2 % len(RULES)]
            model = TradingModel(
                f"Model {number}", key, Decimal(100_000), Interval.M1, 1, "balanced", params
            )
            if number % 2:
                unlimited = {"daily_calls": None, "daily_tokens": None, "daily_cost": None}
                model = TradingModel(
                    f"Model {number}", "ai", Decimal(100_000), Interval.M1, 1, "balanced",
                    unlimited, provider_id, "instant",
                )  # fmt: skip
            made.append(models.add(connection, model, START_MS))
            pools.replace_members(connection, made[-1].id, pool, START_MS)
    return made


def _wait_until(clock: Clock, time_ms: int) -> None:
    while clock.now_ms() < time_ms:
        time.sleep(min(clock.wall_seconds_until(time_ms), 1.0) + 0.001)


def _result(
    database: Database,
    group: Sequence[TradingModel],
    turns: range,
    memory: Sequence[float],
) -> Soak:
    rows = database.connection.execute(
        "SELECT model_id, scheduled_at, status, error, timings FROM cycles "
        "WHERE scheduled_at >= ? AND scheduled_at < ?",
        (turns.start * MINUTE_MS, turns.stop * MINUTE_MS),
    ).fetchall()
    for error in {row["error"] for row in rows if row["error"]}:
        print(f"failed: {error}")
    timings = [json.loads(row["timings"]) for row in rows if row["status"] == "done"]
    trades = database.connection.execute("SELECT COUNT(*) FROM trades").fetchone()[0]
    differing = [model for model in group if audit(database.connection, model).differences]
    return Soak(
        turns=len({(row["model_id"], row["scheduled_at"]) for row in rows}),
        expected=len(group) * len(turns),
        doubled=len(rows) - len({(row["model_id"], row["scheduled_at"]) for row in rows}),
        failed=sum(row["status"] != "done" for row in rows),
        trades=trades,
        cost=_spread([_own_cost(laps) for laps in timings]),
        processor=_spread([laps["processor_ms"] for laps in timings]),
        memory=tuple(memory),
        books_differ=len(differing),
    )


def _own_cost(laps: Mapping[str, float]) -> float:
    return sum(laps.values()) - laps["processor_ms"] - laps["llm_ms"]


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"p50": math.nan, "p99": math.nan, "most": math.nan}
    p50, p99, most = np.percentile(values, [50, 99, 100])
    return {"p50": float(p50), "p99": float(p99), "most": float(most)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--coins", type=int, default=100)
    parser.add_argument("--minutes", type=int, default=24 * 60)
    parser.add_argument(
        "--speed", type=float, default=10.0,
        help="times real time; a turn is lost where the one before still runs",
    )  # fmt: skip
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        result = soak(
            Path(folder), model_count=asked.models, coin_count=asked.coins,
            minutes=asked.minutes, speed=asked.speed,
        )  # fmt: skip
    print("\n".join(result.lines()))


if __name__ == "__main__":
    main()
