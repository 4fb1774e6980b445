"""What can trade: language models and every rule strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, RootModel

from ai_params import AI_DESCRIPTION, AI_NAME, AI_TRADER, params_schema, read_params
from domain import Coin, TradingModel
from errors import InvalidInput
from repositories import providers
from routes.json_errors import ERROR_ANSWERS
from routes.services import services
from strategies import make_trader, registry

blueprint = APIBlueprint(
    "traders",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Models")],
    abp_responses=ERROR_ANSWERS,
)


MOST_LISTED = 50  # items of a parameter that a list of models tells


class TraderAnswer(BaseModel):
    """A kind of trader."""

    key: str
    name: str
    description: str
    params_schema: dict[str, Any]


class Traders(RootModel[list[TraderAnswer]]):
    """Every trader that a model can have."""


@blueprint.get("/traders", responses={200: Traders})
def list_traders() -> Response:
    """What can trade, with the JSON Schema of its parameters."""
    llm = {
        "key": AI_TRADER,
        "name": AI_NAME,
        "description": AI_DESCRIPTION,
        "params_schema": params_schema(),
    }
    rules = [
        {
            "key": key,
            "name": trader.name,
            "description": trader.description,
            "params_schema": trader.params_schema(),
        }
        for key, trader in registry().items()
    ]
    return jsonify([llm, *rules])


def check_trader(model: TradingModel, pool: Sequence[Coin]) -> None:
    """Raises InvalidInput where it could not trade: no such trader, parameters that do not fit."""
    if model.trader != AI_TRADER:
        make_trader(model.trader, [coin.symbol for coin in pool], model.params)
        return
    read_params(model.params)
    if model.provider_id is None:
        raise InvalidInput(
            "Choose a provider.",
            fields={"provider_id": "Choose a provider."},
            reasons={"provider_id": {"code": "missing"}},
        )
    if not model.model_name:
        raise InvalidInput(
            "Name a model.",
            fields={"model_name": "Name one of its models."},
            reasons={"model_name": {"code": "missing"}},
        )
    providers.get(services().database.connection, model.provider_id)


def trader_name(key: str) -> str:
    """A trader as people call it; one that is no longer there by its key."""
    trader = registry().get(key)
    if trader is not None:
        return trader.name
    return AI_NAME if key == AI_TRADER else key


def short_params(model: TradingModel) -> dict[str, Any]:
    """Its parameters without long lists: a script of thousands of decisions is not for a list."""
    return {
        name: value
        for name, value in model.params.items()
        if not (isinstance(value, list) and len(value) > MOST_LISTED)
    }


def deciding_model(model: TradingModel) -> dict[str, Any]:
    """What a decision or a trade tells of the model that made it, archived ones too."""
    return {
        "id": model.id,
        "name": model.name,
        "trader": model.trader,
        "trader_name": trader_name(model.trader),
        "params": short_params(model),
        "interval": model.interval.value,
        "archived": model.archived_at is not None,
    }
