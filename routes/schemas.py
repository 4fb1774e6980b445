"""Shapes of answers and questions that more than one family of routes uses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from errors import InvalidInput
from risk_limits import RiskName, RiskTerms, stored_risk
from timestamps import parse_time_ms

LARGEST_ID = 2**63 - 1
LATEST_MS = 10**14  # the year 5138

Identifier = Annotated[int, Field(ge=1, le=LARGEST_ID)]


def _time(value: object) -> object:
    """Milliseconds of a time given as milliseconds or as ISO 8601."""
    if isinstance(value, bool):
        raise ValueError("must be milliseconds or an ISO 8601 time")
    if not isinstance(value, str):
        return value
    try:
        return parse_time_ms(value)
    except (ValueError, OverflowError) as error:
        raise ValueError("must be milliseconds or an ISO 8601 time") from error


TimeInput = Annotated[
    int, BeforeValidator(_time, json_schema_input_type=str), Field(ge=0, le=LATEST_MS)
]


def _stored_risk(value: object) -> object:
    """A model's risk as it is stored, of a profile's name or of one with limits of its own."""
    if not isinstance(value, str | Mapping) or (isinstance(value, str) and value.startswith("{")):
        raise ValueError("takes the name of a profile, or an object")
    try:
        return stored_risk(value)
    except InvalidInput as error:
        reasons = (f"{name.removeprefix('risk.')}: {why}" for name, why in error.fields.items())
        raise ValueError("; ".join(reasons)) from error


Risk = Annotated[
    str,
    BeforeValidator(_stored_risk, json_schema_input_type=RiskName | RiskTerms),
]


def one_line(text: str) -> str:
    """`text`, which can be shown in one line. Raises ValueError."""
    if not text.isprintable():
        raise ValueError("has characters that cannot be shown")
    return text


class Query(BaseModel):
    """Base of queries; a parameter that no route reads is ignored."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def model_json_schema(cls, *args: Any, **terms: Any) -> dict[str, Any]:
        """The JSON Schema. The plain one is kept: the API library asks for it at every request."""
        if args or terms:
            return super().model_json_schema(*args, **terms)
        return _plain_schema(cls)


@cache
def _plain_schema(query: type[Query]) -> dict[str, Any]:
    return super(Query, query).model_json_schema()


class Body(BaseModel):
    """Base of bodies; a field that nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Empty(Body):
    """A body that says nothing."""


class Message(BaseModel):
    """A sentence that says what was done."""

    message: str


class Created(BaseModel):
    """What was made."""

    id: int
    message: str


class ModelPath(BaseModel):
    """A model by its id."""

    model_id: Identifier = Field(description="Model id")


class CoinColumns(BaseModel):
    """A row of the coins table."""

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


class Position(BaseModel):
    """An open position."""

    coin: str
    side: str
    quantity: float
    entry_price: float
    leverage: float
    margin: float
    mark_price: float | None
    value: float
    unrealized_pnl: float
    liquidation_price: float | None
    stop_loss: float | None
    profit_target: float | None
    trailing_stop_pct: float | None
    opened_at: str
    opened_by: int | None = Field(description="The trade that opened it: GET /api/trades/<id>")
    stale: bool = Field(description="Whether the mark is older than a fresh price may be")
    mark_age_seconds: float | None
    model_id: int | None = None
    model_name: str | None = None


class Portfolio(BaseModel):
    """An account at its marks: total_value = cash + positions_value."""

    cash: float
    positions: list[Position]
    positions_value: float
    margin_used: float
    unrealized_pnl: float
    realized_pnl: float
    total_value: float
    fees_paid: float
    initial_capital: float
    return_percentage: float
    today_pnl: float | None = Field(None, description="Against the value at midnight UTC")
    token_cost: float | None = Field(None, description="US dollars of calls to LLMs")


class AccountValue(BaseModel):
    """One point of an account's value curve."""

    timestamp: str
    total_value: float
    cash: float
    positions_value: float


class Trade(BaseModel):
    """One booked fill."""

    id: int
    model_id: int
    timestamp: str
    coin: str
    signal: str
    kind: str
    side: str
    quantity: float
    price: float
    leverage: float
    fee: float
    pnl: float
    reason: str
    decision_id: int | None
    justification: str | None


class Trades(RootModel[list[Trade]]):
    """Trades, newest first."""


class DecidingModel(BaseModel):
    """The model that made a decision or a trade, with its terms as they stand."""

    id: int
    name: str
    trader: str
    trader_name: str
    params: dict[str, object] = Field(description="Without long lists")
    interval: str
    archived: bool


class RiskChange(BaseModel):
    """What risk made of one number of a decision."""

    asked: float | None
    allowed: float | None
    limit: str


class DecisionAnswer(BaseModel):
    """What a trader said of a coin and what became of it."""

    id: int
    cycle_id: int
    timestamp: str
    coin: str
    signal: str
    outcome: str = Field(description="executed, adjusted, refused or held")
    reason: str | None
    changes: list[str] = Field(description="The limits that changed it")
    detail: dict[str, RiskChange] = Field(description="What risk changed, or refused, by field")
    justification: str | None
    confidence: float | None
    decision: dict[str, object] = Field(description="As the trader said it")


class CycleAnswer(BaseModel):
    """A decision cycle."""

    status: str
    started_at: str
    finished_at: str | None
    error: str | None
    code: str | None
