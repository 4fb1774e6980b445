"""Who may call: the owner's password and the tokens of scripts."""

from __future__ import annotations

from typing import Annotated

from flask import Response, jsonify, make_response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AfterValidator, BaseModel, Field, RootModel, StringConstraints

from access_tokens import AccessToken, Scope
from clock import SystemClock
from owner_access import Caller
from owner_sessions import csrf_token, start_session
from passwords import LONGEST, SHORTEST
from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Body, Identifier, Message, one_line
from routes.services import services
from security import caller_address, current_caller

blueprint = APIBlueprint(
    "access",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Access")],
    abp_responses=ERROR_ANSWERS,
)

MOST_DAYS = 3650


class SessionAnswer(BaseModel):
    """Who is asking, and what their pages prove themselves with."""

    scope: Scope
    token_name: str | None = Field(description="Null to a browser")
    password_set: bool
    signed_in: bool = Field(description="With the password, by a browser")
    csrf_token: str | None = Field(description="To be sent as X-CSRF-Token; null to a token")


class NewPassword(Body):
    """The owner's password to be."""

    password: str = Field(min_length=SHORTEST, max_length=LONGEST)
    current_password: str | None = Field(
        None, max_length=LONGEST, description="Needed where one is set"
    )


class NewAccessToken(Body):
    """A token to be made."""

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
        AfterValidator(one_line),
    ]
    scope: Scope
    days: int | None = Field(
        None, ge=1, le=MOST_DAYS, description="After which it expires; null: when it is revoked"
    )


class TokenPath(BaseModel):
    """A token by its id."""

    token_id: Identifier = Field(description="Token id")


class AccessTokenAnswer(BaseModel):
    """A token; its text is not kept."""

    id: int
    name: str
    scope: Scope
    prefix: str = Field(description="How its text begins")
    created_at: str
    expires_at: str | None
    expired: bool
    last_used_at: str | None = Field(description="To the minute")


class AccessTokens(RootModel[list[AccessTokenAnswer]]):
    """Tokens that have not been revoked, newest first."""


class TokenMade(AccessTokenAnswer):
    """A new token."""

    token: str = Field(description="To be sent as Authorization: Bearer …; it is shown this once")
    message: str


@blueprint.get("/session", responses={200: SessionAnswer})
def get_session() -> Response:
    """Who is asking; and for a browser, what its writes prove themselves with."""
    caller = _caller()
    return jsonify(
        {
            "scope": caller.scope,
            "token_name": caller.token.name if caller.token is not None else None,
            "password_set": services().access.password_is_set(),
            "signed_in": caller.sign_in is not None,
            "csrf_token": csrf_token() if caller.token is None else None,
        }
    )


@blueprint.put("/password", responses={200: Message})
def set_password(body: NewPassword) -> Response:
    """Set the owner's password. Every other browser is signed out; tokens stay as they are."""
    access, caller = services().access, _caller()
    if access.password_is_set():
        access.check_password(body.current_password or "", caller_address())
    access.set_password(body.password, caller.actor)
    if caller.token is None:
        start_session(access.begin_sign_in())
    return jsonify({"message": "The password has been set."})


@blueprint.get("/tokens", responses={200: AccessTokens})
def list_tokens() -> Response:
    """The tokens of scripts."""
    return jsonify([_answer(token) for token in services().access.list_tokens()])


@blueprint.post("/tokens", responses={201: TokenMade})
def make_token(body: NewAccessToken) -> Response:
    """Make a token. Its text is in the answer and nowhere else."""
    made = services().access.make_token(body.name, body.scope, body.days, _caller().actor)
    told = {"token": made.text, "message": f"The token {body.name} has been made."}
    return make_response(_answer(made.token) | told, 201)


@blueprint.delete("/tokens/<int:token_id>", responses={200: Message})
def revoke_token(path: TokenPath) -> Response:
    """End a token at once."""
    token = services().access.revoke_token(path.token_id, _caller().actor)
    return jsonify({"message": f"The token {token.name} has been revoked."})


def _caller() -> Caller:
    caller = current_caller()
    assert caller is not None  # none of these routes is open
    return caller


def _answer(token: AccessToken) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "prefix": token.prefix,
        "created_at": shapes.time(token.created_ms),
        "expires_at": shapes.time(token.expires_ms),
        "expired": token.expired(SystemClock().now_ms()),
        "last_used_at": shapes.time(token.last_used_ms),
    }
