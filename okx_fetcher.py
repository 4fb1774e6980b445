"""`OKXDataFetcher`: OKX's public market data through python-okx, checked.

Symbols are the venue's (`BTC-USDT`). Every answer is exact and sound, and every failure is one of
the `SourceError`s: no exception of the SDK or of httpx leaves this module, and no made-up value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from okx.MarketData import MarketAPI
from okx.PublicData import PublicAPI

import okx_answers as answers
from domain import Clock, Interval, KlineSeries, OrderBook, Ticker, VenueInstrument
from errors import (
    InvalidInput,
    SourceBadAnswer,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from okx_answers import VENUE
from rate_limiter import Limit, RateLimiter
from source_answers import (
    BAD_KEY,
    LATEST_MS,
    UNKNOWN_SYMBOL,
    Json,
    check_limit,
    json_of,
    rate_limited,
    status_failure,
)
from venue_fetcher import ExchangeFetcher, check_keys

PUBLIC_HOST = "https://www.okx.com"
NO_KEY = "-1"  # what the SDK takes for none; it would sign with an empty text
PRODUCTION = "0"  # the SDK's own default is the demo environment
SPOT = "SPOT"
LARGEST_DEPTH = 400

# Requests in 2 seconds that the venue allows, by endpoint.
WINDOW_SECONDS = 2.0
REQUESTS_A_WINDOW = {
    "ticker": 20,
    "tickers": 20,
    "candles": 40,
    "history-candles": 20,
    "books": 40,
    "instruments": 20,
}
NARROWEST = 20

# Bars open by UTC; a plain 6H, 12H, 1D or 1W opens by Hong Kong's clock.
BARS = {
    Interval.M1: "1m",
    Interval.M3: "3m",
    Interval.M5: "5m",
    Interval.M15: "15m",
    Interval.M30: "30m",
    Interval.H1: "1H",
    Interval.H2: "2H",
    Interval.H4: "4H",
    Interval.H6: "6Hutc",
    Interval.H12: "12Hutc",
    Interval.D1: "1Dutc",
    Interval.W1: "1Wutc",
}
RECENT_ROWS_A_PAGE = 300
HISTORY_ROWS_A_PAGE = 100
# `candles` has the latest 1,440 bars by the venue's clock; by ours, some fewer are safe.
RECENT_BARS = 1400

ALL_WEEKS = 5000  # more than there have been

# OKX's error codes.
SUCCESS = "0"
UNKNOWN_INSTRUMENT = "51001"
TOO_MANY_REQUESTS = frozenset({"50011", "50061"})
OUT_OF_ORDER = frozenset({"50001", "50004", "50005", "50013", "50026"})
ABOUT_THE_KEY = "501"  # how their codes begin

_SYMBOL = re.compile(r"[A-Z0-9-]{1,40}")  # nothing that could change the meaning of a query


def endpoint_limiter(requests_a_window: int, wall_clock: Clock) -> RateLimiter:
    """Holds to the venue's limits, with `requests_a_window` for its narrowest endpoints.

    That is 20 by its own rules; the others are larger in proportion.
    """
    limits = {
        endpoint: Limit(max(1, allowed * requests_a_window // NARROWEST), WINDOW_SECONDS)
        for endpoint, allowed in REQUESTS_A_WINDOW.items()
    }
    return RateLimiter(VENUE, limits, wall_clock)


@dataclass(frozen=True, slots=True)
class CandleRange:
    """Where to ask for bars of one symbol; those that open from `recent_ms` on are recent."""

    symbol: str
    interval: Interval
    recent_ms: int

    def rows_a_page(self, time_ms: int) -> int:
        """The page size where the bar that opens at `time_ms` is."""
        return RECENT_ROWS_A_PAGE if time_ms >= self.recent_ms else HISTORY_ROWS_A_PAGE


class PublicClient(MarketAPI, PublicAPI):  # type: ignore[misc]
    """The SDK's two classes of public questions on one pool of connections."""


