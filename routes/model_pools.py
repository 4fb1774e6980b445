"""The pool of a model: which coins it may enter, and how much of it each may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Response, jsonify, make_response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

import audit_log
from audit_log import Action, Audited
from database import Connection
from domain import Coin, TradingModel
from errors import Conflict, InvalidInput, NotFound
from repositories import books, coins, groups, models, pools
from repositories.pools import PoolMember
from routes import shapes
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Body, CoinColumns, Empty, Identifier, Message, ModelPath
from routes.services import services

blueprint = APIBlueprint(
    "model_pools",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Coin pools")],
    abp_responses=ERROR_ANSWERS,
)

Weight = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


class PoolCoinPath(ModelPath):
    """A coin of a model's pool."""

    coin_id: Identifier = Field(description="Coin id")


class PoolGroupPath(ModelPath):
    """A group to be put into a model's pool."""

    group_id: Identifier = Field(description="Group id")


class PoolAddition(Body):
    """Coins to be put into a pool: `coin_id` or `coin_ids`."""

    coin_id: Identifier | None = None
    coin_ids: list[Identifier] | None = Field(None, min_length=1, max_length=2000)
    is_enabled: bool = True
    weight: Weight = 1.0


class PoolChanges(Body):
    """What is to change of a coin in a pool."""

    is_enabled: bool | None = None
    weight: Weight | None = None


class PoolCoin(CoinColumns):
    """A coin of a pool, or one that is still held and no longer in it."""

    in_pool: bool
    is_enabled: bool
    weight: float
    share: float = Field(description="Weight over that of all that may be entered, 0 to 1")
    has_position: bool
    close_only: bool = Field(description="It may be closed and not entered")
    close_only_reason: str | None = Field(
        description="not_in_pool, disabled_in_pool, inactive or not_trading"
    )


class Pool(RootModel[list[PoolCoin]]):
    """The coins of a pool by market cap rank, then those that are held outside it."""


class Added(BaseModel):
    """How many coins were really added."""

    message: str
    added: int


@blueprint.get("/models/<int:model_id>/coins", responses={200: Pool})
def get_pool(path: ModelPath) -> Response:
    """A model's pool, with the coins that it still holds outside of it."""
    connection = services().database.connection
    models.get_current(connection, path.model_id)
    members = pools.members(connection, path.model_id)
    held = set(books.load_account(connection, path.model_id).positions)
    inside = {member.coin.symbol for member in members}
    outside = [coins.get(connection, symbol) for symbol in sorted(held - inside)]
    venues = services().data_aggregator.venues.trading_venues(
        [*(m.coin for m in members), *outside]
    )
    rows = [_row(member, held, venues) for member in members]
    rows += [
        _row(PoolMember(coin, False, 0.0, 0.0), held, venues, inside=False) for coin in outside
    ]
    return jsonify(rows)


@blueprint.post("/models/<int:model_id>/coins", responses={201: Added})
def add_to_pool(path: ModelPath, body: PoolAddition) -> Response:
    """Put coins into a pool; those that are in it stay as they are."""
    if (body.coin_id is None) == (body.coin_ids is None):
        raise InvalidInput(
            "Either coin_id or coin_ids must be given.",
            fields={"coin_id": "or coin_ids, exactly one"},
        )
    app = services()
    with app.database.transaction() as connection:
        model = models.get_current(connection, path.model_id)
        before = _entries(connection, model)
        ids = [body.coin_id] if body.coin_id is not None else body.coin_ids or []
        for coin_id in ids:
            coins.get_by_id(connection, coin_id)
        added = pools.add(
            connection, path.model_id, ids, app.clock.now_ms(),
            is_enabled=body.is_enabled, weight=body.weight,
        )  # fmt: skip
        _note(connection, model, before)
    if body.coin_id is not None and not added:
        raise Conflict("This coin is in the pool already.", code="already_in_pool")
    return make_response({"message": f"{added} coins have been added.", "added": added}, 201)


