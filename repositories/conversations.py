"""Questions to LLMs and what came back: a row before it is sent, finished after it.

Rows that were sent carry `sent_at` (wall clock) and count for the budget of the UTC day they were
sent on; what they have used is known when they are finished, and is what they reserved until then.
Long texts are stored compressed, and are None once they have been forgotten.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from domain import DAY_MS, HOUR_MS
from errors import NotFound
from llm_usage import Usage

SENT = "sent"
INTERRUPTED = "interrupted"
SHORTEST_COMPRESSED = 200  # characters; what is shorter would hardly become smaller
LONGEST_CALL_MS = HOUR_MS  # whatever is open for longer belongs to a process that died


@dataclass(frozen=True, slots=True)
class NewConversation:
    """What is known of a call before it is made. `timestamp` is the market's time."""

    model_id: int
    budget_model_id: int
    cycle_id: int | None
    timestamp: int
    provider: str
    model_name: str
    template_version: str
    system_prompt: str | None
    prompt: str | None
    attempt: int = 1
    purpose: str = "decide"
    output_mode: str = "plain"
    reserved_tokens: int = 0
    reserved_cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class FinishedConversation:
    """What came of a call."""

    status: str
    answer: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    usage: Usage | None = None
    cost: Decimal | None = None
    latency_ms: int = 0
    error_code: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A stored call. `parsed` is `{repairs: [names], errors: {coin: {code, message}}}`."""

    id: int
    model_id: int
    cycle_id: int | None
    timestamp: int
    status: str
    attempt: int
    purpose: str
    provider: str | None
    model_name: str | None
    template_version: str | None
    system_prompt: str | None
    prompt: str | None
    answer: str | None
    reasoning: str | None
    output_mode: str | None
    finish_reason: str | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    usage_estimated: bool
    cost: Decimal | None
    latency_ms: int | None
    error_code: str | None
    error: str | None
    sent_at: int | None
    parsed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a model and its replicas have used on one day; `cost` in US dollars."""

    calls: int = 0
    tokens: int = 0
    cost: Decimal = Decimal(0)


def add_sent(connection: sqlite3.Connection, new: NewConversation, wall_ms: int) -> int:
    """Write down a call that is about to be sent; its id."""
    return _add(connection, new, SENT, wall_ms, None, None)


def add_unsent(
    connection: sqlite3.Connection, new: NewConversation, status: str, code: str, why: str
) -> int:
    """Write down that a call is not made, and why; its id. What was not sent has no texts."""
    unsent = replace(new, system_prompt=None, prompt=None)
    return _add(connection, unsent, status, None, code, why)


def finish(
    connection: sqlite3.Connection, conversation_id: int, done: FinishedConversation
) -> None:
    """Store what came of a call."""
    usage = done.usage
    connection.execute(
        "UPDATE conversations SET status = ?, answer = ?, reasoning = ?, finish_reason = ?, "
        "prompt_tokens = ?, completion_tokens = ?, cached_tokens = ?, reasoning_tokens = ?, "
        "usage_estimated = ?, cost = ?, latency_ms = ?, error_code = ?, error = ? WHERE id = ?",
        (
            done.status, _stored(done.answer), _stored(done.reasoning or None),
            done.finish_reason or None,
            None if usage is None else usage.input, None if usage is None else usage.output,
            None if usage is None else usage.cached, None if usage is None else usage.reasoning,
            int(usage is not None and usage.estimated),
            None if done.cost is None else f"{done.cost:f}",
            done.latency_ms, done.error_code, done.error, conversation_id,
        ),
    )  # fmt: skip


def set_parsed(
    connection: sqlite3.Connection, conversation_id: int, status: str, parsed: Mapping[str, Any],
    error_code: str | None = None, error: str | None = None,
) -> None:  # fmt: skip
    """Store how an answer was read."""
    connection.execute(
        "UPDATE conversations SET status = ?, parsed = ?, error_code = ?, error = ? WHERE id = ?",
        (status, json.dumps(parsed, ensure_ascii=False), error_code, error, conversation_id),
    )


def interrupt_sent(connection: sqlite3.Connection, budget_model_id: int, wall_ms: int) -> int:
    """Mark calls that a dead process left open; what they reserved stays spent. How many."""
    return connection.execute(
        "UPDATE conversations SET status = ?, error_code = ?, "
        "error = 'The process ended before the answer came.' "
        "WHERE budget_model_id = ? AND sent_at BETWEEN ? AND ? "
        "AND prompt_tokens IS NULL AND status = ?",  # the index tells the first three
        (
            INTERRUPTED, INTERRUPTED, budget_model_id, wall_ms - 7 * DAY_MS,
            wall_ms - LONGEST_CALL_MS, SENT,
        ),
    ).rowcount  # fmt: skip


def spent_on_day(connection: sqlite3.Connection, budget_model_id: int, wall_ms: int) -> Spent:
    """What was used on the UTC day of `wall_ms`, or later: a clock set back frees nothing."""
    day_start = wall_ms - wall_ms % DAY_MS
    rows = connection.execute(
        "SELECT COALESCE(prompt_tokens + completion_tokens, reserved_tokens) AS tokens, "
        "CASE WHEN prompt_tokens IS NULL THEN reserved_cost ELSE COALESCE(cost, '0') END AS cost "
        "FROM conversations WHERE budget_model_id = ? AND sent_at >= ?",
        (budget_model_id, day_start),
    ).fetchall()
    return Spent(
        len(rows),
        sum(row["tokens"] for row in rows),
        sum((Decimal(row["cost"]) for row in rows), Decimal(0)),
    )


