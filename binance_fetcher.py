"""`BinanceDataFetcher`: Binance's public market data through python-binance, checked.

Symbols are the venue's (`BTCUSDT`). Every answer is exact and sound, and every failure is one of
the `SourceError`s: no exception of the SDK or of requests leaves this module, and no made-up value.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests
import urllib3
from binance.client import Client
from binance.exceptions import BinanceRequestException
from requests.adapters import HTTPAdapter

import binance_answers as answers
from binance_answers import VENUE
from domain import MINUTE_MS, Clock, Interval, KlineSeries, OrderBook, Ticker, VenueInstrument
from errors import (
    InvalidInput,
    SourceBadAnswer,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from source_answers import (
    BAD_KEY,
    GEO_BLOCKED,
    UNKNOWN_SYMBOL,
    Json,
    check_limit,
    kline_range,
    rate_limited,
    sound_tickers,
    status_failure,
    unknown_symbol,
)

# The first serves public data also where the second answers 451.
PUBLIC_HOSTS = ("https://data-api.binance.vision", "https://api.binance.com")
CONNECTIONS = 32  # requests' own pool keeps 10, fewer than there are threads

ROWS_A_PAGE = 1000
LARGEST_DEPTH = 5000
MOST_SYMBOLS_BY_NAME = 100  # beyond, the ticker of all symbols weighs no more (80)
UNLISTED_KEPT_SECONDS = 3600.0
DAY_OPENS_KEPT_SECONDS = 60.0
FEW_SYMBOLS = 20  # up to here the 24-hour ticker weighs 2, and prices alone 4

# Binance's error codes.
TOO_MANY_REQUESTS = -1003
INVALID_SYMBOL = -1121
KEY_REFUSED = frozenset({-1022, -2008, -2014, -2015})

_SYMBOL = re.compile(r"[A-Z0-9._-]{1,20}")  # nothing that could change the meaning of a query


@dataclass(frozen=True, slots=True)
class UsedWeight:
    """The request weight that the venue counted, in the minute (ms UTC, real time) of its answer."""

    weight: int
    minute_ms: int


class BinanceDataFetcher:
    """A `MarketSource` of Binance's spot market. Safe to share between threads.

    No network is touched at construction. `base_url` (scheme, host and port) replaces Binance's
    public hosts; `clock` tells which bar is still open; `timeout_seconds` bounds the connection
    and every wait for bytes.
    """

    name = answers.SOURCE

    def __init__(
        self,
        api_key: str | None = None,
        api_secret: str | None = None,
        *,
        base_url: str | None = None,
        clock: Clock,
        timeout_seconds: float = 4.0,
    ):
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise InvalidInput("Binance's API key has characters that no key has.")
        self._clock = clock
        self._lock = threading.Lock()
        self._used_weight: UsedWeight | None = None
        self._dropped_rows = 0
        self._opens: dict[str, Decimal] = {}
        self._opens_until = 0.0
        self._unlisted: dict[str, float] = {}  # symbols, and until when that is believed
        hosts = PUBLIC_HOSTS if base_url is None else (base_url,)
        self._clients = [self._client(host, api_key, api_secret, timeout_seconds) for host in hosts]
        self._serving = 0  # the client whose host answered last

    @property
    def used_weight(self) -> UsedWeight | None:
        """The weight used, by the venue's own count; none before its first answer."""
        with self._lock:
            return self._used_weight

    @property
    def dropped_rows(self) -> int:
        """How many bars and tickers were not sound, and so not served, since the start."""
        with self._lock:
            return self._dropped_rows

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close_connection()

    # ------------------------------------------------------------------------------ questions

    def price(self, symbol: str) -> Ticker:
        """The latest price. Raises SourceError."""
        _check_symbol(symbol)
        return answers.ticker(self._ask(lambda client: client.get_ticker(symbol=symbol)), symbol)

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        """The latest prices of those symbols that the venue knows, in one call.

        An unknown symbol, or one whose price is not sound, is left out and spoils no other.
        Raises SourceError, also when symbols were asked for and none is left.
        """
        if not symbols:
            return {}
        wanted = [symbol for symbol in dict.fromkeys(symbols) if self._may_be_listed(symbol)]
        opens = self._day_opens(wanted)
        rows = answers.rows_by_symbol(self._ticker_rows(wanted, opens)) if wanted else {}
        if opens is None:
            tickers, unsound = sound_tickers(wanted, rows, answers.ticker)
            self._keep_day_opens(tickers)
        else:
            tickers, unsound = sound_tickers(wanted, rows, self._read_price(opens))
        self._count_dropped(len(unsound))
        if tickers:
            return tickers
        raise unsound[-1] if unsound else unknown_symbol(", ".join(symbols), VENUE)

    def klines(
        self,
        symbol: str,
        interval: Interval,
        start_ms: int | None,
        end_ms: int | None,
        limit: int | None,
    ) -> KlineSeries:
        """Bars with start_ms ≤ open_time < end_ms, ascending, without duplicates, sound.

        With a start: the first `limit` of them (all up to now without one). Without: the last
        `limit` before the end, or now (one page without one). A range in which the venue has no
        bars is an empty series. The last bar is flagged as open if it closes after now, and bars
        that open after now are cut. Rows that are not sound are dropped and counted.

        Raises SourceError, also when no row is sound, or when even the latest bars are none;
        InvalidInput for a limit under 1.
        """
        _check_symbol(symbol)
        check_limit(limit)
        # Read before asking: a bar that has closed by now is final in any later answer.
        now_ms = self._clock.now_ms()
        first, stop = kline_range(interval, start_ms, end_ms, now_ms)
        if stop <= (first or 0):
            return KlineSeries.empty(interval, self.name)
        if first is None:
            rows = self._rows_backward(symbol, interval, stop, limit or ROWS_A_PAGE)
        else:
            rows = self._rows_forward(symbol, interval, first, stop, limit)
        series = answers.klines(rows, interval, first or 0, stop, now_ms)
        self._count_dropped(len(rows) - len(series))
        if not len(series) and (rows or (start_ms is None and end_ms is None)):
            raise SourceBadAnswer(f"Binance's answer has no sound {interval} bars of {symbol}.")
        return series

    def depth(self, symbol: str, limit: int) -> OrderBook:
        """The best `limit` levels of each side (at most 5,000). Raises SourceError."""
        _check_symbol(symbol)
        check_limit(limit)
        levels = min(limit, LARGEST_DEPTH)
        book = self._ask(lambda client: client.get_order_book(symbol=symbol, limit=levels))
        return answers.order_book(book, symbol, self._clock.now_ms())

    def instruments(self) -> dict[str, VenueInstrument]:
        """Every symbol of the venue with its trading rules. Raises SourceError."""
        return answers.instruments(self._ask(lambda client: client.get_exchange_info()))

    # ------------------------------------------------------------------------------- tickers

    def _ticker_rows(
        self, symbols: Sequence[str], opens: Mapping[str, Decimal] | None
    ) -> list[Json]:
        """Rows of at least `symbols`: prices alone (weight 4) where the day's opens are known."""
        if len(symbols) <= MOST_SYMBOLS_BY_NAME:
            names = json.dumps(symbols, separators=(",", ":"))
            try:
                return self._rows_of(opens, symbols=names)
            except SourceRefused as refusal:
                if refusal.code != UNKNOWN_SYMBOL:
                    raise
        rows = self._rows_of(opens)
        self._remember_unlisted(set(symbols) - answers.rows_by_symbol(rows).keys())
        return rows

    def _rows_of(self, opens: Mapping[str, Decimal] | None, **query: str) -> list[Json]:
        if opens is None:
            return answers.rows(self._ask(lambda client: client.get_ticker(**query)))
        return answers.rows(self._ask(lambda client: client.get_symbol_ticker(**query)))

    def _day_opens(self, symbols: Sequence[str]) -> dict[str, Decimal] | None:
        """The prices of 24 hours ago, had within the last minute; None unless of every symbol.

        None for a few symbols too: their whole day weighs less than prices alone.
        """
        if len(symbols) <= FEW_SYMBOLS:
            return None
        with self._lock:
            if time.monotonic() > self._opens_until or not self._opens.keys() >= set(symbols):
                return None
            return {symbol: self._opens[symbol] for symbol in symbols}

    def _read_price(self, opens: Mapping[str, Decimal]) -> Callable[[Json, str], Ticker]:
        now_ms = self._clock.now_ms()
        return lambda row, symbol: answers.latest_price(row, symbol, opens[symbol], now_ms)

    def _keep_day_opens(self, tickers: Mapping[str, Ticker]) -> None:
        """Remember what the day's change is counted from, for the prices that follow."""
        opens = {
            symbol: ticker.price / (1 + Decimal(repr(ticker.change_24h)) / 100)
            for symbol, ticker in tickers.items()
            if ticker.change_24h is not None and ticker.change_24h > -100
        }
        with self._lock:
            self._opens, self._opens_until = opens, time.monotonic() + DAY_OPENS_KEPT_SECONDS

    def _may_be_listed(self, symbol: str) -> bool:
        """False for what is no symbol, and for what the venue lacked within the last hour."""
        with self._lock:
            unlisted = self._unlisted.get(symbol, 0.0) > time.monotonic()
        return not unlisted and _SYMBOL.fullmatch(symbol) is not None

    def _remember_unlisted(self, symbols: set[str]) -> None:
        """One unknown symbol makes the venue refuse the whole list: leave it out next time."""
        until = time.monotonic() + UNLISTED_KEPT_SECONDS
        with self._lock:
            self._unlisted.update(dict.fromkeys(symbols, until))

    # -------------------------------------------------------------------------------- klines

    def _rows_forward(
        self, symbol: str, interval: Interval, start_ms: int, end_ms: int, limit: int | None
    ) -> list[Json]:
        """Rows from `start_ms` on, page by page, up to the end or the limit."""
        rows: list[Json] = []
        while start_ms < end_ms and (limit is None or len(rows) < limit):
            size = ROWS_A_PAGE if limit is None else min(ROWS_A_PAGE, limit - len(rows))
            page = self._page(symbol, interval, size, start_ms, end_ms)
            rows += page
            if len(page) < size:
                break
            newest = max(answers.open_times(page, start_ms, end_ms), default=None)
            if newest is None:
                raise SourceBadAnswer(f"Binance's pages of {symbol} bars do not advance.")
            start_ms = newest + interval.milliseconds
        return rows

    def _rows_backward(
        self, symbol: str, interval: Interval, end_ms: int, limit: int
    ) -> list[Json]:
        """The last `limit` rows before `end_ms`, page by page, the latest page first."""
        rows: list[Json] = []
        while len(rows) < limit:
            size = min(ROWS_A_PAGE, limit - len(rows))
            page = self._page(symbol, interval, size, None, end_ms)
            rows += page
            if len(page) < size:
                break
            oldest = min(answers.open_times(page, 0, end_ms), default=None)
            if oldest is None:
                raise SourceBadAnswer(f"Binance's pages of {symbol} bars do not advance.")
            end_ms = oldest
        return rows

    def _page(
        self, symbol: str, interval: Interval, size: int, start_ms: int | None, end_ms: int
    ) -> list[Json]:
        page = self._ask(
            lambda client: client.get_klines(
                symbol=symbol,
                interval=interval.value,
                limit=size,
                startTime=start_ms,
                endTime=end_ms - 1,  # the venue's end is inclusive
            )
        )
        return answers.rows(page)[:size]

    def _count_dropped(self, rows: int) -> None:
        with self._lock:
            self._dropped_rows += rows

    # ------------------------------------------------------------------------- the connection

    def _client(
        self, host: str, api_key: str | None, api_secret: str | None, timeout_seconds: float
    ) -> Any:
        requests_params = {"timeout": timeout_seconds, "allow_redirects": False}
        client = Client(api_key, api_secret, requests_params=requests_params, ping=False)
        client.API_URL = host.rstrip("/") + "/api"
        for scheme in ("http://", "https://"):
            client.session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=0))
        client.session.hooks["response"].append(self._examine)
        return client

    def _examine(self, response: requests.Response, **_: Any) -> None:
        """The session's response hook: note the weight, and refuse what is not a success.

        Here, before the SDK sees it: it trips over error bodies that are not JSON objects, and
        `client.response` is shared between threads.
        """
        weight = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if weight.isascii() and weight.isdigit():
            self._note_weight(int(weight))
        if not 200 <= response.status_code < 300:
            raise failure_of(response)

    def _note_weight(self, weight: int) -> None:
        minute_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
        with self._lock:
            known = self._used_weight
            # Answers to several threads arrive in any order; within a minute it only grows.
            if known is None or known.minute_ms != minute_ms or known.weight < weight:
                self._used_weight = UsedWeight(weight, minute_ms)

    def _ask(self, question: Callable[[Any], Json]) -> Json:
        """The venue's answer, from the first host that serves this place. Raises SourceError."""
        first, blocked = self._serving, None
        for turn in range(len(self._clients)):
            index = (first + turn) % len(self._clients)
            try:
                answer = _answer(self._clients[index], question)
            except SourceRefused as refusal:
                if refusal.code != GEO_BLOCKED:
                    raise
                blocked = refusal
                continue
            self._serving = index
            return answer
        assert blocked is not None  # there is at least one client
        raise blocked