@blueprint.put("/models/<int:model_id>/coins/<int:coin_id>", responses={200: Message})
def change_in_pool(path: PoolCoinPath, body: PoolChanges) -> Response:
    """Enable, disable or weigh a coin of the pool."""
    changes = body.model_dump(exclude_unset=True)
    for name, value in changes.items():
        if value is None:
            raise InvalidInput(f"{name} cannot be empty.", fields={name: "cannot be empty"})
    with services().database.transaction() as connection:
        model, coin = _member(connection, path)
        before = _entries(connection, model)
        if changes:
            pools.change(connection, path.model_id, coin.id, changes)
        _note(connection, model, before)
    return jsonify({"message": f"{coin.symbol} has been changed."})


@blueprint.delete("/models/<int:model_id>/coins/<int:coin_id>", responses={200: Message})
def remove_from_pool(path: PoolCoinPath) -> Response:
    """Take a coin out of the pool; an open position in it can then only be closed."""
    with services().database.transaction() as connection:
        model, coin = _member(connection, path)
        before = _entries(connection, model)
        pools.remove(connection, path.model_id, coin.id)
        _note(connection, model, before)
    return jsonify({"message": f"{coin.symbol} has been removed."})


@blueprint.post("/models/<int:model_id>/add-group/<int:group_id>", responses={200: Added})
def add_group_to_pool(path: PoolGroupPath, body: Empty) -> Response:
    """Put the active coins of a group into a pool; how many were not in it before."""
    app = services()
    with app.database.transaction() as connection:
        model = models.get_current(connection, path.model_id)
        before = _entries(connection, model)
        group = groups.get(connection, path.group_id)
        ids = [coin.id for coin in group.coins if coin.is_active]
        added = pools.add(connection, path.model_id, ids, app.clock.now_ms())
        _note(connection, model, before)
    message = f"{added} coins of {group.name} have been added."
    return jsonify({"message": message, "added": added})


def _member(connection: Connection, path: PoolCoinPath) -> tuple[TradingModel, Coin]:
    """A model and a coin of its pool. Raises NotFound (unknown_model, unknown_coin, not_in_pool)."""
    model = models.get_current(connection, path.model_id)
    coin = coins.get_by_id(connection, path.coin_id)
    if all(member.coin.id != coin.id for member in pools.members(connection, path.model_id)):
        raise NotFound(
            f"{coin.symbol} is not in this pool.",
            code="not_in_pool",
            values={"coin": coin.symbol},
        )
    return model, coin


def _note(connection: Connection, model: TradingModel, before: Mapping[str, Any]) -> None:
    """The row of the audit log for a pool that was `before`, and is now as it is stored."""
    after = _entries(connection, model)
    audit_log.record(
        connection, caller(), Action.CHANGE, Audited.POOL, model.id, model.name,
        before=before, after=after,
    )  # fmt: skip


def _entries(connection: Connection, model: TradingModel) -> dict[str, Any]:
    """Weight and state of each coin of a pool, by its symbol."""
    return {
        member.coin.symbol: {"weight": member.weight, "is_enabled": member.is_enabled}
        for member in pools.members(connection, model.id)
    }


def _row(
    member: PoolMember, held: set[str], venues: dict[str, dict[str, bool]], *, inside: bool = True
) -> dict[str, Any]:
    coin = member.coin
    reason = _close_only_reason(member, venues[coin.symbol], inside=inside)
    return shapes.coin(coin) | {
        "in_pool": inside,
        "is_enabled": member.is_enabled,
        "weight": member.weight,
        "share": member.share,
        "has_position": coin.symbol in held,
        "close_only": reason is not None,
        "close_only_reason": reason,
    }


def _close_only_reason(member: PoolMember, trading: dict[str, bool], *, inside: bool) -> str | None:
    if not inside:
        return "not_in_pool"
    if not member.coin.is_active:
        return "inactive"
    if not member.is_enabled:
        return "disabled_in_pool"
    return "not_trading" if trading and not any(trading.values()) else None
