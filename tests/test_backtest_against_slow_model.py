"""The engine's jumps from event to event against a plain loop over the bars, on random runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from backtest_inputs import FREE, START_MS, run
from slow_backtest import SlowBacktest

from backtest_run import FillTiming, Funding
from domain import HOUR_MS, FillKind, Interval, KlineSeries, Reason
from strategies import make_trader
from timestamps import iso_utc

RUNS = 120
WARMUP = 20
BARS = 260


def random_history(draw: np.random.Generator) -> dict[str, KlineSeries]:
    """Two coins whose prices jump between bars, each with bars missing; ETH is listed later."""
    history = {}
    for coin, start, listed in (("BTC", 30_000.0, 0), ("ETH", 2_000.0, WARMUP + 15)):
        closes = start * np.exp(np.cumsum(draw.normal(0, 0.012, BARS)))
        gaps = np.where(draw.random(BARS) < 0.05, draw.normal(0, 0.05, BARS), 0.0)
        opens = np.concatenate(([start], closes[:-1])) * (1 + gaps)
        wicks = np.abs(draw.normal(0, 0.008, (2, BARS)))
        highs = np.maximum(opens, closes) * (1 + wicks[0])
        lows = np.minimum(opens, closes) * (1 - wicks[1])
        times = START_MS + (np.arange(BARS, dtype=np.int64) - WARMUP) * HOUR_MS
        kept = (np.arange(BARS) >= listed) & (draw.random(BARS) > 0.06)
        columns = (np.round(column, 3)[kept] for column in (opens, highs, lows, closes))
        history[coin] = KlineSeries(
            Interval.H1, times[kept], *columns, np.ones(int(kept.sum())), source="random"
        )
    return history


def random_script(
    draw: np.random.Generator, history: dict[str, KlineSeries]
) -> list[dict[str, Any]]:
    """Entries with every kind of size and exit, adds, partial and whole closes.

    At most one batch a bar and coin: on the bars' times, or always between two.
    """
    decisions: list[dict[str, Any]] = []
    offset = int(draw.choice([0, 1_234_567]))
    for hour in range(BARS - WARMUP):
        for coin, series in history.items():
            if draw.random() > 0.12:
                continue
            time_ms = START_MS + hour * HOUR_MS + offset
            past = series.close[series.open_time < max(time_ms, series.open_time[0] + 1)]
            decisions += _batch(draw, time_ms, coin, float(past[-1]))
    return sorted(decisions, key=lambda d: d["time_ms"])


def _batch(
    draw: np.random.Generator, time_ms: int, coin: str, price: float
) -> list[dict[str, Any]]:
    base = {"time_ms": time_ms, "coin": coin}
    kind = draw.random()
    if kind < 0.25:
        return [{**base, "signal": "close_position"}]
    if kind < 0.35:
        part = round(float(draw.uniform(0.01, 0.5)) * 5_000 / price, 6)
        return [{**base, "signal": "close_position", "quantity": part}]
    sign = 1 if draw.random() < 0.5 else -1
    entry = {**base, "signal": "buy_to_enter" if sign > 0 else "sell_to_enter"}
    entry["leverage"] = int(draw.choice([1, 2, 5, 20, 50]))
    size = draw.random()
    if size < 0.3:
        entry["quantity"] = round(float(draw.uniform(0.05, 1.2)) * 5_000 / price, 6)
    elif size < 0.5:
        entry["notional"] = round(float(draw.uniform(100, 9_000)), 2)
    else:
        entry["weight"] = round(float(draw.uniform(0.05, 0.7)), 3)
    if draw.random() < 0.5:
        entry["stop_loss"] = round(price * (1 - sign * float(draw.uniform(0.005, 0.08))), 2)
    if draw.random() < 0.4:
        entry["profit_target"] = round(price * (1 + sign * float(draw.uniform(0.01, 0.1))), 2)
    if draw.random() < 0.4:
        entry["trailing_stop_pct"] = round(float(draw.uniform(0.5, 6)), 1)
    if kind > 0.85:
        return [{**base, "signal": "close_position"}, entry]
    return [entry]


def as_params(decisions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "decisions": [
            {
                **{key: value for key, value in decision.items() if key != "time_ms"},
                "time": iso_utc(decision["time_ms"]),
            }
            for decision in decisions
        ]
    }


def test_random_scripts_come_out_the_same() -> None:
    seen: Counter[str] = Counter()
    for seed in range(RUNS):
        draw = np.random.default_rng(seed)
        history = random_history(draw)
        decisions = random_script(draw, history)
        fee_rate, slippage_bps = draw.choice([0.0, 0.001]), draw.choice([0, 7])
        at_close, funded = bool(draw.random() < 0.4), bool(draw.random() < 0.5)
        liquidated = bool(draw.random() < 0.8)
        rate = float(draw.choice([0.0001, -0.0003, 0.02]))
        slow = SlowBacktest(
            history,
            START_MS,
            decisions,
            fee_rate=float(fee_rate),
            slippage=float(slippage_bps) / 10_000,
            at_close=at_close,
            maintenance=0.005 if liquidated else None,
            funding_rate=rate if funded else None,
        ).run()
        rules = replace(
            FREE,
            fee_rate=Decimal(str(fee_rate)),
            slippage_bps=Decimal(int(slippage_bps)),
            maintenance_margin_rate=Decimal("0.005") if liquidated else None,
        )
        result = run(
            make_trader("scripted", tuple(history), as_params(decisions)),
            history,
            rules=rules,
            fill=FillTiming.CLOSE if at_close else FillTiming.NEXT_OPEN,
            funding=Funding(Decimal(str(rate))) if funded else None,
        )
        booked = [
            (
                fill.kind if fill.reason in (Reason.SIGNAL, Reason.FUNDING) else fill.reason,
                fill.coin,
                fill.time_ms,
            )
            for fill in (entry.fill for entry in result.entries)
        ]
        expected = [(trade.kind, trade.coin, trade.time_ms) for trade in slow.trades]
        assert sorted(booked, key=_by_time) == sorted(expected, key=_by_time), seed
        order = {coin: [e.fill for e in result.entries if e.fill.coin == coin] for coin in history}
        for coin, fills in order.items():
            trades = [trade for trade in slow.trades if trade.coin == coin]
            for name in ("quantity", "price", "fee"):
                np.testing.assert_allclose(
                    [float(getattr(fill, name)) for fill in fills],
                    [getattr(trade, name) for trade in trades],
                    rtol=1e-7,
                    atol=1e-7,
                    err_msg=f"{seed} {coin} {name}",
                )
        np.testing.assert_allclose(
            result.equity, slow.equity, rtol=1e-8, atol=1e-6, err_msg=str(seed)
        )
        np.testing.assert_allclose(result.cash, slow.cash_curve, rtol=1e-7, atol=1e-5)
        reasons = Counter((outcome.coin, str(outcome.reason)) for _, outcome in result.refusals)
        assert reasons == Counter(slow.refusals), seed
        seen.update(str(kind) for kind, _, _ in booked)
        seen.update(reason for _, reason in slow.refusals)
    # The runs must have been through everything there is.
    for kind in (
        *(FillKind.OPEN, FillKind.CLOSE, FillKind.FUNDING, FillKind.LIQUIDATION),
        *(Reason.STOP_LOSS, Reason.PROFIT_TARGET, Reason.TRAILING_STOP),
        *("no_position", "opposite_position_open", "insufficient_cash"),
        *("stop_on_wrong_side", "target_on_wrong_side"),
    ):
        assert seen[kind] >= 10, (kind, seen)


def _by_time(line: tuple[str, str, int]) -> tuple[int, str]:
    return line[2], line[1]


@pytest.mark.parametrize("seed", range(3))
def test_the_future_changes_nothing_earlier(seed: int) -> None:
    draw = np.random.default_rng(1000 + seed)
    history = random_history(draw)
    trader = make_trader("scripted", tuple(history), as_params(random_script(draw, history)))
    whole = run(trader, history)
    for bars in (60, 117, 200):
        end = START_MS + bars * HOUR_MS
        cut = {coin: series.between(0, end) for coin, series in history.items()}
        short = run(trader, cut)
        known = [entry for entry in whole.entries if entry.fill.time_ms <= end]
        # What fills at the open of the first bar that was cut off is not there yet.
        late = [entry for entry in known if entry not in short.entries]
        assert [entry for entry in known if entry in short.entries] == list(short.entries)
        assert all(entry.fill.time_ms == end for entry in late)
        np.testing.assert_array_equal(whole.equity[: len(short.equity)], short.equity)
