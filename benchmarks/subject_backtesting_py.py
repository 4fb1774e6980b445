"""backtesting.py as a subject. Runs in its own environment, away from our modules' names."""

from __future__ import annotations

import platform
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from backtesting.lib import crossover

import backtesting


def versions() -> dict[str, str]:
    """What is measured."""
    return {
        "backtesting": backtesting.__version__,
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "pandas": pd.__version__,
    }


def _moving_average(values: npt.NDArray[np.float64], length: int) -> pd.Series:
    return pd.Series(values).rolling(length).mean()


def figures(prices: npt.NDArray[np.float64], rules: dict[str, float]) -> dict[str, float]:
    """What our tests hold against ours: drawdown in percent of bar closes."""
    statistics = _test(_frame(prices), rules).run()
    return {
        "final_value": float(statistics["Equity Final [$]"]),
        "trades": int(statistics["# Trades"]),
        "fees": float(statistics["Commissions [$]"]),
        "max_drawdown": -float(statistics["Max. Drawdown [%]"]),
    }


def variants(
    prices: npt.NDArray[np.float64], rules: dict[str, float]
) -> dict[str, Callable[[], dict[str, float]]]:
    """The runs by name, each giving the number of closed trades and the final value.

    Its `run()` always computes its statistics.
    """
    frame = _frame(prices)

    def run() -> dict[str, float]:
        statistics = _test(frame, rules).run()
        return {
            "trades": int(statistics["# Trades"]),
            "final_value": float(statistics["Equity Final [$]"]),
        }

    return {"run() with statistics": run}


def _frame(prices: npt.NDArray[np.float64]) -> pd.DataFrame:
    index = pd.date_range("2020-01-01", periods=prices.shape[1], freq="min")
    return pd.DataFrame(prices.T, columns=["Open", "High", "Low", "Close", "Volume"], index=index)


def _test(frame: pd.DataFrame, rules: dict[str, float]) -> backtesting.Backtest:
    """The cross of averages; its orders fill at the next open by default."""
    fast, slow = int(rules["fast"]), int(rules["slow"])

    class Cross(backtesting.Strategy):
        def init(self) -> None:
            self.fast = self.I(_moving_average, self.data.Close, fast)
            self.slow = self.I(_moving_average, self.data.Close, slow)

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy()
            elif crossover(self.slow, self.fast):
                self.position.close()

    return backtesting.Backtest(frame, Cross, cash=rules["capital"], commission=rules["fee"])
