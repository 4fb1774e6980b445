"""Pools: which coins each model may enter, and how much of it each may take.

A replica's pool is that of its first one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain import Coin
from repositories import coins


@dataclass(frozen=True, slots=True)
class PoolMember:
    """A coin of a pool. `share` is its weight over those of all that may be entered; else 0."""

    coin: Coin
    is_enabled: bool
    weight: float
    share: float


def enterable(connection: sqlite3.Connection, model_id: int) -> list[Coin]:
    """The coins that a model may enter: enabled in its pool, and active."""
    return [member.coin for member in members(connection, model_id) if member.share > 0]


def members(connection: sqlite3.Connection, model_id: int) -> list[PoolMember]:
    """Every coin of a pool, by market cap rank."""
    rows = connection.execute(
        f"SELECT {coins.COLUMNS}, p.is_enabled, p.weight FROM coins c "
        "JOIN model_coin_pools p ON p.coin_id = c.id "
        f"WHERE p.model_id = ? {coins.BY_RANK}",
        (_owner(connection, model_id),),
    ).fetchall()
    total = sum(row["weight"] for row in rows if row["is_enabled"] and row["is_active"])
    return [
        PoolMember(
            coins.coin_of(row),
            bool(row["is_enabled"]),
            row["weight"],
            row["weight"] / total if row["is_enabled"] and row["is_active"] else 0.0,
        )
        for row in rows
    ]


def shares(connection: sqlite3.Connection, model_id: int) -> dict[str, float]:
    """The normalised weights of the coins that may be entered by symbol, by market cap rank."""
    weights = {
        row["symbol"]: row["weight"]
        for row in connection.execute(
            "SELECT c.symbol, p.weight FROM coins c JOIN model_coin_pools p ON p.coin_id = c.id "
            f"WHERE p.model_id = ? AND p.is_enabled AND c.is_active {coins.BY_RANK}",
            (_owner(connection, model_id),),
        )
    }
    total = sum(weights.values())
    return {symbol: weight / total for symbol, weight in weights.items() if weight > 0}


def symbols_of_all(connection: sqlite3.Connection) -> dict[int, list[str]]:
    """The symbols that each model may enter, by its id."""
    rows = connection.execute(
        "SELECT m.id AS model_id, c.symbol FROM models m "
        "JOIN model_coin_pools p ON p.model_id = coalesce(m.replica_of, m.id) "
        "JOIN coins c ON c.id = p.coin_id "
        f"WHERE p.is_enabled = 1 AND c.is_active = 1 {coins.BY_RANK}"
    )
    symbols: dict[int, list[str]] = {}
    for row in rows:
        symbols.setdefault(row["model_id"], []).append(row["symbol"])
    return symbols


def replace_members(
    connection: sqlite3.Connection, model_id: int, chosen: Sequence[Coin], now_ms: int
) -> None:
    """Make `chosen` the model's pool; those that stay keep their weights."""
    model_id = _owner(connection, model_id)
    kept = {coin.id for coin in chosen}
    rows = connection.execute(
        "SELECT coin_id FROM model_coin_pools WHERE model_id = ?", (model_id,)
    ).fetchall()
    for row in rows:
        if row["coin_id"] not in kept:
            remove(connection, model_id, row["coin_id"])
    connection.executemany(
        "INSERT INTO model_coin_pools (model_id, coin_id, added_at) VALUES (?, ?, ?) "
        "ON CONFLICT (model_id, coin_id) DO UPDATE SET is_enabled = 1",
        [(model_id, coin_id, now_ms) for coin_id in sorted(kept)],
    )


def add(
    connection: sqlite3.Connection, model_id: int, coin_ids: Sequence[int], now_ms: int,
    *, is_enabled: bool = True, weight: float = 1.0,
) -> int:  # fmt: skip
    """Put coins into a pool; how many were not in it before. Those in it stay as they are."""
    model_id = _owner(connection, model_id)
    before = connection.total_changes
    connection.executemany(
        "INSERT INTO model_coin_pools (model_id, coin_id, is_enabled, weight, added_at) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (model_id, coin_id) DO NOTHING",
        [(model_id, coin_id, int(is_enabled), weight, now_ms) for coin_id in coin_ids],
    )
    return connection.total_changes - before


def change(
    connection: sqlite3.Connection, model_id: int, coin_id: int, changes: Mapping[str, float]
) -> bool:
    """Set `is_enabled` or `weight` of a member; False when the coin is not in the pool."""
    assignments = ", ".join(f"{name} = ?" for name in ("is_enabled", "weight") if name in changes)
    values = [changes[name] for name in ("is_enabled", "weight") if name in changes]
    return (
        connection.execute(
            f"UPDATE model_coin_pools SET {assignments} WHERE model_id = ? AND coin_id = ?",
            (*values, _owner(connection, model_id), coin_id),
        ).rowcount
        == 1
    )


def remove(connection: sqlite3.Connection, model_id: int, coin_id: int) -> bool:
    """Take a coin out of a pool; False when it was not in it."""
    return (
        connection.execute(
            "DELETE FROM model_coin_pools WHERE model_id = ? AND coin_id = ?",
            (_owner(connection, model_id), coin_id),
        ).rowcount
        == 1
    )


def _owner(connection: sqlite3.Connection, model_id: int) -> int:
    """The model whose pool it is."""
    row = connection.execute("SELECT replica_of FROM models WHERE id = ?", (model_id,)).fetchone()
    return model_id if row is None or row["replica_of"] is None else int(row["replica_of"])
