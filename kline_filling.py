"""Candles of one source into the store: what is missing, each stretch at once, gaps doubted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_findings import Finding
from domain import Clock, Coin, Interval, KlineSeries
from errors import InvalidInput, SourceError
from kline_store import KlineStore, runs_of, without
from market_sources import MarketSource
from repositories.klines import Range
from single_flight import SingleFlight
from source_health import SourceMonitor
from time_budget import for_history, patience
from timestamps import iso_utc

MOST_BARS_A_REQUEST = 1_100_000
STRETCH_BARS = 10_000  # of history: each stretch is stored before the next is asked for
STRETCH_SECONDS = 300.0  # that history may take for one, waiting for its turn included
# A bar is asked for once more until its close lies so far back: the venue's clock may be behind.
SETTLING_MS = 5_000
# A gap is asked for once more so long after it was found: an answer can lack bars by mistake.
GAPS_DOUBTED_MS = 600_000
MOST_DOUBTED = 200  # gaps of one series at once

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Venue:
    """A coin's candles of one interval at one source, by the source's symbol."""

    source: MarketSource
    symbol: str
    coin: Coin
    interval: Interval

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    @property
    def series(self) -> tuple[str, str, Interval]:
        """What stands for this series."""
        return self.name, self.coin.symbol, self.interval


@dataclass(frozen=True, slots=True)
class DoubtedGap:
    """Open times that no bar came for, and when (wall time) to ask for them once more.

    None once that was done: what is absent twice is a gap.
    """

    start_ms: int
    end_ms: int
    due_ms: int | None


class KlineFilling:
    """Brings what `store` lacks of a venue's candles. `clock` is the market's time.

    `wall_clock` is that by which gaps are asked for again; what is found goes to `tell`.
    """

    def __init__(
        self,
        store: KlineStore,
        monitor: SourceMonitor,
        clock: Clock,
        wall_clock: Clock,
        tell: Callable[[Iterable[Finding]], None],
    ):
        self._store = store
        self._monitor = monitor
        self._clock = clock
        self._wall_clock = wall_clock
        self._tell = tell
        self._doubted: dict[tuple[str, str, Interval], list[DoubtedGap]] = {}
        self._flights: dict[tuple[str, str, Interval, bool], SingleFlight] = {}
        self._lock = threading.Lock()

    def fill(
        self,
        venue: Venue,
        first: int,
        stop: int,
        progress: Progress | None = None,
        *,
        is_history: bool = False,
    ) -> SourceError | None:
        """Fetch what the store lacks of [first, stop); the error when that could not be done."""
        coin, interval, name = venue.coin, venue.interval, venue.name
        if first >= stop:
            return None
        if (stop - first) // interval.milliseconds > MOST_BARS_A_REQUEST:
            raise InvalidInput(
                f"That is more than {MOST_BARS_A_REQUEST:,} bars.",
                code="range_too_long",
                values={"most": MOST_BARS_A_REQUEST},
            )
        if not self._store.missing(coin, name, interval, first, stop):
            return None

        def fetch_missing() -> None:
            for start, end in self._store.missing(coin, name, interval, first, stop):
                self._fetch(venue, start, end, progress, is_history)

        waits_seconds = -1 if is_history else patience().seconds_left
        try:
            self._flight(venue, is_history).run(fetch_missing, waits_seconds)
        except SourceError as error:
            return error
        return None

    def fetch_next(self, venue: Venue, at: int, stop: int, count: int) -> SourceError | None:
        """Fetch the first `count` bars from `at` on, where it is not known what is there."""

        def fetch() -> None:
            unknown = self._store.missing(venue.coin, venue.name, venue.interval, at, stop)
            if unknown and unknown[0][0] == at:
                self._fetch_first(venue, at, unknown[0][1], count)

        unknown = self._store.missing(venue.coin, venue.name, venue.interval, at, stop)
        if not unknown or unknown[0][0] > at:
            return None
        try:
            self._flight(venue, is_history=False).run(fetch, patience().seconds_left)
        except SourceError as error:
            return error
        return None

    def ask(
        self, venue: Venue, start_ms: int, end_ms: int | None, limit: int | None
    ) -> KlineSeries:
        """The venue's own answer, nothing of which is stored. Raises SourceError."""
        return self._monitor.ask(
            venue.source,
            lambda: venue.source.klines(venue.symbol, venue.interval, start_ms, end_ms, limit),
        )

    def _fetch(
        self, venue: Venue, start: int, end: int, progress: Progress | None, is_history: bool
    ) -> None:
        """Fetch [start, end) in stretches, each stored before the next is asked for."""
        stretch = STRETCH_BARS * venue.interval.milliseconds
        for at in range(start, end, stretch):
            until = min(at + stretch, end)
            if is_history:
                with for_history(STRETCH_SECONDS):
                    self._fetch_stretch(venue, at, until)
            else:
                self._fetch_stretch(venue, at, until)
            if progress is not None:
                progress((until - start) / (end - start))

    def _fetch_stretch(self, venue: Venue, start: int, end: int) -> None:
        dropped = venue.source.dropped_rows
        series = self.ask(venue, start, end, None).closed()
        self._keep(venue, series, start, end, venue.source.dropped_rows - dropped)

    def _fetch_first(self, venue: Venue, start: int, end: int, count: int) -> None:
        """Fetch the first `count` bars of [start, end), wherever they begin."""
        dropped = venue.source.dropped_rows
        holds_more = (end - start) // venue.interval.milliseconds > count
        series = self.ask(venue, start, end, count if holds_more else None).closed()
        if holds_more and len(series) >= count:  # all up to the last of them is known
            end = int(series.open_time[-1]) + venue.interval.milliseconds
        self._keep(venue, series, start, end, venue.source.dropped_rows - dropped)

    def _keep(self, venue: Venue, series: KlineSeries, start: int, end: int, dropped: int) -> None:
        """Store bars, among which is all there is of [start, end) unless some were dropped."""
        settled = venue.interval.floor(self._clock.now_ms() - SETTLING_MS)
        known_until = start if dropped else min(end, settled)
        self._store.store(venue.coin, series, (start, known_until))
        self._doubt(venue, without((start, known_until), runs_of(series.open_time, venue.interval)))
        self._tell([*_dropped(venue, dropped), *_found_gaps(venue, _gaps_between(series))])

    def _doubt(self, venue: Venue, absent: Sequence[Range]) -> None:
        """Have what is not there asked for once more: also at the end, and before a listing."""
        due_ms = self._wall_clock.now_ms() + GAPS_DOUBTED_MS
        with self._lock:
            doubted = self._doubted.setdefault(venue.series, [])
            known = {(gap.start_ms, gap.end_ms) for gap in doubted}
            doubted += [DoubtedGap(*gap, due_ms) for gap in absent if gap not in known]
            del doubted[:-MOST_DOUBTED]

    def ask_again_for_gaps(self, venue: Venue) -> None:
        """Forget of those gaps that are due that they are known: the next question asks."""
        now_ms = self._wall_clock.now_ms()
        with self._lock:
            doubted = self._doubted.get(venue.series, [])
            due = [gap for gap in doubted if gap.due_ms is not None and gap.due_ms <= now_ms]
            if due:
                self._doubted[venue.series] = [
                    replace(gap, due_ms=None) if gap in due else gap for gap in doubted
                ]
        for gap in due:
            self._store.doubt(venue.coin, venue.name, venue.interval, (gap.start_ms, gap.end_ms))

    def _flight(self, venue: Venue, is_history: bool) -> SingleFlight:
        key = (venue.name, venue.coin.symbol, venue.interval, is_history)
        with self._lock:
            return self._flights.setdefault(key, SingleFlight())


def _dropped(venue: Venue, rows: int) -> list[Finding]:
    if rows <= 0:
        return []
    values = {"rows": rows, "interval": venue.interval.value}
    return [Finding("dropped_candles", venue.name, venue.coin.symbol, values)]


def _gaps_between(series: KlineSeries) -> list[Range]:
    """The ranges [start, end) of open times that are missing between others."""
    step = series.interval.milliseconds
    wide = np.flatnonzero(np.diff(series.open_time) != step)
    return [(int(series.open_time[i]) + step, int(series.open_time[i + 1])) for i in wide]


def _found_gaps(venue: Venue, gaps: Sequence[Range]) -> list[Finding]:
    """What to tell of bars that are missing between others."""
    if not gaps:
        return []
    bars = sum(end - start for start, end in gaps) // venue.interval.milliseconds
    values = {
        "bars": bars, "interval": venue.interval.value, "gaps": len(gaps),
        "first": iso_utc(gaps[0][0]),
    }  # fmt: skip
    return [Finding("gap", venue.name, venue.coin.symbol, values)]
