"""What would be sent to an LLM now, of a stored model or of terms that are being edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

import ledger
from ai_params import AI_TRADER
from ai_trader import EnhancedAITrader, make_ai_trader
from domain import AccountInfo, CoinMarket, Interval, Portfolio, TradingModel
from errors import InvalidInput
from ledger import Account
from llm_client import LLMClient
from repositories import cycles, models, pools
from risk_limits import RiskName
from routes.json_errors import ERROR_ANSWERS
from routes.models import DEFAULT_COINS, Capital, Minutes, Symbols, chosen_coins
from routes.schemas import Body, Identifier, ModelPath, Risk
from routes.services import services
from trading_prompt import Prompt

blueprint = APIBlueprint(
    "prompts",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Models")],
    abp_responses=ERROR_ANSWERS,
)

UNSAVED = "Unsaved"


class PreviewQuestion(Body):
    """The terms of a model that need not be stored; with `model_id`, on that one's account."""

    model_id: Identifier | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    prompt: str | None = Field(None, max_length=20_000)
    coins: Symbols | None = None
    initial_capital: Capital = Decimal(10_000)
    interval: Interval = Interval.H1
    cycle_minutes: Minutes = 60
    risk: Risk = RiskName.BALANCED.value


class PromptMessage(BaseModel):
    """One message as the API of a provider takes it."""

    role: str
    content: str


class PromptAnswer(BaseModel):
    """Exactly what would be sent now."""

    messages: list[PromptMessage]
    estimated_tokens: int
    template_version: str


@blueprint.get("/models/<int:model_id>/prompt", responses={200: PromptAnswer})
def get_prompt(path: ModelPath) -> Response:
    """What the model's next question would be, were it asked now."""
    connection = services().database.connection
    model = models.get_current(connection, path.model_id)
    if model.trader != AI_TRADER:
        raise InvalidInput(f"{model.name!r} asks no LLM.", code="no_llm")
    members = pools.members(connection, model.id)
    shares = {member.coin.symbol: member.share for member in members if member.share > 0}
    return jsonify(_answer(_stored_prompt(model, shares)))


@blueprint.post("/models/preview", responses={200: PromptAnswer})
def preview_prompt(body: PreviewQuestion) -> Response:
    """What would be asked on these terms now; nothing is stored and no provider is asked."""
    app = services()
    coins = chosen_coins(DEFAULT_COINS if body.coins is None else body.coins)
    shares = {coin.symbol: 1 / max(1, len(coins)) for coin in coins}
    terms = TradingModel(
        name=UNSAVED,
        trader=AI_TRADER,
        params=body.params,
        initial_capital=body.initial_capital,
        interval=body.interval,
        cycle_minutes=body.cycle_minutes,
        risk=body.risk,
        prompt=body.prompt,
    )
    if body.model_id is None:
        return jsonify(_answer(_new_prompt(terms, shares)))
    stored = models.get_current(app.database.connection, body.model_id)
    edited = replace(
        stored, trader=AI_TRADER, params=terms.params, interval=terms.interval,
        cycle_minutes=terms.cycle_minutes, risk=terms.risk, prompt=terms.prompt,
    )  # fmt: skip
    if body.coins is None:
        members = pools.members(app.database.connection, stored.id)
        shares = {member.coin.symbol: member.share for member in members if member.share > 0}
    return jsonify(_answer(_stored_prompt(edited, shares)))


def _stored_prompt(model: TradingModel, shares: Mapping[str, float]) -> Prompt:
    """The prompt on a stored model's account. Raises what a cycle would raise before it asks."""
    app = services()
    engine = app.desk.engine_of(model)
    trader = _silent_trader(model, list(shares))
    wanted = {*shares, *engine.books.account().positions}
    market = {
        coin: seen for coin, seen in engine.snapshot(trader, list(shares)).items() if coin in wanted
    }
    now_ms = app.clock.now_ms()
    previous_ms = cycles.previous_start(app.database.connection, model.id)
    portfolio, account = engine.account_shown(market, now_ms, previous_ms)
    return trader.prompt(_with_shares(market, shares), portfolio, account)


def _new_prompt(model: TradingModel, shares: Mapping[str, float]) -> Prompt:
    """The prompt on an account that has only its capital."""
    app = services()
    trader = _silent_trader(model, list(shares))
    market = app.desk.engine_of(model).snapshot(trader, list(shares))
    now_ms = app.clock.now_ms()
    return trader.prompt(
        _with_shares(market, shares),
        _untouched(model.initial_capital),
        AccountInfo(now_ms, now_ms, model.initial_capital, 0.0),
    )


def _silent_trader(model: TradingModel, coins: Sequence[str]) -> EnhancedAITrader:
    """The trader of `model` that asks nothing. Raises InvalidInput where its terms do not fit."""

    def no_client(provider_id: int) -> LLMClient:
        raise AssertionError("a preview asks nothing")

    return make_ai_trader(model, coins, None, services().database, no_client, lambda: False)


def _untouched(capital: Decimal) -> Portfolio:
    return ledger.value(Account.opened_with(capital), {})


def _with_shares(
    market: Mapping[str, CoinMarket], shares: Mapping[str, float]
) -> dict[str, CoinMarket]:
    return {coin: replace(seen, pool_share=shares.get(coin, 0.0)) for coin, seen in market.items()}


def _answer(prompt: Prompt) -> dict[str, Any]:
    return {
        "messages": prompt.messages,
        "estimated_tokens": prompt.estimated_tokens,
        "template_version": prompt.template_version,
    }
