"""Asking the sources for prices: in turn, within one time budget, and to compare them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from data_findings import Finding
from database import Database
from domain import Clock, Coin, Ticker
from errors import SourceBadAnswer, SourceError
from latest_prices import KnownPrice, LatestPrices
from market_sources import PriceSource, all_failed, venue_symbols
from occasionally import Occasionally
from price_age import without_old
from repositories import coins
from single_flight import SingleFlight
from source_answers import UNKNOWN_SYMBOL, title
from source_health import SourceMonitor
from time_budget import TimeBudget

# Sources that quote in dollars, and what they call the tether, which everything else is quoted in.
TETHERS = {"coingecko": "tether"}
TETHER_SYMBOL = "USDT"
# CoinGecko's prices are minutes old and its allowance small: as a last resort it is asked seldom.
SELDOM_SECONDS = {"coingecko": 10.0}
KEEP_EVERY_SECONDS = 5.0
HURRIED_SECONDS = 5.0  # between comparisons, when two sources are apart

log = logging.getLogger(__name__)


class PriceRouting:
    """Brings `latest` up to date from `sources`, the first choice first; one question at a time.

    `clock` is the market's; ages are `wall_clock`'s. With `compare_every_seconds`, all sources are
    asked that often, beside the callers, so that their prices can be held against each other.
    """

    def __init__(
        self,
        database: Database,
        sources: Sequence[PriceSource],
        monitor: SourceMonitor,
        latest: LatestPrices,
        clock: Clock,
        wall_clock: Clock,
        *,
        ttl_seconds: float,
        budget_seconds: float,
        compare_every_seconds: float | None = None,
        tell: Callable[[Iterable[Finding]], None] = lambda findings: None,
    ):
        self._database = database
        self._sources = sources
        self._monitor = monitor
        self._latest = latest
        self._clock = clock
        self._wall_clock = wall_clock
        self._ttl_seconds = ttl_seconds
        self._budget_seconds = budget_seconds
        self._flight = SingleFlight()
        self._asked_ms: dict[str, int] = {}
        self._tell = tell
        self._comparing: Occasionally | None = None
        if compare_every_seconds is not None:
            self._comparing = Occasionally(
                compare_every_seconds,
                self._compare_and_leave,
                "compare-prices",
                hurried_seconds=HURRIED_SECONDS,
            )
        self._keeping = Occasionally(KEEP_EVERY_SECONDS, self._keep_and_leave, "keep-prices")

    def get(
        self,
        symbols: Iterable[str],
        max_age_seconds: float | None = None,
        stale_seconds: float = 0.0,
    ) -> dict[str, KnownPrice]:
        """Prices not older than `max_age_seconds` (the price TTL where none is given).

        Where no source gives one, the last good price that is not older than `stale_seconds`
        stands in, its ticker flagged as stale. A coin without either is left out. Raises
        SourceError when every source failed and no price is left.
        """
        wanted = list(dict.fromkeys(symbols))
        limit = self._ttl_seconds if max_age_seconds is None else max_age_seconds
        failure: SourceError | None = None
        if self._old(wanted, limit):
            budget = TimeBudget(self._budget_seconds)
            try:
                self._flight.run(lambda: self._fetch(wanted, limit, budget), self._budget_seconds)
            except SourceError as error:
                failure = error
        self._work_beside()
        fresh = self._latest.younger_than(wanted, limit)
        rest = [symbol for symbol in wanted if symbol not in fresh]
        stale = self._latest.younger_than(rest, stale_seconds) if stale_seconds > limit else {}
        if failure is not None and not fresh and not stale:
            raise failure
        flagged = {
            symbol: replace(price, ticker=replace(price.ticker, stale=True))
            for symbol, price in stale.items()
        }
        return {symbol: (fresh | flagged)[symbol] for symbol in wanted if symbol in fresh | flagged}

    def compare(self) -> None:
        """Ask every source for the coins whose prices are fresh, and hold them to each other."""
        known = self._latest.fresh_coins()
        found = self._coins(known)
        for source in self._sources:
            names = venue_symbols(source.name, found.values())
            if not names or not self._monitor.would_ask(source):
                continue
            try:
                with TimeBudget(self._budget_seconds).share(2):
                    self._latest.receive(source.name, self._ask(source, names))
            except SourceError:
                continue  # noted in the source's health

    def compare_soon(self) -> None:
        """Compare beside the caller: two sources are apart, and a third may know better."""
        if self._comparing is not None:
            self._comparing.hurry()

    def _work_beside(self) -> None:
        self._keeping.poke()
        if self._comparing is not None:
            self._comparing.poke()

    def _old(self, symbols: Sequence[str], limit: float) -> list[str]:
        young = self._latest.younger_than(symbols, limit)
        return [symbol for symbol in symbols if symbol not in young]

    def _fetch(self, wanted: Sequence[str], limit: float, budget: TimeBudget) -> None:
        """Ask the sources in turn for what the ones before did not have."""
        found = self._coins(self._old(wanted, limit))  # who waited finds what came meanwhile
        missing = dict(found)
        failures: list[SourceError] = []
        for place, source in enumerate(self._sources):
            names = venue_symbols(source.name, missing.values())
            if not names:
                continue
            if self._is_resting(source):
                failures += self._monitor.last_words(source)
                continue
            try:
                with budget.share(self._still_usable(place)):
                    tickers = self._ask(source, names)
            except SourceError as error:
                if error.code != UNKNOWN_SYMBOL:
                    failures.append(error)
                continue
            for symbol in self._latest.take_answer(source.name, tickers):
                missing.pop(symbol, None)
        if failures and len(missing) == len(found):
            raise all_failed(f"prices of {', '.join(list(found)[:5])}", failures)

    def _still_usable(self, place: int) -> int:
        """How many sources from `place` on would be asked, the one there included."""
        later = self._sources[place + 1 :]
        return 1 + sum(self._monitor.would_ask(source) for source in later)

    def _is_resting(self, source: PriceSource) -> bool:
        """Whether a source with a small allowance was asked for prices just now; notes the time."""
        pause_ms = SELDOM_SECONDS.get(source.name, 0.0) * 1000
        now_ms = self._wall_clock.now_ms()
        asked_ms = self._asked_ms.get(source.name)
        if asked_ms is not None and 0 <= now_ms - asked_ms < pause_ms:
            return True
        self._asked_ms[source.name] = now_ms
        return False

    def _ask(self, source: PriceSource, names: Mapping[str, str]) -> dict[str, Ticker]:
        """A source's prices in USDT, by our symbols. `names` are ours by the source's."""
        return self._monitor.ask(source, lambda: self._answer(source, names))

    def _answer(self, source: PriceSource, names: Mapping[str, str]) -> dict[str, Ticker]:
        tether = TETHERS.get(source.name)
        asked = list(names) if tether is None else list(dict.fromkeys([*names, tether]))
        dropped = source.dropped_rows
        answer = source.prices(asked)
        tickers, old = without_old(source.name, answer, self._clock)
        dropped = old + source.dropped_rows - dropped
        if dropped > 0:
            self._tell([Finding("dropped_prices", source.name, None, {"rows": dropped})])
        said = {names[name]: ticker for name, ticker in tickers.items() if name in names}
        self._latest.stuck[source.name].examine(
            source.name, said, self._wall_clock.now_ms(), self._clock.now_ms()
        )
        if tether is not None:
            tickers = in_tethers(source.name, tickers, tether)
        return {names[name]: ticker for name, ticker in tickers.items() if name in names}

    def _coins(self, symbols: Sequence[str]) -> dict[str, Coin]:
        """Those coins that there are, by symbol."""
        found = coins.find_all(self._database.connection, symbols)
        return {coin.symbol: coin for coin in found}

    def _compare_and_leave(self) -> None:
        try:
            self.compare()
        finally:
            self._database.close()  # this thread's connection

    def _keep_and_leave(self) -> None:
        try:
            self._latest.keep()
        finally:
            self._database.close()


def in_tethers(source: str, tickers: Mapping[str, Ticker], tether: str) -> dict[str, Ticker]:
    """Prices in USDT of prices in USD, among which is the tether's own, which stays as it is.

    Raises SourceBadAnswer without it: dollars are not taken for tethers.
    """
    if tether not in tickers:
        raise SourceBadAnswer(
            f"{title(source)} has no price of {TETHER_SYMBOL} to tell dollars by."
        )
    rate = tickers[tether].price
    return {
        name: ticker
        if name == tether
        else replace(ticker, price=_like(ticker.price, ticker.price / rate))
        for name, ticker in tickers.items()
    }


def _like(model: Decimal, price: Decimal) -> Decimal:
    """`price` to some digits more than `model` has, not to all of a division's."""
    exponent = int(model.as_tuple().exponent)
    return price.quantize(Decimal(1).scaleb(exponent - 2))
