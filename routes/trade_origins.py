"""A trade with what it comes from: its position, its decision and its model."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from repositories import books, cycles, models, position_trades
from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import DecidingModel, DecisionAnswer, Identifier, Trade
from routes.services import services
from routes.traders import deciding_model

blueprint = APIBlueprint(
    "trade_origins",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Trading")],
    abp_responses=ERROR_ANSWERS,
)


class TradePath(BaseModel):
    """A trade by its id."""

    trade_id: Identifier = Field(description="Trade id")


class TradeOrigin(BaseModel):
    """A trade and what it comes from."""

    trade: Trade
    position: list[Trade] = Field(description="All trades of its position as they were booked")
    decision: DecisionAnswer | None = Field(description="Null where nobody was asked: a stop, …")
    model: DecidingModel


@blueprint.get("/trades/<int:trade_id>", responses={200: TradeOrigin})
def get_trade(path: TradePath) -> Response:
    """A trade, the other trades of its position, the decision that it carries out, its model."""
    connection = services().database.connection
    booked = books.get_trade(connection, path.trade_id)
    decision_id = booked.entry.fill.decision_id
    decided = None if decision_id is None else cycles.get_decision(connection, decision_id)
    position = position_trades.of_position(connection, booked)
    return jsonify(
        {
            "trade": shapes.trade(booked),
            "position": [shapes.trade(row) for row in position],
            "decision": None if decided is None else shapes.decision(decided),
            "model": deciding_model(models.get(connection, booked.model_id)),
        }
    )
