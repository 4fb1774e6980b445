"""Reading a query as Binance does, with its error codes and sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping

Query = Mapping[str, str]

SYMBOL_RANGE = "^[A-Z0-9-_.]{1,20}$"
SYMBOLS_RANGE = '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$'
NUMBER_RANGE = "^[0-9]{1,20}$"
INTERVAL_RANGE = "^[a-zA-Z0-9]{1,10}$"


class BinanceError(Exception):
    """An answer in Binance's form: `{"code": …, "msg": …}` with an HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid_symbol() -> BinanceError:
    """The error for a symbol that is not listed."""
    return BinanceError(-1121, "Invalid symbol.")


def invalid_interval() -> BinanceError:
    """The error for an interval that does not exist."""
    return BinanceError(-1120, "Invalid interval.")


def check_names(query: Query, known: Collection[str]) -> None:
    """Refuse parameters that the endpoint does not read."""
    unread = [name for name in query if name not in known]
    if not unread:
        return
    if not known:
        raise BinanceError(-1101, f"Too many parameters; expected '0' and received '{len(query)}'.")
    read = len(query) - len(unread)
    raise BinanceError(
        -1104,
        f"Not all sent parameters were read; read '{read}' parameter(s) "
        f"but was sent '{len(query)}'.",
    )


def required_symbol(query: Query) -> str:
    """The mandatory parameter `symbol`."""
    return _mandatory(query, "symbol", SYMBOL_RANGE)


def required_interval(query: Query) -> str:
    """The mandatory parameter `interval`, not yet looked up."""
    return _mandatory(query, "interval", INTERVAL_RANGE)


def requested_symbols(query: Query) -> list[str] | None:
    """The symbols of `symbol` or `symbols` (a JSON list); none when neither was sent."""
    if "symbol" in query and "symbols" in query:
        raise BinanceError(-1128, "Combination of optional parameters invalid.")
    if "symbol" in query:
        return [_legal(query, "symbol", SYMBOL_RANGE)]
    if "symbols" not in query:
        return None
    symbols: list[str] = json.loads(_legal(query, "symbols", SYMBOLS_RANGE))
    if len(set(symbols)) < len(symbols):
        raise BinanceError(-1151, "Symbol is present multiple times in the list.")
    return symbols


def limit(query: Query, default: int, largest: int) -> int:
    """How many rows: more than `largest` is answered with `largest`."""
    rows = optional_number(query, "limit")
    if rows is None:
        return default
    if rows == 0:
        raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(rows, largest)


def optional_number(query: Query, name: str) -> int | None:
    """A whole number ≥ 0, if it was sent."""
    return int(_legal(query, name, NUMBER_RANGE)) if name in query else None


def wants_mini_tickers(query: Query) -> bool:
    """Whether `type` is MINI rather than FULL, the default."""
    kind = query.get("type", "FULL")
    if kind not in ("FULL", "MINI"):
        raise BinanceError(-1139, "Invalid ticker type.")
    return kind == "MINI"


def _mandatory(query: Query, name: str, legal_range: str) -> str:
    if name not in query:
        raise BinanceError(
            -1102,
            f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
        )
    return _legal(query, name, legal_range)


def _legal(query: Query, name: str, legal_range: str) -> str:
    text = query[name]
    if not text:
        raise BinanceError(-1105, f"Parameter '{name}' was empty.")
    if not re.fullmatch(legal_range, text, re.ASCII):
        raise BinanceError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '{legal_range}'.",
        )
    return text
