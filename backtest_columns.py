"""A finished run's fills and round trips as columns of numbers, made once for its whole report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backtest_run import BacktestResult
from domain import BoolArray, Entry, Fill, FillKind, FloatArray, Reason, Side, TimeArray
from ledger import ZERO, exact
from performance import drawdown_series

Places = npt.NDArray[np.intp]

OPEN, FUNDING, LONG = FillKind.OPEN, FillKind.FUNDING, Side.LONG
NEVER_CLOSED = -1


@dataclass(frozen=True, slots=True)
class FillColumns:
    """The ledger's lines, one element a line in each column.

    What is neither open nor funding closes. `signs` are +1 for long positions, −1 for short ones,
    `coin_numbers` the places of `coins` among the run's.
    """

    kinds: Sequence[FillKind]
    coins: Sequence[str]
    coin_numbers: Places
    sides: Sequence[Side]
    reasons: Sequence[Reason]
    times: TimeArray
    is_open: BoolArray
    is_funding: BoolArray
    signs: FloatArray
    quantities: FloatArray
    prices: FloatArray
    leverages: FloatArray
    fees: FloatArray
    profits: FloatArray
    cash_after: FloatArray

    @classmethod
    def of(cls, result: BacktestResult) -> FillColumns:
        """The columns of a run's ledger."""
        number_of = {coin: number for number, coin in enumerate(result.config.coins)}
        fills, _, profits, _ = _columns(result.entries, Entry._fields)
        kinds, coins, sides, quantities, prices, times, leverages, fees, reasons, _, _ = _columns(
            fills, Fill._fields
        )
        return cls(
            kinds,
            coins,
            np.array([number_of[coin] for coin in coins], dtype=np.intp),
            sides,
            reasons,
            np.array(times, dtype=np.int64),
            np.array([kind is OPEN for kind in kinds], dtype=np.bool_),
            np.array([kind is FUNDING for kind in kinds], dtype=np.bool_),
            np.array([1.0 if side is LONG else -1.0 for side in sides]),
            _floats(quantities),
            _floats(prices),
            _floats(leverages),
            _floats(fees),
            _floats(profits),
            result.cash_after,
        )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def notionals(self) -> FloatArray:
        """What each was worth at its price."""
        return self.quantities * self.prices

    @property
    def is_close(self) -> BoolArray:
        """Which closed a position or a part of one."""
        return ~(self.is_open | self.is_funding)


