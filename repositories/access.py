"""The owner's password, the browsers that are signed in, and the tokens of scripts; hashes of all."""

from __future__ import annotations

import sqlite3

from access_tokens import AccessToken, Scope

_TOKEN_COLUMNS = "id, name, scope, prefix, created_at, expires_at, last_used_at"


def password_hash(connection: sqlite3.Connection) -> str | None:
    """The hash of the owner's password; None where none is set."""
    row = connection.execute("SELECT hash FROM owner_password").fetchone()
    return None if row is None else str(row["hash"])


def set_password_hash(connection: sqlite3.Connection, hashed: str, now_ms: int) -> None:
    """Set the owner's password, the first or another one."""
    connection.execute(
        "INSERT INTO owner_password (id, hash, changed_at) VALUES (1, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
        (hashed, now_ms),
    )


def remove_password(connection: sqlite3.Connection) -> bool:
    """Forget the password; whether there was one."""
    return connection.execute("DELETE FROM owner_password").rowcount > 0


def add_sign_in(connection: sqlite3.Connection, id_hash: str, now_ms: int, expires_ms: int) -> None:
    """A browser has signed in; those whose time is over are forgotten."""
    connection.execute("DELETE FROM sign_ins WHERE expires_at <= ?", (now_ms,))
    connection.execute(
        "INSERT INTO sign_ins (id_hash, signed_in_at, expires_at) VALUES (?, ?, ?)",
        (id_hash, now_ms, expires_ms),
    )


def is_signed_in(connection: sqlite3.Connection, id_hash: str, now_ms: int) -> bool:
    """Whether that sign-in stands."""
    found = connection.execute(
        "SELECT 1 FROM sign_ins WHERE id_hash = ? AND expires_at > ?", (id_hash, now_ms)
    )
    return found.fetchone() is not None


def end_sign_in(connection: sqlite3.Connection, id_hash: str) -> None:
    """Sign that browser out."""
    connection.execute("DELETE FROM sign_ins WHERE id_hash = ?", (id_hash,))


def end_all_sign_ins(connection: sqlite3.Connection) -> None:
    """Sign every browser out."""
    connection.execute("DELETE FROM sign_ins")


def add_token(connection: sqlite3.Connection, token: AccessToken, hashed: str) -> AccessToken:
    """Keep a token whose id is 0; as it is stored."""
    added = connection.execute(
        "INSERT INTO access_tokens (name, scope, hash, prefix, created_at, expires_at) "
        f"VALUES (?, ?, ?, ?, ?, ?) RETURNING {_TOKEN_COLUMNS}",
        (token.name, token.scope, hashed, token.prefix, token.created_ms, token.expires_ms),
    )
    return _token(added.fetchone())


def find_token(connection: sqlite3.Connection, hashed: str) -> AccessToken | None:
    """The token with that hash."""
    found = connection.execute(
        f"SELECT {_TOKEN_COLUMNS} FROM access_tokens WHERE hash = ?", (hashed,)
    )
    row = found.fetchone()
    return None if row is None else _token(row)


def get_token(connection: sqlite3.Connection, token_id: int) -> AccessToken | None:
    """The token with that id."""
    found = connection.execute(
        f"SELECT {_TOKEN_COLUMNS} FROM access_tokens WHERE id = ?", (token_id,)
    )
    row = found.fetchone()
    return None if row is None else _token(row)


def list_tokens(connection: sqlite3.Connection) -> list[AccessToken]:
    """Every token, newest first."""
    rows = connection.execute(f"SELECT {_TOKEN_COLUMNS} FROM access_tokens ORDER BY id DESC")
    return [_token(row) for row in rows]


def delete_token(connection: sqlite3.Connection, token_id: int) -> None:
    """Forget a token."""
    connection.execute("DELETE FROM access_tokens WHERE id = ?", (token_id,))


def token_was_used(connection: sqlite3.Connection, token_id: int, now_ms: int) -> None:
    """Note when a token was last used."""
    connection.execute("UPDATE access_tokens SET last_used_at = ? WHERE id = ?", (now_ms, token_id))


def _token(row: sqlite3.Row) -> AccessToken:
    return AccessToken(
        row["id"],
        row["name"],
        Scope(row["scope"]),
        row["prefix"],
        row["created_at"],
        row["expires_at"],
        row["last_used_at"],
    )
