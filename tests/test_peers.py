"""Our engine beside vectorbt and backtesting.py on real candles, by figures that were kept.

`python -m benchmarks.parity` makes tests/data/peer_figures.json anew; it names the versions.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_klines import real_series

from backtest_report import build_report
from backtest_run import BacktestConfig
from backtesting import BacktestEngine
from domain import DAY_MS, Interval
from paper_execution import ExecutionRules
from performance import (
    against_benchmark,
    daily_returns,
    drawdown_series,
    ratios,
    tail_figures,
)
from strategies import make_trader

PEERS = json.loads((Path(__file__).parent / "data" / "peer_figures.json").read_text())
COINS = sorted(PEERS["peers"]["vectorbt"]["figures"])
# A whole unit of BTC is up to 1 % of the account, of DOGE next to nothing.
CLOSE_TO_BACKTESTING_PY = {"BTC": 5e-3, "ETH": 3e-4, "BNB": 5e-5, "XRP": 1e-7, "DOGE": 1e-8}
# It counts the fee of an entry when its trade is closed, and one of some 180 is still open.
FEES_OF_AN_OPEN_TRADE = 3e-3


def our_summary(coin: str) -> dict[str, Any]:
    """Our figures under the peers' rules: no slippage, nothing that stands in the way."""
    rules, series = PEERS["rules"], real_series(coin)
    config = BacktestConfig(
        coins=(coin,),
        start_ms=int(series.open_time[0]),
        end_ms=int(series.open_time[-1]) + 1,
        interval=Interval.H1,
        initial_capital=Decimal(repr(rules["capital"])),
        rules=ExecutionRules(fee_rate=Decimal(repr(rules["fee"]))),
    )
    trader = make_trader("ma_cross", (coin,), {"fast": rules["fast"], "slow": rules["slow"]})
    summary = build_report(BacktestEngine(trader, config).run_backtest({coin: series}))["summary"]
    return {
        "final_value": summary["final_value"],
        "trades": summary["total_trades"],
        "fees": summary["total_fees"],
        "max_drawdown": summary["max_drawdown"],
    }


@pytest.mark.parametrize("coin", COINS)
def test_final_value_trades_fees_and_drawdown_are_those_of_vectorbt(coin: str) -> None:
    theirs = PEERS["peers"]["vectorbt"]["figures"][coin]
    assert our_summary(coin) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("coin", COINS)
def test_backtesting_py_comes_as_close_as_whole_units_let_it(coin: str) -> None:
    theirs = PEERS["peers"]["backtesting-py"]["figures"][coin]
    ours = our_summary(coin)
    close = CLOSE_TO_BACKTESTING_PY[coin]
    assert ours["trades"] == theirs["trades"]
    assert ours["final_value"] == pytest.approx(theirs["final_value"], rel=close)
    assert ours["max_drawdown"] == pytest.approx(theirs["max_drawdown"], rel=close)
    assert ours["fees"] == pytest.approx(theirs["fees"], rel=FEES_OF_AN_OPEN_TRADE)


# ----------------------------------------------------------------------------------- metrics

METRICS = json.loads((Path(__file__).parent / "data" / "peer_metrics.json").read_text())
FIRST_DAY_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z


@pytest.mark.parametrize("account", METRICS["accounts"])
def test_ratios_of_days_are_those_of_vectorbt(account: str) -> None:
    """`python -m benchmarks.metric_parity` asked it; docs/metrics.md says where it differs."""
    returns, benchmark = (
        np.array(METRICS["accounts"][account][name]) for name in ("returns", "benchmark")
    )
    closes = FIRST_DAY_MS + DAY_MS * np.arange(1, len(returns) + 1)
    equity = 10_000 * np.cumprod(1 + returns)
    daily = daily_returns(closes, equity, 10_000)
    ours = ratios(closes, equity, 10_000) | tail_figures(daily, equity)
    beside = against_benchmark(daily, benchmark)
    theirs = METRICS["figures"][account]
    assert ours["cagr"] == pytest.approx(theirs["annualized"] * 100)
    assert ours["volatility"] == pytest.approx(theirs["annualized_volatility"] * 100)
    assert ours["sharpe"] == pytest.approx(theirs["sharpe_ratio"])
    assert ours["sortino"] == pytest.approx(theirs["sortino_ratio"])
    assert ours["calmar"] == pytest.approx(theirs["calmar_ratio"])
    assert ours["var_95"] == pytest.approx(-theirs["value_at_risk"] * 100)
    assert ours["cvar_95"] == pytest.approx(-theirs["cond_value_at_risk"] * 100)
    assert beside["beta"] == pytest.approx(theirs["beta"])
    # Its alpha is compounded over the year, and its information ratio is that of a day.
    assert (1 + beside["alpha"] / 100 / 365) ** 365 - 1 == pytest.approx(theirs["alpha"])
    assert beside["information_ratio"] / 365**0.5 == pytest.approx(theirs["information_ratio"])
    below = drawdown_series(np.concatenate(([10_000.0], equity)))
    assert float(below.max()) == pytest.approx(-theirs["max_drawdown"] * 100)
