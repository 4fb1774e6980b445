"""Candles from the store, and from the sources in turn for what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import sleep

from data_findings import Finding
from domain import Clock, Coin, Interval, KlineSeries
from errors import NotFound, SourceError, SourceRateLimited, SourceUnavailable
from kline_archive import joined
from kline_filling import STRETCH_BARS, KlineFilling, Progress, Venue
from kline_store import Coverage, KlineStore
from market_sources import MarketSource, all_failed, venue_symbols
from source_answers import UNKNOWN_SYMBOL
from source_health import SourceMonitor
from time_budget import TimeBudget

LONGEST_SILENCE_SECONDS = 90.0  # that history waits for, where no other source answers
WIDENINGS = 3  # times that a question for the last bars looks further back over gaps


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


class KlineRouting:
    """Candles of `sources`, the first choice first, each with a store of its own series.

    `clock` is the market's time, `wall_clock` that by which gaps are asked for again;
    `budget_seconds` is what a live question may take in all. `is_quarantined` says whether a
    source's price of a coin is not believed for now.
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
        is_quarantined: Callable[[str, str], bool] = lambda source, coin: False,
    ):
        self._store = store
        self._is_quarantined = is_quarantined
        self._sources = sources
        self._monitor = monitor
        self._clock = clock
        self._wall_clock = wall_clock
        self._budget_seconds = budget_seconds
        self._filling = KlineFilling(store, monitor, clock, wall_clock, tell)

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
        `source` names the only one that is asked. A source that asks for a short silence is
        waited for when no other answers; `progress` is told 0 meanwhile, and may raise.
        """
        first = interval.ceil(start_ms)
        stop = min(end_ms, interval.floor(self._clock.now_ms()))
        venues = [venue for venue in self._venues(coin, interval) if source in (None, venue.name)]
        failures: list[SourceError] = []
        for turn in range(2):
            if turn and not self._waited_for(venues, failures, progress):
                break
            failures.clear()
            for venue in venues:
                self._filling.ask_again_for_gaps(venue)
                failure = self._filling.fill(venue, first, stop, progress, is_history=True)
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

    def _waited_for(
        self, venues: Sequence[Venue], failures: Sequence[SourceError], progress: Progress | None
    ) -> bool:
        """Wait until the first of those that ask for silence may be asked, if that is soon."""
        ends = [
            self._monitor.record(venue.name).breaker.retry_at_ms or 0
            for venue, failure in zip(venues, failures, strict=True)
            if isinstance(failure, SourceRateLimited)
        ]
        if not ends or self._wall_clock.wall_seconds_until(min(ends)) > LONGEST_SILENCE_SECONDS:
            return False
        while (seconds := self._wall_clock.wall_seconds_until(min(ends))) > 0:
            if progress is not None:
                progress(0.0)
            sleep(min(seconds, 1.0))
        return True

    def first_source(self) -> str:
        """The source whose klines come first."""
        return self._sources[0].name

    def sources(self) -> list[str]:
        """All sources of klines, in their order."""
        return [source.name for source in self._sources]

    def coverage(self, coin: Coin, interval: Interval) -> Coverage | None:
        """What is stored of a coin, of the first source that has any."""
        for source in self._sources:
            found = self._store.coverage(coin, source.name, interval)
            if found is not None:
                return found
        return None

    # -------------------------------------------------------------------------- one source

    def _venues(self, coin: Coin, interval: Interval) -> list[Venue]:
        """The sources that list the coin, first choice first.

        One whose price of the coin is in quarantine is left out while there is another: bars are
        kept for good, and those that it makes now are no better than its price.
        """
        venues = [
            Venue(source, symbol, coin, interval)
            for source in self._sources
            for symbol in venue_symbols(source.name, [coin])
        ]
        trusted = [venue for venue in venues if not self._is_quarantined(venue.name, coin.symbol)]
        return trusted or venues

    def _klines_of(
        self, venue: Venue, question: KlineQuestion
    ) -> tuple[KlineSeries, SourceError | None]:
        """One source's answer, or what is stored of it and why the rest may be missing."""
        self._filling.ask_again_for_gaps(venue)
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
            return self._with_open_bar(venue, series, forming, limit)
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
            failure = self._filling.fill(venue, first, stop)
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
            failure = self._filling.fetch_next(venue, at, stop, limit - len(found))
            if failure is not None:
                stored = self._stored_from(venue, at, stop, limit)
                return joined([found], stored).slice(0, limit), failure
            unknown = self._store.missing(coin, name, interval, at, stop)
            known_until = unknown[0][0] if unknown else stop
            # What is not known for good is given too, but nothing is looked for behind it.
            is_last = known_until == at
            known_until = unknown[0][1] if is_last else known_until
            until = min(known_until, at + width * interval.milliseconds)
            found = joined([found], self._store.read(coin, name, interval, at, until))
            if is_last:
                break
            at, width = until, min(4 * width, STRETCH_BARS)
        return found.slice(0, limit), None

    def _stored_from(self, venue: Venue, at: int, stop: int, limit: int) -> KlineSeries:
        """What is stored from `at` on, of a source that does not answer for it."""
        coin, interval, name = venue.coin, venue.interval, venue.name
        stored = self._store.coverage(coin, name, interval)
        if stored is None:
            return KlineSeries.empty(interval, name)
        first = max(at, stored.first)
        until = min(stop, first + STRETCH_BARS * interval.milliseconds)  # gaps among them
        return self._store.read(coin, name, interval, first, until).slice(0, limit)

    def _with_open_bar(
        self, venue: Venue, series: KlineSeries, forming: int, limit: int
    ) -> tuple[KlineSeries, SourceError | None]:
        """The last `limit` of `series` and the bar that opened at `forming`, or why it is not had."""
        try:
            newest = self._filling.ask(venue, forming, None, 1)
        except SourceError as failure:
            return series, failure
        bars = [*series, *(bar for bar in newest if bar.open_time == forming)]
        return KlineSeries.from_klines(bars[-limit:], venue.interval, venue.name), None


def not_listed(coin: Coin) -> NotFound:
    """The error for a coin that no exchange has a symbol of."""
    return NotFound(
        f"No exchange lists {coin.symbol}.", code="not_listed", values={"coin": coin.symbol}
    )
