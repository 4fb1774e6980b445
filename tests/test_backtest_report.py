"""The report of a backtest: its figures on runs that can be reckoned by hand, and its shape."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backtest_inputs import FREE, START_MS, bars, buy, close, hour, real_run, run, script, short
from test_backtest_engine import MOVING_AVERAGE_CROSS

from backtest_benchmarks import buy_and_hold_values
from backtest_report import MOST_POINTS, build_report, candles_hash, points_to_keep
from backtest_run import Funding
from backtest_warnings import SENTENCES, warning
from domain import DAY_MS, HOUR_MS, Interval
from paper_execution import ExecutionRules
from performance import drawdown_series
from strategies import make_trader

SUMMARY_KEYS = {
    *("initial_capital", "final_value", "total_return", "return_percentage", "max_drawdown"),
    *("total_trades", "winning_trades", "losing_trades", "win_rate", "total_fees", "cagr"),
    *("volatility", "sharpe", "sortino", "calmar", "profit_factor", "expectancy", "best_trade"),
    *("worst_trade", "average_holding_hours", "longest_holding_hours", "longest_drawdown_days"),
    *("exposure_percentage", "liquidations", "total_funding", "open_positions"),
    *("buy_and_hold_return_percentage", "equal_weight_return_percentage", "total_slippage"),
    "benchmark_return_percentage",
    *("turnover", "var_95", "cvar_95", "ulcer_index", "alpha", "beta", "information_ratio"),
    *("sqn", "longest_winning_streak", "longest_losing_streak"),
    *("return_interval", "sharpe_interval", "luck_probability"),
}


def report_of(*arguments: Any, **terms: Any) -> dict[str, Any]:
    report = build_report(run(*arguments, **terms))
    json.dumps(report, allow_nan=False)  # plain numbers and texts, never NaN
    return report


def sentences(report: dict[str, Any]) -> list[str]:
    return [warning["message"] for warning in report["warnings"]]


@pytest.mark.parametrize(
    ("coin", "first", "last", "final", "trips", "winners", "drawdown", "fees"),
    MOVING_AVERAGE_CROSS,
)
def test_summary_of_the_moving_average_cross_on_real_candles(
    coin: str,
    first: str,
    last: str,
    final: float,
    trips: int,
    winners: int,
    drawdown: float,
    fees: float,
) -> None:
    report = build_report(real_run(coin, first, last))
    json.dumps(report, allow_nan=False)
    summary = report["summary"]
    assert summary["final_value"] == pytest.approx(final, rel=1e-6)
    assert (summary["total_trades"], summary["winning_trades"]) == (trips, winners)
    assert summary["max_drawdown"] == pytest.approx(drawdown, rel=1e-6)
    assert summary["total_fees"] == pytest.approx(fees, rel=1e-6)
    assert len(report["trades"]) == trips
    shown = report["account_values"]
    assert len(shown) <= MOST_POINTS
    assert shown[-1]["total_value"] == summary["final_value"]
    assert max(point["drawdown"] for point in shown) == summary["max_drawdown"]
    assert report["drawdowns"][0]["depth_percentage"] == summary["max_drawdown"]
    grown = np.prod([1 + month["return_percentage"] / 100 for month in report["monthly_returns"]])
    assert grown == pytest.approx(final / 10_000, rel=1e-6)
    assert report["per_coin"][0]["pnl"] == pytest.approx(summary["total_return"], abs=1e-6)


def test_the_candles_of_a_coin_that_was_halted() -> None:
    coverage = build_report(real_run("LUNA", "2022-04-01", "2022-06-30"))["data"]
    luna = coverage["coins"]["LUNA"]
    assert coverage["source"] == "binance"
    assert luna["first"] == "2022-04-01T00:00:00Z"
    assert luna["last"] == "2022-06-30T23:00:00Z"
    assert luna["bars"] + luna["missing_bars"] == 91 * 24
    assert luna["missing_bars"] > 400
    assert luna["warmup_bars"] > 8000


class TestSummary:
    def test_by_hand(self) -> None:
        history = bars([100, 110, 120, 90, 90, 100])
        rules = ExecutionRules(Decimal("0.001"))
        trader = script(buy(0, quantity=10), close(2), short(3, quantity=10), close(5))
        report = report_of(trader, history, rules=rules)
        summary = report["summary"]
        assert set(summary) == SUMMARY_KEYS
        assert summary["initial_capital"] == 10_000
        assert summary["final_value"] == pytest.approx(10_000 + 200 - 2.2 - 100 - 1.9)
        assert summary["total_return"] == pytest.approx(95.9)
        assert summary["return_percentage"] == pytest.approx(0.959)
        assert summary["total_fees"] == pytest.approx(4.1)
        assert (summary["winning_trades"], summary["losing_trades"]) == (1, 1)
        assert summary["win_rate"] == 50
        assert summary["profit_factor"] == pytest.approx(197.8 / 101.9)
        assert summary["exposure_percentage"] == pytest.approx(4 / 6 * 100)
        assert summary["average_holding_hours"] == 2
        assert summary["buy_and_hold_return_percentage"] == pytest.approx((1 / 1.001 - 1) * 100)
        assert [summary[key] for key in ("cagr", "sharpe", "calmar")] == [None] * 3
        assert (summary["open_positions"], summary["liquidations"]) == (0, 0)
        traded = 1000 + 1200 + 900 + 1000
        values = [9999, 10_099, 10_197.8, 10_196.9, 10_196.9, 10_095.9]
        assert summary["turnover"] == pytest.approx(traded / np.mean(values))
        assert (summary["longest_winning_streak"], summary["longest_losing_streak"]) == (1, 1)
        assert summary["sqn"] == pytest.approx(np.sqrt(2) * 47.95 / np.std([197.8, -101.9], ddof=1))
        below = 1 - np.array([10_000, *values]) / np.maximum.accumulate([10_000, *values])
        assert summary["ulcer_index"] == pytest.approx(np.sqrt(np.mean(np.square(below))) * 100)
        assert summary["return_interval"] is summary["sharpe_interval"] is None  # too few days
        assert 0 < summary["luck_probability"] <= 1

    def test_slippage_is_what_the_fills_would_have_been_better_by(self) -> None:
        history = bars([100, 100, 110, 110])
        rules = replace(FREE, slippage_bps=Decimal(50))
        trader = script(buy(0, quantity=10), close(2))
        slipped = report_of(trader, history, rules=rules)["summary"]
        free = report_of(trader, history)["summary"]
        assert slipped["total_slippage"] == pytest.approx(10 * 100 * 0.005 + 10 * 110 * 0.005)
        assert slipped["total_slippage"] == pytest.approx(
            free["final_value"] - slipped["final_value"]
        )

    def test_equal_weight_of_one_coin_is_holding_it(self) -> None:
        history = bars([100 + hour for hour in range(24 * 5)])
        summary = report_of(script(), history, rules=ExecutionRules(Decimal("0.001")))["summary"]
        assert summary["equal_weight_return_percentage"] == pytest.approx(
            summary["buy_and_hold_return_percentage"]
        )

    def test_equal_weight_puts_coins_right_every_day(self) -> None:
        doubled = bars([100.0] * 24 + [200.0] * 24 + [100.0] * 24)
        still = bars([100.0] * 72)
        report = report_of(script(coins=("BTC", "ETH")), {"BTC": doubled, "ETH": still})
        # 1 → 1.5, put right, then half of it halves.
        assert report["summary"]["equal_weight_return_percentage"] == pytest.approx(12.5)
        assert report["summary"]["buy_and_hold_return_percentage"] == pytest.approx(0)

    def test_against_holding_the_coin_all_in_beta_is_one(self) -> None:
        closes = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 24 * 60)))
        history = bars(closes.tolist())
        held = report_of(script(buy(0, weight=1)), history)["summary"]
        assert held["beta"] == pytest.approx(1, abs=1e-6)
        assert held["alpha"] == pytest.approx(0, abs=1e-6)
        low, high = held["return_interval"]
        assert low < held["return_percentage"] < high
        low, high = held["sharpe_interval"]
        assert low < held["sharpe"] < high
        assert 0 < held["var_95"] < held["cvar_95"]


class TestExcursions:
    def test_of_a_long_and_a_short_by_hand(self) -> None:
        history = bars([(100, 102, 95, 100), (100, 130, 100, 120), 110, (110, 121, 99, 110), 110])
        trader = script(buy(0, quantity=1), close(2), short(3, quantity=1), close(4))
        long, shorted = report_of(trader, history)["trades"]
        assert long["adverse_percentage"] == pytest.approx(5)
        assert long["favourable_percentage"] == pytest.approx(30)
        assert shorted["adverse_percentage"] == pytest.approx(10)
        assert shorted["favourable_percentage"] == pytest.approx(10)

    def test_the_initial_capital_is_the_first_peak(self) -> None:
        summary = report_of(script(buy(0, quantity=100)), bars([100, 90, 95]))["summary"]
        assert summary["max_drawdown"] == pytest.approx(10)
        summary = report_of(script(buy(0, quantity=100)), bars([(100, 100, 80, 80), 80]))["summary"]
        assert summary["max_drawdown"] == pytest.approx(20)
        assert summary["longest_drawdown_days"] == pytest.approx(2 / 24)

    def test_of_an_account_that_lost_everything(self) -> None:
        report = report_of(script(buy(0, weight=1, leverage=10)), bars([100.0] * 30 + [10.0] * 100))
        summary = report["summary"]
        assert summary["final_value"] == pytest.approx(0, abs=1e-6)
        assert summary["max_drawdown"] == pytest.approx(100)
        assert summary["liquidations"] == 1
        assert any("liquidated" in sentence for sentence in sentences(report))

    def test_of_a_run_that_never_traded(self) -> None:
        report = report_of(script(), bars([100, 90, 95]))
        summary = report["summary"]
        assert (summary["final_value"], summary["max_drawdown"]) == (10_000, 0)
        assert summary["win_rate"] is summary["best_trade"] is summary["expectancy"] is None
        assert report["trades"] == report["fills"] == report["drawdowns"] == []
        assert report["per_coin"] == [
            {"coin": "BTC", "total_trades": 0, "winning_trades": 0, "win_rate": None}
            | {"pnl": 0, "fees": 0, "funding": 0}
        ]


class TestRows:
    def test_trades_and_fills(self) -> None:
        trader = script(buy(0, quantity=10, leverage=2, stop_loss=95))
        report = report_of(
            trader, bars([100, (100, 100, 90, 92)]), rules=ExecutionRules(Decimal("0.001"))
        )
        assert report["trades"] == [
            {
                "coin": "BTC",
                "side": "long",
                "quantity": 10,
                "leverage": 2,
                "entry_time": hour(0),
                "entry_price": 100,
                "exit_time": hour(2),
                "exit_price": 95,
                "fees": 1.95,
                "funding": 0,
                "pnl": -51.95,
                "return_percentage": pytest.approx(-10.39),
                "exit_reason": "stop_loss",
                "adverse_percentage": pytest.approx(10),
                "favourable_percentage": 0,
            }
        ]
        assert report["fills"][1] == {
            "timestamp": hour(2),
            "coin": "BTC",
            "kind": "close",
            "side": "long",
            "quantity": 10,
            "price": 95,
            "leverage": 2,
            "fee": 0.95,
            "pnl": -51.95,
            "cash_after": 9948.05,
            "reason": "stop_loss",
        }

    def test_account_values(self) -> None:
        report = report_of(script(buy(1, quantity=50)), bars([100, 100, 80, 120]))
        assert report["account_values"] == [
            {
                "timestamp": hour(index + 1),
                "total_value": total,
                "cash": cash,
                "positions_value": held,
                "drawdown": drawdown,
                "benchmark": benchmark,
            }
            for index, (total, cash, held, drawdown, benchmark) in enumerate(
                [
                    (10_000, 10_000, 0, 0, 10_000),
                    (10_000, 5000, 5000, 0, 10_000),
                    (9000, 5000, 4000, 10, 8000),
                    (11_000, 5000, 6000, 0, 12_000),
                ]
            )
        ]

    def test_drawdowns_deepest_first(self) -> None:
        path = [100, 110, 99, 88, 110, 120, 114, 120, 60]
        report = report_of(script(buy(0, quantity=100)), bars(path))
        assert report["drawdowns"] == [
            {
                "peak": hour(8),
                "trough": hour(9),
                "recovery": None,
                "depth_percentage": pytest.approx(50),
                "days": pytest.approx(1 / 24),
            },
            {
                "peak": hour(2),
                "trough": hour(4),
                "recovery": hour(5),
                "depth_percentage": pytest.approx(20),
                "days": pytest.approx(3 / 24),
            },
            {
                "peak": hour(6),
                "trough": hour(7),
                "recovery": hour(8),
                "depth_percentage": pytest.approx(5),
                "days": pytest.approx(2 / 24),
            },
        ]

    def test_monthly_returns_end_with_the_month_in_utc(self) -> None:
        days = bars([100.0] * 31 + [110.0] * 29 + [99.0], Interval.D1)
        report = report_of(script(buy(0, quantity=100)), days)
        assert report["monthly_returns"] == [
            {"month": "2024-01", "return_percentage": 0},
            {"month": "2024-02", "return_percentage": pytest.approx(10)},
            {"month": "2024-03", "return_percentage": pytest.approx(-10)},
        ]

    def test_per_coin_sums_to_the_return_with_what_is_open(self) -> None:
        history = {"BTC": bars([100.0] * 9 + [130.0]), "ETH": bars([10.0] * 9 + [9.0])}
        trader = script(
            buy(0, quantity=10),
            close(2, quantity=4),
            short(1, coin="ETH", quantity=100),
            close(9, coin="ETH"),
            coins=("BTC", "ETH"),
        )
        report = report_of(
            trader,
            history,
            rules=ExecutionRules(Decimal("0.001")),
            funding=Funding(Decimal("0.001")),
        )
        btc, eth = report["per_coin"]
        assert (btc["coin"], btc["total_trades"], btc["funding"]) == ("BTC", 0, 0.6)
        assert btc["fees"] == pytest.approx(1.4)
        assert btc["pnl"] == pytest.approx(180 - 1.4 - 0.6)
        assert (eth["total_trades"], eth["win_rate"], eth["funding"]) == (1, 100, -1)
        assert eth["pnl"] == pytest.approx(100 - 1.9 + 1)
        assert btc["pnl"] + eth["pnl"] == pytest.approx(report["summary"]["total_return"])

    def test_refusals_are_counted_with_their_first_examples(self) -> None:
        closes = [close(index) for index in range(150)]
        report = report_of(script(*closes, short(150, quantity=9999)), bars([100.0] * 152))
        assert report["refusals"] == [
            {
                "reason": "no_position",
                "count": 150,
                "examples": [
                    {"timestamp": hour(index), "coin": "BTC", "signal": "close_position"}
                    for index in range(3)
                ],
            },
            {
                "reason": "insufficient_cash",
                "count": 1,
                "examples": [{"timestamp": hour(150), "coin": "BTC", "signal": "sell_to_enter"}],
            },
        ]
        assert "Decisions that were refused: 151." in sentences(report)


class TestBenchmark:
    def test_is_what_buying_all_coins_in_equal_parts_makes(self) -> None:

        history = {
            "BTC": bars([100, 100, 110, 130, 90]),
            "ETH": bars([10, 10, 9, 11, 12]),
        }
        rules = ExecutionRules(Decimal("0.001"), slippage_bps=Decimal(5))
        scripted = script(
            buy(0, notional=str(5000 / 1.001)),
            buy(0, coin="ETH", notional=str(5000 / 1.001)),
            coins=("BTC", "ETH"),
        )
        result = run(scripted, history, rules=rules)
        np.testing.assert_allclose(buy_and_hold_values(result), result.equity, rtol=1e-12)

    def test_a_coin_that_is_listed_later_waits_in_cash(self) -> None:
        history = {"BTC": bars([100, 200, 200, 200]), "ETH": bars([None, None, 10, 20])}
        result = run(script(coins=("BTC", "ETH")), history)
        assert buy_and_hold_values(result).tolist() == [10_000, 15_000, 15_000, 20_000]

    def test_a_coin_that_is_not_traded_can_be_the_benchmark(self) -> None:
        result = run(script(buy(0, weight=1)), bars([100, 110, 121, 110]))
        report = build_report(result, bars([10, 20, 20, 40]))
        assert [row["benchmark"] for row in report["account_values"]] == [
            10_000,
            20_000,
            20_000,
            40_000,
        ]
        assert report["summary"]["benchmark_return_percentage"] == pytest.approx(300)
        assert report["summary"]["buy_and_hold_return_percentage"] == pytest.approx(10)

    def test_starts_with_the_range_not_with_the_warm_up(self) -> None:
        history = bars([50.0, 60.0, (80, 100, 80, 100), 120], start_ms=START_MS - 2 * HOUR_MS)
        result = run(script(), history)
        assert buy_and_hold_values(result).tolist() == [12_500, 15_000]

    def test_a_missing_bar_keeps_the_last_price(self) -> None:
        history = {"BTC": bars([100, None, 120]), "ETH": bars([10.0, 10.0, 10.0])}
        result = run(script(coins=("BTC", "ETH")), history)
        assert buy_and_hold_values(result).tolist() == [10_000, 10_000, 11_000]


class TestThinning:
    def test_few_points_are_all_kept(self) -> None:
        values = np.arange(MOST_POINTS, dtype=float)
        assert len(points_to_keep(values, values)) == MOST_POINTS

    @pytest.mark.parametrize("count", [MOST_POINTS + 1, 4567, 100_003])
    def test_many_keep_their_extremes_and_their_ends(self, count: int) -> None:
        values = 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, count)))
        drawdown = drawdown_series(values)
        kept = points_to_keep(values, drawdown)
        assert len(kept) <= MOST_POINTS
        assert len(kept) > MOST_POINTS * 0.6
        assert np.all(np.diff(kept) > 0)
        for index in (0, count - 1, values.argmin(), values.argmax(), drawdown.argmax()):
            assert index in kept


class TestCandlesAndWarnings:
    def test_what_random_entries_do_as_well_is_called_luck(self) -> None:
        turns = [order for index in range(0, 120, 4) for order in
                 (buy(index, quantity=1), close(index + 2))]  # fmt: skip
        report = report_of(script(*turns), bars([100.0] * 144))
        assert report["summary"]["luck_probability"] == 1
        assert any("may be luck" in sentence for sentence in sentences(report))

    def test_a_clean_run_has_no_warning(self) -> None:
        turns = [order for index in range(0, 120, 4) for order in
                 (buy(index, quantity=1), close(index + 2))]  # fmt: skip
        history = bars([100.0, 100.0, 101.0, 100.0] * 36)  # bought low, sold high
        report = report_of(script(*turns), history, end_ms=START_MS + 6 * DAY_MS)
        assert report["summary"]["total_trades"] == 30
        assert report["warnings"] == []

    def test_everything_a_reader_should_know(self) -> None:
        history = {
            "BTC": bars([100.0, None, 100.0, 100.0]),
            "ETH": bars([None, 10.0, 10.0, 10.0]),
        }
        trader = script(buy(1, coin="ETH", quantity=1), coins=("BTC", "ETH"))
        report = report_of(trader, history, end_ms=START_MS + DAY_MS, warmup_bars=10)
        assert report["data"]["coins"] == {
            "BTC": {
                "bars": 3,
                "warmup_bars": 0,
                "missing_bars": 1,
                "first": hour(0),
                "last": hour(3),
            },
            "ETH": {
                "bars": 3,
                "warmup_bars": 0,
                "missing_bars": 0,
                "first": hour(1),
                "last": hour(3),
            },
        }
        warnings = "\n".join(sentences(report))
        for part in (
            "Only 0 round trips closed",
            "Still open at the end, valued at the last price and not among the trades: ETH.",
            "BTC has 0 bars before the start where 10 were wanted",
            "BTC lacks 1 bars inside the range",
            f"The candles of ETH begin after the range: {hour(1)}.",
            f"The candles of BTC end before the range: {hour(3)}.",
        ):
            assert part in warnings
        assert "ETH lacks" not in warnings
        assert "BTC begin" not in warnings

    def test_the_warm_up_that_is_wanted_is_the_traders_unless_said(self) -> None:
        trader = make_trader("ma_cross", ("BTC",), {"fast": 2, "slow": 5})
        for count, warned in ((4, True), (5, False)):
            history = bars([100.0] * (count + 3), start_ms=START_MS - count * HOUR_MS)
            report = report_of(trader, history)
            assert any("were wanted" in sentence for sentence in sentences(report)) is warned

    def test_the_hash_knows_every_bar_used_and_nothing_else(self) -> None:
        history = bars([100.0, 101.0, 102.0])
        used = report_of(script(), history)["data"]["hash"]
        assert used == candles_hash({"BTC": history})
        longer = bars([100.0, 101.0, 102.0, 103.0])
        assert report_of(script(), longer, end_ms=START_MS + 3 * HOUR_MS)["data"]["hash"] == used
        other = replace(history, volume=history.volume + 1)
        assert report_of(script(), other)["data"]["hash"] != used
        assert candles_hash({"ETH": history}) != used

    def test_risk_and_rules_do_not_change_it(self) -> None:
        history = bars([100.0, 101.0])
        free, dear = (
            report_of(script(), history, rules=rules)["data"]["hash"]
            for rules in (FREE, ExecutionRules(Decimal("0.01")))
        )
        assert free == dear


# -------------------------------------------------------------------------------------- warnings


def test_a_warning_is_a_code_its_values_and_the_sentence_made_of_them():
    assert warning("missing_bars", coin="ETH", bars=1200) == {
        "code": "missing_bars",
        "values": {"coin": "ETH", "bars": 1200},
        "message": "ETH lacks 1,200 bars inside the range; it kept its last price.",
    }
    assert "did as well in 23 % of runs" in warning("luck", percent=23.4)["message"]
    assert warning("still_open", coins=["BTC", "ETH"])["message"].endswith("trades: BTC, ETH.")


def test_pages_have_the_same_words_for_every_warning():
    module = Path(__file__).parent.parent / "static" / "js" / "backtest-warnings.js"
    words = dict(
        re.findall(r"^  (\w+): \(values\) => t\('(.+)', values\)", module.read_text(), re.M)
    )
    assert words == SENTENCES
