"""The trading loop: jobs on the market's clock, those of the models as they stand, a clean end."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from market_source import SettableSource
from new_database import new_database

from audit_log import THE_APP
from clock import AcceleratedClock, ManualClock, SystemClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import (
    MINUTE_MS,
    Exits,
    Fill,
    FillKind,
    Interval,
    Position,
    Side,
    TradingModel,
)
from errors import Conflict
from event_stream import EventStream
from ledger import Account, post
from llm_client import LLMClient
from model_replicas import set_replicas
from owner_settings import SettingsStore
from price_stream import PriceStream
from repositories import books, coins, cycles, models, pools, trading_state
from scheduler import AlignedTrigger, TradingLoop
from trading_desk import TradingDesk

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
MODEL = TradingModel("One", "buy_and_hold", Decimal(10_000), Interval.M1, 60, "off")


def wait_until(condition: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


# --------------------------------------------------------------------------------------- trigger


@pytest.mark.parametrize(
    ("every_minutes", "seconds"),
    [(1, 3.211), (15, 10 * 60 + 3.211), (60, 25 * 60 + 3.211), (1440, (11 * 60 + 25) * 60 + 3.211)],
)
def test_a_trigger_fires_at_the_next_multiple_of_the_markets_clock(every_minutes, seconds):
    trigger = AlignedTrigger(ManualClock(NOW_MS), every_minutes)
    before = datetime.now(UTC)
    fires = trigger.get_next_fire_time(None, before)
    after = datetime.now(UTC)
    wait = timedelta(seconds=seconds + 0.001)
    assert before + wait <= fires <= after + wait


def test_models_that_are_due_together_begin_one_by_one_within_five_seconds():
    now = datetime.now(UTC)
    clock = ManualClock(NOW_MS)
    fires = [AlignedTrigger(clock, 1, place).get_next_fire_time(None, now) for place in range(25)]
    gaps = [(later - fires[0]).total_seconds() for later in fires]
    assert gaps == sorted(gaps)
    assert 0.15 < gaps[1] < 0.25
    assert 4.5 < gaps[-1] < 5.0
    fast = AcceleratedClock(NOW_MS, SystemClock().now_ms(), 600.0)  # its minute takes 0.1 s
    late = AlignedTrigger(fast, 1, 24).get_next_fire_time(None, now)
    assert (late - datetime.now(UTC)).total_seconds() < 0.15  # a turn, and half of the next


def test_on_the_very_turn_it_is_the_next_one():
    turn_ms = NOW_MS - NOW_MS % MINUTE_MS
    trigger = AlignedTrigger(ManualClock(turn_ms), 1)
    now = datetime.now(UTC)
    assert trigger.get_next_fire_time(None, now) - now > timedelta(seconds=59.9)


def test_when_it_fires_the_clock_has_surely_reached_the_turn():
    """Also where the market runs 30 times as fast."""
    for start_ms in range(NOW_MS, NOW_MS + 2000, 37):
        clock = AcceleratedClock(start_ms, SystemClock().now_ms(), 30.0)
        trigger = AlignedTrigger(clock, 1)
        turn_ms = (clock.now_ms() // MINUTE_MS + 1) * MINUTE_MS
        fires_ms = trigger.get_next_fire_time(None, datetime.now(UTC)).timestamp() * 1000
        shown = clock.start_ms + int((fires_ms - clock.wall_start_ms) * clock.speed)
        assert 0 <= shown - turn_ms < 1000


def test_it_fires_once_a_turn():
    """A minute of this market is 0.1 s."""
    clock = AcceleratedClock(NOW_MS, SystemClock().now_ms(), 600.0)
    trigger = AlignedTrigger(clock, 1)
    turns: list[int] = []
    previous = None
    for _ in range(8):
        fires = trigger.get_next_fire_time(previous, datetime.now(UTC))
        time.sleep(max(0.0, (fires - datetime.now(UTC)).total_seconds()))
        turns.append(clock.now_ms() // MINUTE_MS)
        previous = fires
    assert len(set(turns)) == 8
    assert turns[0] == NOW_MS // MINUTE_MS + 1


# ------------------------------------------------------------------------------------------ loop


@pytest.fixture
def clock() -> AcceleratedClock:
    """A market whose minute takes 0.1 s."""
    return AcceleratedClock(NOW_MS, SystemClock().now_ms(), 600.0)


@pytest.fixture
def database(tmp_path: Path, clock: AcceleratedClock) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", clock)
    yield database
    database.close()


@pytest.fixture
def source(clock: AcceleratedClock) -> SettableSource:
    source = SettableSource(clock)
    source.quotes = {"BTCUSDT": Decimal(100), "ETHUSDT": Decimal(10)}
    return source


@pytest.fixture
def loop(database: Database, source: SettableSource, clock: Any) -> Iterator[TradingLoop]:
    loop = make_loop(database, source, clock)
    yield loop
    loop.stop()


def no_llm(provider_id: int) -> LLMClient:
    raise AssertionError("rules ask no LLM")


def make_loop(database: Database, source: SettableSource, clock: Any) -> TradingLoop:
    priority = {"price": ["binance"], "klines": ["binance"], "depth": ["binance"]}
    aggregator = MultiSourceDataAggregator(database, {"binance": source}, priority, clock)
    events = EventStream()
    desk = TradingDesk(database, aggregator, SettingsStore(database, 0.001), clock, events, no_llm)
    prices = PriceStream(aggregator, lambda: ["BTC", "ETH"], events, 0.05)
    return TradingLoop(database, desk, prices, clock)


def add(database: Database, name: str, **terms: Any) -> TradingModel:
    with database.transaction() as connection:
        model = models.add(connection, replace(MODEL, name=name, **terms), NOW_MS)
        pools.replace_members(connection, model.id, [coins.get(connection, "BTC")], NOW_MS)
    return model


def jobs(loop: TradingLoop) -> set[str]:
    return {job.id for job in loop._scheduler.get_jobs()}


def test_the_jobs_are_those_of_the_enabled_models(loop: TradingLoop, database: Database):
    one, two = add(database, "One"), add(database, "Two", cycle_minutes=1440)
    add(database, "Paused", enabled=False)
    loop.sync()
    assert jobs(loop) == set()  # not while it does not run
    loop.start()
    expected = {"account-values", f"model-{one.id}-every-60", f"model-{two.id}-every-1440"}
    assert jobs(loop) == expected

    three = add(database, "Three")
    models.update(database.connection, replace(one, enabled=False), NOW_MS)
    models.update(database.connection, replace(two, cycle_minutes=720), NOW_MS)
    loop.sync()
    expected = {"account-values", f"model-{two.id}-every-720", f"model-{three.id}-every-60"}
    assert jobs(loop) == expected
    models.archive(database.connection, three.id, NOW_MS)
    models.update(database.connection, replace(one, enabled=True), NOW_MS)
    loop.sync()
    loop.sync()
    assert jobs(loop) == {
        "account-values", f"model-{one.id}-every-60", f"model-{two.id}-every-720",
    }  # fmt: skip


def test_a_job_that_stays_keeps_its_time(loop: TradingLoop, database: Database):
    add(database, "One", cycle_minutes=1440)
    loop.start()
    due = loop.next_cycle_at()
    assert due is not None
    assert due > datetime.now(UTC)
    add(database, "Two", cycle_minutes=10_080)
    loop.sync()
    assert loop.next_cycle_at() == due


def test_without_models_no_cycle_is_due(loop: TradingLoop):
    assert loop.next_cycle_at() is None
    loop.start()
    assert loop.next_cycle_at() is None


def test_many_requests_that_sync_at_once_do_not_clash(
    loop: TradingLoop, database: Database, monkeypatch: pytest.MonkeyPatch
):
    loop.start()
    ready = threading.Barrier(8)
    get_jobs = loop._scheduler.get_jobs

    def slowly() -> list[Any]:
        found = get_jobs()
        time.sleep(0.002)  # somebody else comes in between
        return found

    monkeypatch.setattr(loop._scheduler, "get_jobs", slowly)

    def add_one(number: int) -> None:
        try:
            ready.wait()
            for turn in range(3):
                model = add(database, f"Model {number} {turn}", cycle_minutes=1440)
                loop.sync()
                with database.transaction() as connection:
                    models.archive(connection, model.id, NOW_MS)
                loop.sync()
        finally:
            database.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add_one, range(8)))
    assert jobs(loop) == {"account-values"}


def test_cycles_run_once_a_turn_and_values_are_recorded(
    loop: TradingLoop, database: Database, clock: AcceleratedClock
):
    model = add(database, "One", cycle_minutes=1)
    loop.start()

    def done() -> list[int]:
        rows = database.connection.execute("SELECT scheduled_at FROM cycles WHERE status = 'done'")
        return [row["scheduled_at"] for row in rows]

    wait_until(lambda: len(done()) >= 4)
    models.update(database.connection, replace(model, enabled=False), NOW_MS)
    loop.sync()
    turns = done()
    assert len(turns) == len(set(turns))
    assert all(turn % MINUTE_MS == 0 and NOW_MS < turn <= clock.now_ms() for turn in turns)
    assert len(books.list_trades(database.connection, [model.id])) == 1
    wait_until(lambda: len(books.account_values(database.connection, model.id)) > len(turns))


def test_a_turn_that_was_run_is_not_run_again(loop: TradingLoop, database: Database, clock: Any):
    """The clock set back, or two processes on one database."""
    model = add(database, "One", cycle_minutes=1440)
    for _ in range(2):
        loop._run_cycle(model.id, 1440)
    assert database.connection.execute("SELECT COUNT(*) FROM cycles").fetchone()[0] == 1
    engine = loop._desk.engine(model.id)
    with pytest.raises(Conflict):
        engine.execute_trading_cycle(clock.now_ms() // (1440 * MINUTE_MS) * (1440 * MINUTE_MS))


def test_cycles_that_an_earlier_process_left_are_closed(loop: TradingLoop, database: Database):
    model = add(database, "One", cycle_minutes=1440)
    cycles.begin(database.connection, model.id, NOW_MS, NOW_MS)
    loop.start()
    last = cycles.last(database.connection, model.id)
    assert last is not None
    assert (last.status, last.error_code) == ("interrupted", "interrupted")
    assert last.finished_at is not None


# --------------------------------------------------------------------------------------- exits


def hold(database: Database, model: TradingModel, coin: str) -> None:
    """Give the model an open position of 1 coin at 100."""
    hundred = Decimal(100)
    position = Position(coin, Side.LONG, Decimal(1), hundred, hundred, Decimal(0), NOW_MS)
    account = Account.opened_with(Decimal(10_000))._replace(positions={coin: position})
    coin_ids = {coin: coins.get(database.connection, coin).id}
    books.store_account(database.connection, model.id, account, coin_ids, {})


def test_every_price_marks_the_positions_of_every_model(loop: TradingLoop, database: Database):
    one, two = add(database, "One"), add(database, "Two")
    hold(database, one, "BTC")
    hold(database, two, "ETH")
    loop.start()
    for model, coin, price in ((one, "BTC", 100), (two, "ETH", 10)):
        wait_until(lambda model=model: books.load_marks(database.connection, model.id))
        assert books.load_marks(database.connection, model.id)[coin].price == price


def test_a_stop_fires_within_a_second_of_its_tick_while_the_model_is_off(
    loop: TradingLoop, database: Database, source: SettableSource
):
    model = add(database, "One", enabled=False)
    with database.ledger_transaction() as connection:
        fill = Fill(
            FillKind.OPEN, "BTC", Side.LONG, Decimal(1), Decimal(100), NOW_MS,
            exits=Exits(stop_loss=Decimal(95)),
        )  # fmt: skip
        account, entry = post(books.load_account(connection, model.id), fill)
        ids = {"BTC": coins.get(connection, "BTC").id}
        books.book(connection, model.id, ids, entry)
        books.store_account(connection, model.id, account, ids, {})
    loop.start()
    wait_until(lambda: books.load_marks(database.connection, model.id))
    source.quotes["BTCUSDT"] = Decimal(94)
    wait_until(lambda: len(books.all_entries(database.connection, model.id)) == 2, seconds=1.0)


def test_a_model_whose_exits_fail_leaves_the_others_watched(loop: TradingLoop, database: Database):
    broken, sound = add(database, "Broken"), add(database, "Sound")
    for model in (broken, sound):
        hold(database, model, "BTC")
    database.connection.execute(
        "UPDATE positions SET margin = 'nonsense' WHERE model_id = ?", (broken.id,)
    )
    loop.start()
    wait_until(lambda: books.load_marks(database.connection, sound.id))
    wait_until(lambda: books.account_values(database.connection, sound.id))


# ------------------------------------------------------------------------------------------ end


def test_the_end_waits_for_the_cycle_that_runs(
    loop: TradingLoop, database: Database, source: SettableSource
):
    model = add(database, "One", cycle_minutes=1)
    reached, go_on = threading.Event(), threading.Event()
    klines = source.klines

    def slow(*question: Any) -> Any:
        reached.set()
        go_on.wait(5)
        return klines(*question)

    source.klines = slow  # type: ignore[method-assign]
    loop.start()
    assert reached.wait(5)
    ending = threading.Thread(target=loop.stop)
    ending.start()
    ending.join(0.2)
    assert ending.is_alive()
    go_on.set()
    ending.join(5)
    assert not ending.is_alive()
    assert not loop.running
    last = cycles.last(database.connection, model.id)
    assert last is not None
    assert last.status == "done"
    ended = database.connection.execute("SELECT COUNT(*) FROM cycles").fetchone()[0]
    time.sleep(0.25)  # two of its turns
    assert database.connection.execute("SELECT COUNT(*) FROM cycles").fetchone()[0] == ended
    loop.stop()


def test_a_loop_that_never_ran_can_be_stopped(loop: TradingLoop):
    loop.stop()
    assert not loop.running


# ------------------------------------------------------------------------------- two processes


def test_a_second_loop_stands_by_and_takes_over_when_the_first_ends(
    loop: TradingLoop, database: Database, source: SettableSource, clock: Any
):
    model = add(database, "One", cycle_minutes=1)
    loop.start()
    wait_until(lambda: cycles.last(database.connection, model.id))
    second = make_loop(database, source, clock)
    second.start()
    try:
        assert (second.started, second.running, second.next_cycle_at()) == (True, False, None)
        assert jobs(second) == {"account-values"}
        loop.stop()
        ended = cycles.last(database.connection, model.id)
        assert ended is not None
        wait_until(lambda: second.running)
        wait_until(lambda: cycles.last(database.connection, model.id).id > ended.id)  # type: ignore[union-attr]
    finally:
        second.stop()


def test_a_loop_that_lost_its_lease_starts_nothing(
    loop: TradingLoop, database: Database, monkeypatch: pytest.MonkeyPatch
):
    add(database, "One", cycle_minutes=1)
    loop.start()
    taken = trading_state.Lease("another", 99, 0, 2**62)
    trading_state.take_lease(database.connection, taken)
    count = "SELECT COUNT(*) FROM cycles"
    before = database.connection.execute(count).fetchone()[0]
    monkeypatch.setattr("trading_lease.HEARTBEAT_SECONDS", 0.0)
    wait_until(lambda: jobs(loop) == {"account-values"})
    assert not loop.running
    assert database.connection.execute(count).fetchone()[0] == before


def test_after_the_clock_was_set_the_jobs_are_put_right(loop: TradingLoop, database: Database):
    add(database, "One", cycle_minutes=1440)
    loop.start()
    due = loop.next_cycle_at()
    assert due is not None
    for job in loop._scheduler.get_jobs():
        job.modify(next_run_time=due + timedelta(hours=9))  # as if the clock had been set back
    loop._realign()
    now_due = loop.next_cycle_at()
    assert now_due is not None
    assert abs((now_due - due).total_seconds()) < 1


# ------------------------------------------------------------------------------------ replicas


def test_replicas_are_run_with_their_first_one_on_one_snapshot(
    loop: TradingLoop, database: Database, source: SettableSource
):
    model = add(database, "One", cycle_minutes=1440)
    first, second, third = set_replicas(database, model.id, 3, NOW_MS, THE_APP)
    source.asked.clear()
    loop._run_cycle(model.id, 1440)
    rows = database.connection.execute("SELECT model_id, status FROM cycles ORDER BY model_id")
    assert [tuple(row) for row in rows] == [(one.id, "done") for one in (first, second, third)]
    assert source.asked["klines"] == 1
    for one in (first, second, third):
        assert len(books.all_entries(database.connection, one.id)) == 1
    loop._run_cycle(model.id, 1440)  # the same turn again
    assert database.connection.execute("SELECT COUNT(*) FROM cycles").fetchone()[0] == 3


def test_replicas_have_no_job_of_their_own(loop: TradingLoop, database: Database):
    model = add(database, "One", cycle_minutes=1440)
    set_replicas(database, model.id, 3, NOW_MS, THE_APP)
    loop.start()
    assert jobs(loop) == {"account-values", f"model-{model.id}-every-1440"}
