"""Signing in and out: the one page that is there for everybody, once a password is set."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as BaseResponse

from errors import Forbidden, TooManyRequests
from owner_sessions import SIGN_IN, start_session
from routes.services import services
from security import caller_address

blueprint = Blueprint("sign_in", __name__)

START = "/"


@blueprint.get("/login")
def show_login() -> BaseResponse:
    """The form; who has signed in already goes on to the page that was asked for."""
    page = local_page(request.args.get("next"))
    if services().access.owner_at(session.get(SIGN_IN)) is not None:
        return redirect(page)
    return _login_page(page)


@blueprint.post("/login")
def sign_in() -> BaseResponse:
    """Sign in with the form's password."""
    page = local_page(request.args.get("next"))
    try:
        started = services().access.sign_in(request.form.get("password", ""), caller_address())
    except Forbidden:
        return _login_page(page, wrong=True)
    except TooManyRequests as error:
        return _login_page(page, wait_seconds=math.ceil(error.retry_after))
    start_session(started)
    return redirect(page, 303)


@blueprint.post("/logout")
def sign_out() -> BaseResponse:
    """End this browser's sign-in, also for a copy of its cookie."""
    started = session.pop(SIGN_IN, None)
    if started is not None:
        services().access.sign_out(started)
    session.clear()
    return redirect(START, 303)


def local_page(page: str | None) -> str:
    """`page` where it is one of ours, else the first: a link must not lead elsewhere from here."""
    if not page or not page.isprintable() or not page.startswith("/") or "\\" in page:
        return START
    parts = urlsplit(page)
    if page.startswith("//") or parts.scheme or parts.netloc or parts.path in ("/login", "/logout"):
        return START
    return page


def _login_page(page: str, *, wrong: bool = False, wait_seconds: int = 0) -> Response:
    """The form, with what was wrong."""
    response = make_response(
        render_template(
            "login.html",
            page=page,
            password_is_set=services().access.password_is_set(),
            wrong=wrong,
            wait_seconds=wait_seconds,
        ),
        429 if wait_seconds else 403 if wrong else 200,
    )
    if wait_seconds:
        response.headers["Retry-After"] = str(wait_seconds)
    response.headers["Cache-Control"] = "no-store"
    return response
