"""Clocks."""

from __future__ import annotations

import time

import pytest

from clock import AcceleratedClock, ManualClock, SteadyClock, SystemClock


def test_the_system_clock_shows_the_wall_time() -> None:
    clock = SystemClock()
    before = time.time() * 1000
    assert before - 1 <= clock.now_ms() <= time.time() * 1000
    assert clock.wall_seconds_until(clock.now_ms() + 60_000) == pytest.approx(60, abs=10)
    assert clock.wall_seconds_until(0) == 0.0


def test_a_manual_clock_stands_still_until_it_is_set() -> None:
    clock = ManualClock(1000)
    assert (clock.now_ms(), clock.now_ms()) == (1000, 1000)
    clock.set(5000)
    assert clock.now_ms() == 5000
    assert clock.wall_seconds_until(7500) == 2.5
    assert clock.wall_seconds_until(4000) == 0.0


class TestAcceleratedClock:
    @pytest.fixture
    def wall(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The wall clock in nanoseconds, moved by hand."""
        now = [1_000_000_000_000_000_000]
        monkeypatch.setattr("clock.time.time_ns", lambda: now[0])
        return now

    def test_runs_faster_than_the_wall(self, wall: list[int]) -> None:
        wall_ms = wall[0] // 1_000_000
        clock = AcceleratedClock(start_ms=50_000, wall_start_ms=wall_ms, speed=60)
        assert clock.now_ms() == 50_000
        wall[0] += 2_000_000_000
        assert clock.now_ms() == 50_000 + 120_000
        assert clock.wall_seconds_until(clock.now_ms() + 60_000) == 1.0
        assert clock.wall_seconds_until(0) == 0.0

    def test_two_with_the_same_numbers_show_the_same_time(self, wall: list[int]) -> None:
        wall[0] += 123_456_789_000
        first, second = (AcceleratedClock(7, 999_999_999_000, 12.5) for _ in range(2))
        assert first.now_ms() == second.now_ms()

    @pytest.mark.parametrize("speed", [0, -1])
    def test_must_run_forward(self, speed: float) -> None:
        with pytest.raises(ValueError, match="speed"):
            AcceleratedClock(0, 0, speed)


def test_a_steady_clock_goes_on_evenly_when_the_wall_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
):
    clock = SteadyClock()
    before = clock.now_ms()
    assert abs(before - SystemClock().now_ms()) < 1000
    monkeypatch.setattr("clock.time.time_ns", lambda: 0)
    assert 0 <= clock.now_ms() - before < 1000
    assert 0.9 < clock.wall_seconds_until(clock.now_ms() + 1000) <= 1
