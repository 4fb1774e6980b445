"""Candles and runs for the backtest's tests: real ones, and small ones made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
from real_klines import real_series

from backtest_run import BacktestConfig, BacktestResult
from backtesting import BacktestEngine
from domain import DAY_MS, HOUR_MS, Interval, KlineSeries, Trader
from paper_execution import ExecutionRules
from strategies import make_trader
from strategies.scripted import ScriptedTrader
from timestamps import iso_utc, parse_time_ms

START_MS = parse_time_ms("2024-01-01")
FREE = ExecutionRules(Decimal(0))
NO_LIQUIDATION = replace(FREE, maintenance_margin_rate=None)


Bar = tuple[float, float, float, float] | float


def bars(
    rows: Iterable[Bar | None], interval: Interval = Interval.H1, start_ms: int = START_MS
) -> KlineSeries:
    """Consecutive bars: (open, high, low, close), one price for all four, or None for none."""
    times, table = [], []
    for index, row in enumerate(rows):
        if row is not None:
            times.append(start_ms + index * interval.milliseconds)
            table.append(row if isinstance(row, tuple) else (row, row, row, row))
    columns = np.array(table, dtype=np.float64).T
    return KlineSeries(interval, np.array(times, dtype=np.int64), *columns, np.ones(len(times)))


def hour(index: float) -> str:
    """The time that many hours after the first bar's open."""
    return iso_utc(START_MS + round(index * HOUR_MS))


def script(*decisions: dict[str, Any], coins: Sequence[str] = ("BTC",)) -> ScriptedTrader:
    """A scripted trader: `time` in hours after the start, BTC where no coin is said."""
    timed = [{"coin": "BTC", **decision, "time": hour(decision["time"])} for decision in decisions]
    trader = make_trader("scripted", coins, {"decisions": timed})
    assert isinstance(trader, ScriptedTrader)
    return trader


def buy(time: float, **terms: Any) -> dict[str, Any]:
    return {"time": time, "signal": "buy_to_enter", **terms}


def short(time: float, **terms: Any) -> dict[str, Any]:
    return {"time": time, "signal": "sell_to_enter", **terms}


def close(time: float, **terms: Any) -> dict[str, Any]:
    return {"time": time, "signal": "close_position", **terms}


def run(
    trader: Trader, history: Mapping[str, KlineSeries] | KlineSeries, **terms: Any
) -> BacktestResult:
    """Run `trader` over all of `history` (BTC where one series is given), free of cost."""
    if isinstance(history, KlineSeries):
        history = {"BTC": history}
    last = max(int(series.open_time[-1]) for series in history.values())
    config = BacktestConfig(
        coins=tuple(history),
        start_ms=START_MS,
        end_ms=last + 1,
        interval=next(iter(history.values())).interval,
        initial_capital=Decimal(10_000),
        rules=FREE,
    )
    return BacktestEngine(trader, replace(config, **terms)).run_backtest(history)


def real_run(
    coin: str, first_day: str, last_day: str, trader: Trader | None = None, **terms: Any
) -> BacktestResult:
    """A run over whole days of real candles, fee 0.1 %, all earlier bars as warm-up."""
    config = BacktestConfig(
        coins=(coin,),
        start_ms=parse_time_ms(first_day),
        end_ms=parse_time_ms(last_day) + DAY_MS,
        interval=Interval.H1,
        initial_capital=Decimal(10_000),
        rules=ExecutionRules(Decimal("0.001")),
        warmup_bars=100,
    )
    chosen = trader or make_trader("ma_cross", (coin,))
    return BacktestEngine(chosen, replace(config, **terms)).run_backtest({coin: real_series(coin)})
