"""A run that cannot be is an error with its reason: no candles, gaps, no warm-up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from backtest_inputs import START_MS, bars

from backtest_candles import check_candles
from backtest_request import ResolvedBacktest
from database import Database
from domain import HOUR_MS, Interval
from errors import InvalidInput
from exchange_simulator.llm_answers import STEADY
from llm_run_terms import resolve_terms


def resolved_run(
    coins: list[str], database: Database | None = None, provider_id: int = 1, **terms: Any
) -> ResolvedBacktest:
    """Two days from START_MS; with a database, of an LLM asked every fourth hour."""
    llm_fields = {name: terms.pop(name) for name in ("blind", "replay") if name in terms}
    params: dict[str, Any] = {"retries": 0, "history_bars": 12} if database else {}
    llm = None
    if database is not None:
        asked = {"provider_id": provider_id, "model_name": STEADY, **llm_fields}
        llm = resolve_terms(database, asked, coins, Interval.H1, params)
    return ResolvedBacktest(
        start_date=date(2024, 1, 1), end_date=date(2024, 1, 2), interval=Interval.H1,
        decide_every=4 if database else 1, trader="ai" if database else "ma_cross", params=params,
        coins=coins, risk="off", source="binance", llm=llm, trade_fee_rate=Decimal("0.001"),
        **terms,
    )  # fmt: skip


def refused(pattern: list[float | None], **terms: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as refusal:
        check_candles(resolved_run(["BTC"], **terms), {"BTC": bars(pattern)})
    return refusal.value


def test_no_candles_in_the_range_are_no_run() -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_candles(
            resolved_run(["BTC"]), {"BTC": bars([1.0] * 3, start_ms=START_MS - 3 * HOUR_MS)}
        )
    assert refusal.value.code == "no_data"


def test_more_than_a_quarter_missing_is_no_run_by_default() -> None:
    error = refused([1.0] * 10 + [None] * 6 + [1.0] * 6)
    assert (error.code, list(error.fields)) == ("gaps", ["max_missing_share"])
    assert "lacks 6 bars" in error.message
    check_candles(resolved_run(["BTC"]), {"BTC": bars([1.0] * 12 + [None] * 6 + [1.0] * 6)})


def test_a_gap_in_one_place_can_be_limited() -> None:
    pattern = [1.0] * 20 + [None] * 3 + [1.0] * 20
    error = refused(pattern, max_gap_bars=2)
    assert (error.code, list(error.fields)) == ("gaps", ["max_gap_bars"])
    assert "from 2024-01-01T20:00:00Z" in error.message
    check_candles(resolved_run(["BTC"], max_gap_bars=3), {"BTC": bars(pattern)})


def test_a_coin_that_is_listed_later_has_no_gap_before_it() -> None:
    check_candles(
        resolved_run(["BTC"], max_missing_share=0, max_gap_bars=0),
        {"BTC": bars([1.0] * 5, start_ms=START_MS + 30 * HOUR_MS)},
    )


def test_warm_up_that_was_asked_for_has_to_be_there() -> None:
    before = bars([1.0] * 30, start_ms=START_MS - 9 * HOUR_MS)
    with pytest.raises(InvalidInput) as refusal:
        check_candles(resolved_run(["BTC"], warmup_bars=10), {"BTC": before})
    assert (refusal.value.code, refusal.value.fields) == (
        "warmup_missing", {"warmup_bars": "BTC has 9"},
    )  # fmt: skip
    check_candles(resolved_run(["BTC"], warmup_bars=9), {"BTC": before})
    check_candles(resolved_run(["BTC"]), {"BTC": before})  # the trader's own need is a warning
