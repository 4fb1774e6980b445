"""A model's terms as the audit log tells of their changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import audit_log
from audit_log import Action, Audited
from database import Connection
from domain import TradingModel
from repositories import loss_watches, models, pools
from risk_limits import risk_words
from routes.callers import caller


def note_model(
    connection: Connection, action: Action, model_id: int, before: Mapping[str, Any]
) -> None:
    """The row of the audit log for a model whose terms were `before`, and are now as stored."""
    model = models.get(connection, model_id)
    after = audited_terms(connection, model)
    audit_log.record(
        connection, caller(), action, Audited.MODEL, model.id, model.name,
        before=before, after=after,
    )  # fmt: skip


def audited_terms(connection: Connection, model: TradingModel) -> dict[str, Any]:
    """What a person can change of a model, and why risk has stopped it."""
    watch = loss_watches.get(connection, model.id)
    return {
        "name": model.name,
        "trader": model.trader,
        "params": dict(model.params),
        "provider_id": model.provider_id,
        "model_name": model.model_name,
        "prompt": model.prompt,
        "initial_capital": model.initial_capital,
        "interval": model.interval.value,
        "cycle_minutes": model.cycle_minutes,
        "risk": risk_words(model.risk),
        "enabled": model.enabled,
        "coins": [coin.symbol for coin in pools.enterable(connection, model.id)],
        "stopped_reason": None if watch is None else watch.stopped_reason,
        "archived": model.archived_at is not None,
    }
