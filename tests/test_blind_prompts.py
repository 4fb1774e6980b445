"""Blind runs: nothing in a prompt tells coin, date or price, and decisions come back exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backtest_inputs import START_MS, bars
from hypothesis import given
from hypothesis import strategies as st
from llm_inputs import LlmDesk, account_info, database_at, market, portfolio, position
from test_backtest_candles import resolved_run

from backtest_run import BacktestResult
from backtest_worker import run_engine
from blind_prompts import SHOWN_START_MS, Blinding, BlindTrader, price_factor
from clock import ManualClock
from domain import (
    DAY_MS,
    Comparison,
    Decision,
    Entry,
    Fill,
    FillKind,
    Interval,
    KlineSeries,
    PriceCondition,
    Side,
    Signal,
)
from exchange_simulator.server import SimulatorServer
from llm_backtests import make_llm_trader
from recorded_answers import Replay
from repositories import backtests

PRICES = {"BTC": 61234.5, "PEPE": 0.00000712, "ETH": 3000.12}
BLIND = Blinding.of(PRICES, START_MS)


@given(st.floats(1e-9, 1e9))
def test_factors_bring_prices_near_100_and_have_finite_inverses(price: float) -> None:
    factor = price_factor(price)
    assert 88 < float(factor) * price < 114
    assert (1 / factor) * factor == 1
    assert len((1 / factor).as_tuple().digits) < 12


@given(
    st.sampled_from(sorted(PRICES)),
    st.decimals("1e-8", "1e9", places=8, allow_nan=False),
    st.decimals("1e-8", "1e9", places=8, allow_nan=False),
)
def test_what_is_decided_comes_back_to_the_last_digit(
    coin: str, price: Decimal, quantity: Decimal
) -> None:
    factor = BLIND.factors[coin]
    shown = Decision(
        Signal.BUY_TO_ENTER, quantity=quantity / factor, stop_loss=price * factor,
        profit_target=price * factor, leverage=Decimal(2), trailing_stop_pct=Decimal(3),
        invalidation_condition=PriceCondition(Interval.H1, Comparison.BELOW, price * factor),
    )  # fmt: skip
    (back,) = BLIND.decisions({BLIND.names[coin]: shown})[coin]
    assert (back.quantity, back.stop_loss, back.profit_target) == (quantity, price, price)
    assert back.invalidation_condition is not None
    assert back.invalidation_condition.level == price
    assert (back.leverage, back.trailing_stop_pct) == (2, 3)


def test_money_and_shares_are_shown_as_they_are() -> None:
    decision = Decision(Signal.SELL_TO_ENTER, notional=Decimal(500))
    assert BLIND.decisions({"COIN1": decision})["BTC"] == (decision,)
    held = position("BTC", stop_loss=Decimal(59_000))
    shown = BLIND.portfolio(portfolio(held)).positions["COIN1"]
    assert (shown.cost, shown.margin, shown.leverage) == (held.cost, held.margin, held.leverage)
    assert shown.quantity * shown.entry_price == held.cost
    assert shown.exits.stop_loss == 59_000 * BLIND.factors["BTC"]


def test_times_move_by_whole_weeks_into_2001() -> None:
    assert BLIND.shift_ms % (7 * DAY_MS) == 0
    assert SHOWN_START_MS <= START_MS + BLIND.shift_ms < SHOWN_START_MS + 7 * DAY_MS


@pytest.fixture
def desk(tmp_path: Path, simulator: SimulatorServer) -> LlmDesk:
    simulator.faults.clear()
    simulator.llm.script.clear()
    simulator.llm.asked.clear()
    return LlmDesk(database_at(tmp_path / "blind.db"), simulator.llm_url)


def test_a_blind_prompt_names_no_coin_no_year_and_no_price(desk: LlmDesk) -> None:
    trader = desk.trader(language="en", advice="rsi")
    coins = ("BTC", "ETH", "PEPE")
    blinding = Blinding.of({"BTC": 61234.5, "ETH": 3000.12, "PEPE": 0.00000712}, START_MS)
    trader.terms = replace(trader.terms, coins=tuple(blinding.names.values()), names={})
    fill = Fill(FillKind.CLOSE, "ETH", Side.LONG, Decimal("0.5"), Decimal("2950.5"), START_MS)
    entry = Entry(fill, Decimal(1), Decimal(1), Decimal(9_000))
    held = portfolio(position("BTC", stop_loss=Decimal("59123.4")))
    shown: list[Any] = []

    class Seen:
        history_bars = 24

        def make_decision(self, *question: Any) -> Mapping[str, Decision]:
            shown.append(trader.prompt(*question))
            return {}

    BlindTrader(Seen(), blinding).make_decision(
        market(*coins), held, account_info(recent_trades=(entry,))
    )
    user = shown[0].user
    for telling in (*coins, "2024", "Bitcoin", "61234", "3000.12", "2950.5", "59123", "0.00000712"):
        assert telling not in user, user
    assert "COIN1" in user
    assert "2001-" in user


# --------------------------------------------------------------------------- a whole blind run


def history() -> dict[str, KlineSeries]:
    draw = np.random.default_rng(5)
    found = {}
    for coin, price in (("BTC", 61234.5), ("PEPE", 0.00000712)):
        steps = np.exp(np.cumsum(draw.normal(0, 0.01, 48)))
        digits = "{:.2f}" if price > 1 else "{:.8f}"
        closes = [float(digits.format(price * step)) for step in steps]
        rows = [(c, c * 1.004, c * 0.996, c) for c in closes]
        found[coin] = bars(rows, start_ms=START_MS)
    return found


def decided(series: Mapping[str, KlineSeries], blinding: Blinding | None) -> list[str]:
    """The same trades, said of the coins as they are shown: sizes in coins, stops and targets."""
    answers = []
    for number in range(12):
        rows = []
        for coin, klines in series.items():
            price = Decimal(repr(float(klines.close[number * 4])))
            factor = Decimal(1) if blinding is None else blinding.factors[coin]
            if number % 3 == 2:
                rows.append({"signal": "close_position"})
            else:
                stop, target = price * Decimal("0.99"), price * Decimal("1.013")
                rows.append({
                    "signal": "buy_to_enter", "leverage": 2,
                    "quantity": f"{(Decimal(300) / price).quantize(Decimal('1e-9')) / factor:f}",
                    "stop_loss": f"{stop * factor:f}", "profit_target": f"{target * factor:f}",
                    "invalidation": f"close_1h < {stop * factor * Decimal('1.002'):f}",
                })  # fmt: skip
            rows[-1]["coin"] = coin if blinding is None else blinding.names[coin]
        answers.append(json.dumps({"decisions": rows}))
    return answers


def test_the_same_answers_make_the_same_trades_blind_or_not(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    series = history()
    plain = traded(desk, simulator, series, blind=False)
    blind = traded(desk, simulator, series, blind=True)
    assert len(plain.entries) > 12
    assert {entry.fill.reason.value for entry in plain.entries} > {"signal", "stop_loss"}
    assert blind.entries == plain.entries
    assert blind.refusal_counts == plain.refusal_counts
    user = simulator.llm.asked[-1].body["messages"][-1]["content"]
    assert "COIN2" in user
    assert "PEPE" not in user


def traded(
    desk: LlmDesk, simulator: SimulatorServer, series: Mapping[str, KlineSeries], *, blind: bool
) -> BacktestResult:
    resolved = resolved_run(
        ["BTC", "PEPE"], desk.database, desk.provider.id, blind=blind, replay=Replay.OFF
    )
    firsts = {coin: float(klines.close[0]) for coin, klines in series.items()}
    simulator.llm.say(*decided(series, Blinding.of(firsts, resolved.start_ms) if blind else None))
    with desk.database.transaction() as connection:
        config = resolved.model_dump(mode="json")
        backtest_id = backtests.add(connection, config, f"hash-{blind}", None, 0)
    trader = make_llm_trader(
        resolved.run_terms(), firsts, desk.database, backtest_id, desk.clients, lambda: True,
        ManualClock(0),
    )  # fmt: skip
    return run_engine(trader, resolved, series, {}, lambda share: None)
