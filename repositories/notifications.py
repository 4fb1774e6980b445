"""Where the owner is told of what happens, and of what: one row, none before it is first set."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence


def load(connection: sqlite3.Connection) -> tuple[str | None, list[str]] | None:
    """The sealed address, and the names of the events; None before they were set."""
    row = connection.execute("SELECT sealed_address, events FROM notifications").fetchone()
    return None if row is None else (row["sealed_address"], json.loads(row["events"]))


def store(
    connection: sqlite3.Connection, sealed_address: str | None, events: Sequence[str]
) -> None:
    """Set both."""
    connection.execute(
        "INSERT INTO notifications (id, sealed_address, events) VALUES (1, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET sealed_address = excluded.sealed_address, "
        "events = excluded.events",
        (sealed_address, json.dumps(list(events))),
    )
