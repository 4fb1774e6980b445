"""What a backtest that asks a language model will cost, and what one has cost."""

from __future__ import annotations

from decimal import Decimal

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backtest_request import BacktestRequest
from llm_estimate import estimate
from repositories import backtests, llm_answers
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Identifier
from routes.services import services

blueprint = APIBlueprint(
    "backtest_costs",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Backtests")],
    abp_responses=ERROR_ANSWERS,
)


class EstimateAnswer(BaseModel):
    """An estimate; costs in US dollars, null where the model's prices are not known."""

    calls: int = Field(description="Questions of the whole run; repairs come on top")
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    recorded_already: int = Field(description="Of the calls, those that need not be made again")
    cost_still_to_pay: float | None
    from_candles: bool = Field(description="Whether stored candles were there to measure with")
    replayed_whole: bool = Field(description="Whether recorded_already is exact, no lower bound")


class PaidPath(BaseModel):
    """A run by its id."""

    backtest_id: Identifier = Field(description="Backtest id")


class PaidAnswer(BaseModel):
    """What a run itself has paid; answers that were recorded before cost it nothing."""

    calls: int
    tokens: int
    cost: float


@blueprint.post("/backtest/estimate", responses={200: EstimateAnswer})
def estimate_backtest(body: BacktestRequest) -> Response:
    """What a run will call and cost; nobody is asked, and nothing is stored."""
    app = services()
    found = estimate(app.database, app.backtests, body)
    return jsonify(
        {
            "calls": found.calls,
            "prompt_tokens": found.prompt_tokens,
            "completion_tokens": found.completion_tokens,
            "cost": _dollars(found.cost),
            "recorded_already": found.recorded_already,
            "cost_still_to_pay": _dollars(found.cost_still_to_pay),
            "from_candles": found.from_candles,
            "replayed_whole": found.replayed_whole,
        }
    )


@blueprint.get("/backtests/<int:backtest_id>/paid", responses={200: PaidAnswer})
def get_paid(path: PaidPath) -> Response:
    """What a run has called and paid so far, also while it is running."""
    connection = services().database.connection
    backtests.get(connection, path.backtest_id)
    paid = llm_answers.paid(connection, path.backtest_id)
    return jsonify({"calls": paid.calls, "tokens": paid.tokens, "cost": float(paid.cost)})


def _dollars(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
