"""A process killed at any moment of its trading leaves books that balance, and goes on from them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clock import SystemClock
from database import Database
from ledger_audit import audit
from repositories import models

ROOT = Path(__file__).parent.parent
KILLS = int(os.environ.get("KILLS", "20"))
LONGEST_LIFE_SECONDS = 0.6


def trade_and_die(path: Path, life_seconds: float) -> None:
    """Let a process trade for so long after it has begun, then end it with SIGKILL."""
    command = [sys.executable, str(ROOT / "tests" / "kill_target.py"), str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "trading\n"
        time.sleep(life_seconds)
        assert process.poll() is None, "it ended by itself"
        process.kill()


@pytest.mark.kill
def test_after_each_kill_the_books_balance_and_no_cycle_is_half_booked(tmp_path: Path):
    path = tmp_path / "killed.db"
    moments = random.Random()
    trades_before = 0
    for _ in range(KILLS):
        trade_and_die(path, moments.uniform(0, LONGEST_LIFE_SECONDS))
        database = Database(path, SystemClock())
        (model,) = models.list_models(database.connection)
        result = audit(database.connection, model)
        assert result.differences == ()
        assert result.trades >= trades_before  # nothing that was booked is lost
        assert_cycles_are_whole(database)
        trades_before = result.trades
        database.close()
    assert trades_before > 20 * KILLS  # it was trading when it died


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
