"""What a cycle books: every decision with what became of it, the fills, the account after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import ledger
from database import Connection
from domain import Decision, Signal, TradingModel
from entry_terms import EntryTerms
from latest_prices import KnownPrice
from ledger import Account
from model_books import ModelBooks
from paper_execution import ExecutionRules, Outcome, execute
from repositories import cycles, models, open_positions, trading_state
from repositories.books import BookedTrade
from repositories.cycles import Cycle, DecisionRecord
from risk import TrackRecord
from trading_halt import TRADING_HALTED


@dataclass(frozen=True, slots=True)
class CycleReport:
    """A finished cycle: what was decided, and what of it was booked."""

    cycle: Cycle
    decisions: tuple[DecisionRecord, ...] = ()
    trades: tuple[BookedTrade, ...] = ()


class CycleBooking:
    """Carries out one cycle's decisions in one transaction.

    `may_trade` raises in that transaction where this process may not trade (any more).
    """

    def __init__(
        self,
        model: TradingModel,
        model_books: ModelBooks,
        rules: ExecutionRules,
        may_trade: Callable[[Connection], None],
    ):
        self._model = model
        self._books = model_books
        self._rules = rules
        self._may_trade = may_trade

    def book(
        self,
        cycle: Cycle,
        decisions: list[tuple[str, Decision]],
        prices: Mapping[str, KnownPrice],
        terms: EntryTerms,
        finished: Callable[[], Cycle],
    ) -> CycleReport:
        """Book all of it and the end of the cycle, or nothing.

        Raises Conflict where the cycle was taken from this process.
        """
        records: list[DecisionRecord] = []
        trades: list[BookedTrade] = []
        with self._books.database.ledger_transaction() as connection:
            self._may_trade(connection)
            cycles.check_running(connection, cycle)
            too_late = self._stopped_meanwhile(connection)
            account = self._books.account()
            marks = self._books.marks({c: price.ticker.price for c, price in prices.items()})
            record = self._track_record(account, marks, cycle.started_at, decisions)
            for coin, decision in decisions:
                written = cycles.add_decision(
                    connection, cycle, terms.coin_ids.get(coin), coin, decision, cycle.started_at
                )
                refusal = too_late or terms.refusal(coin, decision, coin in prices)
                if refusal is not None and decision.signal is not Signal.HOLD:
                    outcome = Outcome(coin, decision, "refused", refusal)
                else:
                    account, outcome = execute(
                        account, coin, decision, marks, terms.rules(coin, self._rules),
                        cycle.started_at, terms.instrument(coin), written.id, record,
                    )  # fmt: skip
                records.append(
                    cycles.set_outcome(
                        connection, written, outcome.status, outcome.reason, outcome.changes
                    )
                )
                if outcome.entry is not None:
                    trades.append(self._books.append(outcome.entry, decision.justification))
            self._books.store(account, marks, cycle.started_at)
            done = finished()
            cycles.finish(connection, done)
        return CycleReport(done, tuple(records), tuple(trades))

    def _stopped_meanwhile(self, connection: Connection) -> str | None:
        """Why an answer comes too late: what a person stopped while the trader was thinking."""
        if trading_state.halt(connection).halted:
            return TRADING_HALTED
        model = models.get(connection, self._model.id)
        if model.archived_at is not None:
            return "archived"
        return "paused" if self._model.enabled and not model.enabled else None

    def _track_record(
        self,
        account: Account,
        marks: Mapping[str, Decimal],
        now_ms: int,
        decisions: list[tuple[str, Decision]],
    ) -> TrackRecord:
        """What risk asks of the account's past."""
        value = ledger.value(account, marks).total_value
        limit = self._books.watch_losses(value, now_ms).limit_at(now_ms)
        closed_at: dict[str, int] = {}
        risk = self._rules.risk
        if risk is not None and risk.cool_down_minutes:
            entered = {coin for coin, decision in decisions if decision.side is not None}
            connection = self._books.connection
            closes = {c: open_positions.last_close(connection, self._model.id, c) for c in entered}
            closed_at = {coin: at for coin, at in closes.items() if at is not None}
        return TrackRecord(now_ms, closed_at, limit)
