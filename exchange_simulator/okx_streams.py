"""OKX's public websocket channels: tickers at `/ws/v5/public`, candles at `/ws/v5/business`.

Limits and habits are OKX's: three connections a second, 480 requests an hour on each, `ping`
answered by `pong` as plain text, and an end after 30 s in which nothing went either way.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from domain import HOUR_MS, Clock
from exchange_simulator import okx_bars
from exchange_simulator.bar_feed import BarFeed
from exchange_simulator.faults import Faults
from exchange_simulator.intervals import UnsupportedInterval
from exchange_simulator.market import Listing
from exchange_simulator.okx import Okx, candle_row, ticker_of
from exchange_simulator.okx_bars import BAR_LENGTHS, BarLength
from exchange_simulator.request_weight import RequestWeight
from exchange_simulator.stream_connection import StreamConnection
from exchange_simulator.stream_hub import Feed, StreamHub
from exchange_simulator.traffic import StreamCounts

Json = Any

CONNECTIONS_A_SECOND = 3
REQUESTS_AN_HOUR = 480
IDLE_SECONDS = 30.0
NO_DATA_RECEIVED = 4004
INVALID_REQUEST, INVALID_ARGUMENTS, TOO_FREQUENT = "60012", "60013", "60014"
NO_SUCH_CHANNEL, INVALID_OPERATION = "60018", "60019"

_CANDLES = re.compile(r"candle([0-9]{1,2}[mHDWM](?:utc)?)")


class Refused(Exception):
    """A request that is answered with an error event."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


class OkxStreams:
    """A `StreamVenue`: OKX's. A subscription's name is its `arg` as JSON."""

    name = "okx"

    def __init__(
        self,
        venue: Okx,
        wall_clock: Clock,
        limit_clock: Clock,
        faults: Faults,
        counts: StreamCounts,
        pulse_seconds: float,
        *,
        idle_seconds: float = IDLE_SECONDS,
        limit_factor: int = 1,
    ):
        self._venue = venue
        self._limit_clock = limit_clock
        self._idle_seconds = idle_seconds
        self._connections = RequestWeight(
            limit_clock, CONNECTIONS_A_SECOND * limit_factor, window_ms=1000
        )
        self._limit_factor = limit_factor
        self._requests: WeakKeyDictionary[StreamConnection, RequestWeight] = WeakKeyDictionary()
        self._paths: WeakKeyDictionary[StreamConnection, str] = WeakKeyDictionary()
        self._ids: WeakKeyDictionary[StreamConnection, str] = WeakKeyDictionary()
        self._feeds: dict[str, Feed] = {}
        self.hub = StreamHub(self, venue.clock, wall_clock, faults, counts, pulse_seconds)

    def add_routes(self, app: web.Application) -> None:
        """Mount the two addresses; before Binance's, whose `/ws/…` would take them."""
        for path in ("public", "business"):
            app.router.add_get(f"/ws/v5/{path}", self._accept)
        app.cleanup_ctx.append(self.hub.run)
        app.on_shutdown.append(self.hub.close_all)

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        if not self._connections.add(1):
            refusal = {"code": "50011", "msg": "Too Many Requests"}
            return web.json_response(refusal, status=429)
        return await self.hub.accept(request)

    def feed(self, name: str) -> Feed | None:
        """The channel of an `arg`."""
        if name not in self._feeds:
            feed = self._make_feed(name)
            if feed is None:
                return None
            self._feeds[name] = feed
        return self._feeds[name]

    def wrap(self, connection: StreamConnection, name: str, text: str) -> str:
        """Rows with the `arg` that they belong to."""
        return f'{{"arg":{name},"data":{text}}}'

    def open(self, connection: StreamConnection, request: web.Request) -> None:
        """A connection begins without a channel."""
        self._paths[connection] = request.path.rsplit("/", 1)[1]
        self._ids[connection] = secrets.token_hex(4)
        limit = REQUESTS_AN_HOUR * self._limit_factor
        self._requests[connection] = RequestWeight(self._limit_clock, limit, window_ms=HOUR_MS)

    def receive_frame(self, connection: StreamConnection) -> None:
        """Any number is allowed."""

    def receive(self, connection: StreamConnection, text: str) -> None:
        """Answer `ping`, or a request: an event for each of its arguments."""
        if text == "ping":
            connection.send("pong", is_reply=True)
            return
        echo: dict[str, Json] = {}
        try:
            operation, arguments, echo = _parsed(text)
            if not self._requests[connection].add(1):
                raise Refused(TOO_FREQUENT, "Requests too frequent")
        except Refused as refused:
            self._refuse(connection, refused, echo)
            return
        for argument in arguments:
            try:
                self._apply(connection, operation, argument)
            except Refused as refused:
                self._refuse(connection, refused, echo)
            else:
                event = echo | {"event": operation, "arg": argument}
                self._reply(connection, event)

    def tend(self, connection: StreamConnection, now_ms: int) -> None:
        """End it when nothing has gone either way for too long."""
        idle = asyncio.get_running_loop().time() - connection.last_traffic
        if idle >= self._idle_seconds:
            connection.close(NO_DATA_RECEIVED, f"No data received in {self._idle_seconds:g}s")

    def _apply(self, connection: StreamConnection, operation: str, argument: Json) -> None:
        """Subscribe or unsubscribe. Raises Refused."""
        if not isinstance(argument, dict) or not isinstance(argument.get("channel"), str):
            raise Refused(INVALID_ARGUMENTS, "Invalid args")
        channel, instrument = argument["channel"], argument.get("instId")
        name = json.dumps({"channel": channel, "instId": instrument})
        path = "public" if channel == "tickers" else "business"
        if self._paths[connection] != path or self.feed(name) is None:
            raise Refused(
                NO_SUCH_CHANNEL,
                f"Wrong URL or channel:{channel},instId:{instrument} doesn't exist. Please use "
                "the correct URL, channel and parameters referring to API document.",
            )
        if operation == "subscribe":
            self.hub.subscribe(connection, name)
        else:
            connection.subscriptions.pop(name, None)

    def _refuse(
        self, connection: StreamConnection, refused: Refused, echo: dict[str, Json]
    ) -> None:
        error = {"event": "error", "code": refused.code, "msg": refused.message}
        self._reply(connection, echo | error)

    def _reply(self, connection: StreamConnection, event: dict[str, Json]) -> None:
        text = json.dumps(event | {"connId": self._ids[connection]})
        connection.send(text, is_reply=True)

    def _make_feed(self, name: str) -> Feed | None:
        argument = json.loads(name)
        channel, instrument = argument["channel"], argument["instId"]
        now_ms = self._venue.clock.now_ms()
        listing = self._venue.listings(now_ms).get(instrument)
        if listing is None:
            return None
        if channel == "tickers":
            return OkxTickerFeed(self._venue, instrument, listing)
        candles = _CANDLES.fullmatch(channel)
        bar = BAR_LENGTHS.get(candles[1]) if candles else None
        if bar is None:
            return None
        try:
            okx_bars.last_bars(self._venue.market, listing.symbol, bar, now_ms, 1, now_ms)
        except UnsupportedInterval:
            return None
        return _candle_feed(self._venue, listing, bar)


