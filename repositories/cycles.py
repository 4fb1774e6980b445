"""Decision cycles and the decisions that were made in them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from domain import MINUTE_MS, Decision, Signal
from errors import Conflict, NotFound
from risk import Change, Changes


@dataclass(frozen=True, slots=True)
class Cycle:
    """A row of cycles. `timings` are milliseconds by step."""

    id: int
    model_id: int
    scheduled_at: int | None
    started_at: int
    finished_at: int | None
    status: str
    error_code: str | None = None
    error: str | None = None
    timings: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What a trader said of a coin, and what became of it."""

    id: int
    model_id: int
    cycle_id: int
    timestamp: int
    coin: str
    decision: Mapping[str, Any]
    outcome: str
    reason: str | None
    detail: Mapping[str, Any]  # what risk changed: {field: {asked, allowed, limit}}, as text

    @property
    def signal(self) -> str:
        """The decision's signal."""
        return str(self.decision["signal"])


def begin(
    connection: sqlite3.Connection, model_id: int, scheduled_at: int | None, now_ms: int
) -> Cycle:
    """Open a cycle. Raises Conflict (cycle_done) when that scheduled one has been run before."""
    try:
        cursor = connection.execute(
            "INSERT INTO cycles (model_id, scheduled_at, started_at, status) "
            "VALUES (?, ?, ?, 'running')",
            (model_id, scheduled_at, now_ms),
        )
    except sqlite3.IntegrityError as error:
        if "UNIQUE" not in str(error):
            raise  # a model that is not there is our mistake
        raise Conflict("This scheduled cycle has been run already.", code="cycle_done") from error
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return Cycle(cursor.lastrowid, model_id, scheduled_at, now_ms, None, "running")


def give_back_times_to_come(
    connection: sqlite3.Connection, model_id: int, scheduled_at: int, cycle_minutes: int
) -> None:
    """Where the clock was set back by more than a cycle, its times come once more.

    What was run at them stays, without its time. A smaller step back repeats none of them.
    """
    newest = connection.execute(
        "SELECT MAX(scheduled_at) FROM cycles WHERE model_id = ?", (model_id,)
    ).fetchone()[0]
    if newest is not None and newest > scheduled_at + cycle_minutes * MINUTE_MS:
        connection.execute(
            "UPDATE cycles SET scheduled_at = NULL WHERE model_id = ? AND scheduled_at >= ?",
            (model_id, scheduled_at),
        )


def check_running(connection: sqlite3.Connection, cycle: Cycle) -> None:
    """Raises Conflict (cycle_interrupted) where another process has closed this cycle."""
    row = connection.execute("SELECT status FROM cycles WHERE id = ?", (cycle.id,)).fetchone()
    if row is None or row["status"] != "running":
        raise Conflict("Another process has taken over from this one.", code="cycle_interrupted")


def finish(connection: sqlite3.Connection, cycle: Cycle) -> None:
    """Store how a cycle ended; one that another process has closed stays so."""
    connection.execute(
        "UPDATE cycles SET finished_at = ?, status = ?, error_code = ?, error = ?, timings = ? "
        "WHERE id = ? AND status = 'running'",
        (
            cycle.finished_at, cycle.status, cycle.error_code, cycle.error,
            json.dumps(dict(cycle.timings or {})), cycle.id,
        ),
    )  # fmt: skip


def interrupt_running(connection: sqlite3.Connection, now_ms: int) -> int:
    """Mark every cycle that is open: its process is dead, or may no longer trade. How many."""
    return _interrupt(connection, now_ms, "1")


def interrupt_left_open(connection: sqlite3.Connection, model_id: int, now_ms: int) -> None:
    """Mark what is open of a model of which no cycle runs in this process, the one that trades."""
    _interrupt(connection, now_ms, "model_id = ?", model_id)


def _interrupt(connection: sqlite3.Connection, now_ms: int, condition: str, *values: int) -> int:
    return connection.execute(
        "UPDATE cycles SET status = 'interrupted', finished_at = ?, error_code = 'interrupted', "
        "error = 'The process ended during this cycle; nothing of it was booked.' "
        f"WHERE status = 'running' AND {condition}",
        (now_ms, *values),
    ).rowcount


