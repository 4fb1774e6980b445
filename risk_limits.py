"""What a model is held to: three profiles, and a model's own limits in place of a profile's.

A model's `risk` is the name of a profile, or `{"profile": "balanced", "max_leverage": 3, …}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from errors import InvalidInput
from ledger import ONE
from validation_reasons import reasons_of, sentences_of

HUNDRED = Decimal(100)


class RiskName(StrEnum):
    """The risk profiles by name; OFF takes decisions as they are."""

    OFF = "off"
    CONSERVATIVE = "conservative"
    BALANCED = "balanced"
    AGGRESSIVE = "aggressive"


@dataclass(frozen=True, slots=True)
class RiskProfile:
    """Limits of one model; shares are of its equity at the moment of the fill."""

    max_leverage: Decimal
    max_open_positions: int
    max_position_share: Decimal  # margin of one position
    max_notional_share: Decimal  # Σ quantity · price over all positions
    max_risk_share: Decimal  # distance to the stop × quantity, where there is a stop
    min_confidence: float
    cool_down_minutes: int = 0  # after a close, for the same coin
    daily_loss_share: Decimal = ONE  # of the equity at midnight UTC
    max_drawdown_share: Decimal = ONE  # of the highest equity


PROFILES: Mapping[RiskName, RiskProfile] = {
    RiskName.CONSERVATIVE: RiskProfile(
        Decimal(2), 3, Decimal("0.15"), Decimal(1), Decimal("0.015"), 0.0,
        60, Decimal("0.05"), Decimal("0.25"),
    ),
    RiskName.BALANCED: RiskProfile(
        Decimal(5), 5, Decimal("0.25"), Decimal(2), Decimal("0.03"), 0.0,
        0, Decimal("0.1"), Decimal("0.5"),
    ),
    RiskName.AGGRESSIVE: RiskProfile(
        Decimal(10), 10, Decimal("0.5"), Decimal(4), Decimal("0.06"), 0.0,
        0, Decimal("0.2"), Decimal("0.7"),
    ),
}  # fmt: skip

Percent = Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False)]


class RiskTerms(BaseModel):
    """A profile, and the limits that a model has of its own. Shares are in percent of equity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: RiskName = RiskName.BALANCED
    max_leverage: Annotated[Decimal, Field(ge=1, le=125, allow_inf_nan=False)] | None = None
    max_open_positions: int | None = Field(None, ge=1, le=500)
    max_position_pct: Percent | None = Field(None, description="Margin of one position")
    max_notional_pct: Annotated[Decimal, Field(gt=0, le=12_500, allow_inf_nan=False)] | None = (
        Field(None, description="Value of all positions together")
    )
    max_risk_pct: Percent | None = Field(None, description="Lost where the stop is reached")
    min_confidence: float | None = Field(None, ge=0, le=1)
    cool_down_minutes: int | None = Field(None, ge=0, le=10_080)
    daily_loss_pct: Percent | None = Field(None, description="Then no entry until midnight UTC")
    max_drawdown_pct: Percent | None = Field(None, description="Then stopped until resumed")

    def limits(self) -> RiskProfile | None:
        """The profile with these limits in the place of its own; None for OFF without any."""
        own = self.model_dump(exclude={"profile"}, exclude_none=True)
        if self.profile is RiskName.OFF:
            return replace(UNLIMITED, **_shares(own)) if own else None
        return replace(PROFILES[self.profile], **_shares(own))


UNLIMITED = RiskProfile(Decimal(125), 500, ONE, Decimal(125), ONE, 0.0)


def _shares(own: Mapping[str, Any]) -> dict[str, Any]:
    """The profile's fields: percentages as shares."""
    return {
        name.replace("_pct", "_share"): value / HUNDRED if name.endswith("_pct") else value
        for name, value in own.items()
    }


def profile_named(name: RiskName) -> RiskProfile | None:
    """The limits of a profile; None for OFF."""
    return PROFILES.get(name)


def risk_terms(risk: str | Mapping[str, Any]) -> RiskTerms:
    """A model's `risk`, as a body or the models table has it. Raises InvalidInput with fields."""
    try:
        if not isinstance(risk, str):
            return RiskTerms.model_validate(dict(risk))
        if risk.startswith("{"):
            return RiskTerms.model_validate_json(risk)
        return RiskTerms.model_validate({"profile": risk})
    except ValidationError as error:
        raise InvalidInput(
            "The risk settings do not fit.",
            fields=sentences_of(error, "risk"),
            reasons=reasons_of(error, "risk"),
        ) from error


def limits_of(risk: str | Mapping[str, Any]) -> RiskProfile | None:
    """What a model with this `risk` is held to; None for nothing. Raises InvalidInput."""
    return risk_terms(risk).limits()


def stored_risk(risk: str | Mapping[str, Any]) -> str:
    """`risk` as the models table keeps it: a name, or JSON text. Raises InvalidInput."""
    words = risk_words(risk)
    return words if isinstance(words, str) else json.dumps(words, sort_keys=True)


def risk_words(risk: str | Mapping[str, Any]) -> str | dict[str, Any]:
    """`risk` as the API answers it: a name, or a profile with own limits as numbers."""
    terms = risk_terms(risk)
    own = terms.model_dump(exclude={"profile"}, exclude_none=True)
    if not own:
        return terms.profile.value
    numbers = {k: float(v) if isinstance(v, Decimal) else v for k, v in own.items()}
    return {"profile": terms.profile.value, **numbers}
