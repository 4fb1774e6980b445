"""Candles from the store, and from the sources in turn for what it lacks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from domain import Clock, Coin, Interval, KlineSeries
from errors import InvalidInput, NotFound, SourceError, SourceUnavailable
from kline_archive import joined
from kline_store import Coverage, KlineStore
from market_sources import MarketSource, all_failed, venue_symbols
from price_check import Finding
from single_flight import SingleFlight
from source_answers import UNKNOWN_SYMBOL
from source_health import SourceMonitor
from time_budget import TimeBudget, for_history, patience
from timestamps import iso_utc

MOST_BARS_A_REQUEST = 1_100_000
STRETCH_BARS = 10_000  # of history: each stretch is stored before the next is asked for
STRETCH_SECONDS = 300.0  # that history may take for one, waiting for its turn included
WIDENINGS = 3  # times that a question for the last bars looks further back over gaps
# A bar is asked for once more until its close lies so far back: the venue's clock may be behind.
SETTLING_MS = 5_000
# A gap is asked for once more so long after it was found: an answer can lack bars by mistake.
GAPS_DOUBTED_MS = 600_000
MOST_DOUBTED = 100  # gaps of one series at once

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class KlineQuestion:
    """Which bars: up to `limit` from `start_ms`, or the last before `end_ms`, or the latest."""

    interval: Interval
    start_ms: int | None
    end_ms: int | None
    limit: int
    include_open: bool

    def bounds(self, forming: int) -> tuple[int | None, int]:
        """Open times first ≤ t < stop; no first for the last bars; `forming` opens the open bar."""
        stop = forming + 1 if self.end_ms is None else max(0, self.interval.ceil(self.end_ms))
        first = None if self.start_ms is None else self.interval.ceil(max(self.start_ms, 0))
        return first, min(stop, forming + 1)


@dataclass(frozen=True, slots=True)
class KlineAnswer:
    """Bars, and whether they may lack the newest ones because no source answered."""

    series: KlineSeries
    stale: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """How much of a range could be had: the bars that no source was there to answer for."""

    source: str
    unanswered_bars: int
    failure: SourceError | None


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
    """Open times that no bar came for, and when (wall time) to ask for them once more."""

    start_ms: int
    end_ms: int
    due_ms: int


class KlineRouting:
    """Candles of `sources`, the first choice first, each with a store of its own series.

    `clock` is the market's time, `wall_clock` that by which gaps are asked for again;
    `budget_seconds` is what a live question may take in all.
    """

    def __init__(
        self,
        store: KlineStore,
        sources: Sequence[MarketSource],
        monitor: SourceMonitor,
        clock: Clock,
        wall_clock: Clock,
        budget_seconds: float,
        tell: Callable[[Iterable[Finding]], None] = lambda findings: None,
    ):
        self._store = store
        self._sources = sources
        self._monitor = monitor
        self._clock = clock
        self._wall_clock = wall_clock
        self._doubted: dict[tuple[str, str, Interval], list[DoubtedGap]] = {}
        self._budget_seconds = budget_seconds
        self._tell = tell
        self._flights: dict[tuple[str, str, Interval, bool], SingleFlight] = {}
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------ questions

    def get(self, coin: Coin, question: KlineQuestion) -> KlineAnswer:
        """The bars of the first source that answers, or as stale what is stored of one.

        Raises NotFound (listed nowhere), SourceError (nothing at all).
        """
        budget = TimeBudget(self._budget_seconds)
        venues = self._venues(coin, question.interval)
        failures: list[SourceError] = []
        stale: KlineSeries | None = None
        for place, venue in enumerate(venues):
            later = sum(self._monitor.would_ask(other.source) for other in venues[place + 1 :])
            with budget.share(1 + later):
                series, failure = self._klines_of(venue, question)
            if failure is None:
                return KlineAnswer(series)
            failures.append(failure)
            if stale is None and len(series):
                stale = series
        if not failures:
            stale = self._stored(coin, question)
        if stale is not None and len(stale):
            return KlineAnswer(stale, stale=True)
        failures = [failure for failure in failures if failure.code != UNKNOWN_SYMBOL]
        if len(failures) == 1:
            raise failures[0]
        raise all_failed(f"candles of {coin.symbol}", failures) if failures else not_listed(coin)

    def fetch_history(
        self,
        coin: Coin,
        interval: Interval,
        start_ms: int,
        end_ms: int,
        progress: Progress | None = None,
        source: str | None = None,
    ) -> History:
        """Bring the closed bars with start_ms ≤ open_time < end_ms into the store.

        Of the first source that has them all; else of the first there is, as far as it answers.
        `source` names the only one that is asked.
        """
        first = interval.ceil(start_ms)
        stop = min(end_ms, interval.floor(self._clock.now_ms()))
        venues = [venue for venue in self._venues(coin, interval) if source in (None, venue.name)]
        failures: list[SourceError] = []
        for venue in venues:
            self._ask_again_for_gaps(venue)
            failure = self._fill(venue, first, stop, progress, is_history=True)
            if failure is None:
                return History(venue.name, 0, None)
            failures.append(failure)
        name = venues[0].name if venues else source or self.first_source()
        unknown = self._store.missing(coin, name, interval, first, stop)
        bars = sum(-(-(end - start) // interval.milliseconds) for start, end in unknown)
        if not failures:
            if not unknown:
                return History(name, 0, None)
            failures = [SourceUnavailable(f"No source of klines lists {coin.symbol}.")]
        failure = (
            failures[0] if len(failures) == 1 else all_failed(f"candles of {coin.symbol}", failures)
        )
        return History(name, bars, failure)

    def first_source(self) -> str:
        """The source whose klines come first."""
        return self._sources[0].name

    def coverage(self, coin: Coin, interval: Interval) -> Coverage | None:
        """What is stored of a coin, of the first source that has any."""
        for source in self._sources:
            found = self._store.coverage(coin, source.name, interval)
            if found is not None:
                return found
        return None

    # -------------------------------------------------------------------------- one source

    def _venues(self, coin: Coin, interval: Interval) -> list[Venue]:
        """The sources that list the coin, first choice first."""
        return [
            Venue(source, symbol, coin, interval)
            for source in self._sources
            for symbol in venue_symbols(source.name, [coin])
        ]

    def _klines_of(
        self, venue: Venue, question: KlineQuestion
    ) -> tuple[KlineSeries, SourceError | None]:
        """One source's answer, or what is stored of it and why the rest may be missing."""
        self._ask_again_for_gaps(venue)
        limit = question.limit
        forming = venue.interval.floor(self._clock.now_ms())  # where the open bar opens
        first, stop = question.bounds(forming)
        if first is None:
            series, failure = self._last_bars(venue, min(stop, forming), limit)
        else:
            series, failure = self._first_bars(venue, first, min(stop, forming), limit)
        is_asked_for = question.include_open and (first or 0) <= forming < stop
        has_room = first is None or len(series) < limit
        if is_asked_for and has_room and failure is None:
            series = self._with_open_bar(venue, series, forming, limit)
        return series, failure

    def _stored(self, coin: Coin, question: KlineQuestion) -> KlineSeries:
        """What was imported of a coin that no source lists."""
        first, stop = question.bounds(question.interval.floor(self._clock.now_ms()))
        name, interval = self.first_source(), question.interval
        if first is None:
            return self._store.read_last(coin, name, interval, stop, question.limit)
        return self._store.read(coin, name, interval, first, stop).slice(0, question.limit)

    def _last_bars(
        self, venue: Venue, stop: int, limit: int
    ) -> tuple[KlineSeries, SourceError | None]:
        """The last `limit` closed bars before `stop`, and why the newest may be missing.

        Where the exchange made fewer in that time, those before its gaps.
        """
        coin, interval, name = venue.coin, venue.interval, venue.name
        first, wanted = stop, limit
        for turn in range(1 + WIDENINGS):
            first = max(0, first - wanted * 4**turn * interval.milliseconds)
            failure = self._fill(venue, first, stop)
            if failure is not None:
                return self._store.read_last(coin, name, interval, stop, limit), failure
            series = self._store.read(coin, name, interval, first, stop)
            wanted = limit - len(series)
            if wanted <= 0 or first == 0:
                break
        return series.slice(max(0, len(series) - limit), len(series)), None

    def _first_bars(
        self, venue: Venue, first: int, stop: int, limit: int
    ) -> tuple[KlineSeries, SourceError | None]:
        """The first `limit` closed bars in [first, stop): before a listing, those that follow it.

        With what is stored of them, and why, where the source does not answer.
        """
        coin, interval, name = venue.coin, venue.interval, venue.name
        found, at, width = KlineSeries.empty(interval, name), first, limit
        while at < stop and len(found) < limit:
            failure = self._fetch_next(venue, at, stop, limit - len(found))
            unknown = self._store.missing(coin, name, interval, at, stop)
            known_until = unknown[0][0] if unknown else stop
            # What is not known for good is given too, but nothing is looked for behind it.
            is_last = known_until == at
            known_until = unknown[0][1] if is_last else known_until
            until = min(known_until, at + width * interval.milliseconds)
            found = joined([found], self._store.read(coin, name, interval, at, until))
            if failure is not None or is_last:
                return found.slice(0, limit), failure
            at, width = until, min(4 * width, STRETCH_BARS)
        return found.slice(0, limit), None

    def _fetch_next(self, venue: Venue, at: int, stop: int, count: int) -> SourceError | None:
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

    def _with_open_bar(
        self, venue: Venue, series: KlineSeries, forming: int, limit: int
    ) -> KlineSeries:
        """The last `limit` of `series` and the bar that opened at `forming`."""
        try:
            newest = self._ask(venue, forming, None, 1)
        except SourceError:
            return series  # the closed bars are right without it
        bars = [*series, *(bar for bar in newest if bar.open_time == forming)]
        return KlineSeries.from_klines(bars[-limit:], venue.interval, venue.name)

    # ---------------------------------------------------------------------------- fetching

    def _fill(
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
                f"That is more than {MOST_BARS_A_REQUEST:,} bars.", code="range_too_long"
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
        series = self._ask(venue, start, end, None).closed()
        self._keep(venue, series, start, end, venue.source.dropped_rows - dropped)

    def _fetch_first(self, venue: Venue, start: int, end: int, count: int) -> None:
        """Fetch the first `count` bars of [start, end), wherever they begin."""
        dropped = venue.source.dropped_rows
        holds_more = (end - start) // venue.interval.milliseconds > count
        series = self._ask(venue, start, end, count if holds_more else None).closed()
        if holds_more and len(series) >= count:  # all up to the last of them is known
            end = int(series.open_time[-1]) + venue.interval.milliseconds
        self._keep(venue, series, start, end, venue.source.dropped_rows - dropped)

    def _keep(self, venue: Venue, series: KlineSeries, start: int, end: int, dropped: int) -> None:
        """Store bars, among which is all there is of [start, end) unless some were dropped."""
        settled = venue.interval.floor(self._clock.now_ms() - SETTLING_MS)
        known_until = start if dropped else min(end, settled)
        self._store.store(venue.coin, series, (start, known_until))
        gaps = _gaps_between(series)
        self._doubt(venue, gaps)
        self._tell([*_dropped(venue, dropped), *_found_gaps(venue, gaps)])

    def _doubt(self, venue: Venue, gaps: Sequence[tuple[int, int]]) -> None:
        due_ms = self._wall_clock.now_ms() + GAPS_DOUBTED_MS
        if gaps:
            with self._lock:
                doubted = self._doubted.setdefault(venue.series, [])
                doubted += [DoubtedGap(start, end, due_ms) for start, end in gaps]
                del doubted[:-MOST_DOUBTED]

    def _ask_again_for_gaps(self, venue: Venue) -> None:
        """Forget of those gaps that are due that they are known: the next question asks."""
        now_ms = self._wall_clock.now_ms()
        with self._lock:
            doubted = self._doubted.get(venue.series, [])
            due = [gap for gap in doubted if gap.due_ms <= now_ms]
            if due:
                self._doubted[venue.series] = [gap for gap in doubted if gap.due_ms > now_ms]
        for gap in due:
            self._store.doubt(venue.coin, venue.name, venue.interval, (gap.start_ms, gap.end_ms))

    def _ask(
        self, venue: Venue, start_ms: int, end_ms: int | None, limit: int | None
    ) -> KlineSeries:
        return self._monitor.ask(
            venue.source,
            lambda: venue.source.klines(venue.symbol, venue.interval, start_ms, end_ms, limit),
        )

    def _flight(self, venue: Venue, is_history: bool) -> SingleFlight:
        key = (venue.name, venue.coin.symbol, venue.interval, is_history)
        with self._lock:
            return self._flights.setdefault(key, SingleFlight())


def not_listed(coin: Coin) -> NotFound:
    """The error for a coin that no exchange has a symbol of."""
    return NotFound(f"No exchange lists {coin.symbol}.", code="not_listed")


def _dropped(venue: Venue, rows: int) -> list[Finding]:
    if rows <= 0:
        return []
    words = f"{rows} candles of {venue.coin.symbol} from {venue.name} were not sound: left out."
    return [Finding("dropped", venue.name, venue.coin.symbol, words)]


def _gaps_between(series: KlineSeries) -> list[tuple[int, int]]:
    """The ranges [start, end) of open times that are missing between others."""
    step = series.interval.milliseconds
    wide = np.flatnonzero(np.diff(series.open_time) != step)
    return [(int(series.open_time[i]) + step, int(series.open_time[i + 1])) for i in wide]


def _found_gaps(venue: Venue, gaps: Sequence[tuple[int, int]]) -> list[Finding]:
    """What to tell of bars that are missing between others."""
    if not gaps:
        return []
    bars = sum(end - start for start, end in gaps) // venue.interval.milliseconds
    words = (
        f"{venue.name} has no {bars} {venue.interval} candles of {venue.coin.symbol} "
        f"in {len(gaps)} gaps, the first from {iso_utc(gaps[0][0])}."
    )
    return [Finding("gap", venue.name, venue.coin.symbol, words)]
