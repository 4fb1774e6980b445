"""The books of a model: its append-only trades, and the account and positions folded from them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from domain import (
    Comparison,
    Entry,
    Exits,
    Fill,
    FillKind,
    Interval,
    Portfolio,
    Position,
    PriceCondition,
    Reason,
    Side,
)
from errors import LedgerMismatch, NotFound
from ledger import Account

_TRADE_COLUMNS = (
    "model_id, coin_id, coin, timestamp, kind, side, quantity, price, leverage, fee, gross, pnl, "
    "cash_after, reason, stop_loss, profit_target, trailing_stop_pct, invalidation, decision_id"
)


@dataclass(frozen=True, slots=True)
class BookedTrade:
    """A row of trades: the ledger's line with its ids, and why its trader wanted it."""

    id: int
    model_id: int
    entry: Entry
    justification: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """The last good price of an open position and when it was seen."""

    price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class AccountValue:
    """What an account was worth at a moment."""

    time_ms: int
    total_value: Decimal
    cash: Decimal
    positions_value: Decimal


# ------------------------------------------------------------------------------- reading


def load_account(connection: sqlite3.Connection, model_id: int) -> Account:
    """The account as it is booked, with its positions. Raises LedgerMismatch where there is none, or
    it cannot be read."""
    row = connection.execute(
        "SELECT a.*, m.initial_capital FROM accounts a JOIN models m ON m.id = a.model_id "
        "WHERE a.model_id = ?",
        (model_id,),
    ).fetchone()
    if row is None:
        raise LedgerMismatch(f"Model {model_id} has no account.")
    positions = connection.execute(
        "SELECT * FROM positions WHERE model_id = ? ORDER BY coin", (model_id,)
    )
    with _reading(f"The account of model {model_id}"):
        return Account(
            initial_capital=Decimal(row["initial_capital"]),
            cash=Decimal(row["cash"]),
            positions={position["coin"]: _position(position) for position in positions},
            realized_pnl=Decimal(row["realized_pnl"]),
            fees_paid=Decimal(row["fees_paid"]),
            funding_paid=Decimal(row["funding_paid"]),
        )


def load_marks(connection: sqlite3.Connection, model_id: int) -> dict[str, Mark]:
    """The last good mark of each open position."""
    rows = connection.execute(
        "SELECT coin, mark_price, mark_time FROM positions "
        "WHERE model_id = ? AND mark_price IS NOT NULL",
        (model_id,),
    )
    return {row["coin"]: Mark(Decimal(row["mark_price"]), row["mark_time"]) for row in rows}


def held_coins(connection: sqlite3.Connection) -> dict[int, list[str]]:
    """Coins with open positions by the id of each model that is not archived."""
    held: dict[int, list[str]] = {}
    rows = connection.execute(
        "SELECT p.model_id, p.coin FROM positions p JOIN models m ON m.id = p.model_id "
        "WHERE m.archived_at IS NULL"
    )
    for row in rows:
        held.setdefault(row["model_id"], []).append(row["coin"])
    return held


