"""Answers of language models in backtests, by the hash of their question, and what runs paid."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llm_usage import Usage

SENT = "sent"
_COLUMNS = "a.id, a.hash, a.api_url, a.model_name, a.question, a.answer, a.cost, a.recorded_at"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer and its question, both as JSON. Its id is 0 until stored.

    `cost` is what it cost when it was given (US dollars; None where prices were not known),
    `recorded_at` of the wall clock.
    """

    hash: str
    api_url: str
    model_name: str
    question: Mapping[str, Any]
    answer: Mapping[str, Any]
    usage: Usage
    cost: Decimal | None
    recorded_at: int
    id: int = 0


@dataclass(frozen=True, slots=True)
class SentCall:
    """What is known of a call before it is made; `bar_time` is the close it was made at."""

    backtest_id: int
    bar_time: int
    purpose: str
    attempt: int
    output_mode: str
    reserved_tokens: int
    reserved_cost: Decimal


@dataclass(frozen=True, slots=True)
class PaidCalls:
    """What a run has called and paid; of a call without an end what it reserved."""

    calls: int = 0
    tokens: int = 0
    cost: Decimal = Decimal(0)


# ------------------------------------------------------------------------------------- answers


def add(connection: sqlite3.Connection, stored: StoredAnswer) -> int:
    """Store an answer; its id."""
    usage = stored.usage
    answer = {**stored.answer, "usage": [usage.input, usage.output, usage.cached, usage.reasoning,
                                         usage.estimated]}  # fmt: skip
    cursor = connection.execute(
        "INSERT INTO llm_answers (hash, api_url, model_name, question, answer, input_tokens, "
        "output_tokens, cost, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            stored.hash, stored.api_url, stored.model_name, _packed(stored.question),
            _packed(answer), usage.input, usage.output,
            None if stored.cost is None else f"{stored.cost:f}", stored.recorded_at,
        ),
    )  # fmt: skip
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid


def newest(connection: sqlite3.Connection, question_hash: str) -> StoredAnswer | None:
    """The newest answer to a question, if any is recorded."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM llm_answers a WHERE a.hash = ? ORDER BY a.id DESC LIMIT 1",
        (question_hash,),
    ).fetchone()
    return None if row is None else _stored(row)


def used_by(
    connection: sqlite3.Connection, backtest_id: int, question_hash: str
) -> StoredAnswer | None:
    """The answer that this run has used for a question, if it has come so far before."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM backtest_answers u JOIN llm_answers a ON a.id = u.answer_id "
        "WHERE u.backtest_id = ? AND u.hash = ?",
        (backtest_id, question_hash),
    ).fetchone()
    return None if row is None else _stored(row)


def note_use(
    connection: sqlite3.Connection, backtest_id: int, stored: StoredAnswer, bar_time: int
) -> None:
    """Write down that a run used an answer at the bar that closed at `bar_time`."""
    connection.execute(
        "INSERT OR IGNORE INTO backtest_answers (backtest_id, hash, answer_id, bar_time) "
        "VALUES (?, ?, ?, ?)",
        (backtest_id, stored.hash, stored.id, bar_time),
    )


def of_run(connection: sqlite3.Connection, backtest_id: int) -> Iterator[tuple[int, StoredAnswer]]:
    """Time of the bar and answer, of all that a run has used, in its order."""
    rows = connection.execute(
        f"SELECT {_COLUMNS}, u.bar_time FROM backtest_answers u "
        "JOIN llm_answers a ON a.id = u.answer_id WHERE u.backtest_id = ? "
        "ORDER BY u.bar_time, a.id",
        (backtest_id,),
    )
    return ((row["bar_time"], _stored(row)) for row in rows)


def holds(connection: sqlite3.Connection, stored: StoredAnswer) -> bool:
    """Whether this very answer to this very question is recorded already."""
    known = newest(connection, stored.hash)
    return known is not None and (known.answer, known.usage, known.cost) == (
        stored.answer, stored.usage, stored.cost,
    )  # fmt: skip


def average_output_tokens(
    connection: sqlite3.Connection, api_url: str, model_name: str, among: int
) -> float | None:
    """How long this model's last `among` answers were; None where there is none."""
    row = connection.execute(
        "SELECT AVG(output_tokens) AS average FROM (SELECT output_tokens FROM llm_answers "
        "WHERE api_url = ? AND model_name = ? ORDER BY id DESC LIMIT ?)",
        (api_url, model_name, among),
    ).fetchone()
    return None if row["average"] is None else float(row["average"])


# --------------------------------------------------------------------------------- paid calls


def add_sent(connection: sqlite3.Connection, call: SentCall, wall_ms: int) -> int:
    """Write down a call that is about to be sent; its id."""
    cursor = connection.execute(
        "INSERT INTO backtest_calls (backtest_id, bar_time, purpose, attempt, output_mode, status, "
        "sent_at, reserved_tokens, reserved_cost) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            call.backtest_id, call.bar_time, call.purpose, call.attempt, call.output_mode, SENT,
            wall_ms, call.reserved_tokens, f"{call.reserved_cost:f}",
        ),
    )  # fmt: skip
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid


def finish_call(
    connection: sqlite3.Connection, call_id: int, status: str, usage: Usage | None,
    cost: Decimal | None, latency_ms: int, error_code: str | None, error: str | None,
) -> None:  # fmt: skip
    """Store what came of a call."""
    connection.execute(
        "UPDATE backtest_calls SET status = ?, input_tokens = ?, output_tokens = ?, cost = ?, "
        "latency_ms = ?, error_code = ?, error = ? WHERE id = ?",
        (
            status, None if usage is None else usage.input,
            None if usage is None else usage.output, None if cost is None else f"{cost:f}",
            latency_ms, error_code, error, call_id,
        ),
    )  # fmt: skip


def paid(connection: sqlite3.Connection, backtest_id: int) -> PaidCalls:
    """What a run has called and paid so far."""
    rows = connection.execute(
        "SELECT COALESCE(input_tokens + output_tokens, reserved_tokens) AS tokens, "
        "CASE WHEN input_tokens IS NULL THEN reserved_cost ELSE COALESCE(cost, '0') END AS cost "
        "FROM backtest_calls WHERE backtest_id = ?",
        (backtest_id,),
    ).fetchall()
    return PaidCalls(
        len(rows),
        sum(row["tokens"] for row in rows),
        sum((Decimal(row["cost"]) for row in rows), Decimal(0)),
    )


# --------------------------------------------------------------------------------------- rows


def _stored(row: sqlite3.Row) -> StoredAnswer:
    answer = _unpacked(row["answer"])
    usage = Usage(*answer.pop("usage"))
    cost = None if row["cost"] is None else Decimal(row["cost"])
    return StoredAnswer(
        row["hash"], row["api_url"], row["model_name"], _unpacked(row["question"]), answer, usage,
        cost, row["recorded_at"], row["id"],
    )  # fmt: skip


def _packed(value: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(value, ensure_ascii=False).encode())


def _unpacked(packed: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(zlib.decompress(packed))
    return value
