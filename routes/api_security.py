"""What the OpenAPI document says of who may call what: the same as route_scopes.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_openapi3.models import PathItem

from route_scopes import is_open, scope_needed

TOKEN, SESSION, PROOF = "token", "session", "csrf"

SECURITY_SCHEMES: dict[str, Any] = {
    TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `flask token create NAME --scope read|trade|admin`.",
    },
    SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "The browser's session. It is named after the port, as session_5000; where "
        "no password is set and the app listens on the loopback alone, reading needs none.",
    },
    PROOF: {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "What /api/session gives a browser, for its writes.",
    },
}
METHODS = ("get", "post", "put", "patch", "delete")


def document_scopes(paths: Mapping[str, PathItem]) -> None:
    """Say of each operation which scope it needs."""
    for path, item in paths.items():
        for method in METHODS:
            operation = getattr(item, method)
            if operation is None:
                continue
            if is_open(method.upper(), path):
                operation.security = [{}, {TOKEN: []}, {SESSION: []}]
                continue
            needed = scope_needed(method.upper(), path)
            by_browser: dict[str, list[str]] = {SESSION: []}
            if method != "get":
                by_browser[PROOF] = []
            operation.security = [{TOKEN: [needed.value]}, by_browser]
            said = f"Needs the scope `{needed}`."
            operation.description = "\n\n".join(filter(None, (operation.description, said)))
