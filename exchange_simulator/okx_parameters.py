"""Reading a query as OKX does, with its error codes and sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping

Query = Mapping[str, str]

INSTRUMENT_TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"})


class OkxError(Exception):
    """An answer in OKX's form, `{"code": …, "msg": …, "data": []}`: mostly with HTTP 200."""

    def __init__(self, code: str, message: str, status: int = 200):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def unknown_instrument() -> OkxError:
    """The error for a pair that is not listed."""
    return OkxError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")


def too_many_requests() -> OkxError:
    """The error for more requests than an endpoint allows."""
    return OkxError("50011", "Too Many Requests", status=429)


def wrong(name: str) -> OkxError:
    """The error for a parameter whose value is not one."""
    return OkxError("51000", f"Parameter {name} error")


def required(query: Query, name: str) -> str:
    """A mandatory parameter. Others that the endpoint does not read are ignored, as OKX does."""
    if not query.get(name):
        raise OkxError("50014", f"Parameter {name} cannot be empty", status=400)
    return query[name]


def asks_for_spot(query: Query) -> bool:
    """Whether `instType` is the only kind that there are instruments of."""
    kind = required(query, "instType")
    if kind not in INSTRUMENT_TYPES:
        raise wrong("instType")
    return kind == "SPOT"


def number(query: Query, name: str) -> int | None:
    """A whole number ≥ 0, if it was sent."""
    text = query.get(name)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII):
        raise wrong(name)
    return int(text)


def limit(query: Query, default: int, largest: int) -> int:
    """How many rows of candles: more than `largest` is answered with `largest`."""
    rows = number(query, "limit")
    if rows == 0:
        raise wrong("limit")
    return default if rows is None else min(rows, largest)


def depth(query: Query, largest: int) -> int:
    """How many levels of a book, 1 unless said; more than `largest` is refused."""
    levels = number(query, "sz")
    if levels is not None and not 0 < levels <= largest:
        raise wrong("sz")
    return 1 if levels is None else levels
