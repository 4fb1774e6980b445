"""Rows for every table of any version of the schema, made from what the schema says of its columns."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ROWS = 2
FIRST_ID = 9001  # beyond what migrations have put there
# What a later migration reads and rewrites, and so must make sense.
MEANINGFUL: dict[tuple[str, str], tuple[Any, ...]] = {
    ("decisions", "outcome"): ("filled", "refused"),
    ("decisions", "reason"): (None, "cash"),
    ("decisions", "detail"): ('{"changes": ["max_notional"]}', '{"changes": []}'),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the schema has it; `parent` is the table that it points at."""

    name: str
    type: str
    number: int
    is_key: bool
    parent: str | None
    choices: tuple[str, ...]


def fill(connection: sqlite3.Connection) -> None:
    """Two rows in every table that has none of its own making; a table of one row is written anew."""
    for table in tables(connection):
        columns = list(_columns(connection, table))
        names = ", ".join(column.name for column in columns)
        places = ", ".join("?" * len(columns))
        single = re.search(r"CHECK \(id = 1\)", _definition(connection, table)) is not None
        for row in range(1 if single else ROWS):
            values = [_value(table, column, row, single) for column in columns]
            if single:
                connection.execute(f"DELETE FROM {table}")
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)


def tables(connection: sqlite3.Connection) -> list[str]:
    """The app's tables, in the order of their making: parents come first."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' "
        "AND name NOT LIKE 'sqlite_%' AND name != 'schema_migrations' ORDER BY rowid"
    )
    return [row[0] for row in found]


def rows(connection: sqlite3.Connection, table: str, names: list[str] | None = None) -> list[Any]:
    """Every row of a table as a mapping of (those of) its columns."""
    cursor = connection.execute(f"SELECT {', '.join(names) if names else '*'} FROM {table}")
    heads = [head[0] for head in cursor.description]
    return [dict(zip(heads, row, strict=True)) for row in cursor]


def _definition(connection: sqlite3.Connection, table: str) -> str:
    found = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return str(found[0])


def _columns(connection: sqlite3.Connection, table: str) -> Iterator[Column]:
    definition = _definition(connection, table)
    parents = {
        row[3]: row[2] for row in connection.execute(f"PRAGMA foreign_key_list({table})").fetchall()
    }
    for number, name, kind, _, _, key in connection.execute(
        f"PRAGMA table_info({table})"
    ).fetchall():
        listed = re.search(rf"CHECK \({name} IN \(([^)]*)\)\)", definition)
        choices = tuple(part.strip(" '\n") for part in listed[1].split(",")) if listed else ()
        is_key = bool(key) and kind == "INTEGER" and name == "id"
        yield Column(name, kind, number, is_key, parents.get(name), choices)


def _value(table: str, column: Column, row: int, single: bool) -> Any:
    if (table, column.name) in MEANINGFUL:
        return MEANINGFUL[table, column.name][row]
    if column.is_key:
        return 1 if single else FIRST_ID + row
    if column.parent is not None:
        return None if column.parent == table else FIRST_ID + row
    if column.choices:
        choice = column.choices[row % len(column.choices)]
        return int(choice) if column.type == "INTEGER" else choice
    if column.type == "INTEGER":
        return 1000 * (row + 1) + column.number  # a range's end stands after its start
    if column.type == "REAL":
        return 0.1 + row
    if column.type == "BLOB":
        return bytes([row, 0, 255])
    return f'{{"{column.name}": {row}}}'  # text that is JSON too, where a check asks for that
