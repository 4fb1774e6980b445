"""What was noticed about the sources' data."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class DataAlert:
    """A row of data_alerts; its id is 0 until stored, its time that of the wall clock.

    `message` in other words: `code`, which alerts of earlier versions do not have, and `values`.
    """

    time_ms: int
    kind: str
    source: str
    coin: str | None
    message: str
    code: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


def add(connection: sqlite3.Connection, alerts: Iterable[DataAlert], keep: int) -> None:
    """Store alerts, and delete all but the newest `keep`."""
    connection.executemany(
        "INSERT INTO data_alerts (time_ms, kind, source, coin, message, code, details) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                alert.time_ms,
                alert.kind,
                alert.source,
                alert.coin,
                alert.message,
                alert.code,
                json.dumps(alert.values),
            )
            for alert in alerts
        ],
    )
    connection.execute(
        "DELETE FROM data_alerts WHERE id <= (SELECT MAX(id) FROM data_alerts) - ?", (keep,)
    )


def newest(
    connection: sqlite3.Connection, limit: int, before: int | None = None
) -> list[DataAlert]:
    """The newest `limit` alerts, newest first; of those with a lower id than `before`."""
    rows = connection.execute(
        "SELECT time_ms, kind, source, coin, message, code, details, id FROM data_alerts "
        "WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT ?",
        (before, before, limit),
    )
    return [
        DataAlert(time_ms, kind, source, coin, message, code, json.loads(details), number)
        for time_ms, kind, source, coin, message, code, details, number in rows
    ]
