"""Where secrets and hashes of them stand in the database, so that a copy can be made without them."""

from __future__ import annotations

import sqlite3

# Sealed or, in the file of an early version, in plain text.
SECRET_COLUMNS = {
    "providers": ("api_key", "sealed_key"),
    "notifications": ("sealed_address",),
}
# Who may call: the password, the browsers that have signed in, the tokens.
ACCESS_TABLES = ("owner_password", "sign_ins", "access_tokens")


def forget(connection: sqlite3.Connection) -> None:
    """Forget every one. Older versions of the schema have fewer of them."""
    for table, secret in SECRET_COLUMNS.items():
        for name in _columns(connection, table):
            if name in secret:
                connection.execute(f"UPDATE {table} SET {name} = NULL")
    for table in ACCESS_TABLES:
        if _columns(connection, table):
            connection.execute(f"DELETE FROM {table}")


def are_stored(connection: sqlite3.Connection) -> bool:
    """Whether there is any that is sealed."""
    return any(
        connection.execute(f"SELECT 1 FROM {table} WHERE {name} IS NOT NULL LIMIT 1").fetchone()
        for table, names in SECRET_COLUMNS.items()
        for name in _columns(connection, table)
        if name in names
    )


def copy_access(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Let those call whom `source` lets, and nobody else; where it knows of nobody, all stays."""
    for table in ACCESS_TABLES:
        names = [name for name in _columns(source, table) if name in _columns(target, table)]
        if not names:
            continue
        listed, places = ", ".join(names), ", ".join("?" * len(names))
        rows = source.execute(f"SELECT {listed} FROM {table}").fetchall()
        target.execute(f"DELETE FROM {table}")
        target.executemany(f"INSERT INTO {table} ({listed}) VALUES ({places})", map(tuple, rows))


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table; none where there is no such table."""
    found = connection.execute("SELECT name FROM pragma_table_info(?) ORDER BY cid", (table,))
    return [row[0] for row in found]
