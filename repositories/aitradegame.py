"""Reads the SQLite file of the AITradeGame app, any of its versions, without touching it.

The file is copied first, so that neither its bytes nor its folder change, and so that a write that
its app left unfinished is undone in the copy. Rows are dicts of the columns known here; a column
that the file's version did not have yet is None.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from errors import DataError

LOCK_WAIT_SECONDS = 2.0
MAGIC = b"SQLite format 3\x00"
WAL_VERSION = 2  # the 19th byte of the header: how the file is written

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's columns: those it must have, and those that some versions have."""

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()


SHAPES: Mapping[str, Shape] = {
    "providers": Shape(("id", "name", "api_url"), ("api_key", "models", "created_at")),
    "models": Shape(
        ("id", "name"),
        (
            "provider_id", "model_name", "initial_capital", "created_at", "custom_prompt",
            "trading_interval_minutes", "api_key", "api_url",
        ),
    ),
    "trades": Shape(
        ("id", "model_id", "coin", "signal", "quantity", "price", "timestamp"),
        ("leverage", "side", "pnl", "fee"),
    ),
    "portfolios": Shape(
        ("id", "model_id", "coin", "quantity", "avg_price"), ("leverage", "side", "updated_at")
    ),
    "conversations": Shape(
        ("id", "model_id", "user_prompt", "ai_response", "timestamp"), ("cot_trace",)
    ),
    "account_values": Shape(
        ("id", "model_id", "total_value", "cash", "positions_value", "timestamp")
    ),
    "settings": Shape(("id",), ("trading_frequency_minutes", "trading_fee_rate", "created_at",
                                "updated_at")),
    "coins": Shape(
        ("id", "symbol"),
        (
            "name", "category", "is_active", "binance_symbol", "okx_symbol", "coingecko_id",
            "market_cap_rank", "notes", "created_at", "updated_at",
        ),
    ),
    "coin_groups": Shape(("id", "name"), ("description", "created_at")),
    "coin_group_members": Shape(("id", "group_id", "coin_id"), ("sort_order",)),
    "model_coin_pools": Shape(
        ("id", "model_id", "coin_id"), ("is_enabled", "weight", "added_at")
    ),
}  # fmt: skip
NEEDED_TABLES = ("models", "trades", "portfolios", "conversations", "account_values")
HISTORY = NEEDED_TABLES[1:]
OTHER_NAMES = {"portfolios": "positions"}  # what some versions call a table


class OldDatabase:
    """The copy of a file: its tables under the names of `SHAPES`."""

    def __init__(self, connection: sqlite3.Connection, name: str):
        self.name = name
        self._connection = connection
        self._columns = {table: self._columns_of(table) for table in self._tables()}
        self._called = {
            table: OTHER_NAMES[table]
            if table in OTHER_NAMES and table not in self._columns
            else table
            for table in SHAPES
        }
        self._check()

    def has(self, table: str) -> bool:
        """Whether the file has this table."""
        return self._called[table] in self._columns

    def called(self, table: str) -> str:
        """What the file calls this table."""
        return self._called[table]

    def count_history(self) -> int:
        """How many rows there are of what its models have done."""
        return sum(self._count_of(self._called[table]) for table in HISTORY)

    def rows(self, table: str, order: str = "id") -> Iterator[Row]:
        """A table's rows in the order of a known column; none where the file lacks the table."""
        if not self.has(table):
            return
        shape, present = SHAPES[table], self._columns[self._called[table]]
        names = (*shape.needed, *shape.optional)
        selected = ", ".join(name if name in present else f"NULL AS {name}" for name in names)
        try:
            for values in self._connection.execute(
                f"SELECT {selected} FROM {_quoted(self._called[table])} ORDER BY {order}"
            ):
                yield dict(zip(names, values, strict=True))
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.name} is damaged: {error}.") from error

    def rows_by_model(self, table: str) -> Iterator[tuple[Any, Iterator[Row]]]:
        """A table's rows by their model_id, each model's in the order of their ids."""
        return groupby(self.rows(table, "model_id, id"), key=lambda row: row["model_id"])

    def unknown_tables(self) -> dict[str, int]:
        """Tables that have no counterpart here, with their numbers of rows."""
        known = set(self._called.values())
        return {name: self._count_of(name) for name in sorted(self._columns) if name not in known}

    def unknown_columns(self) -> list[str]:
        """Columns of known tables that have no counterpart here, as `table.column`."""
        return [
            f"{self._called[table]}.{column}"
            for table, shape in SHAPES.items()
            if self.has(table)
            for column in self._columns[self._called[table]]
            if column not in (*shape.needed, *shape.optional)
        ]

    def _tables(self) -> list[str]:
        rows = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
            "ESCAPE '\\'"
        )
        return [row[0] for row in rows]

    def _columns_of(self, table: str) -> Sequence[str]:
        rows = self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        return [row[0] for row in rows]

    def _count_of(self, name: str) -> int:
        row = self._connection.execute(f"SELECT COUNT(*) FROM {_quoted(name)}").fetchone()
        return int(row[0])

    def _check(self) -> None:
        for table in NEEDED_TABLES:
            if not self.has(table):
                raise DataError(
                    f"{self.name} is not a database of AITradeGame: it has no table {table}."
                )
        for table, shape in SHAPES.items():
            if not self.has(table):
                continue
            present = self._columns[self._called[table]]
            missing = [column for column in shape.needed if column not in present]
            if missing:
                raise DataError(
                    f"{self.name} is not a database of AITradeGame: its table "
                    f"{self._called[table]} has no column {missing[0]}."
                )


