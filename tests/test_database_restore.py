"""A restore proves the backup, keeps what was there, and is whole whenever it is killed."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from killing import victims

import ledger
from app import create_app
from audit_log import COMMAND_LINE
from clock import ManualClock
from config import Config
from database import Database
from database_restore import restore
from domain import Fill, FillKind, Interval, Side, TradingModel
from errors import Conflict, DataError, LedgerMismatch, MigrationError
from ledger import Account
from repositories import books, coins, models, stored_secrets, trading_state
from repositories.trading_state import Halt, Lease

KILLS = int(os.environ.get("KILLS", "20")) // 4
LONGEST_LIFE_SECONDS = 0.5
NOW_MS = 1_717_245_296_789
KEPT = "trading.before-restore-2024-06-01T12-34-56.789Z.db"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """The app's database, with a model that has traded twice."""
    database = Database(tmp_path / "trading.db", ManualClock(NOW_MS))
    database.upgrade()
    add_model(database, "Trader", trades=2)
    yield database
    database.close()


@pytest.fixture
def backup(database: Database, tmp_path: Path) -> Path:
    """A backup of it, after which it has got a second model."""
    file = database.backup(tmp_path / "backup.db", stored_secrets.forget)
    add_model(database, "Later", trades=1)
    return file


def add_model(database: Database, name: str, trades: int) -> None:
    """A model that has bought some BTC so many times."""
    terms = TradingModel(name, "random", Decimal(10_000), Interval.M1, 1, "off")
    with database.transaction() as connection:
        model = models.add(connection, terms, NOW_MS)
        ids = {"BTC": coins.get(connection, "BTC").id}
        account = Account.opened_with(terms.initial_capital)
        for number in range(trades):
            fill = Fill(FillKind.OPEN, "BTC", Side.LONG, Decimal(1), Decimal(100), NOW_MS + number)
            account, entry = ledger.post(account, fill)
            books.book(connection, model.id, ids, entry)
        books.store_account(connection, model.id, account, ids, {})


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def names(database: Database) -> list[str]:
    return [model.name for model in models.list_models(database.connection)]


