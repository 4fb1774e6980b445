"""The warm tier: bars that were ever fetched or imported, and which ranges are known in full."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np

from domain import Interval, KlineSeries, TimeArray

Range = tuple[int, int]  # [start_ms, end_ms) of open times

LATEST_MS = 2**62  # after every open time

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
    rows = _plain(connection).execute(
        f"SELECT {_COLUMNS} FROM klines WHERE coin_id = ? AND source = ? AND interval = ? "
        "AND open_time >= ? AND open_time < ? ORDER BY open_time",
        (*key.values, start_ms, end_ms),
    )
    return _series(key, rows)


def read_last(
    connection: sqlite3.Connection, key: KlineKey, end_ms: int, limit: int
) -> KlineSeries:
    """The last `limit` closed bars with open_time < end_ms, ascending."""
    rows = _plain(connection).execute(
        f"SELECT * FROM (SELECT {_COLUMNS} FROM klines WHERE coin_id = ? AND source = ? "
        "AND interval = ? AND open_time < ? ORDER BY open_time DESC LIMIT ?) ORDER BY open_time",
        (*key.values, end_ms, limit),
    )
    return _series(key, rows)


def write(connection: sqlite3.Connection, key: KlineKey, series: KlineSeries) -> None:
    """Store the closed bars of `series`; a bar that is there already is replaced."""
    closed = series.closed()
    columns = (
        closed.open_time, closed.open, closed.high, closed.low, closed.close, closed.volume,
    )  # fmt: skip
    connection.executemany(
        "INSERT OR REPLACE INTO klines (coin_id, source, interval, open_time, open, high, low, "
        "close, volume) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        zip(*map(repeat, key.values), *(column.tolist() for column in columns), strict=False),
    )


def delete(connection: sqlite3.Connection, key: KlineKey, start_ms: int, end_ms: int) -> None:
    """Delete bars with start_ms ≤ open_time < end_ms; what is known in full stays known."""
    connection.execute(
        "DELETE FROM klines WHERE coin_id = ? AND source = ? AND interval = ? "
        "AND open_time >= ? AND open_time < ?",
        (*key.values, start_ms, end_ms),
    )


def open_times(
    connection: sqlite3.Connection, key: KlineKey, start_ms: int, end_ms: int
) -> TimeArray:
    """Open times of the bars with start_ms ≤ open_time < end_ms, ascending."""
    cursor = _plain(connection).execute(
        "SELECT open_time FROM klines WHERE coin_id = ? AND source = ? AND interval = ? "
        "AND open_time >= ? AND open_time < ? ORDER BY open_time",
        (*key.values, start_ms, end_ms),
    )
    return np.fromiter(chain.from_iterable(cursor), np.int64)


def first_open_time(
    connection: sqlite3.Connection, key: KlineKey, start_ms: int, end_ms: int
) -> int | None:
    """The first bar with start_ms ≤ open_time < end_ms, if there is one."""
    row = connection.execute(
        "SELECT MIN(open_time) FROM klines WHERE coin_id = ? AND source = ? AND interval = ? "
        "AND open_time >= ? AND open_time < ?",
        (*key.values, start_ms, end_ms),
    ).fetchone()
    found: int | None = row[0]
    return found


def keys(connection: sqlite3.Connection) -> list[tuple[int, str, str]]:
    """(coin id, source, interval) of every series; skips from one to the next, reads no bars."""
    found: list[tuple[int, str, str]] = []
    last: tuple[int, str, str] = (0, "", "")
    while True:
        row = connection.execute(
            "SELECT coin_id, source, interval FROM klines "
            "WHERE (coin_id, source, interval, open_time) > (?, ?, ?, ?) "
            "ORDER BY coin_id, source, interval, open_time LIMIT 1",
            (*last, LATEST_MS),
        ).fetchone()
        if row is None:
            return found
        last = (row[0], row[1], row[2])
        found.append(last)


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


def _plain(connection: sqlite3.Connection) -> sqlite3.Cursor:
    """A cursor whose rows are tuples, which are made faster."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


def _series(key: KlineKey, rows: sqlite3.Cursor) -> KlineSeries:
    # Open times are whole numbers below 2^53, which a float64 keeps.
    flat = np.fromiter(chain.from_iterable(rows), np.float64)
    table = flat.reshape(-1, 6)
    open_time = table[:, 0].astype(np.int64)
    opens, highs, lows, closes, volumes = (np.ascontiguousarray(table[:, i]) for i in range(1, 6))
    return KlineSeries(
        key.interval, open_time, opens, highs, lows, closes, volumes, source=key.source
    )
