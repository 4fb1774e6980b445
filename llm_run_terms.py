"""What a run hangs on when its trader is a language model, and how its answers are come by."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ai_params import AI_TRADER, read_params
from backtest_budget import RunCap
from database import Database
from domain import MINUTE_MS, Interval, TradingModel
from errors import InvalidInput
from recorded_answers import Replay
from repositories import coins as coin_rows
from repositories import instruments, providers


class LlmTerms(BaseModel):
    """Everything about the language model that a run hangs on, and how its answers are come by.

    `names` and `tick_sizes` are those that its prompts show: kept with the run, so that it can be
    replayed where they are others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    provider_id: int | None = Field(
        None, description="Who is asked where an answer is not recorded; None: nobody"
    )
    api_url: str
    model_name: str
    prompt: str = ""
    knowledge_cutoff: date | None = None
    names: dict[str, str] = Field(default_factory=dict)
    tick_sizes: dict[str, Decimal] = Field(default_factory=dict)
    blind: bool = False
    replay: Replay = Replay.USE
    max_calls: int | None = None
    max_cost: Decimal | None = None

    @property
    def cap(self) -> RunCap:
        """The most that the run may call and pay."""
        return RunCap(self.max_calls, self.max_cost)


# What says how answers are come by, and nothing of what comes of them.
HOW_ANSWERS_ARE_HAD = {"provider_id", "replay", "max_calls", "max_cost"}


@dataclass(frozen=True, slots=True)
class RunTerms:
    """What a run's own terms say of how its LLM is asked."""

    coins: tuple[str, ...]
    params: Mapping[str, Any]
    interval: Interval
    decide_every: int
    risk: str
    initial_capital: Decimal
    start_ms: int
    weights: Mapping[str, float]
    llm: LlmTerms

    @property
    def minutes(self) -> int:
        """Minutes between two decisions."""
        return self.decide_every * self.interval.milliseconds // MINUTE_MS

    def model(self) -> TradingModel:
        """The model as the prompt knows it."""
        return TradingModel(
            name="",
            trader=AI_TRADER,
            initial_capital=self.initial_capital,
            interval=self.interval,
            cycle_minutes=self.minutes,
            risk=self.risk,
            params=self.params,
            provider_id=self.llm.provider_id,
            model_name=self.llm.model_name,
            prompt=self.llm.prompt,
        )


def resolve_terms(
    database: Database,
    asked: Mapping[str, Any],
    symbols: Sequence[str],
    interval: Interval,
    params: Mapping[str, Any],
) -> LlmTerms:
    """The terms of a run by what was `asked` (the fields of LlmTerms), checked before it starts.

    Raises NotFound (unknown_provider), InvalidInput.
    """
    connection = database.connection
    finer = [other for other in read_params(params).other_intervals if not _folds(interval, other)]
    if finer:
        raise InvalidInput(
            f"A run of {interval} bars cannot show {', '.join(finer)}: it has no such candles.",
            fields={"params": "other_intervals must be whole multiples of the run's interval"},
            reasons={
                "params": {
                    "code": "interval_too_fine",
                    "values": {"interval": interval, "finer": finer},
                }
            },
        )
    provider = providers.get(connection, asked["provider_id"])
    name = asked["model_name"]
    if asked.get("max_cost") is not None and asked.get("replay") is not Replay.ONLY:
        price = provider.prices.get(name)
        if price is None or price.input is None or price.output is None:
            raise InvalidInput(
                f"The prices of {name} are not known, so that a cap in money cannot be held.",
                fields={"max_cost": "needs the model's prices; max_calls does not"},
                reasons={"max_cost": {"code": "prices_unknown"}},
            )
    known = {symbol: coin_rows.find(connection, symbol) for symbol in symbols}
    cutoff = provider.knowledge_cutoffs.get(name)
    return LlmTerms(
        **dict(asked),
        api_url=provider.api_url,
        knowledge_cutoff=None if cutoff is None else last_day(cutoff),
        names={symbol: coin.name for symbol, coin in known.items() if coin is not None},
        tick_sizes=instruments.tick_sizes(connection, list(symbols)),
    )


def last_day(cutoff: str) -> date:
    """The last day of a cutoff as providers state it: `2025-07` or `2025-07-31`."""
    year, month, *day = (int(part) for part in cutoff.split("-"))
    return date(year, month, day[0] if day else monthrange(year, month)[1])


def _folds(shorter: Interval, longer: Interval) -> bool:
    return longer.milliseconds % shorter.milliseconds == 0


def terms_here(database: Database, llm: LlmTerms) -> LlmTerms:
    """The terms of a run from another machine, asking the provider here that has its address."""
    known = providers.list_providers(database.connection)
    ids = [provider.id for provider in known if provider.api_url == llm.api_url]
    return llm.model_copy(update={"provider_id": ids[0] if ids else None})
