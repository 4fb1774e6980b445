"""A model's daily budget: calls, tokens and money, reserved before each call.

Days are UTC days of the wall clock. A model and its replicas share one budget. The check and the
reservation are one transaction, so that calls side by side cannot exceed it together, and a
process that dies in a call has spent what it reserved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from database import Database
from domain import Clock, TokenPrices
from errors import TradingSystemError
from llm_usage import Usage, cost_of
from repositories import conversations
from repositories.conversations import FinishedConversation, NewConversation, Spent

ASSUMED_OUTPUT_TOKENS = 4096  # of a call whose answer has no limit of its own


class BudgetSpent(TradingSystemError):
    """Another call would exceed the model's budget of this day; none is made."""

    code = "budget"
    http_status = 429


@dataclass(frozen=True, slots=True)
class DailyBudget:
    """The most that a model may use on one UTC day; None is no limit. `cost` in US dollars."""

    calls: int | None = None
    tokens: int | None = None
    cost: Decimal | None = None

    def excess(self, spent: Spent, tokens: int, cost: Decimal | None) -> str | None:
        """Why one more call of `tokens` and `cost` is too much; None where it is not."""
        if self.calls is not None and spent.calls + 1 > self.calls:
            return f"{spent.calls} of {self.calls} calls of this day are used"
        if self.tokens is not None and spent.tokens + tokens > self.tokens:
            return f"{spent.tokens} of {self.tokens} tokens of this day are used"
        if self.cost is None:
            return None
        if cost is None:
            return "it is limited in money, and the model's prices are not known"
        if spent.cost + cost > self.cost:
            return f"{spent.cost:.4f} of {self.cost} dollars of this day are used"
        return None


class Budget:
    """Reserves calls against the daily budget. `wall_clock` says which day it is."""

    def __init__(
        self, database: Database, wall_clock: Clock, limits: DailyBudget, prices: TokenPrices | None
    ):
        self._database = database
        self._wall_clock = wall_clock
        self._limits = limits
        self._prices = prices

    def reserve(self, call: NewConversation, input_tokens: int, max_tokens: int | None) -> int:
        """Write the call down as sent, with the most that it may use; its row's id.

        Raises BudgetSpent, which is written down as well.
        """
        most = Usage(input_tokens, max_tokens or ASSUMED_OUTPUT_TOKENS)
        cost = cost_of(most, self._prices)
        call = replace(call, reserved_tokens=most.total, reserved_cost=cost or Decimal(0))
        wall_ms = self._wall_clock.now_ms()
        # On the disk before the call is sent: a power cut must not spend twice either.
        with self._database.ledger_transaction() as connection:
            conversations.interrupt_sent(connection, call.budget_model_id, wall_ms)
            spent = conversations.spent_on_day(connection, call.budget_model_id, wall_ms)
            excess = self._limits.excess(spent, most.total, cost)
            if excess is None:
                return conversations.add_sent(connection, call, wall_ms)
            message = f"No call to the LLM: {excess}."
            conversations.add_unsent(connection, call, "budget", BudgetSpent.code, message)
        raise BudgetSpent(message)

    def finish(self, row: int, done: FinishedConversation) -> None:
        """Write down what came of a call."""
        with self._database.transaction() as connection:
            conversations.finish(connection, row, done)

    def not_made(self, call: NewConversation, status: str, code: str, why: str) -> None:
        """Write down that a call is not made, and why."""
        with self._database.transaction() as connection:
            conversations.add_unsent(connection, call, status, code, why)

    def cost(self, usage: Usage) -> Decimal | None:
        """What a call has cost; None where the prices are not known."""
        return cost_of(usage, self._prices)
