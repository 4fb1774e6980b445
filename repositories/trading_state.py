"""The kill switch and the lease of the trading loop: one row each, read by every process.

Times are those of the wall clock.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Halt:
    """Whether trading is stopped; if so since when, and by whom."""

    halted: bool
    since_ms: int | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who runs the loop (None: nobody), in which term, and how long its last heart-beat counts."""

    holder: str | None
    term: int
    heartbeat_ms: int
    expires_ms: int


def halt(connection: sqlite3.Connection) -> Halt:
    """The kill switch as it stands."""
    row = connection.execute("SELECT halted, since, halted_by FROM trading_halt").fetchone()
    return Halt(bool(row["halted"]), row["since"], row["halted_by"])


def halt_if_any(connection: sqlite3.Connection) -> Halt | None:
    """The same; None where the schema is of before there was one."""
    return halt(connection) if _has_table(connection, "trading_halt") else None


def set_halt(connection: sqlite3.Connection, wanted: Halt) -> None:
    """Turn the kill switch."""
    connection.execute(
        "UPDATE trading_halt SET halted = ?, since = ?, halted_by = ?",
        (int(wanted.halted), wanted.since_ms, wanted.by),
    )


def lease(connection: sqlite3.Connection) -> Lease:
    """The lease as it stands."""
    row = connection.execute(
        "SELECT holder, term, heartbeat_ms, expires_ms FROM trading_lease"
    ).fetchone()
    return Lease(row["holder"], row["term"], row["heartbeat_ms"], row["expires_ms"])


def lease_if_any(connection: sqlite3.Connection) -> Lease | None:
    """The same; None where the schema is of before there was one."""
    return lease(connection) if _has_table(connection, "trading_lease") else None


def take_lease(connection: sqlite3.Connection, taken: Lease) -> None:
    """Make `taken` the lease, whoever held it."""
    connection.execute(
        "UPDATE trading_lease SET holder = ?, term = ?, heartbeat_ms = ?, expires_ms = ?",
        (taken.holder, taken.term, taken.heartbeat_ms, taken.expires_ms),
    )


def renew_lease(connection: sqlite3.Connection, renewed: Lease) -> bool:
    """A heart-beat; False where somebody else has taken the lease since."""
    return (
        connection.execute(
            "UPDATE trading_lease SET heartbeat_ms = ?, expires_ms = ? "
            "WHERE term = ? AND holder = ?",
            (renewed.heartbeat_ms, renewed.expires_ms, renewed.term, renewed.holder),
        ).rowcount
        == 1
    )


def release_lease(connection: sqlite3.Connection, held: Lease) -> None:
    """Give the lease back, if it is still `held`."""
    connection.execute(
        "UPDATE trading_lease SET holder = NULL WHERE term = ? AND holder = ?",
        (held.term, held.holder),
    )


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    found = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(found, (name,)).fetchone() is not None
