"""Our BacktestEngine as a subject: the whole engine, and its figures or its full report."""

from __future__ import annotations

import platform
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from backtesting import BacktestConfig, BacktestEngine, BacktestResult
from domain import MINUTE_MS, Interval, KlineSeries
from paper_execution import ExecutionRules
from performance import drawdown_series, longest_drawdown_ms, ratios, round_trips, trip_figures
from strategies.moving_average_cross import MovingAverageCross

COIN = "BTC"
START_MS = 1_577_836_800_000  # 2020-01-01T00:00:00Z


def versions() -> dict[str, str]:
    """What is measured."""
    return {"Python": platform.python_version(), "numpy": np.__version__}


def variants(
    prices: npt.NDArray[np.float64], rules: dict[str, float]
) -> dict[str, Callable[[], dict[str, float]]]:
    """The runs by name, each giving the number of closed trades and the final value."""
    bars = prices.shape[1]
    open_time = START_MS + np.arange(bars, dtype=np.int64) * MINUTE_MS
    history = {COIN: KlineSeries(Interval.M1, open_time, *prices)}
    config = BacktestConfig(
        coins=(COIN,),
        start_ms=START_MS,
        end_ms=START_MS + bars * MINUTE_MS,
        interval=Interval.M1,
        initial_capital=Decimal(repr(rules["capital"])),
        rules=ExecutionRules(fee_rate=Decimal(repr(rules["fee"]))),
    )
    params = {"fast": int(rules["fast"]), "slow": int(rules["slow"])}

    def run() -> BacktestResult:
        return BacktestEngine(MovingAverageCross((COIN,), params), config).run_backtest(history)

    return {
        "engine alone": lambda: _outcome(run()),
        "with figures": lambda: _outcome_with_figures(run()),
    }


def _outcome(result: BacktestResult) -> dict[str, float]:
    return {"trades": len(result.entries) // 2, "final_value": float(result.equity[-1])}


def _outcome_with_figures(result: BacktestResult) -> dict[str, float]:
    equity, close_time = result.equity, result.close_time
    figures = trip_figures(round_trips(result.entries))
    ratios(close_time, equity, float(result.config.initial_capital))
    drawdown_series(equity)
    longest_drawdown_ms(close_time, equity)
    return {"trades": figures["total_trades"] or 0, "final_value": float(equity[-1])}
