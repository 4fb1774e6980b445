"""`MultiSourceDataAggregator` answers every question about the market, for pages, engine and backtest.

It asks the sources in their order of priority, keeps the latest prices in memory and closed bars
in the warm store, and lets many callers of the same thing share one call. It never makes a value
up: what cannot be had is an error that says what each source said, or an old value that says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clock import SystemClock
from database import Database
from domain import (
    Clock,
    Coin,
    CoinMarket,
    Interval,
    KlineSeries,
    OrderBook,
    Ticker,
)
from errors import InvalidInput, NotFound, SourceError, SourceUnavailable
from kline_store import Coverage, KlineStore
from latest_prices import KnownPrice, LatestPrices
from market_sources import (
    UNKNOWN_SYMBOL,
    MarketSource,
    PriceSource,
    SourceHealth,
    SourceMonitor,
    all_failed,
    venue_symbols,
)
from repositories import coins as coin_rows
from single_flight import SingleFlight
from venue_listings import VenueListings

MOST_BARS_A_REQUEST = 1_100_000
WIDENINGS = 3  # times that a question for the last bars looks further back over gaps
# A bar is asked for once more until its close lies so far back: the venue's clock may be behind.
SETTLING_MS = 5_000

log = logging.getLogger(__name__)


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
        if self.start_ms is None:
            return None, stop
        first = self.interval.ceil(max(self.start_ms, 0))
        return first, min(stop, first + self.limit * self.interval.milliseconds)


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


class MultiSourceDataAggregator:
    """One voice for all sources. `clock` is the market's time, `wall_clock` that of ages."""

    def __init__(
        self,
        database: Database,
        sources: Mapping[str, MarketSource],
        priority: Mapping[str, Sequence[str]],
        clock: Clock,
        *,
        wall_clock: Clock | None = None,
        price_ttl_seconds: float = 10.0,
        price_sources: Mapping[str, PriceSource] | None = None,
    ):
        self._database = database
        self._sources = sources
        self._price_sources: dict[str, PriceSource] = {**sources, **(price_sources or {})}
        self._priority = priority
        self._clock = clock
        self._wall_clock = wall_clock or SystemClock()
        self._store = KlineStore(database)
        self._kline_flights: dict[tuple[str, Interval], SingleFlight] = {}
        self._kline_flights_lock = threading.Lock()
        self._monitor = SourceMonitor(self._price_sources, self._wall_clock)
        self.latest = LatestPrices(
            database,
            [self._price_sources[n] for n in priority["price"] if n in self._price_sources],
            self._monitor,
            self._wall_clock,
            price_ttl_seconds,
        )
        self.venues = VenueListings(
            database, sources, priority["price"][0], self._monitor, self._wall_clock
        )

    # ------------------------------------------------------------------------------- prices

    def get_current_price(self, symbol: str) -> Ticker:
        """A coin's price, fresh. Raises NotFound for an unknown coin, SourceUnavailable."""
        coin = coin_rows.get(self._database.connection, symbol)
        prices = self.get_prices([coin.symbol])
        if coin.symbol not in prices:
            raise SourceUnavailable(f"No source has a price of {coin.symbol}.")
        return prices[coin.symbol].ticker

    def get_prices(
        self, symbols: Iterable[str], max_age_seconds: float | None = None
    ) -> dict[str, KnownPrice]:
        """Prices not older than `max_age_seconds`; see `LatestPrices.get`."""
        return self.latest.get(symbols, max_age_seconds)

    # ------------------------------------------------------------------------------- klines

    def get_klines(
        self,
        symbol: str,
        interval: Interval,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 100,
        include_open: bool = False,
    ) -> KlineAnswer:
        """Up to `limit` bars: the first from `start_ms`, or the last before `end_ms` (or now).

        `end_ms` is exclusive by open time. Only missing bars are asked for, of the first source
        that answers; when none does, what is stored comes back as stale. Raises NotFound (unknown
        coin, or listed nowhere), SourceError (nothing at all).
        """
        coin = coin_rows.get(self._database.connection, symbol)
        question = KlineQuestion(interval, start_ms, end_ms, limit, include_open)
        failures: list[SourceError] = []
        stale: KlineSeries | None = None
        for source in self._kline_sources(coin):
            series, failure = self._klines_of(coin, source, question)
            if failure is None:
                return KlineAnswer(series)
            failures.append(failure)
            if stale is None and len(series):
                stale = series
        if not failures:
            stale = self._stored_klines(coin, question)
        if stale is not None and len(stale):
            return KlineAnswer(stale, stale=True)
        failures = [failure for failure in failures if failure.code != UNKNOWN_SYMBOL]
        if len(failures) == 1:
            raise failures[0]
        raise all_failed(f"candles of {coin.symbol}", failures) if failures else _not_listed(coin)

    def _klines_of(
        self, coin: Coin, source: MarketSource, question: KlineQuestion
    ) -> tuple[KlineSeries, SourceError | None]:
        """One source's answer, or what is stored of it and why the rest may be missing."""
        interval, limit = question.interval, question.limit
        forming = interval.floor(self._clock.now_ms())  # where the bar opens that is still open
        first, stop = question.bounds(forming)
        if first is None:
            series, failure = self._last_bars(coin, source, interval, min(stop, forming), limit)
        else:
            failure = self._fill(coin, source, interval, first, min(stop, forming))
            series = self._store.read(coin, source.name, interval, first, min(stop, forming))
        reaches_forming = (first or 0) <= forming < stop
        if question.include_open and reaches_forming and failure is None:
            series = self._with_open_bar(source, coin, series, forming, limit)
        return series, failure

    def _stored_klines(self, coin: Coin, question: KlineQuestion) -> KlineSeries:
        """What was imported of a coin that no source lists."""
        forming = question.interval.floor(self._clock.now_ms())
        first, stop = question.bounds(forming)
        name, interval = self.kline_source_name(), question.interval
        if first is None:
            return self._store.read_last(coin, name, interval, min(stop, forming), question.limit)
        return self._store.read(coin, name, interval, first, min(stop, forming))

    def fetch_history(
        self,
        coin: Coin,
        interval: Interval,
        start_ms: int,
        end_ms: int,
        progress: Callable[[float], None] | None = None,
    ) -> History:
        """Bring the closed bars with start_ms ≤ open_time < end_ms into the store."""
        first = interval.ceil(start_ms)
        stop = min(end_ms, interval.floor(self._clock.now_ms()))
        source = next(iter(self._kline_sources(coin)), None)
        name = source.name if source is not None else self.kline_source_name()
        failure = self._fill(coin, source, interval, first, stop, progress)
        if failure is None:
            return History(name, 0, None)
        unknown = self._store.missing(coin, name, interval, first, stop)
        bars = sum(-(-(end - start) // interval.milliseconds) for start, end in unknown)
        return History(name, bars, failure)

    def kline_source_name(self) -> str:
        """The source whose klines come first."""
        return self._priority["klines"][0]

    def coverage(self, coin: Coin, interval: Interval) -> Coverage | None:
        """What is stored of a coin, of the first source that has any."""
        for name in self._priority["klines"]:
            found = self._store.coverage(coin, name, interval)
            if found is not None:
                return found
        return None

    def _last_bars(
        self, coin: Coin, source: MarketSource, interval: Interval, stop: int, limit: int
    ) -> tuple[KlineSeries, SourceError | None]:
        """The last `limit` closed bars before `stop`, and why the newest may be missing.

        Where the exchange made fewer in that time, those before its gaps.
        """
        first, wanted, name = stop, limit, source.name
        for turn in range(1 + WIDENINGS):
            first = max(0, first - wanted * 4**turn * interval.milliseconds)
            failure = self._fill(coin, source, interval, first, stop)
            if failure is not None:
                return self._store.read_last(coin, name, interval, stop, limit), failure
            series = self._store.read(coin, name, interval, first, stop)
            wanted = limit - len(series)
            if wanted <= 0 or first == 0:
                break
        return series.slice(max(0, len(series) - limit), len(series)), None

    def _kline_sources(self, coin: Coin) -> list[MarketSource]:
        """The sources that list the coin, first choice first."""
        return [
            source for source in self._sources_for("klines") if venue_symbols(source.name, [coin])
        ]

    def _fill(
        self,
        coin: Coin,
        source: MarketSource | None,
        interval: Interval,
        first: int,
        stop: int,
        progress: Callable[[float], None] | None = None,
    ) -> SourceError | None:
        """Fetch what the store lacks of [first, stop); the error when that could not be done."""
        if first >= stop:
            return None
        if (stop - first) // interval.milliseconds > MOST_BARS_A_REQUEST:
            raise InvalidInput(
                f"That is more than {MOST_BARS_A_REQUEST:,} bars.", code="range_too_long"
            )
        if source is None:
            return SourceUnavailable(f"No source of klines lists {coin.symbol}.")
        if not self._store.missing(coin, source.name, interval, first, stop):
            return None

        def fetch_missing() -> None:
            for start, end in self._store.missing(coin, source.name, interval, first, stop):
                self._fetch_klines(coin, source, interval, start, end, progress)

        try:
            self._kline_flight(coin.symbol, interval).run(fetch_missing)
        except SourceError as error:
            return error
        return None

    def _fetch_klines(
        self,
        coin: Coin,
        source: MarketSource,
        interval: Interval,
        start: int,
        end: int,
        progress: Callable[[float], None] | None,
    ) -> None:
        """Fetch [start, end) in stretches, each stored before the next is asked for."""
        (venue_symbol,) = venue_symbols(source.name, [coin])
        stretch = 10_000 * interval.milliseconds
        for at in range(start, end, stretch):
            until = min(at + stretch, end)
            dropped = source.dropped_rows
            series = self._ask_klines(source, venue_symbol, interval, at, until)
            settled = interval.floor(self._clock.now_ms() - SETTLING_MS)
            known_until = min(until, settled) if source.dropped_rows == dropped else at
            self._store.store(coin, series.closed(), (at, known_until))
            if progress is not None:
                progress((until - start) / (end - start))

    def _ask_klines(
        self, source: MarketSource, venue_symbol: str, interval: Interval,
        start_ms: int, end_ms: int | None,
    ) -> KlineSeries:  # fmt: skip
        return self._monitor.ask(
            source, lambda: source.klines(venue_symbol, interval, start_ms, end_ms, None)
        )

    def _with_open_bar(
        self, source: MarketSource, coin: Coin, series: KlineSeries, forming: int, limit: int
    ) -> KlineSeries:
        """The last `limit` of `series` and the bar that opened at `forming`."""
        interval = series.interval
        (venue_symbol,) = venue_symbols(source.name, [coin])
        try:
            newest = self._monitor.ask(
                source, lambda: source.klines(venue_symbol, interval, forming, None, 1)
            )
        except SourceError:
            return series  # the closed bars are right without it
        bars = [*series, *(bar for bar in newest if bar.open_time == forming)]
        return KlineSeries.from_klines(bars[-limit:], interval, source.name)

    def _kline_flight(self, symbol: str, interval: Interval) -> SingleFlight:
        with self._kline_flights_lock:
            return self._kline_flights.setdefault((symbol, interval), SingleFlight())

    # -------------------------------------------------------------- what traders are shown

    def get_market_state(
        self, symbols: Sequence[str], interval: Interval, history_bars: int, max_age_seconds: float
    ) -> dict[str, CoinMarket]:
        """One snapshot for a decision: a fresh price and the last closed bars of each coin.

        A coin without a fresh price or with bars that are not up to date is left out.
        Raises SourceError when no coin can be priced at all.
        """
        prices = self.get_prices(symbols, max_age_seconds)
        market = {}
        for symbol, price in prices.items():
            try:
                answer = self.get_klines(symbol, interval, limit=history_bars)
            except SourceError as error:
                log.warning("no klines of %s: %s", symbol, error.message)
                continue
            if answer.stale:
                continue
            market[symbol] = CoinMarket(
                price=price.ticker.price,
                klines=answer.series,
                change_24h=price.ticker.change_24h,
                source=price.ticker.source,
                age_seconds=self.latest.age_seconds(price),
            )
        return market

    # -------------------------------------------------------------------- depth and listings

    def get_depth(self, symbol: str, limit: int) -> OrderBook:
        """The order book of the first source that answers. Raises NotFound, SourceError."""
        coin = coin_rows.get(self._database.connection, symbol)
        failures: list[SourceError] = []
        for source in self._sources_for("depth"):
            for venue_symbol in venue_symbols(source.name, [coin]):
                try:
                    return self._ask_depth(source, venue_symbol, limit)
                except SourceError as error:
                    if error.code != UNKNOWN_SYMBOL:
                        failures.append(error)
        raise (
            all_failed(f"the order book of {symbol}", failures) if failures else _not_listed(coin)
        )

    def _ask_depth(self, source: MarketSource, venue_symbol: str, limit: int) -> OrderBook:
        return self._monitor.ask(source, lambda: source.depth(venue_symbol, limit))

    def check_sources(self, coin: Coin) -> dict[str, Ticker | SourceError | None]:
        """What each source says of a coin now: its price, why not, or None without a symbol."""
        answers: dict[str, Ticker | SourceError | None] = {}
        for name, source in self._price_sources.items():
            answers[name] = None
            for venue_symbol in venue_symbols(name, [coin]):
                try:
                    answers[name] = self._price_at(source, venue_symbol)
                except SourceError as error:
                    answers[name] = error
        return answers

    def _price_at(self, source: PriceSource, venue_symbol: str) -> Ticker:
        return self._monitor.ask(source, lambda: source.prices([venue_symbol]))[venue_symbol]

    # ------------------------------------------------------------------------------ sources

    def health(self) -> list[SourceHealth]:
        """How each source has done."""
        return self._monitor.health()

    def _sources_for(self, kind: str) -> list[MarketSource]:
        return [self._sources[name] for name in self._priority[kind] if name in self._sources]


def _not_listed(coin: Coin) -> NotFound:
    return NotFound(f"No exchange lists {coin.symbol}.", code="not_listed")
