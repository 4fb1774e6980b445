"""Questions put to sources, each behind its circuit breaker, and how they went."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from circuit_breaker import FIRST_REST_SECONDS, BreakerState, CircuitBreaker
from domain import MINUTE_MS, Clock
from errors import SourceError, SourceRateLimited
from market_sources import PriceSource
from rate_limiter import BUDGET_USED
from source_answers import BANNED, GEO_BLOCKED, UNKNOWN_SYMBOL
from time_budget import NOT_ASKED, Askers

RECENT_MS = 5 * MINUTE_MS  # what error rates and latencies are taken from
MOST_OUTCOMES = 2000
BLOCKED_REST_SECONDS = 60.0  # a place that is not served will hardly be so in a moment
SILENCE_SECONDS = 60.0  # where a source asks for silence and does not say how long

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds that half, and 99 of 100, of the recent answers took at most."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source has done: times in ms of the wall clock.

    `state` is up, down, limited, banned or blocked, and unused before the first question.
    """

    name: str
    last_success_ms: int | None = None
    last_error: str | None = None
    last_error_ms: int | None = None
    state: str = "unused"
    breaker: BreakerState = BreakerState.CLOSED
    retry_at_ms: int | None = None
    last_error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question: when it was answered or failed, and after how long."""

    at_ms: int
    succeeded: bool
    milliseconds: float


class SourceRecord:
    """What is known of one source."""

    def __init__(self, name: str, wall_clock: Clock, rest_seconds: float):
        self.breaker = CircuitBreaker(wall_clock, rest_seconds)
        self.askers = Askers(name)
        self.last_failure: SourceError | None = None
        self._name = name
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._health = SourceHealth(name)
        self._outcomes: deque[Outcome] = deque(maxlen=MOST_OUTCOMES)

    def note(self, failure: SourceError | None, milliseconds: float) -> None:
        """Remember how a question went."""
        now_ms = self._wall_clock.now_ms()
        with self._lock:
            self._outcomes.append(Outcome(now_ms, failure is None, milliseconds))
            if failure is None:
                self._health = replace(self._health, last_success_ms=now_ms, state="up")
                return
            self.last_failure = failure
            self._health = replace(
                self._health,
                last_error=failure.message,
                last_error_code=failure.code,
                last_error_ms=now_ms,
                state=trouble(failure),
            )

    def health(self) -> SourceHealth:
        """How it does now."""
        breaker = self.breaker.state
        closed = breaker is BreakerState.CLOSED
        retry_at_ms = None if closed else self.breaker.retry_at_ms
        return replace(self._health, breaker=breaker, retry_at_ms=retry_at_ms)

    def error_rate(self) -> float:
        """The share of recent questions that failed, 0 without any."""
        recent = self._recent()
        return sum(not outcome.succeeded for outcome in recent) / max(len(recent), 1)

    def latency(self) -> Latency | None:
        """How long recent answers took; none without any."""
        times = [outcome.milliseconds for outcome in self._recent() if outcome.succeeded]
        if not times:
            return None
        half, nearly_all = np.percentile(times, [50, 99])
        return Latency(float(half), float(nearly_all))

    def _recent(self) -> list[Outcome]:
        since_ms = self._wall_clock.now_ms() - RECENT_MS
        with self._lock:
            return [outcome for outcome in self._outcomes if outcome.at_ms >= since_ms]


class SourceMonitor:
    """Puts questions to sources and remembers how they went. `wall_clock` stamps them.

    `on_change` is called when a source's state has changed, `on_down` with the name of one whose
    breaker has opened and why. A source that fails is left alone for `rest_seconds` at first.
    """

    def __init__(
        self,
        names: Iterable[str],
        wall_clock: Clock,
        *,
        rest_seconds: float = FIRST_REST_SECONDS,
        on_change: Callable[[], None] = lambda: None,
        on_down: Callable[[str, SourceError], None] = lambda name, failure: None,
    ):
        self._records = {name: SourceRecord(name, wall_clock, rest_seconds) for name in names}
        self._on_change = on_change
        self._on_down = on_down

    def health(self) -> list[SourceHealth]:
        """How each source has done."""
        return [record.health() for record in self._records.values()]

    def record(self, name: str) -> SourceRecord:
        """What is known of one source."""
        return self._records[name]

    def would_ask(self, source: PriceSource) -> bool:
        """Whether a question would be put to the source now, or refused by its breaker."""
        return self._records[source.name].breaker.would_admit()

    def last_words(self, source: PriceSource) -> list[SourceError]:
        """Why the last question failed; empty when it did not."""
        record = self._records[source.name]
        failure = record.last_failure
        return [] if failure is None or record.health().state == "up" else [failure]

    def ask(self, source: PriceSource, question: Callable[[], Answer]) -> Answer:
        """The source's answer, while the one who asks has patience. Raises SourceError.

        A source that is left alone is not asked: its last failure is raised once more.
        """
        record = self._records[source.name]
        before = record.health()
        if not record.breaker.admit():
            assert record.last_failure is not None  # a breaker opens by failures alone
            raise record.last_failure
        started = time.perf_counter()
        try:
            answer = record.askers.ask(question)
        except SourceError as error:
            self._note_failure(record, error, (time.perf_counter() - started) * 1000)
            self._tell(before, record)
            raise
        record.note(None, (time.perf_counter() - started) * 1000)
        record.breaker.succeed()
        self._tell(before, record)
        return answer

    @staticmethod
    def _note_failure(record: SourceRecord, error: SourceError, milliseconds: float) -> None:
        if error.code in (BUDGET_USED, NOT_ASKED):
            record.breaker.release()
            return
        if error.code == UNKNOWN_SYMBOL:  # it has answered: the question was wrong
            record.breaker.succeed()
            return
        record.note(error, milliseconds)
        if isinstance(error, SourceRateLimited):
            asked = error.retry_after
            record.breaker.rest(SILENCE_SECONDS if asked is None else asked)
        elif error.code == GEO_BLOCKED:
            record.breaker.rest(BLOCKED_REST_SECONDS)
        else:
            record.breaker.fail()

    def _tell(self, before: SourceHealth, record: SourceRecord) -> None:
        after = record.health()
        if (before.state, before.breaker) == (after.state, after.breaker):
            return
        if before.breaker is BreakerState.CLOSED and after.breaker is not BreakerState.CLOSED:
            log.warning("%s is left alone: %s", after.name, after.last_error)
            if record.last_failure is not None:
                self._on_down(after.name, record.last_failure)
        elif after.breaker is BreakerState.CLOSED and after.state != "up":
            log.warning("%s failed: %s", after.name, after.last_error)
        self._on_change()


def trouble(failure: SourceError) -> str:
    """The state that a failure puts its source in."""
    if failure.code == BANNED:
        return "banned"
    if failure.code == GEO_BLOCKED:
        return "blocked"
    return "limited" if isinstance(failure, SourceRateLimited) else "down"
