"""What a report says of a run that asked a language model.

Tokens and cost are those of the answers that the run used, whether they were paid for by this run or
by an earlier one: the same run twice has the same report. What a run itself has paid stands with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from backtest_report import Report
from backtest_run import BacktestResult
from backtest_warnings import ReportWarning, warning
from domain import DAY_MS, Decision, FloatArray, TimeArray
from llm_backtests import LlmRun
from performance import drawdown_series, ratios, round_trips, trip_figures
from timestamps import iso_utc


def with_llm(report: Report, result: BacktestResult, run: LlmRun) -> Report:
    """`report` with what the LLM cost, what it may have known, and what it decided."""
    used = run.record.used
    costs = [stored.cost for stored in used]
    known = [cost for cost in costs if cost is not None]
    cost = float(sum(known, Decimal(0))) if len(known) == len(costs) else None
    knowledge = knowledge_of(result, run.llm.knowledge_cutoff)
    return {
        **report,
        "summary": {**report["summary"], **_net_of_tokens(report["summary"], cost)},
        "llm": {
            "api_url": run.llm.api_url,
            "model_name": run.llm.model_name,
            "blind": run.llm.blind,
            "answers": len(used),
            "repaired": run.counts.repaired,
            "unusable": run.counts.unusable,
            "prompt_tokens": sum(stored.usage.input for stored in used),
            "cached_tokens": sum(stored.usage.cached for stored in used),
            "completion_tokens": sum(stored.usage.output for stored in used),
            "cost": cost,
        },
        "knowledge": knowledge,
        "decisions": [_scripted(*decided) for decided in run.decisions],
        "warnings": [*report["warnings"], *_warnings(run, knowledge)],
    }


def _net_of_tokens(summary: Mapping[str, Any], cost: float | None) -> dict[str, float | None]:
    if cost is None:
        return {"token_cost": None, "return_net_of_tokens_percentage": None}
    initial, final = summary["initial_capital"], summary["final_value"]
    return {
        "token_cost": cost,
        "return_net_of_tokens_percentage": ((final - cost) / initial - 1) * 100,
    }


# ---------------------------------------------------------------------------------- knowledge


def knowledge_of(result: BacktestResult, cutoff: date | None) -> dict[str, Any]:
    """The figures of the bars up to the cutoff's day, which the model may remember, and after it.

    A part without bars is None; without a cutoff so are both.
    """
    if cutoff is None:
        return {"cutoff": None, "ends": None, "inside": None, "outside": None}
    ends_ms = int(datetime(cutoff.year, cutoff.month, cutoff.day, tzinfo=UTC).timestamp() * 1000)
    ends_ms += DAY_MS
    times, equity = result.close_time, result.equity
    inside = int(np.searchsorted(times, ends_ms, side="right"))
    initial = float(result.config.initial_capital)
    at_the_cutoff = float(equity[inside - 1]) if inside else initial
    return {
        "cutoff": cutoff.isoformat(),
        "ends": iso_utc(ends_ms),
        "inside": _figures(result, times[:inside], equity[:inside], initial),
        "outside": _figures(result, times[inside:], equity[inside:], at_the_cutoff),
    }


def _figures(
    result: BacktestResult, times: TimeArray, equity: FloatArray, initial: float
) -> dict[str, Any] | None:
    """Figures of one part; its trades are those that closed in it."""
    if not len(times):
        return None
    begins = int(times[0]) - result.config.interval.milliseconds
    ends = int(times[-1])
    trips = [trip for trip in round_trips(result.entries) if begins < trip.exit_time <= ends]
    return {
        "start": iso_utc(begins),
        "end": iso_utc(ends),
        "bars": len(times),
        "initial_value": initial,
        "final_value": float(equity[-1]),
        "return_percentage": (float(equity[-1]) / initial - 1) * 100,
        "max_drawdown": float(np.max(drawdown_series(np.concatenate(([initial], equity))))),
        **ratios(times, equity, initial),
        **trip_figures(trips),
    }


def _warnings(run: LlmRun, knowledge: Mapping[str, Any]) -> list[ReportWarning]:
    model, unusable = run.llm.model_name, run.counts.unusable
    warnings = []
    if knowledge["cutoff"] is None:
        warnings.append(warning("cutoff_unknown", model=model))
    elif knowledge["inside"] is not None:
        bars = knowledge["inside"]["bars"]
        warnings.append(
            warning("inside_knowledge", model=model, cutoff=knowledge["cutoff"], bars=bars)
        )
    if unusable:
        warnings.append(warning("unusable_answers", count=unusable))
    return warnings


# ---------------------------------------------------------------------------------- decisions


def _scripted(time_ms: int, coin: str, decision: Decision) -> dict[str, Any]:
    """A decision as the trader `scripted` takes it, to replay it on other terms."""
    condition = decision.invalidation_condition
    plain = replace(
        decision, invalidation=decision.invalidation if condition is None else str(condition)
    )
    amounts = {
        name: _text(getattr(plain, name))
        for name in (
            "quantity", "notional", "weight", "leverage", "profit_target", "stop_loss",
            "trailing_stop_pct",
        )
    }  # fmt: skip
    row = {
        "time": iso_utc(time_ms),
        "coin": coin,
        "signal": plain.signal.value,
        **amounts,
        "confidence": plain.confidence,
        "justification": plain.justification[:2000],
        "invalidation": plain.invalidation[:2000],
    }
    return {name: value for name, value in row.items() if value not in (None, "")}


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
