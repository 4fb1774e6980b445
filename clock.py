"""Clocks: the wall clock, an accelerated one for demo markets, and one moved by hand."""

from __future__ import annotations

import time


class SystemClock:
    """The wall clock."""

    def now_ms(self) -> int:
        """Milliseconds UTC."""
        return time.time_ns() // 1_000_000

    def wall_seconds_until(self, time_ms: int) -> float:
        """Seconds of real time until `time_ms`."""
        return max(0.0, (time_ms - self.now_ms()) / 1000)


class SteadyClock:
    """The wall clock as it was at the start, gone on evenly: nobody sets it back or ahead.

    Ages and time-outs are counted by it, so that a clock that is set back makes nothing young
    again. It goes on while the machine sleeps, where the system has such a clock.
    """

    def __init__(self) -> None:
        self._offset_ms = time.time_ns() // 1_000_000 - _since_boot_ms()

    def now_ms(self) -> int:
        """Milliseconds UTC, by the wall clock at the start."""
        return self._offset_ms + _since_boot_ms()

    def wall_seconds_until(self, time_ms: int) -> float:
        """Seconds of real time until `time_ms`."""
        return max(0.0, (time_ms - self.now_ms()) / 1000)


def _since_boot_ms() -> int:
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone has it
    if boot_time is None:
        return time.monotonic_ns() // 1_000_000
    return time.clock_gettime_ns(boot_time) // 1_000_000


class AcceleratedClock:
    """A clock that shows `start_ms` at the wall time `wall_start_ms` and runs `speed` times as fast.

    Two processes that are given the same three numbers show the same time.
    """

    def __init__(self, start_ms: int, wall_start_ms: int, speed: float):
        if speed <= 0:
            raise ValueError("a clock's speed must be positive")
        self.start_ms = start_ms
        self.wall_start_ms = wall_start_ms
        self.speed = speed

    def now_ms(self) -> int:
        """Milliseconds UTC of the accelerated time."""
        elapsed = time.time_ns() / 1_000_000 - self.wall_start_ms
        return self.start_ms + int(elapsed * self.speed)

    def wall_seconds_until(self, time_ms: int) -> float:
        """Seconds of real time until the accelerated clock shows `time_ms`."""
        return max(0.0, (time_ms - self.now_ms()) / 1000 / self.speed)


class ManualClock:
    """A clock that stands still until it is set: for tests and for replays."""

    def __init__(self, now_ms: int):
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """The time it was last set to."""
        return self._now_ms

    def set(self, now_ms: int) -> None:
        """Move it."""
        self._now_ms = now_ms

    def wall_seconds_until(self, time_ms: int) -> float:
        """The distance at the speed of the wall clock."""
        return max(0.0, (time_ms - self._now_ms) / 1000)
