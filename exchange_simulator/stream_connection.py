"""One websocket: what it is subscribed to, and a writer of its own that sends its messages.

Messages are queued, so that a slow reader holds up nobody else; one that lags too far behind is
cut off, as the venues do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from aiohttp import WSCloseCode, WSMsgType, web

from exchange_simulator.stream_faults import StreamFaults
from exchange_simulator.traffic import StreamCounts

MOST_QUEUED = 50_000
CLOSE_SECONDS = 1.0


class Kind(Enum):
    """What a message is: something that was subscribed to, an answer, or a ping frame."""

    DATA = 1
    REPLY = 2
    PING = 3


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message, and since when it waits (seconds of the loop)."""

    text: str
    kind: Kind
    queued_at: float


class StreamConnection:
    """A websocket of a venue, opened at a moment of the market's time (ms UTC).

    `subscriptions` has, by the name of a feed, the position up to which it has been sent.
    """

    def __init__(
        self,
        request: web.Request,
        *,
        opened_ms: int,
        opened_wall_ms: int,
        faults: StreamFaults,
        counts: StreamCounts,
    ):
        self.opened_ms = opened_ms
        self.opened_wall_ms = opened_wall_ms
        self.subscriptions: dict[str, int] = {}
        self.is_combined = False
        self.last_traffic = self.last_ping = asyncio.get_running_loop().time()
        self.unanswered_since: float | None = None  # since which ping there has been no pong
        self._request = request
        self._socket = web.WebSocketResponse(autoping=False, timeout=CLOSE_SECONDS)
        self._faults = faults
        self._counts = counts
        self._queue: deque[Outgoing] = deque()
        self._filled = asyncio.Event()
        self._closing: asyncio.Task[bool] | None = None

    @property
    def room(self) -> int:
        """How many more messages can be queued."""
        return MOST_QUEUED - len(self._queue)

    def send(self, text: str, *, is_reply: bool = False) -> None:
        """Queue a message; a reader that is too far behind is cut off."""
        if self.room <= 0:
            self.close(WSCloseCode.POLICY_VIOLATION, "Buffer is full")
            return
        self._put(text, Kind.REPLY if is_reply else Kind.DATA)

    def close(self, code: int, reason: str) -> None:
        """Close it with a code and a reason, once."""
        if self._closing is None:
            closing = self._socket.close(code=code, message=reason.encode())
            self._closing = asyncio.get_running_loop().create_task(closing)

    def abort(self) -> None:
        """Cut it without a word, as when a cable is pulled."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def ping(self, payload: str) -> None:
        """Queue a ping frame."""
        self.last_ping = asyncio.get_running_loop().time()
        if self.unanswered_since is None:
            self.unanswered_since = self.last_ping
        self._put(payload, Kind.PING)

    async def serve(
        self,
        on_open: Callable[[StreamConnection], None],
        on_text: Callable[[StreamConnection, str], None],
        on_frame: Callable[[StreamConnection], None],
    ) -> web.StreamResponse:
        """Read it until it ends. `on_frame` is called for every message, ping and pong."""
        try:
            await self._socket.prepare(self._request)
        except ConnectionResetError:  # it left before it was answered, as when this process stood
            return web.Response()
        writer = asyncio.create_task(self._write())
        try:
            on_open(self)
            async for message in self._socket:
                self.last_traffic = asyncio.get_running_loop().time()
                on_frame(self)
                if message.type is WSMsgType.TEXT:
                    on_text(self, message.data)
                elif message.type is WSMsgType.PING:
                    await self._quietly(self._socket.pong(message.data))
                elif message.type is WSMsgType.PONG:
                    self.unanswered_since = None
        except BaseException:
            self.abort()  # it is no longer HTTP, by which an error could be told
            raise
        finally:
            writer.cancel()
        if self._closing is not None:
            await self._closing
        return self._socket

    def _put(self, text: str, kind: Kind) -> None:
        self._queue.append(Outgoing(text, kind, asyncio.get_running_loop().time()))
        self._filled.set()

    async def _write(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                await self._emit(self._queue.popleft())

    async def _emit(self, message: Outgoing) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(message.queued_at + self._faults.delay() - loop.time(), 0))
        if message.kind is Kind.PING:
            await self._quietly(self._socket.ping(message.text.encode()))
            return
        for text in self._faults.spoil(message.text, is_reply=message.kind is Kind.REPLY):
            await self._quietly(self._socket.send_str(text))
            self._counts.sent += 1
            self.last_traffic = loop.time()

    async def _quietly(self, sending: Awaitable[None]) -> None:
        """Who has gone meanwhile is told nothing: the reading loop sees that it is gone."""
        with contextlib.suppress(ConnectionError):
            await sending
