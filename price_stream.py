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
from domain import Clock, Coin
from errors import SourceError
from event_stream import EventStream
from latest_prices import KnownPrice
from market_streams import MarketStreams
from pushed_prices import PushedPrices
from stream_supervisor import StreamState

LONGEST_PAUSE_SECONDS = 60.0
DELIVERY_PAUSE_SECONDS = 0.1  # prices that come in between are delivered together
PUBLISH_PAUSE_SECONDS = 0.5  # pages are told at most so often
CONFIRM_SECONDS = 1.0
# A price that a stream covers is asked for over REST at this age: its source may be doubted.
COVERED_AGE_SECONDS = 2.5
# Pages are also told prices that stand still, so that they know them to be fresh.
REPEAT_SECONDS = 4.0

log = logging.getLogger(__name__)
PriceListener = Callable[[Mapping[str, KnownPrice]], None]


class PriceStream:
    """The prices of `coins_in_use()`: from `streams` if given, polled every `poll_seconds` else.

    All of it by the real clock; `clock` is the market's, by which prices have their times.
    `find_coins` gives the rows of symbols; it comes with `streams`.
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
        clock: Clock | None = None,
    ):
        self._data_aggregator = data_aggregator
        self._coins_in_use = coins_in_use
        self._events = events
        self._poll_seconds = poll_seconds
        self._streams = streams
        self._find_coins = find_coins
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
        self._unpublished: dict[str, KnownPrice] = {}
        self._conditions: dict[str, str] = {}  # of the streams, as pages know them
        self._confirmed_at = self._repeated_at = self._published_at = 0.0
        self._pushed: PushedPrices | None = None
        if streams is not None:
            wall_clock = SystemClock()
            latest = data_aggregator.latest
            self._pushed = PushedPrices(latest, streams, clock or wall_clock, wall_clock)
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
        if self._pushed is not None and self._find_coins is not None:
            self._pushed.follow(self._find_coins(coins))
        covered = self._covered()
        uncovered = [coin for coin in coins if coin not in covered]
        if uncovered:
            self._put(self._data_aggregator.get_prices(uncovered, self._poll_seconds / 2))
        covered &= set(coins)
        if covered:
            aged = self._aged(covered)
            known = self._data_aggregator.get_prices(sorted(covered), COVERED_AGE_SECONDS)
            self._put({coin: price for coin, price in known.items() if coin in aged})

    def _put(self, polled: Mapping[str, KnownPrice]) -> None:
        """Have prices delivered."""
        if polled:
            with self._lock:
                self._polled.update(polled)
            self._fresh.set()

    def _covered(self) -> set[str]:
        return set() if self._pushed is None else self._pushed.covered()

    def _aged(self, coins: Iterable[str]) -> set[str]:
        latest = self._data_aggregator.latest
        known = latest.last_known(coins)
        return {
            coin for coin, price in known.items() if latest.age_seconds(price) > COVERED_AGE_SECONDS
        }

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
        if self._pushed is not None:
            prices |= self._pushed.take()
        if prices:
            for listener in self._listeners:
                try:
                    listener(prices)
                except Exception:  # the edge: one listener's trouble must not cut the others off
                    log.exception("a listener of prices failed")
            self._unpublished |= prices
        self._confirm()
        self._publish()

    def _confirm(self) -> None:
        now = time.monotonic()
        if self._pushed is None or now - self._confirmed_at < CONFIRM_SECONDS:
            return
        self._confirmed_at = now
        if self._pushed.confirm():
            self._poll_now.set()
        conditions = {state.name: state.state for state in self.streams()}
        if conditions != self._conditions:
            self._conditions = conditions
            self._events.publish("health", {"sources": True})

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
