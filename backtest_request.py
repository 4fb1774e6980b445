"""What may be asked of a backtest, checked before anything is loaded, and what it means exactly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

import ledger
from ai_params import AI_TRADER
from backtest_run import BacktestConfig, FillTiming, Funding
from domain import Interval
from llm_run_terms import HOW_ANSWERS_ARE_HAD, LlmTerms, RunTerms
from paper_execution import ExecutionRules
from recorded_answers import Replay
from risk import position_scales
from risk_limits import RiskName, limits_of
from strategies import registry

MOST_COINS = 200
MOST_WARMUP_BARS = 100_000
LARGEST_SEED = 2**32 - 1
FIRST_DAY = date(2009, 1, 3)  # the first block of Bitcoin: no candle is older

PositiveAmount = Annotated[Decimal, Field(gt=0, le=Decimal("1e12"), allow_inf_nan=False)]


class FundingTerms(BaseModel):
    """Funding of perpetual contracts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: Annotated[Decimal, Field(ge=-1, le=1, allow_inf_nan=False)] = Field(
        description="Share of the notional that longs pay to shorts at each settlement"
    )
    every_hours: int = Field(8, ge=1, le=24)


class BacktestTerms(BaseModel):
    """The terms of a run that do not say who trades."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    start_date: date = Field(description="First day, whole, UTC")
    end_date: date = Field(description="Last day, whole, UTC")
    interval: Interval = Interval.H1
    decide_every: int = Field(1, ge=1, le=10_000, description="Bars between two decisions")
    initial_capital: PositiveAmount = Decimal(10_000)
    trade_fee_rate: Annotated[Decimal, Field(ge=0, le=Decimal("0.1"), allow_inf_nan=False)] = (
        Decimal("0.001")
    )
    slippage_bps: Annotated[Decimal, Field(ge=0, le=1000, allow_inf_nan=False)] = Decimal(2)
    fill: FillTiming = FillTiming.NEXT_OPEN
    funding: FundingTerms | None = Field(None, description="None for spot")
    liquidation: bool = Field(True, description="Whether positions can be liquidated")
    lot_rounding: bool = Field(
        True, description="Round to the venue's lot size where the instrument is known"
    )
    warmup_bars: int | None = Field(
        None, ge=0, le=MOST_WARMUP_BARS, description="Bars before the start; the trader's own need"
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=LARGEST_SEED,
        description="Of all that is drawn by chance: the trader's draws, where its own parameters "
        "name no seed, the intervals and the luck test",
    )
    benchmark: str | None = Field(
        None,
        max_length=20,
        description="A coin that the run is held against; empty: all its coins, bought and held",
    )
    max_missing_share: float = Field(
        0.25,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of a coin's bars that may be missing between its first and its last",
    )
    max_gap_bars: int | None = Field(
        None, ge=0, le=10_000_000, description="Bars that may be missing in one place; empty: any"
    )

    @field_validator("start_date", "end_date")
    @classmethod
    def _a_day_of_the_market(cls, day: date) -> date:
        if not FIRST_DAY <= day <= date(2100, 1, 1):
            raise PydanticCustomError("day_out_of_range", "must be a day between 2009 and 2100")
        return day

    @field_validator("end_date")
    @classmethod
    def _not_before_the_start(cls, day: date, known: ValidationInfo) -> date:
        start = known.data.get("start_date")
        if start is not None and day < start:
            raise PydanticCustomError("end_before_start", "must not be before start_date")
        return day


class BacktestRequest(BacktestTerms):
    """A run as it is asked for: of a model, or of a trader by its key."""

    model_id: int | None = Field(None, ge=1, description="Run this model's trader")
    trader: str | None = Field(None, max_length=50, description="Or a trader by its key")
    params: dict[str, Any] = Field(default_factory=dict, description="The trader's parameters")
    decisions: list[dict[str, Any]] | None = Field(
        None, max_length=100_000, description="The script, for the trader `scripted`"
    )
    leverage: Annotated[Decimal, Field(ge=1, le=125, allow_inf_nan=False)] | None = Field(
        None, description="Leverage of entries, where the trader's own parameters name none"
    )
    source: str | None = Field(
        None, max_length=50, description="The only source of candles; the first that has them"
    )
    coins: list[str] | None = Field(
        None, min_length=1, max_length=MOST_COINS, description="Symbols; a model's pool by default"
    )
    risk: RiskName | None = Field(
        None, description="A risk profile; a model's own by default, `off` for a trader by its key"
    )
    provider_id: int | None = Field(
        None, ge=1, description="Who is asked, for the trader `ai`; a model has its own"
    )
    model_name: str | None = Field(
        None, min_length=1, max_length=200, description="Which of its models, for the trader `ai`"
    )
    prompt: str | None = Field(
        None, max_length=20_000, description="Own instructions, for the trader `ai`"
    )
    replay: Replay = Field(
        Replay.USE,
        description="LLMs: use recorded answers and ask for others, use them only, or ask anew",
    )
    max_calls: int | None = Field(
        None, ge=0, le=1_000_000, description="LLMs: most calls that this run may make"
    )
    max_cost: Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = Field(
        None, description="LLMs: most US dollars that this run may cost"
    )
    blind: bool = Field(
        False, description="LLMs: neutral names of coins, shifted dates, rescaled prices"
    )
    wait: bool = Field(False, description="Answer with the finished run")

    @model_validator(mode="after")
    def _someone_trades(self) -> BacktestRequest:
        if (self.model_id is None) == (self.trader is None):
            raise ValueError("exactly one of model_id and trader must be given")
        if self.decisions is not None and self.trader != "scripted":
            raise ValueError("decisions belong to the trader 'scripted'")
        if self.trader is not None and self.coins is None:
            raise ValueError("coins must be given")
        return self

    @model_validator(mode="after")
    def _an_llm_is_named(self) -> BacktestRequest:
        named = {"provider_id": self.provider_id, "model_name": self.model_name}
        if self.trader == AI_TRADER:
            missing = [name for name, value in named.items() if value is None]
            if missing:
                raise ValueError(f"the trader 'ai' needs {' and '.join(missing)}")
        elif given := [name for name, value in (*named.items(), ("prompt", self.prompt)) if value]:
            raise ValueError(f"{', '.join(given)} can be given for the trader 'ai' alone")
        return self

    @property
    def speaks_of_llms(self) -> list[str]:
        """The fields that are given and mean something for language models alone."""
        plain = {"replay": Replay.USE, "max_calls": None, "max_cost": None, "blind": False}
        return [name for name, value in plain.items() if getattr(self, name) != value]


class ResolvedBacktest(BacktestTerms):
    """A run with everything that it depends on: what is stored, repeated and compared."""

    trader: str
    params: dict[str, Any]
    coins: list[str]
    risk: str = Field(description="A profile's name, or JSON of one with limits of its own")
    source: str
    source_alone: bool = Field(False, description="No other source is asked in its place")
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    sources: dict[str, str] = Field(
        default_factory=dict, description="Of coins whose candles are not from `source`"
    )
    weights: dict[str, float] = Field(
        default_factory=dict, description="The pool's weights: coins without one have 1"
    )
    llm: LlmTerms | None = Field(None, description="Of a trader that asks a language model")

    def source_of(self, symbol: str) -> str:
        """Where a coin's candles are from."""
        return self.sources.get(symbol, self.source)

    @property
    def coins_read(self) -> list[str]:
        """Those whose candles it needs."""
        extra = [] if self.benchmark in (None, *self.coins) else [self.benchmark]
        return [*self.coins, *filter(None, extra)]

    @property
    def start_ms(self) -> int:
        """The first day's beginning."""
        return _midnight_ms(self.start_date)

    @property
    def end_ms(self) -> int:
        """The end of the last day (exclusive)."""
        return _midnight_ms(self.end_date + timedelta(days=1))

    def warmup_start_ms(self, history_bars: int) -> int:
        """The open time from which bars are wanted, for a trader that looks back that far."""
        bars = history_bars if self.warmup_bars is None else self.warmup_bars
        return max(0, self.interval.floor(self.start_ms) - bars * self.interval.milliseconds)

    def engine_config(self) -> BacktestConfig:
        """The run in the engine's words."""
        funding = self.funding
        rules = ExecutionRules(
            fee_rate=self.trade_fee_rate,
            slippage_bps=self.slippage_bps,
            risk=limits_of(self.risk),
            maintenance_margin_rate=(
                ledger.DEFAULT_MAINTENANCE_MARGIN_RATE if self.liquidation else None
            ),
        )
        return BacktestConfig(
            coins=tuple(self.coins),
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            interval=self.interval,
            initial_capital=self.initial_capital,
            rules=rules,
            fill=self.fill,
            decide_every=self.decide_every,
            funding=None if funding is None else Funding(funding.rate, funding.every_hours),
            warmup_bars=self.warmup_bars,
            position_scales=position_scales(self.weights),
            seed=self.seed,
        )

    def run_terms(self) -> RunTerms:
        """What an LLM is asked by; for a run that has one."""
        assert self.llm is not None
        return RunTerms(
            coins=tuple(self.coins),
            params=self.params,
            interval=self.interval,
            decide_every=self.decide_every,
            risk=self.risk,
            initial_capital=self.initial_capital,
            start_ms=self.start_ms,
            weights=self.weights,
            llm=self.llm,
        )

    def what_results_hang_on(self) -> dict[str, Any]:
        """The terms as JSON, without how an LLM's answers are come by."""
        return self.model_dump(mode="json", exclude={"llm": HOW_ANSWERS_ARE_HAD})

    def hash_with(self, data_fingerprint: object, version: str) -> str:
        """SHA-256 that stands for this run on this data, by this version of the program."""
        words = json.dumps([self.what_results_hang_on(), data_fingerprint, version], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()


def with_run_terms(
    trader: str, params: Mapping[str, Any], leverage: Decimal | None, seed: int | None
) -> dict[str, Any]:
    """`params` with the run's leverage and seed where they name none and the trader knows them."""
    given = {"leverage": None if leverage is None else float(leverage), "seed": seed}
    known = registry()[trader].Params.model_fields if trader in registry() else {}
    own: dict[str, Any] = {
        name: value for name, value in given.items() if value is not None and name in known
    }
    if trader == "scripted" and given["leverage"] is not None:
        decisions = params.get("decisions", [])
        own["decisions"] = [{"leverage": given["leverage"], **said} for said in decisions]
        return {**params, **own}
    return {**own, **params}


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
