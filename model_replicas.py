"""Replicas: the same model several times, on accounts of their own.

They follow the first one's settings and pool, and are asked with it, on one snapshot: what differs
between them is chance alone.
"""

from __future__ import annotations

from dataclasses import replace

import audit_log
from audit_log import Action, Actor, Audited
from database import Database
from domain import TradingModel
from errors import InvalidInput
from repositories import models

MOST_REPLICAS = 20


def set_replicas(
    database: Database, model_id: int, replicas: int, now_ms: int, by: Actor
) -> list[TradingModel]:
    """Make a model one of `replicas` accounts, itself among them; what is too many is archived.

    A new one begins with the first one's initial capital. Returns all of them, the first one first.
    Raises NotFound, Conflict (name_taken), InvalidInput (not 1 to 20, or of a replica).
    """
    if not 1 <= replicas <= MOST_REPLICAS:
        why = f"1 to {MOST_REPLICAS}"
        raise InvalidInput(
            f"A model has {why} accounts.",
            fields={"replicas": why},
            reasons={"replicas": {"code": "too_many_replicas", "values": {"most": MOST_REPLICAS}}},
        )
    with database.transaction() as connection:
        first, *others = models.with_replicas(connection, model_id)
        if first.replica_of is not None:
            raise InvalidInput(
                f"{first.name!r} is a replica itself.",
                fields={"replicas": "of the first one alone"},
                reasons={"replicas": {"code": "is_replica"}},
            )
        for other in others:
            if other.replica_number > replicas:
                models.archive(connection, other.id, now_ms)
        present = {other.replica_number for other in others}
        for number in range(2, replicas + 1):
            if number not in present:
                name = f"{first.name} #{number}"
                copy = replace(first, name=name, replica_of=first.id, replica_number=number)
                models.add(connection, copy, now_ms)
        audit_log.record(
            connection, by, Action.CHANGE, Audited.MODEL, first.id, first.name,
            before={"replicas": 1 + len(others)}, after={"replicas": replicas},
        )  # fmt: skip
        return models.with_replicas(connection, model_id)
