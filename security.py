"""Who may call what, looked at before every request, and what every answer tells the browser.

In turn: was the app asked by a name of its own (no DNS rebinding)? Does it come from our own pages,
or from no page at all (no foreign site)? Who sends it, and is that enough for this route? Does a
browser that writes prove that one of our pages asked it to?
"""

from __future__ import annotations

import hmac
import ipaddress

from flask import Flask, Request, Response, g, request, session

from errors import Forbidden, Unauthorized
from host_names import HostNames
from owner_access import Caller, OwnerAccess
from owner_sessions import CSRF_TOKEN, SIGN_IN
from route_scopes import SAFE_METHODS, is_open, scope_needed

CSRF_HEADER = "X-CSRF-Token"
FORMS = frozenset({"POST /logout"})  # sent by the browser itself, with the proof in a field

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


def protect(app: Flask, access: OwnerAccess, hosts: HostNames) -> None:
    """Check every request of `app` and put the security headers on every answer."""

    @app.before_request
    def check() -> None:
        check_host(request, hosts)
        check_origin(request)
        g.caller = known_caller(request, access)
        check_caller(request, g.caller)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if is_private(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def current_caller() -> Caller | None:
    """Who sends the current request; None where nobody had to say."""
    found: Caller | None = g.get("caller")
    return found


def caller_address() -> str:
    """The address that the current request comes from."""
    return request.remote_addr or "nowhere"


def is_private(asked: Request) -> bool:
    """Whether no cache may keep the answer: the API's, and pages for who has signed in."""
    if asked.endpoint == "static":
        return False
    return asked.path.startswith("/api/") or SIGN_IN in session


def check_host(asked: Request, hosts: HostNames) -> None:
    """Raises Forbidden (wrong_host) unless the request names the app by a name of its own."""
    if not hosts.serve(asked.host):
        raise Forbidden("This address is not served here.", code="wrong_host")


def check_origin(asked: Request) -> None:
    """Raises Forbidden (wrong_origin) for what another site's page sends.

    Browsers name the page's origin with every write; scripts name none. A link from elsewhere may
    open a page.
    """
    origin = asked.headers.get("Origin")
    if origin is not None and origin != f"{asked.scheme}://{asked.host}":
        raise Forbidden("Requests from other sites are refused.", code="wrong_origin")
    site = asked.headers.get("Sec-Fetch-Site", "none")  # a script's, or what the owner typed
    is_link = asked.method in SAFE_METHODS and asked.headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in ("none", "same-origin") and not is_link:
        raise Forbidden("Requests from other sites are refused.", code="wrong_origin")


def known_caller(asked: Request, access: OwnerAccess) -> Caller | None:
    """Who sends it; None for nobody that is known. Raises Unauthorized for a token that is none."""
    if asked.endpoint == "static":  # there for everybody, and often
        return None
    kind, _, token = asked.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return access.script_with(token.strip())
    caller = access.owner_at(session.get(SIGN_IN))
    if caller is not None and caller.sign_in is None and not _is_loopback(caller_address()):
        return None  # without a password the owner is whoever sits here, wherever it listens
    return caller


def check_caller(asked: Request, caller: Caller | None) -> None:
    """Raises Unauthorized for nobody, Forbidden for who may not do this or proves nothing."""
    rule = _rule(asked)
    if is_open(asked.method, rule):
        return
    if caller is None:
        raise Unauthorized("Sign in, or send a token.")
    needed = scope_needed(asked.method, rule)
    if not caller.scope.covers(needed):
        raise Forbidden(f"This needs a token with the scope {needed}.", code="scope_too_small")
    if caller.token is None and asked.method not in SAFE_METHODS:
        check_proof(asked)


def check_proof(asked: Request) -> None:
    """Raises Forbidden (csrf_missing) unless a page of this session asked for it.

    Other sites can make a browser send requests, and other programs can send them; neither knows
    the text that this session's pages were given.
    """
    proof = asked.headers.get(CSRF_HEADER, "")
    if not proof and f"{asked.method} {asked.path}" in FORMS:
        proof = asked.form.get(CSRF_TOKEN, "")
    expected = session.get(CSRF_TOKEN, "")
    if not expected or not hmac.compare_digest(proof.encode(), expected.encode()):
        raise Forbidden(
            "A write needs the proof of a page that was opened here, or a token: "
            "`flask token create`.",
            code="csrf_missing",
        )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _rule(asked: Request) -> str | None:
    return None if asked.url_rule is None else asked.url_rule.rule