@contextmanager
def opened(path: Path) -> Iterator[OldDatabase]:
    """The file's content as it is now. Raises DataError, in a sentence, where there is none."""
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        try:
            _copy(path.resolve(), copy)  # SQLite's journals lie beside the file, not beside a link
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
        with closing(sqlite3.connect(copy)) as connection:
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            try:
                connection.execute("PRAGMA trusted_schema = OFF")
                verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise DataError(f"{path.name} is damaged: {' '.join(verdict.split())}")
                old = OldDatabase(connection, path.name)
            except sqlite3.DatabaseError as error:
                raise DataError(f"{path.name} is damaged: {error}.") from error
            yield old


def _copy(path: Path, copy: Path) -> None:
    """Copy the file with what its journals hold. Raises DataError, OSError."""
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(MAGIC):
        raise DataError(f"{path.name} is not a SQLite database.")
    if path.stat().st_size % _page_size(header):
        raise DataError(f"{path.name} is damaged: its last page is cut off.")
    if header[18] == WAL_VERSION:
        _copy_unless_it_changes(path, copy, ("", "-wal"))
        return
    guard = _reader(path)
    if guard is None:  # its app died while it was writing: the journal undoes that in the copy
        _copy_unless_it_changes(path, copy, ("", "-journal"))
        return
    with closing(guard):  # as long as it reads, nobody can write
        shutil.copyfile(path, copy)


def _page_size(header: bytes) -> int:
    """SQLite reads a last page that is cut off as if it ended in zeros; 1 stands for 65,536."""
    size = int.from_bytes(header[16:18], "big")
    return 65_536 if size <= 1 else size


def _reader(path: Path) -> sqlite3.Connection | None:
    """A connection that reads the file, and keeps writers off, until it is closed.

    None where the file must be repaired by its journal first. Raises DataError while it is locked.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=ro", uri=True, timeout=LOCK_WAIT_SECONDS,
        isolation_level=None,
    )  # fmt: skip
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise DataError(
                f"{path.name} is locked by another program: end AITradeGame and try again."
            ) from error
        if Path(f"{path}-journal").exists():
            return None
        raise DataError(f"{path.name} cannot be read: {error}.") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DataError(f"{path.name} is damaged: {error}.") from error
    return connection


def _copy_unless_it_changes(path: Path, copy: Path, endings: Sequence[str]) -> None:
    """Copy the file and its companions. Raises DataError where they are written meanwhile."""
    before = _stamps(path, endings)
    for ending in endings:
        if Path(f"{path}{ending}").exists():
            shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
    if _stamps(path, endings) != before:
        raise DataError(f"{path.name} is being written to: end AITradeGame and try again.")


def _stamps(path: Path, endings: Sequence[str]) -> list[tuple[int, int] | None]:
    files = [Path(f"{path}{ending}") for ending in endings]
    stats = [file.stat() if file.exists() else None for file in files]
    return [None if stat is None else (stat.st_size, stat.st_mtime_ns) for stat in stats]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
