"""Who calls, in the words of the audit log."""

from __future__ import annotations

from audit_log import THIS_COMPUTER, Actor


def caller() -> Actor:
    """Whoever sent the current request."""
    return THIS_COMPUTER
