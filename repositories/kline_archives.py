"""Which months of candles are in the archive, and what an archiving that was cut off left there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repositories.klines import KlineKey, Range

_COLUMNS = "id, root, file, start_ms, end_ms, bars, first_open_time, last_open_time"
_OF_KEY = "coin_id = ? AND source = ? AND interval = ?"


@dataclass(frozen=True, slots=True)
class ArchivedMonth:
    """A file of bars with start_ms ≤ open_time < end_ms; `root` is where the archive is."""

    id: int
    root: str
    file: str
    start_ms: int
    end_ms: int
    bars: int
    first_open_time: int
    last_open_time: int


@dataclass(frozen=True, slots=True)
class ArchiveTotals:
    """Months, the series that they are of, and their bars from the first to the last open time."""

    months: int
    series: int
    bars: int
    first: int | None
    last: int | None


# ------------------------------------------------------------------------------------- reading


def current(
    connection: sqlite3.Connection, key: KlineKey, start_ms: int, end_ms: int
) -> list[ArchivedMonth]:
    """The months of a series that reach into start_ms ≤ t < end_ms, ascending."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM kline_archives WHERE {_OF_KEY} AND state = 'current' "
        "AND end_ms > ? AND start_ms < ? ORDER BY start_ms",
        (*key.values, start_ms, end_ms),
    )
    return [ArchivedMonth(*row) for row in rows]


def with_warm_bars(connection: sqlite3.Connection, key: KlineKey) -> set[int]:
    """The ids of those months of which there are bars in the database too."""
    rows = connection.execute(
        f"SELECT id FROM kline_archives a WHERE {_OF_KEY} AND state = 'current' AND EXISTS ("
        "SELECT 1 FROM klines k WHERE k.coin_id = a.coin_id AND k.source = a.source "
        "AND k.interval = a.interval AND k.open_time >= a.start_ms AND k.open_time < a.end_ms)",
        key.values,
    )
    return {row[0] for row in rows}


def keys(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """(coin id, source, interval) of every series with an archived month."""
    rows = connection.execute(
        "SELECT DISTINCT coin_id, source, interval FROM kline_archives WHERE state = 'current'"
    )
    return [tuple(row) for row in rows]


def leftovers(connection: sqlite3.Connection) -> list[ArchivedMonth]:
    """Files that do not count: never finished, or replaced by a fuller one."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM kline_archives WHERE state != 'current'")
    return [ArchivedMonth(*row) for row in rows]


def totals(connection: sqlite3.Connection) -> ArchiveTotals:
    """How much there is in the archive altogether."""
    row = connection.execute(
        "SELECT COUNT(*), COUNT(DISTINCT coin_id || ' ' || source || ' ' || interval), "
        "TOTAL(bars), MIN(first_open_time), MAX(last_open_time) "
        "FROM kline_archives WHERE state = 'current'"
    ).fetchone()
    return ArchiveTotals(row[0], row[1], int(row[2]), row[3], row[4])


# ------------------------------------------------------------------------------------- writing


def begin(
    connection: sqlite3.Connection, key: KlineKey, month: Range, root: str, file: str, now_ms: int
) -> int:
    """Note that a file is about to be written; its id."""
    done = connection.execute(
        "INSERT INTO kline_archives "
        "(coin_id, source, interval, start_ms, end_ms, root, file, state, written_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 'writing', ?)",
        (*key.values, *month, root, file, now_ms),
    )
    assert done.lastrowid is not None  # an INSERT has one
    return done.lastrowid


def is_being_written(connection: sqlite3.Connection, archive_id: int) -> bool:
    """Whether the file is still wanted."""
    found = connection.execute(
        "SELECT 1 FROM kline_archives WHERE id = ? AND state = 'writing'", (archive_id,)
    )
    return found.fetchone() is not None


def finish(
    connection: sqlite3.Connection, archive_id: int, replaces: Sequence[int], times: Sequence[int]
) -> None:
    """Let a file with bars at these open times count, in place of `replaces`."""
    connection.executemany(
        "UPDATE kline_archives SET state = 'replaced' WHERE id = ?", [(old,) for old in replaces]
    )
    connection.execute(
        "UPDATE kline_archives SET state = 'current', bars = ?, first_open_time = ?, "
        "last_open_time = ? WHERE id = ?",
        (len(times), times[0], times[-1], archive_id),
    )


def give_up(connection: sqlite3.Connection, archive_id: int) -> bool:
    """Let a file never count, unless it does already; whether it is one that may be deleted."""
    return (
        connection.execute(
            "UPDATE kline_archives SET state = 'replaced' WHERE id = ? AND state != 'current'",
            (archive_id,),
        ).rowcount
        == 1
    )


def forget(connection: sqlite3.Connection, archive_id: int) -> None:
    """Delete the row of a file that is gone."""
    connection.execute(
        "DELETE FROM kline_archives WHERE id = ? AND state = 'replaced'", (archive_id,)
    )
