"""Groups of coins, each in an order of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from domain import Coin
from errors import Conflict, NotFound
from repositories import coins


@dataclass(frozen=True, slots=True)
class CoinGroup:
    """A group and its members in their order; `follows_rank` makes them the so many largest."""

    id: int
    name: str
    description: str | None
    follows_rank: int | None
    coins: tuple[Coin, ...]


def list_groups(connection: sqlite3.Connection) -> list[CoinGroup]:
    """Every group with its members."""
    members: dict[int, list[Coin]] = {}
    for row in connection.execute(
        f"SELECT m.group_id, {coins.COLUMNS} FROM coin_group_members m "
        "JOIN coins c ON c.id = m.coin_id ORDER BY m.sort_order, m.id"
    ):
        members.setdefault(row["group_id"], []).append(coins.coin_of(row))
    rows = connection.execute("SELECT * FROM coin_groups ORDER BY id")
    return [
        CoinGroup(
            row["id"], row["name"], row["description"], row["follows_rank"],
            tuple(members.get(row["id"], ())),
        )
        for row in rows
    ]  # fmt: skip


def get(connection: sqlite3.Connection, group_id: int) -> CoinGroup:
    """One group. Raises NotFound (unknown_group)."""
    found = [group for group in list_groups(connection) if group.id == group_id]
    if not found:
        raise NotFound(f"There is no group {group_id}.", code="unknown_group")
    return found[0]


def add(connection: sqlite3.Connection, name: str, description: str | None, now_ms: int) -> int:
    """Make an empty group; its id. Raises Conflict (name_taken)."""
    try:
        cursor = connection.execute(
            "INSERT INTO coin_groups (name, description, created_at) VALUES (?, ?, ?)",
            (name, description, now_ms),
        )
    except sqlite3.IntegrityError as error:
        raise _name_taken(name) from error
    assert cursor.lastrowid is not None  # an INSERT has just succeeded
    return cursor.lastrowid


def rename(
    connection: sqlite3.Connection, group_id: int, name: str, description: str | None
) -> None:
    """Set a group's name and description. Raises Conflict (name_taken)."""
    try:
        connection.execute(
            "UPDATE coin_groups SET name = ?, description = ? WHERE id = ?",
            (name, description, group_id),
        )
    except sqlite3.IntegrityError as error:
        raise _name_taken(name) from error


def set_members(connection: sqlite3.Connection, group_id: int, coin_ids: Sequence[int]) -> None:
    """Make these coins, in this order, the group's members."""
    connection.execute("DELETE FROM coin_group_members WHERE group_id = ?", (group_id,))
    connection.executemany(
        "INSERT INTO coin_group_members (group_id, coin_id, sort_order) VALUES (?, ?, ?)",
        [(group_id, coin_id, place) for place, coin_id in enumerate(dict.fromkeys(coin_ids))],
    )


def delete(connection: sqlite3.Connection, group_id: int) -> None:
    """Forget a group; its coins stay."""
    connection.execute("DELETE FROM coin_groups WHERE id = ?", (group_id,))


def follow_ranks(connection: sqlite3.Connection) -> None:
    """Give the groups that follow the ranking the largest active coins, while any is ranked."""
    for group in list_groups(connection):
        if group.follows_rank is None:
            continue
        rows = connection.execute(
            "SELECT id FROM coins WHERE is_active = 1 AND market_cap_rank IS NOT NULL "
            "ORDER BY market_cap_rank LIMIT ?",
            (group.follows_rank,),
        ).fetchall()
        if rows:
            set_members(connection, group.id, [row["id"] for row in rows])


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"There is a group named {name!r} already.", code="name_taken", values={"name": name}
    )
