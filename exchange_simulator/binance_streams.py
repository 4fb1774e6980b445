"""Binance's websocket streams: `/ws/…`, `/stream?streams=…`, and subscribing while they run.

Limits and habits are Binance's: 300 new connections in five minutes, 1024 streams on each,
5 messages a second from a client, a ping every 20 s that must be answered within a minute, and an
end after 24 hours of its clock.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import WSCloseCode, web

from domain import DAY_MS, MINUTE_MS, Clock
from exchange_simulator import venue_refusals as refusals
from exchange_simulator.binance import Binance
from exchange_simulator.binance_feeds import feed_of, is_stream_name
from exchange_simulator.faults import Faults
from exchange_simulator.request_weight import RequestWeight
from exchange_simulator.stream_connection import StreamConnection
from exchange_simulator.stream_hub import Feed, StreamHub
from exchange_simulator.traffic import StreamCounts

Json = Any

CONNECTIONS = 300
CONNECTIONS_WINDOW_MS = 5 * MINUTE_MS
MOST_STREAMS = 1024
MESSAGES_A_SECOND = 5
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
INVALID_REQUEST, INVALID_JSON, UNKNOWN_PROPERTY, INVALID_VALUE = 2, 3, 0, 1


@dataclass(frozen=True, slots=True)
class BinanceStreamTimes:
    """How long a connection lives (by the market's clock), and its pings (by real time)."""

    lifetime_ms: int = DAY_MS
    ping_seconds: float = 20.0
    pong_seconds: float = 60.0


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


class BinanceStreams:
    """A `StreamVenue`: Binance's."""

    name = "binance"

    def __init__(
        self,
        venue: Binance,
        wall_clock: Clock,
        limit_clock: Clock,
        faults: Faults,
        counts: StreamCounts,
        pulse_seconds: float,
        times: BinanceStreamTimes,
    ):
        self._venue = venue
        self._times = times
        self._connections = RequestWeight(limit_clock, CONNECTIONS, window_ms=CONNECTIONS_WINDOW_MS)
        self._frames: WeakKeyDictionary[StreamConnection, deque[float]] = WeakKeyDictionary()
        self._feeds: dict[str, Feed] = {}
        self.hub = StreamHub(self, venue.clock, wall_clock, faults, counts, pulse_seconds)

    def add_routes(self, app: web.Application) -> None:
        """Mount `/ws`, `/ws/…` and `/stream`."""
        for path in ("/ws", "/ws/{streams:.*}", "/stream"):
            app.router.add_get(path, self._accept)
        app.cleanup_ctx.append(self.hub.run)
        app.on_shutdown.append(self.hub.close_all)

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        if not self._connections.add(1):
            return refusals.too_many_requests("binance", self._connections.seconds_left())
        return await self.hub.accept(request)

    def feed(self, name: str) -> Feed | None:
        """What goes by a stream's name; none for a pair that is not listed."""
        if name not in self._feeds:
            feed = feed_of(self._venue, name)
            if feed is None:
                return None
            self._feeds[name] = feed
        return self._feeds[name]

    def wrap(self, connection: StreamConnection, name: str, text: str) -> str:
        """A raw event, or in the envelope of combined streams."""
        if not connection.is_combined:
            return text
        return f'{{"stream":{json.dumps(name)},"data":{text}}}'

    def open(self, connection: StreamConnection, request: web.Request) -> None:
        """The streams that the address names."""
        connection.is_combined = request.path == "/stream"
        listed = request.query.get("streams", "") or request.match_info.get("streams", "")
        names = [name for name in listed.split("/") if name]
        self._subscribe(connection, [name for name in names if is_stream_name(name)])

    def receive_frame(self, connection: StreamConnection) -> None:
        """No more than five messages, pings and pongs in a second."""
        frames = self._frames.setdefault(connection, deque(maxlen=MESSAGES_A_SECOND + 1))
        frames.append(connection.last_traffic)
        if len(frames) > MESSAGES_A_SECOND and frames[-1] - frames[0] < 1:
            connection.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")

    def receive(self, connection: StreamConnection, text: str) -> None:
        """Answer a request."""
        number = None
        try:
            request = _parsed(text)
            number = request["id"]
            reply: dict[str, Json] = {"result": self._answer(connection, request), "id": number}
        except Refused as refused:
            error = {"code": refused.code, "msg": refused.message}
            reply = {"error": error, "id": number}
        connection.send(json.dumps(reply), is_reply=True)

    def tend(self, connection: StreamConnection, now_ms: int) -> None:
        """Ping it in time; end it when its day is over or its pong does not come."""
        if now_ms - connection.opened_ms >= self._times.lifetime_ms:
            connection.close(WSCloseCode.GOING_AWAY, "")
            return
        now = asyncio.get_running_loop().time()
        unanswered_since = connection.unanswered_since
        if unanswered_since is not None and now - unanswered_since >= self._times.pong_seconds:
            connection.close(WSCloseCode.POLICY_VIOLATION, "Pong timeout")
        elif now - connection.last_ping >= self._times.ping_seconds:
            connection.ping(str(now_ms))

    def _answer(self, connection: StreamConnection, request: dict[str, Json]) -> Json:
        """The result of a request. Raises Refused."""
        method, parameters = request["method"], request.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            return list(connection.subscriptions)
        if not isinstance(parameters, list) or not parameters:
            raise Refused(INVALID_REQUEST, "Invalid request: invalid params")
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return _property(connection, method, parameters)
        if not all(isinstance(name, str) for name in parameters):
            raise Refused(INVALID_REQUEST, "Invalid request: stream name must be a string")
        if method == "SUBSCRIBE":
            self._subscribe(connection, parameters)
        else:
            for name in parameters:
                connection.subscriptions.pop(name, None)
        return None

    def _subscribe(self, connection: StreamConnection, names: list[str]) -> None:
        """Subscribe to streams. Raises Refused for a name of no stream."""
        if not all(map(is_stream_name, names)):
            raise Refused(INVALID_REQUEST, "Invalid request: invalid stream")
        if len(connection.subscriptions.keys() | set(names)) > MOST_STREAMS:
            connection.close(WSCloseCode.POLICY_VIOLATION, "Too many streams")
            return
        for name in names:
            self.hub.subscribe(connection, name)


def _parsed(text: str) -> dict[str, Json]:
    """A request with a method of Binance's and a number. Raises Refused."""
    try:
        request = json.loads(text)
    except ValueError:
        raise Refused(INVALID_JSON, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict) or "method" not in request:
        raise Refused(INVALID_REQUEST, "Invalid request: missing field `method` at line 1 column 2")
    if request["method"] not in METHODS:
        expected = ", ".join(f"`{method}`" for method in METHODS)
        method = str(request["method"])[:100]
        message = f"Invalid request: unknown variant `{method}`, expected one of {expected}"
        raise Refused(INVALID_REQUEST, message)
    number = request.get("id")
    if type(number) is not int or number < 0:
        message = "Invalid request: request ID must be an unsigned integer"
        raise Refused(INVALID_REQUEST, message)
    return request


def _property(connection: StreamConnection, method: str, parameters: list[Json]) -> Json:
    """Read or set `combined`, the only property there is."""
    if parameters[0] != "combined":
        raise Refused(UNKNOWN_PROPERTY, "Unknown property")
    if method == "GET_PROPERTY":
        return connection.is_combined
    if len(parameters) != 2 or type(parameters[1]) is not bool:
        raise Refused(INVALID_VALUE, "Invalid value type: expected Boolean")
    connection.is_combined = parameters[1]
    return None
