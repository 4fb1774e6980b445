"""What the answers of every source are held to, whichever its protocol.

Pure functions: times, prices and bars that can be, order books in order, and what an HTTP status
says by itself. `venue` is the source's name in sentences ("Binance"), `source` that in results.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeGuard

import numpy as np

from domain import FloatArray, Interval, KlineSeries, OrderBook, Ticker
from errors import (
    InvalidInput,
    SourceBadAnswer,
    SourceError,
    SourceRateLimited,
    SourceRefused,
    SourceUnavailable,
)
from kline_validation import float64_keeps, impossible, is_decimal, off_grid

Json = Any
Level = tuple[Decimal, Decimal]
Bar = tuple[float, ...]  # time, open, high, low, close, volume
ReadTicker = Callable[[Json, str], Ticker]

_TITLES = {"binance": "Binance", "okx": "OKX", "coingecko": "CoinGecko"}

# Codes of the errors that callers tell apart.
UNKNOWN_SYMBOL = "unknown_symbol"
GEO_BLOCKED = "geo_blocked"
BANNED = "source_banned"
BAD_KEY = "bad_key"

LATEST_MS = 10**14  # the year 5138: a later time is no time in milliseconds
NOT_A_NUMBER = float("nan")


def title(source: str) -> str:
    """A source's name in sentences, by that in results."""
    return _TITLES.get(source, source)


def is_time(value: Json) -> TypeGuard[int]:
    """Whether it is a whole number of milliseconds that can be a time."""
    return type(value) is int and 0 <= value < LATEST_MS


def is_price(value: Json) -> TypeGuard[str]:
    """Whether it is decimal text above 0."""
    return is_decimal(value) and Decimal(value) > 0


