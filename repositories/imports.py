"""What is brought in from another app's file, and the memory of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from database import Database
from errors import DataError
from repositories.books import AccountValue


@dataclass(frozen=True, slots=True)
class Imported:
    """A provider or a model that was brought in before, and how far its tables were read.

    The `last_` ids are those of the other app's rows; `trades_booked` is how many trades of the
    model came from there.
    """

    new_id: int
    last_trade_id: int = 0
    last_conversation_id: int = 0
    last_account_value_id: int = 0
    trades_booked: int = 0


class _UndoneError(Exception):
    """Ends a transaction that was only a rehearsal."""


@contextmanager
def one_transaction(database: Database, *, keep: bool) -> Iterator[sqlite3.Connection]:
    """All or nothing, on the disk when it returns; nothing where it is not to be kept.

    Raises DataError where the database is locked or its disk is full.
    """
    try:
        with database.ledger_transaction() as connection:
            yield connection
            if not keep:
                raise _UndoneError
    except _UndoneError:
        return
    except sqlite3.OperationalError as error:
        raise DataError(f"{database.path} could not be written: {error}.") from error


def find(connection: sqlite3.Connection, kind: str, fingerprint: str) -> Imported | None:
    """What is known of a `provider` or `model` of another app's file."""
    row = connection.execute(
        "SELECT new_id, last_trade_id, last_conversation_id, last_account_value_id, trades_booked "
        "FROM imports WHERE kind = ? AND fingerprint = ?",
        (kind, fingerprint),
    ).fetchone()
    return None if row is None else Imported(*row)


def remember(
    connection: sqlite3.Connection, kind: str, fingerprint: str, imported: Imported, now_ms: int
) -> None:
    """Keep what is now known of a provider or model."""
    connection.execute(
        "INSERT INTO imports (kind, fingerprint, new_id, imported_at, last_trade_id, "
        "last_conversation_id, last_account_value_id, trades_booked) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, fingerprint) DO UPDATE SET "
        "last_trade_id = excluded.last_trade_id, "
        "last_conversation_id = excluded.last_conversation_id, "
        "last_account_value_id = excluded.last_account_value_id, "
        "trades_booked = excluded.trades_booked",
        (
            kind, fingerprint, imported.new_id, now_ms, imported.last_trade_id,
            imported.last_conversation_id, imported.last_account_value_id, imported.trades_booked,
        ),
    )  # fmt: skip


def add_provider(
    connection: sqlite3.Connection, name: str, api_url: str, sealed_key: str | None,
    models: Sequence[str], made_at: int, now_ms: int,
) -> int:  # fmt: skip
    """Store a provider of language models; its id."""
    cursor = connection.execute(
        "INSERT INTO providers (name, api_url, sealed_key, models, created_at, updated_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (name, api_url, sealed_key, json.dumps(models), made_at, now_ms),
    )
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid


def count_trades(connection: sqlite3.Connection, model_id: int) -> int:
    """How many trades a model has."""
    row = connection.execute("SELECT COUNT(*) FROM trades WHERE model_id = ?", (model_id,))
    return int(row.fetchone()[0])


def add_conversations(
    connection: sqlite3.Connection,
    model_id: int,
    conversations: Iterable[tuple[int, str | None, str | None, str | None]],
) -> None:
    """Store conversations that no cycle here has led: time, prompt, answer, reasoning."""
    connection.executemany(
        "INSERT INTO conversations (model_id, timestamp, prompt, answer, reasoning) "
        "VALUES (?, ?, ?, ?, ?)",
        ((model_id, *conversation) for conversation in conversations),
    )


def add_account_values(
    connection: sqlite3.Connection, model_id: int, values: Iterable[AccountValue]
) -> None:
    """Store points of a value curve as they were recorded, also where they do not add up."""
    connection.executemany(
        "INSERT INTO account_values (model_id, timestamp, total_value, cash, positions_value) "
        "VALUES (?, ?, ?, ?, ?)",
        (
            (model_id, v.time_ms, f"{v.total_value:f}", f"{v.cash:f}", f"{v.positions_value:f}")
            for v in values
        ),
    )
