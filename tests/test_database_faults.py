"""A database that is locked or a disk that is full: it is said, nothing is traded, nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from trading_world import World, buy, opened_world

import database as database_module
from errors import DatabaseUnavailable
from routes.services import EXTENSION

BTC = {"BTC": buy(10)}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A model on its market; whoever waits for the database gives up soon."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.05)
    yield from opened_world(tmp_path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program is in the midst of writing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def test_a_locked_database_begins_no_cycle_and_the_next_one_goes_on(world: World):
    with locked(world.database.path):
        with pytest.raises(
            DatabaseUnavailable, match="cannot be written now: database is locked"
        ) as said:
            world.cycle(BTC)
        assert said.value.code == "database_busy"
        assert world.database.trouble == said.value.message
    assert world.trades() == []
    assert len(world.cycle(BTC).trades) == 1
    assert world.database.trouble is None


def test_what_is_locked_when_it_comes_to_booking_is_not_booked_and_the_cycle_says_so(world: World):
    """The trader has been asked already; only its failure can be written, once the lock is gone."""
    other = sqlite3.connect(world.database.path, isolation_level=None)
    world.trader.before_answering = lambda: other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable):
        world.cycle(BTC)
    other.close()
    world.trader.before_answering = lambda: None
    assert world.trades() == []
    assert len(world.cycle(BTC).trades) == 1
    begun = world.database.connection.execute("SELECT status FROM cycles ORDER BY id")
    assert [row["status"] for row in begun] == ["interrupted", "done"]


def test_an_exit_that_cannot_be_booked_is_carried_out_with_the_next_price(world: World):
    world.cycle({"BTC": buy(10, stop_loss=Decimal(95))})
    with locked(world.database.path), pytest.raises(DatabaseUnavailable):
        world.tick(BTC="94")
    assert world.account.positions.keys() == {"BTC"}
    (exit,) = world.tick(BTC="93")
    assert exit.entry.fill.reason == "stop_loss"
    assert world.account.positions == {}


def test_a_full_disk_trades_nothing_and_says_so(world: World):
    connection = world.database.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")

    def trade_on() -> None:
        for _ in range(300):  # some cycles find room in the pages that are there
            world.cycle({"BTC": buy(1)})

    with pytest.raises(DatabaseUnavailable, match="full") as said:
        trade_on()
    assert said.value.code == "disk_full"
    booked = world.trades()
    connection.execute(f"PRAGMA max_page_count = {2**30}")
    assert world.trades() == booked
    assert len(world.cycle({"BTC": buy(1)}).trades) == 1  # with room again it goes on


def test_over_rest_it_is_503_with_its_code_and_health_tells_a_monitor(
    app: Flask, monkeypatch: pytest.MonkeyPatch
):
    client = app.test_client()
    database = app.extensions[EXTENSION].database
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.05)
    database.close()  # the next connection has the shorter patience
    client.get("/api/market/prices?coins=BTC")
    with locked(database.path):
        answer = client.put("/api/settings", json={"slippage_bps": 1})
        response = client.get("/api/health")
        health = response.json
    assert (answer.status_code, answer.json["code"]) == (503, "database_busy")
    assert (response.status_code, health["status"]) == (503, "unable")
    assert (health["reasons"][0]["code"], health["database"]) == (
        "database_unwritable", {"ok": False},
    )  # fmt: skip
    assert client.put("/api/settings", json={"slippage_bps": 1}).status_code == 200
    assert client.get("/api/health").json["database"] == {"ok": True}
