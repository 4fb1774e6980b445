"""When a stream's connection is made, renewed and given up. Pure: told the time, does nothing.

A connection that ends is made again after a pause that doubles with each failure, up to a few
seconds and with jitter, so that a venue that is back has us back within ten. One that brings no
sound message is as good as ended, whatever its socket says. Before the venue cuts it for its age,
a second one is opened beside it and takes over once it has brought something.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """Times in seconds, all of the real clock."""

    silence: float = 30.0  # without a message: down
    first_message: float = 5.0  # from the first try to connect to the first message
    renew_after: float = 23 * HOUR_SECONDS  # the venues cut at 24
    overlap: float = 2.0  # that both connections live after the new one's first message
    first_pause: float = 0.25
    longest_pause: float = 4.0
    stable_after: float = 10.0  # a connection that lived so long has made good for failures


class Step(StrEnum):
    """What is to be done now."""

    WAIT = "wait"
    CONNECT = "connect"
    RENEW = "renew"  # open a second connection beside the first
    ABANDON = "abandon"  # the connection is no good: close it
    ABANDON_RENEWAL = "abandon_renewal"
    CLOSE = "close"  # nothing is wanted of the venue any more


class Condition(StrEnum):
    """How a stream is."""

    UP = "up"
    DOWN = "down"
    SILENT = "silent"  # connected, and nothing comes
    OFF = "off"  # nothing is wanted of it


@dataclass(frozen=True, slots=True)
class StreamState:
    """How a stream does; the time is in ms UTC of the wall clock.

    `reconnects` counts connections that took the place of a lost one, `renewals` those that took
    the place of an old one, `dropped` the rows that were no sound message.
    """

    name: str
    state: str
    last_message_ms: int | None = None
    reconnects: int = 0
    renewals: int = 0
    messages: int = 0
    dropped: int = 0


class StreamSupervisor:
    """Of one stream. `step` says what to do; everything else is told to it.

    Times are seconds of any clock that never goes back; `jitter` gives numbers in [0, 1).
    """

    def __init__(self, terms: StreamTerms, jitter: Callable[[], float] = random.random):
        self._terms = terms
        self._jitter = jitter
        self._wanted = False
        self._silenced = False  # whether the last connection was given up for its silence
        self._failures = 0
        self._retry_at = 0.0
        self._connected_at: float | None = None  # when the connection was begun
        self._heard_at: float | None = None  # its latest message
        self._renew_at = 0.0
        self._renewal_begun_at: float | None = None
        self.reconnects = 0
        self.renewals = 0

    @property
    def condition(self) -> Condition:
        """Up from a connection's first message until it is lost."""
        if not self._wanted:
            return Condition.OFF
        if self._heard_at is not None:
            return Condition.UP
        return Condition.SILENT if self._silenced else Condition.DOWN

    def step(self, now: float, wanted: bool) -> Step:
        """What to do now, if anything is `wanted` of the venue."""
        self._wanted = wanted
        if self._connected_at is None:
            return Step.CONNECT if wanted and now >= self._retry_at else Step.WAIT
        if not wanted:
            return Step.CLOSE
        if self._is_silent(now):
            return Step.ABANDON
        if self._renewal_begun_at is not None:
            late = now - self._renewal_begun_at > self._terms.first_message
            return Step.ABANDON_RENEWAL if late else Step.WAIT
        return Step.RENEW if self._heard_at is not None and now >= self._renew_at else Step.WAIT

    def _is_silent(self, now: float) -> bool:
        if self._heard_at is None:
            assert self._connected_at is not None
            return now - self._connected_at > self._terms.first_message
        return now - self._heard_at > self._terms.silence

    def connecting(self, now: float) -> None:
        """A connection is being opened."""
        self._connected_at, self._heard_at = now, None
        self._renew_at = now + self._lifetime()

    def heard(self, now: float) -> bool:
        """A sound message came; whether it is the connection's first."""
        assert self._connected_at is not None
        first = self._heard_at is None
        self._heard_at, self._silenced = now, False
        if now - self._connected_at > self._terms.stable_after:
            self._failures = 0
        return first

    def lost(self, now: float) -> None:
        """The connection has ended, could not be opened, or was abandoned."""
        self._silenced = self._connected_at is not None and self._is_silent(now)
        if self._renewal_begun_at is not None:
            # The one that was to take over does so now; it has still to bring its first message.
            self.connecting(self._renewal_begun_at)
            self._renewal_begun_at = None
            self.reconnects += 1
            return
        self._connected_at = self._heard_at = None
        self._retry_at = now + self._pause()
        self._failures += 1
        self.reconnects += 1

    def renewing(self, now: float) -> None:
        """A second connection is being opened."""
        self._renewal_begun_at = now

    def renewed(self, now: float) -> None:
        """It has brought its first message and takes the first one's place."""
        assert self._renewal_begun_at is not None
        self._connected_at, self._heard_at = self._renewal_begun_at, now
        self._renew_at = now + self._lifetime()
        self._renewal_begun_at = None
        self.renewals += 1

    def renewal_failed(self, now: float) -> None:
        """It could not be opened, or brought nothing; the first one lives on meanwhile."""
        self._renewal_begun_at = None
        self._renew_at = now + self._pause()
        self._failures += 1

    def renew_soon(self, now: float) -> None:
        """The venue has said that it will close the connection."""
        self._renew_at = min(self._renew_at, now)

    def closed(self) -> None:
        """The connection was closed because nothing was wanted."""
        self._connected_at = self._heard_at = self._renewal_begun_at = None
        self._silenced = False
        self._failures, self._retry_at = 0, 0.0

    def _pause(self) -> float:
        """Seconds until the next try: doubled with each failure in a row, with jitter."""
        longest = self._terms.first_pause * 2.0 ** min(self._failures, 20)
        return min(longest, self._terms.longest_pause) * (0.5 + 0.5 * self._jitter())

    def _lifetime(self) -> float:
        """Not all streams at once."""
        return self._terms.renew_after * (1 - 0.02 * self._jitter())
