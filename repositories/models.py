"""Models: a trader, its parameters and the terms of its account.

A replica has an account of its own and follows its first one in everything else: its terms are read
from there, and are not changed here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from domain import Interval, TradingModel
from errors import Conflict, NotFound

_FIELDS = (
    "name", "trader", "params", "provider_id", "model_name", "prompt", "initial_capital",
    "interval", "cycle_minutes", "risk", "enabled",
)  # fmt: skip
_FOLLOWED = (
    "trader", "params", "provider_id", "model_name", "prompt", "interval", "cycle_minutes", "risk",
    "enabled",
)  # fmt: skip
_OWN = (
    "id", "initial_capital", "archived_at", "replica_of", "replica_number", "created_at",
    "updated_at",
)  # fmt: skip
_MODELS = (
    "SELECT * FROM (SELECT "
    + ", ".join(f"m.{name}" for name in _OWN)
    + ", iif(f.id IS NULL, m.name, f.name || ' #' || m.replica_number) AS name, "
    + ", ".join(f"iif(f.id IS NULL, m.{name}, f.{name}) AS {name}" for name in _FOLLOWED)
    + " FROM models m LEFT JOIN models f ON f.id = m.replica_of) m"
)


@lru_cache(maxsize=256)
def _params(text: str) -> Mapping[str, Any]:
    """Parameters as they are stored; a script may be long, and models are read at every turn."""
    return MappingProxyType(json.loads(text))


def _model(row: sqlite3.Row) -> TradingModel:
    values: dict[str, Any] = {key: row[key] for key in row.keys()}  # noqa: SIM118 - see coins
    values["params"] = _params(values["params"])
    values["initial_capital"] = Decimal(values["initial_capital"])
    values["interval"] = Interval(values["interval"])
    values["enabled"] = bool(values["enabled"])
    return TradingModel(**values)


def _columns(model: TradingModel) -> tuple[Any, ...]:
    return (
        model.name, model.trader, json.dumps(dict(model.params)), model.provider_id,
        model.model_name, model.prompt, f"{model.initial_capital:f}", model.interval.value,
        model.cycle_minutes, model.risk, int(model.enabled),
    )  # fmt: skip


def list_models(
    connection: sqlite3.Connection, *, include_archived: bool = False
) -> list[TradingModel]:
    """Models in the order of their making, replicas after their first one."""
    condition = "1" if include_archived else "archived_at IS NULL"
    rows = connection.execute(f"{_MODELS} WHERE {condition}")
    # Put in order here: SQLite would write long parameters out once more to sort by their side.
    return sorted((_model(row) for row in rows), key=_family)


def _family(model: TradingModel) -> tuple[int, int]:
    return model.replica_of or model.id, model.replica_number


def get(connection: sqlite3.Connection, model_id: int) -> TradingModel:
    """A model by its id, archived ones too. Raises NotFound (unknown_model)."""
    row = connection.execute(f"{_MODELS} WHERE m.id = ?", (model_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no model {model_id}.", code="unknown_model")
    return _model(row)


def get_current(connection: sqlite3.Connection, model_id: int) -> TradingModel:
    """A model that has not been archived. Raises NotFound (unknown_model)."""
    model = get(connection, model_id)
    if model.archived_at is not None:
        raise NotFound(f"Model {model_id} is archived.", code="unknown_model")
    return model


def with_replicas(connection: sqlite3.Connection, model_id: int) -> list[TradingModel]:
    """A model that is not archived, and its replicas. Raises NotFound (unknown_model)."""
    first = get_current(connection, model_id)
    rows = connection.execute(
        f"{_MODELS} WHERE replica_of = ? AND archived_at IS NULL ORDER BY replica_number",
        (model_id,),
    )
    return [first, *(_model(row) for row in rows)]


def add(connection: sqlite3.Connection, model: TradingModel, now_ms: int) -> TradingModel:
    """Store a new model with its account. Raises Conflict (name_taken)."""
    fields = (*_FIELDS, "replica_of", "replica_number", "created_at", "updated_at")
    try:
        cursor = connection.execute(
            f"INSERT INTO models ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})",
            (*_columns(model), model.replica_of, model.replica_number, now_ms, now_ms),
        )
    except sqlite3.IntegrityError as error:
        raise _name_taken(model, error) from error
    model_id = cursor.lastrowid
    assert model_id is not None  # an INSERT has just succeeded
    connection.execute(
        "INSERT INTO accounts (model_id, cash, realized_pnl, fees_paid, funding_paid) "
        "VALUES (?, ?, '0', '0', '0')",
        (model_id, f"{model.initial_capital:f}"),
    )
    return replace(model, id=model_id, created_at=now_ms, updated_at=now_ms)


def update(connection: sqlite3.Connection, model: TradingModel, now_ms: int) -> None:
    """Store what `model` now says. Raises Conflict (name_taken; is_replica of a replica)."""
    if model.replica_of is not None:
        raise Conflict(f"{model.name!r} follows its first one: change that.", code="is_replica")
    try:
        connection.execute(
            f"UPDATE models SET {', '.join(f'{name} = ?' for name in _FIELDS)}, updated_at = ? "
            "WHERE id = ?",
            (*_columns(model), now_ms, model.id),
        )
    except sqlite3.IntegrityError as error:
        raise _name_taken(model, error) from error


def archive(connection: sqlite3.Connection, model_id: int, now_ms: int) -> None:
    """Take a model and its replicas out of trading; the history stays, the names become free."""
    connection.execute(
        "UPDATE models SET archived_at = ?, enabled = 0, updated_at = ? "
        "WHERE (id = ? OR replica_of = ?) AND archived_at IS NULL",
        (now_ms, now_ms, model_id, model_id),
    )


def provider_names(connection: sqlite3.Connection) -> dict[int, str]:
    """Names of the LLM providers by their ids."""
    return {row["id"]: row["name"] for row in connection.execute("SELECT id, name FROM providers")}


def _name_taken(model: TradingModel, error: sqlite3.IntegrityError) -> Exception:
    """UNIQUE on the name is the clash that a caller can cause; anything else is our mistake."""
    if "UNIQUE" in str(error):
        return Conflict(
            f"There is a model named {model.name!r} already.",
            code="name_taken",
            values={"name": model.name},
        )
    if "FOREIGN KEY" in str(error):
        return NotFound(f"There is no provider {model.provider_id}.", code="unknown_provider")
    return error
