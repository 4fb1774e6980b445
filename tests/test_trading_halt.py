"""The kill switch: nothing is entered and no LLM is called while it is on; exits go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from trading_world import CLOSE, START_MS, World, buy, opened_world

from audit_log import COMMAND_LINE, THIS_COMPUTER
from clock import ManualClock, SystemClock
from database import Database
from domain import Reason
from errors import Conflict
from repositories import cycles, models
from trading_desk import TradingDesk
from trading_halt import TradingHalt


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from opened_world(tmp_path)


@pytest.fixture
def halt(world: World) -> TradingHalt:
    return TradingHalt(world.database, SystemClock())


def test_it_is_off_until_somebody_turns_it_on_and_off_again(world: World, halt: TradingHalt):
    assert not halt.is_on()
    state = halt.stop_all(THIS_COMPUTER)
    assert (halt.is_on(), halt.may_call()) == (True, False)
    assert (state.by, halt.state()) == ("this computer", state)
    assert halt.stop_all(COMMAND_LINE).by == "this computer"  # who stopped it first
    halt.resume(THIS_COMPUTER)
    assert (halt.is_on(), halt.state().since_ms) == (False, None)


def test_another_process_knows_at_once_and_a_later_start_too(world: World, halt: TradingHalt):
    halt.stop_all(THIS_COMPUTER)
    elsewhere = Database(world.database.path, ManualClock(START_MS))
    assert TradingHalt(elsewhere, SystemClock()).is_on()
    elsewhere.close()


def test_no_cycle_begins_while_it_is_on(world: World, halt: TradingHalt):
    halt.stop_all(THIS_COMPUTER)
    with pytest.raises(Conflict) as refused:
        world.cycle({"BTC": buy()})
    assert refused.value.code == "trading_halted"
    assert cycles.last(world.database.connection, world.model.id) is None
    assert not world.trader.shown
    halt.resume(THIS_COMPUTER)
    assert world.cycle({"BTC": buy()}).cycle.status == "done"


def test_an_answer_that_comes_late_enters_and_closes_nothing(world: World, halt: TradingHalt):
    world.cycle({"ETH": buy()})
    world.trader.before_answering = lambda: halt.stop_all(THIS_COMPUTER)
    report = world.cycle({"BTC": buy(), "ETH": CLOSE})
    assert {(r.coin, r.outcome, r.reason) for r in report.decisions} == {
        ("BTC", "refused", "trading_halted"), ("ETH", "refused", "trading_halted"),
    }  # fmt: skip
    assert set(world.account.positions) == {"ETH"}


def test_exits_go_on_while_it_is_on(world: World, halt: TradingHalt):
    world.cycle({"BTC": buy(stop_loss=Decimal(95))})
    halt.stop_all(THIS_COMPUTER)
    (trade,) = world.tick(BTC="94")
    assert trade.entry.fill.reason is Reason.STOP_LOSS


def test_a_person_may_flatten_while_it_is_on(world: World, halt: TradingHalt):
    world.cycle({"BTC": buy()})
    halt.stop_all(THIS_COMPUTER)
    (trade,) = world.engine().flatten(THIS_COMPUTER)
    assert trade.entry.fill.reason is Reason.FLATTEN


@pytest.mark.parametrize("archived", [False, True])
def test_what_is_paused_or_archived_while_its_trader_thinks_enters_nothing(
    world: World, archived: bool
):
    def stop() -> None:
        connection = world.database.connection
        if archived:
            models.archive(connection, world.model.id, START_MS)
        else:
            models.update(connection, replace(world.model, enabled=False), START_MS)

    world.trader.before_answering = stop
    report = world.cycle({"BTC": buy()})
    assert report.decisions[0].reason == ("archived" if archived else "paused")
    assert not world.account.positions


def test_the_transaction_is_not_held_while_a_trader_thinks(world: World):
    """Others book meanwhile: a trader may take a minute to answer."""

    def others_write() -> None:
        def write() -> None:
            with world.database.ledger_transaction() as connection:
                connection.execute("UPDATE settings SET value = value")
            world.database.close()

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(2)
        assert not thread.is_alive()

    world.trader.before_answering = others_write
    assert world.cycle({"BTC": buy()}).cycle.status == "done"


def test_an_llm_may_not_be_called_for_a_model_that_is_stopped(world: World):
    desk = TradingDesk(
        world.database, world.aggregator, None, world.clock, world.events  # type: ignore[arg-type]
    )  # fmt: skip
    assert desk._may_call(world.model)
    models.update(world.database.connection, replace(world.model, enabled=False), START_MS)
    assert not desk._may_call(world.model)
    assert desk._may_call(replace(world.model, enabled=False))  # run by hand while paused
    desk.halt.stop_all(THIS_COMPUTER)
    assert not desk._may_call(replace(world.model, enabled=False))
    desk.halt.resume(THIS_COMPUTER)
    desk.stop_calls()  # the process ends
    assert not desk._may_call(replace(world.model, enabled=False))


def test_by_the_api_and_the_command_line(app: Flask):
    client = app.test_client()
    assert client.get("/api/health").json["trading"] == {
        "halted": False, "since": None, "by": None,
    }  # fmt: skip
    stopped = client.post("/api/trading/stop-all", json={}).json
    assert (stopped["halted"], stopped["by"]) == (True, "this computer")
    assert client.get("/api/health").json["trading"] == stopped
    model = {"name": "One", "trader": "buy_and_hold", "coins": ["BTC"]}
    model_id = client.post("/api/models", json=model).json["id"]
    refused = client.post(f"/api/models/{model_id}/execute", json={})
    assert (refused.status_code, refused.json["code"]) == (409, "trading_halted")

    resumed = app.test_cli_runner().invoke(args=["trading", "resume"])
    assert (resumed.exit_code, client.get("/api/health").json["trading"]["halted"]) == (0, False)
    assert app.test_cli_runner().invoke(args=["trading", "stop"]).exit_code == 0
    assert client.get("/api/health").json["trading"]["by"] == "the command line"
    assert client.post("/api/trading/resume", json={}).json["halted"] is False
