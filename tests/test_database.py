"""Migrations that leave a file whole or as it was, and transactions that many writers share."""

import hashlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clock import ManualClock
from database import MIGRATIONS, Database, Migration, _statements
from errors import DatabaseUnavailable, DataError, MigrationError

NOW_MS = 1_717_245_296_789
ROOT = Path(__file__).parent.parent
FIRST = "CREATE TABLE fruits (name TEXT NOT NULL);\nINSERT INTO fruits VALUES ('apple');\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of migrations with one in it."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_fruits.sql").write_text(FIRST)
    return folder


@pytest.fixture
def database(tmp_path: Path, folder: Path) -> Iterator[Database]:
    database = Database(tmp_path / "trading.db", ManualClock(NOW_MS), folder)
    yield database
    database.close()


@pytest.fixture
def current(tmp_path: Path) -> Iterator[Database]:
    """A database of the app's own schema."""
    database = Database(tmp_path / "current.db", ManualClock(NOW_MS))
    database.upgrade()
    yield database
    database.close()


def content(path: Path) -> list[str]:
    """Schema and rows of a file."""
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def names(database: Database) -> list[str]:
    return [row["name"] for row in database.connection.execute("SELECT name FROM fruits")]


def foreign_keys(database: Database) -> int:
    return int(database.connection.execute("PRAGMA foreign_keys").fetchone()[0])


# ------------------------------------------------------------------------------------- upgrades


def test_a_new_file_gets_every_migration_of_the_app(tmp_path: Path):
    database = Database(tmp_path / "new" / "folder" / "trading.db", ManualClock(NOW_MS))
    applied = database.upgrade()
    files = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
    assert [migration.name for migration in applied] == files
    tables = {
        row["name"]
        for row in database.connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    }
    assert {"coins", "models", "trades", "positions", "accounts", "klines"} <= tables
    assert {row.applied_at for row in database.status()} == {"2024-06-01T12:34:56.789Z"}
    assert [path.name for path in database.path.parent.glob("*before*")] == []
    database.close()


def test_a_second_upgrade_does_nothing(database: Database, tmp_path: Path):
    database.upgrade()
    before = content(database.path)
    assert database.upgrade() == []
    assert content(database.path) == before
    assert list(tmp_path.glob("*before*")) == []


def test_status_names_what_is_missing_and_writes_nothing(database: Database, folder: Path):
    assert [row.applied_at for row in database.status()] == [None]
    assert content(database.path) == ["BEGIN TRANSACTION;", "COMMIT;"]
    database.upgrade()
    (folder / "0002_more.sql").write_text("INSERT INTO fruits VALUES ('pear');")
    status = [(row.migration.name, row.applied_at is not None) for row in database.status()]
    assert status == [("0001_fruits.sql", True), ("0002_more.sql", False)]


def test_what_a_file_holds_is_copied_beside_it_before_an_upgrade(
    database: Database, folder: Path, tmp_path: Path
):
    database.upgrade()
    database.connection.execute("INSERT INTO fruits VALUES ('mine')")
    before = content(database.path)
    (folder / "0002_drop.sql").write_text("DELETE FROM fruits;")
    (folder / "0003_pear.sql").write_text("INSERT INTO fruits VALUES ('pear');")
    assert [migration.number for migration in database.upgrade()] == [2, 3]
    assert names(database) == ["pear"]
    assert content(tmp_path / "trading.before-0002.db") == before


def test_a_changed_migration_is_refused(database: Database, folder: Path):
    database.upgrade()
    before = content(database.path)
    (folder / "0001_fruits.sql").write_text(FIRST.replace("apple", "plum"))
    (folder / "0002_more.sql").write_text("INSERT INTO fruits VALUES ('pear');")
    for question in (database.upgrade, database.status):
        with pytest.raises(MigrationError, match=r"0001_fruits\.sql has changed"):
            question()
    assert content(database.path) == before


def test_a_file_of_a_newer_version_is_refused(database: Database, folder: Path):
    (folder / "0002_more.sql").write_text("INSERT INTO fruits VALUES ('pear');")
    database.upgrade()
    before = content(database.path)
    (folder / "0002_more.sql").unlink()
    with pytest.raises(MigrationError, match="newer version: it knows migration 0002"):
        database.upgrade()
    assert content(database.path) == before


