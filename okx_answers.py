"""OKX's JSON as domain objects, checked: shapes, decimal texts, possible prices.

Pure functions from the `data` of an answer of its REST interface, whose numbers and times are all
texts; each raises SourceBadAnswer for what its protocol does not allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import source_answers
from domain import Instrument, Interval, KlineSeries, OrderBook, Ticker, VenueInstrument
from errors import SourceBadAnswer
from kline_validation import is_decimal
from source_answers import LATEST_MS, Bar, Json, bar_of, is_price

SOURCE = "okx"
VENUE = "OKX"

OPEN, CLOSED = "0", "1"  # a candle's `confirm`


def rows_by_symbol(answer: Sequence[Json]) -> dict[str, Json]:
    """The objects of a list by their `instId`; what has none is left out."""
    return source_answers.rows_by("instId", answer)


# ------------------------------------------------------------------------------------ tickers


def ticker(row: Json, symbol: str) -> Ticker:
    """A ticker of `symbol`: the price is the venue's own text, the change that of 24 hours."""
    if not isinstance(row, dict) or row.get("instId") != symbol:
        raise SourceBadAnswer(f"OKX's answer is no ticker of {symbol}.")
    price, time_ms = row.get("last"), _time(row.get("ts"))
    if not is_price(price):
        raise SourceBadAnswer(f"OKX's price of {symbol} is not a price: {price!r:.40}")
    if time_ms is None:
        raise SourceBadAnswer(f"OKX's ticker of {symbol} has no time.")
    opened = row.get("open24h")
    change = 100 * (Decimal(price) / Decimal(opened) - 1) if is_price(opened) else None
    return Ticker(
        symbol=symbol,
        price=Decimal(price),
        time_ms=time_ms,
        source=SOURCE,
        change_24h=None if change is None else float(change),
    )


def _time(text: Json) -> int | None:
    """Milliseconds out of their text; none if it is not that."""
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 14):
        return None
    return int(text) if int(text) < LATEST_MS else None


# ------------------------------------------------------------------------------------- klines


def open_times(page: Sequence[Json], start_ms: int, end_ms: int) -> list[int]:
    """The open times of those rows that have one in [start_ms, end_ms)."""
    return source_answers.times_between(map(_open_time, page), start_ms, end_ms)


def _open_time(row: Json) -> int | None:
    return _time(row[0]) if isinstance(row, list) and row else None


def klines(
    answer: Sequence[Json], interval: Interval, start_ms: int, end_ms: int, now_ms: int
) -> KlineSeries:
    """The sound bars of `answer` with start_ms ≤ open_time < end_ms, ascending.

    A row is left out that is malformed, impossible, off the interval's grid, outside the range or
    there twice. The last bar is flagged as open if the venue says so; one that it has not
    confirmed although its time is over may still change, and is left out as well.
    """
    bars, unconfirmed = [], set()
    for row in answer:
        bar = _bar(row)
        if bar is None:
            continue
        if row[8] == OPEN:
            if bar[0] + interval.milliseconds <= now_ms:
                continue
            unconfirmed.add(int(bar[0]))
        bars.append(bar)
    series = source_answers.sound_klines(bars, interval, start_ms, end_ms, now_ms, SOURCE)
    ends_open = len(series) > 0 and int(series.open_time[-1]) in unconfirmed
    return replace(series, last_is_open=ends_open)


def _bar(row: Json) -> Bar | None:
    """Time, open, high, low, close, volume of a row; none if it is not one."""
    opens = _open_time(row)
    if opens is None or len(row) < 9 or row[8] not in (OPEN, CLOSED):
        return None
    return bar_of(opens, row[1:6])


# -------------------------------------------------------------------------- depth and listings


def order_book(answer: Sequence[Json], symbol: str) -> OrderBook:
    """Depth of `symbol`: both sides there, in order, and not crossed; with the venue's time."""
    book = answer[0] if answer and isinstance(answer[0], dict) else {}
    time_ms = _time(book.get("ts"))
    if time_ms is None:
        raise SourceBadAnswer(f"OKX's answer is no order book of {symbol}.")
    return source_answers.sound_order_book(
        book.get("bids"), book.get("asks"), time_ms, symbol=symbol, venue=VENUE, source=SOURCE
    )


def instruments(answer: Sequence[Json]) -> dict[str, VenueInstrument]:
    """The listed pairs; one without usable rules is left out.

    OKX has no minimum notional: its minimum is a quantity, of a few cents' worth.
    """
    listed = {
        symbol: instrument
        for symbol, row in rows_by_symbol(answer).items()
        if (instrument := _instrument(row)) is not None
    }
    if not listed:
        raise SourceBadAnswer("OKX's list of instruments has none with trading rules.")
    return listed


def _instrument(row: dict[str, Json]) -> VenueInstrument | None:
    base, quote, lot_size = row.get("baseCcy"), row.get("quoteCcy"), row.get("lotSz")
    if not (isinstance(base, str) and isinstance(quote, str) and is_price(lot_size)):
        return None
    tick_size = row.get("tickSz")
    return VenueInstrument(
        symbol=row["instId"],
        base=base,
        quote=quote,
        is_trading=row.get("state") == "live",
        instrument=Instrument(
            Decimal(lot_size),
            Decimal(0),
            Decimal(tick_size) if is_decimal(tick_size) else Decimal(0),
        ),
    )
