"""What each rule strategy is defined to do, by examples that can be followed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from backtest_inputs import FREE, START_MS, bars, real_run, run
from real_klines import real_series

from backtest_run import BacktestConfig
from backtesting import BacktestEngine
from domain import (
    BoolArray,
    Decisions,
    Entry,
    FillKind,
    Interval,
    KlineSeries,
    Side,
    Trader,
)
from paper_execution import ExecutionRules
from risk_limits import RiskName, profile_named
from strategies import Strategy, make_trader, registry
from strategies.base import Signals, is_due
from strategies.combined import Combined
from timestamps import parse_time_ms


def strategy(key: str, **params: Any) -> Strategy:
    made = make_trader(key, ("BTC",), params)
    assert isinstance(made, Strategy)
    return made


def where(signals: BoolArray | None) -> list[int]:
    assert signals is not None
    return np.flatnonzero(signals).tolist()


class TestSides:
    def test_one_close_closes_either_side(self) -> None:
        signals = Signals.none(2)
        signals.close[1] = True
        assert signals.at(1, Side.LONG) == signals.at(1, Side.SHORT) == (False, False, True)
        assert signals.at(1, None) == (False, False, False)

    def test_a_close_of_shorts_leaves_longs_alone(self) -> None:
        signals = replace(Signals.none(2), close_short=np.array([True, False]))
        signals.close[1] = True
        assert where(signals.closes(Side.LONG)) == [1]
        assert where(signals.closes(Side.SHORT)) == [0]
        assert signals.at(0, Side.SHORT) == (False, False, True)
        assert signals.at(0, Side.LONG) == (False, False, False)

    def test_a_backtest_closes_each_side_by_its_own(self) -> None:
        # Breaks out at 13, turns short at 11, back at 12. All the way up to 15 it closes above the
        # two bars before, all the way down to 8 below them, and neither closes what is held.
        closes = [10, 10, 10, 13, 14, 15, 11, 11, 11, 9, 8, 8, 12, 12, 12]
        trader = strategy("donchian", entry=3, exit=2, allow_short=True)
        entries = run(trader, bars(closes)).entries
        assert [(entry.fill.kind, entry.fill.side) for entry in entries] == [
            (FillKind.OPEN, Side.LONG),
            (FillKind.CLOSE, Side.LONG),
            (FillKind.OPEN, Side.SHORT),
            (FillKind.CLOSE, Side.SHORT),
            (FillKind.OPEN, Side.LONG),
        ]
        assert [hours(entry) for entry in entries] == [4, 7, 7, 13, 13]


def hours(entry: Entry) -> float:
    """When it was filled, in hours after the first bar's open."""
    return (entry.fill.time_ms - START_MS) / 3_600_000


class TestRsi:
    # Changes −1 −1 +1 +1 −1: with length 2 the RSI is 0, 50, 75, 37.5 from the third bar on.
    closes = bars([10.0, 9, 8, 9, 10, 9])

    def test_buys_out_of_the_oversold_and_closes_out_of_the_overbought_zone(self) -> None:
        signals = strategy("rsi", length=2).signals("BTC", self.closes)
        assert where(signals.enter_long) == [3]
        assert where(signals.close) == [5]
        assert where(signals.enter_short) == []

    def test_turns_at_both_when_shorts_are_allowed(self) -> None:
        signals = strategy("rsi", length=2, allow_short=True).signals("BTC", self.closes)
        assert where(signals.enter_short) == where(signals.close) == [5]
        assert where(signals.close_short) == where(signals.enter_long) == [3]

    def test_a_level_that_is_only_touched_is_not_passed(self) -> None:
        signals = strategy("rsi", length=2, oversold=50).signals("BTC", self.closes)
        assert where(signals.enter_long) == [4]


