"""What one run may spend on a language model, and the book of its calls.

A run has its own cap and touches no model's daily budget. Each call is written down with the most
that it may use before it is sent, so that a run whose process dies has spent what it reserved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from database import Database
from domain import Clock, TokenPrices
from errors import TradingSystemError
from llm_budget import ASSUMED_OUTPUT_TOKENS
from llm_usage import Usage, cost_of
from repositories import llm_answers
from repositories.conversations import FinishedConversation, NewConversation
from repositories.llm_answers import PaidCalls, SentCall
from timestamps import iso_utc


class RunCapReached(TradingSystemError):
    """Another call would exceed the run's cap; what was answered stays recorded."""

    code = "run_cap"
    http_status = 409


@dataclass(frozen=True, slots=True)
class RunCap:
    """The most that one run may call and pay (US dollars); None is no limit."""

    calls: int | None = None
    cost: Decimal | None = None

    def excess(self, paid: PaidCalls, cost: Decimal | None) -> Excess | None:
        """Why one more call of `cost` is too much; None where it is not."""
        if self.calls is not None and paid.calls + 1 > self.calls:
            return Excess(
                f"{paid.calls} of {self.calls} calls are made",
                {"calls": paid.calls, "most": self.calls},
            )
        if self.cost is None:
            return None
        if cost is None:
            return Excess("it is capped in money, and the model's prices are not known", {})
        if paid.cost + cost > self.cost:
            return Excess(
                f"{paid.cost:f} of {self.cost:f} dollars are spent, and the next call may cost "
                f"{cost:f}",
                {"spent": float(paid.cost), "most": float(self.cost), "next": float(cost)},
            )
        return None


@dataclass(frozen=True, slots=True)
class Excess:
    """Why a call is too much, as a part of a sentence, and what that speaks of."""

    words: str
    values: Mapping[str, Any]


class RunBooks:
    """Reserves a run's calls against its cap; `wall_clock` says when they are sent."""

    def __init__(
        self,
        database: Database,
        backtest_id: int,
        cap: RunCap,
        prices: TokenPrices | None,
        wall_clock: Clock,
    ):
        self._database = database
        self._backtest_id = backtest_id
        self._cap = cap
        self._prices = prices
        self._wall_clock = wall_clock

    def reserve(self, call: NewConversation, input_tokens: int, max_tokens: int | None) -> int:
        """Write the call down as sent, with the most that it may use. Raises RunCapReached."""
        most = Usage(input_tokens, max_tokens or ASSUMED_OUTPUT_TOKENS)
        cost = cost_of(most, self._prices)
        sent = SentCall(
            self._backtest_id, call.timestamp, call.purpose, call.attempt, call.output_mode,
            most.total, cost or Decimal(0),
        )  # fmt: skip
        # On the disk before the call is sent, as it is for a model that trades.
        with self._database.ledger_transaction() as connection:
            excess = self._cap.excess(llm_answers.paid(connection, self._backtest_id), cost)
            if excess is None:
                return llm_answers.add_sent(connection, sent, self._wall_clock.now_ms())
        raise RunCapReached(
            f"The run stops at {iso_utc(call.timestamp)}, since it would exceed its cap: "
            f"{excess.words}. Its answers are recorded: the same run with a higher cap goes on from "
            "here.",
            values={"time": iso_utc(call.timestamp), **excess.values},
        )

    def finish(self, row: int, done: FinishedConversation) -> None:
        """Write down what came of a call."""
        with self._database.transaction() as connection:
            llm_answers.finish_call(
                connection, row, done.status, done.usage, done.cost, done.latency_ms,
                done.error_code, done.error,
            )  # fmt: skip

    def not_made(self, call: NewConversation, status: str, code: str, why: str) -> None:
        """Nothing: a run whose calls are stopped has ended, which its own row says."""

    def cost(self, usage: Usage) -> Decimal | None:
        """What a call has cost; None where the prices are not known."""
        return cost_of(usage, self._prices)
