"""Which scope a token needs for which route.

Reading needs `read`. A write that is not named here needs `admin`, as every new one does until
somebody has thought about it. The owner's browser may do everything.
"""

from __future__ import annotations

import re
from functools import lru_cache

from access_tokens import Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PARAMETER = re.compile(r"<(?:[^>]+:)?(\w+)>")  # as in /coins/<int:coin_id>

#: For everybody, also without having signed in. `/api/health` then tells the status alone.
OPEN = frozenset(
    {
        "GET /static/{version}/{filename}",
        "GET /favicon.ico",
        "GET /login",
        "POST /login",
        "GET /api/health",
    }
)

#: They are asked by POST and change nothing.
READ = frozenset({"POST /api/models/preview", "POST /api/backtest/estimate"})

#: What runs, pauses and trades models and backtests. Lifting the kill switch is not among them.
TRADE = frozenset(
    {
        "POST /api/models/{model_id}/execute",
        "POST /api/models/{model_id}/pause",
        "POST /api/models/{model_id}/resume",
        "POST /api/models/{model_id}/flatten",
        "POST /api/trading/stop-all",
        "POST /api/backtest/run",
        "POST /api/backtests/{backtest_id}/cancel",
        "DELETE /api/backtests/{backtest_id}",
        "POST /api/backtests/sweep",
        "POST /api/backtests/sweeps/{sweep_id}/cancel",
        "DELETE /api/backtests/sweeps/{sweep_id}",
    }
)

#: Reads that tell who may call, and the whole database.
ADMIN = frozenset(
    {"GET /api/tokens", "GET /api/audit", "GET /api/backups", "GET /api/backups/{name}"}
)


def is_open(method: str, rule: str | None) -> bool:
    """Whether a route, by its rule of Flask's, is there for everybody."""
    return _name(method, rule) in OPEN


def scope_needed(method: str, rule: str | None) -> Scope:
    """The scope that a route needs; `rule` is None where there is no such route."""
    name = _name(method, rule)
    if name in ADMIN:
        return Scope.ADMIN
    if method in SAFE_METHODS or name in READ:
        return Scope.READ
    return Scope.TRADE if name in TRADE else Scope.ADMIN


def documented_path(rule: str) -> str:
    """A rule of Flask's as the OpenAPI document writes it: /api/coins/{coin_id}."""
    return PARAMETER.sub(r"{\1}", rule)


@lru_cache(maxsize=1000)
def _name(method: str, rule: str | None) -> str:
    """As it is written above."""
    read = "GET" if method in SAFE_METHODS else method
    return f"{read} {documented_path(rule or '')}"