def _answer(client: Any, question: Callable[[Any], Json]) -> Json:
    """One client's answer, with whatever requests and the SDK raise turned into SourceErrors."""
    try:
        return question(client)
    except requests.Timeout as error:
        raise SourceUnavailable("Binance did not answer in time.") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        kind = type(error).__name__
        raise SourceUnavailable(f"Binance cannot be reached ({kind}).") from error
    except (BinanceRequestException, RecursionError) as error:
        raise SourceBadAnswer("Binance's answer is not JSON.") from error


def failure_of(response: requests.Response) -> SourceError:
    """The error that an answer other than a success stands for."""
    status = response.status_code
    code, words = _error_body(response)
    retry_after = response.headers.get("Retry-After")
    if code == TOO_MANY_REQUESTS:
        return rate_limited(status, retry_after, VENUE)
    if failure := status_failure(status, retry_after, VENUE):
        return failure
    if status == 401 or code in KEY_REFUSED:
        return SourceRefused(f"Binance refuses the API key: {words}", code=BAD_KEY)
    if code == INVALID_SYMBOL:
        return SourceRefused("Binance does not know this symbol.", code=UNKNOWN_SYMBOL)
    if code is not None:
        return SourceRefused(f"Binance refuses the question: {words} (code {code})")
    return SourceBadAnswer(f"Binance's answer (HTTP {status}) is not one of its own.")


def _error_body(response: requests.Response) -> tuple[int | None, str]:
    """Code and message of Binance's `{"code": …, "msg": …}`, if the body is one."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None, ""
    code = body.get("code") if isinstance(body, dict) else None
    if type(code) is not int:
        return None, ""
    return code, str(body.get("msg"))[:200]


def _check_symbol(symbol: str) -> None:
    if not _SYMBOL.fullmatch(symbol):
        raise unknown_symbol(symbol, VENUE)