class TestMacd:
    def test_follows_the_turns_of_a_straight_fall(self) -> None:
        # In a straight fall both averages lag by the same at every bar: the distance is 0.
        klines = bars([10.0, 9, 8, 7, 6, 5, 8, 11, 14, 9, 4])
        signals = strategy("macd", fast=2, slow=3, signal=2).signals("BTC", klines)
        assert where(signals.enter_long) == [6]
        assert where(signals.close) == [9]
        assert where(signals.enter_short) == []
        shorting = strategy("macd", fast=2, slow=3, signal=2, allow_short=True)
        assert where(shorting.signals("BTC", klines).enter_short) == [9]
        assert where(shorting.signals("BTC", klines).close_short) == [6]


class TestBollinger:
    # With three bars and one deviation the lower band is 7.59 at the fall to 7, then 7.09.
    fall = (10.0, 10, 10, 7, 8, 9)

    def test_buys_back_above_the_lower_band_and_closes_at_the_mean(self) -> None:
        signals = strategy("bollinger", length=3, width=1).signals("BTC", bars(self.fall))
        assert where(signals.enter_long) == [4]
        assert 5 in where(signals.close)

    def test_does_not_buy_what_is_already_past_the_mean(self) -> None:
        klines = bars([10.0, 10, 10, 7, 12])
        signals = strategy("bollinger", length=3, width=1).signals("BTC", klines)
        assert where(signals.enter_long) == []

    def test_shorts_upside_down(self) -> None:
        klines = bars([20 - close for close in self.fall])
        signals = strategy("bollinger", length=3, width=1, allow_short=True).signals("BTC", klines)
        assert where(signals.enter_short) == [4]
        assert 5 in where(signals.close_short)
        assert (
            where(strategy("bollinger", length=3, width=1).signals("BTC", klines).enter_short) == []
        )


class TestDonchian:
    def test_buys_above_the_channel_and_closes_below_the_shorter_one(self) -> None:
        klines = bars([10.0, 11, 12, 12, 13, 12.5, 11])
        signals = strategy("donchian", entry=3, exit=2).signals("BTC", klines)
        assert where(signals.enter_long) == [4]
        assert where(signals.close) == [6]
        assert where(signals.enter_short) == []

    def test_channels_are_of_highs_and_lows_and_the_break_of_the_close(self) -> None:
        klines = bars([(10, 15, 5, 10), (10, 15, 5, 10), (10, 16, 4, 14), (14, 17, 14, 17)])
        trader = strategy("donchian", entry=2, exit=2, allow_short=True)
        signals = trader.signals("BTC", klines)
        assert where(signals.enter_long) == [3]
        assert where(signals.enter_short) == where(signals.close) == []
        assert where(signals.close_short) == [3]


class Says(Strategy):
    """A voter for the tests: long, closed and short at the bars it is given."""

    key = "buy_and_hold"  # any that exists: it is never looked up
    name = "Says"
    history_bars = 5

    def __init__(
        self, long: Sequence[int] = (), close: Sequence[int] = (), short: Sequence[int] = ()
    ):
        super().__init__(("BTC",))
        self.at = (long, short, close)

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        return Signals(*(np.isin(np.arange(len(klines)), bars) for bars in self.at))


