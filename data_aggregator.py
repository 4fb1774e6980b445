"""`MultiSourceDataAggregator` answers every question about the market, for pages, engine and backtest.

It asks the sources in their order of priority, keeps the latest prices in memory and closed bars
in the warm store, and lets many callers of the same thing share one call. It never makes a value
up: what cannot be had is an error that says what each source said, or an old value that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from circuit_breaker import FIRST_REST_SECONDS
from clock import SteadyClock
from data_alerts import DataAlerts
from data_cache import DataCache, NoDataCache
from data_findings import Finding
from database import Database
from depth_routing import DepthRouting
from domain import Clock, Coin, Interval, OrderBook, Ticker
from errors import SourceError, SourceUnavailable
from kline_routing import History, KlineAnswer, KlineQuestion, KlineRouting
from kline_store import Coverage, KlineStore
from latest_prices import KnownPrice, LatestPrices
from market_sources import MarketSource, PriceSource, venue_symbols
from price_check import PriceCheck
from price_routing import PriceRouting
from repositories import coins as coin_rows
from source_health import SourceHealth, SourceMonitor
from source_report import SourceReport, report_of
from venue_listings import VenueListings

SOURCE_BUDGET_SECONDS = 5.0  # that a live question may take in all, unless the app says otherwise

Source = TypeVar("Source")


class MultiSourceDataAggregator:
    """One voice for all sources. `clock` is the market's time, `wall_clock` that of ages.

    `rest_seconds` is how long a source that fails is left alone at first;
    `compare_every_seconds` is how often all sources are asked for prices, to hold them against
    each other (never by default); `on_change` is called when a source's state has changed or
    there is a new data alert.
    """

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
        cache: DataCache | None = None,
        check: PriceCheck | None = None,
        budget_seconds: float = SOURCE_BUDGET_SECONDS,
        rest_seconds: float = FIRST_REST_SECONDS,
        compare_every_seconds: float | None = None,
        on_change: Callable[[], None] = lambda: None,
    ):
        wall_clock = wall_clock or SteadyClock()
        cache = cache or NoDataCache()
        self._database = database
        self._price_sources: dict[str, PriceSource] = {**sources, **(price_sources or {})}
        self._priority = priority
        self.alerts = DataAlerts(database, wall_clock, on_change)
        self._monitor = SourceMonitor(
            self._price_sources,
            wall_clock,
            rest_seconds=rest_seconds,
            on_change=on_change,
            on_down=self._tell_down,
        )
        asked_for_prices = _in_order(self._price_sources, priority["price"])
        self.latest = LatestPrices(
            [source.name for source in asked_for_prices],
            wall_clock,
            price_ttl_seconds,
            check=check,
            tell=self._tell_of_prices,
            cache=cache,
            coins=lambda: coin_rows.symbols(database.connection),
        )
        self._prices = PriceRouting(
            database,
            asked_for_prices,
            self._monitor,
            self.latest,
            clock,
            wall_clock,
            ttl_seconds=price_ttl_seconds,
            budget_seconds=budget_seconds,
            compare_every_seconds=compare_every_seconds,
            tell=self.alerts.tell,
        )
        self._klines = KlineRouting(
            KlineStore(database),
            _in_order(sources, priority.get("klines", ())),
            self._monitor,
            clock,
            wall_clock,
            budget_seconds,
            self.alerts.tell,
            lambda source, coin: coin in self.latest.quarantined(source),
        )
        self._depth = DepthRouting(
            _in_order(sources, priority.get("depth", ())),
            self._monitor,
            cache,
            wall_clock,
            budget_seconds,
        )
        self.venues = VenueListings(
            database, sources, priority["price"][0], self._monitor, wall_clock
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
        self,
        symbols: Iterable[str],
        max_age_seconds: float | None = None,
        stale_seconds: float = 0.0,
    ) -> dict[str, KnownPrice]:
        """Prices not older than `max_age_seconds` (the price TTL where none is given).

        With `stale_seconds`, a coin that no source prices has its last good price while that is
        not older, its ticker flagged as stale; without, it is left out. Raises SourceError when
        every source failed and there is nothing.
        """
        return self._prices.get(symbols, max_age_seconds, stale_seconds)

    def compare_prices(self) -> None:
        """Ask every source for the coins whose prices are fresh, and hold them to each other."""
        self._prices.compare()

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
        return self._klines.get(
            coin, KlineQuestion(interval, start_ms, end_ms, limit, include_open)
        )

    def fetch_history(
        self,
        coin: Coin,
        interval: Interval,
        start_ms: int,
        end_ms: int,
        progress: Callable[[float], None] | None = None,
        source: str | None = None,
    ) -> History:
        """Bring the closed bars with start_ms ≤ open_time < end_ms into the store.

        Of the first source that answers for all of them, or of `source` alone: see
        `KlineRouting.fetch_history`.
        """
        return self._klines.fetch_history(coin, interval, start_ms, end_ms, progress, source)

    def kline_source_name(self) -> str:
        """The source whose klines come first."""
        return self._klines.first_source()

    def kline_source_names(self) -> list[str]:
        """All sources of klines, in their order."""
        return self._klines.sources()

    def coverage(self, coin: Coin, interval: Interval) -> Coverage | None:
        """What is stored of a coin, of the first source that has any."""
        return self._klines.coverage(coin, interval)

    # -------------------------------------------------------------------- depth and listings

    def get_depth(self, symbol: str, limit: int) -> OrderBook:
        """The order book of the first source that answers. Raises NotFound, SourceError."""
        return self._depth.get(coin_rows.get(self._database.connection, symbol), limit)

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

    def sources(self) -> list[SourceReport]:
        """Each source in full: its state, what it was asked lately, what it may be asked."""
        return [
            report_of(
                source,
                self._monitor.record(name),
                self.latest.quarantined(name),
                {
                    kind: names.index(name) + 1
                    for kind, names in self._priority.items()
                    if name in names
                },
            )
            for name, source in self._price_sources.items()
        ]

    def _tell_of_prices(self, findings: Iterable[Finding]) -> None:
        self.alerts.tell(findings)
        self._prices.compare_soon()

    def _tell_down(self, name: str, failure: SourceError) -> None:
        values = {"reason": failure.code, "said": failure.message}
        self.alerts.tell([Finding("left_alone", name, None, values)])


def _in_order(sources: Mapping[str, Source], names: Sequence[str]) -> list[Source]:
    """Those of the sources that are named, in the order of their names."""
    return [sources[name] for name in names if name in sources]
