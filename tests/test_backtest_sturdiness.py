"""Queued backtests outlive their process, twice killed: each is run to its end once, none is lost.

`STURDY_RUNS=50` makes it the full measurement, which also holds the pages to their time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from new_database import new_database
from page_client import page_session
from test_server import serving

from backtest_audit import generated_history
from clock import SystemClock
from database import Database
from kline_store import KlineStore
from repositories import coins
from timestamps import iso_utc

RUNS = int(os.environ.get("STURDY_RUNS", "8"))
FULL = RUNS >= 50
BARS = 24 * 150
P99_MS = 250.0
PAGES = ("/", "/backtest", "/models", "/api/health", "/api/backtests?limit=50", "/api/models")
ONCE = """
CREATE TABLE ends (backtest_id INTEGER NOT NULL, status TEXT NOT NULL);
"""
NOTE_END = """
CREATE TRIGGER note_end AFTER UPDATE OF status ON backtests
WHEN NEW.status IN ('done', 'failed', 'cancelled')
BEGIN INSERT INTO ends VALUES (NEW.id, NEW.status); END
"""


def prepared(folder: Path) -> Database:
    """A database with candles of one coin, which notes every end of a run."""
    database = new_database(folder / "trading.db", SystemClock())
    coin = coins.get(database.connection, "BTC")
    (series,) = generated_history(1, BARS).values()
    series = replace(series, source="binance")
    end = int(series.open_time[-1]) + series.interval.milliseconds
    KlineStore(database).store(coin, series, (int(series.open_time[0]), end))
    database.connection.execute(ONCE)
    database.connection.execute(NOTE_END)
    return database


def terms(seed: int) -> dict[str, Any]:
    """A run that decides at every bar, and so takes a while."""
    return {
        "trader": "random", "coins": ["BTC"], "interval": "1h", "lot_rounding": False,
        "params": {"enter_chance": 0.5, "close_chance": 0.5, "seed": seed},
        "start_date": "2024-01-02", "end_date": iso_utc(1_704_067_200_000 + BARS * 3_600_000 - 1)[:10],
    }  # fmt: skip


def ended(database: Database) -> dict[str, int]:
    rows = database.connection.execute("SELECT status, COUNT(*) FROM ends GROUP BY status")
    return {row[0]: row[1] for row in rows}


def until(condition: Callable[[], bool], seconds: float = 110 if not FULL else 900) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


@contextmanager
def visited(address: str, took_ms: list[float]) -> Iterator[None]:
    """Pages are asked for in a loop, as long as the server is there."""
    leaving = threading.Event()

    def visit() -> None:
        with requests.Session() as browser:
            while not leaving.is_set():
                for page in PAGES:
                    began = time.perf_counter()
                    try:
                        status = browser.get(f"{address}{page}", timeout=20).status_code
                    except requests.RequestException:
                        return  # killed
                    took_ms.append((time.perf_counter() - began) * 1000)
                    assert status == 200, page
                    leaving.wait(0.02)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield
    finally:
        leaving.set()
        visitor.join()


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that run backtests: all children but the tracker of resources."""
    command = ["ps", "--ppid", str(process.pid), "-o", "pid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "spawn_main" in line]


@pytest.mark.kill
@pytest.mark.timeout(1000 if FULL else 120)
def test_queued_runs_outlive_two_kills_and_none_runs_twice(tmp_path: Path):
    database = prepared(tmp_path)
    settings = {"TRADING_LOOP": "off", "BACKTEST_WORKERS": "2"}
    took_ms: list[float] = []
    stages = [RUNS // 3, 2 * RUNS // 3, RUNS]
    with serving(tmp_path, **settings) as (process, address), visited(address, took_ms):
        page = page_session(address)
        ids = [
            page.post(f"{address}/api/backtest/run", json=terms(seed), timeout=20).json()["id"]
            for seed in range(RUNS)
        ]
        last = f"{address}/api/backtests/{ids[-1]}/cancel"
        assert page.post(last, json={}, timeout=20).status_code == 200
        until(lambda: sum(ended(database).values()) > stages[0])
        process.send_signal(signal.SIGKILL)
        process.wait()
    with serving(tmp_path, **settings) as (process, address), visited(address, took_ms):
        until(lambda: bool(workers_of(process)) or sum(ended(database).values()) == RUNS)
        for worker in workers_of(process)[:1]:  # a worker alone: its run is begun again
            os.kill(worker, signal.SIGKILL)
        until(lambda: sum(ended(database).values()) > stages[1])
        process.send_signal(signal.SIGKILL)
        process.wait()
    with serving(tmp_path, **settings) as (process, address), visited(address, took_ms):
        until(lambda: sum(ended(database).values()) >= stages[2])
        process.send_signal(signal.SIGTERM)
        process.wait()
    assert ended(database) == {"done": RUNS - 1, "cancelled": 1}
    doubled = database.connection.execute(
        "SELECT backtest_id FROM ends GROUP BY backtest_id HAVING COUNT(*) > 1"
    ).fetchall()
    assert doubled == []
    reports = database.connection.execute(
        "SELECT COUNT(*) FROM backtests WHERE status = 'done' AND report IS NOT NULL"
    ).fetchone()[0]
    assert reports == RUNS - 1
    database.close()
    p50, p99 = np.percentile(took_ms, [50, 99])
    print(f"{RUNS} runs; {len(took_ms)} pages: p50 {p50:.0f} ms, p99 {p99:.0f} ms")  # noqa: T201
    if FULL:
        assert p99 < P99_MS


def test_a_second_process_leaves_the_runs_of_the_first_alone(tmp_path: Path):
    database = prepared(tmp_path)
    settings = {"TRADING_LOOP": "off", "BACKTEST_WORKERS": "1"}
    with serving(tmp_path, **settings) as (_, first):
        page = page_session(first)
        ids = [
            page.post(f"{first}/api/backtest/run", json=terms(seed), timeout=20).json()["id"]
            for seed in range(2)
        ]
        starts = "SELECT COUNT(*) FROM backtests WHERE runner IS NOT NULL AND runner = ?"
        (runner,) = database.connection.execute("SELECT runner FROM backtests").fetchone()
        with serving(tmp_path, **settings):
            until(lambda: sum(ended(database).values()) == len(ids))
            assert database.connection.execute(starts, (runner,)).fetchone()[0] == len(ids)
    assert ended(database) == {"done": len(ids)}
    database.close()
