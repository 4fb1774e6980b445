"""A number for every request: what is logged while it is answered carries it, and so does the answer."""

from __future__ import annotations

import secrets
from contextlib import ExitStack

from flask import Flask, Response, g

from log_context import logged_with

HEADER = "X-Request-ID"


def number_requests(app: Flask) -> None:
    """Number the requests of `app`; to be called before anything else looks at them."""

    @app.before_request
    def number() -> None:
        g.request_id = secrets.token_hex(6)
        g.request_log = ExitStack()
        g.request_log.enter_context(logged_with(request_id=g.request_id))

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers[HEADER] = g.request_id
        return response

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        numbered: ExitStack | None = g.pop("request_log", None)
        if numbered is not None:
            numbered.close()