def json_of(content: bytes) -> Json:
    """The JSON of an answer; none if it is not any."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def rows_by(key: str, rows: Sequence[Json]) -> dict[str, Json]:
    """The objects of a list by the text that they have under `key`; what has none is left out."""
    return {
        row[key]: row for row in rows if isinstance(row, dict) and isinstance(row.get(key), str)
    }


# ------------------------------------------------------------------------------------ tickers


def sound_tickers(
    wanted: Sequence[str], rows: Mapping[str, Json], read: ReadTicker
) -> tuple[dict[str, Ticker], list[SourceBadAnswer]]:
    """The tickers of those symbols that `rows` has, and what is wrong with the unsound ones."""
    tickers, unsound = {}, []
    for symbol in wanted:
        if symbol not in rows:
            continue
        try:
            tickers[symbol] = read(rows[symbol], symbol)
        except SourceBadAnswer as error:
            unsound.append(error)
    return tickers, unsound


# ------------------------------------------------------------------------------------- klines


def kline_range(
    interval: Interval, start_ms: int | None, end_ms: int | None, now_ms: int
) -> tuple[int | None, int]:
    """The first open time to ask for (none without a start), and the end, which it excludes."""
    first = None if start_ms is None else interval.ceil(max(int(start_ms), 0))
    return first, now_ms + 1 if end_ms is None else min(int(end_ms), now_ms + 1)


def times_between(times: Iterable[int | None], start_ms: int, end_ms: int) -> list[int]:
    """Those of the times that there are in [start_ms, end_ms)."""
    return [time_ms for time_ms in times if time_ms is not None and start_ms <= time_ms < end_ms]


def bar_of(open_time: int, values: Sequence[Json]) -> Bar | None:
    """A bar of the decimal texts open, high, low, close, volume; none if they are not.

    A price that float64 would not keep comes back as NaN, which is dropped as impossible.
    """
    if not all(map(is_decimal, values)):
        return None
    prices = (float(text) if float64_keeps(text) else NOT_A_NUMBER for text in values[:4])
    return (float(open_time), *prices, float(values[4]))


def sound_klines(
    bars: Sequence[Bar], interval: Interval, start_ms: int, end_ms: int, now_ms: int, source: str
) -> KlineSeries:
    """The sound ones of `bars` with start_ms ≤ open_time < end_ms, ascending.

    A bar is left out that is impossible, off the interval's grid, outside the range or there
    twice. The last one is flagged as open if it closes after `now_ms`.
    """
    table: FloatArray = np.array(bars, dtype=np.float64).reshape(len(bars), 6)
    times = table[:, 0].astype(np.int64)  # below 10^14, so that float64 has kept them
    sound = ~impossible(_series(interval, table, source)) & ~off_grid(interval, times)
    sound &= (start_ms <= times) & (times < end_ms)
    _, first_of_each = np.unique(times[sound], return_index=True)
    series = _series(interval, table[sound][first_of_each], source)
    ends_open = len(series) > 0 and int(series.open_time[-1]) + interval.milliseconds > now_ms
    return replace(series, last_is_open=ends_open)


def _series(interval: Interval, table: FloatArray, source: str) -> KlineSeries:
    """Columns of a table of shape (n, 6)."""
    times = table[:, 0].astype(np.int64)
    first, high, low, last, volume = np.ascontiguousarray(table[:, 1:].T)
    return KlineSeries(interval, times, first, high, low, last, volume, source)


# -------------------------------------------------------------------------------- order books


def sound_order_book(
    bids: Json, asks: Json, time_ms: int, *, symbol: str, venue: str, source: str
) -> OrderBook:
    """Depth whose two sides are there, in order, and not crossed. Raises SourceBadAnswer."""
    bid_levels, ask_levels = _side(bids, symbol, venue), _side(asks, symbol, venue)
    falling = all(better[0] > worse[0] for better, worse in pairwise(bid_levels))
    rising = all(better[0] < worse[0] for better, worse in pairwise(ask_levels))
    if not falling or not rising or bid_levels[0][0] >= ask_levels[0][0]:
        raise SourceBadAnswer(f"{venue}'s order book of {symbol} is out of order.")
    return OrderBook(bid_levels, ask_levels, source, time_ms)


def _side(rows: Json, symbol: str, venue: str) -> tuple[Level, ...]:
    if not isinstance(rows, list) or not rows:
        raise SourceBadAnswer(f"{venue}'s order book of {symbol} has an empty side.")
    return tuple(_level(row, symbol, venue) for row in rows)


def _level(row: Json, symbol: str, venue: str) -> Level:
    if isinstance(row, list) and len(row) >= 2 and is_price(row[0]) and is_price(row[1]):
        return Decimal(row[0]), Decimal(row[1])
    raise SourceBadAnswer(f"{venue}'s order book of {symbol} has an impossible level.")


# ----------------------------------------------------------------------- questions and refusals


def check_limit(limit: int | None) -> None:
    """Refuse a number of rows under 1. Raises InvalidInput."""
    if limit is not None and limit < 1:
        raise InvalidInput("A limit must be at least 1.", fields={"limit": "at least 1"})


def unknown_symbol(symbol: str, venue: str) -> SourceRefused:
    """The error for a symbol that a source does not have."""
    return SourceRefused(f"{venue} does not know {symbol[:100]!r}.", code=UNKNOWN_SYMBOL)


def status_failure(status: int, retry_after: str | None, venue: str) -> SourceError | None:
    """The error that an HTTP status stands for whatever came with it, if it does."""
    if status in (418, 429):
        return rate_limited(status, retry_after, venue)
    if status in (403, 451):
        return SourceRefused(
            f"{venue} does not serve this place (HTTP {status}).", code=GEO_BLOCKED
        )
    if status >= 500:
        return SourceUnavailable(f"{venue} is out of order (HTTP {status}).")
    return None


def rate_limited(status: int, retry_after: str | None, venue: str) -> SourceRateLimited:
    """The error for too many requests, with what the header `Retry-After` says."""
    banned = status == 418
    state = "has banned this address" if banned else "asks for fewer requests"
    return SourceRateLimited(
        f"{venue} {state} (HTTP {status}).",
        retry_after=seconds_of(retry_after),
        code=BANNED if banned else None,
    )


def seconds_of(retry_after: str | None) -> float | None:
    """The header `Retry-After`, where it is a number of seconds."""
    try:
        seconds = float(retry_after or "nan")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
