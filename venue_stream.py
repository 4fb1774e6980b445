"""One stream of a venue, kept alive: the connections that its supervisor calls for.

Everything here runs on one asyncio loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from domain import Clock
from stream_messages import Channel, Heard, Message, StreamConnection, StreamLost, channel_of
from stream_supervisor import Condition, Step, StreamState, StreamSupervisor, StreamTerms

LOOK_SECONDS = 0.1  # how often the supervisor is asked
CLOSE_SECONDS = 1.0

log = logging.getLogger(__name__)
OnMessage = Callable[[str, Message], None]
OnUp = Callable[[str], None]


class Line:
    """One connection, from its opening to its end, and what has been asked of it."""

    def __init__(
        self,
        connection: StreamConnection,
        channels: frozenset[Channel],
        hear: Callable[[Line, Heard], None],
        wake: Callable[[], None],
    ):
        self.heard: set[Channel] = set()
        self._connection = connection
        self._wanted = channels
        self._asked: frozenset[Channel] = frozenset()
        self._changed = asyncio.Event()
        self._is_closed = False
        self._hear = hear
        self._task = asyncio.create_task(self._live())
        self._task.add_done_callback(lambda _: wake())

    @property
    def ended(self) -> bool:
        """Whether it is lost."""
        return self._task.done()

    @property
    def failure(self) -> BaseException | None:
        """Why it has ended."""
        return None if self._task.cancelled() else self._task.exception()

    def want(self, channels: frozenset[Channel]) -> None:
        """Have these channels and no others from now on."""
        if channels != self._wanted:
            self._wanted = channels
            self._changed.set()

    async def close(self) -> None:
        """End it. The connection too, since the SDK may swallow that its reading is cancelled."""
        self._task.cancel()
        await self._close_connection()
        done, _ = await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()  # that it is lost is known

    async def _live(self) -> None:
        try:
            self._asked = self._wanted
            await self._connection.open(self._asked)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._connection.listen(lambda said: self._hear(self, said)))
                group.create_task(self._keep_asking())
        except ExceptionGroup as failures:  # the first has ended the other
            raise failures.exceptions[0] from None
        finally:
            await self._close_connection()

    async def _close_connection(self) -> None:
        """Once, and without waiting for a venue that does not answer."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._connection.close()

    async def _keep_asking(self) -> None:
        """Tell the venue of each change of what is wanted."""
        while True:
            wanted = self._wanted
            if gone := self._asked - wanted:
                await self._connection.unsubscribe(gone)
                self.heard -= gone
            if new := wanted - self._asked:
                await self._connection.subscribe(new)
            self._asked = wanted
            if self._wanted == wanted:
                self._changed.clear()
                await self._changed.wait()


