"""`BacktestEngine` by example: known results, golden vectors, no look-ahead, and every edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from backtest_inputs import (
    FREE,
    NO_LIQUIDATION,
    START_MS,
    bars,
    buy,
    close,
    hour,
    real_run,
    run,
    script,
    short,
)
from real_klines import real_series

import ledger
from backtest_run import BacktestResult, FillTiming, Funding
from backtesting import BacktestEngine, Cancelled
from domain import (
    HOUR_MS,
    AccountInfo,
    Decision,
    Decisions,
    Fill,
    FillKind,
    Instrument,
    Interval,
    MarketState,
    Portfolio,
    Reason,
    Signal,
)
from errors import InvalidInput
from paper_execution import ExecutionRules
from performance import drawdown_series, round_trips, trip_figures
from risk_limits import PROFILES, RiskName
from strategies import RuleTrader, Strategy, make_trader
from timestamps import iso_utc, parse_time_ms


def fills(result: BacktestResult) -> list[tuple[str, str, float, str]]:
    """(kind or exit reason, time, price, quantity) of every fill."""
    return [
        (
            str(fill.kind if fill.reason is Reason.SIGNAL else fill.reason),
            iso_utc(fill.time_ms),
            float(fill.price),
            str(fill.quantity.normalize()),
        )
        for fill in booked(result)
    ]


def booked(result: BacktestResult) -> list[Fill]:
    return [entry.fill for entry in result.entries]


def refused(result: BacktestResult) -> list[tuple[str, str, str | None]]:
    return [(iso_utc(at), outcome.coin, outcome.reason) for at, outcome in result.refusals]


# ---------------------------------------------------------------------------- known results

MOVING_AVERAGE_CROSS = [
    # coin, days, final value, round trips, winners, max drawdown in %, fees
    (
        *("BTC", "2022-01-01", "2022-12-31"),
        *(5626.567692017794, 105, 25, 45.753292696620456, 1525.774917551702),
    ),
    (
        *("ETH", "2021-06-01", "2022-12-31"),
        *(4474.723901818301, 165, 48, 75.15444325351152, 2278.0584170212446),
    ),
    (
        *("LUNA", "2022-04-01", "2022-06-30"),
        *(4126.728532129761, 19, 3, 66.16416913509026, 276.838390069481),
    ),
]


@pytest.mark.parametrize(
    ("coin", "first", "last", "final", "trips", "winners", "drawdown", "fees"),
    MOVING_AVERAGE_CROSS,
)
def test_moving_average_cross_on_real_candles(
    coin: str,
    first: str,
    last: str,
    final: float,
    trips: int,
    winners: int,
    drawdown: float,
    fees: float,
) -> None:
    result = real_run(coin, first, last)
    figures = trip_figures(round_trips(result.entries))
    assert result.equity[-1] == pytest.approx(final, rel=1e-6)
    assert (figures["total_trades"], figures["winning_trades"]) == (trips, winners)
    assert drawdown_series(result.equity).max() == pytest.approx(drawdown, rel=1e-6)
    assert float(result.account.fees_paid) == pytest.approx(fees, rel=1e-6)


def test_a_hundred_bars_of_warm_up_are_enough_for_the_slow_average() -> None:
    start = parse_time_ms("2022-01-01")
    whole = real_series("BTC")
    first = int(np.searchsorted(whole.open_time, start))
    short_history = {"BTC": whole.slice(first - 100, len(whole))}
    terms: dict[str, Any] = {
        "start_ms": start,
        "rules": ExecutionRules(Decimal("0.001")),
    }
    trader = make_trader("ma_cross", ("BTC",))
    assert (
        run(trader, short_history, **terms).entries == run(trader, {"BTC": whole}, **terms).entries
    )


def test_the_account_at_the_end_is_the_fold_of_its_fills() -> None:
    result = real_run("BTC", "2022-01-01", "2022-03-31")
    assert ledger.replay(Decimal(10_000), booked(result)) == result.account
    marks = {"BTC": Decimal(repr(float(result.history["BTC"].close[-1])))}
    total = ledger.value(result.account, marks).total_value
    assert result.equity[-1] == pytest.approx(float(total), rel=1e-12)


# --------------------------------------------------------------------------- golden vectors

TENFOLD = {"quantity": 500, "leverage": 10}
FIVEFOLD = {"quantity": 100, "leverage": 5}


@pytest.mark.parametrize(
    ("entry", "exit_price", "fee_rate", "slippage_bps", "cash_open", "total_open", "cash_end"),
    [
        pytest.param(buy(0, **TENFOLD), 100, "0.001", 0, 4950, 9950, "9900", id="A"),
        pytest.param(buy(0, **TENFOLD), 90, "0.001", 0, 4950, 9950, "4905", id="B"),
        pytest.param(short(0, **TENFOLD), 110, "0.001", 0, 4950, 9950, "4895", id="C"),
        pytest.param(
            short(0, **FIVEFOLD), 80, "0.0005", 2, 7995.401, 9993.001, "11987.4002", id="D"
        ),
    ],
)
def test_golden_vectors(
    entry: dict[str, Any],
    exit_price: float,
    fee_rate: str,
    slippage_bps: int,
    cash_open: float,
    total_open: float,
    cash_end: str,
) -> None:
    rules = replace(NO_LIQUIDATION, fee_rate=Decimal(fee_rate), slippage_bps=Decimal(slippage_bps))
    history = bars([100, 100, exit_price])
    result = run(script(entry, close(2)), history, rules=rules)
    assert result.cash.tolist() == pytest.approx([cash_open, cash_open, float(cash_end)], abs=1e-9)
    assert result.equity[0] == pytest.approx(total_open, abs=1e-9)
    assert result.account.cash == Decimal(cash_end)


def test_golden_vector_e_with_three_fundings() -> None:
    rules = replace(NO_LIQUIDATION, fee_rate=Decimal("0.0005"))
    history = bars([100] * 25 + [101])
    result = run(
        script(buy(0, **FIVEFOLD), close(25)),
        history,
        rules=rules,
        funding=Funding(Decimal("0.0001")),
    )
    assert (result.cash[0], result.equity[0]) == (7995, 9995)
    assert result.account.cash == Decimal("10086.95")
    assert result.account.funding_paid == 3


@pytest.mark.parametrize(
    ("entry", "path", "price"),
    [
        (buy(0, **TENFOLD), (100, 100, 89, 95), "90.452261306533"),
        (short(0, **TENFOLD), (100, 110, 100, 105), "109.452736318408"),
        (buy(0, quantity=500, leverage=20), (100, 100, 95, 96), "95.477386934673"),
    ],
)
def test_liquidation_inside_a_bar(
    entry: dict[str, Any], path: tuple[float, float, float, float], price: str
) -> None:
    result = run(script(entry), bars([100, path, 100]))
    last = booked(result)[-1]
    assert (last.reason, last.price) == (Reason.LIQUIDATION, Decimal(price))
    assert last.time_ms == START_MS + 2 * HOUR_MS
    margin = 50_000 / entry["leverage"]
    assert float(result.account.cash) == pytest.approx(10_000 - margin, abs=1e-6)
    assert result.account.positions == {}


def test_liquidation_through_a_gap_loses_the_margin_and_no_more() -> None:
    result = run(script(buy(0, **TENFOLD)), bars([100, 60, 100]))
    last = booked(result)[-1]
    assert (last.kind, last.price, last.fee) == (FillKind.LIQUIDATION, 60, 0)
    assert last.time_ms == START_MS + HOUR_MS
    assert result.account.cash == 5000
    assert result.equity.tolist() == [10_000, 5000, 5000]


# ------------------------------------------------------------------------- when things fill


class TestTiming:
    def test_a_decision_at_a_close_fills_at_the_next_open(self) -> None:
        history = bars([(10, 11, 9, 10), (12, 13, 11, 12), (14, 15, 13, 14)])
        result = run(script(buy(1, quantity=1)), history)
        assert fills(result) == [("open", hour(1), 12.0, "1")]

    def test_or_at_that_close(self) -> None:
        history = bars([(10, 11, 9, 10.5), (12, 13, 11, 12), (14, 15, 13, 14)])
        result = run(script(buy(1, quantity=1)), history, fill=FillTiming.CLOSE)
        assert fills(result) == [("open", hour(1), 10.5, "1")]

    def test_a_decision_between_two_bars_waits_for_the_next(self) -> None:
        history = bars([10, 12, 14, 16])
        result = run(script(buy(0.5, quantity=1)), history)
        assert fills(result) == [("open", hour(1), 12.0, "1")]
        result = run(script(buy(0.5, quantity=1)), history, fill=FillTiming.CLOSE)
        assert fills(result) == [("open", hour(1), 10.0, "1")]

    @pytest.mark.parametrize("warmup", [0, 3])
    def test_a_decision_at_the_very_start_fills_in_the_first_bar(self, warmup: int) -> None:
        early = START_MS - warmup * HOUR_MS
        history = bars([5.0] * warmup + [(10, 12, 9, 11), 12, 13], start_ms=early)
        at_open = run(script(buy(0, quantity=1)), history)
        assert fills(at_open) == [("open", hour(0), 10.0, "1")]
        assert len(at_open.equity) == 3
        at_close = run(script(buy(0, quantity=1)), history, fill=FillTiming.CLOSE)
        assert fills(at_close) == [("open", hour(1), 11.0, "1")]

    def test_a_gap_delays_a_fill_to_the_next_bar_that_there_is(self) -> None:
        history = bars([10, 11, None, None, 14, 15])
        result = run(script(buy(2, quantity=1)), history)
        assert fills(result) == [("open", hour(4), 14.0, "1")]
        result = run(script(buy(2.5, quantity=1)), history, fill=FillTiming.CLOSE)
        assert fills(result) == [("open", hour(5), 14.0, "1")]

    def test_closes_are_posted_before_opens_and_free_their_cash(self) -> None:
        history = {"ETH": bars([10.0] * 4), "BTC": bars([100.0] * 4)}
        trader = script(
            buy(0, notional=9000),
            buy(2, coin="ETH", notional=9000),
            close(2),
            coins=("ETH", "BTC"),
        )
        result = run(trader, history)
        assert [(f.kind, f.coin) for f in booked(result)] == [
            (FillKind.OPEN, "BTC"),
            (FillKind.CLOSE, "BTC"),
            (FillKind.OPEN, "ETH"),
        ]

    def test_a_turn_closes_and_enters_the_other_side_in_one_bar(self) -> None:
        trader = script(buy(0, quantity=5), close(2), short(2, quantity=3))
        result = run(trader, bars([100, 110, 120, 100]))
        assert fills(result) == [
            ("open", hour(0), 100.0, "5"),
            ("close", hour(2), 120.0, "5"),
            ("open", hour(2), 120.0, "3"),
        ]
        assert result.equity.tolist() == [10_000, 10_050, 10_100, 10_160]

    def test_bars_from_the_end_on_are_not_played(self) -> None:
        history = bars([10, 11, 12, 13])
        result = run(script(buy(0, quantity=1), close(3)), history, end_ms=START_MS + 2 * HOUR_MS)
        assert len(result.equity) == 2
        assert len(result.history["BTC"]) == 2

    def test_an_open_bar_is_not_played(self) -> None:
        history = replace(bars([10, 11, 12]), last_is_open=True)
        assert len(run(script(), history).equity) == 2


class TestExits:
    def test_stop_and_target_inside_the_bar_of_the_fill(self) -> None:
        path = bars([(100, 120, 90, 100), 100])
        stopped = run(script(buy(0, quantity=1, stop_loss=95, profit_target=110)), path)
        assert fills(stopped)[-1] == ("stop_loss", hour(1), 95.0, "1")
        target = run(script(buy(0, quantity=1, profit_target=110)), path)
        assert fills(target)[-1] == ("profit_target", hour(1), 110.0, "1")
        above = run(script(short(0, quantity=1, stop_loss=115, profit_target=95)), path)
        assert fills(above)[-1] == ("stop_loss", hour(1), 115.0, "1")

    def test_a_fill_at_a_close_is_not_stopped_by_the_bar_before_it(self) -> None:
        path = bars([(100, 120, 80, 100), 100, (100, 101, 94, 96)])
        result = run(script(buy(0, quantity=1, stop_loss=95)), path, fill=FillTiming.CLOSE)
        assert fills(result)[-1] == ("stop_loss", hour(3), 95.0, "1")

    def test_a_gap_fills_at_the_open_before_orders_due_there(self) -> None:
        trader = script(buy(0, quantity=1, stop_loss=95), close(1), buy(1, quantity=2))
        result = run(trader, bars([100, 90, 90]))
        assert fills(result)[1:] == [
            ("stop_loss", hour(1), 90.0, "1"),
            ("open", hour(1), 90.0, "2"),
        ]
        assert refused(result) == [(hour(1), "BTC", "no_position")]

    def test_a_trailing_stop_follows_earlier_bars_only(self) -> None:
        path = bars([100, (100, 120, 100, 118), (118, 118, 109, 110), (110, 110, 107, 109)])
        result = run(script(buy(0, quantity=1, trailing_stop_pct=10)), path)
        assert fills(result)[-1] == ("trailing_stop", hour(4), 108.0, "1")

    def test_an_add_does_not_show_the_trailing_stop_its_own_bar(self) -> None:
        path = bars([100, 105, (105, 130, 104, 128), (128, 128, 126, 127), (127, 127, 110, 111)])
        trader = script(buy(0, quantity=1, trailing_stop_pct=10), buy(2, quantity=1))
        result = run(trader, path)
        # The third bar's 130 came with its low of 104: 130 · 0.9 = 117 is tested from the fourth on.
        assert fills(result)[-1] == ("trailing_stop", hour(5), 117.0, "2")

    def test_an_add_brings_a_new_stop(self) -> None:
        trader = script(buy(0, quantity=1, stop_loss=80), buy(1, quantity=1, stop_loss=95))
        result = run(trader, bars([100, 100, (100, 100, 94, 96)]))
        assert fills(result)[-1] == ("stop_loss", hour(3), 95.0, "2")

    def test_exits_slip_and_pay_their_fee(self) -> None:
        rules = ExecutionRules(Decimal("0.001"), slippage_bps=Decimal(10))
        result = run(
            script(buy(0, quantity=1, stop_loss=95)),
            bars([100, (100, 100, 94, 96)]),
            rules=rules,
        )
        last = booked(result)[-1]
        assert (last.price, last.fee) == (Decimal("94.905"), Decimal("0.094905"))


class TestFunding:
    TERMS = Funding(Decimal("0.001"))

    def paid(self, result: BacktestResult) -> list[str]:
        return [iso_utc(f.time_ms) for f in booked(result) if f.kind is FillKind.FUNDING]

    def test_at_midnight_eight_and_sixteen_while_a_position_is_open(self) -> None:
        trader = script(buy(0, quantity=10), close(17), buy(20, quantity=10))
        result = run(trader, bars([100.0] * 40), funding=self.TERMS)
        assert self.paid(result) == [hour(8), hour(16), hour(24), hour(32)]
        assert result.account.funding_paid == 4

    def test_a_short_receives(self) -> None:
        result = run(script(short(0, quantity=10)), bars([100.0] * 10), funding=self.TERMS)
        assert result.account.cash == 10_000 - 1000 + 1

    def test_a_settlement_in_a_gap_is_paid_at_the_next_bar(self) -> None:
        rows = [100.0] * 7 + [None, None, None] + [110.0] * 3
        result = run(script(buy(0, quantity=10)), bars(rows), funding=self.TERMS)
        assert self.paid(result) == [hour(10)]
        assert result.account.funding_paid == Decimal("1.1")

    def test_every_settlement_inside_a_long_bar_is_paid(self) -> None:
        days = bars([100.0] * 3, Interval.D1)
        result = run(script(buy(0, quantity=10)), days, funding=self.TERMS)
        assert self.paid(result) == [hour(24)] * 3 + [hour(48)] * 3

    def test_none_is_due_at_the_moment_of_the_entry(self) -> None:
        for timing in FillTiming:
            result = run(
                script(buy(8, quantity=10)),
                bars([100.0] * 10),
                funding=self.TERMS,
                fill=timing,
            )
            assert self.paid(result) == []

    def test_it_can_eat_the_margin_into_liquidation(self) -> None:
        trader = script(buy(0, quantity=1000, leverage=10))
        result = run(trader, bars([100.0] * 20), funding=Funding(Decimal("0.06")))
        kinds = [fill.kind for fill in booked(result)]
        assert kinds == [
            FillKind.OPEN, FillKind.FUNDING, FillKind.FUNDING, FillKind.LIQUIDATION
        ]  # fmt: skip
        assert result.account.cash == 0


class TestSeveralCoins:
    def test_equal_parts_of_every_coin(self) -> None:
        history = {
            "BTC": bars([100, 100, 110, 120]),
            "ETH": bars([10, 10, 10, 10]),
            "SOL": bars([None, None, 1, 2]),
        }
        result = run(make_trader("buy_and_hold", tuple(history)), history)
        assert [(f.coin, iso_utc(f.time_ms)) for f in booked(result)] == [
            ("BTC", hour(1)),
            ("ETH", hour(1)),
            ("SOL", hour(3)),
        ]
        assert result.equity.tolist()[:3] == pytest.approx(
            [10_000, 10_000, 10_000 + 10_000 / 3 / 10]
        )

    def test_a_coin_without_a_bar_keeps_its_last_price(self) -> None:
        history = {"BTC": bars([100, 110, None, None, 90]), "ETH": bars([10.0] * 5)}
        result = run(script(buy(0, quantity=10), coins=("BTC", "ETH")), history, rules=FREE)
        assert result.equity.tolist() == [10_000, 10_100, 10_100, 10_100, 9900]

    def test_sizes_count_what_the_others_are_worth_at_that_open(self) -> None:
        history = {"BTC": bars([100, 200, 200]), "ETH": bars([10.0, 10.0, 10.0])}
        trader = script(buy(0, quantity=10), buy(1, coin="ETH", weight=0.5), coins=("BTC", "ETH"))
        result = run(trader, history)
        assert result.account.positions["ETH"].quantity == 550  # half of 11,000 at 10


# ------------------------------------------------------------------------------- refusals


class TestRefusals:
    def test_have_their_time_and_reason_and_change_nothing(self) -> None:
        trader = script(
            close(0),
            buy(1, quantity=1000),
            buy(2, quantity=1),
            short(3, quantity=1),
            buy(4, quantity=1, stop_loss=101),
        )
        result = run(trader, bars([100.0] * 6))
        assert refused(result) == [
            (hour(0), "BTC", "no_position"),
            (hour(1), "BTC", "insufficient_cash"),
            (hour(3), "BTC", "opposite_position_open"),
            (hour(4), "BTC", "stop_on_wrong_side"),
        ]
        assert result.refusal_count == 4
        assert len(result.entries) == 1

    def test_what_the_range_does_not_reach(self) -> None:
        trader = script(buy(-1, quantity=1), buy(3, quantity=1), buy(99, quantity=1))
        result = run(trader, bars([100.0] * 3))
        assert result.entries == ()
        assert [reason for _, _, reason in refused(result)] == [
            "outside_range",
            "no_next_bar",
            "no_next_bar",
        ]
        at_close = run(trader, bars([100.0] * 3), fill=FillTiming.CLOSE)
        assert fills(at_close) == [("open", hour(3), 100.0, "1")]
        assert refused(at_close) == [
            (hour(-1), "BTC", "outside_range"),
            (hour(99), "BTC", "outside_range"),
        ]

    def test_a_coin_that_is_not_in_the_run(self) -> None:
        result = run(script(buy(0, coin="DOGE", quantity=1)), bars([100.0] * 3))
        assert [reason for _, _, reason in refused(result)] == ["not_in_pool"]

    def test_risk_limits_and_lots_hold_in_a_backtest_too(self) -> None:
        rules = replace(FREE, risk=PROFILES[RiskName.BALANCED])
        result = run(script(buy(0, weight=1)), bars([100.0] * 3), rules=rules)
        assert result.account.positions["BTC"].margin == 2500
        trader = script(buy(0, quantity=1.239))
        instruments = {"BTC": Instrument(Decimal("0.01"), Decimal(10))}
        lots = BacktestEngine(trader, result.config, instruments).run_backtest(result.history)
        assert lots.account.positions["BTC"].quantity == Decimal("1.23")

    @pytest.mark.parametrize(
        "history",
        [{"BTC": bars([100.0], start_ms=START_MS - HOUR_MS)}, {"ETH": bars([100.0])}, {}],
    )
    def test_a_range_without_bars_is_an_error_not_a_report(self, history: Any) -> None:
        config = run(script(), bars([100.0])).config
        with pytest.raises(InvalidInput) as error:
            BacktestEngine(script(), config).run_backtest(history)
        assert error.value.code == "no_data"
        assert "BTC" in error.value.message


# ---------------------------------------------------------------------- equity and progress


class TestCurves:
    def test_cash_and_positions_at_every_close(self) -> None:
        result = run(
            script(buy(1, quantity=10, leverage=2), close(3, quantity=4)),
            bars([100, 100, 110, 120, 130]),
        )
        assert result.cash.tolist() == [10_000, 9500, 9500, 9500 + 200 + 80, 9780]
        assert result.positions_value.tolist() == [0, 500, 600, 300 + 120, 300 + 180]
        np.testing.assert_array_equal(result.close_time, START_MS + HOUR_MS * np.arange(1, 6))
        assert result.bars_in_position == 4

    def test_a_position_open_at_the_end_stays_open_and_marked(self) -> None:
        result = run(script(buy(0, quantity=10)), bars([100, 120]))
        assert result.equity[-1] == 10_200
        assert result.account.positions["BTC"].quantity == 10
        assert round_trips(result.entries) == []

    def test_a_run_without_decisions_is_flat(self) -> None:
        result = run(script(), bars([100, 120, 90]))
        assert result.equity.tolist() == [10_000] * 3
        assert (result.entries, result.bars_in_position) == ((), 0)


class TestProgress:
    def test_goes_up_to_one(self) -> None:
        seen: list[float] = []
        _with_progress(seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == 1.0
        assert len(seen) > 2

    def test_may_raise_to_cancel(self) -> None:
        def cancel(share: float) -> None:
            if share > 0.5:
                raise Cancelled

        with pytest.raises(Cancelled):
            _with_progress(cancel)


def _with_progress(progress: Any) -> None:
    history = bars([100.0] * 50)
    config = run(script(), history).config
    trader = make_trader("random", ("BTC",), {"enter_chance": 0.5, "close_chance": 0.5})
    BacktestEngine(trader, config, progress=progress).run_backtest({"BTC": history})


# --------------------------------------------------------------------------- no look-ahead


class Watched:
    """Asks another trader and keeps what it was shown."""

    def __init__(self, trader: RuleTrader):
        self.trader = trader
        self.shown: dict[int, dict[str, bytes]] = {}
        self.asked: list[AccountInfo] = []

    @property
    def history_bars(self) -> int:
        return self.trader.history_bars

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        self.asked.append(account_info)
        self.shown[account_info.time_ms] = {
            coin: b"".join(
                column.tobytes()
                for column in (
                    market.klines.open_time,
                    market.klines.open,
                    market.klines.high,
                    market.klines.low,
                    market.klines.close,
                    market.klines.volume,
                )
            )
            + str(market.price).encode()
            for coin, market in market_state.items()
        }
        for market in market_state.values():
            closed_at = int(market.klines.open_time[-1]) + market.klines.interval.milliseconds
            assert closed_at <= account_info.time_ms
            assert market.price == Decimal(repr(float(market.klines.close[-1])))
        return self.trader.make_decision(market_state, portfolio, account_info)


EVERY_TRADER: list[tuple[str, dict[str, Any]]] = [
    ("buy_and_hold", {}),
    ("ma_cross", {"fast": 5, "slow": 15}),
    ("ma_cross", {"fast": 4, "slow": 10, "kind": "ema", "allow_short": True, "leverage": 5}),
    ("random", {"enter_chance": 0.2, "close_chance": 0.2, "allow_short": True, "leverage": 20}),
    ("rsi", {"length": 4, "allow_short": True, "leverage": 3}),
    ("macd", {"fast": 3, "slow": 7, "signal": 4}),
    ("bollinger", {"length": 12, "allow_short": True}),
    ("donchian", {"allow_short": True, "leverage": 2}),
    ("combined", {"donchian": True, "allow_short": True}),
    ("dca", {"every_bars": 12}),
    ("equal_weight", {"rebalance_bars": 12, "weight": 0.9}),
]


def real_month(coins: tuple[str, ...]) -> Mapping[str, Any]:
    start = parse_time_ms("2022-05-01")
    return {coin: real_series(coin).between(start - 400 * HOUR_MS, start + 600 * HOUR_MS)
            for coin in coins}  # fmt: skip


MONTH = {
    "start_ms": parse_time_ms("2022-05-01"),
    "rules": ExecutionRules(Decimal("0.001"), slippage_bps=Decimal(2)),
}


@pytest.mark.parametrize(("key", "params"), EVERY_TRADER)
def test_signals_ahead_and_questions_bar_by_bar_give_the_same_trades(
    key: str, params: dict[str, Any]
) -> None:
    coins = ("BTC", "LUNA")
    history = real_month(coins)
    ahead = run(make_trader(key, coins, params), history, **MONTH)
    asked = run(Watched(make_trader(key, coins, params)), history, **MONTH)
    assert ahead.entries == asked.entries
    assert len(ahead.entries) >= 2
    np.testing.assert_array_equal(ahead.equity, asked.equity)


@pytest.mark.parametrize(("key", "params"), EVERY_TRADER)
def test_cutting_the_future_off_changes_nothing_earlier(key: str, params: dict[str, Any]) -> None:
    coins = ("BTC", "LUNA")
    history = real_month(coins)
    whole = run(make_trader(key, coins, params), history, **MONTH)
    watched = Watched(make_trader(key, coins, params))
    run(watched, history, **MONTH)
    for cut_bars in (50, 275, 400):
        end = MONTH["start_ms"] + cut_bars * HOUR_MS
        cut = {coin: series.between(0, end) for coin, series in history.items()}
        result = run(make_trader(key, coins, params), cut, **MONTH)
        before = [entry for entry in whole.entries if entry.fill.time_ms < end]
        ours = [entry for entry in result.entries if entry.fill.time_ms < end]
        assert ours == before
        np.testing.assert_array_equal(result.equity, whole.equity[: len(result.equity)])
        shown = Watched(make_trader(key, coins, params))
        run(shown, cut, **MONTH)
        assert shown.shown == {
            time_ms: seen for time_ms, seen in watched.shown.items() if time_ms <= end
        }


def test_a_trader_is_asked_every_so_many_bars() -> None:
    watched = Watched(make_trader("buy_and_hold", ("BTC",)))
    run(watched, bars([100.0] * 10), decide_every=4)
    assert [iso_utc(info.time_ms) for info in watched.asked] == [hour(1), hour(5), hour(9)]
    assert [info.previous_time_ms for info in watched.asked] == [
        None,
        START_MS + HOUR_MS,
        START_MS + 5 * HOUR_MS,
    ]
    assert {info.started_ms for info in watched.asked} == {START_MS}


def test_a_strategy_that_decides_in_its_own_way_is_asked() -> None:
    class Stubborn(Strategy):
        key = "stubborn"

        def make_decision(
            self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
        ) -> Decisions:
            if "BTC" in portfolio.positions:
                return {}
            return {"BTC": Decision(Signal.BUY_TO_ENTER, quantity=Decimal(2))}

    result = run(Stubborn(("BTC",)), bars([100.0] * 3))
    assert fills(result) == [("open", hour(1), 100.0, "2")]


def test_decimals_of_the_thread_do_not_matter() -> None:
    trader = make_trader("random", ("BTC",), {"enter_chance": 0.3, "close_chance": 0.3})
    history = bars([100.0, 101.37, 99.123, 98.7, 103.33] * 20)
    usual = run(trader, history, rules=ExecutionRules(Decimal("0.001")))
    with localcontext(prec=9):
        narrow = run(trader, history, rules=ExecutionRules(Decimal("0.001")))
    assert narrow.entries == usual.entries
