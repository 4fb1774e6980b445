"""The market as one venue shows it on one channel: with the faults that spoil its values.

Price answers, klines and streams all look at the market through this, so that a fault shows in
all of them alike: gaps, zero, negative and no-number prices, spikes, drift, frozen prices, and
wrong stamps. Without a fault it is the market itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from domain import DAY_MS, BoolArray, TimeArray
from exchange_simulator import intervals
from exchange_simulator.bars import CLOSE, HIGH, LOW, OPEN, Bars, Columns
from exchange_simulator.faults import Fault, Faults
from exchange_simulator.market import NOT_A_NUMBER, Listing, Market, RollingDay

PRICES = slice(OPEN, CLOSE + 1)
MONTH_MS = 30 * DAY_MS  # near enough for counting bars
NO_PRICE: Mapping[str, Callable[[int], int]] = {
    "zero_price": lambda ticks: 0,
    "negative_price": lambda ticks: -abs(ticks),
    "nan_price": lambda ticks: NOT_A_NUMBER,
}


class VenueMarket:
    """A `Market` seen through the faults of `venue` on `channel`."""

    def __init__(self, market: Market, faults: Faults, venue: str, channel: str):
        self._market = market
        self._faults = faults
        self._venue = venue
        self._channel = channel

    @property
    def kind(self) -> str:
        """`generated` or `replayed`."""
        return self._market.kind

    def listings(self, now_ms: int) -> Mapping[str, Listing]:
        """The pairs that have been listed by `now_ms`, by symbol."""
        return self._market.listings(now_ms)

    def seen_ms(self, symbol: str, now_ms: int) -> int:
        """The moment at which the venue sees a pair: earlier than now where it is stuck."""
        return self._of(symbol, now_ms)[1]

    def stamp_ms(self, now_ms: int) -> int:
        """What the venue's clock shows at `now_ms`."""
        for fault in self._active():
            if fault.name == "clock_skew":
                now_ms += round(fault.params["seconds"] * 1000)
            elif fault.name == "stale" and fault.params["stamps"] == "old":
                now_ms = min(now_ms, fault.since_ms)
        return now_ms

    def bars_from(
        self, symbol: str, interval: str, start_ms: int, end_ms: int, limit: int, now_ms: int
    ) -> Bars:
        """The first `limit` bars with start_ms ≤ open_time ≤ end_ms; gaps do not shorten it."""
        faults, now_ms = self._of(symbol, now_ms)
        pieces, wanted = [], limit
        while wanted > 0:
            bars = self._market.bars_from(symbol, interval, start_ms, end_ms, limit, now_ms)
            piece = _without_gaps(faults, interval, bars)
            pieces.append(piece.slice(0, wanted))
            wanted -= len(piece)
            if len(bars) < limit:
                break
            start_ms = int(bars.open_time[-1]) + 1
        return _spoiled(faults, interval, Bars.joined(pieces), now_ms)

    def bars_until(self, symbol: str, interval: str, end_ms: int, limit: int, now_ms: int) -> Bars:
        """The last `limit` bars with open_time ≤ end_ms; gaps do not shorten it."""
        faults, now_ms = self._of(symbol, now_ms)
        pieces, wanted = [], limit
        while wanted > 0:
            bars = self._market.bars_until(symbol, interval, end_ms, limit, now_ms)
            piece = _without_gaps(faults, interval, bars)
            pieces.append(piece.slice(max(len(piece) - wanted, 0), len(piece)))
            wanted -= len(piece)
            if len(bars) < limit:
                break
            end_ms = int(bars.open_time[0]) - 1
        return _spoiled(faults, interval, Bars.joined(pieces[::-1]), now_ms)

    def price(self, symbol: str, now_ms: int) -> int:
        """The last price in ticks: 0, negative or `NOT_A_NUMBER` where a fault makes it so."""
        faults, now_ms = self._of(symbol, now_ms)
        ticks = self._market.price(symbol, now_ms)
        for fault in faults:
            ticks = _price_under(fault, ticks)
        return ticks

    def rolling_day(self, symbol: str, now_ms: int) -> RollingDay:
        """The last 24 hours, whose `close_time` is the venue's stamp."""
        faults, seen_ms = self._of(symbol, now_ms)
        day = self._market.rolling_day(symbol, seen_ms)
        for fault in faults:
            day = _day_under(fault, day)
        stamp_ms = self.stamp_ms(now_ms)
        return replace(day, open_time=stamp_ms - DAY_MS, close_time=stamp_ms)

    def _active(self) -> list[Fault]:
        return self._faults.active(self._venue, self._channel)

    def _of(self, symbol: str, now_ms: int) -> tuple[list[Fault], int]:
        """The faults that concern a symbol, and the moment at which it is seen."""
        active = self._active()
        if not active:
            return active, now_ms
        listing = self._market.listings(now_ms)[symbol]
        names = (symbol, listing.base, f"{listing.base}-{listing.quote}")
        faults = [fault for fault in active if fault.concerns(names)]
        frozen = [fault.since_ms for fault in faults if fault.name == "stale"]
        return faults, max(min([now_ms, *frozen]), listing.listed_ms)


