"""The latest price of every coin in memory, with where it is from and how old it is."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from database import Database
from domain import Clock, Coin, Ticker
from errors import SourceError
from market_sources import UNKNOWN_SYMBOL, PriceSource, SourceMonitor, all_failed, venue_symbols
from repositories import coins
from single_flight import SingleFlight

PRICE_PAUSE_SECONDS = {"coingecko": 30.0}  # between two questions: about 30 a minute in all
YIELD_SECONDS = 3.0  # how long a pushed price gives way to one of a source that comes before


@dataclass(frozen=True, slots=True)
class KnownPrice:
    """A coin's latest price and the wall time at which it was received."""

    ticker: Ticker
    received_ms: int

    def age_seconds(self, wall_ms: int) -> float:
        """Seconds since its receipt."""
        return max(0.0, (wall_ms - self.received_ms) / 1000)


class LatestPrices:
    """Asks `sources` in turn for what the ones before did not have; one question at a time.

    A price is fresh for `ttl_seconds` of `wall_clock` after its receipt.
    """

    def __init__(
        self,
        database: Database,
        sources: Sequence[PriceSource],
        monitor: SourceMonitor,
        wall_clock: Clock,
        ttl_seconds: float,
    ):
        self._database = database
        self._sources = sources
        self._monitor = monitor
        self._wall_clock = wall_clock
        self._price_ttl_seconds = ttl_seconds
        self._prices: dict[str, KnownPrice] = {}
        self._lock = threading.Lock()
        self._places = {source.name: place for place, source in enumerate(sources)}
        self._price_flight = SingleFlight()
        self._asked_prices_ms: dict[str, int] = {}

    def get(
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

    def last_known(self, symbols: Iterable[str]) -> dict[str, KnownPrice]:
        """What is in memory, however old; no source is asked."""
        return {symbol: self._prices[symbol] for symbol in symbols if symbol in self._prices}

    def receive(self, source: str, tickers: Mapping[str, Ticker]) -> dict[str, KnownPrice]:
        """Take what a stream of `source` has pushed, by our symbols; returns what is taken.

        Left out is what is no price, and what yields to a price that a source before has just had.
        """
        wall_ms = self._wall_clock.now_ms()
        taken = {}
        with self._lock:
            for symbol, ticker in tickers.items():
                if not _is_price(ticker.price) or self._yields(source, symbol, wall_ms):
                    continue
                taken[symbol] = KnownPrice(replace(ticker, symbol=symbol), wall_ms)
            self._prices.update(taken)
        return taken

    def confirm(self, source: str, symbols: Iterable[str]) -> None:
        """The stream of `source` lives, and these coins have not traded: their ages start anew."""
        wall_ms = self._wall_clock.now_ms()
        with self._lock:
            for symbol in symbols:
                known = self._prices.get(symbol)
                if known is not None and known.ticker.source == source:
                    self._prices[symbol] = replace(known, received_ms=wall_ms)

    def _yields(self, source: str, symbol: str, wall_ms: int) -> bool:
        """Whether a source that comes before `source` has had a price just now."""
        known = self._prices.get(symbol)
        if known is None or known.age_seconds(wall_ms) > YIELD_SECONDS:
            return False
        last = len(self._places)
        return self._places.get(known.ticker.source, last) < self._places.get(source, last)

    def newest(self) -> KnownPrice | None:
        """The price that was received last, of the source that most prices are from."""
        prices = list(self._prices.values())
        sources = Counter(price.ticker.source for price in prices if not self.is_stale(price))
        if sources:
            (main, _), *_ = sources.most_common(1)
            prices = [price for price in prices if price.ticker.source == main]
        return max(prices, key=lambda price: price.received_ms, default=None)

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
        for source in self._sources:
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
                with self._lock:
                    self._prices[symbol] = KnownPrice(replace(ticker, symbol=symbol), wall_ms)
                del missing[symbol]
        if failures and len(missing) == len(coins):
            raise all_failed(f"prices of {', '.join(list(coins)[:5])}", failures)

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

    def _coins(self, symbols: Sequence[str]) -> dict[str, Coin]:
        """Those coins that there are, by symbol."""
        found = coins.find_all(self._database.connection, symbols)
        return {coin.symbol: coin for coin in found}


def _is_price(price: Decimal) -> bool:
    return price.is_finite() and price > 0
