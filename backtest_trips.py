"""A backtest's round trips beside the bars that they lived through."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backtest_columns import Places, RunColumns
from domain import FloatArray, KlineSeries, TimeArray
from significance import CoinTrips, luck_probability


def excursions(run: RunColumns) -> tuple[FloatArray, FloatArray]:
    """How far the price went against and for each trip, in percent of its entry price, both ≥ 0.

    From the extremes of the bars from entry to exit, those two whole.
    """
    trips = run.trips
    against, favour = np.zeros(len(trips)), np.zeros(len(trips))
    for series, places in _by_coin(run):
        entries, exits = _bars_of(run, places, series)
        price, long = trips.entry_prices[places], trips.signs[places] > 0
        down = np.maximum(price - _extremes(np.minimum, series.low, entries, exits), 0.0)
        up = np.maximum(_extremes(np.maximum, series.high, entries, exits) - price, 0.0)
        against[places] = np.where(long, down, up) / price * 100
        favour[places] = np.where(long, up, down) / price * 100
    return against, favour


def _by_coin(run: RunColumns) -> Iterator[tuple[KlineSeries, Places]]:
    """The candles of every coin that has trips, and the places of these."""
    for number, series in enumerate(run.result.history.values()):
        places = np.flatnonzero(run.trips.coin_numbers == number)
        if len(places):
            yield series, places


def _bars_of(run: RunColumns, places: Places, series: KlineSeries) -> tuple[TimeArray, TimeArray]:
    """The bars in which trips of a coin were entered and left."""
    entries = np.searchsorted(series.open_time, run.trips.entry_times[places], side="right") - 1
    exits = np.searchsorted(series.open_time, run.trips.exit_times[places], side="right") - 1
    return np.maximum(entries, 0), np.maximum(exits, 0)


def _extremes(
    extreme: np.ufunc, values: FloatArray, entries: TimeArray, exits: TimeArray
) -> FloatArray:
    """The extreme of values[entry … exit], both included, of every trip."""
    if len(values) in exits + 1:  # reduceat takes no index past the end
        values = np.append(values, values[-1])
    edges = np.column_stack((entries, exits + 1)).ravel()
    reduced: FloatArray = extreme.reduceat(values, edges)[::2]
    return reduced


def probability_of_luck(run: RunColumns) -> float | None:
    """How often random entries of the same number, length, size and side do as well."""
    trips = [_coin_trips(run, series, places) for series, places in _by_coin(run)]
    return luck_probability(trips, run.result.config.seed)


def _coin_trips(run: RunColumns, series: KlineSeries, places: Places) -> CoinTrips:
    result, trips = run.result, run.trips
    first = int(np.searchsorted(series.open_time, result.config.start_ms))
    entries, exits = _bars_of(run, places, series)
    entered = np.searchsorted(result.close_time, trips.entry_times[places], side="right")
    before, bought = run.equity[entered], trips.entry_prices[places]
    notional = trips.quantities[places] * trips.signs[places] * bought
    exposures = np.where(before > 0, notional / np.where(before > 0, before, 1.0), 0.0)
    growths = trips.exit_prices[places] / bought - 1
    return CoinTrips(series.open[first:], exits - entries, exposures, growths)
