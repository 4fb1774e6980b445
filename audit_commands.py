"""`flask audit`: who changed what."""

from __future__ import annotations

import json

import click
from flask import current_app
from flask.cli import AppGroup

from audit_log import Action, Actor, ActorKind, Audited
from repositories import audit
from repositories.audit import AuditRow
from routes.services import EXTENSION, Services
from timestamps import iso_utc

audit_commands = AppGroup("audit", help="The audit log: who changed what.")


@audit_commands.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--before", type=click.IntRange(1), help="Only ids below this.")
@click.option("--actor", type=click.Choice([kind.value for kind in ActorKind]))
@click.option("--action", type=click.Choice([action.value for action in Action]))
@click.option("--object", "object_type", type=click.Choice([kind.value for kind in Audited]))
@click.option("--id", "object_id", type=click.IntRange(1), help="Of one object.")
def list_changes(limit: int, before: int | None, **wanted: str | int | None) -> None:
    """The newest changes, newest first."""
    services: Services = current_app.extensions[EXTENSION]
    named = {name: value for name, value in wanted.items() if value is not None}
    for row in audit.newest(services.database.connection, limit, before, named):
        click.echo(_line(row))


def _line(row: AuditRow) -> str:
    """One change in one line, whatever its texts hold."""
    who = Actor(ActorKind(row.actor), row.actor_name)
    what = " ".join(str(part) for part in (row.object_type, row.object_id) if part is not None)
    name = "" if row.object_name is None else f" {json.dumps(row.object_name, ensure_ascii=False)}"
    changes = "; ".join(
        f"{field}: {_short(change['before'])} → {_short(change['after'])}"
        for field, change in row.changes.items()
    )
    return f"{row.id} {iso_utc(row.timestamp)} {who}: {row.action} {what}{name}  {changes}".rstrip()


def _short(value: object, most: int = 100) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 1]}…"
