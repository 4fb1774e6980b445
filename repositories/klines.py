"""The warm tier: bars that were ever fetched or imported, and which ranges are known in full."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np

from domain import Interval, KlineSeries

Range = tuple[int, int]  # [start_ms, end_ms) of open times

_COLUMNS = "open_time, open, high, low, close, volume"


@dataclass(frozen=True, slots=True)
class KlineKey:
    """Which series: a coin's bars of one interval as one source made them."""

    coin_id: int
    source: str
    interval: Interval

    @property
    def values(self) -> tuple[int, str, str]:
        """As SQL parameters."""
        return self.coin_id, self.source, self.interval.value


def read(connection: sqlite3.Connection, key: KlineKey, start_ms: int, end_ms: int) -> KlineSeries:
    """Closed bars with start_ms ≤ open_time < end_ms, ascending."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM klines WHERE coin_id = ? AND source = ? AND interval = ? "
        "AND open_time >= ? AND open_time < ? ORDER BY open_time",
        (*key.values, start_ms, end_ms),
    )
    return _series(key, rows)


def read_last(
    connection: sqlite3.Connection, key: KlineKey, end_ms: int, limit: int
) -> KlineSeries:
    """The last `limit` closed bars with open_time < end_ms, ascending."""
    rows = connection.execute(
        f"SELECT * FROM (SELECT {_COLUMNS} FROM klines WHERE coin_id = ? AND source = ? "
        "AND interval = ? AND open_time < ? ORDER BY open_time DESC LIMIT ?) ORDER BY open_time",
        (*key.values, end_ms, limit),
    )
    return _series(key, rows)


def write(connection: sqlite3.Connection, key: KlineKey, series: KlineSeries) -> None:
    """Store the closed bars of `series`; a bar that is there already is replaced."""
    closed = series.closed()
    connection.executemany(
        "INSERT OR REPLACE INTO klines (coin_id, source, interval, open_time, open, high, low, "
        "close, volume) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (*key.values, *bar)
            for bar in zip(
                closed.open_time.tolist(), closed.open.tolist(), closed.high.tolist(),
                closed.low.tolist(), closed.close.tolist(), closed.volume.tolist(), strict=True,
            )
        ),
    )  # fmt: skip


def fingerprint(
    connection: sqlite3.Connection, key: KlineKey, start_ms: int, end_ms: int
) -> list[int | float | None]:
    """Count, first and last open time and the sums of close and volume: changes with the bars."""
    row = connection.execute(
        "SELECT COUNT(*), MIN(open_time), MAX(open_time), TOTAL(close), TOTAL(volume) FROM klines "
        "WHERE coin_id = ? AND source = ? AND interval = ? AND open_time >= ? AND open_time < ?",
        (*key.values, start_ms, end_ms),
    ).fetchone()
    return list(row)


def bounds(connection: sqlite3.Connection, key: KlineKey) -> tuple[int, int, int] | None:
    """First and last open time and the number of bars; None where nothing is stored."""
    row = connection.execute(
        "SELECT MIN(open_time), MAX(open_time), COUNT(*) FROM klines "
        "WHERE coin_id = ? AND source = ? AND interval = ?",
        key.values,
    ).fetchone()
    return None if row[2] == 0 else (row[0], row[1], row[2])


def covered(connection: sqlite3.Connection, key: KlineKey) -> list[Range]:
    """The ranges that are known in full, ascending, apart from each other."""
    rows = connection.execute(
        "SELECT start_ms, end_ms FROM kline_coverage "
        "WHERE coin_id = ? AND source = ? AND interval = ? ORDER BY start_ms",
        key.values,
    )
    return [(row["start_ms"], row["end_ms"]) for row in rows]


def replace_coverage(connection: sqlite3.Connection, key: KlineKey, ranges: list[Range]) -> None:
    """Store `ranges` as what is known in full."""
    connection.execute(
        "DELETE FROM kline_coverage WHERE coin_id = ? AND source = ? AND interval = ?", key.values
    )
    connection.executemany(
        "INSERT INTO kline_coverage (coin_id, source, interval, start_ms, end_ms) "
        "VALUES (?, ?, ?, ?, ?)",
        [(*key.values, start, end) for start, end in ranges],
    )


def _series(key: KlineKey, rows: sqlite3.Cursor) -> KlineSeries:
    fetched = [tuple(row) for row in rows.fetchall()]
    if not fetched:
        return KlineSeries.empty(key.interval, key.source)
    table = np.array(fetched, dtype=np.float64)
    # Open times are whole numbers below 2^53, which a float64 keeps.
    open_time = table[:, 0].astype(np.int64)
    opens, highs, lows, closes, volumes = (np.ascontiguousarray(table[:, i]) for i in range(1, 6))
    return KlineSeries(
        key.interval, open_time, opens, highs, lows, closes, volumes, source=key.source
    )
