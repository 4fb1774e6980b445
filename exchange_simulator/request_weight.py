"""Binance's limit on requests: weight used in the current minute of real time.

One counter stands for one IP address, and on the loopback there is only one.
"""

from __future__ import annotations

from domain import MINUTE_MS, Clock

DEFAULT_LIMIT = 6000


class RequestWeight:
    """Counts weight by the minute of `wall_clock`, which is not the market's clock."""

    def __init__(self, wall_clock: Clock, limit: int = DEFAULT_LIMIT):
        self.limit = limit
        self._wall_clock = wall_clock
        self._minute = 0
        self._used = 0

    @property
    def used(self) -> int:
        """Weight used in this minute."""
        self._turn_minute()
        return self._used

    def add(self, weight: int) -> bool:
        """Count a request, refused ones too; whether it is within the limit."""
        self._turn_minute()
        self._used += weight
        return self._used <= self.limit

    def seconds_left(self) -> int:
        """Whole seconds until the next minute, at least 1."""
        return -(-(MINUTE_MS - self._wall_clock.now_ms() % MINUTE_MS) // 1000)

    def _turn_minute(self) -> None:
        minute = self._wall_clock.now_ms() // MINUTE_MS
        if minute != self._minute:
            self._minute, self._used = minute, 0
