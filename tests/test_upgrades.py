"""A database of every earlier version keeps all that it holds; one that cannot be upgraded, too."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filled_database import FIRST_ID, fill, rows, tables

from clock import ManualClock
from database import MIGRATIONS, Database
from errors import MigrationError

KILLS = int(os.environ.get("KILLS", "20")) // 5
NOW_MS = 1_717_245_296_789
ROOT = Path(__file__).parent.parent
FILES = sorted(MIGRATIONS.glob("*.sql"))
VERSIONS = [int(file.name[:4]) for file in FILES]
REWRITTEN = {8: {"decisions": {"outcome", "reason", "detail"}}}  # by which migration


def of_version(path: Path, version: int, folder: Path) -> Database:
    """A database as that version of the app left it, with rows in each of its tables."""
    folder.mkdir(exist_ok=True)
    for file in FILES:
        if int(file.name[:4]) <= version:
            shutil.copy(file, folder)
    database = Database(path, ManualClock(NOW_MS), folder)
    database.upgrade()
    with database.transaction() as connection:
        connection.execute("PRAGMA defer_foreign_keys = ON")
        fill(connection)
    database.close()
    return database


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.fixture
def current(tmp_path: Path) -> Iterator[Database]:
    """The app's own schema on the file that each test makes."""
    database = Database(tmp_path / "trading.db", ManualClock(NOW_MS))
    yield database
    database.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_row_of_an_earlier_version_is_kept(current: Database, tmp_path: Path, version: int):
    of_version(current.path, version, tmp_path / "old")
    with closing(sqlite3.connect(current.path)) as connection:
        before = {table: rows(connection, table) for table in tables(connection)}
    assert all(len(kept) >= 1 for kept in before.values())
    applied = [migration.number for migration in current.upgrade()]
    assert applied == [number for number in VERSIONS if number > version]
    for table, kept in before.items():
        changed = set().union(*(REWRITTEN.get(number, {}).get(table, set()) for number in applied))
        names = [name for name in kept[0] if name not in changed]
        after = rows(current.connection, table, names)
        missing = [row for row in kept if {name: row[name] for name in names} not in after]
        assert missing == []
    current.check_integrity()


def test_outcomes_of_decisions_are_told_in_the_words_of_today(current: Database, tmp_path: Path):
    """The one migration so far that rewrites rows."""
    of_version(current.path, 7, tmp_path / "old")
    current.upgrade()
    found = rows(current.connection, "decisions", ["id", "outcome", "reason", "detail"])
    assert [tuple(row.values()) for row in found] == [
        (FIRST_ID, "adjusted", "max_notional", None), (FIRST_ID + 1, "refused", "cash", None),
    ]  # fmt: skip


# ------------------------------------------------------------------------- when it does not work


KILLED_AT = """
import os, sys
from pathlib import Path
from clock import SystemClock
from database import Database
database, left = Database(Path(sys.argv[1]), SystemClock()), [int(sys.argv[2])]
def count(statement):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)
database.connection.set_trace_callback(count)
database.upgrade()
"""


@pytest.mark.kill
@pytest.mark.timeout(max(120, KILLS * 10))
def test_a_kill_within_an_upgrade_leaves_what_was(
    current: Database, tmp_path: Path, record_property: Callable[[str, object], None]
):
    """At statements all along it; `KILLS=200` is the long form."""
    of_version(current.path, 1, tmp_path / "old")
    old = current.path.rename(tmp_path / "old.db")
    before = content(old)
    shutil.copy(old, current.path)
    executed: list[str] = []
    current.connection.set_trace_callback(executed.append)
    current.upgrade()
    current.close()
    (end,) = (place for place, sql in enumerate(executed) if sql == "COMMIT")
    for statement in sorted({end * part // KILLS + 1 for part in range(KILLS)}):
        shutil.copy(old, current.path)
        command = [sys.executable, "-c", KILLED_AT, str(current.path), str(statement)]
        assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
        assert content(current.path) == before
    assert len(current.upgrade()) == len(VERSIONS) - 1
    record_property("kills", KILLS)
    record_property("changed", 0)  # as has been asserted after every kill


def test_a_migration_that_fails_among_the_apps_own_leaves_what_was(
    current: Database, tmp_path: Path
):
    of_version(current.path, 3, tmp_path / "old")
    before, broken = content(current.path), tmp_path / "broken"
    shutil.copytree(MIGRATIONS, broken)
    file = broken / FILES[8].name
    file.write_text(file.read_text() + "DELETE FROM trades; INSERT INTO nowhere VALUES (1);")
    database = Database(current.path, ManualClock(NOW_MS), broken)
    with pytest.raises(MigrationError, match=rf"{FILES[8].name} failed: no such table: nowhere"):
        database.upgrade()
    database.close()
    assert content(current.path) == before
    assert content(tmp_path / "trading.before-0004.db") == before


def test_a_full_disk_leaves_what_was_and_is_said(current: Database, tmp_path: Path):
    """The kernel refuses to write on at half of the upgrade, after the copy has been made."""
    of_version(current.path, 1, tmp_path / "old")
    before, size = content(current.path), current.path.stat().st_size
    upgrade = (
        "import sys; from pathlib import Path; from clock import SystemClock;"
        "from database import Database; from errors import TradingSystemError\n"
        "try: Database(Path(sys.argv[1]), SystemClock()).upgrade()\n"
        "except TradingSystemError as error: sys.exit(error.message)"
    )
    done = subprocess.run(
        [sys.executable, "-c", upgrade, str(current.path)],
        cwd=ROOT, check=False, capture_output=True, text=True,
        preexec_fn=lambda: _no_file_beyond(size + 4096),
    )  # fmt: skip
    assert done.returncode == 1
    assert f"{current.path} could not be upgraded: " in done.stderr
    assert "Traceback" not in done.stderr
    assert content(current.path) == before
    assert len(current.upgrade()) == len(VERSIONS) - 1


def _no_file_beyond(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error, as of a full disk, instead of an end
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
