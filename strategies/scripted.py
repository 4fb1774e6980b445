"""Decisions from a list: what another run, a file or a script said, at its times."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from decision_fields import read_condition
from domain import AccountInfo, Decision, Decisions, MarketState, Portfolio, Signal
from strategies.base import RuleTrader, StrategyParams
from timestamps import iso_utc, parse_time_ms

LARGEST_NUMBER = Decimal("1e15")
MOST_DECISIONS = 100_000


def _iso_text(value: object) -> str:
    """A time given as ISO 8601 text or as milliseconds, as ISO text in UTC."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("no_time", "must be an ISO 8601 time or milliseconds")
    try:
        return iso_utc(parse_time_ms(str(value)))
    except (ValueError, OverflowError, OSError) as error:
        raise PydanticCustomError("no_time", "must be an ISO 8601 time or milliseconds") from error


PositiveNumber = Annotated[Decimal, Field(gt=0, le=LARGEST_NUMBER)]


class ScriptedDecision(BaseModel):
    """One decision with its time and coin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: Annotated[str, BeforeValidator(_iso_text, json_schema_input_type=str | int)] = Field(
        description="When it is made: ISO 8601 (UTC where no zone is given) or milliseconds"
    )
    coin: str = Field(min_length=1, max_length=20)
    signal: Signal
    quantity: PositiveNumber | None = Field(None, description="Coin units")
    notional: PositiveNumber | None = Field(None, description="Quote currency")
    weight: Annotated[Decimal, Field(gt=0, le=1)] | None = Field(
        None, description="Share of equity"
    )
    leverage: Annotated[Decimal, Field(ge=1, le=125)] = Decimal(1)
    profit_target: PositiveNumber | None = None
    stop_loss: PositiveNumber | None = None
    trailing_stop_pct: Annotated[Decimal, Field(gt=0, lt=100)] | None = Field(
        None, description="Percent below the best price"
    )
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    justification: str = Field("", max_length=2000)
    invalidation: str = Field(
        "", max_length=2000, description="Free text, or a condition such as close_1h < 61200"
    )

    @model_validator(mode="after")
    def _one_size(self) -> ScriptedDecision:
        sizes = [self.quantity, self.notional, self.weight]
        given = sum(size is not None for size in sizes)
        entering = self.signal in (Signal.BUY_TO_ENTER, Signal.SELL_TO_ENTER)
        if entering and given != 1:
            raise PydanticCustomError(
                "entry_size", "an entry needs exactly one of quantity, notional and weight"
            )
        return self

    def decision(self) -> Decision:
        """The decision without its time and coin."""
        return Decision(
            self.signal,
            self.quantity,
            self.notional,
            self.weight,
            self.leverage,
            self.profit_target,
            self.stop_loss,
            self.trailing_stop_pct,
            self.confidence,
            self.justification,
            self.invalidation,
            read_condition(self.invalidation, self.coin),
        )


class ScriptedParams(StrategyParams):
    """A script."""

    decisions: list[ScriptedDecision] = Field(
        default_factory=list, max_length=MOST_DECISIONS, description="Decisions with their times"
    )


class ScriptedTrader(RuleTrader):
    """Says what its list says: at each question, everything since the one before."""

    key = "scripted"
    name = "Scripted"
    description = "Follows a list of decisions with times: replays any run under other terms."
    Params = ScriptedParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        script = cast(ScriptedParams, self.params).decisions
        timed = [(parse_time_ms(item.time), item.coin, item.decision()) for item in script]
        self.script = sorted(timed, key=lambda item: item[0])
        self._times = [time_ms for time_ms, _, _ in self.script]

    def between(self, after_ms: int, until_ms: int) -> dict[str, list[Decision]]:
        """Decisions with after_ms < time ≤ until_ms, keyed by coin, in their order."""
        first = bisect_right(self._times, after_ms)
        last = bisect_right(self._times, until_ms)
        decisions: dict[str, list[Decision]] = {}
        for _, coin, decision in self.script[first:last]:
            decisions.setdefault(coin, []).append(decision)
        return decisions

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """What the script says for the time since this trader was last asked."""
        previous = account_info.previous_time_ms
        after_ms = account_info.started_ms - 1 if previous is None else previous
        return self.between(after_ms, account_info.time_ms)
