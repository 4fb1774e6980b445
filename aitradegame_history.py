"""What AITradeGame's models have done: trades, positions, conversations and recorded values."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import aitradegame_rows as rows
from aitradegame_books import Comparison, NoTrade, Replay, Step, compare, describe
from aitradegame_report import ImportReport, ModelReport
from aitradegame_rows import OldPosition, Row
from domain import TradingModel
from errors import DataError
from ledger import Account
from repositories import books, imports, pools
from repositories.aitradegame import OldDatabase
from repositories.books import AccountValue
from repositories.imports import Imported

BATCH = 1_000
CENT = Decimal("0.01")


@dataclass(slots=True)
class ModelSoFar:
    """A model of the file while its tables are read: ours, and what was known of it before."""

    model: TradingModel
    fingerprint: str
    before: Imported
    after: Imported
    is_new: bool = False
    has_pool: bool = False
    trades: list[Step | NoTrade] = field(default_factory=list)
    account: Account | None = None
    positions: list[tuple[object, OldPosition]] = field(default_factory=list)
    values: int = 0
    unsound_values: list[int] = field(default_factory=list)
    last_total: Decimal | None = None


class History:
    """Reads the tables model by model; `coin_id` gives our coin of a symbol."""

    def __init__(
        self,
        old: OldDatabase,
        connection: sqlite3.Connection,
        report: ImportReport,
        models: Mapping[object, ModelSoFar],
        coin_id: Callable[[str], int],
        on_rows: Callable[[int], object],
    ):
        self._old = old
        self._connection = connection
        self._report = report
        self._models = models
        self._coin_id = coin_id
        self._on_rows = on_rows

    def take(self) -> None:
        """Take what is new of each table, and compare the books."""
        self._each_model("trades", self._take_trades)
        self._each_model("portfolios", self._take_positions)
        self._each_model("conversations", self._take_conversations)
        self._each_model("account_values", self._take_account_values)
        for so_far in self._models.values():
            self._compare(so_far)

    def _each_model(self, table: str, take: Callable[[ModelSoFar, Iterator[Row]], None]) -> None:
        counts = self._report.table(self._old.called(table))
        for model_id, found in self._old.rows_by_model(table):
            counted = self._counting(found)
            if model_id in self._models:
                take(self._models[model_id], counted)
                continue
            for row in counted:
                counts.refuse(row["id"], "its model is gone or was not taken")

    def _counting(self, found: Iterator[Row]) -> Iterator[Row]:
        """The same rows, with word of each batch."""
        done = 0
        for row in found:
            yield row
            done += 1
            if done == BATCH:
                self._on_rows(done)
                done = 0
        self._on_rows(done)

    # ------------------------------------------------------------------------------- trades

    def _take_trades(self, so_far: ModelSoFar, found: Iterator[Row]) -> None:
        counts = self._report.table("trades")
        model_id, before = so_far.model.id, so_far.before
        moved_on = imports.count_trades(self._connection, model_id) != before.trades_booked
        replay = Replay(Account.opened_with(so_far.model.initial_capital))
        coin_ids: dict[str, int] = {}

        def take(row: Row) -> bool:
            step = _posted(row, replay, so_far)
            if step.trade.id <= before.last_trade_id:
                return False
            if moved_on:
                raise DataError("its model has traded here since the last import")
            coin_ids[step.trade.coin] = self._coin_id(step.trade.coin)
            assert step.entry is not None  # refused ones have been raised
            books.book(self._connection, model_id, coin_ids, step.entry)
            return True

        taken_before = counts.taken
        last_id = before.last_trade_id
        for row in found:
            counts.count(row["id"], take, row)
            last_id = _later(last_id, row)
        so_far.account = replay.account
        if moved_on:
            return
        booked = before.trades_booked + counts.taken - taken_before
        so_far.after = replace(so_far.after, last_trade_id=last_id, trades_booked=booked)
        if coin_ids:
            self._store(so_far, replay.account, coin_ids)

    def _store(self, so_far: ModelSoFar, account: Account, coin_ids: Mapping[str, int]) -> None:
        model_id = so_far.model.id
        held = {coin: self._coin_id(coin) for coin in account.positions}
        marks = books.load_marks(self._connection, model_id)
        books.store_account(self._connection, model_id, account, held, marks)
        if so_far.is_new and not so_far.has_pool:
            made_at = so_far.model.created_at
            pools.add(self._connection, model_id, list(coin_ids.values()), made_at)

    # ---------------------------------------------------------------------------- positions

    def _take_positions(self, so_far: ModelSoFar, found: Iterator[Row]) -> None:
        counts = self._report.table(self._old.called("portfolios"))
        for row in found:
            try:
                so_far.positions.append((row["id"], rows.position(row)))
            except DataError as error:
                counts.refuse(row["id"], error.message)

    def _compare(self, so_far: ModelSoFar) -> None:
        """Both books; a position counts as taken where the replay gives it."""
        initial = so_far.model.initial_capital
        account = so_far.account or Account.opened_with(initial)
        listed = [position for _, position in so_far.positions]
        comparison = compare(initial, so_far.trades, account, listed)
        counts = self._report.table(self._old.called("portfolios"))
        has_changed = so_far.after.trades_booked > so_far.before.trades_booked

        def take(position: OldPosition) -> bool:
            why = comparison.wrong_positions.get(describe(position))
            if why is not None:
                raise DataError(why)
            return has_changed

        for row_id, position in so_far.positions:
            counts.count(row_id, take, position)
        self._report.models.append(_model_report(so_far, comparison))

    # ------------------------------------------------------------------------------ history

    def _take_conversations(self, so_far: ModelSoFar, found: Iterator[Row]) -> None:
        known_to = so_far.before.last_conversation_id
        batch: list[tuple[int, str | None, str | None, str | None]] = []

        def take(row: Row) -> bool:
            if rows.identifier(row["id"]) <= known_to:
                return False
            batch.append(
                (
                    rows.time_ms(row["timestamp"]),
                    rows.text(row["user_prompt"]),
                    rows.text(row["ai_response"]),
                    rows.text(row["cot_trace"]) or None,
                )
            )
            return True

        def store() -> None:
            imports.add_conversations(self._connection, so_far.model.id, batch)

        last_id = self._take_in_batches("conversations", found, take, batch, store)
        so_far.after = replace(so_far.after, last_conversation_id=max(last_id, known_to))

    def _take_account_values(self, so_far: ModelSoFar, found: Iterator[Row]) -> None:
        known_to = so_far.before.last_account_value_id
        batch: list[AccountValue] = []

        def take(row: Row) -> bool:
            value = AccountValue(
                rows.time_ms(row["timestamp"]),
                rows.amount(row["total_value"], "total"),
                rows.amount(row["cash"], "cash"),
                rows.amount(row["positions_value"], "positions' value"),
            )
            so_far.values += 1
            so_far.last_total = value.total_value
            if abs(value.cash + value.positions_value - value.total_value) >= CENT:
                so_far.unsound_values.append(rows.identifier(row["id"]))
            if rows.identifier(row["id"]) <= known_to:
                return False
            batch.append(value)
            return True

        def store() -> None:
            imports.add_account_values(self._connection, so_far.model.id, batch)

        last_id = self._take_in_batches("account_values", found, take, batch, store)
        so_far.after = replace(so_far.after, last_account_value_id=max(last_id, known_to))

    def _take_in_batches(
        self, table: str, found: Iterator[Row], take: Callable[[Row], bool],
        batch: list[Any], store: Callable[[], None],
    ) -> int:  # fmt: skip
        """Take rows, storing what has gathered in `batch` now and then; the last row's id."""
        counts = self._report.table(table)
        last_id = 0
        for row in found:
            counts.count(row["id"], take, row)
            last_id = _later(last_id, row)
            if len(batch) >= BATCH:
                store()
                batch.clear()
        store()
        return last_id


def _later(last_id: int, row: Row) -> int:
    return max(last_id, row["id"]) if isinstance(row["id"], int) else last_id


def _model_report(so_far: ModelSoFar, comparison: Comparison) -> ModelReport:
    steps = [step for step in so_far.trades if isinstance(step, Step)]
    return ModelReport(
        so_far.model.name,
        comparison,
        adjusted=[step.trade.id for step in steps if step.adjusted],
        unsound_values=so_far.unsound_values,
        values=so_far.values,
        last_recorded_total=so_far.last_total,
    )


def _posted(row: Row, replay: Replay, so_far: ModelSoFar) -> Step:
    """A row posted to the ledger. Raises DataError where it is no trade or is refused."""
    try:
        step = replay.post(rows.trade(row))
    except DataError:
        so_far.trades.append(NoTrade(row["id"], rows.recorded_pnl(row)))
        raise
    so_far.trades.append(step)
    if step.refusal is not None:
        raise DataError(step.refusal)
    return step