@pytest.mark.parametrize("name", ["2_more.sql", "0002-more.sql", "more.sql", "0002_More.sql"])
def test_a_badly_named_migration_is_refused(database: Database, folder: Path, name: str):
    database.upgrade()
    before = content(database.path)
    (folder / name).write_text("INSERT INTO fruits VALUES ('pear');")
    with pytest.raises(MigrationError, match=name):
        database.upgrade()
    assert content(database.path) == before


def test_two_migrations_of_one_number_are_refused(database: Database, folder: Path):
    (folder / "0002_a.sql").write_text("INSERT INTO fruits VALUES ('pear');")
    (folder / "0002_b.sql").write_text("INSERT INTO fruits VALUES ('plum');")
    with pytest.raises(MigrationError, match="2 migrations numbered 0002"):
        database.upgrade()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM fruits; INSERT INTO nowhere VALUES (1);", "0003_bad.sql failed: no such"),
        ("DELETE FROM fruits; CREATE TABLE half (", "0003_bad.sql failed: incomplete input"),
        ("DELETE FROM fruits; COMMIT;", "0003_bad.sql failed: not authorized"),
        (
            "CREATE TABLE pips (fruit INTEGER REFERENCES fruits (name));",
            "0003_bad.sql failed: foreign key mismatch",
        ),
        (
            "CREATE TABLE trees (id INTEGER PRIMARY KEY);"
            "CREATE TABLE leaves (tree INTEGER REFERENCES trees (id));"
            "INSERT INTO leaves VALUES (7);",
            "0003_bad.sql leaves rows without their parents",
        ),
    ],
    ids=["fails in the middle", "cut off", "commits", "bad key", "orphans"],
)
def test_a_failing_migration_leaves_the_file_as_it_was(
    database: Database, folder: Path, sql: str, said: str
):
    """Also what came before it in the same run: the version that wrote the file can go on."""
    database.upgrade()
    before = content(database.path)
    (folder / "0002_more.sql").write_text("INSERT INTO fruits VALUES ('pear');")
    (folder / "0003_bad.sql").write_text(sql)
    (folder / "0004_later.sql").write_text("INSERT INTO fruits VALUES ('plum');")
    with pytest.raises(MigrationError, match=said):
        database.upgrade()
    assert content(database.path) == before
    assert foreign_keys(database) == 1
    (folder / "0003_bad.sql").write_text("INSERT INTO fruits VALUES ('fig');")
    assert len(database.upgrade()) == 3
    assert names(database) == ["apple", "pear", "fig", "plum"]


def test_a_table_can_be_made_anew_without_losing_who_points_at_it(database: Database, folder: Path):
    (folder / "0002_trees.sql").write_text(
        "CREATE TABLE trees (id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE leaves (tree INTEGER NOT NULL REFERENCES trees (id) ON DELETE CASCADE);"
        "INSERT INTO trees VALUES (1, 'oak'); INSERT INTO leaves VALUES (1);"
    )
    database.upgrade()
    (folder / "0003_anew.sql").write_text(
        "CREATE TABLE trees_anew (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
        "INSERT INTO trees_anew SELECT * FROM trees; DROP TABLE trees;"
        "ALTER TABLE trees_anew RENAME TO trees;"
    )
    database.upgrade()
    assert database.connection.execute("SELECT COUNT(*) FROM leaves").fetchone()[0] == 1
    assert foreign_keys(database) == 1
    database.connection.execute("DELETE FROM trees")
    assert database.connection.execute("SELECT COUNT(*) FROM leaves").fetchone()[0] == 0


def test_two_processes_that_upgrade_at_once_apply_each_migration_once(tmp_path: Path):
    path = tmp_path / "trading.db"
    script = (
        "import sys; from pathlib import Path; from clock import SystemClock;"
        "from database import Database; sys.stdin.readline();"
        "print(len(Database(Path(sys.argv[1]), SystemClock()).upgrade()))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    applied = [int(process.communicate(timeout=30)[0]) for process in processes]
    assert sorted(applied) == [0, 0, len(list(MIGRATIONS.glob("*.sql")))]


# ------------------------------------------------------------------------- files that are broken


def spoil_pages(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + b"\xff" * (len(whole) - 200))


@pytest.mark.parametrize("spoil", [
    lambda path: path.write_text("These are my holiday notes. " * 100),
    lambda path: path.write_bytes(path.read_bytes()[:700]),
    spoil_pages,
], ids=["text", "cut", "spoilt"])  # fmt: skip
def test_a_file_that_is_no_database_is_one_sentence(database: Database, spoil):
    database.upgrade()
    database.close()
    spoil(database.path)
    digest = hashlib.sha256(database.path.read_bytes()).digest()
    with pytest.raises(MigrationError) as refused:
        database.upgrade()
    assert str(database.path) in refused.value.message
    assert "\n" not in refused.value.message
    assert hashlib.sha256(database.path.read_bytes()).digest() == digest


def test_a_path_that_cannot_hold_a_database_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "trading.db"):
        with pytest.raises(MigrationError, match="cannot be used as a database"):
            Database(path, ManualClock(NOW_MS)).upgrade()