def get(connection: sqlite3.Connection, cycle_id: int) -> Cycle:
    """A cycle by its id. Raises NotFound (unknown_cycle)."""
    row = connection.execute("SELECT * FROM cycles WHERE id = ?", (cycle_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no cycle {cycle_id}.", code="unknown_cycle")
    return _cycle(row)


def last(connection: sqlite3.Connection, model_id: int) -> Cycle | None:
    """The newest cycle of a model."""
    return last_of_all(connection).get(model_id)


def last_of_all(connection: sqlite3.Connection) -> dict[int, Cycle]:
    """The newest cycle of every model by its id."""
    rows = connection.execute(
        "SELECT c.* FROM models m JOIN cycles c "  # by the index, however many cycles there are
        "ON c.id = (SELECT MAX(id) FROM cycles WHERE model_id = m.id)"
    )
    return {row["model_id"]: _cycle(row) for row in rows}


def previous_start(connection: sqlite3.Connection, model_id: int) -> int | None:
    """When the model's trader was last asked and what it said was carried out."""
    row = connection.execute(
        "SELECT started_at FROM cycles WHERE model_id = ? AND status = 'done' "
        "ORDER BY id DESC LIMIT 1",  # the last one, also where the clock was set back since
        (model_id,),
    ).fetchone()
    return None if row is None else int(row["started_at"])


def add_decision(
    connection: sqlite3.Connection, cycle: Cycle, coin_id: int | None, coin: str,
    decision: Decision, now_ms: int,
) -> DecisionRecord:  # fmt: skip
    """Store a decision before it is carried out; `set_outcome` says later what became of it."""
    words = decision_words(decision)
    cursor = connection.execute(
        "INSERT INTO decisions (model_id, cycle_id, coin_id, coin, timestamp, signal, decision, "
        "outcome) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending')",
        (
            cycle.model_id, cycle.id, coin_id, coin, now_ms, decision.signal.value,
            json.dumps(words, ensure_ascii=False),
        ),
    )  # fmt: skip
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return DecisionRecord(
        cursor.lastrowid, cycle.model_id, cycle.id, now_ms, coin, words, "pending", None, {}
    )


def set_outcome(
    connection: sqlite3.Connection, record: DecisionRecord, outcome: str,
    reason: str | None, changes: Changes,
) -> DecisionRecord:  # fmt: skip
    """Store what became of a decision, why, and what risk changed of it."""
    detail = {name: _change_words(change) for name, change in changes.items()}
    connection.execute(
        "UPDATE decisions SET outcome = ?, reason = ?, detail = ? WHERE id = ?",
        (outcome, reason, json.dumps(detail) if detail else None, record.id),
    )
    return replace(record, outcome=outcome, reason=reason, detail=detail)


def get_decision(connection: sqlite3.Connection, decision_id: int) -> DecisionRecord:
    """A decision by its id. Raises NotFound (unknown_decision)."""
    row = connection.execute("SELECT * FROM decisions WHERE id = ?", (decision_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no decision {decision_id}.", code="unknown_decision")
    return _decision(row)


def list_decisions(
    connection: sqlite3.Connection, model_id: int, *, limit: int = 50, before: int | None = None
) -> list[DecisionRecord]:
    """Decisions, newest first; `before` is the id to page back from."""
    rows = connection.execute(
        "SELECT * FROM decisions WHERE model_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (model_id, 2**62 if before is None else before, limit),
    )
    return [_decision(row) for row in rows]


def decisions_of(connection: sqlite3.Connection, cycle_id: int) -> list[DecisionRecord]:
    """The decisions of one cycle in the order in which they were made."""
    rows = connection.execute("SELECT * FROM decisions WHERE cycle_id = ? ORDER BY id", (cycle_id,))
    return [_decision(row) for row in rows]


def decision_words(decision: Decision) -> dict[str, Any]:
    """A decision as JSON: exact amounts as text, what was not said left out."""
    words: dict[str, Any] = {"signal": decision.signal.value}
    if decision.signal is not Signal.HOLD:
        amounts = {
            "quantity": decision.quantity,
            "notional": decision.notional,
            "weight": decision.weight,
            "leverage": decision.leverage if decision.side is not None else None,
            "profit_target": decision.profit_target,
            "stop_loss": decision.stop_loss,
            "trailing_stop_pct": decision.trailing_stop_pct,
        }
        words |= {name: f"{amount:f}" for name, amount in amounts.items() if amount is not None}
    if decision.confidence is not None:
        words["confidence"] = decision.confidence
    words |= {
        name: text
        for name, text in (
            ("justification", decision.justification),
            ("invalidation", decision.invalidation),
            ("invalidation_condition", str(decision.invalidation_condition or "")),
        )
        if text
    }
    return words


def _change_words(change: Change) -> dict[str, str | None]:
    asked, allowed = (
        None if amount is None else f"{amount:f}" for amount in (change.asked, change.allowed)
    )
    return {"asked": asked, "allowed": allowed, "limit": change.limit}


def _cycle(row: sqlite3.Row) -> Cycle:
    return Cycle(
        row["id"], row["model_id"], row["scheduled_at"], row["started_at"], row["finished_at"],
        row["status"], row["error_code"], row["error"], json.loads(row["timings"]),
    )  # fmt: skip


def _decision(row: sqlite3.Row) -> DecisionRecord:
    return DecisionRecord(
        row["id"], row["model_id"], row["cycle_id"], row["timestamp"], row["coin"],
        json.loads(row["decision"]), row["outcome"], row["reason"],
        json.loads(row["detail"]) if row["detail"] else {},
    )  # fmt: skip