@dataclass(frozen=True, slots=True)
class TripColumns:
    """The closed round trips in the order of their closing, one element a trip in each column.

    Prices are weighted by quantity; `margins` is what was put in, `signs` as of the fills.
    """

    coins: Sequence[str]
    coin_numbers: Places
    sides: Sequence[Side]
    exit_reasons: Sequence[Reason]
    signs: FloatArray
    quantities: FloatArray
    leverages: FloatArray
    margins: FloatArray
    entry_times: TimeArray
    entry_prices: FloatArray
    exit_times: TimeArray
    exit_prices: FloatArray
    fees: FloatArray
    funding: FloatArray
    profits: FloatArray

    @classmethod
    def of(cls, entries: Sequence[Entry], fills: FillColumns) -> TripColumns:
        """The trips of a ledger, of which `fills` are the columns."""
        trip_of, first, last = _trips_of_fills(entries)
        closed = trip_of != NEVER_CLOSED
        opens, closes, fundings = (
            _FillsOfTrips.of(trip_of, closed & kind, len(first))
            for kind in (fills.is_open, fills.is_close, fills.is_funding)
        )
        notionals = fills.notionals
        bought, sold = opens.sum(fills.quantities), closes.sum(fills.quantities)
        costs, margins = opens.sum(notionals), opens.sum(notionals / np.maximum(fills.leverages, 1))
        return cls(
            [fills.coins[place] for place in first],
            fills.coin_numbers[first],
            [fills.sides[place] for place in first],
            [fills.reasons[place] for place in last],
            fills.signs[first],
            bought,
            opens.of_one_or(fills.leverages[first], costs / margins),
            margins,
            fills.times[first],
            opens.of_one_or(fills.prices[first], costs / bought),
            fills.times[last],
            closes.of_one_or(fills.prices[last], closes.sum(notionals) / sold),
            opens.sum(fills.fees) + closes.sum(fills.fees),
            fundings.sum(fills.fees),
            closes.sum(fills.profits),
        )

    def __len__(self) -> int:
        return len(self.coins)

    @property
    def return_percentages(self) -> FloatArray:
        """Each trip's profit over the margin that was put in."""
        return self.profits / self.margins * 100

    @property
    def held_ms(self) -> TimeArray:
        """How long each was held."""
        return self.exit_times - self.entry_times

    @property
    def are_liquidated(self) -> BoolArray:
        """Which ended with a liquidation."""
        ends = [reason is Reason.LIQUIDATION for reason in self.exit_reasons]
        return np.array(ends, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class _FillsOfTrips:
    """The fills of one kind at `places`, and the trips that each belongs to."""

    places: Places
    trips: Places
    count: int  # of all trips

    @classmethod
    def of(cls, trip_of: Places, which: BoolArray, count: int) -> _FillsOfTrips:
        places = np.flatnonzero(which)
        return cls(places, trip_of[places], count)

    def sum(self, amounts: FloatArray) -> FloatArray:
        """Every trip's sum of a column of all fills."""
        sums = np.bincount(self.trips, amounts[self.places], minlength=self.count)
        return np.asarray(sums, dtype=np.float64)

    def of_one_or(self, own: FloatArray, averages: FloatArray) -> FloatArray:
        """`averages` of trips; where one fill is all, its own number to the last digit."""
        return np.where(np.bincount(self.trips, minlength=self.count) == 1, own, averages)


@exact
def _trips_of_fills(entries: Iterable[Entry]) -> tuple[Places, Places, Places]:
    """The closed trip that every fill belongs to, and the first and last fill of every such trip.

    Trips are numbered in the order of their closing; `NEVER_CLOSED` stands for one still open.
    """
    begun: list[int] = []  # the first fill of each trip in the order of opening
    open_trips: dict[str, int] = {}
    held = dict.fromkeys({entry.fill.coin for entry in entries}, ZERO)
    opened_as, closed, last = [], [], []
    for place, (fill, _, _, _) in enumerate(entries):
        kind, coin, _, quantity = fill[:4]
        if not held[coin]:
            open_trips[coin] = len(begun)
            begun.append(place)
        opened_as.append(open_trips[coin])
        if kind is OPEN:
            held[coin] += quantity
        elif kind is not FUNDING:
            held[coin] -= quantity
            if not held[coin]:
                closed.append(open_trips[coin])
                last.append(place)
    numbers = np.full(len(begun), NEVER_CLOSED, dtype=np.intp)
    numbers[closed] = np.arange(len(closed))
    first = np.array(begun, dtype=np.intp)[closed]
    return numbers[np.array(opened_as, dtype=np.intp)], first, np.array(last, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class RunColumns:
    """A run's fills, round trips, and account values with the initial capital before them.

    `times` and `equity` begin at the first bar's open, shape (n + 1,); `below` is the drawdown of
    `equity` in percent.
    """

    result: BacktestResult
    fills: FillColumns
    trips: TripColumns
    times: TimeArray
    equity: FloatArray
    below: FloatArray

    @classmethod
    def of(cls, result: BacktestResult) -> RunColumns:
        """The columns of a finished run."""
        opened = result.close_time[0] - result.config.interval.milliseconds
        equity = np.concatenate(([float(result.config.initial_capital)], result.equity))
        fills = FillColumns.of(result)
        return cls(
            result,
            fills,
            TripColumns.of(result.entries, fills),
            np.concatenate(([opened], result.close_time)),
            equity,
            drawdown_series(equity),
        )


def _columns(rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> Sequence[Sequence[Any]]:
    """The columns of rows with fields of those names, also where there are no rows."""
    return tuple(zip(*rows, strict=True)) if rows else ((),) * len(names)


def _floats(amounts: Sequence[Any]) -> FloatArray:
    return np.fromiter(map(float, amounts), np.float64, len(amounts))
