"""Where the owner is told of what happens, and of what. The address goes in and never comes out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, StringConstraints

from api_address import LONGEST_ADDRESS
from errors import InvalidInput, TradingSystemError
from notifications import Event
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Body, Empty
from routes.services import services

blueprint = APIBlueprint(
    "notifications",
    __name__,
    url_prefix="/api/notifications",
    abp_tags=[Tag(name="Notifications")],
    abp_responses=ERROR_ANSWERS,
)

Address = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_ADDRESS)]


class NotificationChanges(Body):
    """What is to change; the rest stays."""

    address: Address | None = Field(
        None, description="Of a webhook that takes JSON, as Slack's; empty or null forgets it"
    )
    events: list[Event] | None = Field(None, max_length=len(Event), description="All that are told")


class NotificationsAnswer(BaseModel):
    """Where to and of what; the address itself is a key to the webhook."""

    address_set: bool
    host: str | None = Field(description="Of the address")
    events: list[Event]
    all_events: list[Event]


class DeliveryAnswer(BaseModel):
    """Whether a message has arrived; if not, why."""

    ok: bool
    error: str | None
    code: str | None


@blueprint.get("", responses={200: NotificationsAnswer})
def get_notifications() -> Response:
    """Where the owner is told, and of what."""
    return _answer()


@blueprint.put("", responses={200: NotificationsAnswer})
def change_notifications(body: NotificationChanges) -> Response:
    """Change what the body names; the settings afterwards."""
    changes = body.model_dump(exclude_unset=True)
    if "events" in changes and changes["events"] is None:
        raise InvalidInput("events cannot be empty.", fields={"events": "cannot be empty"})
    services().notification_settings.change(changes, caller())
    return _answer()


@blueprint.post("/test", responses={200: DeliveryAnswer})
def send_test(body: Empty) -> Response:
    """Send a message now; 409 where no address is set."""
    app = services()
    try:
        app.notifier.send_test()
    except TradingSystemError as error:
        if error.code == "no_address":
            raise
        said = app.redactor.redact(error.message)
        return jsonify({"ok": False, "error": said, "code": error.code})
    return jsonify({"ok": True, "error": None, "code": None})


def _answer() -> Response:
    settings = services().notification_settings.load()
    return jsonify(
        {
            "address_set": settings.address is not None,
            "host": None if settings.address is None else urlsplit(settings.address).hostname,
            "events": list(settings.events),
            "all_events": list(Event),
        }
    )
