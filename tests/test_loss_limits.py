"""Limits of loss: what they count from, when they hold, and the same in a backtest's arrays."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from backtest_inputs import FREE, bars, buy, run, script

from backtest_losses import BacktestLosses
from domain import DAY_MS, HOUR_MS
from loss_limits import DAILY_LOSS, DRAWDOWN, LossWatch, watched
from paper_execution import ExecutionRules
from risk_limits import PROFILES, RiskName, RiskProfile, limits_of

BALANCED = PROFILES[RiskName.BALANCED]  # 10 % a day, 50 % from the peak
MIDNIGHT = 19_800 * DAY_MS


def after(*seen: tuple[float, int], watch: LossWatch | None = None) -> LossWatch:
    """The watch after these (hours, value)."""
    watch = watch or LossWatch.begun(Decimal(1000), MIDNIGHT)
    for hours, value in seen:
        watch = watched(watch, Decimal(value), MIDNIGHT + round(hours * HOUR_MS), BALANCED)
    return watch


def limit(watch: LossWatch, hours: float) -> str | None:
    return watch.limit_at(MIDNIGHT + round(hours * HOUR_MS))


def test_a_tenth_lost_in_a_day_pauses_until_midnight_also_when_it_comes_back():
    assert limit(after((1, 901)), 1) is None
    watch = after((1, 900))
    assert watch.paused_until == MIDNIGHT + DAY_MS
    watch = after((2, 1200), watch=watch)
    assert [limit(watch, hours) for hours in (2, 23.99, 24)] == [DAILY_LOSS, DAILY_LOSS, None]


def test_each_day_counts_from_its_own_first_value():
    watch = after((1, 900), (24, 850), (25, 800))
    assert limit(watch, 25) is None  # 5.9 % since midnight
    assert limit(after((26, 765), watch=watch), 26) == DAILY_LOSS


def test_gains_of_the_day_are_not_lost_again_by_a_tenth_of_the_start():
    assert limit(after((1, 1500), (2, 950)), 2) is None


def test_half_of_the_peak_lost_stops_it_for_good():
    watch = after((1, 1600), (30, 1400), (31, 800))
    assert (watch.stopped_reason, watch.stopped_at) == (DRAWDOWN, MIDNIGHT + 31 * HOUR_MS)
    watch = after((100, 5000), watch=watch)
    assert limit(watch, 1000) == DRAWDOWN


def test_without_a_profile_nothing_is_limited_and_the_peak_is_followed():
    watch = LossWatch.begun(Decimal(1000), MIDNIGHT)
    for value in (3000, 1):
        watch = watched(watch, Decimal(value), MIDNIGHT + 1, None)
    assert (watch.peak_value, watch.limit_at(MIDNIGHT + 2)) == (3000, None)


def test_a_clock_that_was_set_back_counts_the_day_anew():
    watch = after((1, 900))
    assert limit(after((-30, 900), watch=watch), -30) is None


@pytest.mark.parametrize("seed", range(6))
def test_a_backtests_arrays_say_the_same_as_the_watch_at_every_close(seed: int):
    random = np.random.default_rng(seed)
    equity = np.round(1000 * np.exp(np.cumsum(random.normal(-0.002, 0.02, 24 * 12))), 2)
    close_time = MIDNIGHT + (np.arange(len(equity), dtype=np.int64) + 1) * HOUR_MS
    losses = BacktestLosses(BALANCED, close_time, equity, np.zeros(len(equity)), 1000.0)
    watch = LossWatch.begun(Decimal(1000), MIDNIGHT)
    said, expected = [], []
    for bar, (time_ms, value) in enumerate(zip(close_time.tolist(), equity.tolist(), strict=True)):
        watch = watched(watch, Decimal(repr(value)), time_ms, BALANCED)
        if bar % 5 == 0 or watch.limit_at(time_ms):  # not asked at every bar
            said.append(losses.limit_at(bar + 1, time_ms, value))
            expected.append(watch.limit_at(time_ms))
    assert said == expected
    assert set(expected) & {DAILY_LOSS, DRAWDOWN}


# A coin at 100 for six hours falls to 40; the position is 1,000 of 10,000 at 2×.
FALLING = bars([100.0] * 6 + [40.0] * 42)
TERMS = {"max_position_pct": 20, "daily_loss_pct": 10, "max_drawdown_pct": 15}


def rules(risk: RiskProfile | None) -> ExecutionRules:
    return replace(FREE, risk=risk)


def test_a_backtest_enters_nothing_for_the_rest_of_the_day_and_then_again():
    trader = script(buy(0, quantity=40, leverage=2), buy(8, quantity=1), buy(30, quantity=1))
    risk = limits_of({**TERMS, "max_drawdown_pct": 90})
    result = run(trader, FALLING, rules=rules(risk))
    assert [(at, outcome.reason) for at, outcome in result.refusals] == [
        (int(FALLING.open_time[8]), DAILY_LOSS)
    ]
    assert len(result.entries) == 3  # the first, its liquidation, the one of the next day


def test_a_backtest_is_stopped_by_the_largest_drawdown_for_good():
    trader = script(buy(0, quantity=40, leverage=2), buy(8, quantity=1), buy(30, quantity=1))
    result = run(trader, FALLING, rules=rules(limits_of({**TERMS, "daily_loss_pct": 90})))
    assert [outcome.reason for _, outcome in result.refusals] == [DRAWDOWN, DRAWDOWN]


def test_a_backtest_lets_a_coin_cool_down():
    script_of_both = script(
        buy(0, quantity=1), {"time": 2, "signal": "close_position"}, buy(3, quantity=1),
        buy(6, quantity=1),
    )  # fmt: skip
    result = run(script_of_both, FALLING, rules=rules(limits_of({"cool_down_minutes": 120})))
    assert [outcome.reason for _, outcome in result.refusals] == ["cool_down"]
    assert len(result.entries) == 3
