"""What the venues' streams push, as prices of our coins: what of it is news, and what it covers."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from domain import Clock, Coin, Ticker
from errors import SourceBadAnswer
from latest_prices import KnownPrice, LatestPrices
from market_sources import venue_symbols
from market_streams import SOURCES, MarketStreams
from price_age import StuckSource, without_old
from stream_supervisor import StreamState

EXAMINE_SECONDS = 1.0
ALIVE_SECONDS = 3.0  # a stream that has said nothing for so long covers no price
# A coin that has not traded for so long is not covered any more: its stream may be broken.
CONFIRMED_FOR_SECONDS = 60.0

log = logging.getLogger(__name__)


def traded_only(coins: Collection[Coin], trading: Mapping[str, Mapping[str, bool]]) -> list[Coin]:
    """`coins` without the symbols by which a venue does not trade them, where that is known."""

    def symbol(coin: Coin, venue: str, text: str | None) -> str | None:
        return text if trading[coin.symbol].get(venue, True) else None

    return [
        replace(
            coin,
            binance_symbol=symbol(coin, "binance", coin.binance_symbol),
            okx_symbol=symbol(coin, "okx", coin.okx_symbol),
        )
        for coin in coins
    ]


class PushedSource:
    """What one venue's stream has said. `names` are our symbols by the venue's.

    Where it stands still, what the venue answers is doubted too: `answers`.
    """

    def __init__(self, name: str, answers: StuckSource):
        self.name = name
        self._answers = answers
        self.names: Mapping[str, str] = {}
        self.heard: dict[str, float] = {}  # our coins whose latest word is believed, and since when
        self._last: dict[str, Ticker] = {}
        self._examiner = StuckSource()
        self._examined_at = 0.0
        self._is_stuck = False
        self._dropped = 0

    def news(
        self, tickers: Mapping[str, Ticker], clock: Clock, wall_ms: int, now: float
    ) -> dict[str, Ticker]:
        """Of a venue that has not stopped: what has a new time that is not long ago."""
        pushed = {
            self.names[symbol]: ticker for symbol, ticker in tickers.items() if symbol in self.names
        }
        for coin in pushed:
            self.heard.pop(coin, None)  # until what it says now is believed
        new = {
            coin: ticker
            for coin, ticker in pushed.items()
            if coin not in self._last or ticker.time_ms != self._last[coin].time_ms
        }
        self._last |= pushed
        self._examine(wall_ms, clock.now_ms(), now)
        if self._is_stuck:
            return {}
        try:
            young, _ = without_old(self.name, new, clock)
        except SourceBadAnswer:
            return {}
        return young

    def quiet(self, state: StreamState, now: float) -> list[str]:
        """The coins that have not traded lately, if the stream would have told."""
        garbled = state.dropped != self._dropped  # perhaps it was their price
        self._dropped = state.dropped
        return [] if garbled else list(self.covered(now))

    def covered(self, now: float) -> set[str]:
        """The coins that it has told of lately."""
        return {coin for coin, at in list(self.heard.items()) if now - at < CONFIRMED_FOR_SECONDS}

    def _examine(self, wall_ms: int, market_ms: int, now: float) -> None:
        """Now and then, whether all that it says is the same as before."""
        if now - self._examined_at < EXAMINE_SECONDS:
            return
        self._examined_at = now
        try:
            self._examiner.examine(self.name, self._last, wall_ms, market_ms)
        except SourceBadAnswer as error:
            if not self._is_stuck:
                log.warning("%s", error.message)
                self._answers.adopt(self._examiner)
            self._is_stuck = True
        else:
            self._is_stuck = False


class PushedPrices:
    """Takes from `streams` into `latest`. `clock` is the market's, by which tickers have times."""

    def __init__(
        self, latest: LatestPrices, streams: MarketStreams, clock: Clock, wall_clock: Clock
    ):
        self._latest = latest
        self._streams = streams
        self._clock = clock
        self._wall_clock = wall_clock
        self._sources = {name: PushedSource(name, latest.stuck[name]) for name in SOURCES}

    def follow(self, coins: Collection[Coin]) -> None:
        """Have the prices of these coins and no others."""
        for source in self._sources.values():
            source.names = venue_symbols(source.name, coins)
        self._streams.want_tickers({name: each.names for name, each in self._sources.items()})

    def take(self) -> dict[str, KnownPrice]:
        """What has come since the last time, as far as it is believed."""
        taken: dict[str, KnownPrice] = {}
        now, wall_ms = time.monotonic(), self._wall_clock.now_ms()
        for name, tickers in self._streams.take_tickers().items():
            source = self._sources[name]
            accepted = self._latest.receive(name, source.news(tickers, self._clock, wall_ms, now))
            source.heard |= dict.fromkeys(accepted, now)
            taken |= accepted
        return taken

    def covered(self) -> set[str]:
        """The coins whose prices a stream that is up brings."""
        now = time.monotonic()
        return {
            coin
            for source in self._sources.values()
            if self._streams.has_tickers(source.name)
            for coin in source.covered(now)
        }

    def confirm(self) -> bool:
        """Prices of coins that do not trade are as good as new while their stream lives.

        Returns whether one that had brought prices has been lost, or has said nothing for seconds.
        """
        now, wall_ms, lost = time.monotonic(), self._wall_clock.now_ms(), False
        for state in self._streams.states():
            source = self._sources.get(state.name)
            if source is None:
                continue
            is_alive = wall_ms - (state.last_message_ms or 0) < 1000 * ALIVE_SECONDS
            if self._streams.has_tickers(state.name) and is_alive:
                self._latest.confirm(state.name, source.quiet(state, now))
            else:
                lost = lost or bool(source.heard)
                source.heard.clear()
        return lost
