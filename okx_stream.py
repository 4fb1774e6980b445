"""OKX's public stream on the SDK's client, and its messages as domain objects.

The SDK makes its own connection with TLS alone and hides why it failed. So it is handed one that
`websockets` made: with TLS where the address says `wss://`, plain on the loopback.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Collection

import certifi
import websockets
from okx.websocket.WsPublicAsync import WsPublicAsync
from pyrate_limiter import Duration, Rate
from websockets.exceptions import WebSocketException

import okx_answers
from domain import Interval
from errors import SourceBadAnswer
from okx_fetcher import BARS
from source_answers import LATEST_MS
from stream_messages import (
    GARBAGE,
    NOTHING,
    Channel,
    Heard,
    Json,
    Message,
    RequestPace,
    StreamedBar,
    StreamLost,
    in_batches,
)

SOURCE = "okx"
DEFAULT_URL = "wss://ws.okx.com:8443/ws/v5"
TICKERS_PATH = "/public"
CANDLES_PATH = "/business"
CHANNELS_A_MESSAGE = 100
MESSAGES_A_SECOND = 3
MESSAGES_AN_HOUR = 440  # the venue allows 480 a connection
OPEN_SECONDS = 4.0
CLOSE_SECONDS = 0.2
PING_SECONDS = 20.0  # the venue closes a connection on which nothing was said for 30 s
ENDS_SOON = "64008"  # the code of its notice that the connection will be closed

_SYMBOL = re.compile(r"[A-Z0-9]{1,20}-[A-Z0-9]{1,20}")
_INTERVALS = {f"candle{name}": interval for interval, name in BARS.items()}
_CANDLES = {interval: channel for channel, interval in _INTERVALS.items()}


class OkxStream:
    """One connection to `url`, of tickers or of candles: the venue has a path for each."""

    def __init__(self, url: str):
        self._url = url
        self._client: WsPublicAsync | None = None
        self._hear: Callable[[Heard], None] | None = None
        self._pace = RequestPace(
            Rate(MESSAGES_A_SECOND, Duration.SECOND), Rate(MESSAGES_AN_HOUR, Duration.HOUR)
        )

    @classmethod
    def of_tickers(cls, base_url: str | None = None) -> OkxStream:
        """The connection that has tickers; at OKX itself unless a base URL is given."""
        return cls((base_url or DEFAULT_URL).rstrip("/") + TICKERS_PATH)

    @classmethod
    def of_candles(cls, base_url: str | None = None) -> OkxStream:
        """The connection that has candles."""
        return cls((base_url or DEFAULT_URL).rstrip("/") + CANDLES_PATH)

    async def open(self, channels: Collection[Channel]) -> None:
        """Connect and ask for `channels`."""
        secure = self._url.startswith("wss://")
        try:
            connection = await websockets.connect(
                self._url,
                ssl=ssl.create_default_context(cafile=certifi.where()) if secure else None,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise StreamLost(f"OKX's stream cannot be reached ({_name(error)}).") from error
        self._client = WsPublicAsync(self._url)
        self._client.websocket = self._client.factory.websocket = connection
        await self.subscribe(channels)

    async def subscribe(self, channels: Collection[Channel]) -> None:
        """Ask for more."""
        await self._request("subscribe", channels)

    async def unsubscribe(self, channels: Collection[Channel]) -> None:
        """Ask for less."""
        await self._request("unsubscribe", channels)

    async def listen(self, hear: Callable[[Heard], None]) -> None:
        """Hand on what comes, until the connection is lost; say something now and then."""
        assert self._client is not None  # it has been opened
        self._client.callback = lambda text: hear(understood(text))
        pinging = asyncio.create_task(self._ping())
        try:
            await self._client.consume()
        except (OSError, WebSocketException) as error:
            raise StreamLost(f"OKX's stream has ended ({_name(error)}).") from error
        finally:
            pinging.cancel()
        raise StreamLost("OKX's stream has ended.")

    async def close(self) -> None:
        """End it, whatever its state."""
        if self._client is not None:
            await self._client.stop()

    async def _request(self, operation: str, channels: Collection[Channel]) -> None:
        assert self._client is not None  # it has been opened
        named = [channel for channel in channels if _SYMBOL.fullmatch(channel.symbol)]
        for batch in in_batches(named, CHANNELS_A_MESSAGE):
            await self._pace.wait()
            try:
                await self._client.send(operation, [channel_argument(each) for each in batch])
            except (OSError, WebSocketException) as error:
                raise StreamLost(f"OKX's stream has ended ({_name(error)}).") from error

    async def _ping(self) -> None:
        """Keep the venue from closing a quiet connection; who listens hears when it is lost."""
        assert self._client is not None
        while True:
            await asyncio.sleep(PING_SECONDS)
            try:
                await self._client.websocket.send("ping")
            except (OSError, WebSocketException):
                return


def channel_argument(channel: Channel) -> dict[str, str]:
    """What OKX calls a channel."""
    name = "tickers" if channel.interval is None else _CANDLES[channel.interval]
    return {"channel": name, "instId": channel.symbol}


def understood(text: str | bytes) -> Heard:
    """A text: `{"arg", "data"}`, an event, or the answer to a ping."""
    if text == "pong":
        return NOTHING
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return GARBAGE
    if not isinstance(content, dict):
        return GARBAGE
    if "event" in content:
        return _event(content)
    argument, rows = content.get("arg"), content.get("data")
    if not isinstance(argument, dict) or not isinstance(rows, list):
        return GARBAGE
    channel, symbol = argument.get("channel"), argument.get("instId")
    if not isinstance(channel, str) or not isinstance(symbol, str):
        return GARBAGE
    if channel == "tickers":
        return _tickers(rows, symbol)
    return _candles(rows, symbol, _INTERVALS[channel]) if channel in _INTERVALS else GARBAGE


def _event(content: dict[str, Json]) -> Heard:
    if content["event"] == "error":
        return Heard(refusal=str(content.get("msg"))[:200])
    if content["event"] == "notice" and content.get("code") == ENDS_SOON:
        return Heard(ends_soon=True)
    return NOTHING


def _tickers(rows: list[Json], symbol: str) -> Heard:
    messages: list[Message] = []
    for row in rows:
        try:
            messages.append(okx_answers.ticker(row, symbol))
        except SourceBadAnswer:
            continue
    return Heard(tuple(messages), dropped=len(rows) - len(messages))


def _candles(rows: list[Json], symbol: str, interval: Interval) -> Heard:
    series = okx_answers.klines(rows, interval, 0, LATEST_MS, 0)
    bars = tuple(StreamedBar(symbol, interval, bar, SOURCE) for bar in series)
    return Heard(bars, dropped=len(rows) - len(bars))


def _name(error: BaseException) -> str:
    return type(error).__name__