# ----------------------------------------------------------------------------------- statements


def split(sql: str) -> list[str]:
    return [statement.strip() for statement in _statements(sql)]


def test_a_script_is_split_at_the_ends_of_its_statements():
    assert split("CREATE TABLE a (x);\nCREATE TABLE b (x); CREATE TABLE c (x);\n") == [
        "CREATE TABLE a (x);", "CREATE TABLE b (x);", "CREATE TABLE c (x);",
    ]  # fmt: skip
    assert split("INSERT INTO a VALUES ('x; y');") == ["INSERT INTO a VALUES ('x; y');"]
    assert split("SELECT 1") == ["SELECT 1"]
    assert split("") == split("\n \n") == []


def test_semicolons_in_comments_and_triggers_end_nothing():
    script = """
    -- First; the table.
    CREATE TABLE a (x INTEGER /* any; number */, -- its value;
                    y INTEGER);
    CREATE TRIGGER twice AFTER INSERT ON a BEGIN
        UPDATE a SET y = 2 * NEW.x WHERE x = NEW.x; -- both;
        SELECT 1;
    END;
    INSERT INTO a (x) VALUES (21);
    -- The end;
    /* really; */
    """
    assert len([statement for statement in split(script) if "CREATE" in statement]) == 2
    connection = sqlite3.connect(":memory:")
    for statement in _statements(script):
        connection.execute(statement)
    assert connection.execute("SELECT x, y FROM a").fetchall() == [(21, 42)]
    connection.close()


def test_a_checksum_is_that_of_the_text():
    assert (
        Migration(1, "0001_a.sql", "SELECT 1;").checksum == hashlib.sha256(b"SELECT 1;").hexdigest()
    )


# --------------------------------------------------------------------------------- transactions


def test_a_transaction_is_all_or_nothing(database: Database):
    database.upgrade()
    for transaction in (database.transaction, database.ledger_transaction):

        def interrupted(transaction=transaction) -> None:
            with transaction() as connection:
                connection.execute("INSERT INTO fruits VALUES ('pear')")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert names(database) == ["apple"]
    with database.ledger_transaction() as connection:
        connection.execute("INSERT INTO fruits VALUES ('pear')")
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert names(database) == ["apple", "pear"]
    assert database.connection.execute("PRAGMA synchronous").fetchone()[0] == 1  # NORMAL


def test_a_transaction_inside_another_is_refused_and_undoes_both(database: Database):
    database.upgrade()

    def nested(inner) -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO fruits VALUES ('pear')")
            with inner() as connection:
                connection.execute("INSERT INTO fruits VALUES ('plum')")

    for inner in (database.transaction, database.ledger_transaction):
        with pytest.raises(sqlite3.OperationalError, match=r"(within|inside) a transaction"):
            nested(inner)
        assert names(database) == ["apple"]
        assert not database.connection.in_transaction


def test_a_commit_that_fails_leaves_no_transaction_open(current: Database):
    def orphan() -> None:
        with current.transaction() as connection:
            connection.execute("PRAGMA defer_foreign_keys = ON")
            connection.execute("INSERT INTO accounts VALUES (99, '1', '0', '0', '0')")

    with pytest.raises(sqlite3.IntegrityError):
        orphan()
    assert not current.connection.in_transaction
    assert current.connection.execute("SELECT COUNT(*) FROM accounts").fetchone()[0] == 0
    with current.transaction():
        pass


