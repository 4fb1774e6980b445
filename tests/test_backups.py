"""Backups: copies of one moment, without keys unless asked, listed, pruned, made when they are due."""

from __future__ import annotations

import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from killing import victims
from new_database import new_database

from access_tokens import Scope
from audit_log import COMMAND_LINE
from backups import Backups
from clock import ManualClock
from database import Database
from domain import HOUR_MS
from errors import Conflict, NotFound
from ledger_audit import audit
from owner_settings import SettingsStore
from repositories import models, providers, settings, stored_secrets
from repositories.providers import Provider
from routes.services import EXTENSION

NOW_MS = 1_717_245_296_789
SEALED = "1:abcdef12:gAAAA-sealed-with-care"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", ManualClock(NOW_MS))
    yield database
    database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def backups(database: Database, clock: ManualClock, tmp_path: Path) -> Backups:
    return Backups(database, tmp_path / "copies", SettingsStore(database, 0.001), clock)


def forward(clock: ManualClock, ms: int) -> None:
    clock.set(clock.now_ms() + ms)


def set_to(database: Database, **values: int) -> None:
    with database.transaction() as connection:
        settings.store(connection, values)


def add_secrets(database: Database) -> None:
    """A secret in every place that there is for one, some written over by others."""
    with database.transaction() as connection:
        for sealed in (f"{SEALED}-of-before", SEALED):
            connection.execute("DELETE FROM providers")
            providers.add(connection, Provider("p", "https://llm.example", sealed_key=sealed), 0)
        connection.execute("INSERT INTO owner_password VALUES (1, ?, 0)", (HASH,))
        connection.execute("INSERT INTO sign_ins VALUES (?, 0, 1)", (HASH,))
        connection.execute(
            "INSERT INTO access_tokens (name, scope, hash, prefix, created_at) "
            "VALUES ('script', 'admin', ?, 'ct_1234', 0)",
            (HASH,),
        )


# -------------------------------------------------------------------------------- what is in one


def test_a_backup_has_no_byte_of_a_key_unless_asked(backups: Backups, database: Database):
    add_secrets(database)
    without, with_keys = backups.make(COMMAND_LINE), backups.make(COMMAND_LINE, with_keys=True)
    for text in (SEALED, HASH):
        assert text.encode() not in without.path.read_bytes()
        assert text.encode() in with_keys.path.read_bytes()
    with closing(sqlite3.connect(without.path)) as copy:
        assert copy.execute("SELECT name, sealed_key FROM providers").fetchall() == [("p", None)]
        assert copy.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert copy.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
    stored = database.connection.execute("SELECT sealed_key FROM providers").fetchone()[0]
    assert stored == SEALED  # the database itself has kept it


# Named like secrets, and none: keys of rows and hashes of questions, which open nothing.
NO_SECRETS = {
    "backtest_answers.hash", "backtests.config_hash", "backtests.data_hash", "llm_answers.hash",
    "settings.key",
}  # fmt: skip


def test_every_column_that_is_named_like_a_secret_is_left_out(database: Database):
    """Who adds a table with secrets is reminded of the backups."""
    columns = database.connection.execute(
        "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"
    )
    suspicious = {
        f"{table}.{name}"
        for table, name in columns
        if re.search(r"key$|secret|sealed|passphrase|password|token$|hash|credential", name)
        and table not in stored_secrets.ACCESS_TABLES
        and name not in stored_secrets.SECRET_COLUMNS.get(table, ())
    }
    assert suspicious == NO_SECRETS


