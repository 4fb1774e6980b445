"""Binance's JSON as domain objects, checked: shapes, decimal texts, possible prices.

Pure functions from an answer of its REST interface; each raises SourceBadAnswer for what its
protocol does not allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import source_answers
from domain import Instrument, Interval, KlineSeries, OrderBook, Ticker, VenueInstrument
from errors import SourceBadAnswer
from kline_validation import is_decimal
from source_answers import Bar, Json, bar_of, is_price, is_time

SOURCE = "binance"
VENUE = "Binance"


def rows(answer: Json) -> list[Json]:
    """An answer that must be a list."""
    if not isinstance(answer, list):
        raise SourceBadAnswer("Binance's answer is not a list.")
    return answer


def rows_by_symbol(answer: Sequence[Json]) -> dict[str, Json]:
    """The objects of a list by their `symbol`; what has none is left out."""
    return source_answers.rows_by("symbol", answer)


# ------------------------------------------------------------------------------------ tickers


def ticker(answer: Json, symbol: str) -> Ticker:
    """A 24-hour ticker of `symbol`: the price is the venue's own text."""
    if not isinstance(answer, dict) or answer.get("symbol") != symbol:
        raise SourceBadAnswer(f"Binance's answer is no ticker of {symbol}.")
    price, closes = answer.get("lastPrice"), answer.get("closeTime")
    if not is_price(price):
        raise SourceBadAnswer(f"Binance's price of {symbol} is not a price: {price!r:.40}")
    if not is_time(closes):
        raise SourceBadAnswer(f"Binance's ticker of {symbol} has no time.")
    change = answer.get("priceChangePercent")
    return Ticker(
        symbol=symbol,
        price=Decimal(price),
        time_ms=closes,
        source=SOURCE,
        change_24h=float(change) if is_decimal(change) else None,
    )


def latest_price(answer: Json, symbol: str, day_open: Decimal, now_ms: int) -> Ticker:
    """A price of `symbol` without its day: the change is counted from `day_open`."""
    if not isinstance(answer, dict) or answer.get("symbol") != symbol:
        raise SourceBadAnswer(f"Binance's answer is no price of {symbol}.")
    price = answer.get("price")
    if not is_decimal(price) or Decimal(price) <= 0:
        raise SourceBadAnswer(f"Binance's price of {symbol} is not a price: {price!r:.40}")
    change = float((Decimal(price) / day_open - 1) * 100)
    return Ticker(symbol, Decimal(price), now_ms, SOURCE, round(change, 3))


# ------------------------------------------------------------------------------------- klines


def open_times(page: Sequence[Json], start_ms: int, end_ms: int) -> list[int]:
    """The open times of those rows that have one in [start_ms, end_ms)."""
    return source_answers.times_between(map(_open_time, page), start_ms, end_ms)


def _open_time(row: Json) -> int | None:
    return row[0] if isinstance(row, list) and row and is_time(row[0]) else None


def klines(
    answer: Sequence[Json], interval: Interval, start_ms: int, end_ms: int, now_ms: int
) -> KlineSeries:
    """The sound bars of `answer` with start_ms ≤ open_time < end_ms, ascending.

    A row is left out that is malformed, impossible, off the interval's grid, outside the range
    or there twice. The last bar is flagged as open if it closes after `now_ms`.
    """
    bars = [bar for row in answer if (bar := _bar(row)) is not None]
    return source_answers.sound_klines(bars, interval, start_ms, end_ms, now_ms, SOURCE)


def _bar(row: Json) -> Bar | None:
    """Time, open, high, low, close, volume of a row; none if it is not one."""
    opens = _open_time(row)
    return None if opens is None or len(row) < 11 else bar_of(opens, row[1:6])


# -------------------------------------------------------------------------- depth and listings


def order_book(answer: Json, symbol: str, now_ms: int) -> OrderBook:
    """Depth of `symbol`: both sides there, in order, and not crossed."""
    if not isinstance(answer, dict):
        raise SourceBadAnswer(f"Binance's answer is no order book of {symbol}.")
    return source_answers.sound_order_book(
        answer.get("bids"), answer.get("asks"), now_ms, symbol=symbol, venue=VENUE, source=SOURCE
    )


def instruments(answer: Json) -> dict[str, VenueInstrument]:
    """The listed symbols of an exchangeInfo; a symbol without usable rules is left out."""
    if not isinstance(answer, dict):
        raise SourceBadAnswer("Binance's answer is no list of symbols.")
    listed = {
        symbol: instrument
        for symbol, row in rows_by_symbol(rows(answer.get("symbols"))).items()
        if (instrument := _instrument(row)) is not None
    }
    if not listed:
        raise SourceBadAnswer("Binance's list of symbols has none with trading rules.")
    return listed


def _instrument(row: dict[str, Json]) -> VenueInstrument | None:
    filters = row.get("filters")
    base, quote = row.get("baseAsset"), row.get("quoteAsset")
    if not (isinstance(filters, list) and isinstance(base, str) and isinstance(quote, str)):
        return None
    values: dict[str, Decimal] = {}
    for rule in filters:
        if isinstance(rule, dict):
            # LOT_SIZE, NOTIONAL (or MIN_NOTIONAL, its predecessor) and PRICE_FILTER
            for name in ("stepSize", "minNotional", "tickSize"):
                if is_decimal(rule.get(name)) and rule.get("filterType") != "MARKET_LOT_SIZE":
                    values[name] = Decimal(rule[name])
    lot_size = values.get("stepSize", Decimal(0))
    if lot_size <= 0:
        return None
    return VenueInstrument(
        symbol=row["symbol"],
        base=base,
        quote=quote,
        is_trading=row.get("status") == "TRADING",
        instrument=Instrument(
            lot_size,
            values.get("minNotional", Decimal(0)),
            values.get("tickSize", Decimal(0)),
        ),
    )
