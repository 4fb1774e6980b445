"""Round trips and figures on numbers that can be checked by hand."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

import ledger
from domain import DAY_MS, HOUR_MS, Entry, Fill, FillKind, Reason, Side
from ledger import Account
from performance import (
    RoundTrip,
    against_benchmark,
    daily_returns,
    drawdown_series,
    longest_drawdown_ms,
    ratios,
    round_trips,
    tail_figures,
    trip_figures,
)


def open_(quantity: str, price: str, hour: int, fee: str = "0", **terms: object) -> Fill:
    return _fill(FillKind.OPEN, quantity, price, hour, fee, **terms)


def close(quantity: str, price: str, hour: int, fee: str = "0", **terms: object) -> Fill:
    return _fill(FillKind.CLOSE, quantity, price, hour, fee, **terms)


def _fill(kind: FillKind, quantity: str, price: str, hour: int, fee: str, **terms: object) -> Fill:
    named = {"coin": "BTC", "side": Side.LONG, **terms}
    return Fill(
        kind,
        quantity=Decimal(quantity),
        price=Decimal(price),
        time_ms=hour * HOUR_MS,
        fee=Decimal(fee),
        **named,  # type: ignore[arg-type]
    )


def booked(*fills: Fill) -> tuple[Account, list[Entry]]:
    account = Account.opened_with(Decimal(10_000))
    entries = []
    for fill in fills:
        account, entry = ledger.post(account, fill)
        entries.append(entry)
    return account, entries


class TestRoundTrips:
    def test_from_flat_to_flat_with_adds_and_partial_closes(self) -> None:
        account, entries = booked(
            open_("2", "100", 0, "1", leverage=Decimal(2)),
            open_("2", "120", 5, "1", leverage=Decimal(4)),
            close("1", "130", 6, "0.5"),
            close("3", "90", 10, "0.5", reason=Reason.STOP_LOSS),
        )
        (trip,) = round_trips(entries)
        assert trip == RoundTrip(
            coin="BTC",
            side=Side.LONG,
            quantity=Decimal(4),
            leverage=Decimal(440) / 160,
            entry_time=0,
            entry_price=Decimal(110),
            exit_time=10 * HOUR_MS,
            exit_price=Decimal(100),
            fees=Decimal(3),
            funding=Decimal(0),
            pnl=Decimal(-43),
            margin=Decimal(160),
            exit_reason=Reason.STOP_LOSS,
        )
        assert account.cash == 10_000 + trip.pnl
        assert trip.return_percentage == pytest.approx(-43 / 160 * 100)

    def test_funding_is_in_its_result(self) -> None:
        fundings = Fill(
            FillKind.FUNDING, "BTC", Side.SHORT, Decimal(1), Decimal(100), 5, fee=Decimal(-3)
        )
        account, entries = booked(
            open_("1", "100", 0, side=Side.SHORT), fundings, close("1", "90", 9, side=Side.SHORT)
        )
        (trip,) = round_trips(entries)
        assert (trip.funding, trip.pnl) == (-3, 13)
        assert account.cash == 10_013

    def test_in_the_order_of_their_closing_and_only_what_has_closed(self) -> None:
        _, entries = booked(
            open_("1", "100", 0),
            open_("1", "10", 1, coin="ETH"),
            close("1", "11", 2, coin="ETH"),
            close("1", "101", 3),
            open_("1", "102", 4),
        )
        trips = round_trips(entries)
        assert [trip.coin for trip in trips] == ["ETH", "BTC"]

    def test_large_quantities_are_summed_exactly(self) -> None:
        huge, crumb = "12345678901234", "0.000000000001"
        with localcontext(prec=20):
            _, entries = booked(
                open_(huge, "0.0000000001", 0),
                open_(crumb, "0.0000000001", 1),
                close(huge, "0.0000000001", 2),
                close(crumb, "0.0000000001", 3),
            )
            assert len(round_trips(entries)) == 1


class TestTripFigures:
    def test_over_closed_round_trips(self) -> None:
        _, entries = booked(
            open_("1", "100", 0), close("1", "110", 4),
            open_("1", "100", 5), close("1", "95", 7),
            open_("1", "100", 8), close("1", "100", 9),
        )  # fmt: skip
        assert trip_figures(round_trips(entries)) == {
            "total_trades": 3,
            "winning_trades": 1,
            "losing_trades": 1,
            "win_rate": pytest.approx(100 / 3),
            "profit_factor": 2.0,
            "expectancy": pytest.approx(5 / 3),
            "best_trade": 10.0,
            "worst_trade": -5.0,
            "average_holding_hours": pytest.approx(7 / 3),
            "longest_holding_hours": 4.0,
            "liquidations": 0,
            "sqn": pytest.approx(math.sqrt(3) * (5 / 3) / math.sqrt(175 / 3)),
            "longest_winning_streak": 1,
            "longest_losing_streak": 1,
        }

    def test_without_trades_nothing_can_be_said(self) -> None:
        figures = trip_figures([])
        assert figures["total_trades"] == figures["winning_trades"] == 0
        for name in ("win_rate", "profit_factor", "expectancy", "best_trade", "worst_trade"):
            assert figures[name] is None

    def test_a_trip_that_only_its_fees_lose_is_lost(self) -> None:
        _, entries = booked(open_("1", "100", 0, "0.1"), close("1", "100.1", 1, "0.1"))
        assert trip_figures(round_trips(entries))["losing_trades"] == 1


class TestDrawdowns:
    def test_percent_below_the_highest_so_far(self) -> None:
        equity = np.array([100.0, 120.0, 90.0, 120.0, 60.0])
        assert drawdown_series(equity).tolist() == [0, 0, 25, 0, 50]

    def test_of_an_account_that_had_nothing(self) -> None:
        assert drawdown_series(np.array([0.0, 0.0])).tolist() == [0, 0]

    @pytest.mark.parametrize(
        ("equity", "hours"),
        [
            ([], 0),
            ([100], 0),
            ([100, 101, 102], 0),
            ([100, 100, 100], 0),
            ([100, 90, 100, 110], 2),
            ([100, 90, 95, 99, 120, 100, 130], 4),
            ([100, 90, 100, 90, 80, 70], 3),
        ],
    )
    def test_longest_from_a_peak_to_the_bar_that_reached_it_again(
        self, equity: list[float], hours: int
    ) -> None:
        times = np.arange(len(equity), dtype=np.int64) * HOUR_MS
        assert longest_drawdown_ms(times, np.array(equity, dtype=float)) == hours * HOUR_MS


def closes_of_days(values: list[float], first_day: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Two bars a day, of which the second closes at midnight with the value."""
    times, equity = [], []
    for day, value in enumerate(values, start=first_day):
        times += [day * DAY_MS + DAY_MS // 2, (day + 1) * DAY_MS]
        equity += [value * 3, value]
    return np.array(times, dtype=np.int64), np.array(equity, dtype=float)


class TestRatios:
    def test_daily_returns_are_between_the_last_values_of_utc_days(self) -> None:
        times, equity = closes_of_days([110, 99, 99])
        assert daily_returns(times, equity, 100.0) == pytest.approx([0.1, -0.1, 0.0])
        assert len(daily_returns(times[:0], equity[:0], 100.0)) == 0

    def test_after_a_wipe_out_there_are_no_more(self) -> None:
        times, equity = closes_of_days([50, 0, 0, 0])
        assert daily_returns(times, equity, 100.0) == pytest.approx([-0.5, -1.0])

    def test_against_their_formulas(self) -> None:
        returns = [0.02, -0.01, 0.03, -0.02, 0.01]
        values = 100 * np.cumprod(1 + np.array(returns))
        times = (np.arange(5, dtype=np.int64) + 1) * DAY_MS
        figures = ratios(times, values, 100.0)
        mean = sum(returns) / 5
        deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 4)
        downside = math.sqrt((0.01**2 + 0.02**2) / 5)
        cagr = ((values[-1] / 100) ** (365 / 5) - 1) * 100
        assert figures["volatility"] == pytest.approx(deviation * math.sqrt(365) * 100)
        assert figures["sharpe"] == pytest.approx(mean / deviation * math.sqrt(365))
        assert figures["sortino"] == pytest.approx(mean / downside * math.sqrt(365))
        assert figures["cagr"] == pytest.approx(cagr)
        assert figures["calmar"] == pytest.approx(cagr / 2.0)

    def test_a_year_is_counted_on_the_calendar_not_in_bars(self) -> None:
        days = np.concatenate((np.arange(1, 101), np.arange(301, 366)))  # 200 days missing
        equity = np.linspace(100, 110, len(days))
        assert ratios(days * DAY_MS, equity, 100.0)["cagr"] == pytest.approx(10.0)

    def test_less_than_three_days_say_nothing(self) -> None:
        times, equity = closes_of_days([110, 120])
        assert set(ratios(times, equity, 100.0).values()) == {None}

    def test_an_account_that_never_moves_has_no_ratios(self) -> None:
        times, equity = (np.arange(1, 6) * DAY_MS, np.full(5, 100.0))
        figures = ratios(times, equity, 100.0)
        assert (figures["cagr"], figures["volatility"]) == (0.0, 0.0)
        assert figures["sharpe"] is figures["sortino"] is figures["calmar"] is None

    def test_everything_lost_is_minus_100_percent_a_year(self) -> None:
        times, equity = closes_of_days([50, 20, 0])
        assert ratios(times, equity, 100.0)["cagr"] == -100.0

    def test_growth_beyond_meaning_is_not_said(self) -> None:
        times = np.arange(1, 5) * DAY_MS
        assert ratios(times, np.array([200.0, 400, 900, 9000]), 100.0)["cagr"] is None


