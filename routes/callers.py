"""Who calls, in the words of the audit log."""

from __future__ import annotations

from audit_log import Actor, ActorKind
from security import caller_address, current_caller


def caller() -> Actor:
    """Whoever sent the current request."""
    known = current_caller()
    return Actor(ActorKind.NOBODY, caller_address()) if known is None else known.actor
