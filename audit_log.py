"""The audit log: who changed what, told by whoever makes the change, in its own transaction.

So a change that is undone leaves no row, and one that stands has its row, whatever ends the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from clock import SystemClock
from database import Connection
from redaction import CUT
from repositories import audit
from repositories.audit import AuditRow

SECRET_FIELDS = frozenset(
    ("api_key", "api_secret", "passphrase", "password", "secret", "token", "address")
)


class ActorKind(StrEnum):
    """What kind of somebody makes changes."""

    LOCAL = "local"
    OWNER = "owner"
    TOKEN = "token"
    COMMAND_LINE = "command_line"
    APP = "app"
    NOBODY = "nobody"


class Action(StrEnum):
    """What was done."""

    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"
    ARCHIVE = "archive"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    RUN = "run"
    FLATTEN = "flatten"
    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_OUT = "sign_out"
    REVOKE = "revoke"
    IMPORT = "import"
    BACK_UP = "back_up"
    BACK_UP_FAILED = "back_up_failed"
    RESTORE = "restore"


class Audited(StrEnum):
    """What it was done to."""

    SETTINGS = "settings"
    NOTIFICATIONS = "notifications"
    PROVIDER = "provider"
    MODEL = "model"
    POOL = "pool"
    COIN = "coin"
    COIN_GROUP = "coin_group"
    TRADING = "trading"
    PASSWORD = "password"
    SESSION = "session"
    TOKEN = "token"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change; `name` is a token's, or where somebody who is not known comes from."""

    kind: ActorKind
    name: str | None = None

    def __str__(self) -> str:
        words = _WORDS[self.kind]
        return words if self.name is None else f"{words} {self.name}"


_WORDS = {
    ActorKind.LOCAL: "this computer",
    ActorKind.OWNER: "the owner",
    ActorKind.TOKEN: "the token",
    ActorKind.COMMAND_LINE: "the command line",
    ActorKind.APP: "the app",
    ActorKind.NOBODY: "somebody at",
}

THIS_COMPUTER = Actor(ActorKind.LOCAL)
COMMAND_LINE = Actor(ActorKind.COMMAND_LINE)
THE_APP = Actor(ActorKind.APP)


def record(
    connection: Connection,
    by: Actor,
    action: Action,
    kind: Audited,
    object_id: int | None = None,
    name: str | None = None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write a row in the running transaction: what of `before` has become what of `after`.

    A field that one of them does not have is null there; secrets are masked. A change that leaves
    everything as it was is none, and has no row.
    """
    changes = changed_fields(before or {}, after or {})
    if action is Action.CHANGE and not changes:
        return
    audit.add(
        connection,
        AuditRow(SystemClock().now_ms(), by.kind, by.name, action, kind, object_id, name, changes),
    )


def changed_fields(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Before and after of each field that differs, as JSON; a secret is there or not."""
    return {
        name: {
            "before": _shown(name, before.get(name)),
            "after": _shown(name, after.get(name)),
        }
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    }


def _shown(field: str, value: Any) -> Any:
    if field in SECRET_FIELDS:
        return CUT if value else None
    return _json(value)


def _json(value: Any) -> Any:
    """Exact amounts as text, and containers with what they hold."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value
