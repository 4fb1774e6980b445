"""The latest price of every coin in use, kept fresh and handed on: to exits, pages and charts.

Venues push prices over websockets; what no stream covers, or all of it while they are out, is
asked for over REST, one call for all coins. Listeners are called with the newest prices that have
come since they were last called: while they are busy, what comes is coalesced.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from domain import Coin, Ticker
from errors import SourceError
from event_stream import EventStream
from latest_prices import KnownPrice
from market_sources import venue_symbols
from market_streams import SOURCES, MarketStreams
from stream_supervisor import StreamState

LONGEST_PAUSE_SECONDS = 60.0
DELIVERY_PAUSE_SECONDS = 0.2  # prices that come in between are delivered together
PUBLISH_PAUSE_SECONDS = 0.5  # pages are told at most so often
CONFIRM_SECONDS = 1.0
ALIVE_SECONDS = 3.0  # a stream that has said nothing for so long confirms no price
# A coin that has not traded for so long is asked for over REST: its stream may be broken.
CONFIRMED_FOR_SECONDS = 60.0
# A price that a stream covers is asked for over REST at this age: its source may be doubted.
COVERED_AGE_SECONDS = 4.0
# Pages are also told prices that stand still, so that they know them to be fresh.
REPEAT_SECONDS = 4.0

log = logging.getLogger(__name__)
PriceListener = Callable[[Mapping[str, KnownPrice]], None]


class PriceStream:
    """The prices of `coins_in_use()`: from `streams` if given, polled every `poll_seconds` else.

    All of it by the real clock. `find_coins` gives the rows of symbols; it comes with `streams`.
    """

    def __init__(
        self,
        data_aggregator: MultiSourceDataAggregator,
        coins_in_use: Callable[[], Iterable[str]],
        events: EventStream,
        poll_seconds: float,
        *,
        streams: MarketStreams | None = None,
        find_coins: Callable[[Sequence[str]], Sequence[Coin]] | None = None,
    ):
        self._data_aggregator = data_aggregator
        self._coins_in_use = coins_in_use
        self._events = events
        self._poll_seconds = poll_seconds
        self._streams = streams
        self._find_coins = find_coins
        self._wall_clock = SystemClock()
        self._listeners: list[PriceListener] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._poll_on, name="price-poll", daemon=True),
            threading.Thread(target=self._deliver_on, name="price-stream", daemon=True),
        ]
        self._failures = 0
        self._lock = threading.Lock()
        self._polled: dict[str, KnownPrice] = {}
        self._fresh = threading.Event()  # there is something to deliver
        self._poll_now = threading.Event()
        self._names: Mapping[str, Mapping[str, str]] = {}  # our symbols by source and venue symbol
        self._heard: dict[str, dict[str, float]] = {name: {} for name in SOURCES}
        self._dropped: dict[str, int] = {}
        self._unpublished: dict[str, KnownPrice] = {}
        self._confirmed_at = self._repeated_at = self._published_at = 0.0
        if streams is not None:
            streams.on_tickers(self._fresh.set)
            streams.on_up(lambda _: self._poll_now.set())

    def on_prices(self, listener: PriceListener) -> None:
        """Call `listener` with every new set of prices, on the stream's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin."""
        if self._streams is not None:
            self._streams.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after what is under way; the venues' streams too."""
        self._ended.set()
        self._fresh.set()
        self._poll_now.set()
        if self._streams is not None:
            self._streams.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    @property
    def running(self) -> bool:
        """Whether the threads are alive."""
        return all(thread.is_alive() for thread in self._threads)

    def streams(self) -> list[StreamState]:
        """How each venue's stream does; none where there are none."""
        return [] if self._streams is None else self._streams.states()

    # ------------------------------------------------------------------------------- polling

    def poll(self) -> None:
        """Follow the coins in use; ask for those that no stream covers, and keep what comes."""
        coins = sorted(set(self._coins_in_use()))
        if self._streams is not None and self._find_coins is not None:
            found = self._find_coins(coins)
            names = {source: venue_symbols(source, found) for source in SOURCES}
            self._names = names
            self._streams.want_tickers(names)
        covered = self._covered()
        polled: dict[str, KnownPrice] = {}
        uncovered = [coin for coin in coins if coin not in covered]
        if uncovered:
            polled = self._data_aggregator.get_prices(uncovered, self._poll_seconds / 2)
        aged = self._aged([coin for coin in coins if coin in covered])
        if aged:
            polled |= self._data_aggregator.get_prices(aged, COVERED_AGE_SECONDS)
        if polled:
            with self._lock:
                self._polled.update(polled)
            self._fresh.set()

    def _covered(self) -> set[str]:
        """The coins whose prices a stream that is up has brought, or could have, of late."""
        if self._streams is None:
            return set()
        long_ago = time.monotonic() - CONFIRMED_FOR_SECONDS
        return {
            coin
            for source, heard in self._heard.items()
            if self._streams.has_tickers(source)
            for coin, heard_at in list(heard.items())
            if heard_at > long_ago
        }

    def _aged(self, coins: Iterable[str]) -> list[str]:
        latest = self._data_aggregator.latest
        known = latest.last_known(coins)
        return [coin for coin in known if latest.age_seconds(known[coin]) > COVERED_AGE_SECONDS]

    def _poll_on(self) -> None:
        while not self._ended.is_set():
            self._poll_now.clear()
            try:
                self.poll()
                self._failures = 0
            except SourceError as error:
                self._failures += 1
                log.warning("no prices: %s", error.message)
            except Exception:  # the edge: exits must go on being watched, whatever went wrong once
                self._failures += 1
                log.exception("a price poll failed")
            self._poll_now.wait(self._pause_seconds())

    def _pause_seconds(self) -> float:
        """The poll's interval, doubled with each failure in a row."""
        pause: float = self._poll_seconds * 2.0 ** min(self._failures, 10)
        return min(pause, LONGEST_PAUSE_SECONDS if self._failures > 3 else 5 * self._poll_seconds)

    # ------------------------------------------------------------------------------ delivery

    def deliver(self) -> None:
        """Tell the listeners what has come since the last time, and the pages at their rate."""
        with self._lock:
            prices, self._polled = self._polled, {}
        prices = prices | self._receive()
        if prices:
            for listener in self._listeners:
                try:
                    listener(prices)
                except Exception:  # the edge: one listener's trouble must not cut the others off
                    log.exception("a listener of prices failed")
            self._unpublished |= prices
        self._confirm()
        self._publish()

    def _receive(self) -> dict[str, KnownPrice]:
        """What the streams have brought, as far as it is taken."""
        if self._streams is None:
            return {}
        taken: dict[str, KnownPrice] = {}
        now = time.monotonic()
        for source, tickers in self._streams.take_tickers().items():
            names = self._names.get(source, {})
            known: dict[str, Ticker] = {
                names[symbol]: ticker for symbol, ticker in tickers.items() if symbol in names
            }
            accepted = self._data_aggregator.latest.receive(source, known)
            heard = self._heard[source]
            for coin in known:
                if coin in accepted:
                    heard[coin] = now
                else:  # then what was had of it before is not what the source says now
                    heard.pop(coin, None)
            taken |= accepted
        return taken

    def _confirm(self) -> None:
        """Prices of coins that have not traded are as good as new while their stream lives."""
        now = time.monotonic()
        if self._streams is None or now - self._confirmed_at < CONFIRM_SECONDS:
            return
        self._confirmed_at = now
        for state in self._streams.states():
            heard = self._heard.get(state.name)
            if heard is None:
                continue
            if not self._streams.has_tickers(state.name):
                if heard:
                    heard.clear()
                    self._poll_now.set()
                continue
            garbled = state.dropped != self._dropped.get(state.name, 0)
            self._dropped[state.name] = state.dropped
            last_ms = state.last_message_ms or 0
            alive = self._wall_clock.now_ms() - last_ms < 1000 * ALIVE_SECONDS
            if alive and not garbled:  # else some price may have moved without our knowing
                quiet = [coin for coin, at in heard.items() if now - at < CONFIRMED_FOR_SECONDS]
                self._data_aggregator.latest.confirm(state.name, quiet)

    def _publish(self) -> None:
        now = time.monotonic()
        if now - self._repeated_at >= REPEAT_SECONDS:
            self._repeated_at = now
            still = self._data_aggregator.latest.last_known(self._covered())
            self._unpublished = {**still, **self._unpublished}
        if self._unpublished and now - self._published_at >= PUBLISH_PAUSE_SECONDS:
            self._published_at = now
            self._events.publish("price", {"prices": self._unpublished})
            self._unpublished = {}

    def _deliver_on(self) -> None:
        while not self._ended.is_set():
            self._fresh.wait(PUBLISH_PAUSE_SECONDS)
            self._fresh.clear()
            try:
                self.deliver()
            except Exception:  # the edge: exits must go on being watched, whatever went wrong once
                log.exception("prices could not be delivered")
            self._ended.wait(DELIVERY_PAUSE_SECONDS)
