"""The audit passes every shipped strategy and names the leaks that are planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from backtest_inputs import bars

from backtest_audit import Leak, copied, first_leak, generated_history
from domain import AccountInfo, Decision, Decisions, KlineSeries, MarketState, Portfolio, Signal
from strategies import RuleTrader, make_trader, registry
from strategies.base import PositionParams, Signals, Strategy

SHIPPED = sorted(registry().keys() - {"scripted"})


@pytest.mark.parametrize("key", SHIPPED)
def test_no_shipped_strategy_sees_the_future(key: str) -> None:
    history = generated_history()
    assert first_leak(lambda: make_trader(key, tuple(history)), history, cuts=60) is None


class Leaky(Strategy):
    """Enters long where `above` says so."""

    key = "leaky"
    name = "Leaky"
    description = "Sees the future."
    Params = PositionParams

    def above(self, klines: KlineSeries) -> Any:
        raise NotImplementedError

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        enters = self.above(klines)
        none = Signals.none(len(klines))
        return Signals(enters, none.enter_short, ~enters)


class TomorrowsClose(Leaky):
    def above(self, klines: KlineSeries) -> Any:
        return np.append(klines.close[1:] > klines.close[:-1], False)


class CentredWindow(Leaky):
    def above(self, klines: KlineSeries) -> Any:
        padded = np.pad(klines.close, 2, mode="edge")
        return klines.close > np.convolve(padded, np.ones(5) / 5, "valid")


class WholeRange(Leaky):
    def above(self, klines: KlineSeries) -> Any:
        return klines.close > (klines.close.min() + klines.close.max()) / 2


class NegativeShift(Leaky):
    def above(self, klines: KlineSeries) -> Any:
        return np.roll(klines.close, -3) > klines.close


class HighInTheOpen(Leaky):
    """Would enter at the open of a bar because of that bar's high."""

    def above(self, klines: KlineSeries) -> Any:
        return np.append(klines.high[1:] > klines.open[1:] * 1.01, False)


@pytest.mark.parametrize(
    "trader", [TomorrowsClose, CentredWindow, WholeRange, NegativeShift, HighInTheOpen]
)
def test_planted_leaks_are_named(trader: type[Leaky]) -> None:
    history = generated_history(coins=1)
    leak = first_leak(lambda: trader(("C0",)), history)
    assert leak is not None
    assert leak.coin == "C0"
    assert leak.open_time == history["C0"].open_time[leak.bar]


def test_the_first_leaking_bar_is_named() -> None:
    series = bars([100, 100, 100, 101, 102, 103])  # the first rise that can be seen ahead is at 2
    leak = first_leak(lambda: TomorrowsClose(("BTC",)), {"BTC": series})
    assert leak == Leak("BTC", 2, int(series.open_time[2]), "enter_long")


class Peeping(RuleTrader):
    """Decides in its own way, and reaches behind the views that it is shown."""

    key = "peeping"
    name = "Peeping"
    description = "Looks behind its views."
    Params = PositionParams

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        decisions: dict[str, Decision] = {}
        for coin, shown in market_state.items():
            behind = shown.klines.close.base
            whole = shown.klines.close if behind is None else behind
            if whole[-1] > shown.klines.close[-1]:
                decisions[coin] = Decision(Signal.BUY_TO_ENTER)
        return decisions


def test_a_trader_that_reaches_behind_its_views_is_caught() -> None:
    history = {"C0": copied(generated_history(coins=1)["C0"])}  # each column the base of its views
    leak = first_leak(lambda: Peeping(("C0",)), history)
    assert leak is not None
    assert leak.what == "decision"


def test_the_same_trader_with_nothing_behind_its_views_passes() -> None:
    history: Mapping[str, KlineSeries] = {"BTC": bars([100, 101])}
    make: Callable[[], RuleTrader] = lambda: make_trader("ma_cross", ("BTC",))  # noqa: E731
    assert first_leak(make, history) is None
