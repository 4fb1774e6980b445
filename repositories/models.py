"""Models: a trader, its parameters and the terms of its account."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from decimal import Decimal
from typing import Any

from domain import Interval, TradingModel
from errors import Conflict, NotFound

_FIELDS = (
    "name", "trader", "params", "provider_id", "model_name", "prompt", "initial_capital",
    "interval", "cycle_minutes", "risk", "enabled",
)  # fmt: skip


def _model(row: sqlite3.Row) -> TradingModel:
    values: dict[str, Any] = {key: row[key] for key in row.keys()}  # noqa: SIM118 - see coins
    values["params"] = json.loads(values["params"])
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
    """Models in the order of their making."""
    condition = "1" if include_archived else "archived_at IS NULL"
    rows = connection.execute(f"SELECT * FROM models WHERE {condition} ORDER BY id")
    return [_model(row) for row in rows]


def get(connection: sqlite3.Connection, model_id: int) -> TradingModel:
    """A model by its id, archived ones too. Raises NotFound (unknown_model)."""
    row = connection.execute("SELECT * FROM models WHERE id = ?", (model_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no model {model_id}.", code="unknown_model")
    return _model(row)


def get_current(connection: sqlite3.Connection, model_id: int) -> TradingModel:
    """A model that has not been archived. Raises NotFound (unknown_model)."""
    model = get(connection, model_id)
    if model.archived_at is not None:
        raise NotFound(f"Model {model_id} is archived.", code="unknown_model")
    return model


def add(connection: sqlite3.Connection, model: TradingModel, now_ms: int) -> TradingModel:
    """Store a new model with its account. Raises Conflict (name_taken)."""
    try:
        cursor = connection.execute(
            f"INSERT INTO models ({', '.join(_FIELDS)}, created_at, updated_at) "
            f"VALUES ({', '.join('?' * len(_FIELDS))}, ?, ?)",
            (*_columns(model), now_ms, now_ms),
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
    """Store what `model` now says. Raises Conflict (name_taken)."""
    try:
        connection.execute(
            f"UPDATE models SET {', '.join(f'{name} = ?' for name in _FIELDS)}, updated_at = ? "
            "WHERE id = ?",
            (*_columns(model), now_ms, model.id),
        )
    except sqlite3.IntegrityError as error:
        raise _name_taken(model, error) from error


def archive(connection: sqlite3.Connection, model_id: int, now_ms: int) -> None:
    """Take a model out of trading; its history stays and its name becomes free."""
    connection.execute(
        "UPDATE models SET archived_at = ?, enabled = 0, updated_at = ? WHERE id = ?",
        (now_ms, now_ms, model_id),
    )


def provider_names(connection: sqlite3.Connection) -> dict[int, str]:
    """Names of the LLM providers by their ids."""
    return {row["id"]: row["name"] for row in connection.execute("SELECT id, name FROM providers")}


def _name_taken(model: TradingModel, error: sqlite3.IntegrityError) -> Exception:
    """UNIQUE on the name is the clash that a caller can cause; anything else is our mistake."""
    if "UNIQUE" in str(error):
        return Conflict(f"There is a model named {model.name!r} already.", code="name_taken")
    if "FOREIGN KEY" in str(error):
        return NotFound(f"There is no provider {model.provider_id}.", code="unknown_provider")
    return error