def _price_under(fault: Fault, ticks: int) -> int:
    if fault.name in NO_PRICE:
        return NO_PRICE[fault.name](ticks)
    if fault.name in ("spike", "drift") and ticks != NOT_A_NUMBER:
        return _moved(ticks, fault.params["percent"])
    return ticks


def _moved(ticks: int, percent: float) -> int:
    return max(round(ticks * (1 + percent / 100)), 1) if ticks > 0 else ticks


def _day_under(fault: Fault, day: RollingDay) -> RollingDay:
    last = _price_under(fault, day.last)
    if fault.name == "drift":
        percent = fault.params["percent"]
        first, high, low = (_moved(ticks, percent) for ticks in (day.open, day.high, day.low))
        return replace(day, open=first, high=high, low=low, last=last)
    if fault.name == "spike":
        return replace(day, high=max(day.high, last), low=min(day.low, last), last=last)
    return replace(day, last=last)


def _without_gaps(faults: list[Fault], interval: str, bars: Bars) -> Bars:
    for fault in faults:
        if fault.name == "gaps" and len(bars):
            kept = ~_missing(fault, interval, bars.open_time)
            bars = Bars(bars.open_time[kept], bars.columns[:, kept])
    return bars


def _missing(fault: Fault, interval: str, open_times: TimeArray) -> BoolArray:
    """Which bars a fault leaves out: those of a range if it names one, else every n-th."""
    start_ms, end_ms = fault.params["start_ms"], fault.params["end_ms"]
    if start_ms is None and end_ms is None:
        return _every(fault.params["every"], interval, open_times)
    after_start = open_times >= (0 if start_ms is None else start_ms)
    return after_start if end_ms is None else after_start & (open_times < end_ms)


def _every(count: int, interval: str, open_times: TimeArray) -> BoolArray:
    """Every `count`-th bar of all times, the same ones in every answer."""
    numbers = open_times // intervals.FIXED_MS.get(interval, MONTH_MS)
    chosen: BoolArray = numbers % count == 0
    return chosen


def _spoiled(faults: list[Fault], interval: str, bars: Bars, now_ms: int) -> Bars:
    """`bars` with their prices changed; the last one is open at `now_ms` if it has not closed."""
    if not faults or not len(bars):
        return bars
    columns = bars.columns.copy()
    ends = bars.open_time + intervals.FIXED_MS.get(interval, MONTH_MS)
    for fault in faults:
        prices = columns[PRICES]
        if fault.name == "drift":
            prices[:] = _scaled(prices, fault.params["percent"])
        elif fault.name == "spike":
            _spike(fault, bars.open_time, ends, columns)
        elif fault.name in NO_PRICE:
            hit = _every(fault.params["every"], interval, bars.open_time) | (ends > now_ms)
            spoil = np.vectorize(NO_PRICE[fault.name], otypes=[np.int64])
            columns[np.ix_(np.array([LOW, CLOSE]), hit)] = spoil(columns[CLOSE, hit])
    return Bars(bars.open_time, columns)


def _scaled(ticks: Columns, percent: float) -> Columns:
    scaled = np.maximum(np.rint(ticks * (1 + percent / 100)), 1).astype(np.int64)
    return np.where(ticks > 0, scaled, ticks)


def _spike(fault: Fault, open_times: TimeArray, ends: TimeArray, columns: Columns) -> None:
    """What traded since the fault began traded at the moved price."""
    began_after, ended_after = open_times > fault.since_ms, ends > fault.since_ms
    percent = fault.params["percent"]
    columns[PRICES, began_after] = _scaled(columns[PRICES, began_after], percent)
    around = ended_after & ~began_after
    columns[CLOSE, around] = _scaled(columns[CLOSE, around], percent)
    columns[HIGH, around] = np.maximum(columns[HIGH, around], columns[CLOSE, around])
    columns[LOW, around] = np.minimum(columns[LOW, around], columns[CLOSE, around])
