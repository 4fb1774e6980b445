"""What AITradeGame's rows say, in our words: texts, amounts, times and trades.

Its columns may hold anything that SQLite can keep, so nothing is believed: each function gives a
value of ours, or raises DataError with the reason in words that name no value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from domain import FillKind, Side
from errors import DataError
from ledger import EXACT, LARGEST_AMOUNT, PRICE_STEP

MOST_DIGITS = 40
MOST_NAME_LETTERS = 100
MOST_SHORT_LETTERS = 50
MOST_SYMBOL_LETTERS = 30

Row = Mapping[str, Any]

_KINDS: Mapping[str, tuple[FillKind, Side | None]] = {
    "buy_to_enter": (FillKind.OPEN, Side.LONG),
    "sell_to_enter": (FillKind.OPEN, Side.SHORT),
    "add_position": (FillKind.OPEN, None),
    "reduce_position": (FillKind.CLOSE, None),
    "close_position": (FillKind.CLOSE, None),
}


@dataclass(frozen=True, slots=True)
class OldTrade:
    """A row of trades. `whole` closes whatever is open; `pnl` is what that app's books add."""

    id: int
    coin: str
    kind: FillKind
    side: Side
    quantity: Decimal
    price: Decimal
    leverage: Decimal
    fee: Decimal
    pnl: Decimal
    time_ms: int
    whole: bool
    adds: bool


@dataclass(frozen=True, slots=True)
class OldPosition:
    """A row of portfolios (positions in some versions)."""

    coin: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    leverage: Decimal

    @property
    def margin(self) -> Decimal:
        """The collateral that its app reckons with."""
        return self.quantity * self.entry_price / self.leverage


# --------------------------------------------------------------------------------- values


def text(value: object) -> str | None:
    """A text as it is; None for none. Raises DataError on anything else."""
    if value is None or isinstance(value, str):
        return value
    raise DataError("a text was expected")


def name(value: object) -> str:
    """A name that fits a line. Raises DataError where nothing is left of it."""
    letters = "".join(letter if letter.isprintable() else " " for letter in text(value) or "")
    cut = " ".join(letters.split())[:MOST_NAME_LETTERS].strip()
    if not cut:
        raise DataError("it has no name")
    return cut


def short_text(value: object, most: int = MOST_SHORT_LETTERS) -> str | None:
    """At most so many letters of a text, None for an empty one. Raises DataError."""
    return (text(value) or "").strip()[:most].strip() or None


def symbol(value: object) -> str:
    """A coin's symbol in capitals. Raises DataError where it cannot be one."""
    letters = (text(value) or "").strip().upper()
    if not letters or len(letters) > MOST_SYMBOL_LETTERS or not letters.isprintable():
        raise DataError("its coin has no usable symbol")
    return letters


def identifier(value: object) -> int:
    """A row's id. Raises DataError."""
    if not isinstance(value, int):
        raise DataError("its id is not a number")
    return value


def amount(value: object, what: str) -> Decimal:
    """A finite number of less than 1e20, to the 12th place: what is beyond is a float's noise.

    Raises DataError naming `what`.
    """
    if isinstance(value, bytes) or value is None or len(str(value)) > MOST_DIGITS:
        raise DataError(f"its {what} is not a number")
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise DataError(f"its {what} is not a number") from error
    if not number.is_finite():
        raise DataError(f"its {what} is not a number")
    if abs(number) >= LARGEST_AMOUNT:
        raise DataError(f"its {what} is out of all proportion")
    return number.quantize(PRICE_STEP, context=EXACT).normalize(EXACT)


def positive(value: object, what: str) -> Decimal:
    """An amount above zero. Raises DataError naming `what`."""
    number = amount(value, what)
    if number <= 0:
        raise DataError(f"its {what} is not above zero")
    return number


def time_ms(value: object) -> int:
    """Milliseconds UTC of a time that is written in UTC without a zone. Raises DataError."""
    if not isinstance(value, str):
        raise DataError("its time is not a time")
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        milliseconds = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise DataError("its time is not a time") from error
    if milliseconds < 0:
        raise DataError("its time is before 1970")
    return milliseconds


def list_of_models(value: object) -> list[str]:
    """The models that a provider lists, as JSON or between commas."""
    listed = text(value) or ""
    try:
        parsed = json.loads(listed)
    except (ValueError, RecursionError):
        parsed = listed.split(",")
    items = parsed if isinstance(parsed, list) else [parsed]
    return [item.strip() for item in items if isinstance(item, str) and item.strip()]


# ----------------------------------------------------------------------- trades, positions


def trade(row: Row) -> OldTrade:
    """A trade. Raises DataError with why it is none."""
    signal = row["signal"]
    if not isinstance(signal, str) or signal.strip().lower() not in _KINDS:
        raise DataError("its signal is none that trades")
    signal = signal.strip().lower()
    kind, entered = _KINDS[signal]
    fee = amount(row["fee"], "fee") if row["fee"] is not None else Decimal(0)
    if fee < 0:
        raise DataError("its fee is below zero")
    return OldTrade(
        id=identifier(row["id"]),
        coin=symbol(row["coin"]),
        kind=kind,
        side=entered or _side(row["side"]),
        quantity=positive(row["quantity"], "quantity"),
        price=positive(row["price"], "price"),
        leverage=_leverage(row["leverage"]),
        fee=fee,
        pnl=recorded_pnl(row),
        time_ms=time_ms(row["timestamp"]),
        whole=signal == "close_position",
        adds=signal == "add_position",
    )


def recorded_pnl(row: Row) -> Decimal:
    """What a row adds to the realised profit of its app's books; nothing where it is no number."""
    try:
        return amount(row["pnl"], "pnl")
    except DataError:
        return Decimal(0)  # as SUM() in its app counts it


def position(row: Row) -> OldPosition:
    """An open position. Raises DataError with why it is none."""
    return OldPosition(
        symbol(row["coin"]),
        _side(row["side"]),
        positive(row["quantity"], "quantity"),
        positive(row["avg_price"], "entry price"),
        _leverage(row["leverage"]),
    )


def _side(value: object) -> Side:
    """The side, `long` where none is written. Raises DataError."""
    if value is None:
        return Side.LONG
    try:
        return Side((text(value) or "").strip().lower())
    except ValueError as error:
        raise DataError("its side is neither long nor short") from error


def _leverage(value: object) -> Decimal:
    leverage = Decimal(1) if value is None else amount(value, "leverage")
    if leverage < 1:
        raise DataError("its leverage is below 1")
    return leverage
