"""`MultiSourceDataAggregator` answers every question about the market, for pages, engine and backtest.

It asks the sources in their order of priority, keeps the latest prices in memory and closed bars
in the warm store, and lets many callers of the same thing share one call. It never makes a value
up: what cannot be had is an error that says what each source said, or an old value that says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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
from market_sources import (
    UNKNOWN_SYMBOL,
    MarketSource,
    PriceSource,
    SourceHealth,
    SourceMonitor,
    venue_symbols,
)
from repositories import coins as coin_rows
from single_flight import SingleFlight
from venue_listings import VenueListings

MOST_BARS_A_REQUEST = 1_100_000
PRICE_PAUSE_SECONDS = {"coingecko": 30.0}  # between two questions: about 30 a minute in all
WIDENINGS = 3  # times that a question for the last bars looks further back over gaps
# A bar is asked for once more until its close lies so far back: the venue's clock may be behind.
SETTLING_MS = 5_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownPrice:
    """A coin's latest price and the wall time at which it was received."""

    ticker: Ticker
    received_ms: int

    def age_seconds(self, wall_ms: int) -> float:
        """Seconds since its receipt."""
        return max(0.0, (wall_ms - self.received_ms) / 1000)


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
        self._price_ttl_seconds = price_ttl_seconds
        self._store = KlineStore(database)
        self._prices: dict[str, KnownPrice] = {}
        self._price_flight = SingleFlight()
        self._asked_prices_ms: dict[str, int] = {}
        self._kline_flights: dict[tuple[str, Interval], SingleFlight] = {}
        self._kline_flights_lock = threading.Lock()
        self._monitor = SourceMonitor(self._price_sources, self._wall_clock)
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
        """Prices not older than `max_age_seconds` (the price TTL where none is given).

        A coin that no source prices is left out. Raises SourceError when every source failed.
        """
        wanted = list(dict.fromkeys(symbols))
        limit = self._price_ttl_seconds if max_age_seconds is None else max_age_seconds
        if self._old(wanted, limit):
            self._price_flight.run(lambda: self._fetch_prices(wanted, limit))
        wall_ms = self._wall_clock.now_ms()
        known = {symbol: self._prices[symbol] for symbol in wanted if symbol in self._prices}
        return {
            symbol: price for symbol, price in known.items() if price.age_seconds(wall_ms) <= limit
        }

    def last_known_prices(self, symbols: Iterable[str]) -> dict[str, KnownPrice]:
        """What is in memory, however old; no source is asked."""
        return {symbol: self._prices[symbol] for symbol in symbols if symbol in self._prices}

    def newest_price(self) -> KnownPrice | None:
        """The price that was received last, of any coin."""
        return max(list(self._prices.values()), key=lambda p: p.received_ms, default=None)

    def is_stale(self, price: KnownPrice) -> bool:
        """Whether a price is older than a fresh one may be."""
        return price.age_seconds(self._wall_clock.now_ms()) > self._price_ttl_seconds

    def age_seconds(self, price: KnownPrice) -> float:
        """Seconds since a price was received."""
        return price.age_seconds(self._wall_clock.now_ms())

    def _old(self, symbols: Sequence[str], limit: float) -> list[str]:
        wall_ms = self._wall_clock.now_ms()
        return [
            symbol
            for symbol in symbols
            if symbol not in self._prices or self._prices[symbol].age_seconds(wall_ms) > limit
        ]

    def _fetch_prices(self, wanted: Sequence[str], limit: float) -> None:
        """Ask the sources in turn for what the ones before did not have."""
        coins = self._coins(self._old(wanted, limit))  # who waited finds what was fetched meanwhile
        missing = dict(coins)
        failures: list[SourceError] = []
        for source in self._sources_of_prices():
            names = venue_symbols(source.name, missing.values())
            if not names or self._is_resting(source):
                continue
            try:
                tickers = self._ask_prices(source, list(names))
            except SourceError as error:
                if error.code != UNKNOWN_SYMBOL:
                    failures.append(error)
                continue
            wall_ms = self._wall_clock.now_ms()
            for venue_symbol, ticker in tickers.items():
                symbol = names[venue_symbol]
                self._prices[symbol] = KnownPrice(replace(ticker, symbol=symbol), wall_ms)
                del missing[symbol]
        if failures and len(missing) == len(coins):
            raise _all_failed(f"prices of {', '.join(list(coins)[:5])}", failures)

    def _is_resting(self, source: PriceSource) -> bool:
        """Whether a source with a small allowance was asked for prices just now; notes the time."""
        pause = PRICE_PAUSE_SECONDS.get(source.name, 0.0)
        now_ms = self._wall_clock.now_ms()
        if now_ms < self._asked_prices_ms.get(source.name, -(10**15)) + pause * 1000:
            return True
        self._asked_prices_ms[source.name] = now_ms
        return False

    def _ask_prices(self, source: PriceSource, names: Sequence[str]) -> dict[str, Ticker]:
        return self._monitor.ask(source, lambda: source.prices(names))

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

        `end_ms` is exclusive by open time. Only missing bars are asked of a source; when none
        answers, what is stored comes back as stale. Raises NotFound, SourceError (nothing at all).
        """
        coin = coin_rows.get(self._database.connection, symbol)
        source = self._kline_source(coin)
        name = self.kline_source_name() if source is None else source.name
        forming = interval.floor(self._clock.now_ms())  # where the bar opens that is still open
        stop = forming + 1 if end_ms is None else interval.ceil(end_ms)
        if start_ms is None:
            series, failure = self._last_bars(
                coin, source, interval, max(0, min(stop, forming)), limit
            )
            reaches_forming = stop > forming
        else:
            first = interval.ceil(max(start_ms, 0))
            stop = min(stop, first + limit * interval.milliseconds)
            failure = self._fill(coin, source, interval, first, min(stop, forming))
            series = self._store.read(coin, name, interval, first, min(stop, forming))
            reaches_forming = first <= forming < stop
        if include_open and reaches_forming and failure is None and source is not None:
            series = self._with_open_bar(source, coin, series, forming, limit)
        if failure is not None and not len(series):
            raise _not_listed(coin) if source is None else failure
        return KlineAnswer(series, stale=failure is not None)

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
        source = self._kline_source(coin)
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
        self, coin: Coin, source: MarketSource | None, interval: Interval, stop: int, limit: int
    ) -> tuple[KlineSeries, SourceError | None]:
        """The last `limit` closed bars before `stop`, and why the newest may be missing.

        Where the exchange made fewer in that time, those before its gaps.
        """
        first, wanted = stop, limit
        name = self.kline_source_name() if source is None else source.name
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

    def _kline_source(self, coin: Coin) -> MarketSource | None:
        """The first source that lists the coin."""
        for source in self._sources_for("klines"):
            if venue_symbols(source.name, [coin]):
                return source
        return None

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
                age_seconds=self.age_seconds(price),
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
                    failures.append(error)
        raise (
            _all_failed(f"the order book of {symbol}", failures) if failures else _not_listed(coin)
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
                    answers[name] = self._ask_prices(source, [venue_symbol])[venue_symbol]
                except SourceError as error:
                    answers[name] = error
        return answers

    # ------------------------------------------------------------------------------ sources

    def health(self) -> list[SourceHealth]:
        """How each source has done."""
        return self._monitor.health()

    def _sources_of_prices(self) -> list[PriceSource]:
        names = self._priority["price"]
        return [self._price_sources[name] for name in names if name in self._price_sources]

    def _sources_for(self, kind: str) -> list[MarketSource]:
        return [self._sources[name] for name in self._priority[kind] if name in self._sources]

    def _coins(self, symbols: Sequence[str]) -> dict[str, Coin]:
        """Those coins that there are, by symbol."""
        found = coin_rows.find_all(self._database.connection, symbols)
        return {coin.symbol: coin for coin in found}


def _not_listed(coin: Coin) -> NotFound:
    return NotFound(f"No exchange lists {coin.symbol}.", code="not_listed")


def _all_failed(what: str, failures: Sequence[SourceError]) -> SourceUnavailable:
    said = "; ".join(dict.fromkeys(failure.message for failure in failures))
    return SourceUnavailable(f"No data source could answer for {what}: {said or 'none lists it'}")
