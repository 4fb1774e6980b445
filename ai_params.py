"""What an `ai` model is told and how it is asked: its parameters, checked. Pure.

Daily budgets are here too, so that the form on the page is made from one schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from domain import Interval, JsonSchema
from errors import InvalidInput
from strategies import registry
from strategies.base import Strategy
from validation_reasons import reasons_of, sentences_of

AI_TRADER = "ai"
AI_NAME = "Language model"
AI_DESCRIPTION = (
    "Asks a language model of a provider: it is shown the market, its account and its own prompt, "
    "and answers with decisions, which risk limits before they are filled."
)
NO_ADVICE = ""


class Indicator(StrEnum):
    """Indicators that a prompt can show."""

    EMA = "ema"
    SMA = "sma"
    RSI = "rsi"
    MACD = "macd"
    BOLLINGER = "bollinger"
    ATR = "atr"
    ADX = "adx"
    STOCHASTIC = "stochastic"
    OBV = "obv"
    VWAP = "vwap"
    VOLUME_RATIO = "volume_ratio"


class AiParams(BaseModel):
    """Parameters of an LLM trader; seconds are of real time, days are UTC days."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    language: Literal["en", "zh"] = Field("en", description="Language of the prompt")
    prompt_use: Literal["extend", "replace"] = Field(
        "extend",
        description="Whether the model's own prompt extends role and rules or replaces them",
    )
    history_bars: int = Field(24, ge=0, le=200, description="Bars shown of each coin and interval")
    indicators: tuple[Indicator, ...] = Field(
        (Indicator.EMA, Indicator.RSI, Indicator.MACD, Indicator.ATR, Indicator.VOLUME_RATIO),
        description="Indicators shown of each coin and interval",
    )
    other_intervals: tuple[Interval, ...] = Field(
        (), max_length=3, description="Intervals shown besides the model's own"
    )
    advice: str = Field(
        NO_ADVICE, description="Rule strategy whose signals are shown as advice; empty for none"
    )
    advice_params: dict[str, Any] = Field(
        default_factory=dict, description="Parameters of that strategy"
    )
    temperature: float | None = Field(None, ge=0, le=2, description="Empty: the provider's own")
    max_tokens: int | None = Field(
        None, ge=64, le=200_000, description="Most tokens of an answer; empty: the provider's own"
    )
    timeout_seconds: float = Field(60.0, ge=1, le=900, description="Longest wait for one answer")
    patience_seconds: float = Field(
        150.0, ge=1, le=1800, description="Longest time for a decision with all its calls"
    )
    retries: int = Field(2, ge=0, le=5, description="Times that a failed call is made again")
    output_mode: Literal["auto", "json_schema", "json_object", "plain"] = Field(
        "auto", description="How the answer's form is asked for; auto finds out what is taken"
    )
    most_prompt_tokens: int = Field(
        32_000, ge=8_000, le=500_000, description="Longer prompts show fewer bars"
    )
    daily_calls: int | None = Field(1500, ge=0, le=1_000_000, description="Calls a day; empty: any")
    daily_tokens: int | None = Field(None, ge=0, le=10**12, description="Tokens a day; empty: any")
    daily_cost: Decimal | None = Field(
        None, ge=0, le=1_000_000, description="US dollars a day; empty: any"
    )

    @model_validator(mode="after")
    def _advice_is_a_strategy(self) -> AiParams:
        if self.advice == NO_ADVICE:
            if self.advice_params:
                raise PydanticCustomError("advice_missing", "advice_params need an advice")
            return self
        strategy = registry().get(self.advice)
        if strategy is None or not issubclass(strategy, Strategy):
            known = ", ".join(key for key, kind in registry().items() if issubclass(kind, Strategy))
            raise PydanticCustomError(
                "unknown_advice", "advice must be one of {known}", {"known": known}
            )
        try:
            strategy((), self.advice_params)
        except InvalidInput as error:
            raise PydanticCustomError(
                "advice_does_not_fit",
                "advice_params do not fit {advice}: {said}",
                {"advice": self.advice, "said": str(error.fields)},
            ) from error
        return self


def read_params(params: Mapping[str, Any]) -> AiParams:
    """`params` of a model as they are stored. Raises InvalidInput with the fields."""
    try:
        return AiParams.model_validate(dict(params))
    except ValidationError as error:
        raise InvalidInput(
            "The parameters of the AI trader do not fit.",
            fields=sentences_of(error, "params"),
            reasons=reasons_of(error, "params"),
        ) from error


def params_schema() -> JsonSchema:
    """The JSON Schema of the parameters, for the form."""
    return AiParams.model_json_schema()
