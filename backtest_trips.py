"""A backtest's round trips beside the bars that they lived through."""

from __future__ import annotations

import numpy as np

from backtest_columns import RunColumns, TripColumns
from domain import FloatArray, KlineSeries, TimeArray
from significance import CoinTrips, luck_probability


def excursions(run: RunColumns) -> tuple[list[float], list[float]]:
    """How far the price went against and for each trip, in percent of its entry price, both ≥ 0.

    From the extremes of the bars from entry to exit, those two whole.
    """
    trips = run.trips
    against, favour = np.zeros(len(trips)), np.zeros(len(trips))
    prices, longs = np.array(trips.entry_prices), trips.signs > 0
    for coin, series in run.result.history.items():
        own = trips.places.get(coin)
        if not own:
            continue
        entries, exits = _bars_of(trips, own, series)
        price, long = prices[own], longs[own]
        down = np.maximum(price - _extremes(np.minimum, series.low, entries, exits), 0.0)
        up = np.maximum(_extremes(np.maximum, series.high, entries, exits) - price, 0.0)
        against[own] = np.where(long, down, up) / price * 100
        favour[own] = np.where(long, up, down) / price * 100
    return against.tolist(), favour.tolist()


def _extremes(
    extreme: np.ufunc, values: FloatArray, entries: TimeArray, exits: TimeArray
) -> FloatArray:
    """The extreme of values[entry … exit], both included, of every trip."""
    padded = np.append(values, values[-1])  # reduceat takes no index past the end
    edges = np.column_stack((entries, exits + 1)).ravel()
    reduced: FloatArray = extreme.reduceat(padded, edges)[::2]
    return reduced


def _bars_of(
    trips: TripColumns, own: list[int], series: KlineSeries
) -> tuple[TimeArray, TimeArray]:
    """The bars of a coin in which its trips were entered and left."""
    times = np.array((trips.entry_times, trips.exit_times), dtype=np.int64)[:, own]
    bars = np.searchsorted(series.open_time, times, side="right") - 1
    return np.maximum(bars[0], 0), np.maximum(bars[1], 0)


def probability_of_luck(run: RunColumns) -> float | None:
    """How often random entries of the same number, length, size and side do as well."""
    return luck_probability(
        [
            _coin_trips(run, series, run.trips.places[coin])
            for coin, series in run.result.history.items()
            if coin in run.trips.places
        ]
    )


def _coin_trips(run: RunColumns, series: KlineSeries, own: list[int]) -> CoinTrips:
    result, trips = run.result, run.trips
    first = int(np.searchsorted(series.open_time, result.config.start_ms))
    entries, exits = _bars_of(trips, own, series)
    entered = np.array(trips.entry_times, dtype=np.int64)[own]
    before = run.equity[np.searchsorted(result.close_time, entered, side="right")]
    bought, sold, quantities = (
        np.array(column)[own]
        for column in (trips.entry_prices, trips.exit_prices, trips.quantities)
    )
    signed = quantities * trips.signs[own]
    exposures = np.where(before > 0, signed * bought / np.where(before > 0, before, 1.0), 0.0)
    return CoinTrips(series.open[first:], exits - entries, exposures, sold / bought - 1)
