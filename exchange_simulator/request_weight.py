"""A venue's limit on requests: weight used in the current window of real time.

One counter stands for one IP address, and on the loopback there is only one.
"""

from __future__ import annotations

from domain import MINUTE_MS, Clock

DEFAULT_LIMIT = 6000  # Binance's, a minute


class RequestWeight:
    """Counts weight by the window of `wall_clock`, which is not the market's clock."""

    def __init__(
        self, wall_clock: Clock, limit: int = DEFAULT_LIMIT, *, window_ms: int = MINUTE_MS
    ):
        self.limit = limit
        self._wall_clock = wall_clock
        self._window_ms = window_ms
        self._window = 0
        self._used = 0

    @property
    def used(self) -> int:
        """Weight used in this window."""
        self._turn_window()
        return self._used

    def add(self, weight: int) -> bool:
        """Count a request, refused ones too; whether it is within the limit."""
        self._turn_window()
        self._used += weight
        return self._used <= self.limit

    def seconds_left(self) -> int:
        """Whole seconds until the next window, at least 1."""
        return -(-(self._window_ms - self._wall_clock.now_ms() % self._window_ms) // 1000)

    def _turn_window(self) -> None:
        window = self._wall_clock.now_ms() // self._window_ms
        if window != self._window:
            self._window, self._used = window, 0
