"""The log of decisions: what was sent to an LLM, what it answered, and what became of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from errors import NotFound
from repositories import books, conversations, cycles, models
from repositories.conversations import Conversation
from repositories.cycles import Cycle, DecisionRecord
from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import (
    LARGEST_ID,
    CycleAnswer,
    DecidingModel,
    DecisionAnswer,
    Identifier,
    ModelPath,
    Query,
    Trade,
)
from routes.services import services
from routes.traders import deciding_model

blueprint = APIBlueprint(
    "decisions",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Decisions")],
    abp_responses=ERROR_ANSWERS,
)

MOST_ROWS = 500


class DecisionsQuery(Query):
    """Which decisions."""

    limit: int = Field(50, ge=1, description="500 at most")
    before: int | None = Field(None, ge=1, le=LARGEST_ID, description="Only ids below this")
    texts: bool = Field(True, description="False leaves out prompt, answer and reasoning")


class CallsQuery(Query):
    """Which calls."""

    limit: int = Field(50, ge=1, description="500 at most")
    before: int | None = Field(None, ge=1, le=LARGEST_ID, description="Only ids below this")


class CallPath(ModelPath):
    """A call of a model's LLM by its id."""

    call_id: Identifier = Field(description="Call id")


class CyclePath(ModelPath):
    """A cycle of a model by its id."""

    cycle_id: Identifier = Field(description="Cycle id")


class DecisionPath(BaseModel):
    """A decision by its id."""

    decision_id: Identifier = Field(description="Decision id")


class CallSummary(BaseModel):
    """One question to an LLM, without its texts."""

    id: int
    cycle_id: int | None
    timestamp: str
    status: str = Field(description="ok, parse_error, http_error, timeout, budget, halted, …")
    purpose: str
    attempt: int
    provider: str | None
    model_name: str | None
    template_version: str | None
    output_mode: str | None
    finish_reason: str | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    usage_estimated: bool = Field(description="Whether the provider did not count its tokens")
    cost: float | None = Field(description="US dollars; null where the prices are not known")
    latency_ms: int | None
    error_code: str | None
    error: str | None


class AnswerError(BaseModel):
    """What could not be read of an answer."""

    code: str
    message: str


class Call(CallSummary):
    """One question to an LLM as sent, and the answer as received."""

    system_prompt: str | None
    prompt: str | None
    answer: str | None
    reasoning: str | None
    repairs: list[str] = Field(description="What had to be mended to read the answer")
    parse_errors: dict[str, AnswerError] = Field(description="By coin, or * for all of it")


class CallSummaries(RootModel[list[CallSummary]]):
    """Calls, newest first."""


class LoggedDecision(DecisionAnswer):
    """A decision with the call that it comes from; a rule's has none."""

    call_id: int | None
    system_prompt: str | None
    prompt: str | None = Field(description="As sent")
    answer: str | None = Field(description="As received")
    reasoning: str | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    cost: float | None
    latency_ms: int | None
    executions: list[Trade] = Field(description="What was filled of it")


class LoggedDecisions(RootModel[list[LoggedDecision]]):
    """Decisions, newest first."""


class LoggedCycle(BaseModel):
    """A cycle with everything that was said and done in it."""

    cycle: CycleAnswer
    calls: list[Call]
    decisions: list[DecisionAnswer]
    executions: list[Trade]
    model: DecidingModel


@blueprint.get("/models/<int:model_id>/conversations", responses={200: LoggedDecisions})
def list_decisions(path: ModelPath, query: DecisionsQuery) -> Response:
    """What a model's trader said, from what, and what became of it, newest first."""
    connection = services().database.connection
    models.get(connection, path.model_id)
    records = cycles.list_decisions(
        connection, path.model_id, limit=min(query.limit, MOST_ROWS), before=query.before
    )
    calls = {cycle: _deciding_call(cycle) for cycle in {record.cycle_id for record in records}}
    trades = _trades_of(records)
    return jsonify(
        [
            shapes.decision(record)
            | _origin(calls[record.cycle_id], with_texts=query.texts)
            | {"executions": trades.get(record.id, [])}
            for record in records
        ]
    )


@blueprint.get("/models/<int:model_id>/calls", responses={200: CallSummaries})
def list_calls(path: ModelPath, query: CallsQuery) -> Response:
    """A model's questions to its LLM, also those that failed or were not sent, newest first."""
    connection = services().database.connection
    models.get(connection, path.model_id)
    rows = conversations.list_conversations(
        connection, path.model_id, limit=min(query.limit, MOST_ROWS), before=query.before
    )
    return jsonify([_summary(row) for row in rows])


