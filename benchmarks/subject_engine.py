"""Our BacktestEngine as a subject: the engine alone, and with its report."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from backtest_report import build_report
from backtest_run import BacktestConfig, BacktestResult
from backtesting import BacktestEngine
from benchmarks.combinations import moving_average_lengths
from domain import MINUTE_MS, Interval, KlineSeries
from paper_execution import ExecutionRules
from performance import drawdown_series
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

    def run(fast: int, slow: int) -> BacktestResult:
        trader = MovingAverageCross((COIN,), {"fast": fast, "slow": slow})
        return BacktestEngine(trader, config).run_backtest(history)

    def run_of_rules() -> BacktestResult:
        return run(int(rules["fast"]), int(rules["slow"]))

    return {
        "engine alone": lambda: _outcome(run_of_rules()),
        "with report": lambda: _outcome_with_report(run_of_rules()),
        "sweep": lambda: _outcome_of_sweep(
            run(fast, slow) for fast, slow in moving_average_lengths()
        ),
    }


def _outcome(result: BacktestResult) -> dict[str, float]:
    return {"trades": len(result.entries) // 2, "final_value": float(result.equity[-1])}


def _outcome_of_sweep(results: Iterable[BacktestResult]) -> dict[str, float]:
    """All trades and the mean final value; the deepest drawdown of each run is found as well."""
    trades, values, falls = 0, [], []
    for result in results:
        trades += len(result.entries) // 2
        values.append(float(result.equity[-1]))
        falls.append(float(np.max(drawdown_series(result.equity))))
    return {"trades": trades, "final_value": float(np.mean(values))}


def _outcome_with_report(result: BacktestResult) -> dict[str, float]:
    summary = build_report(result)["summary"]
    return {"trades": summary["total_trades"], "final_value": summary["final_value"]}
