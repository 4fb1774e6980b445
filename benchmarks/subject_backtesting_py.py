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


def variants(
    prices: npt.NDArray[np.float64], rules: dict[str, float]
) -> dict[str, Callable[[], dict[str, float]]]:
    """The runs by name, each giving the number of closed trades and the final value.

    Its orders fill at the next open by default, its `run()` always computes its statistics.
    """
    index = pd.date_range("2020-01-01", periods=prices.shape[1], freq="min")
    frame = pd.DataFrame(prices.T, columns=["Open", "High", "Low", "Close", "Volume"], index=index)
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

    def run() -> dict[str, float]:
        test = backtesting.Backtest(frame, Cross, cash=rules["capital"], commission=rules["fee"])
        statistics = test.run()
        return {
            "trades": int(statistics["# Trades"]),
            "final_value": float(statistics["Equity Final [$]"]),
        }

    return {"run() with statistics": run}
