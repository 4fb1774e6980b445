"""Groups of coins, each in an order of its own."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, jsonify, make_response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel, StringConstraints

import audit_log
from audit_log import Action, Audited
from database import Connection
from errors import InvalidInput
from repositories import coins, groups
from repositories.groups import CoinGroup
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Body, Created, Identifier, Message
from routes.services import services

blueprint = APIBlueprint(
    "coin_groups",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Coin groups")],
    abp_responses=ERROR_ANSWERS,
)

MOST_MEMBERS = 2000

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Description = Annotated[str, StringConstraints(max_length=500)]
CoinIds = Annotated[list[Identifier], Field(max_length=MOST_MEMBERS)]


class NewGroup(Body):
    """A group to be made."""

    name: Name
    description: Description | None = None
    coin_ids: CoinIds = Field(default_factory=list, description="Members in their order")


class GroupChanges(Body):
    """What is to change of a group; the rest stays."""

    name: Name | None = None
    description: Description | None = None
    coin_ids: CoinIds | None = Field(None, description="All members in their order")


class GroupPath(BaseModel):
    """A group by its id."""

    group_id: Identifier = Field(description="Group id")


class GroupMember(BaseModel):
    """A coin in a group."""

    id: int
    symbol: str
    name: str
    is_active: bool


class GroupAnswer(BaseModel):
    """A group with its members in their order."""

    id: int
    name: str
    description: str | None
    follows_rank: int | None = Field(description="Holds the so many largest coins by itself")
    coins: list[GroupMember]


class Groups(RootModel[list[GroupAnswer]]):
    """Every group."""


@blueprint.get("/coin-groups", responses={200: Groups})
def list_groups() -> Response:
    """Every group with its members."""
    return jsonify([_answer(group) for group in groups.list_groups(services().database.connection)])


@blueprint.post("/coin-groups", responses={201: Created})
def add_group(body: NewGroup) -> Response:
    """Make a group."""
    app = services()
    with app.database.transaction() as connection:
        _check_ids(body.coin_ids)
        group_id = groups.add(connection, body.name, body.description, app.clock.now_ms())
        groups.set_members(connection, group_id, body.coin_ids)
        _note(connection, Action.ADD, group_id, None)
    return make_response({"id": group_id, "message": f"{body.name} has been made."}, 201)


@blueprint.put("/coin-groups/<int:group_id>", responses={200: Message})
def change_group(path: GroupPath, body: GroupChanges) -> Response:
    """Change what the body names; members are replaced as a whole, in the order given."""
    named = body.model_fields_set
    if "name" in named and body.name is None:
        raise InvalidInput("name cannot be empty.", fields={"name": "cannot be empty"})
    with services().database.transaction() as connection:
        group = groups.get(connection, path.group_id)
        name = group.name if body.name is None else body.name
        description = body.description if "description" in named else group.description
        groups.rename(connection, group.id, name, description)
        if body.coin_ids is not None:
            _check_ids(body.coin_ids)
            groups.set_members(connection, group.id, body.coin_ids)
        _note(connection, Action.CHANGE, group.id, group)
    return jsonify({"message": f"{name} has been changed."})


@blueprint.delete("/coin-groups/<int:group_id>", responses={200: Message})
def delete_group(path: GroupPath) -> Response:
    """Delete a group; its coins stay."""
    with services().database.transaction() as connection:
        group = groups.get(connection, path.group_id)
        groups.delete(connection, group.id)
        audit_log.record(
            connection, caller(), Action.DELETE, Audited.COIN_GROUP, group.id, group.name,
            before=_fields(group),
        )  # fmt: skip
    return jsonify({"message": f"{group.name} has been deleted."})


def _note(connection: Connection, action: Action, group_id: int, before: CoinGroup | None) -> None:
    """The row of the audit log for a group that was `before`, and is now as it is stored."""
    after = groups.get(connection, group_id)
    audit_log.record(
        connection, caller(), action, Audited.COIN_GROUP, group_id, after.name,
        before=None if before is None else _fields(before), after=_fields(after),
    )  # fmt: skip


def _fields(group: CoinGroup) -> dict[str, Any]:
    """What a person can change of a group."""
    return {
        "name": group.name,
        "description": group.description,
        "coins": [coin.symbol for coin in group.coins],
    }


def _check_ids(coin_ids: list[int]) -> None:
    missing = coins.missing_ids(services().database.connection, coin_ids)
    if missing:
        raise InvalidInput(
            f"There is no coin with the id {missing[0]}.",
            code="unknown_coin",
            fields={"coin_ids": f"{missing[0]} is no coin's"},
        )


def _answer(group: CoinGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "follows_rank": group.follows_rank,
        "coins": [
            {"id": c.id, "symbol": c.symbol, "name": c.name, "is_active": c.is_active}
            for c in group.coins
        ],
    }