class OkxTickerFeed:
    """A `Feed` of a pair's ticker at every beat, while it is listed."""

    def __init__(self, venue: Okx, instrument: str, listing: Listing):
        self._venue = venue
        self._instrument = instrument
        self._listing = listing

    def start(self, now_ms: int) -> int:
        """It has no past."""
        return 0

    def due(self, position: int, now_ms: int) -> tuple[list[str], int]:
        """The ticker of now; none of a pair that is not traded."""
        if not self._listing.is_trading(now_ms):
            return [], 0
        ticker = ticker_of(self._instrument, self._listing, self._venue.market, now_ms)
        return [json.dumps([ticker])], 0


def _candle_feed(venue: Okx, listing: Listing, bar: BarLength) -> BarFeed:
    market, symbol = venue.market, listing.symbol

    def write(open_ms: int, column: list[int], has_closed: bool, now_ms: int) -> str:
        return json.dumps([candle_row(open_ms, column, listing, has_closed=has_closed)])

    return BarFeed(
        seen=partial(market.seen_ms, symbol),
        floor=bar.floor,
        end=lambda open_ms: open_ms + bar.milliseconds,
        bars_since=lambda start_ms, count, now_ms: okx_bars.bars_since(
            market, symbol, bar, start_ms, count, now_ms
        ),
        write=write,
    )


def _parsed(text: str) -> tuple[str, list[Json], dict[str, Json]]:
    """The operation of a request, its arguments, and what its answers repeat. Raises Refused."""
    try:
        request = json.loads(text)
    except ValueError:
        request = None
    if not isinstance(request, dict) or "op" not in request:
        raise Refused(INVALID_REQUEST, f"Invalid request: {text[:500]}")
    operation, arguments = request["op"], request.get("args")
    if operation not in ("subscribe", "unsubscribe"):
        raise Refused(INVALID_OPERATION, f"Invalid op: {str(operation)[:100]}")
    if not isinstance(arguments, list) or not arguments:
        raise Refused(INVALID_ARGUMENTS, "Invalid args")
    return operation, arguments, {"id": request["id"]} if "id" in request else {}
