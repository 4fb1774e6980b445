"""The warm tier of klines: what was ever fetched or imported, and what is still missing of a range.

A bar that is missing inside a covered range was never made by the exchange (an outage, a
delisting): such gaps are not asked for again, and are reported as what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from database import Database
from domain import Coin, Interval, KlineSeries
from repositories import klines
from repositories.klines import KlineKey, Range


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is stored of one series: open times in ms UTC."""

    source: str
    first: int
    last: int
    bars: int
    missing_bars: int


class KlineStore:
    """Closed bars in the database, by coin, source and interval."""

    def __init__(self, database: Database):
        self._database = database

    def read(
        self, coin: Coin, source: str, interval: Interval, start_ms: int, end_ms: int
    ) -> KlineSeries:
        """Stored bars with start_ms ≤ open_time < end_ms."""
        key = KlineKey(coin.id, source, interval)
        return klines.read(self._database.connection, key, start_ms, end_ms)

    def read_last(
        self, coin: Coin, source: str, interval: Interval, end_ms: int, limit: int
    ) -> KlineSeries:
        """The last `limit` stored bars with open_time < end_ms."""
        key = KlineKey(coin.id, source, interval)
        return klines.read_last(self._database.connection, key, end_ms, limit)

    def missing(
        self, coin: Coin, source: str, interval: Interval, start_ms: int, end_ms: int
    ) -> list[Range]:
        """The parts of [start_ms, end_ms) that no source has been asked for yet."""
        key = KlineKey(coin.id, source, interval)
        return without((start_ms, end_ms), klines.covered(self._database.connection, key))

    def store(self, coin: Coin, series: KlineSeries, covered: Range) -> None:
        """Keep the closed bars of `series`, among which is all there is of the range `covered`.

        `covered` may be empty (start ≥ end). One transaction: a cut leaves either both or neither.
        """
        key = KlineKey(coin.id, series.source, series.interval)
        with self._database.transaction() as connection:
            klines.write(connection, key, series)
            if covered[0] < covered[1]:
                ranges = merged([*klines.covered(connection, key), covered])
                klines.replace_coverage(connection, key, ranges)

    def coverage(self, coin: Coin, source: str, interval: Interval) -> Coverage | None:
        """What is stored of a coin; None where nothing is."""
        key = KlineKey(coin.id, source, interval)
        bounds = klines.bounds(self._database.connection, key)
        if bounds is None:
            return None
        first, last, bars = bounds
        expected = (last - first) // interval.milliseconds + 1
        return Coverage(source, first, last, bars, expected - bars)


def merged(ranges: Iterable[Range]) -> list[Range]:
    """`ranges` sorted, with those that touch or overlap made one."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def without(wanted: Range, known: Iterable[Range]) -> list[Range]:
    """The parts of `wanted` outside all of `known` (which is sorted and apart)."""
    missing: list[Range] = []
    at, stop = wanted
    for start, end in known:
        if end <= at or start >= stop:
            continue
        if start > at:
            missing.append((at, start))
        at = max(at, end)
    if at < stop:
        missing.append((at, stop))
    return missing
