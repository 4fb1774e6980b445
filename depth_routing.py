"""Order books: asked of the sources in turn, and shared for a second by all who ask."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from data_cache import Cached, DataCache
from domain import Clock, Coin, OrderBook
from errors import SourceError, SourceUnavailable
from kline_routing import not_listed
from market_sources import MarketSource, all_failed, venue_symbols
from single_flight import SingleFlight
from source_answers import UNKNOWN_SYMBOL
from source_health import SourceMonitor
from time_budget import TimeBudget

DEPTH = "depth"  # the kind of cached value
FRESH_SECONDS = 1.0
LEVELS_ASKED = 100  # one question serves everybody who wants so many or fewer


@dataclass(slots=True)
class Asking:
    """A question for an order book on its way, and the answer when it has come."""

    coin: Coin
    levels: int
    budget: TimeBudget
    book: OrderBook | None = None


class DepthRouting:
    """Order books of `sources`, the first choice first; `budget_seconds` for a question in all."""

    def __init__(
        self,
        sources: Sequence[MarketSource],
        monitor: SourceMonitor,
        cache: DataCache,
        wall_clock: Clock,
        budget_seconds: float,
    ):
        self._sources = sources
        self._monitor = monitor
        self._cache = cache
        self._wall_clock = wall_clock
        self._budget_seconds = budget_seconds
        self._flights: dict[str, SingleFlight] = {}
        self._lock = threading.Lock()

    def get(self, coin: Coin, limit: int) -> OrderBook:
        """The best `limit` levels of each side, a second old at most.

        Raises NotFound (listed nowhere), SourceError.
        """
        levels = max(limit, LEVELS_ASKED)
        known = self._known(coin, levels)
        if known is None:
            asking = Asking(coin, levels, TimeBudget(self._budget_seconds))
            with self._lock:
                flight = self._flights.setdefault(coin.symbol, SingleFlight())
            flight.run(lambda: self._bring(asking), self._budget_seconds)
            known = asking.book or self._known(coin, levels)
        if known is None:  # what was had by another has expired while this one waited
            raise SourceUnavailable(f"No order book of {coin.symbol} came in time.")
        return replace(known, bids=known.bids[:limit], asks=known.asks[:limit])

    def _bring(self, asking: Asking) -> None:
        """Ask the sources in turn, unless another has just done so. Raises SourceError."""
        coin, failures = asking.coin, list[SourceError]()
        asking.book = self._known(coin, asking.levels)
        for place, source in enumerate(self._sources):
            names = venue_symbols(source.name, [coin])
            if asking.book is not None or not names:
                continue
            later = sum(self._monitor.would_ask(other) for other in self._sources[place + 1 :])
            try:
                with asking.budget.share(1 + later):
                    asking.book = self._ask(source, next(iter(names)), asking.levels)
            except SourceError as error:
                if error.code != UNKNOWN_SYMBOL:
                    failures.append(error)
        if asking.book is None:
            raise (
                all_failed(f"the order book of {coin.symbol}", failures)
                if failures
                else not_listed(coin)
            )
        self._keep(coin, asking)

    def _ask(self, source: MarketSource, symbol: str, levels: int) -> OrderBook:
        return self._monitor.ask(source, lambda: source.depth(symbol, levels))

    def _known(self, coin: Coin, levels: int) -> OrderBook | None:
        """A book of so many levels that has not expired."""
        now_ms = self._wall_clock.now_ms()
        for source in self._sources:
            cached = self._cache.get_many(kind_of(levels), source.name, [coin.symbol])
            for value in cached.values():
                if now_ms < value.expires_ms and now_ms >= value.stored_ms:
                    return _book_of(value, source.name)
        return None

    def _keep(self, coin: Coin, asking: Asking) -> None:
        book = asking.book
        assert book is not None
        value = {
            "bids": [[str(price), str(quantity)] for price, quantity in book.bids],
            "asks": [[str(price), str(quantity)] for price, quantity in book.asks],
            "time_ms": book.time_ms,
        }
        values = {coin.symbol: value}
        self._cache.put_many(kind_of(asking.levels), book.source, values, FRESH_SECONDS)


def kind_of(levels: int) -> str:
    """The kind of cached value: a book of so many levels."""
    return f"{DEPTH}{levels}"


def _book_of(cached: Cached, source: str) -> OrderBook | None:
    """A book that was kept; none of anything else."""
    try:
        sides = [
            tuple((Decimal(price), Decimal(quantity)) for price, quantity in cached.value[side])
            for side in ("bids", "asks")
        ]
        return OrderBook(sides[0], sides[1], source, int(cached.value["time_ms"]))
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
