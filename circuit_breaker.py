"""A circuit breaker: a source that fails is left alone for a while, then tried by one question.

Pure: the time is an injected clock's, and nobody is asked anything here.
"""

from __future__ import annotations

import threading
from enum import StrEnum

from domain import Clock

FAILURES_TO_OPEN = 3
FIRST_REST_SECONDS = 5.0  # doubled by each failure of a probe
LONGEST_REST_SECONDS = 60.0
PROBE_SECONDS = 30.0  # a probe that has not reported by then is taken for lost


class BreakerState(StrEnum):
    """Closed lets everything through, open nothing, half-open one question at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Opens after failures in a row, or for as long as a source asks; safe between threads."""

    def __init__(self, clock: Clock, first_rest_seconds: float = FIRST_REST_SECONDS):
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._first_rest_seconds = self._rest_seconds = first_rest_seconds
        self._open_until_ms: int | None = None
        self._probe_until_ms = 0

    @property
    def state(self) -> BreakerState:
        """What a question would meet now."""
        if self._open_until_ms is None:
            return BreakerState.CLOSED
        resting = self._clock.now_ms() < self._open_until_ms
        return BreakerState.OPEN if resting else BreakerState.HALF_OPEN

    @property
    def retry_at_ms(self) -> int | None:
        """When the rest ends or has ended, by the clock; none while closed."""
        return self._open_until_ms

    def would_admit(self) -> bool:
        """Whether a question asked now would be let through."""
        with self._lock:
            return self._lets_through()

    def admit(self) -> bool:
        """Whether a question may be asked. Who is let through reports how it went."""
        with self._lock:
            if not self._lets_through():
                return False
            if self.state is BreakerState.HALF_OPEN:
                self._probe_until_ms = self._clock.now_ms() + int(PROBE_SECONDS * 1000)
            return True

    def succeed(self) -> None:
        """A question was answered. What was asked before the rest began does not end it."""
        with self._lock:
            if self.state is BreakerState.OPEN:
                return
            self._failures, self._rest_seconds = 0, self._first_rest_seconds
            self._open_until_ms, self._probe_until_ms = None, 0

    def fail(self) -> None:
        """A question failed."""
        with self._lock:
            if self.state is BreakerState.OPEN:
                return
            self._failures += 1
            if self.state is BreakerState.HALF_OPEN:
                self._rest_seconds = min(2 * self._rest_seconds, LONGEST_REST_SECONDS)
                self._open(self._rest_seconds)
            elif self._failures >= FAILURES_TO_OPEN:
                self._open(self._rest_seconds)

    def rest(self, seconds: float) -> None:
        """The source asks for silence: open for that long, and no shorter than asked before."""
        with self._lock:
            self._open(seconds)

    def release(self) -> None:
        """A question that was let through was not asked after all."""
        with self._lock:
            self._probe_until_ms = 0

    def _lets_through(self) -> bool:
        state = self.state
        probe_is_out = self._clock.now_ms() < self._probe_until_ms
        return state is BreakerState.CLOSED or (
            state is BreakerState.HALF_OPEN and not probe_is_out
        )

    def _open(self, seconds: float) -> None:
        until_ms = self._clock.now_ms() + int(seconds * 1000)
        self._open_until_ms = max(until_ms, self._open_until_ms or 0)
        self._probe_until_ms = 0
