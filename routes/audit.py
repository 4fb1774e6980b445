"""The audit log: who changed what."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from audit_log import Action, ActorKind, Audited
from repositories import audit
from repositories.audit import AuditRow
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import LARGEST_ID, Identifier, Query
from routes.services import services
from timestamps import iso_utc

blueprint = APIBlueprint(
    "audit",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Audit log")],
    abp_responses=ERROR_ANSWERS,
)

MOST_ROWS = 500


class AuditQuery(Query):
    """Which changes."""

    actor: ActorKind | None = None
    action: Action | None = None
    object_type: Audited | None = None
    object_id: Identifier | None = None
    limit: int = Field(100, ge=1, description=f"{MOST_ROWS} at most")
    before: int | None = Field(None, ge=1, le=LARGEST_ID, description="Only ids below this")


class FieldChange(BaseModel):
    """What a field was and has become. Of a secret: … where there is one, null where not."""

    before: Any
    after: Any


class AuditAnswer(BaseModel):
    """A change."""

    id: int
    timestamp: str
    actor: ActorKind
    actor_name: str | None = Field(description="A token's name, or where somebody unknown is")
    action: Action
    object_type: Audited
    object_id: int | None
    object_name: str | None
    changes: dict[str, FieldChange]


class AuditAnswers(RootModel[list[AuditAnswer]]):
    """Changes, newest first."""


@blueprint.get("/audit", responses={200: AuditAnswers})
def list_changes(query: AuditQuery) -> Response:
    """Who changed what, newest first."""
    wanted = query.model_dump(include=set(audit.FILTERS), exclude_none=True)
    rows = audit.newest(
        services().database.connection, min(query.limit, MOST_ROWS), query.before, wanted
    )
    return jsonify([_answer(row) for row in rows])


def _answer(row: AuditRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "timestamp": iso_utc(row.timestamp),
        "actor": row.actor,
        "actor_name": row.actor_name,
        "action": row.action,
        "object_type": row.object_type,
        "object_id": row.object_id,
        "object_name": row.object_name,
        "changes": row.changes,
    }