class TestTailFigures:
    def test_the_worst_days_of_a_hundred(self) -> None:
        days = np.arange(-10, 91) / 1000  # −1 % to 9 %
        figures = tail_figures(days, np.array([100.0, 90.0, 100.0]))
        assert figures["var_95"] == pytest.approx(0.5)
        assert figures["cvar_95"] == pytest.approx(np.mean([1.0, 0.9, 0.8, 0.7, 0.6, 0.5]))
        assert figures["ulcer_index"] == pytest.approx(math.sqrt(100 / 3))

    def test_of_few_days_no_tail_can_be_said(self) -> None:
        assert tail_figures(np.zeros(19), np.ones(3)) == {
            "var_95": None, "cvar_95": None, "ulcer_index": 0,
        }  # fmt: skip


class TestAgainstBenchmark:
    def test_twice_the_benchmark_and_a_tenth_of_a_percent_a_day(self) -> None:
        theirs = np.array([0.01, -0.02, 0.03, 0.0])
        figures = against_benchmark(2 * theirs + 0.001, theirs)
        assert figures["beta"] == pytest.approx(2)
        assert figures["alpha"] == pytest.approx(36.5)
        ahead = theirs + 0.001
        assert figures["information_ratio"] == pytest.approx(
            np.mean(ahead) / np.std(ahead, ddof=1) * math.sqrt(365)
        )

    def test_a_benchmark_that_never_moves_has_no_beta(self) -> None:
        assert against_benchmark(np.array([0.1, 0.2, 0.1]), np.zeros(3))["beta"] is None
