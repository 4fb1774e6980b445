"""A backtest's round trips beside the bars that they lived through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest_columns import RunColumns, TripColumns
from domain import FloatArray, KlineSeries, Side, TimeArray
from significance import CoinTrips, luck_probability


@dataclass(frozen=True, slots=True)
class _Trips:
    """Round trips as arrays, shape (k,) each; `signs` are +1 for long ones, −1 for short ones."""

    signs: FloatArray
    quantities: FloatArray
    entry_times: TimeArray
    entry_prices: FloatArray
    exit_times: TimeArray
    exit_prices: FloatArray

    @classmethod
    def of(cls, trips: TripColumns) -> _Trips:
        return cls(
            np.array([1.0 if side is Side.LONG else -1.0 for side in trips.sides]),
            np.array(trips.quantities),
            np.array(trips.entry_times, dtype=np.int64),
            np.array(trips.entry_prices),
            np.array(trips.exit_times, dtype=np.int64),
            np.array(trips.exit_prices),
        )

    def at(self, places: list[int]) -> _Trips:
        """Those at some places."""
        return _Trips(
            self.signs[places],
            self.quantities[places],
            self.entry_times[places],
            self.entry_prices[places],
            self.exit_times[places],
            self.exit_prices[places],
        )

    def bars(self, series: KlineSeries) -> tuple[TimeArray, TimeArray]:
        """The bars in which they were entered and left."""
        entries = np.searchsorted(series.open_time, self.entry_times, side="right") - 1
        exits = np.searchsorted(series.open_time, self.exit_times, side="right") - 1
        return np.maximum(entries, 0), np.maximum(exits, 0)


def excursions(run: RunColumns) -> tuple[list[float], list[float]]:
    """How far the price went against and for each trip, in percent of its entry price, both ≥ 0.

    From the extremes of the bars from entry to exit, those two whole.
    """
    trips = _Trips.of(run.trips)
    against, favour = np.zeros(len(run.trips)), np.zeros(len(run.trips))
    for coin, series in run.result.history.items():
        places = run.trips.places.get(coin)
        if not places:
            continue
        own = trips.at(places)
        entries, exits = own.bars(series)
        price, long = own.entry_prices, own.signs > 0
        down = np.maximum(price - _extremes(np.minimum, series.low, entries, exits), 0.0)
        up = np.maximum(_extremes(np.maximum, series.high, entries, exits) - price, 0.0)
        against[places] = np.where(long, down, up) / price * 100
        favour[places] = np.where(long, up, down) / price * 100
    return against.tolist(), favour.tolist()


def _extremes(
    extreme: np.ufunc, values: FloatArray, entries: TimeArray, exits: TimeArray
) -> FloatArray:
    """The extreme of values[entry … exit], both included, of every trip."""
    padded = np.append(values, values[-1])  # reduceat takes no index past the end
    edges = np.column_stack((entries, exits + 1)).ravel()
    reduced: FloatArray = extreme.reduceat(padded, edges)[::2]
    return reduced


def probability_of_luck(run: RunColumns) -> float | None:
    """How often random entries of the same number, length, size and side do as well."""
    trips, places = _Trips.of(run.trips), run.trips.places
    return luck_probability(
        [
            _coin_trips(run, series, trips.at(places[coin]))
            for coin, series in run.result.history.items()
            if coin in places
        ]
    )


def _coin_trips(run: RunColumns, series: KlineSeries, trips: _Trips) -> CoinTrips:
    result = run.result
    first = int(np.searchsorted(series.open_time, result.config.start_ms))
    entries, exits = trips.bars(series)
    before = run.equity[np.searchsorted(result.close_time, trips.entry_times, side="right")]
    bought = trips.entry_prices
    notional = trips.quantities * trips.signs * bought
    exposures = np.where(before > 0, notional / np.where(before > 0, before, 1.0), 0.0)
    return CoinTrips(
        series.open[first:], exits - entries, exposures, trips.exit_prices / bought - 1
    )