def test_a_backup_is_one_file_for_its_owner_alone(backups: Backups, tmp_path: Path):
    made = backups.make(COMMAND_LINE)
    assert [path.name for path in backups.folder.iterdir()] == ["trading-2024-06-01T12-34-56Z.db"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(backups.folder.stat().st_mode) == 0o700
    assert (made.made_ms, made.with_keys) == (NOW_MS // 1000 * 1000, False)
    assert made.size == made.path.stat().st_size


def test_backups_while_a_process_trades_as_fast_as_it_can_are_whole(tmp_path: Path):
    path, counts = tmp_path / "busy.db", []
    with victims("kill_target", path) as traders:
        traders.begin()
        database = Database(path, ManualClock(NOW_MS))
        clock = ManualClock(NOW_MS)
        backups = Backups(database, tmp_path / "copies", SettingsStore(database, 0.001), clock)
        for _ in range(8):
            forward(clock, 1000)
            copy = Database(backups.make(COMMAND_LINE).path, clock)
            copy.check_integrity()
            (model,) = models.list_models(copy.connection)
            result = audit(copy.connection, model)
            assert result.differences == ()
            counts.append(result.trades)
            copy.close()
        traders.kill()
    database.close()
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]  # it traded meanwhile


# ------------------------------------------------------------------------------------ the folder


def test_the_oldest_go_and_what_others_put_there_stays(backups: Backups, database: Database, clock):
    set_to(database, backups_kept=2)
    backups.folder.mkdir()
    for name in ("mine.db", "trading-before-the-holidays.db", "trading-2024-99-01T00-00-00Z.db"):
        (backups.folder / name).write_text("mine")
    for _ in range(3):
        made = backups.make(COMMAND_LINE)
        forward(clock, 1000)
    assert [backup.name for backup in backups.all()] == [
        "trading-2024-06-01T12-34-58Z.db", "trading-2024-06-01T12-34-57Z.db",
    ]  # fmt: skip
    assert backups.all()[0] == made
    assert len(list(backups.folder.iterdir())) == 5
    assert backups.get(made.name) == made
    for name in ("mine.db", "../trading.db", "trading-2024-06-01T12-34-56Z.db"):
        with pytest.raises(NotFound, match="There is no backup"):
            backups.get(name)


def test_one_is_made_when_the_newest_is_older_than_the_owner_wants(
    backups: Backups, database: Database, clock: ManualClock
):
    assert backups.make_if_due() is not None
    forward(clock, 24 * HOUR_MS - 1000)
    assert backups.make_if_due() is None
    forward(clock, 1000)
    assert backups.make_if_due() is not None
    clock.set(NOW_MS - HOUR_MS)  # a clock that was set back
    assert backups.make_if_due() is not None
    set_to(database, backup_hours=0)
    forward(clock, 1000 * HOUR_MS)
    assert backups.make_if_due() is None


def test_what_a_killed_process_left_is_cleaned_and_two_at_once_are_refused(
    backups: Backups, clock: ManualClock
):
    backups.folder.mkdir()
    cut_off = backups.folder / "trading-2024-06-01T00-00-00Z.db.part"
    cut_off.write_bytes(b"half")
    clock.set(int(cut_off.stat().st_mtime * 1000) + 7 * HOUR_MS)
    backups.make(COMMAND_LINE)
    assert not cut_off.exists()
    with pytest.raises(Conflict, match="of this second"):
        backups.make(COMMAND_LINE)


# ------------------------------------------------------------------------------------ the routes


def test_backups_over_rest(offline_app: Flask, tmp_path: Path):
    client = offline_app.test_client()
    assert client.get("/api/backups").json["backups"] == []
    made = client.post("/api/backups", json={})
    assert made.status_code == 201
    (listed,) = client.get("/api/backups").json["backups"]
    assert listed == made.json
    assert (listed["with_keys"], listed["size"] > 100_000) == (False, True)
    fetched = client.get(f"/api/backups/{listed['name']}")
    assert fetched.headers["Content-Disposition"] == f"attachment; filename={listed['name']}"
    (tmp_path / "fetched.db").write_bytes(fetched.data)
    with closing(sqlite3.connect(tmp_path / "fetched.db")) as copy:
        assert copy.execute("SELECT COUNT(*) FROM coins").fetchone()[0] > 20
    fetched.close()
    for name in ("trading-2024-01-01T00-00-00Z.db", "..%2Ftrading.db", "%2e%2e"):
        assert client.get(f"/api/backups/{name}").status_code == 404
    assert client.post("/api/backups", json={"with_keys": "perhaps"}).status_code == 400
    access = offline_app.extensions[EXTENSION].access
    token = access.make_token("reader", Scope.READ, None, COMMAND_LINE).text
    for path in (
        "/api/backups",
        f"/api/backups/{listed['name']}",
    ):  # a whole database is the owner's
        refused = client.get(path, headers={"Authorization": f"Bearer {token}"})
        assert (refused.status_code, refused.json["code"]) == (403, "scope_too_small")
    assert offline_app.extensions[EXTENSION].backups.folder == tmp_path / "backups"
