"""When a stream's connection is made, renewed and given up; the test moves the clock."""

import pytest

from stream_supervisor import Condition, Step, StreamSupervisor, StreamTerms

TERMS = StreamTerms(
    silence=30, first_message=5, renew_after=1000, first_pause=0.25, longest_pause=4, stable_after=10
)  # fmt: skip


@pytest.fixture
def supervisor() -> StreamSupervisor:
    """Of a stream whose jitter always takes the longest pause, and the whole lifetime less 2 %."""
    return StreamSupervisor(TERMS, jitter=lambda: 1.0)


def bring_up(supervisor: StreamSupervisor, now: float) -> None:
    assert supervisor.step(now, True) is Step.CONNECT
    supervisor.connecting(now)
    assert supervisor.heard(now)
    assert supervisor.condition is Condition.UP


def test_without_anything_wanted_nothing_is_done(supervisor: StreamSupervisor):
    assert supervisor.step(0, False) is Step.WAIT
    assert supervisor.condition is Condition.OFF


def test_it_connects_at_once_and_is_up_from_the_first_message_on(supervisor: StreamSupervisor):
    assert supervisor.step(100, True) is Step.CONNECT
    supervisor.connecting(100)
    assert supervisor.step(101, True) is Step.WAIT
    assert supervisor.condition is Condition.DOWN  # a socket is no message
    assert supervisor.heard(102)
    assert supervisor.condition is Condition.UP
    assert not supervisor.heard(103)
    assert supervisor.reconnects == 0


def test_a_lost_connection_is_made_again_after_a_pause(supervisor: StreamSupervisor):
    bring_up(supervisor, 100)
    supervisor.lost(105)
    assert supervisor.condition is Condition.DOWN
    assert supervisor.step(105.2, True) is Step.WAIT
    assert supervisor.step(105.25, True) is Step.CONNECT
    assert supervisor.reconnects == 1


def test_the_pause_doubles_up_to_a_few_seconds(supervisor: StreamSupervisor):
    """A venue that is back has us back in a pause and an opening: under ten seconds."""
    now, pauses = 0.0, []
    for _ in range(1200):
        supervisor.connecting(now)
        supervisor.lost(now)
        pauses.append(supervisor._retry_at - now)
        now = supervisor._retry_at
    assert pauses[:7] == pytest.approx([0.25, 0.5, 1, 2, 4, 4, 4])
    assert max(pauses) == 4
    assert TERMS.longest_pause + TERMS.first_message < 10


def test_jitter_spreads_the_pauses_by_half():
    shortest = StreamSupervisor(TERMS, jitter=lambda: 0.0)
    shortest.connecting(0)
    shortest.lost(0)
    assert shortest._retry_at == 0.125


def test_a_connection_that_drops_again_and_again_is_not_made_at_full_speed(
    supervisor: StreamSupervisor,
):
    """It brings a message each time, and the pause grows all the same."""
    now = 0.0
    for _ in range(6):
        supervisor.connecting(now)
        supervisor.heard(now)
        supervisor.lost(now + 1)
        now = supervisor._retry_at
    assert now == pytest.approx(0.25 + 0.5 + 1 + 2 + 4 + 4 + 6)


def test_one_that_has_lived_makes_good_for_failures(supervisor: StreamSupervisor):
    for now in (0.0, 1.0, 2.0):
        supervisor.connecting(now)
        supervisor.lost(now)
    supervisor.connecting(10)
    supervisor.heard(10)
    supervisor.heard(21)
    supervisor.lost(22)
    assert supervisor._retry_at == 22.25


def test_silence_is_down_whatever_the_socket_says(supervisor: StreamSupervisor):
    bring_up(supervisor, 0)
    supervisor.heard(50)
    assert supervisor.step(80, True) is Step.WAIT
    assert supervisor.step(80.1, True) is Step.ABANDON
    supervisor.lost(80.1)
    assert supervisor.condition is Condition.SILENT
    assert supervisor.step(81, True) is Step.CONNECT
    supervisor.connecting(81)
    assert supervisor.condition is Condition.SILENT  # until it says something
    supervisor.heard(82)
    assert supervisor.condition is Condition.UP


def test_a_new_connection_has_less_time_to_say_something(supervisor: StreamSupervisor):
    supervisor.step(0, True)
    supervisor.connecting(0)
    assert supervisor.step(5, True) is Step.WAIT
    assert supervisor.step(5.1, True) is Step.ABANDON


def test_before_the_cut_a_second_connection_takes_over(supervisor: StreamSupervisor):
    bring_up(supervisor, 0)
    supervisor.heard(979)
    assert supervisor.step(979.9, True) is Step.WAIT
    assert supervisor.step(980, True) is Step.RENEW
    supervisor.renewing(980)
    assert supervisor.step(981, True) is Step.WAIT
    assert supervisor.condition is Condition.UP  # the first one lives
    supervisor.renewed(982)
    assert (supervisor.renewals, supervisor.reconnects) == (1, 0)
    supervisor.heard(1500)
    assert supervisor.step(1500, True) is Step.WAIT
    supervisor.heard(1962)
    assert supervisor.step(1962, True) is Step.RENEW  # its own age counts


def test_a_renewal_that_says_nothing_is_tried_again(supervisor: StreamSupervisor):
    bring_up(supervisor, 0)
    supervisor.heard(980)
    supervisor.renewing(980)
    supervisor.heard(986)
    assert supervisor.step(986, True) is Step.ABANDON_RENEWAL
    supervisor.renewal_failed(986)
    assert supervisor.condition is Condition.UP
    assert supervisor.step(986.1, True) is Step.WAIT
    assert supervisor.step(986.25, True) is Step.RENEW


def test_the_renewal_stands_in_when_the_first_is_lost_meanwhile(supervisor: StreamSupervisor):
    bring_up(supervisor, 0)
    supervisor.heard(980)
    supervisor.renewing(980)
    supervisor.lost(981)
    assert supervisor.step(982, True) is Step.WAIT  # it is being opened already
    assert supervisor.condition is Condition.DOWN
    assert supervisor.heard(983)
    assert supervisor.condition is Condition.UP
    assert supervisor.step(990, True) is Step.WAIT


def test_a_venue_that_says_it_will_close_is_left_before(supervisor: StreamSupervisor):
    bring_up(supervisor, 0)
    supervisor.renew_soon(10)
    assert supervisor.step(10, True) is Step.RENEW


def test_when_nothing_is_wanted_any_more_it_is_closed(supervisor: StreamSupervisor):
    bring_up(supervisor, 0)
    assert supervisor.step(1, False) is Step.CLOSE
    supervisor.closed()
    assert supervisor.condition is Condition.OFF
    assert supervisor.step(2, False) is Step.WAIT
    assert supervisor.step(3, True) is Step.CONNECT
