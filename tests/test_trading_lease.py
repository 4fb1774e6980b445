"""One process runs the loop: the lease is kept, lost, taken over and given back; clocks may jump."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from trading_world import START_MS, World, buy, opened_world

from audit_log import THIS_COMPUTER
from clock import ManualClock
from database import Database
from domain import DAY_MS, MINUTE_MS
from errors import Conflict
from repositories import books, cycles, trading_state
from scheduler import AlignedTrigger, ClockWatch
from trading_lease import HEARTBEAT_SECONDS, LEASE_SECONDS, TradingLease


class Time:
    """Real time as the test makes it pass; the wall clock can be set apart from it."""

    def __init__(self) -> None:
        self.wall = ManualClock(START_MS)
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def passes(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall.set(self.wall.now_ms() + int(seconds * 1000))


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from opened_world(tmp_path)


@pytest.fixture
def process(world: World, time: Time) -> Iterator[Callable[[], TradingLease]]:
    """Leases of several processes on one file."""
    opened: list[Database] = []

    def made() -> TradingLease:
        database = Database(world.database.path, world.clock)
        opened.append(database)
        return TradingLease(database, world.clock, time.wall, monotonic=time.monotonic)

    yield made
    for database in opened:
        database.close()


def test_the_first_takes_it_and_the_second_stands_by(process: Any, time: Time):
    first, second = process(), process()
    assert first.keep()
    assert not second.keep()
    assert (first.mine, second.mine) == (True, False)
    assert second.holder == first.process
    time.passes(3)
    assert second.heartbeat_age_seconds() == 3


def test_heart_beats_keep_it_for_as_long_as_its_holder_lives(process: Any, time: Time):
    first, second = process(), process()
    first.keep()
    for _ in range(100):
        time.passes(1)
        assert first.keep()
        assert not second.keep()
        assert second.heartbeat_age_seconds() <= HEARTBEAT_SECONDS


def test_after_its_holders_death_it_is_taken_over_within_thirty_seconds(process: Any, time: Time):
    first, second = process(), process()
    first.keep()
    time.passes(HEARTBEAT_SECONDS - 0.1)  # it is killed just before its heart-beat
    waited = 0
    while not second.keep():
        time.passes(1)
        waited += 1
    assert LEASE_SECONDS - HEARTBEAT_SECONDS <= waited <= 30
    assert not first.keep()
    assert not first.mine


def test_a_clean_end_hands_it_over_at_once(process: Any):
    first, second = process(), process()
    first.keep()
    first.release()
    assert (first.mine, first.holder) == (False, None)
    assert second.keep()
    first.release()  # once more does not take it from the second
    assert second.holder == second.process


def test_of_many_that_want_it_one_has_it(process: Any):
    leases = [process() for _ in range(5)]
    assert sum(lease.keep() for lease in leases) == 1


def test_a_clock_that_was_set_back_does_not_keep_a_dead_process_alive(process: Any, time: Time):
    first, second = process(), process()
    first.keep()
    time.wall.set(time.wall.now_ms() - 3_600_000)  # and it dies
    assert not second.keep()
    time.passes(LEASE_SECONDS - 1)
    assert not second.keep()
    time.passes(2)
    assert second.keep()


def test_a_clock_that_was_set_back_does_not_cost_the_holder_its_lease(process: Any, time: Time):
    first, second = process(), process()
    first.keep()
    time.wall.set(time.wall.now_ms() - 3_600_000)
    for _ in range(60):
        time.passes(1)
        assert first.keep()
        assert not second.keep()


# ------------------------------------------------------------------------------- what it fences


def test_a_second_process_leaves_the_firsts_running_cycle_alone(world: World, process: Any):
    first, second = process(), process()
    first.keep()

    def second_looks() -> None:
        assert not second.keep()
        with pytest.raises(Conflict) as refused:
            world.elsewhere(lease=second).execute_trading_cycle()
        assert refused.value.code == "loop_elsewhere"
        last = cycles.last(world.database.connection, world.model.id)
        assert last is not None
        assert last.status == "running"

    world.trader.before_answering = second_looks
    assert world.cycle({"BTC": buy()}, lease=first).cycle.status == "done"


def test_who_lost_it_while_its_trader_was_thinking_books_nothing(
    world: World, process: Any, time: Time
):
    """A machine that slept: somebody else trades when it wakes up."""
    asleep, other = process(), process()
    asleep.keep()

    def sleep() -> None:
        time.passes(LEASE_SECONDS + 5)
        assert other.keep()

    world.trader.before_answering = sleep
    report = world.cycle({"BTC": buy()}, lease=asleep)
    assert (report.cycle.status, report.cycle.error_code) == ("failed", "loop_elsewhere")
    assert not world.trades()
    stored = cycles.last(world.database.connection, world.model.id)
    assert stored is not None
    assert stored.status == "interrupted"  # as the one that took over left it


def test_a_cycle_of_before_is_not_booked_where_the_lease_came_back(
    world: World, process: Any, time: Time
):
    asleep, other = process(), process()
    asleep.keep()

    def lose_it_and_take_it_again() -> None:
        time.passes(LEASE_SECONDS + 5)
        assert other.keep()
        other.release()
        assert not asleep.keep()
        assert asleep.keep()

    world.trader.before_answering = lose_it_and_take_it_again
    report = world.cycle({"BTC": buy()}, lease=asleep)
    assert (report.cycle.status, report.cycle.error_code) == ("failed", "cycle_interrupted")
    assert not world.trades()


def test_exits_are_the_holders_too_and_a_person_may_flatten_anywhere(world: World, process: Any):
    first, second = process(), process()
    first.keep()
    world.cycle({"BTC": buy(stop_loss=Decimal(95))}, lease=first)
    world.source.quotes["BTCUSDT"] = Decimal(90)
    prices = world.aggregator.get_prices(["BTC"], 0)
    with pytest.raises(Conflict):
        world.engine(lease=second).check_exits(prices)
    assert len(world.engine(lease=second).flatten(THIS_COMPUTER)) == 1


def test_where_no_loop_runs_a_person_may_run_a_cycle(world: World, process: Any):
    assert world.cycle({"BTC": buy()}, lease=process()).cycle.status == "done"


def test_a_cycle_that_a_dead_process_left_open_does_not_stand_in_the_way(
    world: World, process: Any
):
    left = cycles.begin(world.database.connection, world.model.id, None, START_MS)
    assert world.cycle({}, lease=process()).cycle.status == "done"
    with pytest.raises(Conflict):
        cycles.check_running(world.database.connection, left)


def test_the_lease_survives_in_the_file(world: World, process: Any, time: Time):
    first = process()
    first.keep()
    standing = trading_state.lease(world.database.connection)
    assert (standing.holder, standing.term) == (first.process, 1)
    assert standing.expires_ms - standing.heartbeat_ms == LEASE_SECONDS * 1000


# --------------------------------------------------------------------------- a clock that was set


def test_a_clock_set_back_by_hours_neither_stops_cycles_nor_doubles_them(world: World):
    engine = world.engine()
    turn = START_MS - START_MS % MINUTE_MS
    for minute in range(5):
        engine.execute_trading_cycle(turn + minute * MINUTE_MS)
    # An hour back: new times, each of them once.
    for minute in range(5):
        engine.execute_trading_cycle(turn - 60 * MINUTE_MS + minute * MINUTE_MS)
        with pytest.raises(Conflict):
            engine.execute_trading_cycle(turn - 60 * MINUTE_MS + minute * MINUTE_MS)
    # Three minutes back: what was run at them before does not keep them from being run.
    engine.execute_trading_cycle(turn - 58 * MINUTE_MS)
    scheduled = "SELECT COUNT(*) FROM cycles WHERE status = 'done'"
    assert world.database.connection.execute(scheduled).fetchone()[0] == 11


def test_a_clock_set_back_by_seconds_runs_no_turn_again(world: World):
    engine = world.engine()
    turn = START_MS - START_MS % MINUTE_MS
    engine.execute_trading_cycle(turn)
    with pytest.raises(Conflict) as refused:
        engine.execute_trading_cycle(turn)
    assert refused.value.code == "cycle_done"


def test_the_trader_is_asked_about_the_bars_since_it_was_last_asked_also_then(world: World):
    world.cycle({})
    world.clock.set(START_MS - DAY_MS)
    world.cycle({})
    world.clock.set(START_MS - DAY_MS + MINUTE_MS)
    world.cycle({})
    assert world.trader.told is not None
    assert world.trader.told.previous_time_ms == START_MS - DAY_MS


def test_a_jump_of_the_clock_is_noticed_and_the_passing_of_time_is_none(time: Time):
    watch = ClockWatch(time.wall, time.monotonic)
    time.passes(3600)
    assert not watch.jumped()
    time.wall.set(time.wall.now_ms() - 3_600_000)
    assert watch.jumped()
    assert not watch.jumped()
    time.wall.set(time.wall.now_ms() + 3_600_000)  # set forward, or the machine slept
    assert watch.jumped()


def test_after_a_jump_jobs_wait_for_the_right_time_again(world: World):
    trigger = AlignedTrigger(world.clock, 1)
    before = trigger.get_next_fire_time(None, datetime.now(UTC))
    world.clock.set(world.clock.now_ms() + 20_000)
    after = trigger.get_next_fire_time(None, datetime.now(UTC))
    assert 19 < (before - after).total_seconds() < 21


def test_nothing_is_booked_twice_by_two_that_both_believe_to_trade(
    world: World, process: Any, time: Time
):
    first, second = process(), process()
    first.keep()
    time.passes(LEASE_SECONDS + 1)
    second.keep()
    assert first.mine  # it does not know yet
    with pytest.raises(Conflict):
        world.engine(lease=first).execute_trading_cycle(START_MS)
    world.trader.answer = {"BTC": buy()}
    world.engine(lease=second).execute_trading_cycle(START_MS)
    assert len(books.all_entries(world.database.connection, world.model.id)) == 1
