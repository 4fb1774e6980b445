"""Backtests: each with its full configuration, its state, and its report when it is done."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from errors import Failure, NotFound

_LIST_COLUMNS = (
    "id, model_id, config, config_hash, data_hash, status, progress, error_code, error, "
    "error_values, created_at, started_at, finished_at, summary, runner"
)


@dataclass(frozen=True, slots=True)
class BacktestRecord:
    """A row of backtests; `report` only where it was asked for."""

    id: int
    model_id: int | None
    config: Mapping[str, Any]
    config_hash: str
    data_hash: str | None
    status: str
    progress: float
    error_code: str | None
    error: str | None
    error_values: Mapping[str, Any]
    created_at: int
    started_at: int | None
    finished_at: int | None
    summary: Mapping[str, Any] | None
    report: Mapping[str, Any] | None = None
    runner: int | None = None  # the process that has taken it up, see runner_mark


def add(
    connection: sqlite3.Connection, config: Mapping[str, Any], config_hash: str,
    model_id: int | None, now_ms: int,
) -> int:  # fmt: skip
    """Queue a run; its id."""
    cursor = connection.execute(
        "INSERT INTO backtests (model_id, config, config_hash, status, created_at) "
        "VALUES (?, ?, ?, 'queued', ?)",
        (model_id, json.dumps(config), config_hash, now_ms),
    )
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid


def get(
    connection: sqlite3.Connection, backtest_id: int, *, with_report: bool = False
) -> BacktestRecord:
    """One run. Raises NotFound (unknown_backtest)."""
    columns = f"{_LIST_COLUMNS}, report" if with_report else _LIST_COLUMNS
    row = connection.execute(
        f"SELECT {columns} FROM backtests WHERE id = ?", (backtest_id,)
    ).fetchone()
    if row is None:
        raise NotFound(
            f"There is no backtest {backtest_id}.",
            code="unknown_backtest",
            values={"id": backtest_id},
        )
    return _record(row)


def list_backtests(connection: sqlite3.Connection, limit: int) -> list[BacktestRecord]:
    """Runs, newest first, without their reports."""
    rows = connection.execute(
        f"SELECT {_LIST_COLUMNS} FROM backtests ORDER BY id DESC LIMIT ?", (limit,)
    )
    return [_record(row) for row in rows]


def find_done(connection: sqlite3.Connection, config_hash: str) -> list[BacktestRecord]:
    """Finished runs of a configuration, newest first."""
    rows = connection.execute(
        f"SELECT {_LIST_COLUMNS} FROM backtests WHERE config_hash = ? AND status = 'done' "
        "ORDER BY id DESC",
        (config_hash,),
    )
    return [_record(row) for row in rows]


def unfinished(connection: sqlite3.Connection) -> list[BacktestRecord]:
    """Runs that are queued or running, oldest first."""
    rows = connection.execute(
        f"SELECT {_LIST_COLUMNS} FROM backtests WHERE status IN ('queued', 'running') ORDER BY id"
    )
    return [_record(row) for row in rows]


def count_unfinished(connection: sqlite3.Connection) -> int:
    """How many are queued or running."""
    rows = connection.execute(
        "SELECT COUNT(*) FROM backtests WHERE status IN ('queued', 'running')"
    )
    return int(rows.fetchone()[0])


def status_of(connection: sqlite3.Connection, backtest_id: int) -> str | None:
    """A run's state; None when it has been deleted."""
    row = connection.execute("SELECT status FROM backtests WHERE id = ?", (backtest_id,)).fetchone()
    return None if row is None else str(row["status"])


def start(connection: sqlite3.Connection, backtest_id: int, now_ms: int) -> bool:
    """Take a queued run; False when it is no longer there to take."""
    changed = connection.execute(
        "UPDATE backtests SET status = 'running', started_at = ?, progress = 0 "
        "WHERE id = ? AND status = 'queued'",
        (now_ms, backtest_id),
    )
    return changed.rowcount == 1


def claim(
    connection: sqlite3.Connection, backtest_id: int, previous: int | None, runner: int
) -> bool:
    """Make an unfinished run this runner's; False where it is no longer its `previous` one's."""
    changed = connection.execute(
        "UPDATE backtests SET runner = ? "
        "WHERE id = ? AND runner IS ? AND status IN ('queued', 'running')",
        (runner, backtest_id, previous),
    )
    return changed.rowcount == 1


def requeue(connection: sqlite3.Connection, backtest_id: int) -> None:
    """Put a run that its process left unfinished back into the queue."""
    connection.execute(
        "UPDATE backtests SET status = 'queued', progress = 0, started_at = NULL "
        "WHERE id = ? AND status = 'running'",
        (backtest_id,),
    )


def set_config(
    connection: sqlite3.Connection, backtest_id: int, config: Mapping[str, Any], config_hash: str
) -> None:
    """Store what the run comes to now that its bars are there."""
    connection.execute(
        "UPDATE backtests SET config = ?, config_hash = ? WHERE id = ?",
        (json.dumps(config), config_hash, backtest_id),
    )


def set_progress(connection: sqlite3.Connection, backtest_id: int, progress: float) -> None:
    """How much of a running one is done, 0 to 1."""
    connection.execute(
        "UPDATE backtests SET progress = ? WHERE id = ? AND status = 'running'",
        (progress, backtest_id),
    )


def finish(
    connection: sqlite3.Connection, backtest_id: int, report: Mapping[str, Any], now_ms: int
) -> None:
    """Store the report of a running one; a cancelled one stays cancelled."""
    connection.execute(
        "UPDATE backtests SET status = 'done', progress = 1, report = ?, summary = ?, "
        "data_hash = ?, finished_at = ? WHERE id = ? AND status = 'running'",
        (
            zlib.compress(json.dumps(report).encode()),
            json.dumps(report["summary"]),
            report["data"]["hash"],
            now_ms,
            backtest_id,
        ),
    )


def fail(connection: sqlite3.Connection, backtest_id: int, failure: Failure, now_ms: int) -> None:
    """Store why an unfinished one ended without a report."""
    connection.execute(
        "UPDATE backtests SET status = 'failed', error_code = ?, error = ?, error_values = ?, "
        "finished_at = ? WHERE id = ? AND status IN ('queued', 'running')",
        (failure.code, failure.message, json.dumps(failure.values), now_ms, backtest_id),
    )


def cancel(connection: sqlite3.Connection, backtest_id: int, now_ms: int) -> bool:
    """Cancel an unfinished one; False when it had ended already."""
    changed = connection.execute(
        "UPDATE backtests SET status = 'cancelled', finished_at = ? "
        "WHERE id = ? AND status IN ('queued', 'running')",
        (now_ms, backtest_id),
    )
    return changed.rowcount == 1


def delete(connection: sqlite3.Connection, backtest_id: int) -> None:
    """Forget a run."""
    connection.execute("DELETE FROM backtests WHERE id = ?", (backtest_id,))


def _record(row: sqlite3.Row) -> BacktestRecord:
    report = row["report"] if "report" in row.keys() else None  # noqa: SIM118 - a Row's values
    return BacktestRecord(
        row["id"], row["model_id"], json.loads(row["config"]), row["config_hash"],
        row["data_hash"], row["status"], row["progress"], row["error_code"], row["error"],
        json.loads(row["error_values"]), row["created_at"], row["started_at"], row["finished_at"],
        None if row["summary"] is None else json.loads(row["summary"]),
        None if report is None else json.loads(zlib.decompress(report)),
        row["runner"],
    )  # fmt: skip
