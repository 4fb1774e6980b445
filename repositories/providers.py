"""Providers of language models: where they are, their sealed keys, what their models cost."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from database import Database
from domain import LLMProvider, TokenPrices
from errors import Conflict, NotFound
from secret_box import SecretBox

log = logging.getLogger(__name__)

_FIELDS = ("name", "api_url", "sealed_key", "models", "prices", "knowledge_cutoffs")


@dataclass(frozen=True, slots=True)
class Provider:
    """A row of the providers table. Its id is 0 until stored.

    `prices` and `knowledge_cutoffs` (ISO dates) are by the model's name.
    """

    name: str
    api_url: str
    sealed_key: str | None = field(default=None, repr=False)
    models: tuple[str, ...] = ()
    prices: Mapping[str, TokenPrices] = field(default_factory=dict)
    knowledge_cutoffs: Mapping[str, str] = field(default_factory=dict)
    id: int = 0
    created_at: int = 0
    updated_at: int = 0

    def with_key(self, api_key: str) -> LLMProvider:
        """What a call is made with; `api_key` in the clear."""
        return LLMProvider(
            self.id, self.name, self.api_url, api_key, self.models, self.prices,
            self.knowledge_cutoffs,
        )  # fmt: skip


def list_providers(connection: sqlite3.Connection) -> list[Provider]:
    """Providers in the order of their making."""
    return [_provider(row) for row in connection.execute("SELECT * FROM providers ORDER BY id")]


def get(connection: sqlite3.Connection, provider_id: int) -> Provider:
    """A provider by its id. Raises NotFound (unknown_provider)."""
    row = connection.execute("SELECT * FROM providers WHERE id = ?", (provider_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no provider {provider_id}.", code="unknown_provider")
    return _provider(row)


def for_calls(connection: sqlite3.Connection, secrets: SecretBox, provider_id: int) -> LLMProvider:
    """A provider with its key in the clear. Raises NotFound, SecretUnreadable."""
    provider = get(connection, provider_id)
    return provider.with_key(secrets.open(provider.sealed_key) if provider.sealed_key else "")


def provider_for_calls(database: Database, secrets: SecretBox, provider_id: int) -> LLMProvider:
    """`for_calls` on this thread's connection."""
    return for_calls(database.connection, secrets, provider_id)


def add(connection: sqlite3.Connection, provider: Provider, now_ms: int) -> Provider:
    """Store a new provider. Raises Conflict (name_taken)."""
    made_at = provider.created_at or now_ms
    try:
        cursor = connection.execute(
            f"INSERT INTO providers ({', '.join(_FIELDS)}, created_at, updated_at) "
            f"VALUES ({', '.join('?' * len(_FIELDS))}, ?, ?)",
            (*_columns(provider), made_at, now_ms),
        )
    except sqlite3.IntegrityError as error:
        raise _name_taken(provider) from error
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return replace(provider, id=cursor.lastrowid, created_at=made_at, updated_at=now_ms)


def update(connection: sqlite3.Connection, provider: Provider, now_ms: int) -> None:
    """Store what `provider` now says. Raises Conflict (name_taken)."""
    try:
        connection.execute(
            f"UPDATE providers SET {', '.join(f'{name} = ?' for name in _FIELDS)}, updated_at = ? "
            "WHERE id = ?",
            (*_columns(provider), now_ms, provider.id),
        )
    except sqlite3.IntegrityError as error:
        raise _name_taken(provider) from error


def delete(connection: sqlite3.Connection, provider_id: int) -> None:
    """Forget a provider and its key; archived models lose the link and keep their history.

    Raises Conflict (provider_in_use) where a model that is not archived has it.
    """
    users = _names_of_users(connection, provider_id)
    if users:
        raise Conflict(
            f"It is used by {', '.join(users)}: give those another provider or archive them first.",
            code="provider_in_use",
            values={"users": users},
        )
    connection.execute("UPDATE models SET provider_id = NULL WHERE provider_id = ?", (provider_id,))
    connection.execute("DELETE FROM providers WHERE id = ?", (provider_id,))


def count_users(connection: sqlite3.Connection) -> dict[int, int]:
    """How many models that are not archived have each provider, by its id."""
    rows = connection.execute(
        "SELECT provider_id, COUNT(*) AS users FROM models "
        "WHERE archived_at IS NULL AND provider_id IS NOT NULL AND replica_of IS NULL "
        "GROUP BY provider_id"
    )
    return {row["provider_id"]: row["users"] for row in rows}


def seal_plain_keys(database: Database, secrets: SecretBox) -> int:
    """Seal the keys that an earlier version stored in plain text; how many there were.

    What they were written over with is gone from the file, too. Raises SecretUnreadable.
    """
    connection = database.connection
    if not _plain_keys(connection):
        return 0
    connection.execute("PRAGMA secure_delete = ON")
    try:
        with database.transaction():
            plain = _plain_keys(connection)
            for row in plain:
                connection.execute(
                    "UPDATE providers SET sealed_key = ?, api_key = NULL WHERE id = ?",
                    (secrets.seal(row["api_key"]), row["id"]),
                )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.execute("PRAGMA secure_delete = OFF")
    log.warning(
        "sealed %d keys that stood in %s in plain text; older copies of that file still hold them",
        len(plain),
        database.path,
    )
    return len(plain)


def _plain_keys(connection: sqlite3.Connection) -> Sequence[sqlite3.Row]:
    return connection.execute(
        "SELECT id, api_key FROM providers WHERE api_key IS NOT NULL AND api_key != ''"
    ).fetchall()


def _names_of_users(connection: sqlite3.Connection, provider_id: int) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM models WHERE provider_id = ? AND archived_at IS NULL ORDER BY id LIMIT 5",
        (provider_id,),
    )
    return [row["name"] for row in rows]


def _provider(row: sqlite3.Row) -> Provider:
    prices: Mapping[str, Mapping[str, str | None]] = json.loads(row["prices"])
    return Provider(
        name=row["name"],
        api_url=row["api_url"],
        sealed_key=row["sealed_key"],
        models=tuple(json.loads(row["models"])),
        prices={name: _token_prices(texts) for name, texts in prices.items()},
        knowledge_cutoffs=json.loads(row["knowledge_cutoffs"]),
        id=row["id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _token_prices(texts: Mapping[str, str | None]) -> TokenPrices:
    return TokenPrices(
        **{key: None if text is None else Decimal(text) for key, text in texts.items()}
    )


def _columns(provider: Provider) -> tuple[Any, ...]:
    prices = {
        name: {
            key: None if amount is None else f"{amount:f}"
            for key, amount in (
                ("input", price.input), ("output", price.output), ("cached", price.cached),
            )
        }
        for name, price in provider.prices.items()
    }  # fmt: skip
    return (
        provider.name, provider.api_url, provider.sealed_key, json.dumps(list(provider.models)),
        json.dumps(prices), json.dumps(dict(provider.knowledge_cutoffs)),
    )  # fmt: skip


def _name_taken(provider: Provider) -> Conflict:
    return Conflict(f"There is a provider named {provider.name!r} already.", code="name_taken")
