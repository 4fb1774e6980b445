"""Each model's closed round trips and fees, read again only after it has traded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from database import Database
from domain import FloatArray, TimeArray
from performance import RoundTrip, round_trips
from repositories import books


@dataclass(frozen=True, slots=True)
class TradeHistory:
    """What a model's ledger tells up to its newest trade; the arrays have a place a booking."""

    newest_id: int
    trips: tuple[RoundTrip, ...]
    booked_at: TimeArray
    fees: FloatArray

    def trips_since(self, time_ms: int) -> list[RoundTrip]:
        """The trips that were closed at `time_ms` or later."""
        return [trip for trip in self.trips if trip.exit_time >= time_ms]

    def fees_since(self, time_ms: int) -> float:
        """The fees paid at `time_ms` or later."""
        return float(self.fees[self.booked_at >= time_ms].sum())


class TradeHistories:
    """The histories of all models. A ledger only grows: its newest trade tells whether it has."""

    def __init__(self, database: Database):
        self._database = database
        self._known: dict[int, TradeHistory] = {}

    def of(self, model_id: int) -> TradeHistory:
        """A model's history as it stands."""
        newest_id = books.newest_trade_id(self._database.connection, model_id)
        known = self._known.get(model_id)
        if known is None or known.newest_id != newest_id:
            known = self._known[model_id] = self._read(model_id)
        return known

    def _read(self, model_id: int) -> TradeHistory:
        booked = books.all_entries(self._database.connection, model_id)
        entries = [trade.entry for trade in booked]
        return TradeHistory(
            newest_id=booked[-1].id if booked else 0,
            trips=tuple(round_trips(entries)),
            booked_at=np.array([entry.fill.time_ms for entry in entries], dtype=np.int64),
            fees=np.array([float(entry.fill.fee) for entry in entries], dtype=np.float64),
        )
