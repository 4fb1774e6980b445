"""Searches over parameters: each with its terms, its state, and its result when it is done."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from errors import Failure, NotFound

_LIST_COLUMNS = (
    "id, config, status, progress, tries, skipped, error_code, error, error_values, created_at, "
    "started_at, finished_at"
)


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """A row of sweeps; `result` only where it was asked for and is there."""

    id: int
    config: Mapping[str, Any]
    status: str
    progress: float
    tries: int
    skipped: int
    error_code: str | None
    error: str | None
    error_values: Mapping[str, Any]
    created_at: int
    started_at: int | None
    finished_at: int | None
    result: Mapping[str, Any] | None = None


def add(
    connection: sqlite3.Connection, config: Mapping[str, Any], tries: int, skipped: int,
    now_ms: int,
) -> int:  # fmt: skip
    """Queue a search of so many combinations; its id."""
    cursor = connection.execute(
        "INSERT INTO sweeps (config, status, tries, skipped, created_at) "
        "VALUES (?, 'queued', ?, ?, ?)",
        (json.dumps(config), tries, skipped, now_ms),
    )
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid


def get(connection: sqlite3.Connection, sweep_id: int, *, with_result: bool = False) -> SweepRecord:
    """One search. Raises NotFound (unknown_sweep)."""
    columns = f"{_LIST_COLUMNS}, result" if with_result else _LIST_COLUMNS
    row = connection.execute(f"SELECT {columns} FROM sweeps WHERE id = ?", (sweep_id,)).fetchone()
    if row is None:
        raise NotFound(
            f"There is no search {sweep_id}.", code="unknown_sweep", values={"id": sweep_id}
        )
    return _record(row)


def list_sweeps(connection: sqlite3.Connection, limit: int) -> list[SweepRecord]:
    """Searches, newest first, without their results."""
    rows = connection.execute(
        f"SELECT {_LIST_COLUMNS} FROM sweeps ORDER BY id DESC LIMIT ?", (limit,)
    )
    return [_record(row) for row in rows]


def unfinished(connection: sqlite3.Connection) -> list[SweepRecord]:
    """Searches that are queued or running, oldest first."""
    rows = connection.execute(
        f"SELECT {_LIST_COLUMNS} FROM sweeps WHERE status IN ('queued', 'running') ORDER BY id"
    )
    return [_record(row) for row in rows]


def start(connection: sqlite3.Connection, sweep_id: int, now_ms: int) -> bool:
    """Take a queued search; False when it is no longer there to take."""
    changed = connection.execute(
        "UPDATE sweeps SET status = 'running', started_at = ?, progress = 0 "
        "WHERE id = ? AND status = 'queued'",
        (now_ms, sweep_id),
    )
    return changed.rowcount == 1


def requeue(connection: sqlite3.Connection, sweep_id: int) -> None:
    """Put a search that its process left unfinished back into the queue."""
    connection.execute(
        "UPDATE sweeps SET status = 'queued', progress = 0, started_at = NULL "
        "WHERE id = ? AND status = 'running'",
        (sweep_id,),
    )


def set_progress(connection: sqlite3.Connection, sweep_id: int, progress: float) -> bool:
    """How much of a running one is done, 0 to 1; False when it no longer runs."""
    changed = connection.execute(
        "UPDATE sweeps SET progress = ? WHERE id = ? AND status = 'running'", (progress, sweep_id)
    )
    return changed.rowcount == 1


def finish(
    connection: sqlite3.Connection, sweep_id: int, result: Mapping[str, Any], now_ms: int
) -> None:
    """Store the result of a running one; a cancelled one stays cancelled."""
    connection.execute(
        "UPDATE sweeps SET status = 'done', progress = 1, result = ?, finished_at = ? "
        "WHERE id = ? AND status = 'running'",
        (zlib.compress(json.dumps(result, allow_nan=False).encode()), now_ms, sweep_id),
    )


def fail(connection: sqlite3.Connection, sweep_id: int, failure: Failure, now_ms: int) -> None:
    """Store why an unfinished one ended without a result."""
    connection.execute(
        "UPDATE sweeps SET status = 'failed', error_code = ?, error = ?, error_values = ?, "
        "finished_at = ? WHERE id = ? AND status IN ('queued', 'running')",
        (failure.code, failure.message, json.dumps(failure.values), now_ms, sweep_id),
    )


def cancel(connection: sqlite3.Connection, sweep_id: int, now_ms: int) -> bool:
    """Cancel an unfinished one; False when it had ended already."""
    changed = connection.execute(
        "UPDATE sweeps SET status = 'cancelled', finished_at = ? "
        "WHERE id = ? AND status IN ('queued', 'running')",
        (now_ms, sweep_id),
    )
    return changed.rowcount == 1


def delete(connection: sqlite3.Connection, sweep_id: int) -> None:
    """Forget a search; one that is under way ends."""
    connection.execute("DELETE FROM sweeps WHERE id = ?", (sweep_id,))


def _record(row: sqlite3.Row) -> SweepRecord:
    result = row["result"] if "result" in row.keys() else None  # noqa: SIM118 - a Row's values
    return SweepRecord(
        row["id"], json.loads(row["config"]), row["status"], row["progress"], row["tries"],
        row["skipped"], row["error_code"], row["error"], json.loads(row["error_values"]), row["created_at"], row["started_at"],
        row["finished_at"], None if result is None else json.loads(zlib.decompress(result)),
    )  # fmt: skip
