"""What was noticed about the sources' data."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataAlert:
    """A row of data_alerts; its id is 0 until stored, its time that of the wall clock."""

    time_ms: int
    kind: str
    source: str
    coin: str | None
    message: str
    id: int = 0


def add(connection: sqlite3.Connection, alerts: Iterable[DataAlert], keep: int) -> None:
    """Store alerts, and delete all but the newest `keep`."""
    connection.executemany(
        "INSERT INTO data_alerts (time_ms, kind, source, coin, message) VALUES (?, ?, ?, ?, ?)",
        [(alert.time_ms, alert.kind, alert.source, alert.coin, alert.message) for alert in alerts],
    )
    connection.execute(
        "DELETE FROM data_alerts WHERE id <= (SELECT MAX(id) FROM data_alerts) - ?", (keep,)
    )


def newest(
    connection: sqlite3.Connection, limit: int, before: int | None = None
) -> list[DataAlert]:
    """The newest `limit` alerts, newest first; of those with a lower id than `before`."""
    rows = connection.execute(
        "SELECT time_ms, kind, source, coin, message, id FROM data_alerts "
        "WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT ?",
        (before, before, limit),
    )
    return [DataAlert(*row) for row in rows]
