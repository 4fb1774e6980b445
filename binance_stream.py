"""Binance's combined stream on the SDK's socket manager, and its messages as domain objects.

The manager is given a client of our own, so that nothing is asked over REST. Its sockets would
reconnect by themselves, five times, without the subscriptions made since, and end for good at the
first text that is not JSON: both are switched off here, for the stream's supervisor to do better.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import ReadLoopClosed
from pyrate_limiter import Duration, Rate
from websockets.exceptions import WebSocketException

from domain import Interval, Ticker
from source_answers import is_price, is_time
from stream_messages import (
    GARBAGE,
    NOTHING,
    Channel,
    Heard,
    Json,
    RequestPace,
    StreamLost,
    day_change,
    in_batches,
    streamed_bar,
)

SOURCE = "binance"
DEFAULT_URL = "wss://stream.binance.com:9443"
MOST_STREAMS = 1024  # on one connection
STREAMS_IN_URL = 50
STREAMS_A_MESSAGE = 200
MESSAGES_A_SECOND = 3  # the venue closes a connection at more than 5, pings and pongs included
# Those that wait to be read: many, since at more than that the SDK's socket ends.
WAITING_MESSAGES = 10_000
OPEN_SECONDS = 4.0
READ_SECONDS = 0.2  # how long the SDK waits for a text before it looks whether it should end

_SYMBOL = re.compile(r"[A-Z0-9]{1,20}")
UNREADABLE = {"e": "unreadable"}  # stands for a text that is not JSON


class BinanceStream:
    """One connection. `url` is where `/stream` is, the venue's own unless given."""

    def __init__(self, url: str | None = None):
        self._url = (url or DEFAULT_URL).rstrip("/") + "/"
        self._client: AsyncClient | None = None
        self._socket: Any = None  # the SDK's, which has no types
        self._requests = 0
        self._pace = RequestPace(Rate(MESSAGES_A_SECOND, Duration.SECOND))

    async def open(self, channels: Collection[Channel]) -> None:
        """Connect with the first channels in the address, and ask for the rest."""
        first, *rest = in_batches(with_names(channels), STREAMS_IN_URL)
        self._client = AsyncClient()
        manager = BinanceSocketManager(self._client, max_queue_size=WAITING_MESSAGES)
        manager.STREAM_URL = self._url
        manager.ws_kwargs = {"open_timeout": OPEN_SECONDS}
        self._socket = manager.multiplex_socket([stream_name(channel) for channel in first])
        self._socket.MAX_RECONNECTS = 0
        self._socket.TIMEOUT = READ_SECONDS
        self._socket.json_loads = _json
        try:
            await self._socket.connect()
        except (OSError, TimeoutError, WebSocketException) as error:
            raise StreamLost(f"Binance's stream cannot be reached ({_name(error)}).") from error
        await self.subscribe([channel for batch in rest for channel in batch])

    async def subscribe(self, channels: Collection[Channel]) -> None:
        """Ask for more."""
        await self._request("SUBSCRIBE", channels)

    async def unsubscribe(self, channels: Collection[Channel]) -> None:
        """Ask for less."""
        await self._request("UNSUBSCRIBE", channels)

    async def listen(self, hear: Callable[[Heard], None]) -> None:
        """Hand on what comes, until the connection is lost."""
        while True:
            try:
                content = await self._socket.recv()
            except ReadLoopClosed as error:
                raise StreamLost("Binance's stream has ended.") from error
            if isinstance(content, dict) and content.get("e") == "error":
                raise StreamLost(f"Binance's stream has ended ({content.get('type')}).")
            hear(understood(content))

    async def close(self) -> None:
        """End the socket, then the client that it was made by."""
        if self._socket is not None and self._socket.ws is not None:
            await self._socket.ws.close()  # ends the SDK's reading at once
            await self._socket.close()
        if self._client is not None:
            await self._client.session.close()

    async def _request(self, method: str, channels: Collection[Channel]) -> None:
        for batch in in_batches(with_names(channels), STREAMS_A_MESSAGE):
            await self._pace.wait()
            self._requests += 1
            names = [stream_name(channel) for channel in batch]
            request = {"method": method, "params": names, "id": self._requests}
            socket = self._socket.ws
            if socket is None:
                raise StreamLost("Binance's stream has ended.")
            try:
                await socket.send(json.dumps(request))
            except (OSError, WebSocketException) as error:
                raise StreamLost(f"Binance's stream has ended ({_name(error)}).") from error


def with_names(channels: Collection[Channel]) -> list[Channel]:
    """Without those whose symbol is none of Binance's: one bad name has the whole request refused."""
    return [channel for channel in channels if _SYMBOL.fullmatch(channel.symbol)]


def stream_name(channel: Channel) -> str:
    """What Binance calls a channel."""
    kind = "miniTicker" if channel.interval is None else f"kline_{channel.interval.value}"
    return f"{channel.symbol.lower()}@{kind}"


def understood(content: Json) -> Heard:
    """A decoded text: `{"stream", "data"}`, or an answer to a request."""
    if not isinstance(content, dict):
        return GARBAGE
    if "stream" not in content:
        return _answer(content)
    event = content.get("data")
    if not isinstance(event, dict):
        return GARBAGE
    kind = event.get("e")
    if kind == "24hrMiniTicker":
        return _ticker(event)
    if kind == "kline":
        return _kline(event)
    return Heard(ends_soon=True) if kind == "serverShutdown" else GARBAGE


def _answer(content: dict[str, Json]) -> Heard:
    if content.get("e") == "serverShutdown":
        return Heard(ends_soon=True)
    refusal = content.get("error", content if "code" in content else None)
    if isinstance(refusal, dict):
        return Heard(refusal=str(refusal.get("msg"))[:200])
    return NOTHING if "result" in content else GARBAGE


def _ticker(event: dict[str, Json]) -> Heard:
    symbol, price, time_ms = event.get("s"), event.get("c"), event.get("E")
    if not (isinstance(symbol, str) and is_price(price) and is_time(time_ms)):
        return GARBAGE
    change = day_change(price, event.get("o"))
    return Heard((Ticker(symbol, Decimal(price), time_ms, SOURCE, change),))


def _kline(event: dict[str, Json]) -> Heard:
    row = event.get("k")
    if not isinstance(row, dict) or type(row.get("x")) is not bool:
        return GARBAGE
    symbol, interval = event.get("s"), _interval(row.get("i"))
    if not isinstance(symbol, str) or interval is None:
        return GARBAGE
    values = [row.get(name) for name in "ohlcv"]
    bar = streamed_bar(symbol, interval, row.get("t"), values, row["x"], SOURCE)
    return GARBAGE if bar is None else Heard((bar,))


def _interval(text: Json) -> Interval | None:
    return Interval(text) if isinstance(text, str) and text in set(Interval) else None


def _json(text: str | bytes) -> Json:
    """A text's content, or what stands for one that has none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return UNREADABLE


def _name(error: BaseException) -> str:
    return type(error).__name__
