"""What a source of market data is, what it calls our coins, and how it has done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from domain import Clock, Coin, Interval, KlineSeries, OrderBook, Ticker, VenueInstrument
from errors import SourceError, SourceUnavailable

UNKNOWN_SYMBOL = "unknown_symbol"  # the code of a refusal that is no failure of the source

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class PriceSource(Protocol):
    """A fetcher of prices, asked with the venue's own symbols."""

    name: str

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        """Latest prices of those symbols that the venue knows, in one call."""


class MarketSource(PriceSource, Protocol):
    """A fetcher of a whole exchange."""

    @property
    def dropped_rows(self) -> int:
        """How many unsound rows it has had to leave out so far."""

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


class SourceMonitor:
    """Puts questions to sources and remembers how they went. `wall_clock` stamps them."""

    def __init__(self, names: Iterable[str], wall_clock: Clock):
        self._wall_clock = wall_clock
        self._health = {name: SourceHealth(name) for name in names}

    def health(self) -> list[SourceHealth]:
        """How each source has done."""
        return list(self._health.values())

    def ask(self, source: PriceSource, question: Callable[[], Answer]) -> Answer:
        """Put a question to a source and remember how it went."""
        try:
            answer = question()
        except SourceError as error:
            if error.code == UNKNOWN_SYMBOL:
                raise  # it has answered: the question was wrong
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


def venue_symbols(source: str, coins: Iterable[Coin]) -> dict[str, str]:
    """Our symbols by the venue's, for those coins that the venue lists."""
    column = {"binance": "binance_symbol", "okx": "okx_symbol", "coingecko": "coingecko_id"}[source]
    return {getattr(coin, column): coin.symbol for coin in coins if getattr(coin, column)}


def all_failed(what: str, failures: Sequence[SourceError]) -> SourceUnavailable:
    """What each source said, as one error."""
    said = "; ".join(dict.fromkeys(failure.message for failure in failures))
    return SourceUnavailable(f"No data source could answer for {what}: {said or 'none lists it'}")
