"""Rule strategies: vectorised and bar by bar they say the same; parameters; finding them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backtest_inputs import bars
from real_klines import real_series

import ledger
import strategies
from domain import (
    AccountInfo,
    CoinMarket,
    Decision,
    Fill,
    FillKind,
    KlineSeries,
    Portfolio,
    Side,
    Signal,
)
from errors import InvalidInput
from ledger import Account
from strategies import Strategy, make_trader, registry
from strategies.base import crosses_above
from strategies.scripted import ScriptedTrader

FLAT = ledger.value(Account.opened_with(Decimal(10_000)), {})


def holding(side: Side | None) -> Portfolio:
    account = Account.opened_with(Decimal(10_000))
    if side is not None:
        fill = Fill(FillKind.OPEN, "BTC", side, Decimal(1), Decimal(100), 0)
        account, _ = ledger.post(account, fill)
    return ledger.value(account, {})


def asked_at(time_ms: int, previous_ms: int | None = None, started_ms: int = 0) -> AccountInfo:
    return AccountInfo(time_ms, started_ms, Decimal(10_000), 0.0, previous_ms)


def signals_of(decisions: Any) -> list[Signal]:
    return [decision.signal for decision in decisions.get("BTC", [])]


EVERY_STRATEGY: list[tuple[str, dict[str, Any]]] = [
    ("buy_and_hold", {}),
    ("ma_cross", {}),
    ("ma_cross", {"fast": 5, "slow": 12, "allow_short": True}),
    ("ma_cross", {"fast": 3, "slow": 8, "kind": "ema", "allow_short": True}),
    ("random", {"seed": 3, "enter_chance": 0.3, "close_chance": 0.3, "allow_short": True}),
    ("rsi", {}),
    ("rsi", {"length": 5, "oversold": 40, "overbought": 60, "allow_short": True}),
    ("macd", {}),
    ("macd", {"fast": 3, "slow": 8, "signal": 4, "allow_short": True}),
    ("bollinger", {}),
    ("bollinger", {"length": 8, "width": 1.5, "allow_short": True}),
    ("donchian", {}),
    ("donchian", {"entry": 6, "exit": 3, "allow_short": True}),
    ("combined", {}),
    (
        "combined",
        {"bollinger": True, "donchian": True, "votes": 3, "window": 12, "allow_short": True},
    ),
]


@pytest.mark.parametrize(("key", "params"), EVERY_STRATEGY)
def test_the_answers_bar_by_bar_are_those_of_the_whole_history(
    key: str, params: dict[str, Any]
) -> None:
    trader = make_trader(key, ("BTC",), params)
    assert isinstance(trader, Strategy)
    first = max(350, 3 * trader.history_bars // 2)
    klines = real_series("BTC").slice(0, first + 350)
    whole = trader.signals("BTC", klines)
    spoken = 0
    for last in range(first, len(klines)):
        seen = klines.slice(max(0, last + 1 - trader.history_bars), last + 1)
        market = {"BTC": CoinMarket(Decimal(repr(float(seen.close[-1]))), seen)}
        at = int(seen.open_time[-1]) + seen.interval.milliseconds
        for held in (None, Side.LONG, Side.SHORT):
            said = trader.make_decision(market, holding(held), asked_at(at))
            expected = trader.decide(*whole.at(last, held), held)
            assert said.get("BTC", []) == expected
            spoken += bool(expected)
    assert spoken > 0


def test_a_bar_is_acted_on_once() -> None:
    trader = make_trader("buy_and_hold", ("BTC",))
    klines = bars([100.0, 101.0])
    market = {"BTC": CoinMarket(Decimal(101), klines)}
    closed_at = int(klines.open_time[-1]) + klines.interval.milliseconds
    assert trader.make_decision(market, FLAT, asked_at(closed_at, closed_at - 1))
    assert not trader.make_decision(market, FLAT, asked_at(closed_at + 5, closed_at))
    assert not trader.make_decision(
        {"BTC": CoinMarket(Decimal(101), klines.slice(0, 0))}, FLAT, asked_at(closed_at)
    )


class TestDecide:
    def decide(self, *signals: bool, held: Side | None) -> list[Signal]:
        trader = make_trader("ma_cross", ("BTC",))
        assert isinstance(trader, Strategy)
        return [decision.signal for decision in trader.decide(*signals, held)]

    def test_flat(self) -> None:
        assert self.decide(True, False, False, held=None) == [Signal.BUY_TO_ENTER]
        assert self.decide(False, True, False, held=None) == [Signal.SELL_TO_ENTER]
        assert self.decide(False, False, True, held=None) == []

    def test_held(self) -> None:
        assert self.decide(True, False, False, held=Side.LONG) == []
        assert self.decide(False, False, True, held=Side.LONG) == [Signal.CLOSE_POSITION]
        turn = [Signal.CLOSE_POSITION, Signal.SELL_TO_ENTER]
        assert self.decide(False, True, True, held=Side.LONG) == turn
        assert self.decide(False, True, False, held=Side.SHORT) == []


def test_weight_is_shared_equally_by_the_coins() -> None:
    trader = make_trader("ma_cross", ("BTC", "ETH", "SOL", "XRP"), {"weight": 0.8, "leverage": 3})
    assert isinstance(trader, Strategy)
    decision = trader.entry(Side.SHORT)
    assert (decision.signal, decision.weight, decision.leverage) == (
        Signal.SELL_TO_ENTER,
        Decimal("0.2"),
        Decimal(3),
    )


def test_a_cross_is_from_below_or_touching_to_above() -> None:
    nan = np.nan
    fast = np.array([nan, 1.0, 2.0, 3.0, 2.0, 2.0, 3.0])
    slow = np.array([nan, nan, 2.0, 2.0, 2.0, 3.0, 2.0])
    assert np.flatnonzero(crosses_above(fast, slow)).tolist() == [3, 6]
    assert not crosses_above(fast[:1], slow[:1]).any()


class TestMovingAverageCross:
    def test_enters_on_the_bar_that_crosses_and_closes_on_the_one_that_crosses_back(self) -> None:
        klines = bars([10.0, 9.0, 8.0, 12.0, 13.0, 9.0, 5.0])
        trader = make_trader("ma_cross", ("BTC",), {"fast": 1, "slow": 3})
        assert isinstance(trader, Strategy)
        signals = trader.signals("BTC", klines)
        assert np.flatnonzero(signals.enter_long).tolist() == [3]
        assert np.flatnonzero(signals.close).tolist() == [5]
        assert not signals.enter_short.any()
        shorting = make_trader("ma_cross", ("BTC",), {"fast": 1, "slow": 3, "allow_short": True})
        assert isinstance(shorting, Strategy)
        np.testing.assert_array_equal(shorting.signals("BTC", klines).enter_short, signals.close)

    def test_asks_for_the_bars_that_a_cross_depends_on(self) -> None:
        assert make_trader("ma_cross", ("BTC",)).history_bars == 51
        ema = make_trader("ma_cross", ("BTC",), {"kind": "ema"})
        assert ema.history_bars > 20 * 50


class TestRandomTrader:
    def trader(self, **params: Any) -> Strategy:
        trader = make_trader("random", ("BTC",), params)
        assert isinstance(trader, Strategy)
        return trader

    def klines(self) -> KlineSeries:
        return bars([100.0] * 5000)

    def test_the_same_seed_says_the_same_and_another_something_else(self) -> None:
        klines = self.klines()
        first, again, other = (
            self.trader(seed=seed).signals("BTC", klines).enter_long for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert (first != self.trader(seed=1).signals("ETH", klines).enter_long).any()

    def test_acts_as_often_as_its_chances_say(self) -> None:
        signals = self.trader(enter_chance=0.2, close_chance=0.1, allow_short=True).signals(
            "BTC", self.klines()
        )
        assert signals.close.mean() == pytest.approx(0.1, abs=0.02)
        entries = signals.enter_long | signals.enter_short
        assert entries.mean() == pytest.approx(0.2 * 0.9, abs=0.02)
        assert signals.enter_short.sum() == pytest.approx(entries.sum() / 2, rel=0.1)
        assert not (signals.enter_long & signals.enter_short).any()
        assert not (entries & signals.close).any()


class TestScriptedTrader:
    def trader(self, *decisions: dict[str, Any]) -> ScriptedTrader:
        trader = make_trader("scripted", ("BTC",), {"decisions": list(decisions)})
        assert isinstance(trader, ScriptedTrader)
        return trader

    def test_says_everything_since_it_was_last_asked(self) -> None:
        trader = self.trader(
            {"time": 3000, "coin": "BTC", "signal": "close_position"},
            {"time": "1970-01-01T00:00:01Z", "coin": "BTC", "signal": "hold"},
            {"time": 2000, "coin": "BTC", "signal": "buy_to_enter", "quantity": "0.5"},
        )
        assert signals_of(trader.make_decision({}, FLAT, asked_at(2000))) == [
            Signal.HOLD,
            Signal.BUY_TO_ENTER,
        ]
        later = trader.make_decision({}, FLAT, asked_at(9000, previous_ms=2000))
        assert signals_of(later) == [Signal.CLOSE_POSITION]
        started_late = trader.make_decision({}, FLAT, asked_at(9000, started_ms=2000))
        assert signals_of(started_late) == [Signal.BUY_TO_ENTER, Signal.CLOSE_POSITION]

    def test_takes_every_term_of_a_decision_exactly(self) -> None:
        trader = self.trader(
            {
                "time": "2024-01-01T01:00:00+01:00",
                "coin": "BTC",
                "signal": "sell_to_enter",
                "weight": "0.1",
                "leverage": 3,
                "profit_target": "90.10",
                "stop_loss": "110.05",
                "trailing_stop_pct": 2.5,
                "confidence": 0.7,
                "justification": "because",
            }
        )
        ((time_ms, coin, decision),) = trader.script
        assert (time_ms, coin) == (1_704_067_200_000, "BTC")
        assert decision == Decision(
            Signal.SELL_TO_ENTER,
            weight=Decimal("0.1"),
            leverage=Decimal(3),
            profit_target=Decimal("90.10"),
            stop_loss=Decimal("110.05"),
            trailing_stop_pct=Decimal("2.5"),
            confidence=0.7,
            justification="because",
        )

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"time": "soon"}, "params.decisions.0.time"),
            ({"time": True}, "params.decisions.0.time"),
            ({"time": 10**30}, "params.decisions.0.time"),
            ({"signal": "buy"}, "params.decisions.0.signal"),
            ({"quantity": -1}, "params.decisions.0.quantity"),
            ({"quantity": "NaN"}, "params.decisions.0.quantity"),
            ({"quantity": float("inf")}, "params.decisions.0.quantity"),
            ({"leverage": 0}, "params.decisions.0.leverage"),
            ({"leverage": "10x"}, "params.decisions.0.leverage"),
            ({"leverage": 126}, "params.decisions.0.leverage"),
            ({"confidence": float("nan")}, "params.decisions.0.confidence"),
            ({"trailing_stop_pct": 100}, "params.decisions.0.trailing_stop_pct"),
            ({"quantity": None}, "params.decisions.0"),
            ({"notional": 5}, "params.decisions.0"),
            ({"colour": "red"}, "params.decisions.0.colour"),
        ],
    )
    def test_a_bad_decision_is_named(self, change: dict[str, Any], field: str) -> None:
        good = {"time": 0, "coin": "BTC", "signal": "buy_to_enter", "quantity": 1}
        self.trader(good)
        with pytest.raises(InvalidInput) as error:
            self.trader({**good, **change})
        assert field in error.value.fields


@pytest.mark.parametrize(
    ("key", "params", "field"),
    [
        ("ma_cross", {"fast": 50, "slow": 20}, "params"),
        ("ma_cross", {"fast": 0}, "params.fast"),
        ("ma_cross", {"fast": "x"}, "params.fast"),
        ("ma_cross", {"kind": "wma"}, "params.kind"),
        ("ma_cross", {"speed": 1}, "params.speed"),
        ("buy_and_hold", {"weight": 1.1}, "params.weight"),
        ("buy_and_hold", {"weight": float("nan")}, "params.weight"),
        ("buy_and_hold", {"leverage": 0.5}, "params.leverage"),
        ("random", {"seed": -1}, "params.seed"),
        ("random", {"enter_chance": 2}, "params.enter_chance"),
        ("rsi", {"oversold": 70, "overbought": 70}, "params"),
        ("rsi", {"oversold": 0}, "params.oversold"),
        ("rsi", {"length": 1}, "params.length"),
        ("rsi", {"length": 201}, "params.length"),
        ("macd", {"fast": 26, "slow": 26}, "params"),
        ("macd", {"fast": 1}, "params.fast"),
        ("macd", {"signal": 1.5}, "params.signal"),
        ("bollinger", {"length": 1}, "params.length"),
        ("bollinger", {"width": 0.5}, "params.width"),
        ("bollinger", {"width": float("inf")}, "params.width"),
        ("donchian", {"entry": 10, "exit": 11}, "params"),
        ("donchian", {"exit": 1}, "params.exit"),
        ("combined", {"votes": 4}, "params"),
        ("combined", {"ma_cross": False, "macd": False, "rsi": False, "votes": 1}, "params"),
        ("combined", {"votes": 0}, "params.votes"),
        ("combined", {"rsi": "perhaps"}, "params.rsi"),
        ("combined", {"window": 0}, "params.window"),
        ("dca", {"share": 0}, "params.share"),
        ("dca", {"every_bars": 0}, "params.every_bars"),
        ("dca", {"weight": 0.5}, "params.weight"),
        ("equal_weight", {"rebalance_bars": 0}, "params.rebalance_bars"),
        ("equal_weight", {"tolerance": -0.1}, "params.tolerance"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_name(
    key: str, params: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        make_trader(key, ("BTC",), params)
    assert error.value.code == "invalid_input"
    assert list(error.value.fields) == [field]


def test_an_unknown_trader_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput) as error:
        make_trader("oracle", ("BTC",))
    assert error.value.code == "unknown_trader"
    assert "ma_cross" in error.value.message


def test_every_trader_describes_itself() -> None:
    assert set(registry()) >= {
        "bollinger", "buy_and_hold", "combined", "dca", "donchian", "equal_weight", "ma_cross",
        "macd", "random", "rsi", "scripted",
    }  # fmt: skip
    for key, trader_class in registry().items():
        assert trader_class.key == key
        assert trader_class.name
        assert trader_class.description
        assert trader_class.params_schema()["type"] == "object"


OWN_STRATEGY = '''
"""Buys after a fall."""

from domain import KlineSeries
from strategies.base import Signals, Strategy


class BuyTheDip(Strategy):
    """Enters after a bar that fell, closes after one that rose."""

    key = "{key}"
    name = "Buy the dip"
    description = "Buys after a fall."

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        rose = klines.close > klines.open
        return Signals(klines.close < klines.open, Signals.none(len(klines)).enter_short, rose)
'''


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that counts as part of strategies/."""
    monkeypatch.setattr(strategies, "__path__", [*strategies.__path__, str(tmp_path)])
    registry.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    registry.cache_clear()


def test_a_strategy_of_ones_own_is_found_by_dropping_its_file_in(own_folder: Path) -> None:
    (own_folder / "buy_the_dip_of_a_test.py").write_text(OWN_STRATEGY.format(key="dip"))
    trader = make_trader("dip", ("BTC",), {"weight": 0.5})
    assert isinstance(trader, Strategy)
    signals = trader.signals("BTC", bars([(10, 10, 9, 9), (9, 11, 9, 10)]))
    assert signals.enter_long.tolist() == [True, False]
    assert signals.close.tolist() == [False, True]
    assert "ma_cross" in registry()


def test_two_traders_of_one_key_are_an_error(own_folder: Path) -> None:
    (own_folder / "second_random_of_a_test.py").write_text(OWN_STRATEGY.format(key="random"))
    with pytest.raises(ValueError, match="both named 'random'"):
        registry()
