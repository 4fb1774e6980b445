"""vectorbt as a subject. Runs in its own environment."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
import vectorbt as vbt
from combinations import moving_average_lengths


def versions() -> dict[str, str]:
    """What is measured."""
    return {
        "vectorbt": vbt.__version__,
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "pandas": pd.__version__,
    }


def variants(
    prices: npt.NDArray[np.float64], rules: dict[str, float]
) -> dict[str, Callable[[], dict[str, float]]]:
    """The runs by name, each giving the number of closed trades and the final value.

    Signals are moved on by one bar and fill at its open, as the other subjects do it.
    """
    opened, close = _series(prices)

    def run_all() -> Any:
        fasts, slows = zip(*moving_average_lengths(), strict=True)
        fast = vbt.MA.run(close, list(fasts), short_name="fast", run_unique=True)
        slow = vbt.MA.run(close, list(slows), short_name="slow", run_unique=True)
        return vbt.Portfolio.from_signals(
            close,
            fast.ma_crossed_above(slow).vbt.signals.fshift(1),
            fast.ma_crossed_below(slow).vbt.signals.fshift(1),
            price=opened,
            fees=rules["fee"],
            init_cash=rules["capital"],
            freq="1min",
        )

    return {
        "bare": lambda: _outcome(_cross(opened, close, rules)),
        "with stats()": lambda: _outcome_with_stats(_cross(opened, close, rules)),
        "sweep": lambda: _outcome_of_sweep(run_all()),
    }


def figures(prices: npt.NDArray[np.float64], rules: dict[str, float]) -> dict[str, float]:
    """What our tests hold against ours: drawdown in percent of bar closes."""
    portfolio = _cross(*_series(prices), rules)
    return {
        "final_value": float(portfolio.final_value()),
        "trades": int(portfolio.trades.closed.count()),
        "fees": float(portfolio.orders.fees.sum()),
        "max_drawdown": -100 * float(portfolio.max_drawdown()),
    }


def _series(prices: npt.NDArray[np.float64]) -> tuple[pd.Series, pd.Series]:
    """Opens and closes."""
    index = pd.date_range("2020-01-01", periods=prices.shape[1], freq="min")
    return pd.Series(prices[0], index=index), pd.Series(prices[3], index=index)


def _cross(opened: pd.Series, close: pd.Series, rules: dict[str, float]) -> Any:
    """One run; signals are moved on by one bar and fill at its open."""
    fast = vbt.MA.run(close, int(rules["fast"]))
    slow = vbt.MA.run(close, int(rules["slow"]))
    return vbt.Portfolio.from_signals(
        close,
        fast.ma_crossed_above(slow).vbt.signals.fshift(1),
        fast.ma_crossed_below(slow).vbt.signals.fshift(1),
        price=opened,
        fees=rules["fee"],
        init_cash=rules["capital"],
        freq="1min",
    )


def _outcome(portfolio: Any) -> dict[str, float]:
    return {
        "trades": int(portfolio.trades.closed.count()),
        "final_value": float(portfolio.final_value()),
    }


def _outcome_of_sweep(portfolios: Any) -> dict[str, float]:
    """All trades and the mean final value; the deepest drawdown of each column is found as well."""
    portfolios.max_drawdown()
    return {
        "trades": int(portfolios.trades.closed.count().sum()),
        "final_value": float(portfolios.final_value().mean()),
    }


def _outcome_with_stats(portfolio: Any) -> dict[str, float]:
    statistics = portfolio.stats()
    return {
        "trades": int(statistics["Total Closed Trades"]),
        "final_value": float(statistics["End Value"]),
    }
