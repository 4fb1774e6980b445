"""A finished run's fills and round trips as columns of floats, made once for its whole report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from backtesting import BacktestResult
from domain import Entry, FillKind, FloatArray, Reason, Side, TimeArray
from performance import RoundTrip, drawdown_series, round_trips

Floats = Sequence[float]


@dataclass(frozen=True, slots=True)
class FillColumns:
    """The ledger's lines, one element a line in each column."""

    kinds: Sequence[FillKind] = ()
    coins: Sequence[str] = ()
    sides: Sequence[Side] = ()
    quantities: Floats = ()
    prices: Floats = ()
    times: Sequence[int] = ()
    leverages: Floats = ()
    fees: Floats = ()
    reasons: Sequence[Reason] = ()
    gross: Floats = ()
    profits: Floats = ()
    cash_after: Floats = ()

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> FillColumns:
        """The columns of a ledger."""
        if not entries:
            return cls()
        fills, gross, profits, cash_after = zip(*entries, strict=True)
        kinds, coins, sides, quantities, prices, times, leverages, fees, reasons, _, _ = zip(
            *fills, strict=True
        )
        return cls(
            kinds,
            coins,
            sides,
            _floats(quantities),
            _floats(prices),
            times,
            _floats(leverages),
            _floats(fees),
            reasons,
            _floats(gross),
            _floats(profits),
            _floats(cash_after),
        )

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True)
class TripColumns:
    """The closed round trips, one element a trip in each column; `places` are a coin's own."""

    coins: Sequence[str] = ()
    sides: Sequence[Side] = ()
    quantities: Floats = ()
    leverages: Floats = ()
    entry_times: Sequence[int] = ()
    entry_prices: Floats = ()
    exit_times: Sequence[int] = ()
    exit_prices: Floats = ()
    fees: Floats = ()
    funding: Floats = ()
    profits: Floats = ()
    return_percentages: Floats = ()
    exit_reasons: Sequence[Reason] = ()
    places: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, trips: Sequence[RoundTrip]) -> TripColumns:
        """The columns of round trips."""
        if not trips:
            return cls()
        columns = list(zip(*trips, strict=True))
        coins, sides, quantities, leverages, entry_times, entry_prices = columns[:6]
        exit_times, exit_prices, fees, funding, profits, _, exit_reasons = columns[6:]
        places: dict[str, list[int]] = defaultdict(list)
        for place, coin in enumerate(coins):
            places[coin].append(place)
        return cls(
            coins,
            sides,
            _floats(quantities),
            _floats(leverages),
            entry_times,
            _floats(entry_prices),
            exit_times,
            _floats(exit_prices),
            _floats(fees),
            _floats(funding),
            _floats(profits),
            [trip.return_percentage for trip in trips],
            exit_reasons,
            places,
        )

    def __len__(self) -> int:
        return len(self.coins)


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
        return cls(
            result,
            FillColumns.of(result.entries),
            TripColumns.of(round_trips(result.entries)),
            np.concatenate(([opened], result.close_time)),
            equity,
            drawdown_series(equity),
        )


def _floats(amounts: Sequence[object]) -> list[float]:
    return list(map(float, amounts))  # type: ignore[arg-type]
