"""Open positions as exits watch them: whose they are, what changed them, their marks."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal

from repositories.books import Mark


def held_by(connection: sqlite3.Connection, model_id: int) -> list[str]:
    """The coins of a model's open positions."""
    rows = connection.execute("SELECT coin FROM positions WHERE model_id = ?", (model_id,))
    return [row["coin"] for row in rows]


def last_close(connection: sqlite3.Connection, model_id: int, coin: str) -> int | None:
    """When a model last closed a position in a coin, or a part of one."""
    row = connection.execute(
        "SELECT timestamp FROM trades WHERE model_id = ? AND coin = ? "
        "AND kind IN ('close', 'liquidation') ORDER BY id DESC LIMIT 1",
        (model_id, coin),
    ).fetchone()
    return None if row is None else int(row["timestamp"])


def last_trade_id(connection: sqlite3.Connection) -> int:
    """The id of the newest trade of any model: positions change with trades alone."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'trades'").fetchone()
    return 0 if row is None else int(row["seq"])


def models_traded_since(connection: sqlite3.Connection, trade_id: int) -> set[int]:
    """The models with trades after that one."""
    rows = connection.execute("SELECT DISTINCT model_id FROM trades WHERE id > ?", (trade_id,))
    return {row["model_id"] for row in rows}


def store_marks(connection: sqlite3.Connection, marks: Mapping[str, Mark]) -> None:
    """The last good price of each coin, for every model that holds it."""
    connection.executemany(
        "UPDATE positions SET mark_price = ?, mark_time = ? WHERE coin_id = "
        "(SELECT id FROM coins WHERE symbol = ?)",
        [(f"{mark.price:f}", mark.time_ms, coin) for coin, mark in marks.items()],
    )


def store_best_prices(
    connection: sqlite3.Connection, bests: Sequence[tuple[int, str, Decimal]]
) -> None:
    """The best price of positions, by model and coin."""
    connection.executemany(
        "UPDATE positions SET best_price = ? WHERE model_id = ? AND coin = ?",
        [(f"{best:f}", model_id, coin) for model_id, coin, best in bests],
    )
