"""Coins and the pools of coins that models trade."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from domain import Coin
from errors import NotFound

_COLUMNS = (
    "c.id, c.symbol, c.name, c.category, c.is_active, c.binance_symbol, c.okx_symbol, "
    "c.coingecko_id, c.market_cap_rank, c.notes, c.created_at, c.updated_at"
)
_BY_RANK = "ORDER BY c.market_cap_rank IS NULL, c.market_cap_rank, c.symbol"


def _coin(row: sqlite3.Row) -> Coin:
    values = {key: row[key] for key in row.keys()}  # noqa: SIM118 - a Row iterates over values
    return Coin(**{**values, "is_active": bool(values["is_active"])})


def list_coins(
    connection: sqlite3.Connection,
    *,
    is_active: bool | None = True,
    category: str | None = None,
    search: str | None = None,
) -> list[Coin]:
    """Coins by market cap rank, unranked last; `search` looks into symbol and name."""
    conditions, values = ["1"], []
    if is_active is not None:
        conditions.append("c.is_active = ?")
        values.append(str(int(is_active)))
    if category:
        conditions.append("c.category = ?")
        values.append(category)
    if search:
        conditions.append("(instr(lower(c.symbol), ?) OR instr(lower(c.name), ?))")
        values += [search.lower()] * 2
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM coins c WHERE {' AND '.join(conditions)} {_BY_RANK}", values
    )
    return [_coin(row) for row in rows]


def find(connection: sqlite3.Connection, symbol: str) -> Coin | None:
    """The coin with this symbol, whatever its case."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM coins c WHERE c.symbol = ?", (symbol.upper(),)
    ).fetchone()
    return None if row is None else _coin(row)


def get(connection: sqlite3.Connection, symbol: str) -> Coin:
    """The coin with this symbol. Raises NotFound (unknown_coin)."""
    coin = find(connection, symbol)
    if coin is None:
        raise NotFound(f"There is no coin {symbol!r}.", code="unknown_coin")
    return coin


def find_by_venue_symbol(
    connection: sqlite3.Connection, source: str, venue_symbol: str
) -> Coin | None:
    """The coin that a venue trades as `venue_symbol` (`binance` or `okx`)."""
    column = {"binance": "binance_symbol", "okx": "okx_symbol"}[source]
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM coins c WHERE c.{column} = ? ORDER BY c.is_active DESC LIMIT 1",
        (venue_symbol,),
    ).fetchone()
    return None if row is None else _coin(row)


def pool(connection: sqlite3.Connection, model_id: int) -> list[Coin]:
    """The coins that a model may enter: enabled in its pool, and active."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM coins c JOIN model_coin_pools p ON p.coin_id = c.id "
        f"WHERE p.model_id = ? AND p.is_enabled = 1 AND c.is_active = 1 {_BY_RANK}",
        (model_id,),
    )
    return [_coin(row) for row in rows]


def pools(connection: sqlite3.Connection) -> dict[int, list[str]]:
    """The symbols of every model's pool by the model's id."""
    rows = connection.execute(
        "SELECT p.model_id, c.symbol FROM model_coin_pools p JOIN coins c ON c.id = p.coin_id "
        f"WHERE p.is_enabled = 1 AND c.is_active = 1 {_BY_RANK}"
    )
    symbols: dict[int, list[str]] = {}
    for row in rows:
        symbols.setdefault(row["model_id"], []).append(row["symbol"])
    return symbols


def set_pool(
    connection: sqlite3.Connection, model_id: int, coins: Sequence[Coin], now_ms: int
) -> None:
    """Make `coins` the model's pool; those that stay keep their weights."""
    kept = {coin.id for coin in coins}
    rows = connection.execute(
        "SELECT coin_id FROM model_coin_pools WHERE model_id = ?", (model_id,)
    ).fetchall()
    connection.executemany(
        "DELETE FROM model_coin_pools WHERE model_id = ? AND coin_id = ?",
        [(model_id, row["coin_id"]) for row in rows if row["coin_id"] not in kept],
    )
    connection.executemany(
        "INSERT INTO model_coin_pools (model_id, coin_id, added_at) VALUES (?, ?, ?) "
        "ON CONFLICT (model_id, coin_id) DO UPDATE SET is_enabled = 1",
        [(model_id, coin_id, now_ms) for coin_id in sorted(kept)],
    )