@blueprint.get("/models/<int:model_id>/calls/<int:call_id>", responses={200: Call})
def get_call(path: CallPath) -> Response:
    """One question as sent, and its answer as received."""
    connection = services().database.connection
    models.get(connection, path.model_id)
    call = conversations.get(connection, path.call_id)
    if call.model_id != path.model_id:
        raise NotFound(f"Model {path.model_id} has no call {path.call_id}.", code="unknown_call")
    return jsonify(_call(call))


@blueprint.get("/models/<int:model_id>/cycles/<int:cycle_id>", responses={200: LoggedCycle})
def get_cycle(path: CyclePath) -> Response:
    """One cycle: its calls, its decisions, what risk changed of them, and what was filled."""
    connection = services().database.connection
    models.get(connection, path.model_id)
    cycle = cycles.get(connection, path.cycle_id)
    if cycle.model_id != path.model_id:
        raise NotFound(f"Model {path.model_id} has no cycle {path.cycle_id}.", code="unknown_cycle")
    return jsonify(_logged(cycle))


@blueprint.get("/decisions/<int:decision_id>", responses={200: LoggedCycle})
def get_decision(path: DecisionPath) -> Response:
    """The cycle in which a decision was made, with everything that was said and done in it."""
    connection = services().database.connection
    decision = cycles.get_decision(connection, path.decision_id)
    return jsonify(_logged(cycles.get(connection, decision.cycle_id)))


def _logged(cycle: Cycle) -> dict[str, Any]:
    """A cycle with its calls, its decisions and their fills."""
    connection = services().database.connection
    records = cycles.decisions_of(connection, cycle.id)
    trades = _trades_of(records)
    return {
        "cycle": shapes.cycle(cycle),
        "calls": [_call(row) for row in conversations.of_cycle(connection, cycle.id)],
        "decisions": [shapes.decision(record) for record in records],
        "executions": [trade for rows in trades.values() for trade in rows],
        "model": deciding_model(models.get(connection, cycle.model_id)),
    }


def _deciding_call(cycle_id: int) -> Conversation | None:
    """What the decisions of a cycle were read from: the last answer that was sound, else any."""
    calls = conversations.of_cycle(services().database.connection, cycle_id)
    sound = [call for call in calls if call.status == "ok"]
    answered = sound or [call for call in calls if call.answer]
    return answered[-1] if answered else None


def _trades_of(records: Iterable[DecisionRecord]) -> Mapping[int, Sequence[dict[str, Any]]]:
    """The fills of decisions, by their ids."""
    connection = services().database.connection
    rows = books.trades_of_decisions(connection, [record.id for record in records])
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row.entry.fill.decision_id or 0, []).append(shapes.trade(row))
    return found


def _origin(call: Conversation | None, *, with_texts: bool) -> dict[str, Any]:
    """What a decision was read from."""
    texts = ("system_prompt", "prompt", "answer", "reasoning")
    figures = ("input_tokens", "cached_tokens", "output_tokens", "cost", "latency_ms")
    if call is None:
        return {"call_id": None, **dict.fromkeys((*texts, *figures))}
    told = _call(call)
    return {
        "call_id": call.id,
        **{name: told[name] if with_texts else None for name in texts},
        **{name: told[name] for name in figures},
    }


def _summary(row: Conversation) -> dict[str, Any]:
    return {
        "id": row.id,
        "cycle_id": row.cycle_id,
        "timestamp": shapes.time(row.timestamp),
        "status": row.status,
        "purpose": row.purpose,
        "attempt": row.attempt,
        "provider": row.provider,
        "model_name": row.model_name,
        "template_version": row.template_version,
        "output_mode": row.output_mode,
        "finish_reason": row.finish_reason,
        "input_tokens": row.input_tokens,
        "cached_tokens": row.cached_tokens,
        "output_tokens": row.output_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "usage_estimated": row.usage_estimated,
        "cost": shapes.number(row.cost),
        "latency_ms": row.latency_ms,
        "error_code": row.error_code,
        "error": row.error,
    }


def _call(row: Conversation) -> dict[str, Any]:
    return _summary(row) | {
        "system_prompt": row.system_prompt,
        "prompt": row.prompt,
        "answer": row.answer,
        "reasoning": row.reasoning,
        "repairs": list(row.parsed.get("repairs", ())),
        "parse_errors": dict(row.parsed.get("errors", {})),
    }
