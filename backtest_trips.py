"""A backtest's round trips beside the bars that they lived through."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backtesting import BacktestResult
from domain import FloatArray, KlineSeries, TimeArray
from performance import RoundTrip
from significance import CoinTrips, luck_probability

Excursion = tuple[float, float]


def trips_of(coin: str, trips: Sequence[RoundTrip]) -> list[int]:
    """Where the coin's trips stand among all."""
    return [place for place, trip in enumerate(trips) if trip.coin == coin]


def excursions(result: BacktestResult, trips: Sequence[RoundTrip]) -> list[Excursion]:
    """How far the price went against and for each trip, in percent of its entry price, both ≥ 0.

    From the extremes of the bars from entry to exit, those two whole.
    """
    found: list[Excursion] = [(0.0, 0.0)] * len(trips)
    for coin, series in result.history.items():
        places = trips_of(coin, trips)
        if not places:
            continue
        entries, exits = _bars_of([trips[place] for place in places], series)
        lows = _extremes(np.minimum, series.low, entries, exits)
        highs = _extremes(np.maximum, series.high, entries, exits)
        for place, low, high in zip(places, lows.tolist(), highs.tolist(), strict=True):
            trip = trips[place]
            price = float(trip.entry_price)
            down, up = max(price - low, 0.0), max(high - price, 0.0)
            against, favour = (down, up) if trip.side.sign > 0 else (up, down)
            found[place] = (against / price * 100, favour / price * 100)
    return found


def _extremes(
    extreme: np.ufunc, values: FloatArray, entries: TimeArray, exits: TimeArray
) -> FloatArray:
    """The extreme of values[entry … exit], both included, of every trip."""
    padded = np.append(values, values[-1])  # reduceat takes no index past the end
    edges = np.column_stack((entries, exits + 1)).ravel()
    reduced: FloatArray = extreme.reduceat(padded, edges)[::2]
    return reduced


def _bars_of(trips: Sequence[RoundTrip], series: KlineSeries) -> tuple[TimeArray, TimeArray]:
    """The bars in which trips were entered and left."""
    times = np.array([(trip.entry_time, trip.exit_time) for trip in trips], dtype=np.int64)
    bars = np.searchsorted(series.open_time, times, side="right") - 1
    return np.maximum(bars[:, 0], 0), np.maximum(bars[:, 1], 0)


def probability_of_luck(result: BacktestResult, trips: Sequence[RoundTrip]) -> float | None:
    """How often random entries of the same number, length, size and side do as well."""
    equity = np.concatenate(([float(result.config.initial_capital)], result.equity))
    coins = []
    for coin, series in result.history.items():
        own = [trips[place] for place in trips_of(coin, trips)]
        if own:
            coins.append(_coin_trips(result, series, own, equity))
    return luck_probability(coins)


def _coin_trips(
    result: BacktestResult, series: KlineSeries, trips: Sequence[RoundTrip], equity: FloatArray
) -> CoinTrips:
    first = int(np.searchsorted(series.open_time, result.config.start_ms))
    entries, exits = _bars_of(trips, series)
    entered = np.array([trip.entry_time for trip in trips], dtype=np.int64)
    before = equity[np.searchsorted(result.close_time, entered, side="right")]
    rows = [
        (float(trip.entry_price), float(trip.exit_price), float(trip.quantity) * trip.side.sign)
        for trip in trips
    ]
    bought, sold, signed = np.array(rows).T
    exposures = np.where(before > 0, signed * bought / np.where(before > 0, before, 1.0), 0.0)
    return CoinTrips(series.open[first:], exits - entries, exposures, sold / bought - 1)
