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
from typing import Protocol, TypeVar

from clock import SystemClock
from database import Database
from domain import Clock, Coin, CoinMarket, Interval, KlineSeries, OrderBook, Ticker
from errors import InvalidInput, SourceError, SourceUnavailable
from kline_store import Coverage, KlineStore
from paper_execution import Instrument
from repositories import coins as coin_rows

MOST_BARS_A_REQUEST = 1_100_000
INSTRUMENTS_KEPT_MS = 3_600_000
# A bar is asked for once more until its close lies so far back: the venue's clock may be behind.
SETTLING_MS = 5_000

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class VenueInstrument(Protocol):
    """A venue's listing of a symbol."""

    @property
    def instrument(self) -> Instrument:
        """Its trading rules."""


class MarketSource(Protocol):
    """A fetcher of one venue, asked with the venue's own symbols."""

    name: str

    @property
    def dropped_rows(self) -> int:
        """How many unsound rows it has had to leave out so far."""

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        """Latest prices of those symbols that the venue knows, in one call."""

    def klines(
        self, symbol: str, interval: Interval, start_ms: int | None, end_ms: int | None,
        limit: int | None,
    ) -> KlineSeries:  # fmt: skip
        """Bars with start_ms ≤ open_time < end_ms."""

    def depth(self, symbol: str, limit: int) -> OrderBook:
        """The order book."""

    def instruments(self) -> Mapping[str, VenueInstrument]:
        """Every listed symbol."""


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source has done: times in ms of the wall clock."""

    name: str
    last_success_ms: int | None = None
    last_error: str | None = None
    last_error_ms: int | None = None

    @property
    def state(self) -> str:
        """`up`, `down`, or `unused` before the first question."""
        if self.last_success_ms is None and self.last_error_ms is None:
            return "unused"
        failed_last = (self.last_error_ms or 0) > (self.last_success_ms or 0)
        return "down" if failed_last else "up"


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
    ):
        self._database = database
        self._sources = sources
        self._priority = priority
        self._clock = clock
        self._wall_clock = wall_clock or SystemClock()
        self._price_ttl_seconds = price_ttl_seconds
        self._store = KlineStore(database)
        self._prices: dict[str, KnownPrice] = {}
        self._price_lock = threading.Lock()
        self._kline_locks: dict[tuple[str, Interval], threading.Lock] = {}
        self._locks_lock = threading.Lock()
        self._instruments: tuple[int, dict[str, Instrument]] | None = None
        self._health = {name: SourceHealth(name) for name in sources}

    # ------------------------------------------------------------------------------- prices

    def get_current_price(self, symbol: str) -> Ticker:
        """A coin's price, fresh. Raises NotFound for an unknown coin, SourceUnavailable."""
        coin_rows.get(self._database.connection, symbol)
        prices = self.get_prices([symbol])
        if symbol not in prices:
            raise SourceUnavailable(f"No source has a price of {symbol}.")
        return prices[symbol].ticker

    def get_prices(
        self, symbols: Iterable[str], max_age_seconds: float | None = None
    ) -> dict[str, KnownPrice]:
        """Prices not older than `max_age_seconds` (the price TTL where none is given).

        A coin that no source prices is left out. Raises SourceError when every source failed.
        """
        wanted = list(dict.fromkeys(symbols))
        limit = self._price_ttl_seconds if max_age_seconds is None else max_age_seconds
        if self._old(wanted, limit):
            with self._price_lock:  # who waited here finds what the one before has fetched
                missing = self._old(wanted, limit)
                if missing:
                    self._fetch_prices(missing)
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

    def _fetch_prices(self, symbols: Sequence[str]) -> None:
        """Ask the sources in turn for what the ones before did not have."""
        coins = self._coins(symbols)
        missing = dict(coins)
        failures: list[SourceError] = []
        for source in self._sources_for("price"):
            names = venue_symbols(source.name, missing.values())
            if not names:
                continue
            try:
                tickers = self._ask_prices(source, list(names))
            except SourceError as error:
                failures.append(error)
                continue
            wall_ms = self._wall_clock.now_ms()
            for venue_symbol, ticker in tickers.items():
                symbol = names[venue_symbol]
                self._prices[symbol] = KnownPrice(replace(ticker, symbol=symbol), wall_ms)
                del missing[symbol]
        if failures and len(missing) == len(coins):
            raise _all_failed("prices", failures)

    def _ask_prices(self, source: MarketSource, names: Sequence[str]) -> dict[str, Ticker]:
        return self._ask(source, lambda: source.prices(names))

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
        first, stop = self._bar_range(interval, start_ms, end_ms, limit)
        source = self._kline_source(coin)
        failure = self._fill(coin, source, interval, first, stop)
        name = source.name if source is not None else self._priority["klines"][0]
        if start_ms is None:
            series = self._store.read_last(coin, name, interval, stop, limit)
        else:
            series = self._store.read(coin, name, interval, first, stop).slice(0, limit)
        if include_open and failure is None and source is not None:
            series = self._with_open_bar(
                source, coin, series, end_ms, limit, ascending_from=start_ms
            )
        if failure is not None and not len(series):
            raise failure
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

    def _bar_range(
        self, interval: Interval, start_ms: int | None, end_ms: int | None, limit: int
    ) -> tuple[int, int]:
        """Open times [first, stop) of the closed bars that a question is about."""
        closed_stop = interval.floor(self._clock.now_ms())
        stop = closed_stop if end_ms is None else min(interval.ceil(end_ms), closed_stop)
        if start_ms is None:
            return max(0, stop - limit * interval.milliseconds), stop
        first = interval.ceil(max(start_ms, 0))
        return first, min(stop, first + limit * interval.milliseconds)

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
        with self._kline_lock(coin.symbol, interval):
            ranges = self._store.missing(coin, source.name, interval, first, stop)
            try:
                for start, end in ranges:
                    self._fetch_klines(coin, source, interval, start, end, progress)
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
        return self._ask(
            source, lambda: source.klines(venue_symbol, interval, start_ms, end_ms, None)
        )

    def _with_open_bar(
        self,
        source: MarketSource,
        coin: Coin,
        series: KlineSeries,
        end_ms: int | None,
        limit: int,
        ascending_from: int | None,
    ) -> KlineSeries:
        """`series` with the bar that is still forming, where the question reaches it."""
        interval = series.interval
        opens = interval.floor(self._clock.now_ms())
        reaches = end_ms is None or end_ms > opens
        follows = not len(series) or ascending_from is None or len(series) < limit
        if not reaches or not follows:
            return series
        (venue_symbol,) = venue_symbols(source.name, [coin])
        try:
            newest = self._ask(
                source, lambda: source.klines(venue_symbol, interval, opens, None, 2)
            )
        except SourceError:
            return series  # the closed bars are right without it
        bars = [bar for bar in newest if bar.open_time >= opens]
        joined = [*series, *bars][-limit:] if ascending_from is None else [*series, *bars][:limit]
        return KlineSeries.from_klines(joined, interval, source.name)

    def _kline_lock(self, symbol: str, interval: Interval) -> threading.Lock:
        with self._locks_lock:
            return self._kline_locks.setdefault((symbol, interval), threading.Lock())

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
        raise _all_failed(f"the order book of {symbol}", failures)

    def _ask_depth(self, source: MarketSource, venue_symbol: str, limit: int) -> OrderBook:
        return self._ask(source, lambda: source.depth(venue_symbol, limit))

    def instruments(self, symbols: Iterable[str]) -> dict[str, Instrument]:
        """Lot size and minimum notional of those coins whose venue says so.

        Asked once an hour. Raises SourceError when they have never been had.
        """
        now_ms = self._wall_clock.now_ms()
        if self._instruments is None or now_ms - self._instruments[0] > INSTRUMENTS_KEPT_MS:
            try:
                self._instruments = (now_ms, self._fetch_instruments())
            except SourceError:
                if self._instruments is None:
                    raise
                log.warning("instruments could not be refreshed; those of the last hour are used")
        known = self._instruments[1]
        return {symbol: known[symbol] for symbol in symbols if symbol in known}

    def _fetch_instruments(self) -> dict[str, Instrument]:
        (source,) = self._sources_for("price")[:1]
        listed = self._ask(source, source.instruments)
        names = venue_symbols(source.name, coin_rows.list_coins(self._database.connection))
        return {
            symbol: listed[venue_symbol].instrument
            for venue_symbol, symbol in names.items()
            if venue_symbol in listed
        }

    # ------------------------------------------------------------------------------ sources

    def health(self) -> list[SourceHealth]:
        """How each source has done."""
        return list(self._health.values())

    def _sources_for(self, kind: str) -> list[MarketSource]:
        return [self._sources[name] for name in self._priority[kind] if name in self._sources]

    def _ask(self, source: MarketSource, question: Callable[[], Answer]) -> Answer:
        """Put a question to a source and remember how it went."""
        try:
            answer = question()
        except SourceError as error:
            log.warning("%s failed: %s", source.name, error.message)
            self._health[source.name] = replace(
                self._health[source.name],
                last_error=error.message,
                last_error_ms=self._wall_clock.now_ms(),
            )
            raise
        self._health[source.name] = replace(
            self._health[source.name], last_success_ms=self._wall_clock.now_ms()
        )
        return answer

    def _coins(self, symbols: Sequence[str]) -> dict[str, Coin]:
        connection = self._database.connection
        found = (coin_rows.find(connection, symbol) for symbol in symbols)
        return {coin.symbol: coin for coin in found if coin is not None}


def venue_symbols(source: str, coins: Iterable[Coin]) -> dict[str, str]:
    """Our symbols by the venue's, for those coins that the venue lists."""
    column = {"binance": "binance_symbol", "okx": "okx_symbol", "coingecko": "coingecko_id"}[source]
    return {getattr(coin, column): coin.symbol for coin in coins if getattr(coin, column)}


def _all_failed(what: str, failures: Sequence[SourceError]) -> SourceUnavailable:
    said = "; ".join(dict.fromkeys(failure.message for failure in failures))
    return SourceUnavailable(f"No data source could answer for {what}: {said or 'none lists it'}")
