"""The hot cache's rows: the newest of each kind of data, by coin and source."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheRow:
    """A value as JSON text, and when it was stored and expires: ms UTC of the wall clock."""

    text: str
    stored_ms: int
    expires_ms: int


def read(
    connection: sqlite3.Connection, kind: str, source: str, symbols: Sequence[str]
) -> dict[str, CacheRow]:
    """What is stored of these coins, by symbol."""
    marks = ", ".join("?" * len(symbols))
    rows = connection.execute(
        "SELECT c.symbol, m.data_json, m.timestamp, m.expires_at FROM market_data_cache m "
        "JOIN coins c ON c.id = m.coin_id "
        f"WHERE m.data_type = ? AND m.data_source = ? AND c.symbol IN ({marks})",
        (kind, source, *symbols),
    )
    return {
        row["symbol"]: CacheRow(row["data_json"], row["timestamp"], row["expires_at"])
        for row in rows
    }


def write(
    connection: sqlite3.Connection, kind: str, source: str, rows: Mapping[str, CacheRow]
) -> None:
    """Keep a row a coin, instead of its last one; a symbol that is no coin's is passed over."""
    connection.executemany(
        "INSERT OR REPLACE INTO market_data_cache "
        "(coin_id, data_type, data_source, data_json, timestamp, expires_at) "
        "SELECT id, ?, ?, ?, ?, ? FROM coins WHERE symbol = ?",
        [
            (kind, source, row.text, row.stored_ms, row.expires_ms, symbol)
            for symbol, row in rows.items()
        ],
    )


def delete_expired(connection: sqlite3.Connection, now_ms: int) -> int:
    """Delete what has expired by now; how many rows that were."""
    return connection.execute(
        "DELETE FROM market_data_cache WHERE expires_at <= ?", (now_ms,)
    ).rowcount