def test_a_full_disk_is_an_error_that_books_nothing(database: Database):
    database.upgrade()
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    def write_much() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO fruits VALUES ('pear')")
            connection.execute("INSERT INTO fruits VALUES (?)", ("x" * 100_000,))

    with pytest.raises(DatabaseUnavailable, match="full"):
        write_much()
    assert names(database) == ["apple"]
    with database.transaction() as writing:
        writing.execute("INSERT INTO fruits VALUES ('pear')")
    assert names(database) == ["apple", "pear"]


def test_every_thread_has_a_connection_of_its_own(database: Database):
    database.upgrade()
    mine = database.connection
    assert database.connection is mine
    with ThreadPoolExecutor(1) as thread:
        others = thread.submit(lambda: database.connection).result()
        assert others is not mine
        assert thread.submit(lambda: names(database)).result() == ["apple"]
        with pytest.raises(sqlite3.ProgrammingError):
            others.execute("SELECT 1")
        thread.submit(database.close).result()
    database.close()
    assert database.connection is not mine


def test_every_connection_has_its_pragmas(database: Database):
    pragmas = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 10_000}
    found = {name: database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas}
    assert found == pragmas


def test_two_threads_and_two_processes_that_write_at_once_lose_nothing(database: Database):
    database.upgrade()
    database.connection.execute("CREATE TABLE counter (count INTEGER)")
    database.connection.execute("INSERT INTO counter VALUES (0)")
    script = (
        "import sys; from pathlib import Path; from clock import SystemClock;"
        "from database import Database; from test_database import count_up;"
        "count_up(Database(Path(sys.argv[1]), SystemClock()))"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(database.path)], env=environment)
        for _ in range(2)
    ]
    threads = [threading.Thread(target=count_up, args=(database,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert database.connection.execute("SELECT count FROM counter").fetchone()[0] == 4 * 100
    assert database.connection.execute("SELECT COUNT(*) FROM fruits").fetchone()[0] == 1 + 4 * 100


def count_up(database: Database) -> None:
    """Read and write a hundred times: what is read must hold until it is written."""
    for _ in range(100):
        with database.transaction() as connection:
            count = connection.execute("SELECT count FROM counter").fetchone()[0]
            connection.execute("UPDATE counter SET count = ?", (count + 1,))
            connection.execute("INSERT INTO fruits VALUES ('one')")
    database.close()


def test_a_backup_taken_while_others_write_is_of_one_moment(database: Database, tmp_path: Path):
    database.upgrade()
    database.connection.execute("CREATE TABLE pairs (side TEXT, number INTEGER)")
    ended, has_written = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            with database.transaction() as connection:
                for side in ("left", "right"):
                    connection.execute("INSERT INTO pairs VALUES (?, ?)", (side, number))
            has_written.set()
        database.close()

    writer = threading.Thread(target=write)
    writer.start()
    counts = []
    try:
        for turn in range(5):
            has_written.clear()
            assert has_written.wait(30)
            copy = sqlite3.connect(database.backup(tmp_path / f"copy-{turn}.db"))
            assert copy.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            sides = copy.execute("SELECT side, COUNT(*) FROM pairs GROUP BY side").fetchall()
            copy.close()
            counts.append(dict(sides))
    finally:
        ended.set()
        writer.join()
    assert all(count.get("left") == count.get("right") for count in counts)
    assert counts[0]["left"] < counts[-1]["left"]


def test_a_backup_that_cannot_be_made_leaves_nothing(database: Database, tmp_path: Path):
    with pytest.raises(DataError, match="There is no database"):
        database.backup(tmp_path / "copy.db")
    database.upgrade()
    with pytest.raises(DataError, match="cannot be copied"):
        database.backup(tmp_path / "nowhere" / "copy.db")
    (tmp_path / "copy.db.part").write_bytes(b"cut off" * 1000)
    assert content(database.backup(tmp_path / "copy.db")) == content(database.path)
    assert [file.name for file in tmp_path.glob("copy*")] == ["copy.db"]


# ------------------------------------------------------------------------------- foreign keys

MODEL = (
    "INSERT INTO models (id, name, trader, provider_id, initial_capital, interval, cycle_minutes, "
    "risk, created_at, updated_at) VALUES (1, 'm', 't', 1, '1', '1h', 60, 'off', 0, 0)"
)
ROWS = (
    "DELETE FROM coin_groups",
    "INSERT INTO coin_groups (id, name, description, created_at) VALUES (1, 'group', NULL, 0)",
    "INSERT INTO coin_group_members (id, group_id, coin_id, sort_order) VALUES (1, 1, 1, 0)",
    "INSERT INTO providers (id, name, api_url, created_at, updated_at) VALUES (1, 'p', 'http://x', 0, 0)",
    MODEL,
    "INSERT INTO model_coin_pools (model_id, coin_id, added_at) VALUES (1, 1, 0)",
    "INSERT INTO market_data_cache VALUES (1, 'price', 'binance', '{}', 0, 0)",
    "INSERT INTO klines VALUES (1, 'binance', '1h', 0, 1, 1, 1, 1, 1)",
    "INSERT INTO kline_coverage VALUES (1, 'binance', '1h', 0, 1)",
    "INSERT INTO cycles (id, model_id, started_at, status) VALUES (1, 1, 0, 'done')",
    "INSERT INTO conversations (id, model_id, cycle_id, timestamp) VALUES (1, 1, 1, 0)",
    "INSERT INTO accounts VALUES (1, '1', '0', '0', '0')",
    "INSERT INTO account_values VALUES (1, 1, 0, '1', '1', '0')",
    "INSERT INTO backtests (id, model_id, config, config_hash, status, created_at) "
    "VALUES (1, 1, '{}', '', 'done', 0)",
)
DECISION = (
    "INSERT INTO decisions VALUES (1, 1, 1, {coin}, 'BTC', 0, 'hold', '{{}}', 'held', NULL, NULL)"
)
TRADE = (
    "INSERT INTO trades VALUES (1, 1, 1, 'BTC', 0, 'open', 'long', '1', '1', '1', '0', '0', '0', "
    "'0', 'signal', NULL, NULL, NULL, {decision}, NULL)"
)
POSITION = (
    "INSERT INTO positions VALUES (1, 1, 'BTC', 'long', '1', '1', '1', '0', '0', 0, "
    "NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
)


@pytest.fixture
def filled(current: Database) -> sqlite3.Connection:
    """A row in every table that points at another; BTC has the id 1."""
    for statement in ROWS:
        current.connection.execute(statement)
    return current.connection


def count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize(
    ("deleted", "emptied"),
    [
        ("coins", ["coin_group_members", "model_coin_pools", "market_data_cache", "klines",
                   "kline_coverage"]),
        ("coin_groups", ["coin_group_members"]),
        ("models", ["model_coin_pools", "cycles", "conversations", "accounts", "account_values"]),
        ("cycles", ["conversations"]),
    ],
)  # fmt: skip
def test_what_belongs_to_a_row_goes_with_it(
    filled: sqlite3.Connection, deleted: str, emptied: list[str]
):
    assert all(count(filled, table) == 1 for table in emptied)
    filled.execute(f"DELETE FROM {deleted} WHERE id = 1")
    assert {table: count(filled, table) for table in emptied} == dict.fromkeys(emptied, 0)


def test_a_models_whole_history_goes_with_it(filled: sqlite3.Connection):
    filled.execute(DECISION.format(coin=1))
    filled.execute(TRADE.format(decision="NULL"))
    filled.execute(POSITION)
    filled.execute("DELETE FROM models WHERE id = 1")
    assert [count(filled, table) for table in ("decisions", "trades", "positions")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("needing", "deleted"),
    [
        ("SELECT 1", "providers"),
        (DECISION.format(coin=1), "coins"),
        (TRADE.format(decision="NULL"), "coins"),
        (POSITION, "coins"),
        (f"{DECISION.format(coin='NULL')}; {TRADE.format(decision=1)}", "decisions"),
    ],
    ids=["provider of a model", "coin of a decision", "coin of a trade", "coin of a position",
         "decision of a trade"],
)  # fmt: skip
def test_what_history_points_at_cannot_be_deleted(
    filled: sqlite3.Connection, needing: str, deleted: str
):
    for statement in needing.split("; "):
        filled.execute(statement)
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        filled.execute(f"DELETE FROM {deleted} WHERE id = 1")
    assert count(filled, deleted) >= 1


def test_a_backtest_outlives_its_model(filled: sqlite3.Connection):
    filled.execute("DELETE FROM models WHERE id = 1")
    assert tuple(filled.execute("SELECT id, model_id FROM backtests").fetchone()) == (1, None)


def test_a_row_without_its_parent_is_refused(current: Database):
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        current.connection.execute("INSERT INTO accounts VALUES (99, '1', '0', '0', '0')")
