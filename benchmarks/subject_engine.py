"""Our BacktestEngine as a subject: the engine alone, and with its report."""

from __future__ import annotations

import platform
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from backtest_report import build_report
from backtesting import BacktestConfig, BacktestEngine, BacktestResult
from domain import MINUTE_MS, Interval, KlineSeries
from paper_execution import ExecutionRules
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
        "with report": lambda: _outcome_with_report(run()),
    }


def _outcome(result: BacktestResult) -> dict[str, float]:
    return {"trades": len(result.entries) // 2, "final_value": float(result.equity[-1])}


def _outcome_with_report(result: BacktestResult) -> dict[str, float]:
    summary = build_report(result)["summary"]
    return {"trades": summary["total_trades"], "final_value": summary["final_value"]}
