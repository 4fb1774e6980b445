"""The warm and the cold tier of klines as one: what was ever fetched or imported, and what is missing.

A bar that is missing inside a covered range was never made by the exchange (an outage, a
delisting): such gaps are not asked for again, and are reported as what they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from database import Database
from domain import Coin, Interval, KlineSeries, TimeArray
from errors import ArchiveUnavailable
from kline_archive import S3, KlineArchive, joined
from repositories import kline_archives, klines
from repositories.kline_archives import ArchivedMonth
from repositories.klines import KlineKey, Range

READERS = 8  # of the archive's files at once
STRETCH_BARS = 50_000  # stored in one transaction: the others wait for a tenth of a second

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is stored of one series: open times in ms UTC."""

    source: str
    first: int
    last: int
    bars: int
    missing_bars: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Bars that are missing between stored ones, start_ms ≤ open_time < end_ms.

    `asked`: a source was asked for them and has none.
    """

    start_ms: int
    end_ms: int
    bars: int
    asked: bool


class KlineStore:
    """Closed bars by coin, source and interval, in the database and in the archive.

    Where a bar is in both, it is as in the database. What needs a month from the archive raises
    ArchiveUnavailable when that cannot be read.
    """

    def __init__(self, database: Database):
        self._database = database
        self._archives: dict[str, KlineArchive] = {}
        self._archives_lock = threading.Lock()

    # ------------------------------------------------------------------------------- reading

    def read(
        self, coin: Coin, source: str, interval: Interval, start_ms: int, end_ms: int
    ) -> KlineSeries:
        """Stored bars with start_ms ≤ open_time < end_ms."""
        key = KlineKey(coin.id, source, interval)

        def bars() -> KlineSeries:
            with self._database.snapshot() as connection:
                months = kline_archives.current(connection, key, start_ms, end_ms)
                warm = klines.read(connection, key, start_ms, end_ms)
            cold = self._read_months(key, months)
            return joined([series.between(start_ms, end_ms) for series in cold], warm)

        return self._with_files_of_one_moment(bars)

    def read_last(
        self, coin: Coin, source: str, interval: Interval, end_ms: int, limit: int
    ) -> KlineSeries:
        """The last `limit` stored bars with open_time < end_ms."""
        key = KlineKey(coin.id, source, interval)

        def bars() -> KlineSeries:
            with self._database.snapshot() as connection:
                months = kline_archives.current(connection, key, 0, end_ms)
                series = klines.read_last(connection, key, end_ms, limit)
            for month in reversed(months):
                if len(series) >= limit and month.last_open_time < series.open_time[-limit]:
                    break
                series = joined([self.read_month(key, month).between(0, end_ms)], series)
            return series.slice(max(0, len(series) - limit), len(series))

        return self._with_files_of_one_moment(bars)

    def fingerprint(
        self, coin: Coin, source: str, interval: Interval, start_ms: int, end_ms: int
    ) -> list[int | float | None]:
        """Numbers that change when the bars in [start_ms, end_ms) do (or move to the archive)."""
        key = KlineKey(coin.id, source, interval)
        with self._database.snapshot() as connection:
            months = kline_archives.current(connection, key, start_ms, end_ms)
            warm = klines.fingerprint(connection, key, start_ms, end_ms)
        return [*warm, *(number for month in months for number in (month.id, month.bars))]

    # ------------------------------------------------------------------------ what is there

    def missing(
        self, coin: Coin, source: str, interval: Interval, start_ms: int, end_ms: int
    ) -> list[Range]:
        """The parts of [start_ms, end_ms) that no source has been asked for yet."""
        key = KlineKey(coin.id, source, interval)
        return without((start_ms, end_ms), klines.covered(self._database.connection, key))

    def coverage(self, coin: Coin, source: str, interval: Interval) -> Coverage | None:
        """What is stored of a coin; None where nothing is."""
        key = KlineKey(coin.id, source, interval)

        def found() -> Coverage | None:
            with self._database.snapshot() as connection:
                months = kline_archives.current(connection, key, 0, klines.LATEST_MS)
                warm = klines.bounds(connection, key)
                doubled = self._doubled_bars(key, months) if months and warm else 0
            parts = [(m.first_open_time, m.last_open_time, m.bars) for m in months]
            parts += [warm] if warm else []
            if not parts:
                return None
            first, last = min(part[0] for part in parts), max(part[1] for part in parts)
            bars = sum(part[2] for part in parts) - doubled
            expected = (last - first) // interval.milliseconds + 1
            return Coverage(source, first, last, bars, expected - bars)

        return self._with_files_of_one_moment(found)

    def gaps(self, coin: Coin, source: str, interval: Interval) -> list[Gap]:
        """The bars that are missing between the first and the last that is stored, ascending."""
        key = KlineKey(coin.id, source, interval)

        def runs() -> tuple[list[Range], list[Range]]:
            with self._database.snapshot() as connection:
                months = kline_archives.current(connection, key, 0, klines.LATEST_MS)
                times = klines.open_times(connection, key, 0, klines.LATEST_MS)
                covered = klines.covered(connection, key)
            found = runs_of(times, interval)
            for month in months:
                found += self._runs_of_month(key, month)
            return merged(found), covered

        present, covered = self._with_files_of_one_moment(runs)
        gaps: list[Gap] = []
        for (_, start), (end, _) in pairwise(present):
            unasked = without((start, end), covered)
            asked = without((start, end), unasked)
            pieces = sorted([(a, b, True) for a, b in asked] + [(a, b, False) for a, b in unasked])
            for a, b, is_asked in pieces:
                bars = (interval.ceil(b) - interval.ceil(a)) // interval.milliseconds
                gaps += [Gap(a, b, bars, is_asked)] if bars else []
        return gaps

    def archived_months(self, coin: Coin, source: str, interval: Interval) -> list[ArchivedMonth]:
        """The months of a series that are in the archive, ascending."""
        key = KlineKey(coin.id, source, interval)
        return kline_archives.current(self._database.connection, key, 0, klines.LATEST_MS)

    def series_keys(self) -> list[KlineKey]:
        """Every series of which anything is stored, by coin, source and interval."""
        with self._database.snapshot() as connection:
            found = {*klines.keys(connection), *kline_archives.keys(connection)}
        series = [KlineKey(coin_id, source, Interval(name)) for coin_id, source, name in found]
        return sorted(series, key=lambda k: (k.coin_id, k.source, k.interval.milliseconds))

    # ------------------------------------------------------------------------------- storing

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

    def doubt(self, coin: Coin, source: str, interval: Interval, doubted: Range) -> None:
        """Forget that a range is known in full, so that it is asked for again."""
        key = KlineKey(coin.id, source, interval)
        with self._database.transaction() as connection:
            known = klines.covered(connection, key)
            kept = [piece for part in known for piece in without(part, [doubted])]
            klines.replace_coverage(connection, key, kept)

    def store_all(
        self, coin: Coin, series: KlineSeries, on_bars: Callable[[int], object] | None = None
    ) -> None:
        """Keep a long series of closed bars, and that there are no others between its ends.

        Stretch by stretch: a cut leaves its beginning. `on_bars` is told how many came to it.
        """
        for start in range(0, len(series), STRETCH_BARS):
            stop = min(start + STRETCH_BARS, len(series))
            stretch = series.slice(start, stop)
            until = (
                int(series.open_time[stop])
                if stop < len(series)
                else int(series.open_time[-1]) + series.interval.milliseconds
            )
            self.store(coin, stretch, (int(stretch.open_time[0]), until))
            if on_bars is not None:
                on_bars(len(stretch))

    # ------------------------------------------------------------------------------- archive

    def archive_at(self, root: str) -> KlineArchive:
        """The archive that rows call `root`: a relative folder lies beside the database."""
        place = root if root.startswith(S3) else str(self._database.path.parent.absolute() / root)
        with self._archives_lock:
            if place not in self._archives:
                self._archives[place] = KlineArchive(place)
            return self._archives[place]

    def read_month(self, key: KlineKey, month: ArchivedMonth) -> KlineSeries:
        """The bars of an archived month. Raises ArchiveUnavailable."""
        archive = self.archive_at(month.root)
        series = archive.read(month.file, key.interval, key.source)
        if len(series) != month.bars:
            raise ArchiveUnavailable(
                f"{month.file} in {archive.root} holds {len(series)} bars, not {month.bars}."
            )
        return series

    def _read_months(self, key: KlineKey, months: list[ArchivedMonth]) -> list[KlineSeries]:
        """Several at once: a bucket far away answers each in its own time."""
        if len(months) < 2:
            return [self.read_month(key, month) for month in months]
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(lambda month: self.read_month(key, month), months))

    def _doubled_bars(self, key: KlineKey, months: Iterable[ArchivedMonth]) -> int:
        """How many bars are in the database as well as in the archive."""
        connection = self._database.connection
        both = kline_archives.with_warm_bars(connection, key)
        doubled = 0
        for month in months:
            if month.id in both:
                warm = klines.open_times(connection, key, month.start_ms, month.end_ms)
                cold = self.read_month(key, month).open_time
                doubled += len(np.intersect1d(warm, cold, assume_unique=True))
        return doubled

    def _runs_of_month(self, key: KlineKey, month: ArchivedMonth) -> list[Range]:
        """Without a look at the file where it has every bar from its first to its last."""
        step = key.interval.milliseconds
        if month.bars == (month.last_open_time - month.first_open_time) // step + 1:
            return [(month.first_open_time, month.last_open_time + step)]
        return runs_of(self.read_month(key, month).open_time, key.interval)

    def _with_files_of_one_moment(self, ask: Callable[[], Answer]) -> Answer:
        """Ask once more where a file was replaced between the look at the rows and at the file."""
        try:
            return ask()
        except ArchiveUnavailable:
            return ask()


def runs_of(times: TimeArray, interval: Interval) -> list[Range]:
    """The ranges that ascending open times fill without a gap."""
    if not len(times):
        return []
    step = interval.milliseconds
    breaks = np.flatnonzero(np.diff(times) != step)
    firsts = times[np.concatenate(([0], breaks + 1))]
    lasts = times[np.concatenate((breaks, [len(times) - 1]))]
    return [(int(a), int(b) + step) for a, b in zip(firsts, lasts, strict=True)]


def merged(ranges: Iterable[Range]) -> list[Range]:
    """`ranges` sorted, with those that touch or overlap made one."""
    apart: list[Range] = []
    for start, end in sorted(ranges):
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end))
        else:
            apart.append((start, end))
    return apart


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