class TestCombined:
    def vote(self, *members: Says, votes: int, window: int, **params: Any) -> Signals:
        made = strategy("combined", votes=votes, window=window, **params)
        assert isinstance(made, Combined)
        made.members = list(members)
        return made.signals("BTC", bars([100.0] * 12))

    def test_enters_while_enough_agree_within_the_window(self) -> None:
        signals = self.vote(Says(long=[1]), Says(long=[3]), Says(), votes=2, window=4)
        assert where(signals.enter_long) == [3, 4]  # the first one's vote ends with bar 4
        assert where(signals.close) == where(signals.enter_short) == []
        assert where(signals.close_short) == [3, 4]  # who is for a long is against a short

    def test_a_close_takes_the_vote_back_and_enough_of_them_close(self) -> None:
        first, second = Says(long=[1], close=[4]), Says(long=[2], close=[6])
        signals = self.vote(first, second, votes=2, window=5)
        assert where(signals.enter_long) == [2, 3]
        assert where(signals.close) == [6, 7, 8]  # the first one's close counts up to bar 8

    def test_a_short_is_a_vote_against_a_long(self) -> None:
        first, second = Says(long=[1], short=[5]), Says(long=[1], short=[6])
        signals = self.vote(first, second, votes=2, window=3, allow_short=True)
        assert where(signals.enter_long) == where(signals.close_short) == [1, 2, 3]
        assert where(signals.enter_short) == where(signals.close) == [6, 7]

    def test_does_neither_where_both_have_enough(self) -> None:
        signals = self.vote(Says(long=[1]), Says(close=[2]), votes=1, window=3)
        assert where(signals.enter_long) == [1]
        assert where(signals.close) == [4]

    def test_those_chosen_vote_with_their_own_parameters(self) -> None:
        made = strategy("combined", ma_cross=False, donchian=True, allow_short=True, window=10)
        assert isinstance(made, Combined)
        assert [member.key for member in made.members] == ["macd", "rsi", "donchian"]
        assert all(member.params.model_dump()["allow_short"] for member in made.members)
        assert made.history_bars == strategy("rsi").history_bars + 9

    def test_alone_one_strategy_decides_as_it_would_by_itself(self) -> None:
        alone = {"ma_cross": False, "macd": False, "rsi": False, "donchian": True}
        klines = real_series("BTC").slice(0, 2000)
        vote = strategy("combined", votes=1, window=1, **alone).signals("BTC", klines)
        itself = strategy("donchian").signals("BTC", klines)
        np.testing.assert_array_equal(vote.enter_long, itself.enter_long)
        np.testing.assert_array_equal(vote.close, itself.close)


class TestIsDue:
    def due(self, last_bar: int, previous_hour: float | None, every: int = 4) -> bool:
        klines = bars([1.0] * (last_bar + 1))
        previous = None if previous_hour is None else START_MS + round(previous_hour * 3_600_000)
        return is_due(klines, every, previous)

    def test_at_once_and_then_on_whole_multiples(self) -> None:
        assert self.due(0, None)
        # The bar of index 3 closes at 04:00.
        assert [last for last in range(12) if self.due(last, previous_hour=last)] == [3, 7, 11]

    def test_once_for_each_however_often_it_is_asked(self) -> None:
        assert self.due(3, previous_hour=3.75)
        assert not self.due(3, previous_hour=4.25)
        assert not self.due(4, previous_hour=4.25)

    def test_what_came_while_nobody_asked_is_made_up_for_once(self) -> None:
        assert self.due(9, previous_hour=3)
        assert not self.due(10, previous_hour=10)

    def test_a_missing_bar_moves_it_to_the_next_one(self) -> None:
        klines = bars([1.0, 1.0, 1.0, None, 1.0])
        assert is_due(klines, 4, START_MS + 4 * 3_600_000)


