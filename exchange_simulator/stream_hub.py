"""The websockets of a venue, served at a pulse of real time.

At every pulse each subscription gets what is due: the tickers of the moment, and of a series of
bars every one that has closed since, then the one that is open. The market may run much faster
than real time: tickers come at the pulse's rate all the same, and no bar's close is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from aiohttp import WSCloseCode, web

from domain import Clock
from exchange_simulator.faults import Faults
from exchange_simulator.stream_connection import StreamConnection
from exchange_simulator.stream_faults import StreamFaults
from exchange_simulator.traffic import StreamCounts

log = logging.getLogger(__name__)


class Feed(Protocol):
    """Something that can be subscribed to. A position says what has been sent of it."""

    def start(self, now_ms: int) -> int:
        """The position of one who subscribes now."""

    def due(self, position: int, now_ms: int) -> tuple[list[str], int]:
        """The messages since a position, as JSON, and the position after them."""


class StreamVenue(Protocol):
    """What differs between the venues."""

    @property
    def name(self) -> str:
        """The venue's."""

    def feed(self, name: str) -> Feed | None:
        """What goes by a subscription's name; none for what nothing is ever sent of."""

    def wrap(self, connection: StreamConnection, name: str, text: str) -> str:
        """A message of a feed as this connection gets it."""

    def open(self, connection: StreamConnection, request: web.Request) -> None:
        """A connection has been opened."""

    def receive(self, connection: StreamConnection, text: str) -> None:
        """A connection has sent a text."""

    def receive_frame(self, connection: StreamConnection) -> None:
        """A connection has sent anything at all."""

    def tend(self, connection: StreamConnection, now_ms: int) -> None:
        """Ping it, or close it, when it is time to."""


class StreamHub:
    """The open connections of one venue."""

    def __init__(
        self,
        venue: StreamVenue,
        clock: Clock,
        wall_clock: Clock,
        faults: Faults,
        counts: StreamCounts,
        pulse_seconds: float,
    ):
        self._venue = venue
        self._clock = clock
        self._wall_clock = wall_clock
        self._faults = faults
        self._counts = counts
        self._pulse_seconds = pulse_seconds
        self._connections: dict[StreamConnection, StreamFaults] = {}

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """The handler of the venue's websocket routes."""
        faults = StreamFaults(self._faults, self._venue.name)
        connection = StreamConnection(
            request,
            opened_ms=self._clock.now_ms(),
            opened_wall_ms=self._wall_clock.now_ms(),
            faults=faults,
            counts=self._counts,
        )
        self._connections[connection] = faults
        self._counts.opened += 1
        self._counts.open = len(self._connections)
        try:
            return await connection.serve(
                lambda opened: self._venue.open(opened, request),
                self._venue.receive,
                self._venue.receive_frame,
            )
        finally:
            del self._connections[connection]
            self._counts.open = len(self._connections)

    def subscribe(self, connection: StreamConnection, name: str) -> None:
        """From now on, what goes by `name`; what it has already goes on as it was."""
        feed = self._venue.feed(name)
        position = 0 if feed is None else feed.start(self._clock.now_ms())
        connection.subscriptions.setdefault(name, position)

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """Beat while the application runs (one of its `cleanup_ctx`)."""
        pulse = asyncio.create_task(self._beat_forever())
        yield
        pulse.cancel()

    async def close_all(self, app: web.Application) -> None:
        """The application is going (one of its `on_shutdown`)."""
        for connection in list(self._connections):
            connection.close(WSCloseCode.GOING_AWAY, "")

    async def _beat_forever(self) -> None:
        while True:
            await asyncio.sleep(self._pulse_seconds)
            try:
                self._beat()
            except Exception:  # the edge: a bug in one message must not stop the stream
                log.exception("the simulator's %s stream failed", self._venue.name)

    def _beat(self) -> None:
        now_ms, wall_ms = self._clock.now_ms(), self._wall_clock.now_ms()
        made: dict[tuple[str, int], tuple[list[str], int]] = {}
        for connection, faults in list(self._connections.items()):
            if faults.is_cut(connection.opened_wall_ms, wall_ms):
                connection.abort()
                continue
            texts = self._due(connection, now_ms, made)
            for text in texts:
                connection.send(text)
            self._flood(connection, texts, faults.flood_rate())
            self._venue.tend(connection, now_ms)

    def _due(
        self,
        connection: StreamConnection,
        now_ms: int,
        made: dict[tuple[str, int], tuple[list[str], int]],
    ) -> list[str]:
        """What is due to a connection; `made` keeps what others have had at this beat."""
        texts = []
        for name, position in connection.subscriptions.items():
            if (name, position) not in made:
                feed = self._venue.feed(name)
                made[name, position] = ([], 0) if feed is None else feed.due(position, now_ms)
            messages, connection.subscriptions[name] = made[name, position]
            texts += [self._venue.wrap(connection, name, message) for message in messages]
        return texts

    def _flood(self, connection: StreamConnection, texts: list[str], rate: float) -> None:
        """Send `texts` again and again, as many in this beat as the rate asks for."""
        count = min(int(rate * self._pulse_seconds), connection.room - 1) if texts else 0
        for number in range(count):
            connection.send(texts[number % len(texts)])