def run(app: Flask, *words: object) -> Result:
    result = app.test_cli_runner().invoke(args=[str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def rest(lines: list[str]) -> list[str]:
    """What a file holds, but for what each restore writes: the loop's term, the audit log."""
    changed = ("trading_lease", 'INSERT INTO "audit_log"', "VALUES('audit_log'")
    return [line for line in lines if not any(part in line for part in changed)]


def test_what_the_backup_holds_is_the_database_and_what_was_there_is_kept(
    database: Database, backup: Path, tmp_path: Path
):
    before, copied = content(database.path), content(backup)
    done = restore(database, backup, ManualClock(NOW_MS), COMMAND_LINE)
    assert (done.models, done.trades, done.applied, done.kept) == (1, 2, [], tmp_path / KEPT)
    assert names(database) == ["Trader"]
    assert content(tmp_path / KEPT) == before
    assert content(backup) == copied
    # But for the number of the loop's take-overs and the row that tells of it, the two are the same.
    assert rest(content(database.path)) == rest(copied)
    pragmas = {"journal_mode": "wal", "auto_vacuum": 2, "locking_mode": "normal"}
    for name, value in pragmas.items():
        assert database.connection.execute(f"PRAGMA {name}").fetchone()[0] == value
    add_model(database, "After", trades=1)  # and can be written to
    assert not list(tmp_path.glob("*.restoring*"))


def test_a_new_machine_has_nothing_to_keep(database: Database, backup: Path, tmp_path: Path):
    fresh = Database(tmp_path / "elsewhere" / "trading.db", ManualClock(NOW_MS))
    assert restore(fresh, backup, ManualClock(NOW_MS), COMMAND_LINE).kept is None
    assert names(fresh) == ["Trader"]
    assert [path.name for path in fresh.path.parent.glob("*.db")] == ["trading.db"]
    fresh.close()


def test_a_kill_switch_and_who_may_call_do_not_go_back_in_time(database: Database, tmp_path: Path):
    """Otherwise a restore would let models trade that were stopped, and revive revoked tokens."""
    token = "INSERT INTO access_tokens (name, scope, hash, prefix, created_at) VALUES (?, 'admin', ?, 'p', 0)"
    database.connection.execute(token, ("stolen", "1"))
    backup = database.backup(tmp_path / "backup.db")  # with keys
    with database.transaction() as connection:
        connection.execute("DELETE FROM access_tokens")
        connection.execute(token, ("mine", "2"))
        trading_state.set_halt(connection, Halt(True, NOW_MS, "the page"))
        trading_state.take_lease(connection, Lease(None, 41, 0, 0))
    restore(database, backup, ManualClock(NOW_MS), COMMAND_LINE)
    connection = database.connection
    assert [row["name"] for row in connection.execute("SELECT name FROM access_tokens")] == ["mine"]
    assert trading_state.halt(connection) == Halt(True, NOW_MS, "the page")
    assert trading_state.lease(connection).term == 42


# -------------------------------------------------------------------------------------- refusals


def spoil(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])


def forge(sql: str):
    def forged(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(sql)

    return forged


def other_app(path: Path) -> None:
    path.unlink()
    forge("CREATE TABLE portfolios (id INTEGER)")(path)


@pytest.mark.parametrize(("change", "error", "said"), [
    (Path.unlink, DataError, "There is no file"),
    (lambda path: path.write_text("my holidays " * 1000), DataError, "not a database"),
    (lambda path: path.write_bytes(path.read_bytes()[:9000]), DataError, "malformed|damaged"),
    (spoil, DataError, "malformed|damaged"),
    (other_app, DataError, "no database of this app"),
    (forge("INSERT INTO schema_migrations VALUES (9999, 'x', '', '')"), MigrationError, "newer version"),
    (forge("UPDATE schema_migrations SET checksum = '' WHERE number = 1"), MigrationError, "has changed"),
    (forge("UPDATE accounts SET cash = '10001'"), LedgerMismatch, "Trader do not balance: cash is 10001"),
    (forge("UPDATE trades SET coin_id = 99999"), DataError, "without their parents"),
], ids=["none", "text", "cut", "spoilt", "another app's", "newer", "changed", "unbalanced", "orphans"])  # fmt: skip
def test_a_backup_that_does_not_prove_itself_changes_nothing(
    database: Database, backup: Path, tmp_path: Path, change, error: type[Exception], said: str
):
    change(backup)
    before = content(database.path)
    with pytest.raises(error, match=said):
        restore(database, backup, ManualClock(NOW_MS), COMMAND_LINE)
    assert content(database.path) == before
    assert not list(tmp_path.glob("*.restoring*"))
    assert not (tmp_path / KEPT).exists()


def test_it_is_refused_while_anybody_has_the_database_open(
    database: Database, backup: Path, tmp_path: Path
):
    """Whoever trades has; so have a server that stands by and a backtest's worker."""
    before = content(database.path)
    other = sqlite3.connect(database.path)
    other.execute("SELECT COUNT(*) FROM coins").fetchone()
    with pytest.raises(Conflict, match="is in use: end every process"):
        restore(database, backup, ManualClock(NOW_MS), COMMAND_LINE)
    other.close()
    with database.transaction() as connection:
        trading_state.take_lease(connection, Lease("host:1:ab", 3, NOW_MS, NOW_MS + 1))
    with pytest.raises(Conflict, match="host:1:ab runs the trading loop"):
        restore(database, backup, ManualClock(NOW_MS), COMMAND_LINE)
    assert names(database) == ["Trader", "Later"]
    assert len(content(database.path)) == len(before)
    restore(database, backup, ManualClock(NOW_MS + 1), COMMAND_LINE)  # its lease has run out
    assert names(database) == ["Trader"]


def test_a_database_that_cannot_be_read_is_left_to_its_owner(
    database: Database, backup: Path, tmp_path: Path
):
    database.close()
    database.path.write_text("spoilt " * 1000)
    with pytest.raises(DataError, match=r"trading\.db cannot be read as a database"):
        restore(database, backup, ManualClock(NOW_MS), COMMAND_LINE)
    assert database.path.read_text() == "spoilt " * 1000
    database.path.rename(tmp_path / "spoilt.db")
    restore(database, backup, ManualClock(NOW_MS), COMMAND_LINE)
    assert names(database) == ["Trader"]


# ------------------------------------------------------------------------------ the command line


def test_restore_on_the_command_line(app_config: Config, tmp_path: Path):
    app = create_app(app_config)
    assert run(app, "db", "upgrade").exit_code == 0
    said = run(app, "db", "backup", "--with-keys")
    (backup,) = (tmp_path / "backups").glob("*.db")
    assert (said.exit_code, said.output) == (0, f"copied to {backup}\n")
    assert backup.name.endswith("Z-with-keys.db")
    done = run(app, "db", "restore", backup)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == (
        f"{backup} is the database now: 0 models, 0 trades, all books balance."
    )
    (kept,) = tmp_path.glob("trading.before-restore-*.db")
    assert f"What was there is in {kept}." in done.output
    refused = run(app, "db", "restore", tmp_path / "nothing.db")
    assert (refused.exit_code, refused.output) == (
        1, f"Error: There is no file {tmp_path / 'nothing.db'}.\n",
    )  # fmt: skip


# ----------------------------------------------------------------------------------------- kills


@pytest.mark.kill
@pytest.mark.timeout(max(120, KILLS * 30))
def test_a_kill_within_a_restore_or_a_backup_leaves_whole_files_alone(
    database: Database, tmp_path: Path, record_property: Callable[[str, object], None]
):
    """The database is the one backup or the other, and every copy that is listed is one of them."""
    files = [database.backup(tmp_path / "one.db", stored_secrets.forget)]
    add_model(database, "Later", trades=3)
    files.append(database.backup(tmp_path / "two.db", stored_secrets.forget))
    database.close()
    either = [rest(content(file)) for file in files]
    copies = 0
    with victims("restore_kill_target", database.path, *files) as restorers:
        for _ in range(KILLS):
            restorers.begin()
            time.sleep(random.uniform(0, LONGEST_LIFE_SECONDS))
            restorers.kill()
            assert rest(content(database.path)) in either
            made = (*tmp_path.glob("backups/*.db"), *tmp_path.glob("trading.before-restore-*.db"))
            for copy in made:
                assert rest(content(copy)) in either
                copy.unlink()
            copies += len(made)
    assert copies > 0  # it was at work when it died
    restore(
        database, files[0], ManualClock(NOW_MS), COMMAND_LINE
    )  # what was cut off is in nobody's way
    assert not list(tmp_path.glob("*.restoring*"))
    record_property("kills", KILLS)
    record_property("whole copies", copies)
    record_property("broken", 0)  # as has been asserted after every kill
