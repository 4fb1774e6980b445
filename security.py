"""Who may call: the local browser and local scripts alone, and nothing on behalf of other sites.

On the loopback there is no login; so the name that was asked for must be the loopback's (no DNS
rebinding) and whoever says where a request comes from must come from here (no foreign site).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Request, Response, request

from config import LOOPBACK_HOSTS
from errors import Forbidden

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def protect(app: Flask) -> None:
    """Check every request of `app` and put the security headers on every answer."""

    @app.before_request
    def check() -> None:
        check_host(request)
        check_origin(request)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if request.path.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def check_host(asked: Request) -> None:
    """Raises Forbidden (wrong_host) unless the request names a loopback address."""
    try:
        name = urlsplit(f"//{asked.host}").hostname
    except ValueError:
        name = None
    if name not in LOOPBACK_HOSTS:
        raise Forbidden("This address is not served here.", code="wrong_host")


def check_origin(asked: Request) -> None:
    """Raises Forbidden (wrong_origin) for what another site's page sends.

    Browsers name the page's origin with every write; scripts name none.
    """
    origin = asked.headers.get("Origin")
    if origin is not None and origin != f"{asked.scheme}://{asked.host}":
        raise Forbidden("Requests from other sites are refused.", code="wrong_origin")
    site = asked.headers.get("Sec-Fetch-Site", "none")  # a script's, or what the owner typed
    if site not in ("none", "same-origin") and asked.method not in SAFE_METHODS:
        raise Forbidden("Requests from other sites are refused.", code="wrong_origin")