def list_conversations(
    connection: sqlite3.Connection, model_id: int, *, limit: int = 50, before: int | None = None
) -> list[Conversation]:
    """A model's calls, newest first; `before` is the id to page back from."""
    rows = connection.execute(
        "SELECT * FROM conversations WHERE model_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (model_id, 2**62 if before is None else before, limit),
    )
    return [_conversation(row) for row in rows]


def get(connection: sqlite3.Connection, conversation_id: int) -> Conversation:
    """A call by its id. Raises NotFound (unknown_call)."""
    row = connection.execute(
        "SELECT * FROM conversations WHERE id = ?", (conversation_id,)
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no call {conversation_id}.", code="unknown_call")
    return _conversation(row)


def of_cycle(connection: sqlite3.Connection, cycle_id: int) -> list[Conversation]:
    """The calls of one cycle in their order."""
    rows = connection.execute(
        "SELECT * FROM conversations WHERE cycle_id = ? ORDER BY id", (cycle_id,)
    )
    return [_conversation(row) for row in rows]


def total_cost(connection: sqlite3.Connection, model_id: int) -> Decimal:
    """What a model's calls have cost in US dollars, where their prices are known."""
    rows = connection.execute(
        "SELECT cost FROM conversations WHERE model_id = ? AND cost IS NOT NULL", (model_id,)
    )
    return sum((Decimal(row["cost"]) for row in rows), Decimal(0))


def total_costs(connection: sqlite3.Connection, since_ms: int = 0) -> dict[int, Decimal]:
    """What each model's calls have cost in US dollars since a market time, where that is known."""
    costs: dict[int, Decimal] = {}
    rows = connection.execute(
        "SELECT model_id, cost FROM conversations WHERE cost IS NOT NULL AND timestamp >= ?",
        (since_ms,),
    )
    for row in rows:
        costs[row["model_id"]] = costs.get(row["model_id"], Decimal(0)) + Decimal(row["cost"])
    return costs


def forget_texts(connection: sqlite3.Connection, before_ms: int, most: int) -> int:
    """Forget what at most `most` calls before a market time said and were told; of how many."""
    return connection.execute(
        "UPDATE conversations SET system_prompt = NULL, prompt = NULL, answer = NULL, "
        "reasoning = NULL WHERE id IN (SELECT id FROM conversations WHERE prompt IS NOT NULL "
        "AND template_version IS NOT NULL AND timestamp < ? LIMIT ?)",
        (before_ms, most),
    ).rowcount


# -------------------------------------------------------------------------------- output modes


def output_mode(connection: sqlite3.Connection, api_url: str, model_name: str) -> str | None:
    """How this endpoint's model is held to a form, once that was found out."""
    row = connection.execute(
        "SELECT output_mode FROM llm_output_modes WHERE api_url = ? AND model_name = ?",
        (api_url, model_name),
    ).fetchone()
    return None if row is None else str(row["output_mode"])


def remember_output_mode(
    connection: sqlite3.Connection, api_url: str, model_name: str, mode: str, wall_ms: int
) -> None:
    """Store what was found out."""
    connection.execute(
        "INSERT INTO llm_output_modes (api_url, model_name, output_mode, found_at) "
        "VALUES (?, ?, ?, ?) ON CONFLICT (api_url, model_name) DO UPDATE SET "
        "output_mode = excluded.output_mode, found_at = excluded.found_at",
        (api_url, model_name, mode, wall_ms),
    )


def _add(
    connection: sqlite3.Connection, new: NewConversation, status: str, sent_at: int | None,
    error_code: str | None, error: str | None,
) -> int:  # fmt: skip
    cursor = connection.execute(
        "INSERT INTO conversations (model_id, budget_model_id, cycle_id, timestamp, provider, "
        "model_name, template_version, system_prompt, prompt, attempt, purpose, output_mode, "
        "reserved_tokens, reserved_cost, status, sent_at, error_code, error) "
        f"VALUES ({', '.join('?' * 18)})",
        (
            new.model_id, new.budget_model_id, new.cycle_id, new.timestamp, new.provider,
            new.model_name, new.template_version, _stored(new.system_prompt), _stored(new.prompt),
            new.attempt, new.purpose, new.output_mode, new.reserved_tokens, f"{new.reserved_cost:f}", status,
            sent_at, error_code, error,
        ),
    )  # fmt: skip
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid


def _stored(text: str | None) -> str | bytes | None:
    if text is None or len(text) < SHORTEST_COMPRESSED:
        return text
    return zlib.compress(text.encode())


def _text(stored: str | bytes | None) -> str | None:
    """Rows of before are not compressed."""
    return zlib.decompress(stored).decode() if isinstance(stored, bytes) else stored


def _conversation(row: sqlite3.Row) -> Conversation:
    return Conversation(
        id=row["id"],
        model_id=row["model_id"],
        cycle_id=row["cycle_id"],
        timestamp=row["timestamp"],
        status=row["status"],
        attempt=row["attempt"],
        purpose=row["purpose"],
        provider=row["provider"],
        model_name=row["model_name"],
        template_version=row["template_version"],
        system_prompt=_text(row["system_prompt"]),
        prompt=_text(row["prompt"]),
        answer=_text(row["answer"]),
        reasoning=_text(row["reasoning"]),
        output_mode=row["output_mode"],
        finish_reason=row["finish_reason"],
        input_tokens=row["prompt_tokens"],
        cached_tokens=row["cached_tokens"],
        output_tokens=row["completion_tokens"],
        reasoning_tokens=row["reasoning_tokens"],
        usage_estimated=bool(row["usage_estimated"]),
        cost=None if row["cost"] is None else Decimal(row["cost"]),
        latency_ms=row["latency_ms"],
        error_code=row["error_code"],
        error=row["error"],
        sent_at=row["sent_at"],
        parsed=json.loads(row["parsed"]) if row["parsed"] else {},
    )
