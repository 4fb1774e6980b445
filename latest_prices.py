"""The latest price of every coin in memory, with where it is from and how old it is."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from data_cache import DataCache, NoDataCache
from data_findings import Finding
from domain import Clock, Ticker
from kline_validation import is_decimal
from price_age import StuckSource
from price_check import PriceCheck
from source_answers import is_time

YIELD_SECONDS = 3.0  # how long a pushed price gives way to one of a source that comes before
KEPT_SECONDS = 30 * 24 * 3600.0  # a last price is better than none, and says how old it is
PRICE = "price"  # the kind of cached value

Tell = Callable[[Iterable[Finding]], None]


@dataclass(frozen=True, slots=True)
class KnownPrice:
    """A coin's latest price and the wall time at which it was received."""

    ticker: Ticker
    received_ms: int

    def age_seconds(self, wall_ms: int) -> float:
        """Seconds since its receipt."""
        return max(0.0, (wall_ms - self.received_ms) / 1000)


class LatestPrices:
    """What is known of each coin's price; no source is asked here.

    A price is fresh for `ttl_seconds` of `wall_clock` after its receipt. `sources` are names, the
    first choice first. Each price is held against `check`; what that finds goes to `tell`, with
    nothing where prices are only doubtful. The last prices of an earlier start are read from
    `cache` at the first question; `coins` are those that there may be.

    Who reads does not wait: every request asks, while prices are pushed all the time. The lock is
    the writers' alone, who put a new mapping in the place of the one before.
    """

    def __init__(
        self,
        sources: Sequence[str],
        wall_clock: Clock,
        ttl_seconds: float,
        *,
        check: PriceCheck | None = None,
        tell: Tell = lambda findings: None,
        cache: DataCache | None = None,
        coins: Callable[[], Iterable[str]] = tuple,
    ):
        self._sources = list(sources)
        self._wall_clock = wall_clock
        self._ttl_seconds = ttl_seconds
        self._check = check or PriceCheck()
        self._tell = tell
        self._cache = cache or NoDataCache()
        self._coins = coins
        self._lock = threading.Lock()
        self._prices: Mapping[str, KnownPrice] = {}  # replaced, never changed
        self._unkept: set[str] = set()
        self._is_restored = False
        # Whether what each source answers over REST stands still.
        self.stuck: defaultdict[str, StuckSource] = defaultdict(StuckSource)

    # ------------------------------------------------------------------------------- reading

    def last_known(self, symbols: Iterable[str]) -> dict[str, KnownPrice]:
        """What is in memory, however old; no source is asked."""
        self._restore()
        prices = self._prices
        return {symbol: prices[symbol] for symbol in symbols if symbol in prices}

    def younger_than(self, symbols: Iterable[str], seconds: float) -> dict[str, KnownPrice]:
        """Those of the coins whose price is not older than that."""
        known = self.last_known(symbols)
        wall_ms = self._wall_clock.now_ms()
        return {
            coin: price for coin, price in known.items() if price.age_seconds(wall_ms) <= seconds
        }

    def fresh_coins(self) -> list[str]:
        """The coins whose prices are fresh."""
        return [symbol for symbol, price in self._prices.items() if not self.is_stale(price)]

    def newest(self) -> KnownPrice | None:
        """The price that was received last, of the source that most prices are from."""
        self._restore()
        prices = list(self._prices.values())
        sources = Counter(price.ticker.source for price in prices if not self.is_stale(price))
        if sources:
            (main, _), *_ = sources.most_common(1)
            prices = [price for price in prices if price.ticker.source == main]
        return max(prices, key=lambda price: price.received_ms, default=None)

    def newest_of_each(self) -> dict[str, KnownPrice]:
        """The price that was received last of each source that any is from."""
        newest: dict[str, KnownPrice] = {}
        for price in sorted(self._prices.values(), key=lambda price: price.received_ms):
            newest[price.ticker.source] = price
        return newest

    def is_stale(self, price: KnownPrice) -> bool:
        """Whether a price is older than a fresh one may be."""
        return self.age_seconds(price) > self._ttl_seconds

    def age_seconds(self, price: KnownPrice) -> float:
        """Seconds since a price was received."""
        return price.age_seconds(self._wall_clock.now_ms())

    def quarantined(self, source: str) -> list[str]:
        """The coins whose prices of this source are not believed for now."""
        return self._check.quarantined(source)

    # ------------------------------------------------------------------------------- writing

    def receive(self, source: str, tickers: Mapping[str, Ticker]) -> dict[str, KnownPrice]:
        """Take what a stream of `source` has pushed, by our symbols; returns what is taken.

        Left out is what is not believed (no price, or in quarantine: see `price_check`), and what
        yields to a price that a source before has just had.
        """
        return self._take(source, tickers, self._yields)

    def take_answer(self, source: str, tickers: Mapping[str, Ticker]) -> dict[str, KnownPrice]:
        """Take what a source has answered for want of a price; returns what is believed of it."""
        return self._take(source, tickers, lambda source, symbol, wall_ms: False)

    def confirm(self, source: str, symbols: Iterable[str]) -> None:
        """The stream of `source` lives, and these coins have not traded: their ages start anew."""
        wall_ms = self._wall_clock.now_ms()
        with self._lock:
            confirmed: dict[str, KnownPrice] = {}
            for symbol in symbols:
                known = self._prices.get(symbol)
                if known is None or known.ticker.source != source:
                    continue
                if not self._check.is_quarantined(source, symbol):
                    confirmed[symbol] = replace(known, received_ms=wall_ms)
            self._prices = {**self._prices, **confirmed}

    def keep(self) -> None:
        """Write to the cache what has changed since this was last called."""
        with self._lock:
            changed = {symbol: self._prices[symbol] for symbol in self._unkept}
            self._unkept.clear()
        by_source: dict[str, dict[str, Any]] = {}
        for symbol, price in changed.items():
            ticker = price.ticker
            by_source.setdefault(ticker.source, {})[symbol] = {
                "price": str(ticker.price), "time_ms": ticker.time_ms,
                "change_24h": ticker.change_24h,
            }  # fmt: skip
        for source, values in by_source.items():
            self._cache.put_many(PRICE, source, values, KEPT_SECONDS)

    def _take(
        self,
        source: str,
        tickers: Mapping[str, Ticker],
        yields: Callable[[str, str, int], bool],
    ) -> dict[str, KnownPrice]:
        self._restore()
        wall_ms = self._wall_clock.now_ms()
        taken: dict[str, KnownPrice] = {}
        findings: list[Finding] = []
        doubtful = False
        with self._lock:
            for symbol, ticker in tickers.items():
                verdict = self._check.judge(source, symbol, ticker.price, wall_ms)
                findings += verdict.findings
                doubtful = doubtful or verdict.doubtful
                if verdict.believed and not yields(source, symbol, wall_ms):
                    taken[symbol] = KnownPrice(replace(ticker, symbol=symbol), wall_ms)
            self._prices = {**self._prices, **taken}
            self._unkept.update(taken)
        if findings or doubtful:
            self._tell(findings)
        return taken

    def _yields(self, source: str, symbol: str, wall_ms: int) -> bool:
        """Whether a source that comes before `source` has had a price just now."""
        known = self._prices.get(symbol)
        if known is None or known.age_seconds(wall_ms) > YIELD_SECONDS:
            return False
        if self._check.is_quarantined(known.ticker.source, symbol):
            return False
        return self._place(known.ticker.source) < self._place(source)

    def _place(self, source: str) -> int:
        return self._sources.index(source) if source in self._sources else len(self._sources)

    def _restore(self) -> None:
        """The prices of an earlier start, with the ages that they have by now."""
        if self._is_restored:
            return
        self._is_restored = True
        symbols = list(self._coins())
        found: dict[str, KnownPrice] = {}
        for source in reversed(self._sources):
            for symbol, cached in self._cache.get_many(PRICE, source, symbols).items():
                ticker = _cached_ticker(symbol, source, cached.value)
                known = found.get(symbol)
                if ticker is None or (known is not None and known.received_ms > cached.stored_ms):
                    continue
                # Never as young as one that was just received, whatever the clock did meanwhile.
                received_ms = min(
                    cached.stored_ms,
                    self._wall_clock.now_ms() - int(self._ttl_seconds * 1000) - 1,
                )
                found[symbol] = KnownPrice(ticker, received_ms)
        with self._lock:
            self._prices = {**found, **self._prices}


def _cached_ticker(symbol: str, source: str, value: Any) -> Ticker | None:
    """A ticker of what `keep` has written; none of anything else."""
    if not isinstance(value, dict):
        return None
    price, time_ms, change = value.get("price"), value.get("time_ms"), value.get("change_24h")
    if not is_decimal(price) or Decimal(price) <= 0 or not is_time(time_ms):
        return None
    return Ticker(
        symbol, Decimal(price), time_ms, source, change if isinstance(change, float) else None
    )
