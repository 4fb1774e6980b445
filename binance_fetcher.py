"""`BinanceDataFetcher`: Binance's public market data through python-binance, checked.

Symbols are the venue's (`BTCUSDT`). Every answer is exact and sound, and every failure is one of
the `SourceError`s: no exception of the SDK or of requests leaves this module, and no made-up value.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import requests
from binance.client import Client
from binance.exceptions import BinanceRequestException

import binance_answers as answers
from binance_answers import VENUE
from domain import Clock, Interval, KlineSeries, OrderBook, Ticker, VenueInstrument
from errors import SourceBadAnswer, SourceError, SourceRefused
from rate_limiter import Limit, RateLimiter
from source_answers import (
    BAD_KEY,
    GEO_BLOCKED,
    UNKNOWN_SYMBOL,
    Json,
    ReadTicker,
    check_limit,
    json_of,
    rate_limited,
    status_failure,
)
from venue_fetcher import ExchangeFetcher, by_requests, check_keys, prepare_session

# The first serves public data also where the second answers 451.
PUBLIC_HOSTS = ("https://data-api.binance.vision", "https://api.binance.com")

WEIGHT = "weight"  # its one limit, of all endpoints together
PRICES_WEIGHT, KLINES_WEIGHT, LISTING_WEIGHT = 4, 2, 20
ROWS_A_PAGE = 1000
LARGEST_DEPTH = 5000
MOST_SYMBOLS_BY_NAME = 100  # beyond, the ticker of all symbols weighs no more (80)
UNLISTED_KEPT_SECONDS = 3600.0
DAY_OPENS_KEPT_SECONDS = 60.0
LARGEST_COUNT = 10_000  # of symbols, where all are asked for
FEW_SYMBOLS = 20  # up to here the 24-hour ticker weighs 2, and prices alone 4

# Binance's error codes.
TOO_MANY_REQUESTS = -1003
INVALID_SYMBOL = -1121
KEY_REFUSED = frozenset({-1022, -2008, -2014, -2015})

_BANNED_UNTIL = re.compile(r"banned until (\d{13})\b")
_SYMBOL = re.compile(r"[A-Z0-9._-]{1,20}")  # nothing that could change the meaning of a query


def weight_limiter(weight_a_minute: int, wall_clock: Clock) -> RateLimiter:
    """Holds to the venue's limit, which is 6,000 a minute by its own rules."""
    limits = {WEIGHT: Limit(weight_a_minute, 60.0, margin_seconds=1.0)}
    return RateLimiter(VENUE, limits, wall_clock)