def list_trades(
    connection: sqlite3.Connection,
    model_ids: Sequence[int],
    *,
    coin: str | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[BookedTrade]:
    """Trades of these models, newest first; `before` is the id to page back from."""
    conditions = {
        "t.model_id IN (SELECT value FROM json_each(?))": json.dumps(list(model_ids)),
        "t.coin = ?": coin,
        "t.id < ?": before,
    }
    given = {condition: value for condition, value in conditions.items() if value is not None}
    rows = connection.execute(
        "SELECT t.*, json_extract(d.decision, '$.justification') AS justification "
        "FROM trades t LEFT JOIN decisions d ON d.id = t.decision_id "
        f"WHERE {' AND '.join(given)} ORDER BY t.id DESC LIMIT ?",
        (*given.values(), limit),
    )
    return [_trade(row) for row in rows]


def get_trade(connection: sqlite3.Connection, trade_id: int) -> BookedTrade:
    """A trade by its id. Raises NotFound (unknown_trade)."""
    row = connection.execute(
        "SELECT t.*, json_extract(d.decision, '$.justification') AS justification "
        "FROM trades t LEFT JOIN decisions d ON d.id = t.decision_id WHERE t.id = ?",
        (trade_id,),
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no trade {trade_id}.", code="unknown_trade")
    return _trade(row)


def trades_of_decisions(
    connection: sqlite3.Connection, decision_ids: Sequence[int]
) -> list[BookedTrade]:
    """What was filled of these decisions, in the order of booking."""
    rows = connection.execute(
        "SELECT t.*, json_extract(d.decision, '$.justification') AS justification "
        "FROM trades t JOIN decisions d ON d.id = t.decision_id "
        "WHERE t.decision_id IN (SELECT value FROM json_each(?)) ORDER BY t.id",
        (json.dumps(list(decision_ids)),),
    )
    return [_trade(row) for row in rows]


def all_entries(connection: sqlite3.Connection, model_id: int) -> list[BookedTrade]:
    """Every trade of a model, in the order of booking."""
    rows = connection.execute(
        "SELECT *, NULL AS justification FROM trades WHERE model_id = ? ORDER BY id", (model_id,)
    )
    return [_trade(row) for row in rows]


def newest_trade_id(connection: sqlite3.Connection, model_id: int) -> int:
    """The id of a model's newest trade; 0 where it has none."""
    row = connection.execute(
        "SELECT MAX(id) FROM trades WHERE model_id = ?", (model_id,)
    ).fetchone()
    return int(row[0] or 0)


def account_values(
    connection: sqlite3.Connection, model_id: int, *, since_ms: int = 0, limit: int = 500
) -> list[AccountValue]:
    """Recorded values since a time, newest first."""
    rows = connection.execute(
        "SELECT timestamp, total_value, cash, positions_value FROM account_values "
        "WHERE model_id = ? AND timestamp >= ? ORDER BY timestamp DESC, id DESC LIMIT ?",
        (model_id, since_ms, limit),
    )
    return [_account_value(row) for row in rows]


def thinned_account_values(
    connection: sqlite3.Connection, model_id: int, *, since_ms: int = 0, limit: int = 500
) -> list[AccountValue]:
    """At most `limit` values (2 at least) since a time, oldest first: the first, and the last of each
    of the equal stretches after it."""
    first, last, count = connection.execute(
        "SELECT MIN(timestamp), MAX(timestamp), COUNT(*) FROM account_values "
        "WHERE model_id = ? AND timestamp >= ?",
        (model_id, since_ms),
    ).fetchone()
    if count == 0:
        return []
    stretch = 1 if count <= limit else max(1, -(-(last - first) // max(limit - 1, 1)))
    # Rounded up, so that the first value is alone in its stretch.
    rows = connection.execute(
        "SELECT timestamp, total_value, cash, positions_value FROM account_values WHERE id IN ("
        "SELECT MAX(id) FROM account_values WHERE model_id = ? AND timestamp IN ("
        "SELECT MAX(timestamp) FROM account_values WHERE model_id = ? AND timestamp >= ? "
        "GROUP BY (timestamp - ? + ? - 1) / ?) GROUP BY timestamp) ORDER BY timestamp",
        (model_id, model_id, since_ms, first, stretch, stretch),
    )
    return [_account_value(row) for row in rows]


def value_at(connection: sqlite3.Connection, model_id: int, time_ms: int) -> AccountValue | None:
    """The last value recorded before a time."""
    row = connection.execute(
        "SELECT timestamp, total_value, cash, positions_value FROM account_values "
        "WHERE model_id = ? AND timestamp < ? ORDER BY timestamp DESC, id DESC LIMIT 1",
        (model_id, time_ms),
    ).fetchone()
    return None if row is None else _account_value(row)


def latest_value_time(connection: sqlite3.Connection) -> int | None:
    """The time of the newest value of any account."""
    row = connection.execute("SELECT MAX(timestamp) FROM account_values").fetchone()
    return None if row[0] is None else int(row[0])


# ------------------------------------------------------------------------------- writing


def book(
    connection: sqlite3.Connection, model_id: int, coin_ids: Mapping[str, int], entry: Entry
) -> int:
    """Append one ledger line; the id of its row."""
    fill = entry.fill
    cursor = connection.execute(
        f"INSERT INTO trades ({_TRADE_COLUMNS}) VALUES ({', '.join('?' * 19)})",
        (
            model_id, coin_ids[fill.coin], fill.coin, fill.time_ms, fill.kind.value,
            fill.side.value, _text(fill.quantity), _text(fill.price), _text(fill.leverage),
            _text(fill.fee), _text(entry.gross), _text(entry.pnl), _text(entry.cash_after),
            fill.reason.value, _optional_text(fill.exits.stop_loss),
            _optional_text(fill.exits.profit_target),
            _optional_text(fill.exits.trailing_stop_pct), _condition_text(fill.exits),
            fill.decision_id,
        ),
    )  # fmt: skip
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid


def store_account(
    connection: sqlite3.Connection,
    model_id: int,
    account: Account,
    coin_ids: Mapping[str, int],
    marks: Mapping[str, Mark],
) -> None:
    """Replace the stored account and positions by what the fold of the trades has become."""
    connection.execute(
        "UPDATE accounts SET cash = ?, realized_pnl = ?, fees_paid = ?, funding_paid = ? "
        "WHERE model_id = ?",
        (
            _text(account.cash), _text(account.realized_pnl), _text(account.fees_paid),
            _text(account.funding_paid), model_id,
        ),
    )  # fmt: skip
    connection.execute("DELETE FROM positions WHERE model_id = ?", (model_id,))
    connection.executemany(
        "INSERT INTO positions (model_id, coin_id, coin, side, quantity, cost, margin, "
        "entry_fees, funding, opened_at, stop_loss, profit_target, trailing_stop_pct, "
        f"invalidation, best_price, mark_price, mark_time) VALUES ({', '.join('?' * 17)})",
        [
            _position_row(model_id, coin_ids[coin], position, marks.get(coin))
            for coin, position in account.positions.items()
        ],
    )


def store_watch(
    connection: sqlite3.Connection, model_id: int, position: Position, mark: Mark
) -> None:
    """Remember what a tick changed of a position without a trade: its mark and its best price."""
    connection.execute(
        "UPDATE positions SET mark_price = ?, mark_time = ?, best_price = ? "
        "WHERE model_id = ? AND coin = ?",
        (
            _text(mark.price), mark.time_ms, _optional_text(position.best_price), model_id,
            position.coin,
        ),
    )  # fmt: skip


def record_value(
    connection: sqlite3.Connection, model_id: int, portfolio: Portfolio, time_ms: int
) -> None:
    """One point of the account's value curve."""
    connection.execute(
        "INSERT INTO account_values (model_id, timestamp, total_value, cash, positions_value) "
        "VALUES (?, ?, ?, ?, ?)",
        (
            model_id, time_ms, _text(portfolio.total_value), _text(portfolio.cash),
            _text(portfolio.positions_value),
        ),
    )  # fmt: skip


# -------------------------------------------------------------------------- rows and objects


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Raises LedgerMismatch for a row that this app cannot have written."""
    try:
        yield
    except (ValueError, TypeError, ArithmeticError) as error:
        raise LedgerMismatch(f"{what} cannot be read: it has been changed from outside.") from error


def _text(amount: Decimal) -> str:
    """Exact decimal text, never in scientific notation."""
    return f"{amount:f}"


def _optional_text(amount: Decimal | None) -> str | None:
    return None if amount is None else _text(amount)


def _optional(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _exits(row: sqlite3.Row) -> Exits:
    return Exits(
        _optional(row["stop_loss"]),
        _optional(row["profit_target"]),
        _optional(row["trailing_stop_pct"]),
        None if row["invalidation"] is None else _condition(row["invalidation"]),
    )


def _condition_text(exits: Exits) -> str | None:
    return None if exits.invalidation is None else str(exits.invalidation)


def _condition(text: str) -> PriceCondition:
    """What `str(condition)` gave: `price < 1` or `close_1h >= 1`."""
    name, operator, level = text.split(" ")
    interval = None if name == "price" else Interval(name.removeprefix("close_"))
    return PriceCondition(interval, Comparison(operator), Decimal(level))


def _position(row: sqlite3.Row) -> Position:
    return Position(
        coin=row["coin"],
        side=Side(row["side"]),
        quantity=Decimal(row["quantity"]),
        cost=Decimal(row["cost"]),
        margin=Decimal(row["margin"]),
        entry_fees=Decimal(row["entry_fees"]),
        opened_at=row["opened_at"],
        funding=Decimal(row["funding"]),
        exits=_exits(row),
        best_price=_optional(row["best_price"]),
    )


def _position_row(
    model_id: int, coin_id: int, position: Position, mark: Mark | None
) -> tuple[Any, ...]:
    return (
        model_id, coin_id, position.coin, position.side.value, _text(position.quantity),
        _text(position.cost), _text(position.margin), _text(position.entry_fees),
        _text(position.funding), position.opened_at, _optional_text(position.exits.stop_loss),
        _optional_text(position.exits.profit_target),
        _optional_text(position.exits.trailing_stop_pct), _condition_text(position.exits),
        _optional_text(position.best_price),
        None if mark is None else _text(mark.price), None if mark is None else mark.time_ms,
    )  # fmt: skip


def _trade(row: sqlite3.Row) -> BookedTrade:
    with _reading(f"Trade {row['id']}"):
        fill = Fill(
            kind=FillKind(row["kind"]),
            coin=row["coin"],
            side=Side(row["side"]),
            quantity=Decimal(row["quantity"]),
            price=Decimal(row["price"]),
            time_ms=row["timestamp"],
            leverage=Decimal(row["leverage"]),
            fee=Decimal(row["fee"]),
            reason=Reason(row["reason"]),
            exits=_exits(row),
            decision_id=row["decision_id"],
        )
        entry = Entry(fill, Decimal(row["gross"]), Decimal(row["pnl"]), Decimal(row["cash_after"]))
        return BookedTrade(row["id"], row["model_id"], entry, row["justification"])


def _account_value(row: sqlite3.Row) -> AccountValue:
    return AccountValue(
        row["timestamp"],
        Decimal(row["total_value"]),
        Decimal(row["cash"]),
        Decimal(row["positions_value"]),
    )
