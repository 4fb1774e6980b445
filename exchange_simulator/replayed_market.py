"""Real klines from files, replayed: at a moment, only what had happened by then can be seen.

The bar that holds the moment forms while its interval passes (see `bars.formed_so_far`); larger
bars are aggregates; missing bars stay missing. A symbol is listed with its first bar and delisted
when its last one has closed, if other symbols go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from domain import DAY_MS
from exchange_simulator import intervals
from exchange_simulator.bars import CLOSE, Bars, aggregate, seen_at
from exchange_simulator.intervals import UnsupportedInterval
from exchange_simulator.kline_files import RecordedKlines, read_klines
from exchange_simulator.market import Listing, RollingDay, summarise_day

QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "BTC", "ETH", "BNB", "EUR")


class ReplayedMarket:
    """A `Market` of recorded klines, seen by the simulator's clock."""

    kind = "replayed"

    def __init__(self, recorded: Iterable[RecordedKlines]):
        self._recorded = {klines.symbol: klines for klines in recorded}
        ends = {symbol: _end_ms(klines) for symbol, klines in self._recorded.items()}
        self.first_ms = min(int(klines.bars.open_time[0]) for klines in self._recorded.values())
        self.end_ms = max(ends.values())
        self._listings = {
            symbol: _listing(klines, ends[symbol] if ends[symbol] < self.end_ms else None)
            for symbol, klines in self._recorded.items()
        }
        self._all_bars = lru_cache(maxsize=None)(self._aggregate_all)

    @classmethod
    def from_files(cls, paths: Iterable[Path]) -> ReplayedMarket:
        """The market of kline files, or folders of them. Raises KlineFileError."""
        return cls(read_klines(paths))

    def listings(self, now_ms: int) -> Mapping[str, Listing]:
        """The pairs whose recording has begun by `now_ms`, by symbol."""
        return {
            symbol: listing
            for symbol, listing in self._listings.items()
            if listing.listed_ms <= now_ms
        }

    def bars_from(
        self, symbol: str, interval: str, start_ms: int, end_ms: int, limit: int, now_ms: int
    ) -> Bars:
        """The first `limit` bars with start_ms ≤ open_time ≤ end_ms."""
        bars = self._bars_seen(symbol, interval, end_ms, now_ms)
        first = int(np.searchsorted(bars.open_time, min(start_ms, now_ms + 1)))
        return bars.slice(first, first + limit)

    def bars_until(self, symbol: str, interval: str, end_ms: int, limit: int, now_ms: int) -> Bars:
        """The last `limit` bars with open_time ≤ end_ms."""
        bars = self._bars_seen(symbol, interval, end_ms, now_ms)
        return bars.slice(max(len(bars) - limit, 0), len(bars))

    def price(self, symbol: str, now_ms: int) -> int:
        """The last price in ticks: in a gap and after the end, the last close."""
        stop = self._seen_count(symbol, now_ms)
        return int(self._formed(symbol, stop - 1, stop, now_ms).columns[CLOSE, -1])

    def rolling_day(self, symbol: str, now_ms: int) -> RollingDay:
        """The last 24 hours, to a bar of the files."""
        length_ms = intervals.FIXED_MS[self._recorded[symbol].interval]
        start_ms = now_ms - max(DAY_MS, length_ms) + 1
        grains = self._grains_seen(symbol, start_ms, now_ms)
        return summarise_day(grains, self.price(symbol, now_ms), now_ms)

    def _bars_seen(self, symbol: str, interval: str, end_ms: int, now_ms: int) -> Bars:
        """Every bar with open_time ≤ end_ms that can be seen, the current one as it forms."""
        complete = self._all_bars(symbol, interval)
        current = intervals.floor(interval, now_ms)
        if end_ms < current:
            return complete.between(0, end_ms + 1)
        grains = self._grains_seen(symbol, current, now_ms)
        forming = aggregate(grains, np.array([current], dtype=np.int64))
        return Bars.joined([complete.between(0, current), forming])

    def _grains_seen(self, symbol: str, start_ms: int, now_ms: int) -> Bars:
        """Recorded bars with start_ms ≤ open_time ≤ now_ms, the current one as it forms."""
        start = int(np.searchsorted(self._recorded[symbol].bars.open_time, start_ms))
        return self._formed(symbol, start, self._seen_count(symbol, now_ms), now_ms)

    def _seen_count(self, symbol: str, now_ms: int) -> int:
        """How many recorded bars have opened by `now_ms`."""
        open_times = self._recorded[symbol].bars.open_time
        return int(np.searchsorted(open_times, now_ms, side="right"))

    def _formed(self, symbol: str, start: int, stop: int, now_ms: int) -> Bars:
        recorded = self._recorded[symbol]
        length_ms = intervals.FIXED_MS[recorded.interval]
        return seen_at(recorded.bars.slice(start, stop), now_ms, length_ms)

    def _aggregate_all(self, symbol: str, interval: str) -> Bars:
        """The whole recording in bars of `interval`, complete."""
        recorded = self._recorded[symbol]
        if interval == recorded.interval:
            return recorded.bars
        _check_buildable(recorded.interval, interval)
        first, last = recorded.bars.open_time[[0, -1]].tolist()
        opens = intervals.open_times(
            interval, intervals.floor(interval, first), intervals.floor(interval, last)
        )
        return aggregate(recorded.bars, opens)


def _check_buildable(grain: str, interval: str) -> None:
    """Refuse intervals that whole bars of `grain` do not fill: smaller ones above all."""
    intervals.floor(interval, 0)
    length_ms = intervals.FIXED_MS.get(interval, DAY_MS)  # a month is made of days
    if length_ms % intervals.FIXED_MS[grain]:
        raise UnsupportedInterval(f"bars of {interval} cannot be made from bars of {grain}")


def _end_ms(recorded: RecordedKlines) -> int:
    return intervals.shift(recorded.interval, int(recorded.bars.open_time[-1]), 1)


def _listing(recorded: RecordedKlines, delisted_ms: int | None) -> Listing:
    quote = next((quote for quote in QUOTES if recorded.symbol.endswith(quote)), "USDT")
    base = recorded.symbol.removesuffix(quote)
    return Listing(
        base=base,
        name=base,
        price_decimals=recorded.price_decimals,
        quantity_decimals=recorded.quantity_decimals,
        listed_ms=int(recorded.bars.open_time[0]),
        delisted_ms=delisted_ms,
        quote=quote,
    )
