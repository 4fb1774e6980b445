"""The latest price of every coin in use, kept fresh and handed on: to exits, pages and charts.

Prices are polled over REST, one call for all coins. Listeners are called with the coins whose
price has changed, or has been confirmed, since they were last called.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from data_aggregator import MultiSourceDataAggregator
from errors import SourceError
from event_stream import EventStream
from latest_prices import KnownPrice

LONGEST_PAUSE_SECONDS = 60.0

log = logging.getLogger(__name__)
PriceListener = Callable[[Mapping[str, KnownPrice]], None]


class PriceStream:
    """A thread that asks for the prices of `coins_in_use()` every `poll_seconds` of real time."""

    def __init__(
        self,
        data_aggregator: MultiSourceDataAggregator,
        coins_in_use: Callable[[], Iterable[str]],
        events: EventStream,
        poll_seconds: float,
    ):
        self._data_aggregator = data_aggregator
        self._coins_in_use = coins_in_use
        self._events = events
        self._poll_seconds = poll_seconds
        self._listeners: list[PriceListener] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="price-stream", daemon=True)
        self._failures = 0

    def on_prices(self, listener: PriceListener) -> None:
        """Call `listener` with every new set of prices, on the stream's thread."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin polling."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the poll that is under way."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    def poll(self) -> None:
        """Ask once and tell the listeners."""
        coins = sorted(set(self._coins_in_use()))
        if not coins:
            return
        prices = self._data_aggregator.get_prices(coins, self._poll_seconds / 2)
        if not prices:
            return
        for listener in self._listeners:
            listener(prices)
        self._events.publish("price", {"prices": prices})

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.poll()
                self._failures = 0
            except SourceError as error:
                self._failures += 1
                log.warning("no prices: %s", error.message)
            except Exception:  # the edge: exits must go on being watched, whatever went wrong once
                self._failures += 1
                log.exception("a price poll failed")
            self._ended.wait(self._pause_seconds())

    def _pause_seconds(self) -> float:
        """The poll's interval, doubled with each failure in a row."""
        pause: float = self._poll_seconds * 2.0 ** min(self._failures, 10)
        return min(pause, LONGEST_PAUSE_SECONDS if self._failures > 3 else 5 * self._poll_seconds)
