"""What the limits of loss of each model are measured against."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from loss_limits import LossWatch


def get(connection: sqlite3.Connection, model_id: int) -> LossWatch | None:
    """A model's watch; None before it was first seen, or since a person has resumed it."""
    row = connection.execute(
        "SELECT * FROM loss_watches WHERE model_id = ?", (model_id,)
    ).fetchone()
    return None if row is None else _watch(row)


def of_all(connection: sqlite3.Connection) -> dict[int, LossWatch]:
    """Every model's watch, by its id."""
    rows = connection.execute("SELECT * FROM loss_watches")
    return {row["model_id"]: _watch(row) for row in rows}


def store(connection: sqlite3.Connection, model_id: int, watch: LossWatch) -> None:
    """Keep a model's watch."""
    connection.execute(
        "INSERT OR REPLACE INTO loss_watches (model_id, day, day_start_value, peak_value, "
        "paused_until, stopped_reason, stopped_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            model_id, watch.day, f"{watch.day_start_value:f}", f"{watch.peak_value:f}",
            watch.paused_until, watch.stopped_reason, watch.stopped_at,
        ),
    )  # fmt: skip


def forget(connection: sqlite3.Connection, model_id: int) -> None:
    """A person resumes the model: its losses count from its value now."""
    connection.execute("DELETE FROM loss_watches WHERE model_id = ?", (model_id,))


def _watch(row: sqlite3.Row) -> LossWatch:
    return LossWatch(
        row["day"],
        Decimal(row["day_start_value"]),
        Decimal(row["peak_value"]),
        row["paused_until"],
        row["stopped_reason"],
        row["stopped_at"],
    )