class VenueStream:
    """The stream called `name`, of connections made by `connect`; `run` it as a task.

    `heartbeat` is a channel that is always busy, had with all others: without it, coins that
    seldom trade could not be told from a dead connection.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], StreamConnection],
        heartbeat: Channel,
        on_message: OnMessage,
        on_up: OnUp,
        wall_clock: Clock,
        *,
        terms: StreamTerms | None = None,
        most_channels: int = 1000,
        now: Callable[[], float] = time.monotonic,
    ):
        self.name = name
        self._connect = connect
        self._heartbeat = heartbeat
        self._on_message = on_message
        self._on_up = on_up
        self._wall_clock = wall_clock
        self._terms = terms or StreamTerms()
        self._most_channels = most_channels
        self._now = now
        self._supervisor = StreamSupervisor(self._terms)
        self._wanted: frozenset[Channel] = frozenset()
        self._line: Line | None = None
        self._coming: Line | None = None  # what is to take the line's place
        self._retiring: dict[Line, float] = {}  # those whose place was taken, and until when
        self._closing: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._messages = self._dropped = 0
        self._has_said = False  # that it is lost
        self._last_message_ms: int | None = None

    def state(self) -> StreamState:
        """How it does; may be asked from any thread."""
        supervisor = self._supervisor
        return StreamState(
            self.name, supervisor.condition.value, self._last_message_ms,
            supervisor.reconnects, supervisor.renewals, self._messages, self._dropped,
        )  # fmt: skip

    @property
    def is_up(self) -> bool:
        """Whether messages come; may be asked from any thread."""
        return self._supervisor.condition is Condition.UP

    def want(self, channels: Collection[Channel]) -> None:
        """Have these channels and no others, as many as the venue allows; none closes it."""
        wanted = set(sorted(channels, key=lambda each: each.symbol)[: self._most_channels - 1])
        if wanted:
            wanted.add(self._heartbeat)
        self._wanted = frozenset(wanted)
        for line in (self._line, self._coming):
            if line is not None and wanted:
                line.want(self._wanted)
        self._wake.set()

    async def run(self) -> None:
        """Keep it alive until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    self._advance(self._now())
                except Exception:  # the edge: prices must go on coming, whatever went wrong once
                    log.exception("the stream of %s could not be looked after", self.name)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
        finally:
            for line in (self._line, self._coming, *self._retiring):
                self._close(line)
            await asyncio.gather(*self._closing)

    def _advance(self, now: float) -> None:
        """Note what has ended, and take the supervisor's next step."""
        for line, until in list(self._retiring.items()):
            if now >= until or line.ended:
                del self._retiring[line]
                self._close(line)
        if self._coming is not None and self._coming.ended:
            self._end_renewal(now, self._coming)
        if self._line is not None and self._line.ended:
            self._lose(now, self._line)
        step = self._supervisor.step(now, bool(self._wanted))
        if step is Step.CONNECT:
            self._supervisor.connecting(now)
            self._line = self._open()
        elif step is Step.RENEW:
            self._supervisor.renewing(now)
            self._coming = self._open()
        elif step is Step.ABANDON and self._line is not None:
            self._say("the stream of %s says nothing: it is made anew", self.name)
            self._lose(now, self._line)
        elif step is Step.ABANDON_RENEWAL and self._coming is not None:
            self._end_renewal(now, self._coming)
        elif step is Step.CLOSE:
            self._supervisor.closed()
            for open_line in (self._line, self._coming):
                self._close(open_line)
            self._line = self._coming = None

    def _open(self) -> Line:
        return Line(self._connect(), self._wanted, self._hear, self._wake.set)

    def _lose(self, now: float, line: Line) -> None:
        """The line is no more; the one that was to take its place does."""
        self._say_why(line)
        self._close(line)
        self._supervisor.lost(now)
        self._line, self._coming = self._coming, None

    def _end_renewal(self, now: float, line: Line) -> None:
        self._say_why(line)
        self._close(line)
        self._supervisor.renewal_failed(now)
        self._coming = None

    def _say_why(self, line: Line) -> None:
        if not line.ended or line.failure is None:
            return
        if isinstance(line.failure, StreamLost):
            self._say("%s", line.failure)
        else:  # the edge: a stream's own mistake must not end the others
            log.error("the stream of %s failed", self.name, exc_info=line.failure)

    def _say(self, words: str, *arguments: object) -> None:
        """Once an outage: it may last for hours, with a try every few seconds."""
        log.log(logging.DEBUG if self._has_said else logging.WARNING, words, *arguments)
        self._has_said = True

    def _close(self, line: Line | None) -> None:
        if line is None:
            return
        closing = asyncio.create_task(line.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _hear(self, line: Line, heard: Heard) -> None:
        """A text of one of the lines, in the order of its coming."""
        now = self._now()
        self._dropped += heard.dropped
        if heard.refusal is not None:
            log.info("%s refuses a stream: %s", self.name, heard.refusal)
        if heard.ends_soon and line is self._line:
            self._supervisor.renew_soon(now)
        if not heard.messages:
            return
        if line is self._coming:
            self._take_over(now, line)
        if line is self._line:
            first = self._supervisor.heard(now)
            if first:
                self._has_said = False
                self._on_up(self.name)
        elif line not in self._retiring:
            return
        self._last_message_ms = self._wall_clock.now_ms()
        for message in heard.messages:
            channel = channel_of(message)
            if line is not self._line and self._line is not None and channel in self._line.heard:
                continue  # the line that took over has newer ones of it
            line.heard.add(channel)
            self._messages += 1
            self._on_message(self.name, message)

    def _take_over(self, now: float, line: Line) -> None:
        if self._line is not None:
            self._retiring[self._line] = now + self._terms.overlap
        self._line, self._coming = line, None
        self._supervisor.renewed(now)
