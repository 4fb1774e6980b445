"""`flask klines …`: what the commands say, what they leave behind, and how they end."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from click.testing import Result
from conftest import SIMULATED_NOW_MS
from flask import Flask
from test_binance_archive import START_MS, hourly_rows, row, write
from test_kline_import import serving

from backtest_request import BacktestRequest
from backtest_worker import run_stored_backtest
from domain import DAY_MS, HOUR_MS, Interval
from errors import SourceUnavailable
from kline_store import KlineStore
from kline_sync import Synced
from repositories import backtests, coins
from routes.services import EXTENSION, Services


def run(app: Flask, *words: object) -> Result:
    result = app.test_cli_runner().invoke(args=["klines", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


@pytest.fixture
def stored(app: Flask, tmp_path: Path) -> Flask:
    """An app with forty days of hours of BTC, three of them missing, and a day of ETH."""
    rows = hourly_rows(960)
    write(tmp_path, rows[:100] + rows[103:], "BTCUSDT-1h-2024.csv")
    write(tmp_path, hourly_rows(24), "ETHUSDT-1h-2024.csv")
    files = (tmp_path / "BTCUSDT-1h-2024.csv", tmp_path / "ETHUSDT-1h-2024.csv")
    assert run(app, "import", *files).exit_code == 0
    return app


# --------------------------------------------------------------------------------------- import


def test_a_file_is_taken_from_a_url(app: Flask, services: Services):
    name = "BTCUSDT-1h-2024-01.csv"
    content = "\n".join(hourly_rows(7)).encode()
    with serving({f"/data/{name}": (200, {}, content)}) as address:
        done = run(app, "import", f"{address}/data/{name}", f"{address}/data/ETHUSDT-1h.zip")
    assert done.exit_code == 1
    assert f"{name}: 7 candles of BTCUSDT" in done.output
    assert "status 404" in done.output
    count = services.database.connection.execute("SELECT COUNT(*) FROM klines").fetchone()[0]
    assert count == 7


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/BTCUSDT-1h.csv"])
def test_other_addresses_are_refused(app: Flask, place: str):
    done = run(app, "import", place)
    assert done.exit_code == 1
    assert "Error: " in done.output


# ----------------------------------------------------------------------------------------- sync


def test_a_sync_goes_on_where_it_stopped(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
):
    words = ["sync", "--coins", "BTC,eth", "--interval", "1m", "--start", "2024-05-20"]
    words += ["--end", "2024-05-30T12:00:00Z"]
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    fetch, asked = services.data_aggregator.fetch_history, []

    def fails_at_the_third(*question: object) -> object:
        asked.append(question)
        if len(asked) >= 3:
            return Synced("binance", 5120, SourceUnavailable("it is cut off"))
        return fetch(*question)  # type: ignore[arg-type]

    with monkeypatch.context() as cut:
        cut.setattr(services.data_aggregator, "fetch_history", fails_at_the_third)
        done = run(app, *words)
    assert done.exit_code == 1
    assert "BTC 1m: 15,120 candles from binance, 2024-05-20" in done.output
    assert "Error: 10,240 bars of ETH could not be had: it is cut off" in done.output
    assert "Run the same command again" in done.output
    done = run(app, *words)
    assert done.exit_code == 0
    store = KlineStore(services.database)
    for symbol in ("BTC", "ETH"):
        assert f"{symbol} 1m: 15,120 candles from binance" in done.output
        coverage = store.coverage(
            coins.get(services.database.connection, symbol), "binance", Interval.M1
        )
        assert coverage is not None
        assert (coverage.bars, coverage.missing_bars) == (15_120, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--coins", "MOON", "--interval", "1h", "--start", "2024-05-01"], "MOON"),
        (["--coins", "BTC", "--interval", "1h", "--start", "2030-01-01"], "No bar opened"),
        (["--coins", "BTC", "--interval", "9h", "--start", "2024-05-01"], "'9h' is not one of"),
        (["--coins", "BTC", "--interval", "1h", "--start", "soon"], "'soon' is no date"),
    ],
)
def test_a_sync_of_nothing_is_refused(app: Flask, words: list[str], said: str):
    done = run(app, "sync", *words)
    assert done.exit_code in (1, 2)
    assert said in done.output


def test_coins_in_use_are_kept_current(app: Flask, services: Services):
    client = app.test_client()
    body = {"name": "Holder", "trader": "buy_and_hold", "risk": "off", "interval": "1h"}
    model_id = client.post("/api/models", json=body).json["id"]
    client.put(f"/api/models/{model_id}/coins", json={"coins": ["BTC", "SOL"]})
    kept = [job for job in services.loop._scheduler.get_jobs() if job.id == "housekeeping-candles"]
    kept[0].args[1]()
    store = KlineStore(services.database)
    stop = Interval.H1.floor(SIMULATED_NOW_MS)
    pool = services.database.connection.execute(
        "SELECT c.symbol FROM model_coin_pools m JOIN coins c ON c.id = m.coin_id"
    )
    symbols = {row[0] for row in pool}
    assert symbols
    for symbol in symbols:
        coin = coins.get(services.database.connection, symbol)
        assert store.missing(coin, "binance", Interval.H1, stop - 400 * HOUR_MS, stop) == []
    assert store.missing(coin, "binance", Interval.H1, stop - 600 * HOUR_MS, stop) != []


# ------------------------------------------------------------------------- export, gaps, archive


def test_what_is_exported_is_what_is_stored(stored: Flask, tmp_path: Path):
    target = tmp_path / "btc.csv"
    done = run(stored, "export", "btc", "--interval", "1h", "-o", target, "--end", "2024-01-02")
    assert (done.exit_code, done.output) == (0, f"{target}: 24 candles of BTC\n")
    lines = target.read_text().splitlines()
    assert lines[0] == "open_time,open,high,low,close,volume"
    assert lines[1] == f"{START_MS},42283.58,42554.57,42261.02,42475.23,1271.68108"
    assert len(lines) == 25
    target = tmp_path / "all.parquet"
    words = ["--interval", "1h", "--format", "parquet", "-o", target]
    assert run(stored, "export", "BTC", *words).exit_code == 0
    assert parquet.read_table(target).num_rows == 957


def test_an_export_of_nothing_or_over_something_is_refused(stored: Flask, tmp_path: Path):
    target = tmp_path / "there.csv"
    for words, said in (
        (["BTC", "--interval", "1d", "-o", target], "No 1d candles of BTC from binance are stored"),
        (["BTC", "--interval", "1h", "--source", "okx", "-o", target], "from okx"),
        (["BTC", "--interval", "1h", "--start", "2030-01-01", "-o", target], "are stored there"),
        (["MOON", "--interval", "1h", "-o", target], "MOON"),
        (["BTC", "--interval", "1h", "-o", tmp_path / "x.txt"], "must end in .csv"),
        (["BTC", "--interval", "1h", "-o", tmp_path / "no" / "x.csv"], "cannot be written"),
    ):
        done = run(stored, "export", *words)
        assert done.exit_code in (1, 2)
        assert said in done.output
    assert not target.exists()
    target.write_text("mine")
    assert (
        "is there already" in run(stored, "export", "BTC", "--interval", "1h", "-o", target).output
    )
    assert target.read_text() == "mine"
    assert not list(tmp_path.glob("*.part"))


def test_gaps_are_listed(stored: Flask):
    done = run(stored, "gaps")
    assert done.output == (
        "BTC 1h binance: 2024-01-05T04:00:00Z to 2024-01-05T06:00:00Z, 3 bars, binance has none\n"
    )
    assert run(stored, "gaps", "--coins", "ETH").output == "There are no gaps.\n"
    assert run(stored, "gaps", "--interval", "1d").output == "There are no gaps.\n"


def test_archiving_says_what_moved_and_can_be_run_again(
    stored: Flask, services: Services, tmp_path: Path
):
    btc = coins.get(services.database.connection, "BTC")
    store = KlineStore(services.database)
    before = store.read(btc, "binance", Interval.H1, 0, START_MS + 400 * DAY_MS)
    first, second = run(stored, "archive", "--before", "2024-02-01").output.splitlines()
    assert first == "765 candles of 2 months have moved to trading.klines."
    assert second.startswith("The database had ")
    assert len(list((tmp_path / "trading.klines").rglob("*.parquet"))) == 2
    assert run(stored, "archive", "--before", "2024-02-01").output.startswith(
        "0 candles of 0 months"
    )
    after = store.read(btc, "binance", Interval.H1, 0, START_MS + 400 * DAY_MS)
    assert list(after) == list(before)
    done = run(stored, "gaps")
    assert "2024-01-05T04:00:00Z to 2024-01-05T06:00:00Z, 3 bars" in done.output
    answer = stored.test_client().get(f"/api/klines/BTC?start={START_MS}&limit=1000")
    assert [bar["timestamp"] for bar in answer.json[:100]] == before.open_time[:100].tolist()


def test_an_archive_that_cannot_be_written_says_so(stored: Flask, services: Services):
    (services.database.path.parent / "trading.klines").write_text("in the way")
    done = run(stored, "archive", "--before", "2024-03-01")
    assert done.exit_code == 1
    assert "archive of candles" in done.output
    count = services.database.connection.execute("SELECT COUNT(*) FROM klines").fetchone()[0]
    assert count == 957 + 24


def test_a_database_that_another_holds_is_one_sentence(
    stored: Flask, services: Services, tmp_path: Path
):
    services.database.connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(services.database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for words in (
        ["import", tmp_path / "ETHUSDT-1h-2024.csv"],
        ["archive", "--before", "2024-03-01"],
    ):
        done = run(stored, *words)
        assert (done.exit_code, "cannot be written now: database is locked" in done.output) == (
            1,
            True,
        )
    other.close()


def test_a_broken_file_stores_nothing(app: Flask, services: Services, tmp_path: Path):
    rows = [*hourly_rows(300), row(START_MS, low="-1")]
    done = run(app, "import", write(tmp_path, rows, "BTCUSDT-1h.csv"))
    assert done.exit_code == 1
    assert "line 301" in done.output
    assert services.database.connection.execute("SELECT COUNT(*) FROM klines").fetchone()[0] == 0


def test_a_backtest_on_archived_candles_is_the_one_on_stored_ones(
    stored: Flask, services: Services
):
    request = BacktestRequest(
        trader="ma_cross", coins=["BTC"], start_date="2024-01-02", end_date="2024-02-08"
    )
    resolved = services.backtests.resolve(request)

    def report() -> Any:
        database = services.database
        with database.transaction() as connection:
            number = backtests.add(connection, resolved.model_dump(mode="json"), "x", None, 0)
            backtests.start(connection, number, 0)
        assert run_stored_backtest(database.path, number, {}) is None
        return backtests.get(database.connection, number, with_report=True).report

    before = report()
    assert before
    assert run(stored, "archive", "--before", "2024-03-01").exit_code == 0
    assert report() == before