class TestEqualWeight:
    def trades(self, **params: Any) -> list[tuple[float, str, FillKind, Decimal]]:
        history = {"BTC": bars([100.0] * 3 + [200.0] * 6), "ETH": bars([100.0] * 9)}
        trader = make_trader("equal_weight", ("BTC", "ETH"), {"rebalance_bars": 4, **params})
        return [
            (hours(entry), entry.fill.coin, entry.fill.kind, entry.fill.quantity)
            for entry in run(trader, history).entries
        ]

    def test_buys_equal_parts_and_evens_them_out(self) -> None:
        # BTC doubles: 10,000 + 5,000, parts of 7,500 each.
        assert self.trades() == [
            (1, "BTC", FillKind.OPEN, 50),
            (1, "ETH", FillKind.OPEN, 50),
            (4, "BTC", FillKind.CLOSE, Decimal("12.5")),
            (4, "ETH", FillKind.OPEN, 25),
        ]

    def test_parts_are_of_its_weight_times_its_leverage(self) -> None:
        # Parts of a quarter of 10,000 at 2×: 5,000. BTC doubles: 15,000 in all, parts of 7,500.
        trades = self.trades(weight=0.5, leverage=2)
        assert [round(trade[-1], 9) for trade in trades] == [50, 50, Decimal("12.5"), 25]

    def test_leaves_what_is_right_enough(self) -> None:
        assert len(self.trades(tolerance=0.3)) == 4  # a third off
        assert len(self.trades(tolerance=0.34)) == 2

    def test_one_that_is_off_puts_all_right_and_the_largest_addition_takes_the_cash(self) -> None:
        # Of 9,000 in three parts SOL falls by a tenth: 8,700, parts of 2,900; it alone is off.
        history = {
            "SOL": bars([100.0] * 3 + [90.0] * 3),
            "BTC": bars([100.0] * 6),
            "ETH": bars([100.0] * 6),
        }
        trader = make_trader("equal_weight", tuple(history), {"rebalance_bars": 4})
        result = run(trader, history, initial_capital=Decimal(9_000),
                     rules=ExecutionRules(Decimal("0.001")))  # fmt: skip
        assert result.refusal_count == 0
        assert [(entry.fill.coin, entry.fill.kind) for entry in result.entries[3:]] == [
            ("BTC", FillKind.CLOSE),
            ("ETH", FillKind.CLOSE),
            ("SOL", FillKind.OPEN),
        ]
        assert result.account.cash == pytest.approx(0, abs=1e-6)

    def test_does_nothing_between(self) -> None:
        assert len(self.trades(rebalance_bars=24)) == 2

    def test_buys_a_coin_again_that_it_lost(self) -> None:
        klines = bars([100.0, 100, (100, 100, 40, 90), 90, 90])
        trader = make_trader("equal_weight", ("BTC",), {"leverage": 2, "weight": 0.5})
        kinds = [entry.fill.kind for entry in run(trader, klines).entries]
        assert kinds == [FillKind.OPEN, FillKind.LIQUIDATION, FillKind.OPEN]

    def test_over_real_months_the_parts_stay_close(self) -> None:
        coins = ("BTC", "ETH", "SOL")
        history = {coin: real_series(coin) for coin in coins}
        trader = make_trader("equal_weight", coins, {"weight": 0.95})
        result = run(
            trader, history, start_ms=parse_time_ms("2022-05-01"),
            end_ms=parse_time_ms("2022-07-01"), rules=ExecutionRules(Decimal("0.001")),
        )  # fmt: skip
        closes = {coin: series.between(0, parse_time_ms("2022-07-01")).close[-1]
                  for coin, series in history.items()}  # fmt: skip
        parts = [float(held.quantity) * closes[coin]
                 for coin, held in result.account.positions.items()]  # fmt: skip
        assert result.refusal_count == 0
        assert len(result.entries) > 20
        np.testing.assert_allclose(parts, np.mean(parts), rtol=0.1)


class TestDollarCostAveraging:
    def test_buys_for_the_same_amount_until_the_cash_is_spent(self) -> None:
        klines = bars([100.0, 100, 50, 50, 100, 100, 200, 200, 100, 100])
        trader = make_trader("dca", ("BTC",), {"share": 0.25, "every_bars": 2})
        result = run(trader, klines)
        assert [(hours(entry), entry.fill.quantity) for entry in result.entries] == [
            (1, 25), (2, 50), (4, 25), (6, Decimal("12.5")),
        ]  # fmt: skip
        assert result.account.cash == 0
        assert result.refusal_count == 0

    def test_shares_the_amount_equally_among_the_coins(self) -> None:
        history = {"BTC": bars([100.0] * 3), "ETH": bars([10.0] * 3)}
        trader = make_trader("dca", tuple(history), {"share": 0.1, "leverage": 2})
        entries = run(trader, history).entries
        assert [(entry.fill.coin, entry.fill.quantity) for entry in entries] == [
            ("BTC", 10), ("ETH", 100),
        ]  # fmt: skip
        assert entries[-1].cash_after == 9_000


EVERY_ONE: list[tuple[str, dict[str, Any]]] = [
    ("rsi", {}),
    ("macd", {}),
    ("bollinger", {"allow_short": True}),
    ("donchian", {"allow_short": True}),
    ("combined", {}),
    ("dca", {}),
    ("equal_weight", {"weight": 0.9, "rebalance_bars": 12, "tolerance": 0.01}),
]


