"""Callers that write as pages do: with the proof that their session's pages are given."""

from __future__ import annotations

from typing import Any

import requests
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from route_scopes import SAFE_METHODS
from security import CSRF_HEADER


class PageClient(FlaskClient):
    """A browser on one of the app's pages. What a test says of proof or token itself stands."""

    def open(self, *args: Any, **terms: Any) -> TestResponse:
        headers = Headers(terms.get("headers"))
        proves_itself = CSRF_HEADER in headers or "Authorization" in headers
        if terms.get("method", "GET") not in SAFE_METHODS and not proves_itself:
            session = super().open("/api/session").get_json(silent=True) or {}
            headers[CSRF_HEADER] = session.get("csrf_token") or ""
            terms["headers"] = headers
        return super().open(*args, **terms)


def page_session(address: str) -> requests.Session:
    """The same for an app in a process of its own."""
    session = requests.Session()
    proof = session.get(f"{address}/api/session", timeout=5).json()["csrf_token"]
    session.headers[CSRF_HEADER] = proof
    return session
