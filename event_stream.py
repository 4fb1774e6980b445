"""What happens in the process, told to whoever listens: the pages' event stream above all."""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

TOPICS = ("price", "trade", "decision", "account_value", "cycle", "backtest", "health", "data")
KLINE = "kline"  # the topics of candles are a coin's and an interval's: kline:BTC:1m
# Of each topic, for listeners that come back with the id of the last event they had.
EVENTS_KEPT = 500
PRICES_KEPT = 20  # the next ones say the same better
LISTENER_QUEUE = 1000


Write = Callable[[str, Mapping[str, Any]], str | None]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `id` grows by one with each.

    `text` is what is sent of it, written once for all who listen when it happens; None for one who
    comes later, to whom its ages are others.
    """

    id: int
    topic: str
    payload: Mapping[str, Any]
    text: str | None = field(default=None, compare=False)


class Listener:
    """One subscriber's queue. `overflowed` says that it read too slowly and lost events, `closed`
    that no more will come."""

    def __init__(self, topics: Iterable[str]):
        self.topics = frozenset(topics)
        self.overflowed = False
        self.closed = False
        self._queue: queue.Queue[Event | None] = queue.Queue(LISTENER_QUEUE)

    def offer(self, event: Event) -> None:
        """Queue an event of its topics; never blocks the one who publishes."""
        if event.topic not in self.topics:
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.overflowed = True

    def close(self) -> None:
        """Tell the reader that no more will come, also when it waits."""
        self.closed = True
        with suppress(queue.Full):  # then it does not wait
            self._queue.put_nowait(None)

    def next(self, timeout_seconds: float) -> Event | None:
        """The next event, or None when none came in time or the stream was closed."""
        try:
            return self._queue.get(timeout=timeout_seconds)
        except queue.Empty:
            return None


class EventStream:
    """Publishes events to listeners and keeps the newest for those who reconnect."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._newest_id = 0
        self._kept: dict[str, deque[Event]] = {}
        self._listeners: set[Listener] = set()
        self._watchers: list[tuple[frozenset[str], Callable[[Event], None]]] = []
        self._closed = False
        self._write: Write = lambda topic, payload: None

    def write_with(self, write: Write) -> None:
        """From now on `write(topic, payload)` gives the text of events that somebody hears."""
        self._write = write

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Tell every listener of the topic."""
        with self._lock:
            heard = any(topic in listener.topics for listener in self._listeners)
        text = self._write(topic, payload) if heard else None
        with self._lock:
            event = Event(next(self._ids), topic, payload)
            self._newest_id = event.id
            self._kept_of(topic).append(event)
            told = replace(event, text=text)
            for listener in self._listeners:
                listener.offer(told)
        for topics, watcher in self._watchers:
            if topic in topics:
                watcher(event)

    def watch(self, topics: Iterable[str], watcher: Callable[[Event], None]) -> None:
        """Call `watcher` with every event of these topics, in the thread that publishes it.

        To be said before anything is published; who publishes waits for it, so it must be quick.
        """
        self._watchers.append((frozenset(topics), watcher))

    def listen(self, topics: Iterable[str], after_id: int | None = None) -> Listener:
        """Subscribe; with `after_id`, what was kept of later events comes first."""
        listener = Listener(topics)
        with self._lock:
            if after_id is not None:
                earlier_start = after_id > self._newest_id
                kept = [event for topic in listener.topics for event in self._kept_of(topic)]
                for event in sorted(kept, key=lambda event: event.id):
                    if event.id > after_id or earlier_start:
                        listener.offer(event)
            self._listeners.add(listener)
            if self._closed:
                listener.close()
        return listener

    def forget(self, topic: str) -> None:
        """Keep nothing of a topic that has come to its end."""
        with self._lock:
            self._kept.pop(topic, None)

    def _kept_of(self, topic: str) -> deque[Event]:
        most = PRICES_KEPT if topic == "price" else EVENTS_KEPT
        return self._kept.setdefault(topic, deque(maxlen=most))

    def close(self) -> None:
        """End every listener's stream, and that of whoever comes later: the process ends."""
        with self._lock:
            self._closed = True
            for listener in self._listeners:
                listener.close()

    def leave(self, listener: Listener) -> None:
        """Unsubscribe."""
        with self._lock:
            self._listeners.discard(listener)

    @property
    def listener_count(self) -> int:
        """How many are listening."""
        return len(self._listeners)
