"""Coins: what can be traded and charted, with their names on each venue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from domain import Coin
from errors import Conflict, NotFound

FIELDS = (
    "symbol", "name", "category", "binance_symbol", "okx_symbol", "coingecko_id",
    "market_cap_rank", "notes",
)  # fmt: skip
COLUMNS = (
    "c.id, c.symbol, c.name, c.category, c.is_active, c.binance_symbol, c.okx_symbol, "
    "c.coingecko_id, c.market_cap_rank, c.notes, c.created_at, c.updated_at"
)
BY_RANK = "ORDER BY c.market_cap_rank IS NULL, c.market_cap_rank, c.symbol"


def coin_of(row: sqlite3.Row) -> Coin:
    """A coin from a row that has `COLUMNS`."""
    return Coin(
        row["id"], row["symbol"], row["name"], row["category"], bool(row["is_active"]),
        row["binance_symbol"], row["okx_symbol"], row["coingecko_id"], row["market_cap_rank"],
        row["notes"], row["created_at"], row["updated_at"],
    )  # fmt: skip


# ------------------------------------------------------------------------------- reading


def list_coins(
    connection: sqlite3.Connection,
    *,
    is_active: bool | None = True,
    category: str | None = None,
    search: str | None = None,
    group_id: int | None = None,
) -> list[Coin]:
    """Coins by market cap rank, unranked last; `search` looks into symbol and name."""
    conditions: list[str] = ["1"]
    values: list[Any] = []
    if is_active is not None:
        conditions.append("c.is_active = ?")
        values.append(int(is_active))
    if category:
        conditions.append("c.category = ?")
        values.append(category)
    if search:
        conditions.append("(instr(lower(c.symbol), ?) OR instr(lower(c.name), ?))")
        values += [search.lower()] * 2
    if group_id is not None:
        conditions.append("c.id IN (SELECT coin_id FROM coin_group_members WHERE group_id = ?)")
        values.append(group_id)
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM coins c WHERE {' AND '.join(conditions)} {BY_RANK}", values
    )
    return [coin_of(row) for row in rows]


def categories(connection: sqlite3.Connection) -> list[str]:
    """Every category that a coin has."""
    rows = connection.execute(
        "SELECT DISTINCT category FROM coins WHERE category IS NOT NULL ORDER BY category"
    )
    return [row["category"] for row in rows]


def find(connection: sqlite3.Connection, symbol: str) -> Coin | None:
    """The coin with this symbol, whatever its case."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM coins c WHERE c.symbol = ?", (symbol.upper(),)
    ).fetchone()
    return None if row is None else coin_of(row)


def find_all(connection: sqlite3.Connection, symbols: Sequence[str]) -> list[Coin]:
    """Those coins that there are, in the order of `symbols`."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM coins c JOIN json_each(?) asked ON c.symbol = upper(asked.value) "
        "ORDER BY asked.key",
        (json.dumps(list(symbols)),),
    )
    return [coin_of(row) for row in rows]


def symbols(connection: sqlite3.Connection) -> list[str]:
    """Every coin's symbol, deleted ones too."""
    return [row["symbol"] for row in connection.execute("SELECT symbol FROM coins")]


def get(connection: sqlite3.Connection, symbol: str) -> Coin:
    """The coin with this symbol. Raises NotFound (unknown_coin)."""
    coin = find(connection, symbol)
    if coin is None:
        raise NotFound(
            f"There is no coin {symbol!r}.", code="unknown_coin", values={"coin": symbol}
        )
    return coin


def get_by_id(connection: sqlite3.Connection, coin_id: int) -> Coin:
    """The coin with this id. Raises NotFound (unknown_coin)."""
    row = connection.execute(f"SELECT {COLUMNS} FROM coins c WHERE c.id = ?", (coin_id,)).fetchone()
    if row is None:
        raise NotFound(
            f"There is no coin with the id {coin_id}.",
            code="unknown_coin",
            values={"coin": coin_id},
        )
    return coin_of(row)


def find_by_venue_symbol(
    connection: sqlite3.Connection, source: str, venue_symbol: str
) -> Coin | None:
    """The coin that a venue trades as `venue_symbol` (`binance` or `okx`)."""
    column = {"binance": "binance_symbol", "okx": "okx_symbol"}[source]
    row = connection.execute(
        f"SELECT {COLUMNS} FROM coins c WHERE c.{column} = ? ORDER BY c.is_active DESC LIMIT 1",
        (venue_symbol,),
    ).fetchone()
    return None if row is None else coin_of(row)


def ids_by_coingecko_id(connection: sqlite3.Connection) -> dict[str, int]:
    """Ids of the coins that CoinGecko knows, by its id."""
    rows = connection.execute("SELECT id, coingecko_id FROM coins WHERE coingecko_id IS NOT NULL")
    return {row["coingecko_id"]: row["id"] for row in rows}


# ------------------------------------------------------------------------------- writing


def add(connection: sqlite3.Connection, fields: Mapping[str, Any], now_ms: int) -> tuple[int, bool]:
    """Store a coin; its id, and whether it was there before and has been reactivated.

    Raises Conflict (symbol_taken) when an active coin has the symbol.
    """
    known = find(connection, fields["symbol"])
    if known is not None:
        if known.is_active:
            raise _symbol_taken(known.symbol)
        change(connection, known.id, {**fields, "is_active": True}, now_ms)
        return known.id, True
    named = [name for name in FIELDS if name in fields]
    cursor = connection.execute(
        f"INSERT INTO coins ({', '.join(named)}, created_at, updated_at) "
        f"VALUES ({', '.join('?' * len(named))}, ?, ?)",
        (*(fields[name] for name in named), now_ms, now_ms),
    )
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid, False


def change(
    connection: sqlite3.Connection, coin_id: int, changes: Mapping[str, Any], now_ms: int
) -> None:
    """Set the fields that `changes` names. Raises Conflict (symbol_taken)."""
    named = [name for name in (*FIELDS, "is_active") if name in changes]
    try:
        connection.execute(
            f"UPDATE coins SET {', '.join(f'{name} = ?' for name in named)}"
            f"{',' if named else ''} updated_at = ? WHERE id = ?",
            (*(changes[name] for name in named), now_ms, coin_id),
        )
    except sqlite3.IntegrityError as error:
        raise _symbol_taken(changes["symbol"]) from error


def _symbol_taken(symbol: str) -> Conflict:
    return Conflict(
        f"There is a coin {symbol} already.", code="symbol_taken", values={"coin": symbol}
    )


def set_ranks(connection: sqlite3.Connection, ranks: Mapping[int, int], now_ms: int) -> None:
    """Give coins, by their ids, their market cap ranks; coins that are not named lose theirs."""
    connection.execute("UPDATE coins SET market_cap_rank = NULL WHERE market_cap_rank IS NOT NULL")
    connection.executemany(
        "UPDATE coins SET market_cap_rank = ?, updated_at = ? WHERE id = ?",
        [(rank, now_ms, coin_id) for coin_id, rank in ranks.items()],
    )


def missing_ids(connection: sqlite3.Connection, coin_ids: Sequence[int]) -> list[int]:
    """Those of `coin_ids` that no coin has."""
    known = {row["id"] for row in connection.execute("SELECT id FROM coins")}
    return [coin_id for coin_id in coin_ids if coin_id not in known]
