"""Finding coins: at CoinGecko by name or rank, with their pairs in what the venues list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import Clock, VenueInstrument
from errors import SourceError, SourceUnavailable
from repositories import coins, groups

QUOTE = "USDT"
VENUES = ("binance", "okx")


class CoinListing(Protocol):
    """A coin as CoinGecko lists it."""

    @property
    def symbol(self) -> str:
        """In capitals."""

    @property
    def name(self) -> str:
        """As people know it."""

    @property
    def coingecko_id(self) -> str:
        """CoinGecko's own id."""

    @property
    def market_cap_rank(self) -> int | None:
        """1 for the largest."""


class CoinDirectory(Protocol):
    """Who knows all coins."""

    def search(self, query: str) -> Sequence[CoinListing]:
        """Coins by name or symbol, best match first."""

    def top(self, count: int) -> Sequence[CoinListing]:
        """The largest coins by market cap."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A coin that could be added, ready to be: its names everywhere, and whether it is known."""

    symbol: str
    name: str
    coingecko_id: str
    market_cap_rank: int | None
    binance_symbol: str | None
    okx_symbol: str | None
    coin_id: int | None


class CoinDiscovery:
    """Looks coins up, and keeps the ranking of those that are known."""

    def __init__(
        self,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        directory: CoinDirectory,
        clock: Clock,
    ):
        self._database = database
        self._data_aggregator = data_aggregator
        self._directory = directory
        self._clock = clock

    def search(self, query: str) -> list[Candidate]:
        """Coins by name or symbol. Raises SourceError when CoinGecko or every venue is out."""
        return self._candidates(self._directory.search(query))

    def top(self, count: int) -> list[Candidate]:
        """The largest coins by market cap. Raises like `search`."""
        return self._candidates(self._directory.top(count))

    def refresh_ranks(self, count: int = 250) -> int:
        """Rank the known coins as CoinGecko does now, and let the groups follow; how many."""
        ranks: dict[str, int] = {}
        for listing in self._directory.top(count):
            if listing.market_cap_rank is not None:
                ranks[listing.coingecko_id] = listing.market_cap_rank
        with self._database.transaction() as connection:
            known = coins.ids_by_coingecko_id(connection)
            ranked = {known[name]: rank for name, rank in ranks.items() if name in known}
            coins.set_ranks(connection, ranked, self._clock.now_ms())
            groups.follow_ranks(connection)
        return len(ranked)

    def _candidates(self, listings: Iterable[CoinListing]) -> list[Candidate]:
        """Each symbol once: of several coins with one symbol, the first (the best match)."""
        pairs = self._trading_pairs()
        found: dict[str, Candidate] = {}
        for listing in listings:
            symbol = listing.symbol.upper()
            if symbol in found:
                continue
            known = coins.find(self._database.connection, symbol)
            found[symbol] = Candidate(
                symbol=symbol,
                name=listing.name,
                coingecko_id=listing.coingecko_id,
                market_cap_rank=listing.market_cap_rank,
                binance_symbol=pairs["binance"].get(symbol),
                okx_symbol=pairs["okx"].get(symbol),
                coin_id=None if known is None else known.id,
            )
        return list(found.values())

    def _trading_pairs(self) -> dict[str, dict[str, str]]:
        """Each venue's pairs against USDT that trade now, by their base."""
        pairs: dict[str, dict[str, str]] = {}
        failures: list[str] = []
        for venue in VENUES:
            listed: Iterable[VenueInstrument] = ()
            try:
                listed = self._data_aggregator.venues.listings(venue).values()
            except SourceError as error:
                failures.append(error.message)
            pairs[venue] = {
                pair.base: pair.symbol for pair in listed if pair.quote == QUOTE and pair.is_trading
            }
        if len(failures) == len(VENUES):
            raise SourceUnavailable(f"No venue tells what it lists: {'; '.join(failures)}")
        return pairs
