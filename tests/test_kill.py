"""A process killed at any moment of its trading leaves books that balance, and goes on from them.

`KILLS=200 pytest tests/test_kill.py` is the long form, a part of `make faults`.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from addresses import NOWHERE
from flask import Flask
from killing import Victims, victims

from app import create_app
from clock import SystemClock
from config import Config
from database import Database

KILLS = int(os.environ.get("KILLS", "20"))
MOST_CYCLES, CYCLE_SECONDS = 20, 0.05  # of one life
TRADES = "SELECT * FROM trades WHERE id <= ? ORDER BY id"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "killed.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """The file of the processes that are killed; open while none of them lives."""
    database = Database(path, SystemClock())
    yield database
    database.close()


@pytest.fixture
def command_line(path: Path) -> Callable[[], str]:
    """`flask ledger verify` on that file: what it says, after the status that it ends with."""
    app: Flask = create_app(Config(DATABASE_PATH=path, **NOWHERE, TRADING_LOOP="off"))

    def verify() -> str:
        done = app.test_cli_runner().invoke(args=["ledger", "verify"])
        return f"{done.exit_code} {done.output}"

    return verify


def trade_and_die(traders: Victims) -> int:
    """Let a process trade for some cycles and a moment; how many trades it said it has."""
    traders.begin()
    heard = [traders.hear() for _ in range(random.randint(0, MOST_CYCLES))]
    time.sleep(random.uniform(0, CYCLE_SECONDS))
    return int(["0", *heard, *traders.kill()][-1])


@pytest.mark.kill
@pytest.mark.timeout(max(120, KILLS * 30))
def test_after_each_kill_the_books_balance_and_no_trade_is_lost_or_doubled(
    path: Path, database: Database, command_line, record_property: Callable[[str, object], None]
):
    known, digest, verified = 0, hashlib.sha256().hexdigest(), 0
    with victims("kill_target", path) as traders:
        for _ in range(KILLS):
            said = trade_and_die(traders)
            (booked,) = database.connection.execute("SELECT COUNT(*) FROM trades").fetchone()
            assert booked >= said  # what it said is booked is there
            assert digest_of(database, known) == digest  # and all from before, as it was
            assert_cycles_are_whole(database)
            verdict = command_line()
            assert verdict.startswith("0 "), verdict
            verified += 1
            known, digest = booked, digest_of(database, booked)
            database.close()
    assert known > 20 * KILLS  # it was trading when it died
    record_property("kills", KILLS)
    record_property("trades", known)
    record_property("lost", 0)  # as has been asserted after every kill
    record_property("doubled", 0)
    record_property("ledger verify clean", verified)


def digest_of(database: Database, trades: int) -> str:
    """What the first so many trades say, every column of them."""
    digest = hashlib.sha256()
    for row in database.connection.execute(TRADES, (trades,)):
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()


def assert_cycles_are_whole(database: Database) -> None:
    """A cycle has either booked all that it decided, or nothing, and ran once."""
    half_booked = database.connection.execute(
        "SELECT COUNT(*) FROM decisions d JOIN cycles c ON c.id = d.cycle_id "
        "WHERE c.status != 'done' OR d.outcome = 'pending' OR "
        "(d.outcome IN ('executed', 'adjusted')) != EXISTS (SELECT 1 FROM trades t WHERE t.decision_id = d.id)"
    ).fetchone()[0]
    assert half_booked == 0
    doubled = database.connection.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM trades WHERE decision_id IS NOT NULL "
        "GROUP BY decision_id HAVING COUNT(*) > 1)"
    ).fetchone()[0]
    assert doubled == 0
