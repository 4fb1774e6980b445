"""Which process runs the trading loop: a lease in the database, kept by heart-beats.

The holder's heart-beats prolong it. Another process takes it over when the holder gives it back,
when the wall clock says that it has run out, or when no heart-beat has been seen for its length
(a clock that was set back would make it run out hours late). Each take-over is a new `term`; what
is booked is checked against the term in the booking's own transaction, so that a process that was
asleep, or that does not know yet, books nothing once somebody else runs the loop.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable

from database import Connection, Database
from domain import Clock
from errors import Conflict
from repositories import cycles, trading_state
from repositories.trading_state import Lease

HEARTBEAT_SECONDS = 10.0
LEASE_SECONDS = 25.0  # so that it is taken over within 30 s of its holder's death
LOOP_ELSEWHERE = "loop_elsewhere"


def this_process() -> str:
    """A name of this process that no other has had."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class TradingLease:
    """One process's view of the lease. `monotonic` counts seconds and never goes back."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        wall_clock: Clock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self.process = this_process()
        self._database = database
        self._clock = clock
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._term: int | None = None
        self._beaten_at = 0.0  # monotonic
        self._seen: tuple[int, int] | None = None  # term and heart-beat of another holder
        self._seen_since = 0.0  # monotonic

    @property
    def mine(self) -> bool:
        """Whether this process runs the loop, as far as it knows."""
        return self._term is not None

    @property
    def holder(self) -> str | None:
        """The process that runs the loop; None where nobody does, or its lease has run out."""
        standing = self.state()
        return None if self._is_free(standing) else standing.holder

    def heartbeat_age_seconds(self) -> float | None:
        """Seconds since the holder's last sign of life; None where there is no holder."""
        standing = self.state()
        if standing.holder is None:
            return None
        return max(0.0, (self._wall_clock.now_ms() - standing.heartbeat_ms) / 1000)

    def state(self) -> Lease:
        """The lease as it stands."""
        return trading_state.lease(self._database.connection)

    def keep(self) -> bool:
        """Take, prolong or lose it, as things stand; whether this process holds it now.

        To be called every second or so: it writes on a take-over and for a heart-beat.
        """
        if self._term is None:
            return self._take_if_free()
        if self._monotonic() - self._beaten_at < HEARTBEAT_SECONDS:
            return True
        return self._beat(self._term)

    def release(self) -> None:
        """Give it back, so that another process takes it over at once."""
        if self._term is None:
            return
        with self._database.transaction() as connection:
            trading_state.release_lease(connection, Lease(self.process, self._term, 0, 0))
        self._term = None

    def check(self, connection: Connection) -> None:
        """Raises Conflict (loop_elsewhere) where another process trades; in a booking's transaction."""
        standing = trading_state.lease(connection)
        if standing.holder == self.process:
            return
        if standing.holder is not None and not self._has_run_out(standing):
            raise Conflict(
                f"The trading loop runs in another process ({standing.holder}).",
                code=LOOP_ELSEWHERE,
            )
        if self._term is not None:  # somebody has had it since, and has ended already
            raise Conflict("This process no longer runs the loop.", code=LOOP_ELSEWHERE)

    def _take_if_free(self) -> bool:
        if not self._is_free(self.state()):
            return False
        with self._database.ledger_transaction() as connection:
            standing = trading_state.lease(connection)
            if not self._is_free(standing):  # another one was quicker
                return False
            term = standing.term + 1
            trading_state.take_lease(connection, self._prolonged(term))
            cycles.interrupt_running(connection, self._clock.now_ms())
        self._term, self._beaten_at = term, self._monotonic()
        return True

    def _beat(self, term: int) -> bool:
        began = self._monotonic()
        with self._database.transaction() as connection:
            held = trading_state.renew_lease(connection, self._prolonged(term))
        self._term, self._beaten_at = (term, began) if held else (None, began)
        return held

    def _prolonged(self, term: int) -> Lease:
        now_ms = self._wall_clock.now_ms()
        return Lease(self.process, term, now_ms, now_ms + int(LEASE_SECONDS * 1000))

    def _is_free(self, standing: Lease) -> bool:
        return standing.holder is None or self._has_run_out(standing)

    def _has_run_out(self, standing: Lease) -> bool:
        if self._wall_clock.now_ms() >= standing.expires_ms:
            return True
        heartbeat = (standing.term, standing.heartbeat_ms)
        now = self._monotonic()
        if heartbeat != self._seen:
            self._seen, self._seen_since = heartbeat, now
        return now - self._seen_since >= LEASE_SECONDS
