"""The circuit breaker by example, on a clock moved by hand."""

import pytest

from circuit_breaker import BreakerState, CircuitBreaker
from clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000)


@pytest.fixture
def breaker(clock: ManualClock) -> CircuitBreaker:
    return CircuitBreaker(clock)


def passes(clock: ManualClock, seconds: float) -> None:
    clock.set(clock.now_ms() + round(seconds * 1000))


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        assert breaker.admit()
        breaker.fail()


def test_it_opens_after_three_failures_in_a_row(breaker: CircuitBreaker):
    fail(breaker, 2)
    breaker.succeed()
    fail(breaker, 2)
    assert (breaker.state, breaker.retry_at_ms) == (BreakerState.CLOSED, None)
    fail(breaker, 1)
    assert (breaker.state, breaker.retry_at_ms) == (BreakerState.OPEN, 1_005_000)
    assert not breaker.admit()


def test_after_the_rest_one_question_tries_and_its_success_closes(
    breaker: CircuitBreaker, clock: ManualClock
):
    fail(breaker, 3)
    passes(clock, 5)
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.would_admit()
    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    breaker.succeed()
    assert (breaker.state, breaker.admit(), breaker.admit()) == (BreakerState.CLOSED, True, True)


def test_each_probe_that_fails_doubles_the_rest_up_to_a_minute(
    breaker: CircuitBreaker, clock: ManualClock
):
    fail(breaker, 3)
    rests = []
    for _ in range(6):
        began = clock.now_ms()
        assert breaker.retry_at_ms is not None
        clock.set(breaker.retry_at_ms)
        rests.append((clock.now_ms() - began) // 1000)
        fail(breaker, 1)
    assert rests == [5, 10, 20, 40, 60, 60]
    assert breaker.retry_at_ms is not None
    clock.set(breaker.retry_at_ms)
    assert breaker.admit()
    breaker.succeed()
    fail(breaker, 3)
    assert breaker.retry_at_ms == clock.now_ms() + 5000  # from the beginning again


def test_silence_that_is_asked_for_is_kept_to_the_millisecond(
    breaker: CircuitBreaker, clock: ManualClock
):
    assert breaker.admit()
    breaker.rest(17)
    breaker.rest(3)  # a later answer to an earlier question does not shorten it
    passes(clock, 16.999)
    assert not breaker.admit()
    passes(clock, 0.001)
    assert breaker.admit()


def test_what_was_asked_before_the_rest_does_not_end_or_lengthen_it(
    breaker: CircuitBreaker, clock: ManualClock
):
    breaker.rest(10)
    breaker.succeed()
    breaker.fail()
    assert (breaker.state, breaker.retry_at_ms) == (BreakerState.OPEN, 1_010_000)


def test_a_probe_that_was_not_asked_or_is_lost_makes_room_for_the_next(
    breaker: CircuitBreaker, clock: ManualClock
):
    breaker.rest(1)
    passes(clock, 1)
    assert breaker.admit()
    breaker.release()
    assert breaker.admit()
    assert not breaker.admit()
    passes(clock, 30)
    assert breaker.admit()


def test_the_first_rest_is_as_long_as_it_is_told(clock: ManualClock):
    breaker = CircuitBreaker(clock, 1.0)
    fail(breaker, 3)
    assert breaker.retry_at_ms == 1_001_000
    passes(clock, 1)
    fail(breaker, 1)
    assert breaker.retry_at_ms == 1_003_000
    passes(clock, 2)
    assert breaker.admit()
    breaker.succeed()
    fail(breaker, 3)
    assert breaker.retry_at_ms == clock.now_ms() + 1_000