class OKXDataFetcher(ExchangeFetcher):
    """A `MarketSource` of OKX's spot market. Safe to share between threads.

    No network is touched at construction. `domain` (scheme, host and port) replaces OKX's own;
    `clock` tells which bars can be there; `timeout_seconds` bounds the connection and every wait
    for bytes. Public data needs no key; one that is given comes with its secret and passphrase.
    """

    name = answers.SOURCE
    symbols = _SYMBOL
    rows_a_page = RECENT_ROWS_A_PAGE

    def __init__(
        self,
        api_key: str | None = None,
        secret_key: str | None = None,
        passphrase: str | None = None,
        *,
        domain: str | None = None,
        clock: Clock,
        timeout_seconds: float = 4.0,
        limiter: RateLimiter | None = None,
    ):
        super().__init__(VENUE, clock, limiter)
        key = (api_key, secret_key, passphrase)
        if any(key) and not all(key):
            raise InvalidInput("OKX's API key, secret key and passphrase go together.")
        check_keys(VENUE, key)
        self._first_weeks: dict[str, int] = {}  # by symbol: a listing does not change
        self._secrets = [part for part in key if part]
        self._client = self._new_client(domain or PUBLIC_HOST, timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # ------------------------------------------------------------------------------ questions

    def price(self, symbol: str) -> Ticker:
        """The latest price. Raises SourceError."""
        self._check_symbol(symbol)
        rows = self._ask("ticker", lambda: self._client.get_ticker(symbol))
        return answers.ticker(rows[0] if rows else None, symbol)

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        """The latest prices of those symbols that the venue knows, in one call.

        An unknown symbol, or one whose price is not sound, is left out and spoils no other.
        Raises SourceError, also when symbols were asked for and none is left.
        """
        if not symbols:
            return {}
        wanted = list(dict.fromkeys(symbols))
        answer = self._ask("tickers", lambda: self._client.get_tickers(SPOT))
        rows = answers.rows_by_symbol(answer)
        if not rows:
            raise SourceBadAnswer("OKX's list of tickers has none.")
        return self._sound_prices(symbols, wanted, rows, answers.ticker)

    def depth(self, symbol: str, limit: int) -> OrderBook:
        """The best `limit` levels of each side (at most 400). Raises SourceError."""
        self._check_symbol(symbol)
        check_limit(limit)
        levels = min(limit, LARGEST_DEPTH)
        rows = self._ask("books", lambda: self._client.get_orderbook(symbol, levels))
        return answers.order_book(rows, symbol)

    def instruments(self) -> dict[str, VenueInstrument]:
        """Every spot pair of the venue with its trading rules. Raises SourceError."""
        listing = self._ask("instruments", lambda: self._client.get_instruments(SPOT))
        return answers.instruments(listing)

    # -------------------------------------------------------------------------------- klines

    def _read_klines(
        self, rows: Sequence[Json], interval: Interval, start_ms: int, end_ms: int, now_ms: int
    ) -> KlineSeries:
        return answers.klines(rows, interval, start_ms, end_ms, now_ms)

    def _rows_from(
        self, symbol: str, interval: Interval, start_ms: int, end_ms: int, limit: int | None
    ) -> list[Json]:
        return self._rows_forward(self._candles(symbol, interval), start_ms, end_ms, limit)

    def _rows_before(self, symbol: str, interval: Interval, end_ms: int, limit: int) -> list[Json]:
        return self._rows_backward(self._candles(symbol, interval), end_ms, limit)

    def _candles(self, symbol: str, interval: Interval) -> CandleRange:
        newest_ms = interval.floor(self._clock.now_ms())
        return CandleRange(symbol, interval, newest_ms - RECENT_BARS * interval.milliseconds)

    def _rows_forward(
        self, candles: CandleRange, start_ms: int, end_ms: int, limit: int | None
    ) -> list[Json]:
        """Rows from `start_ms` on, up to the end or until there are `limit`.

        OKX pages backward alone, so the range is walked in windows that a page can hold. Over
        times without bars they double, from the listing on; one that may hold more than its page
        is halved until the first bars are found.
        """
        step, growth, is_doubling, rows = candles.interval.milliseconds, 1, True, list[Json]()
        while start_ms < end_ms and (limit is None or len(rows) < limit):
            size = candles.rows_a_page(start_ms)
            wanted = size if limit is None else min(size, limit - len(rows))
            until_ms = min(start_ms + wanted * growth * step, end_ms)
            if start_ms < candles.recent_ms:
                until_ms = min(until_ms, candles.recent_ms)
            page = self._page(candles, start_ms, until_ms, size)
            if page and not answers.open_times(page, start_ms, until_ms):
                raise SourceBadAnswer(f"OKX's pages of {candles.symbol} bars do not advance.")
            if len(page) == size and growth > 1:
                growth, is_doubling = growth // 2, False  # these are the window's newest
                continue
            rows += page
            start_ms = until_ms
            if page:
                growth, is_doubling = 1, True
            elif growth == 1 and is_doubling and not rows:
                start_ms, growth = max(start_ms, self._first_week_ms(candles.symbol)), 2
            else:
                growth = 2 * growth if is_doubling else max(growth // 2, 1)
        return rows

    def _first_week_ms(self, symbol: str) -> int:
        """When the first week opens that the venue has a bar of; 0 where it has none at all."""
        if symbol not in self._first_weeks:
            weeks = CandleRange(symbol, Interval.W1, LATEST_MS)
            rows = self._rows_backward(weeks, self._clock.now_ms() + 1, ALL_WEEKS)
            opens = answers.open_times(rows, 0, LATEST_MS)
            self._first_weeks[symbol] = min(opens, default=0)
        return self._first_weeks[symbol]

    def _rows_backward(self, candles: CandleRange, end_ms: int, limit: int) -> list[Json]:
        """The last `limit` rows before `end_ms`, page by page, the latest page first."""
        rows: list[Json] = []
        while len(rows) < limit:
            start_ms = candles.recent_ms if end_ms > candles.recent_ms else 0
            size = min(candles.rows_a_page(start_ms), limit - len(rows))
            page = self._page(candles, start_ms, end_ms, size)
            rows += page
            if len(page) < size:
                if start_ms == 0:
                    break
                end_ms = start_ms
                continue
            oldest = min(answers.open_times(page, 0, end_ms), default=None)
            if oldest is None:
                raise SourceBadAnswer(f"OKX's pages of {candles.symbol} bars do not advance.")
            end_ms = oldest
        return rows

    def _page(self, candles: CandleRange, start_ms: int, end_ms: int, size: int) -> list[Json]:
        """The newest `size` rows that open in [start_ms, end_ms): the venue's bounds are open."""
        recent = start_ms >= candles.recent_ms
        question = (
            self._client.get_candlesticks if recent else self._client.get_history_candlesticks
        )
        bounds = {"after": str(end_ms), "before": str(start_ms - 1) if start_ms else ""}
        bar, limit = BARS[candles.interval], str(size)
        return self._ask(
            "candles" if recent else "history-candles",
            lambda: question(candles.symbol, bar=bar, limit=limit, **bounds),
        )[:size]

    # ------------------------------------------------------------------------- the connection

    def _new_client(self, domain: str, timeout_seconds: float) -> Any:
        key = self._secrets or (NO_KEY, NO_KEY, NO_KEY)
        client = PublicClient(*key, flag=PRODUCTION, domain=domain.rstrip("/"), debug=False)
        client.timeout = httpx.Timeout(timeout_seconds)
        client.event_hooks = {"response": [self._examine]}
        return client

    def _examine(self, response: httpx.Response) -> None:
        """The client's response hook: refuse what is not a success, which the SDK does not see."""
        if response.is_success:
            return
        response.read()
        status = response.status_code
        if failure := status_failure(status, response.headers.get("Retry-After"), VENUE):
            raise failure
        code, words = _code_and_words(json_of(response.content))
        if code is None or code == SUCCESS:
            raise SourceBadAnswer(f"OKX's answer (HTTP {status}) is not one of its own.")
        raise self._refusal(code, words)

    def _ask(self, endpoint: str, question: Callable[[], Json]) -> list[Json]:
        """The `data` of the venue's answer. Raises SourceError."""
        return self._in_turn(endpoint, 1, lambda: self._data_of(question))

    def _data_of(self, question: Callable[[], Json]) -> list[Json]:
        answer = _answer(question)
        code, words = _code_and_words(answer)
        if code is None:
            raise SourceBadAnswer("OKX's answer is not one of its own.")
        if code != SUCCESS:
            raise self._refusal(code, words)
        if not isinstance(answer.get("data"), list):
            raise SourceBadAnswer("OKX's answer is not a list.")
        rows: list[Json] = answer["data"]
        return rows

    def _refusal(self, code: str, words: str) -> SourceError:
        """The error that a code other than success stands for."""
        if code in TOO_MANY_REQUESTS:
            return rate_limited(429, None, VENUE)
        if code in OUT_OF_ORDER:
            return SourceUnavailable(f"OKX is out of order (code {code}).")
        if code.startswith(ABOUT_THE_KEY):
            return SourceRefused(f"OKX refuses the API key (code {code}).", code=BAD_KEY)
        if code == UNKNOWN_INSTRUMENT:
            return SourceRefused("OKX does not know this symbol.", code=UNKNOWN_SYMBOL)
        for secret in self._secrets:
            words = words.replace(secret, "…")
        return SourceRefused(f"OKX refuses the question: {words[:200]} (code {code})")


def _answer(question: Callable[[], Json]) -> Json:
    """The SDK's answer, with whatever it and httpx raise turned into SourceErrors."""
    try:
        return question()
    except httpx.TimeoutException as error:
        raise SourceUnavailable("OKX did not answer in time.") from error
    except httpx.HTTPError as error:
        kind = type(error).__name__
        raise SourceUnavailable(f"OKX cannot be reached ({kind}).") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceBadAnswer("OKX's answer is not JSON.") from error


def _code_and_words(answer: Json) -> tuple[str | None, str]:
    """Code and message of OKX's `{"code": …, "msg": …, "data": …}`, if it is one."""
    code = answer.get("code") if isinstance(answer, dict) else None
    if not isinstance(code, str) or not code.isascii() or not code.isdigit():
        return None, ""
    return code, str(answer.get("msg"))
