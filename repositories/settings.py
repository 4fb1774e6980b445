"""Settings that the owner changes while the app runs: JSON values by name."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any


def load(connection: sqlite3.Connection) -> dict[str, Any]:
    """Every setting that was ever changed."""
    rows = connection.execute("SELECT key, value FROM settings ORDER BY key")
    return {row["key"]: json.loads(row["value"]) for row in rows}


def store(connection: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    """Set the settings that `values` names."""
    connection.executemany(
        "INSERT INTO settings (key, value) VALUES (?, ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [(key, json.dumps(value)) for key, value in values.items()],
    )
