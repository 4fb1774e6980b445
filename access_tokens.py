"""Tokens of scripts: random texts with a scope, of which only the SHA-256 is kept.

A token has 256 random bits, so that a plain hash of it tells nothing and can be looked up.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

TOKEN_PREFIX = "act_"  # so that logs, and those who search for leaked keys, can know one
PREFIX_SHOWN = len(TOKEN_PREFIX) + 6


class Scope(StrEnum):
    """What a caller may do; each includes those before it."""

    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        """Whether it is `needed` or more."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token as it is kept. Times are the wall clock's, in milliseconds UTC."""

    id: int
    name: str
    scope: Scope
    prefix: str
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None

    def expired(self, now_ms: int) -> bool:
        """Whether its days are over."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


def random_token() -> str:
    """A new token, to be shown once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What is kept of a token, or of another random text of 256 bits."""
    return hashlib.sha256(token.encode()).hexdigest()
