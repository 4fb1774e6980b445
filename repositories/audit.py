"""The audit log's rows: added and read, never changed (the table itself refuses that)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FILTERS = ("actor", "action", "object_type", "object_id")
_FIELDS = (
    "timestamp", "actor", "actor_name", "action", "object_type", "object_id", "object_name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what to which object. `timestamp` in ms UTC of the wall clock; the id is 0 until stored.

    `changes` maps each changed field to its `before` and `after`, as JSON has them.
    """

    timestamp: int
    actor: str
    actor_name: str | None
    action: str
    object_type: str
    object_id: int | None
    object_name: str | None
    changes: Mapping[str, Mapping[str, Any]]
    id: int = 0


def add(connection: sqlite3.Connection, row: AuditRow) -> None:
    """Store a row."""
    connection.execute(
        f"INSERT INTO audit_log ({', '.join(_FIELDS)}, changes) "
        f"VALUES ({', '.join('?' * len(_FIELDS))}, ?)",
        (
            *(getattr(row, name) for name in _FIELDS),
            json.dumps(row.changes, ensure_ascii=False),
        ),
    )


def newest(
    connection: sqlite3.Connection,
    limit: int,
    before: int | None = None,
    wanted: Mapping[str, str | int] | None = None,
) -> list[AuditRow]:
    """Rows, newest first; `before` is the id to page back from, `wanted` values of `FILTERS`."""
    named = [name for name in FILTERS if name in (wanted or {})]
    conditions = "".join(f" AND {name} = ?" for name in named)
    rows = connection.execute(
        f"SELECT * FROM audit_log WHERE id < ?{conditions} ORDER BY id DESC LIMIT ?",
        (2**62 if before is None else before, *((wanted or {})[name] for name in named), limit),
    )
    return [_row(row) for row in rows]


def later_than(connection: sqlite3.Connection, row_id: int, limit: int) -> list[AuditRow]:
    """The first rows after that with the id `row_id`, oldest first."""
    rows = connection.execute(
        "SELECT * FROM audit_log WHERE id > ? ORDER BY id LIMIT ?", (row_id, limit)
    )
    return [_row(row) for row in rows]


def last_id(connection: sqlite3.Connection) -> int:
    """The newest row's id; 0 without any."""
    found = connection.execute("SELECT MAX(id) FROM audit_log").fetchone()[0]
    return int(found or 0)


def _row(row: sqlite3.Row) -> AuditRow:
    return AuditRow(
        **{name: row[name] for name in _FIELDS}, changes=json.loads(row["changes"]), id=row["id"]
    )