class BinanceDataFetcher(ExchangeFetcher):
    """A `MarketSource` of Binance's spot market. Safe to share between threads.

    No network is touched at construction. `base_url` (scheme, host and port) replaces Binance's
    public hosts; `clock` tells which bar is still open; `timeout_seconds` bounds the connection
    and every wait for bytes.
    """

    name = answers.SOURCE
    symbols = _SYMBOL
    rows_a_page = ROWS_A_PAGE

    def __init__(
        self,
        api_key: str | None = None,
        api_secret: str | None = None,
        *,
        base_url: str | None = None,
        clock: Clock,
        timeout_seconds: float = 4.0,
        limiter: RateLimiter | None = None,
    ):
        super().__init__(VENUE, clock, limiter)
        check_keys(VENUE, [api_key])
        self._opens: dict[str, Decimal] = {}
        self._opens_until = 0.0
        self._unlisted: dict[str, float] = {}  # symbols, and until when that is believed
        hosts = PUBLIC_HOSTS if base_url is None else (base_url,)
        self._clients = [self._client(host, api_key, api_secret, timeout_seconds) for host in hosts]
        self._serving = 0  # the client whose host answered last

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close_connection()

    # ------------------------------------------------------------------------------ questions

    def price(self, symbol: str) -> Ticker:
        """The latest price. Raises SourceError."""
        self._check_symbol(symbol)
        row = self._ask(_day_weight(1), lambda client: client.get_ticker(symbol=symbol))
        return answers.ticker(row, symbol)

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
        read = answers.ticker if opens is None else self._read_price(opens)
        tickers = self._sound_prices(symbols, wanted, rows, read)
        if opens is None:
            self._keep_day_opens(tickers)
        return tickers

    def depth(self, symbol: str, limit: int) -> OrderBook:
        """The best `limit` levels of each side (at most 5,000). Raises SourceError."""
        self._check_symbol(symbol)
        check_limit(limit)
        levels = min(limit, LARGEST_DEPTH)
        book = self._ask(
            _depth_weight(levels), lambda client: client.get_order_book(symbol=symbol, limit=levels)
        )
        return answers.order_book(book, symbol, self._clock.now_ms())

    def instruments(self) -> dict[str, VenueInstrument]:
        """Every symbol of the venue with its trading rules. Raises SourceError."""
        listing = self._ask(LISTING_WEIGHT, lambda client: client.get_exchange_info())
        return answers.instruments(listing)

    # ------------------------------------------------------------------------------- tickers

    def _ticker_rows(
        self, symbols: Sequence[str], opens: Mapping[str, Decimal] | None
    ) -> list[Json]:
        """Rows of at least `symbols`: prices alone (weight 4) where the day's opens are known."""
        if len(symbols) <= MOST_SYMBOLS_BY_NAME:
            names = json.dumps(symbols, separators=(",", ":"))
            try:
                return self._rows_of(opens, len(symbols), symbols=names)
            except SourceRefused as refusal:
                if refusal.code != UNKNOWN_SYMBOL:
                    raise
        rows = self._rows_of(opens, LARGEST_COUNT)
        self._remember_unlisted(set(symbols) - answers.rows_by_symbol(rows).keys())
        return rows

    def _rows_of(self, opens: Mapping[str, Decimal] | None, count: int, **query: str) -> list[Json]:
        if opens is None:
            weight = _day_weight(count)
            return answers.rows(self._ask(weight, lambda client: client.get_ticker(**query)))
        return answers.rows(
            self._ask(PRICES_WEIGHT, lambda client: client.get_symbol_ticker(**query))
        )

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

    def _read_price(self, opens: Mapping[str, Decimal]) -> ReadTicker:
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

    def _read_klines(
        self, rows: Sequence[Json], interval: Interval, start_ms: int, end_ms: int, now_ms: int
    ) -> KlineSeries:
        return answers.klines(rows, interval, start_ms, end_ms, now_ms)

    def _rows_from(
        self, symbol: str, interval: Interval, start_ms: int, end_ms: int, limit: int | None
    ) -> list[Json]:
        """Rows from `start_ms` on, page by page, up to the end or the limit.

        A page that is not full does not end them: its rows can be fewer by mistake.
        """
        rows: list[Json] = []
        while start_ms < end_ms and (limit is None or len(rows) < limit):
            size = ROWS_A_PAGE if limit is None else min(ROWS_A_PAGE, limit - len(rows))
            page = self._page(symbol, interval, size, start_ms, end_ms)
            rows += page
            newest = max(answers.open_times(page, start_ms, end_ms), default=None)
            if newest is None and len(page) == size:
                raise SourceBadAnswer(f"Binance's pages of {symbol} bars do not advance.")
            if newest is None:
                break
            start_ms = newest + interval.milliseconds
        return rows

    def _rows_before(self, symbol: str, interval: Interval, end_ms: int, limit: int) -> list[Json]:
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
            KLINES_WEIGHT,
            lambda client: client.get_klines(
                symbol=symbol,
                interval=interval.value,
                limit=size,
                startTime=start_ms,
                endTime=end_ms - 1,  # the venue's end is inclusive
            ),
        )
        return answers.rows(page)[:size]

    # ------------------------------------------------------------------------- the connection

    def _client(
        self, host: str, api_key: str | None, api_secret: str | None, timeout_seconds: float
    ) -> Any:
        requests_params = {"timeout": timeout_seconds, "allow_redirects": False}
        client = Client(api_key, api_secret, requests_params=requests_params, ping=False)
        client.API_URL = host.rstrip("/") + "/api"
        prepare_session(client.session, self._examine)
        return client

    def _examine(self, response: requests.Response, **_: Any) -> None:
        """The session's response hook: note the weight, and refuse what is not a success.

        Here, before the SDK sees it: it trips over error bodies that are not JSON objects, and
        `client.response` is shared between threads.
        """
        weight = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if self._limiter is not None and weight.isascii() and weight.isdigit():
            self._limiter.observe(WEIGHT, int(weight))
        if not 200 <= response.status_code < 300:
            raise failure_of(response)

    def _ask(self, weight: int, question: Callable[[Any], Json]) -> Json:
        """The venue's answer, from the first host that serves this place. Raises SourceError."""
        first, blocked = self._serving, None
        for turn in range(len(self._clients)):
            index = (first + turn) % len(self._clients)
            try:
                client = self._clients[index]
                answer = self._in_turn(WEIGHT, weight, partial(_answer, client, question))
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
        return by_requests(VENUE, lambda: question(client))
    except (BinanceRequestException, RecursionError) as error:
        raise SourceBadAnswer("Binance's answer is not JSON.") from error


def _day_weight(count: int) -> int:
    """What the 24-hour tickers of `count` symbols weigh."""
    return 2 if count <= FEW_SYMBOLS else 40 if count <= MOST_SYMBOLS_BY_NAME else 80


def _depth_weight(levels: int) -> int:
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250


def failure_of(response: requests.Response) -> SourceError:
    """The error that an answer other than a success stands for."""
    status = response.status_code
    code, words = _error_body(response)
    retry_after = response.headers.get("Retry-After")
    if code == TOO_MANY_REQUESTS or status == 418:
        return rate_limited(status, retry_after or _ban_seconds(words), VENUE)
    if failure := status_failure(status, retry_after, VENUE):
        return failure
    if status == 401 or code in KEY_REFUSED:
        return SourceRefused(f"Binance refuses the API key: {words}", code=BAD_KEY)
    if code == INVALID_SYMBOL:
        return SourceRefused("Binance does not know this symbol.", code=UNKNOWN_SYMBOL)
    if code is not None:
        return SourceRefused(f"Binance refuses the question: {words} (code {code})")
    return SourceBadAnswer(f"Binance's answer (HTTP {status}) is not one of its own.")


def _ban_seconds(words: str) -> str | None:
    """Of "… IP(1.2.3.4) banned until 1573672589000. …", how long that is from now."""
    until = _BANNED_UNTIL.search(words)
    if until is None:
        return None
    return str(max(0, -(-(int(until[1]) - time.time_ns() // 1_000_000) // 1000)))


def _error_body(response: requests.Response) -> tuple[int | None, str]:
    """Code and message of Binance's `{"code": …, "msg": …}`, if the body is one."""
    body = json_of(response.content)
    code = body.get("code") if isinstance(body, dict) else None
    if type(code) is not int:
        return None, ""
    return code, str(body.get("msg"))[:200]
