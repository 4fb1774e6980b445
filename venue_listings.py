"""What the venues list: the rules of each pair and whether it trades, kept and refreshed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from database import Database
from domain import Clock, Coin, Instrument, VenueInstrument
from errors import SourceError
from market_sources import MarketSource, venue_symbols
from repositories import coins, instruments
from single_flight import SingleFlight
from source_health import SourceMonitor

LISTINGS_KEPT_MS = 3_600_000

log = logging.getLogger(__name__)


class VenueListings:
    """Each venue's list, in memory and in the database; asked for once an hour of `wall_clock`.

    `first_choice` is the venue whose rules orders are held to.
    """

    def __init__(
        self,
        database: Database,
        sources: Mapping[str, MarketSource],
        first_choice: str,
        monitor: SourceMonitor,
        wall_clock: Clock,
    ):
        self._database = database
        self._sources = sources
        self._first_choice = first_choice
        self._monitor = monitor
        self._wall_clock = wall_clock
        self._listings: dict[str, tuple[int, Mapping[str, VenueInstrument]]] = {}
        self._listing_flights = {name: SingleFlight() for name in sources}

    def instruments(self, symbols: Iterable[str]) -> dict[str, Instrument]:
        """Lot size and minimum notional of those coins whose first venue says so.

        Raises SourceError when that venue's list has never been had.
        """
        source = self._first_choice
        listed = self.listings(source)
        names = venue_symbols(source, coins.find_all(self._database.connection, list(symbols)))
        return {
            symbol: listed[venue_symbol].instrument
            for venue_symbol, symbol in names.items()
            if venue_symbol in listed
        }

    def listings(self, source: str) -> Mapping[str, VenueInstrument]:
        """Every pair that a venue lists, by its own symbols; asked for once an hour and kept.

        Raises SourceError when the list has never been had.
        """
        if self._listing_is_old(source):
            try:
                self._listing_flights[source].run(lambda: self._fetch_listings(source))
            except SourceError:
                if source not in self._listings:
                    raise
                log.warning("what %s lists could not be refreshed; the last list is used", source)
        return self._listings[source][1]

    def refresh(self) -> None:
        """Bring every venue's list up to date, as far as the venues answer."""
        for name in self._sources:
            try:
                self.listings(name)
            except SourceError:
                continue  # noted in the source's health

    def trading_venues(self, asked: Iterable[Coin]) -> dict[str, dict[str, bool]]:
        """For each coin, whether it trades now on each venue that it has a symbol on.

        By the lists as they were last had; a venue whose list never was is left out.
        """
        chosen = list(asked)
        venues: dict[str, dict[str, bool]] = {coin.symbol: {} for coin in chosen}
        for name in self._sources:
            if self._had_listing_ms(name) is None:
                continue
            listed = self._listings[name][1]
            for venue_symbol, symbol in venue_symbols(name, chosen).items():
                found = listed.get(venue_symbol)
                venues[symbol][name] = found is not None and found.is_trading
        return venues

    def _listing_is_old(self, source: str) -> bool:
        had_ms = self._had_listing_ms(source)
        return had_ms is None or self._wall_clock.now_ms() - had_ms > LISTINGS_KEPT_MS

    def _had_listing_ms(self, source: str) -> int | None:
        """When a venue's list was last had, by this process or by an earlier one."""
        if source not in self._listings:
            fetched_at = instruments.fetched_at(self._database.connection, source)
            if fetched_at is None:
                return None
            stored = instruments.of_source(self._database.connection, source)
            self._listings[source] = (fetched_at, stored)
        return self._listings[source][0]

    def _fetch_listings(self, source: str) -> None:
        if not self._listing_is_old(source):
            return  # who waited finds what was fetched meanwhile
        listed = self._monitor.ask(self._sources[source], self._sources[source].instruments)
        now_ms = self._wall_clock.now_ms()
        with self._database.transaction() as connection:
            instruments.replace_list(connection, source, listed.values(), now_ms)
        self._listings[source] = (now_ms, listed)
