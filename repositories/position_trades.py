"""Which trades a position is made of: from the one that opens it to the one that closes the rest."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from ledger import EXACT, ZERO
from repositories import books
from repositories.books import BookedTrade

_SIGNS = {"open": 1, "close": -1, "liquidation": -1, "funding": 0}


def openings(connection: sqlite3.Connection, model_id: int) -> dict[str, int]:
    """The id of the trade that opened each position that a model holds, by coin."""
    rows = connection.execute(
        "SELECT p.coin, (SELECT t.id FROM trades t WHERE t.model_id = p.model_id "
        "AND t.coin = p.coin AND t.kind = 'open' AND t.timestamp = p.opened_at "
        "ORDER BY t.id DESC LIMIT 1) AS trade_id FROM positions p WHERE p.model_id = ?",
        (model_id,),
    )
    return {row["coin"]: row["trade_id"] for row in rows if row["trade_id"] is not None}


def of_position(connection: sqlite3.Connection, trade: BookedTrade) -> list[BookedTrade]:
    """Every trade of the position that `trade` belongs to, in the order of booking."""
    coin = trade.entry.fill.coin
    rows = connection.execute(
        "SELECT id, kind, quantity FROM trades WHERE model_id = ? AND coin = ? ORDER BY id",
        (trade.model_id, coin),
    )
    ids: list[int] = []
    held = ZERO
    for row in rows:
        ids.append(row["id"])
        held = EXACT.add(held, _SIGNS[row["kind"]] * Decimal(row["quantity"]))
        if held == 0:
            if row["id"] >= trade.id:
                break
            ids = []
    newest_first = books.list_trades(
        connection, [trade.model_id], coin=coin, limit=len(ids), before=ids[-1] + 1
    )
    return newest_first[::-1]
