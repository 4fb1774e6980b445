"""The commands: what they say, what they leave behind, and the status that they end with."""

import gzip
import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import click
import pytest
from click.testing import Result
from flask import Flask
from test_binance_archive import START_MS, hourly_rows, row, write

import ledger
from app import create_app
from config import Config
from database import MIGRATIONS, Database
from domain import HOUR_MS, Fill, FillKind, Interval, Side, TradingModel
from ledger import Account
from repositories import books, coins, models
from routes.services import EXTENSION


@pytest.fixture
def app(app_config: Config) -> Iterator[Flask]:
    """An app whose database has not been made yet."""
    app = create_app(app_config)
    yield app
    app.extensions[EXTENSION].database.close()


@pytest.fixture
def path(app_config: Config) -> Path:
    """Where the database is, or will be."""
    return app_config.DATABASE_PATH


def run(app: Flask, *words: object) -> Result:
    result = app.test_cli_runner().invoke(args=[str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def database(app: Flask) -> Database:
    found: Database = app.extensions[EXTENSION].database
    return found


# ---------------------------------------------------------------------------------------- db


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, f"{path} {name}".strip())
    else:
        yield path, command


def test_no_command_has_an_option_twice(app: Flask):
    found = dict(leaves(app.cli, ""))
    assert len(found) > 20
    for path, command in found.items():
        names = [name for option in command.params for name in option.opts]
        assert len(set(names)) == len(names), path


def test_upgrade_applies_each_migration_once(app: Flask):
    names = sorted(file.name for file in MIGRATIONS.glob("*.sql"))
    first = run(app, "db", "upgrade")
    assert first.exit_code == 0
    assert first.output.splitlines() == [f"applied {name}" for name in names]
    again = run(app, "db", "upgrade")
    assert (again.exit_code, again.output) == (0, "The database is up to date.\n")


def test_status_says_what_is_missing(app: Flask, path: Path):
    lines = run(app, "db", "status").output.splitlines()
    assert all(line.endswith(" missing") for line in lines)
    run(app, "db", "upgrade")
    lines = run(app, "db", "status").output.splitlines()
    assert len(lines) == len(list(MIGRATIONS.glob("*.sql")))
    assert all(line.startswith("00") and line.endswith("Z") for line in lines)


def test_a_backup_is_a_whole_database(app: Flask, tmp_path: Path):
    run(app, "db", "upgrade")
    target = tmp_path / "copy.db"
    done = run(app, "db", "backup", target)
    assert (done.exit_code, done.output) == (0, f"copied to {target} without keys\n")
    copy = sqlite3.connect(target)
    assert copy.execute("SELECT COUNT(*) FROM coins").fetchone()[0] > 20
    copy.close()


def test_a_backup_replaces_nothing(app: Flask, tmp_path: Path, path: Path):
    run(app, "db", "upgrade")
    (tmp_path / "copy.db").write_text("mine")
    for target in (tmp_path / "copy.db", path):
        done = run(app, "db", "backup", target)
        assert (done.exit_code, done.output) == (1, f"Error: {target} is there already.\n")
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_backup_of_nothing_or_to_nowhere_is_refused(app: Flask, tmp_path: Path, path: Path):
    done = run(app, "db", "backup", tmp_path / "copy.db")
    assert (done.exit_code, done.output) == (1, f"Error: There is no database at {path}.\n")
    assert not (tmp_path / "copy.db").exists()
    run(app, "db", "upgrade")
    done = run(app, "db", "backup", tmp_path / "nowhere" / "copy.db")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")


@pytest.mark.parametrize(
    "words", [["db", "upgrade"], ["db", "status"], ["db", "backup", "copy"], ["ledger", "verify"]]
)
def test_a_file_that_is_no_database_is_one_sentence(
    app: Flask, path: Path, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    path.write_text("My holiday notes. " * 500)
    done = run(app, *words)
    assert (done.exit_code, len(done.output.splitlines())) == (1, 1)
    assert done.output.startswith("Error: ")


# ------------------------------------------------------------------------------------ klines


def test_a_folder_is_taken_but_for_its_broken_file(app: Flask, tmp_path: Path):
    folder = tmp_path / "klines"
    folder.mkdir()
    write(folder, hourly_rows(5), "BTCUSDT-1h-2024-01.csv")
    broken = [*hourly_rows(3), row(START_MS + 3 * HOUR_MS, low="-1"), *hourly_rows(1)]
    write(folder, broken, "ETHUSDT-1h-2024-01.csv")
    packed = folder / "SOLUSDT-1h-2024-01.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(hourly_rows(7)).encode()))
    (folder / "README.txt").write_text("not candles")

    done = run(app, "klines", "import", folder)
    assert done.exit_code == 1
    said = done.output.splitlines()
    assert "BTCUSDT-1h-2024-01.csv: 5 candles of BTCUSDT" in said
    assert "SOLUSDT-1h-2024-01.csv.gz: 7 candles of SOLUSDT" in said
    assert "Nothing was taken of 1 files." in said
    (named,) = [line for line in said if line.startswith("Error: ")]
    assert "ETHUSDT-1h-2024-01.csv, line 4" in named
    stored = database(app).connection.execute(
        "SELECT c.symbol, COUNT(*) FROM klines k JOIN coins c ON c.id = k.coin_id GROUP BY c.id"
    )
    assert {tuple(line) for line in stored} == {("BTC", 5), ("SOL", 7)}
    covered = database(app).connection.execute("SELECT start_ms, end_ms FROM kline_coverage")
    assert {tuple(line) for line in covered} == {
        (START_MS, START_MS + 5 * HOUR_MS), (START_MS, START_MS + 7 * HOUR_MS),
    }  # fmt: skip


def test_files_can_be_taken_again(app: Flask, tmp_path: Path):
    file = write(tmp_path, hourly_rows(5))
    for _ in range(2):
        assert run(app, "klines", "import", file).exit_code == 0
    assert database(app).connection.execute("SELECT COUNT(*) FROM klines").fetchone()[0] == 5


def test_a_file_of_a_coin_that_nobody_knows_is_named(app: Flask, tmp_path: Path):
    done = run(app, "klines", "import", write(tmp_path, hourly_rows(2), "MOONUSDT-1h.csv"))
    assert done.exit_code == 1
    assert "MOONUSDT" in done.output


def test_a_folder_without_candles_is_no_success(app: Flask, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    done = run(app, "klines", "import", tmp_path / "empty")
    assert done.exit_code == 1
    assert "no candle files" in done.output


def test_a_path_that_is_not_there_is_refused(app: Flask, tmp_path: Path):
    assert run(app, "klines", "import", tmp_path / "nothing.csv").exit_code == 2


def test_fifteen_thousand_rows_are_taken_in_time(app: Flask, tmp_path: Path):
    run(app, "db", "upgrade")
    file = write(tmp_path, hourly_rows(15_000))
    began = time.process_time()
    assert run(app, "klines", "import", file).exit_code == 0
    assert time.process_time() - began < 3.0  # about 0.2 s


# ------------------------------------------------------------------------------------ ledger


@pytest.fixture
def traded(app: Flask) -> Database:
    """A model that has opened a position."""
    run(app, "db", "upgrade")
    connection = database(app).connection
    terms = TradingModel("Mine", "random", Decimal(10_000), Interval.H1, 60, "off")
    model = models.add(connection, terms, 0)
    fill = Fill(FillKind.OPEN, "BTC", Side.LONG, Decimal("0.1"), Decimal(7000), 0)
    account, entry = ledger.post(Account.opened_with(terms.initial_capital), fill)
    ids = {"BTC": coins.get(connection, "BTC").id}
    books.book(connection, model.id, ids, entry)
    books.store_account(connection, model.id, account, ids, {})
    return database(app)


def test_books_that_balance_say_so(app: Flask, traded: Database):
    done = run(app, "ledger", "verify")
    assert done.exit_code == 0
    first, last = done.output.splitlines()
    assert first == "model 1 Mine: 1 trades, balances"
    assert last.startswith("All books balance at 20")


def test_a_database_that_was_never_made_is_not_verified(app: Flask):
    done = run(app, "ledger", "verify")
    assert (done.exit_code, "not up to date" in done.output) == (1, True)


def test_books_that_were_changed_are_named_also_when_archived(app: Flask, traded: Database):
    traded.connection.execute("UPDATE accounts SET cash = '999999'")
    models.archive(traded.connection, 1, 0)
    done = run(app, "ledger", "verify")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "model 1 Mine: 1 trades, differs",
        "  cash is 999999, the trades give 9300.000000000000000000000000",
        "1 models' books do not follow from their trades.",
    ]
