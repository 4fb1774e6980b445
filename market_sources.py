"""What a source of market data is, and what it calls our coins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from domain import Coin, Interval, KlineSeries, OrderBook, Ticker, VenueInstrument
from errors import SourceError, SourceUnavailable


class PriceSource(Protocol):
    """A fetcher of prices, asked with the venue's own symbols."""

    name: str

    @property
    def dropped_rows(self) -> int:
        """How many unsound rows it has had to leave out so far."""

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        """Latest prices of those symbols that the venue knows, in one call."""


class MarketSource(PriceSource, Protocol):
    """A fetcher of a whole exchange."""

    def klines(
        self, symbol: str, interval: Interval, start_ms: int | None, end_ms: int | None,
        limit: int | None,
    ) -> KlineSeries:  # fmt: skip
        """Bars with start_ms ≤ open_time < end_ms."""

    def depth(self, symbol: str, limit: int) -> OrderBook:
        """The order book."""

    def instruments(self) -> Mapping[str, VenueInstrument]:
        """Every listed symbol."""


def venue_symbols(source: str, coins: Iterable[Coin]) -> dict[str, str]:
    """Our symbols by the venue's, for those coins that the venue lists."""
    column = {"binance": "binance_symbol", "okx": "okx_symbol", "coingecko": "coingecko_id"}[source]
    return {getattr(coin, column): coin.symbol for coin in coins if getattr(coin, column)}


def all_failed(what: str, failures: Sequence[SourceError]) -> SourceUnavailable:
    """What each source said, as one error."""
    said = "; ".join(dict.fromkeys(failure.message for failure in failures))
    return SourceUnavailable(f"No data source could answer for {what}: {said or 'none lists it'}")
