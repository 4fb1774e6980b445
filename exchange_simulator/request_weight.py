"""A venue's limit on requests: weight used in the current window of time.

One counter stands for one IP address, and on the loopback there is only one. The window is that of
the clock that it is given: real time, or an accelerated one for a run that counts in minutes what
takes hours.
"""

from __future__ import annotations

from typing import Any

from domain import MINUTE_MS, Clock

Json = Any

BINANCE_LIMIT = 6000  # a minute
REFUSALS_BEFORE_A_BAN = 10  # in one minute
FIRST_BAN_MS = 2 * MINUTE_MS
LONGEST_BAN_MS = 3 * 24 * 60 * MINUTE_MS


class RequestWeight:
    """Counts weight by the window of `clock`."""

    def __init__(self, clock: Clock, limit: int = BINANCE_LIMIT, *, window_ms: int = MINUTE_MS):
        self.limit = limit
        self._clock = clock
        self._window_ms = window_ms
        self._window = 0
        self._used = self._total = self._most_used = 0

    @property
    def used(self) -> int:
        """Weight used in this window."""
        self._turn_window()
        return self._used

    def add(self, weight: int) -> bool:
        """Count a request, refused ones too; whether it is within the limit."""
        self._turn_window()
        self._used += weight
        self._total += weight
        self._most_used = max(self._most_used, self._used)
        return self._used <= self.limit

    def seconds_left(self) -> int:
        """Whole seconds until the next window, at least 1."""
        return -(-(self._window_ms - self._clock.now_ms() % self._window_ms) // 1000)

    def as_json(self) -> dict[str, Json]:
        """Weight used in this window, in the fullest one and in all, beside the limit."""
        return {
            "used": self.used,
            "most_used": self._most_used,
            "total": self._total,
            "limit": self.limit,
            "window_seconds": self._window_ms / 1000,
        }

    def _turn_window(self) -> None:
        window = self._clock.now_ms() // self._window_ms
        if window != self._window:
            self._window, self._used = window, 0


class Bans:
    """Who goes on after refusals is banned: for two minutes at first, then twice as long."""

    def __init__(self, clock: Clock):
        self.until_ms = 0
        self._clock = clock
        self._window = self._refused = 0
        self._bans = self._while_banned = 0

    def seconds_left(self) -> int:
        """Whole seconds until the ban ends; 0 without one. A request is counted as one too many."""
        left_ms = self.until_ms - self._clock.now_ms()
        if left_ms <= 0:
            return 0
        self._while_banned += 1
        return -(-left_ms // 1000)

    def refuse(self) -> None:
        """A request has gone over the limit; too many of them in one minute begin a ban."""
        now_ms = self._clock.now_ms()
        if now_ms // MINUTE_MS != self._window:
            self._window, self._refused = now_ms // MINUTE_MS, 0
        self._refused += 1
        if self._refused <= REFUSALS_BEFORE_A_BAN:
            return
        self.until_ms = now_ms + min(FIRST_BAN_MS * 2**self._bans, LONGEST_BAN_MS)
        self._bans += 1

    def as_json(self) -> dict[str, Json]:
        """How many there have been, until when the last one is, and who asked during one."""
        return {
            "bans": self._bans,
            "banned_until_ms": self.until_ms,
            "requests_while_banned": self._while_banned,
        }
