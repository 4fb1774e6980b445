"""What the venues list, as it was last had: the rules of each pair and whether it trades."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from decimal import Decimal

from domain import Instrument, VenueInstrument


def replace_list(
    connection: sqlite3.Connection, source: str, listings: Iterable[VenueInstrument], now_ms: int
) -> None:
    """Make `listings` all that a venue lists."""
    connection.execute("DELETE FROM instruments WHERE source = ?", (source,))
    connection.executemany(
        "INSERT OR REPLACE INTO instruments (source, symbol, base, quote, is_trading, lot_size, "
        "min_notional, tick_size) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                source, listing.symbol, listing.base, listing.quote, int(listing.is_trading),
                f"{listing.instrument.lot_size:f}", f"{listing.instrument.min_notional:f}",
                f"{listing.instrument.tick_size:f}",
            )
            for listing in listings
        ],
    )  # fmt: skip
    connection.execute(
        "INSERT INTO instrument_lists (source, fetched_at) VALUES (?, ?) "
        "ON CONFLICT (source) DO UPDATE SET fetched_at = excluded.fetched_at",
        (source, now_ms),
    )


def fetched_at(connection: sqlite3.Connection, source: str) -> int | None:
    """When a venue's list was last had, in ms of the wall clock."""
    row = connection.execute(
        "SELECT fetched_at FROM instrument_lists WHERE source = ?", (source,)
    ).fetchone()
    return None if row is None else int(row["fetched_at"])


def of_source(connection: sqlite3.Connection, source: str) -> dict[str, VenueInstrument]:
    """A venue's pairs by its own symbols."""
    rows = connection.execute("SELECT * FROM instruments WHERE source = ?", (source,))
    return {row["symbol"]: _listing(row) for row in rows}


def trading_pairs(connection: sqlite3.Connection, source: str, quote: str) -> dict[str, str]:
    """A venue's symbols of the pairs against `quote` that trade now, by their base."""
    rows = connection.execute(
        "SELECT base, symbol FROM instruments WHERE source = ? AND quote = ? AND is_trading = 1",
        (source, quote),
    )
    return {row["base"]: row["symbol"] for row in rows}


def tick_sizes(connection: sqlite3.Connection, symbols: Collection[str]) -> dict[str, Decimal]:
    """The price steps of coins by our symbols, where a venue told them: Binance's, else OKX's."""
    rows = connection.execute(
        "SELECT c.symbol, COALESCE(b.tick_size, o.tick_size) AS tick_size FROM coins c "
        "LEFT JOIN instruments b ON b.source = 'binance' AND b.symbol = c.binance_symbol "
        "LEFT JOIN instruments o ON o.source = 'okx' AND o.symbol = c.okx_symbol "
        f"WHERE c.symbol IN ({', '.join('?' * len(symbols))})",
        tuple(symbols),
    )
    found = {row["symbol"]: row["tick_size"] for row in rows if row["tick_size"] is not None}
    return {symbol: Decimal(text) for symbol, text in found.items() if Decimal(text) > 0}


def _listing(row: sqlite3.Row) -> VenueInstrument:
    return VenueInstrument(
        row["symbol"], row["base"], row["quote"], bool(row["is_trading"]),
        Instrument(
            Decimal(row["lot_size"]), Decimal(row["min_notional"]), Decimal(row["tick_size"])
        ),
    )  # fmt: skip
