"""Runs in vectorbt's own environment: what it makes of days' returns, as JSON, by its own keys.

Reads {name: {"returns": […], "benchmark": […]}} from stdin; days are UTC, a year has 365.
"""

import json
import platform
import sys
from importlib.metadata import version

import pandas as pd
import vectorbt  # noqa: F401 - gives pandas its accessors


def figures(returns: list[float], benchmark: list[float]) -> dict[str, float]:
    """Ratios as fractions, not percent."""
    days = pd.date_range("2024-01-01", periods=len(returns), freq="D")
    beside = pd.Series(benchmark, index=days)
    asked = pd.Series(returns, index=days).vbt.returns(freq="1D", year_freq="365 days")
    return {
        "total": asked.total(),
        "annualized": asked.annualized(),
        "annualized_volatility": asked.annualized_volatility(),
        "sharpe_ratio": asked.sharpe_ratio(),
        "sortino_ratio": asked.sortino_ratio(),
        "calmar_ratio": asked.calmar_ratio(),
        "max_drawdown": asked.max_drawdown(),
        "value_at_risk": asked.value_at_risk(),
        "cond_value_at_risk": asked.cond_value_at_risk(),
        "beta": asked.beta(beside),
        "alpha": asked.alpha(beside),
        "information_ratio": asked.information_ratio(beside),
    }


if __name__ == "__main__":
    answers = {name: figures(**days) for name, days in json.load(sys.stdin).items()}
    versions = {name: version(name) for name in ("vectorbt", "numpy", "pandas")}
    print(
        json.dumps(
            {"versions": versions | {"Python": platform.python_version()}, "figures": answers}
        )
    )
