"""Sessions of browsers: Flask's signed cookies, with a key derived from the app's own.

Before there is such a key, sessions are signed with one of this process alone: they then hold
nothing but the proof of a page, and a page asks for another one.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from flask import Flask, Request, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer

from errors import SecretUnreadable
from secret_box import SecretBox

PURPOSE = "sessions of browsers"
SIGN_IN = "sign_in"
CSRF_TOKEN = "csrf_token"


class OwnerSessions(SecureCookieSessionInterface):
    """Cookies that scripts of pages cannot read and that no other site's request carries."""

    digest_method = staticmethod(hashlib.sha256)

    def __init__(self, box: SecretBox):
        self._box = box
        self._key_of_this_process = secrets.token_bytes(32)

    def _key(self) -> bytes:
        try:
            return self._box.derived_key(PURPOSE)
        except SecretUnreadable:
            return self._key_of_this_process

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer:
        """Signs with the key as it is now."""
        return URLSafeTimedSerializer(
            self._key(),
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={
                "key_derivation": self.key_derivation,
                "digest_method": self.digest_method,
            },
        )

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a request; without a cookie no key is looked for."""
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Behind TLS the cookie is for TLS alone."""
        return request.is_secure


def cookie_settings(port: int, days: int) -> dict[str, Any]:
    """Flask's settings of the cookie. Browsers keep the cookies of one host's ports together."""
    return {
        "SESSION_COOKIE_NAME": f"session_{port}",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_REFRESH_EACH_REQUEST": False,
        "PERMANENT_SESSION_LIFETIME": days * 86_400,
    }


def start_session(sign_in: str) -> None:
    """The browser is signed in; nothing of the session before counts any more."""
    session.clear()
    session.permanent = True
    session[SIGN_IN] = sign_in
    session[CSRF_TOKEN] = secrets.token_urlsafe(32)


def csrf_token() -> str:
    """What a page of this session proves itself with: the session's own, made when first asked."""
    if CSRF_TOKEN not in session:
        session[CSRF_TOKEN] = secrets.token_urlsafe(32)
    return str(session[CSRF_TOKEN])
