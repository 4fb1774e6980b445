"""What may be asked of a search over parameters, and the combinations that it comes to. Pure."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from backtest_request import BacktestRequest, ResolvedBacktest
from domain import JsonSchema
from errors import InvalidInput
from script_exits import EXIT_AXES
from strategies import make_trader, registry

MOST_COMBINATIONS = 20_000
MOST_RUNS = 100_000  # of combinations in all windows
MOST_AXES = 8
TERM_AXES = {"trade_fee_rate": 0.1, "slippage_bps": 1000.0}  # and the highest that is taken
DIGITS = 12

Value = bool | int | float | str
Combination = dict[str, Any]
Objective = Literal["sharpe", "return_percentage", "calmar"]


class ParameterRange(BaseModel):
    """The values of one parameter: a list, or from `low` to `high`; neither means all it can be."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    values: list[Value] | None = Field(None, min_length=1, max_length=1000)
    low: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    high: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    step: Annotated[float, Field(gt=0, le=1e12)] | None = Field(
        None, description="1 for whole numbers; a random search needs none"
    )

    @model_validator(mode="after")
    def _one_way(self) -> ParameterRange:
        bounds = (self.low, self.high)
        if self.values is not None and any(part is not None for part in (*bounds, self.step)):
            raise PydanticCustomError("half_a_range", "takes values, or low, high and step")
        if (self.low is None) != (self.high is None) or (self.step and self.low is None):
            raise PydanticCustomError("half_a_range", "needs both low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise PydanticCustomError("low_above_high", "low must not be above high")
        return self


class SearchTerms(BaseModel):
    """How to search, whatever is searched."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ranges: dict[str, ParameterRange] = Field(
        min_length=1, max_length=MOST_AXES,
        description="By the parameter's name, or trade_fee_rate, slippage_bps; of a script also "
        "stop_loss_pct, profit_target_pct and trailing_stop_pct",
    )  # fmt: skip
    search: Literal["grid", "random"] = "grid"
    samples: int = Field(100, ge=1, le=MOST_COMBINATIONS, description="Of a random search")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of a random search")
    objective: Objective = Field("sharpe", description="What the best has the most of")
    fit_days: int | None = Field(
        None, ge=1, le=20_000, description="Walk-forward: days on which the best is chosen"
    )
    score_days: int | None = Field(
        None,
        ge=1,
        le=20_000,
        description="Walk-forward: the days after them, on which it is judged",
    )

    @model_validator(mode="after")
    def _both_windows(self) -> SearchTerms:
        if (self.fit_days is None) != (self.score_days is None):
            raise PydanticCustomError("half_a_window", "fit_days and score_days belong together")
        return self


class SweepRequest(SearchTerms):
    """A search as it is asked for: what does not vary is as in `run`, or in an earlier backtest."""

    run: BacktestRequest | None = None
    backtest_id: int | None = Field(
        None, ge=1, description="Or the decisions of this finished run, under other terms"
    )

    @model_validator(mode="after")
    def _one_run(self) -> SweepRequest:
        if (self.run is None) == (self.backtest_id is None):
            raise ValueError("exactly one of run and backtest_id must be given")
        return self


class ResolvedSweep(SearchTerms):
    """A search with everything that it depends on: what is stored."""

    run: ResolvedBacktest


@dataclass(frozen=True, slots=True)
class Window:
    """Days to fit on and the days to score on after them; all four are inside."""

    fit_first: date
    fit_last: date
    score_first: date
    score_last: date


def combinations(sweep: ResolvedSweep) -> tuple[list[Combination], int]:
    """Every combination that a trader can be made of, and how many others were left out.

    Raises InvalidInput where a range does not fit its parameter, where they are too many, and
    where none is left.
    """
    axes = {name: axis_values(sweep, name) for name in sweep.ranges}
    wanted = _grid(axes) if sweep.search == "grid" else _random(axes, sweep.samples, sweep.seed)
    usable, refusal = [], None
    for combination in wanted:
        try:
            changed = with_combination(sweep.run, combination)
            make_trader(changed.trader, changed.coins, changed.params)
            usable.append(combination)
        except InvalidInput as error:
            refusal = error
    if not usable:
        assert refusal is not None  # a grid has at least one, and it was refused
        raise InvalidInput(
            "No combination of these values fits.", fields=refusal.fields, reasons=refusal.reasons
        )
    return usable, len(wanted) - len(usable)


def _grid(axes: Mapping[str, Sequence[Any]]) -> list[Combination]:
    count = math.prod(map(len, axes.values()))
    if count > MOST_COMBINATIONS:
        raise InvalidInput(
            f"That is {count:,} combinations, more than {MOST_COMBINATIONS:,}.",
            code="too_many_combinations", fields={"ranges": "too many values"},
            values={"most": MOST_COMBINATIONS},
        )  # fmt: skip
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _random(axes: Mapping[str, Sequence[Any]], samples: int, seed: int) -> list[Combination]:
    """Different combinations, each value drawn by itself; fewer where there are not so many."""
    draw = random.Random(seed)
    found: dict[tuple[Any, ...], Combination] = {}
    for _ in range(samples * 10):
        values = tuple(draw.choice(choices) for choices in axes.values())
        found.setdefault(values, dict(zip(axes, values, strict=True)))
        if len(found) == samples:
            break
    return list(found.values())


def with_combination(run: ResolvedBacktest, combination: Combination) -> ResolvedBacktest:
    """The run with a combination's values. Raises InvalidInput (trade_fee_rate, slippage_bps)."""
    terms: dict[str, Any] = {}
    params = dict(run.params)
    for name, value in combination.items():
        if name in TERM_AXES:
            if not 0 <= value <= TERM_AXES[name]:
                raise InvalidInput(
                    f"{name} must be from 0 to {TERM_AXES[name]}.",
                    fields={f"ranges.{name}": f"must be from 0 to {TERM_AXES[name]}"},
                    reasons={
                        f"ranges.{name}": {
                            "code": "out_of_range",
                            "values": {"least": 0, "most": TERM_AXES[name]},
                        }
                    },
                )
            terms[name] = Decimal(repr(value))
        elif name not in EXIT_AXES or run.trader != "scripted":
            params[name] = value
    return run.model_copy(update={**terms, "params": params})


# ----------------------------------------------------------------------------- values of an axis


def axis_values(sweep: ResolvedSweep, name: str) -> list[Any]:
    """The values of one parameter, each once. Raises InvalidInput, naming the range."""
    wanted = sweep.ranges[name]
    schema = _schema_of(sweep.run.trader, name)
    if wanted.values is not None:
        return list(dict.fromkeys(_typed(name, schema, value) for value in wanted.values))
    if wanted.low is not None and wanted.high is not None:
        return _between(name, schema, wanted, wanted.low, wanted.high, sweep)
    listed = [False, True] if schema.get("type") == "boolean" else schema.get("enum")
    if not listed:
        raise _does_not_fit(name, "needs values, or low and high")
    return list(listed)


def _schema_of(trader: str, name: str) -> JsonSchema:
    """The JSON Schema of what may vary."""
    if name in TERM_AXES or (trader == "scripted" and name in EXIT_AXES):
        return {"type": "number"}
    properties = registry()[trader].params_schema()["properties"]
    if name not in properties or trader == "scripted":
        known = [*TERM_AXES, *(EXIT_AXES if trader == "scripted" else properties)]
        raise _does_not_fit(name, f"is not among {', '.join(known)}")
    schema: JsonSchema = properties[name]
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    return kinds[0] if kinds else schema


def _typed(name: str, schema: JsonSchema, value: Value) -> Any:
    """A listed value as its parameter has it."""
    kind = schema.get("type")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer" and is_number and float(value) == int(value):
        return int(value)
    if kind == "number" and is_number:
        return float(value)
    if kind not in ("integer", "number") and not is_number:
        return value
    raise _does_not_fit(name, f"{value!r} is no {kind}")


def _between(
    name: str, schema: JsonSchema, wanted: ParameterRange, low: float, high: float,
    sweep: ResolvedSweep,
) -> list[Any]:  # fmt: skip
    kind = schema.get("type")
    if kind not in ("integer", "number"):
        raise _does_not_fit(name, "has no low and high; it takes values")
    whole = kind == "integer"
    step = wanted.step
    if step is None:
        if not whole and sweep.search == "grid" and low != high:
            raise _does_not_fit(name, "needs a step")
        # A random search draws from so many values that the grid between them does not matter.
        step = 1.0 if whole else max((high - low) / 10_000, 1e-9)
    count = math.floor((high - low) / step + 1e-9) + 1
    if count > MOST_COMBINATIONS:
        raise _does_not_fit(name, f"has more than {MOST_COMBINATIONS:,} values")
    values = [round(low + place * step, DIGITS) for place in range(count)]
    if whole and any(value != int(value) for value in values):
        raise _does_not_fit(name, "takes whole numbers")
    return [int(value) for value in values] if whole else values


def _does_not_fit(name: str, why: str) -> InvalidInput:
    return InvalidInput(f"The range of {name} does not fit.", fields={f"ranges.{name}": why})


# ----------------------------------------------------------------------------------- windows


def windows(sweep: ResolvedSweep) -> list[Window]:
    """The windows of a walk-forward: each scores on the days after those that it was fitted on.

    They move on by `score_days`, so that every day after the first `fit_days` is scored once; the
    last one may score fewer. Raises InvalidInput where not even one fits into the range.
    """
    if sweep.fit_days is None or sweep.score_days is None:
        return []
    fit, score = timedelta(sweep.fit_days), timedelta(sweep.score_days)
    day = timedelta(1)
    found = []
    first = sweep.run.start_date
    while first + fit <= sweep.run.end_date:
        scored = first + fit
        last = min(scored + score - day, sweep.run.end_date)
        found.append(Window(first, scored - day, scored, last))
        first += score
    if not found:
        raise InvalidInput(
            "The range is too short for these windows.",
            fields={"fit_days": "leaves no day of the range to score on"},
            reasons={"fit_days": {"code": "windows_too_long"}},
        )
    return found


def read_sweep(terms: Mapping[str, Any]) -> ResolvedSweep:
    """A stored search. Raises InvalidInput."""
    try:
        return ResolvedSweep.model_validate(terms)
    except ValidationError as error:
        raise InvalidInput("This search cannot be read.") from error