@pytest.mark.parametrize(("key", "params"), EVERY_ONE)
def test_a_backtest_over_real_candles_trades(key: str, params: dict[str, Any]) -> None:
    trader = make_trader(key, ("BTC",), params)
    result = real_run("BTC", "2022-01-01", "2022-03-31", trader)
    assert len(result.entries) >= 6
    assert result.account.fees_paid > 0
    assert result.equity[-1] != result.equity[0]


@pytest.mark.parametrize(("key", "params"), EVERY_ONE[:5])
def test_what_comes_later_changes_no_signal(key: str, params: dict[str, Any]) -> None:
    klines = real_series("ETH").slice(0, 3000)
    whole = strategy(key, **params).signals("ETH", klines)
    for cut in (1, 40, 1500, 2111, 2999):
        part = strategy(key, **params).signals("ETH", klines.slice(0, cut))
        np.testing.assert_array_equal(part.enter_long, whole.enter_long[:cut])
        np.testing.assert_array_equal(part.enter_short, whole.enter_short[:cut])
        for side in Side:
            np.testing.assert_array_equal(part.closes(side), whole.closes(side)[:cut])


def test_a_profile_holds_equal_parts_to_its_limits() -> None:
    rules = replace(FREE, risk=profile_named(RiskName.CONSERVATIVE))
    trader = make_trader("equal_weight", ("BTC",))
    (entry,) = run(trader, bars([100.0] * 3), rules=rules).entries
    assert entry.fill.quantity == 15


class AskedBarByBar:
    """A trader as the live engine asks it: shown the bars that it wants, at every close."""

    def __init__(self, trader: Trader):
        self._trader = trader

    @property
    def history_bars(self) -> int:
        return self._trader.history_bars

    def make_decision(self, *question: Any) -> Decisions:
        return self._trader.make_decision(*question)


EACH_OF_THE_TEN: list[tuple[str, dict[str, Any]]] = [
    ("buy_and_hold", {}),
    ("equal_weight", {"weight": 0.9, "rebalance_bars": 12, "tolerance": 0.01}),
    ("ma_cross", {"fast": 5, "slow": 15, "allow_short": True}),
    ("rsi", {"length": 7, "oversold": 40, "overbought": 60, "allow_short": True}),
    ("macd", {"allow_short": True}),
    ("bollinger", {"allow_short": True}),
    ("donchian", {"entry": 10, "exit": 5, "allow_short": True}),
    ("combined", {}),
    ("dca", {"share": 0.05, "every_bars": 12}),
    ("random", {"seed": 5, "enter_chance": 0.2, "close_chance": 0.2, "allow_short": True}),
]


def test_these_are_all_ten() -> None:
    assert {key for key, _ in EACH_OF_THE_TEN} == set(registry()) - {"scripted"}


@pytest.mark.parametrize(("key", "params"), EACH_OF_THE_TEN)
def test_over_real_candles_it_trades_the_same_vectorised_and_asked_bar_by_bar(
    key: str, params: dict[str, Any]
) -> None:
    history = {coin: real_series(coin).slice(0, 3300) for coin in ("BTC", "ETH")}
    times = history["BTC"].open_time
    config = BacktestConfig(
        ("BTC", "ETH"), int(times[3000]), int(times[3299]), Interval.H1, Decimal(10_000),
        replace(FREE, fee_rate=Decimal("0.001"), risk=profile_named(RiskName.BALANCED)),
    )  # fmt: skip
    at_once = BacktestEngine(make_trader(key, config.coins, params), config).run_backtest(history)
    asked = AskedBarByBar(make_trader(key, config.coins, params))
    bar_by_bar = BacktestEngine(asked, config).run_backtest(history)
    assert len(at_once.entries) >= 2
    assert bar_by_bar.entries == at_once.entries
    assert bar_by_bar.refusal_counts == at_once.refusal_counts
