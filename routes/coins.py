"""Coins: what can be traded and charted."""

from __future__ import annotations

from typing import Literal

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from repositories import coins
from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Query
from routes.services import services

blueprint = APIBlueprint(
    "coins",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Coins")],
    abp_responses=ERROR_ANSWERS,
)


class CoinsQuery(Query):
    """Which coins."""

    category: str | None = Field(None, max_length=50)
    is_active: Literal["1", "0", "all"] = "1"
    q: str | None = Field(None, max_length=100, description="Looked for in symbol and name")


class CoinAnswer(BaseModel):
    """A coin."""

    id: int
    symbol: str
    name: str
    category: str | None
    is_active: bool
    binance_symbol: str | None
    okx_symbol: str | None
    coingecko_id: str | None
    market_cap_rank: int | None
    notes: str | None
    created_at: str
    updated_at: str


class Coins(RootModel[list[CoinAnswer]]):
    """Coins by market cap rank, unranked last."""


@blueprint.get("/coins", responses={200: Coins})
def list_coins(query: CoinsQuery) -> Response:
    """The coins."""
    rows = coins.list_coins(
        services().database.connection,
        is_active={"1": True, "0": False, "all": None}[query.is_active],
        category=query.category,
        search=query.q,
    )
    return jsonify([shapes.coin(row) for row in rows])
