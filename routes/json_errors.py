"""One shape for every error: a sentence for a person, a stable word for a program."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from flask import Flask, Request, Response, jsonify, redirect, render_template, request, url_for
from flask.json.provider import DefaultJSONProvider
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel, Field, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from errors import Reason, TradingSystemError, Unauthorized
from validation_reasons import reasons_of, sentences_of

API_PAGE = "pages.api_docs"  # the one page below /api/

log = logging.getLogger(__name__)

_CODES = {
    400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large",
    415: "not_json", 429: "too_many",
}  # fmt: skip


class ReasonAnswer(BaseModel):
    """Why a field was refused, in words for programs."""

    code: str
    values: dict[str, Any] = Field({}, description="What the reason speaks of")


class ErrorAnswer(BaseModel):
    """What every failed request answers."""

    error: str = Field(description="A sentence for a person")
    code: str = Field(description="A stable word for a program")
    values: dict[str, Any] | None = Field(None, description="What the sentence speaks of")
    fields: dict[str, str] | None = Field(None, description="Why each named field was refused")
    reasons: dict[str, ReasonAnswer] | None = Field(
        None, description="The same of those fields for which there is a code"
    )


# What every route of the API may answer besides its own.
ERROR_ANSWERS: ResponseDict = dict.fromkeys(
    (400, 401, 403, 404, 405, 409, 413, 429, 500, 503), ErrorAnswer
)


class ExactJSONProvider(DefaultJSONProvider):
    """JSON that is UTF-8 text in and out, keeps the order of keys, and knows no NaN."""

    ensure_ascii = False
    sort_keys = False
    compact = True

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Text of `obj`. Raises ValueError on NaN and infinities, which JSON does not have."""
        return super().dumps(obj, allow_nan=False, **kwargs)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """The value of UTF-8 text. Raises ValueError, also where it is nested too deeply, has half
        a character, or a number that JSON does not have."""
        text = s.decode("utf-8") if isinstance(s, bytes) else s
        try:
            value = super().loads(text, parse_constant=_refuse_constant, **kwargs)
            if "\\u" in text:
                _refuse_lone_surrogates(value)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        return value


class ObjectRequest(Request):
    """A request whose JSON body is no text: the validation would read a text as another body."""

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        """The body's value; None where it is none, or a text."""
        value = super().get_json(*args, **kwargs)
        return None if isinstance(value, str) else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _refuse_lone_surrogates(value: Any) -> None:
    """Text with half a character can neither be stored nor sent."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("not Unicode text") from error


def handle_errors(app: Flask) -> None:
    """Answer every error of `app` in one shape; pages get a page."""
    app.json = ExactJSONProvider(app)
    app.request_class = ObjectRequest
    app.register_error_handler(TradingSystemError, _system_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _bug)


def error_answer(
    status: int,
    message: str,
    code: str,
    fields: Mapping[str, str] | None = None,
    *,
    values: Mapping[str, Any] | None = None,
    reasons: Mapping[str, Reason] | None = None,
) -> Response:
    """The JSON answer of an error; what is empty is left out."""
    more = {"values": values, "fields": fields, "reasons": reasons}
    body = {"error": message, "code": code} | {name: said for name, said in more.items() if said}
    response = jsonify(body)
    response.status_code = status
    return response


def validation_answer(error: ValidationError) -> Response:
    """400 with what is wrong with which field."""
    fields = sentences_of(error)
    if fields.keys() == {"body"} and "valid dictionary" in fields["body"]:
        message = "The body must be a JSON object, sent as application/json."
        return error_answer(400, message, "invalid_input", {"body": message})
    named = ", ".join(f"{name}: {why}" for name, why in list(fields.items())[:3])
    return error_answer(
        400, f"That cannot be taken: {named}.", "invalid_input", fields, reasons=reasons_of(error)
    )


def _system_error(error: TradingSystemError) -> BaseResponse | tuple[str, int]:
    if error.http_status >= 500:
        log.warning("%s %s: %s", request.method, request.path, error.message)
    if _wants_page():
        if isinstance(error, Unauthorized):
            asked = request.full_path.removesuffix("?")
            return redirect(url_for("sign_in.show_login", next=asked))
        return render_template("error.html", status=error.http_status, message=error.message), (
            error.http_status
        )
    is_of_fields = error.http_status == 400
    response = error_answer(
        error.http_status,
        error.message,
        error.code,
        error.fields if is_of_fields else None,
        values=error.values,
        reasons=error.reasons if is_of_fields else None,
    )
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(retry_after))
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _http_error(error: HTTPException) -> Response | tuple[str, int]:
    status = error.code or 500
    if error.response is not None and isinstance(error.response, Response):
        return error.response  # the validation's own answer
    if status < 400:
        return Response(status=status, headers=error.get_headers())
    message = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        most = (request.max_content_length or 0) // 1_000_000
        message = f"The body is larger than {most} MB."
    if _wants_page():
        return render_template("error.html", status=status, message=message), status
    answer = error_answer(status, message, _CODES.get(status, "http_error"))
    for name, value in error.get_headers():  # such as Allow and Retry-After
        if name != "Content-Type":
            answer.headers[name] = value
    return answer


def _bug(error: Exception) -> Response | tuple[str, int]:
    """A mistake of ours: its trace goes to the log, never to the caller."""
    log.exception("%s %s failed", request.method, request.path)
    message = "Something went wrong here; the log has the details."
    if _wants_page():
        return render_template("error.html", status=500, message=message), 500
    return error_answer(500, message, "internal_error")


def _wants_page() -> bool:
    """Whether a browser asks for a page; a program that takes anything is told in JSON."""
    for_programs = request.path.startswith(("/api/", "/static/", "/messages/", "/metrics"))
    if request.method != "GET" or (for_programs and request.endpoint != API_PAGE):
        return False
    kinds = ("application/json", "text/html")  # of two that are as welcome, the first
    return request.accept_mimetypes.best_match(kinds) == "text/html"
