"""What doing nothing clever would have made of the same coins at the same costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backtest_run import BacktestResult
from domain import FloatArray, KlineSeries
from performance import last_of_every_day


def buy_and_hold_values(result: BacktestResult) -> FloatArray:
    """Buying all coins of the run in equal parts and holding them, at every close."""
    return held_values(result, list(result.history.values()))


def held_values(result: BacktestResult, held: Sequence[KlineSeries]) -> FloatArray:
    """Buying these in equal parts at their first open and holding them, at every close.

    Pays the run's fee and slippage, without leverage; a coin that is listed later keeps its part
    in cash until then.
    """
    config = result.config
    part = float(config.initial_capital) / len(held)
    costs = 1 + _cost_share(result)
    opened = result.close_time - config.interval.milliseconds
    total = np.zeros(len(opened))
    for series in held:
        first = int(np.searchsorted(series.open_time, config.start_ms))
        quantity = part / (series.open[first] * costs)
        if len(series) - first == len(opened):  # it has every bar of the range
            total += quantity * series.close[first:]
            continue
        bar = np.searchsorted(series.open_time, opened, side="right") - 1
        total += np.where(bar >= first, quantity * series.close[np.maximum(bar, 0)], part)
    return total


def equal_weight_final_value(result: BacktestResult) -> float:
    """All coins in equal parts, put right at the end of every UTC day, at the run's costs.

    A coin takes part from the day after its first whole day on.
    """
    config = result.config
    cost = _cost_share(result)
    closes = _daily_closes(result)  # (days, coins), NaN before a coin's first day
    value = float(config.initial_capital) / (1 + cost)
    if len(closes) < 2:
        return float(buy_and_hold_values(result)[-1])
    first = np.array([[_first_open(result, coin) for coin in config.coins]])
    known = np.vstack((np.where(np.isnan(closes[:1]), np.nan, first), closes))
    growths = known[1:] / known[:-1]
    taking_part = ~np.isnan(growths)
    counts = np.maximum(np.sum(taking_part, axis=1), 1)
    mean = np.where(
        np.any(taking_part, axis=1),
        np.nansum(np.where(taking_part, growths, 0), axis=1) / counts,
        1,
    )
    drifted = np.where(taking_part, growths, 0) / (counts * mean)[:, np.newaxis]
    moved = np.sum(np.abs(drifted - taking_part / counts[:, np.newaxis]), axis=1)
    moved[-1] = 0.0  # at the very end nothing is put right
    return value * float(np.prod(mean * (1 - cost * moved)))


def _cost_share(result: BacktestResult) -> float:
    """What a trade costs over its price: slippage and fee."""
    rules = result.config.rules
    return (1 + float(rules.slippage_bps) / 10_000) * (1 + float(rules.fee_rate)) - 1


def _first_open(result: BacktestResult, coin: str) -> float:
    series = result.history[coin]
    return series.open.item(int(np.searchsorted(series.open_time, result.config.start_ms)))


def _daily_closes(result: BacktestResult) -> FloatArray:
    """The last close of every UTC day of the range, shape (days, coins)."""
    closes = result.close_time
    last_of_day = closes[last_of_every_day(closes)]
    columns = []
    for coin in result.config.coins:
        series = result.history[coin]
        opened = last_of_day - result.config.interval.milliseconds
        bar = np.searchsorted(series.open_time, opened, side="right") - 1
        first = int(np.searchsorted(series.open_time, result.config.start_ms))
        columns.append(np.where(bar >= first, series.close[np.maximum(bar, 0)], np.nan))
    return np.column_stack(columns)
