"""`MarketDataFetcher`: CoinGecko through pycoingecko, checked: coins, their ranks, prices in USD.

A coin's symbol here is CoinGecko's id (`bitcoin`). It is no source of klines. Every answer is
sound, and every failure is one of the `SourceError`s: no exception of the SDK or of requests
leaves this module, no made-up value, and no key, which stands in the address of every request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
from pycoingecko import CoinGeckoAPI

from domain import MINUTE_MS, Clock, Ticker
from errors import SourceBadAnswer, SourceError, SourceRefused
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
from venue_fetcher import VenueFetcher, by_requests, check_keys, prepare_session

VENUE = "CoinGecko"
PUBLIC_HOST = "https://api.coingecko.com"
PRO_HOSTNAME = "pro-api.coingecko.com"
REQUESTS = "requests"  # its one limit, of all endpoints together
COINS_A_PAGE = 250
CURRENCY = "usd"
OLDEST_PRICE_MS = 15 * MINUTE_MS  # it goes on to list dead coins at their last price

# CoinGecko's error codes.
ABOUT_THE_KEY = frozenset({10002, 10005, 10010, 10011})

_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")  # a comma would be two


def request_limiter(requests_a_minute: int, wall_clock: Clock) -> RateLimiter:
    """Holds to the venue's limit, which is about 30 a minute with a demo key."""
    limits = {REQUESTS: Limit(requests_a_minute, 60.0, margin_seconds=1.0)}
    return RateLimiter(VENUE, limits, wall_clock)


@dataclass(frozen=True, slots=True)
class CoinListing:
    """A coin as CoinGecko lists it; `symbol` in capitals, the rank 1 for the largest market cap."""

    symbol: str
    name: str
    coingecko_id: str
    market_cap_rank: int | None


class MarketDataFetcher(VenueFetcher):
    """A source of prices in USD and the directory of all coins. Safe to share between threads.

    No network is touched at construction. `base_url` (scheme, host, port, and a path if any)
    replaces CoinGecko's public host; `api_key` is a demo key, or a pro key where `base_url` is
    `https://pro-api.coingecko.com`. `clock` tells which prices are too old to be one.
    `timeout_seconds` bounds the connection and every wait for bytes.
    """

    name = "coingecko"

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        clock: Clock,
        timeout_seconds: float = 4.0,
        limiter: RateLimiter | None = None,
    ):
        super().__init__(VENUE, clock, limiter)
        check_keys(VENUE, [api_key])
        self._api_key = api_key or ""
        self._client = self._new_client(base_url or PUBLIC_HOST, timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._client.session.close()

    # ------------------------------------------------------------------------------ questions

    def price(self, symbol: str) -> Ticker:
        """The latest price of a coin. Raises SourceError."""
        return self.prices([symbol])[symbol]

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        """The latest prices in USD of those coins that CoinGecko knows, 250 in a call.

        An unknown id, or one whose price is not sound, is left out and spoils no other.
        Raises SourceError, also when coins were asked for and none is left.
        """
        rows: dict[str, Json] = {}
        wanted = [coin_id for coin_id in dict.fromkeys(symbols) if _ID.fullmatch(coin_id)]
        for page in _pages(wanted):
            rows |= self._object(
                partial(
                    self._client.get_price,
                    page,
                    CURRENCY,
                    include_24hr_change=True,
                    include_last_updated_at=True,
                )
            )
        return self._sound_prices(symbols, wanted, rows, self._ticker)

    def search(self, query: str) -> list[CoinListing]:
        """Coins by name or symbol, CoinGecko's best match first; none found is an empty list.

        Raises SourceError.
        """
        if not query.strip():
            return []
        answer = self._object(lambda: self._client.search(query.strip()))
        return self._listings(_rows(answer.get("coins")))

    def top(self, count: int) -> list[CoinListing]:
        """The `count` largest coins by market cap, 250 in a call. Raises SourceError."""
        check_limit(count)
        size = min(count, COINS_A_PAGE)
        found: dict[str, CoinListing] = {}
        for number in range(1, -(-count // size) + 1):
            page = self._ask(
                partial(
                    self._client.get_coins_markets,
                    CURRENCY,
                    order="market_cap_desc",
                    per_page=size,
                    page=number,
                )
            )
            # A coin that changes places between two calls is on both pages: it stays where it was.
            found = {coin.coingecko_id: coin for coin in self._listings(_rows(page))} | found
            if len(page) < size:
                break
        ranked = sorted(found.values(), key=_by_rank)
        if not ranked:
            raise SourceBadAnswer("CoinGecko's answer lists no coins.")
        return ranked[:count]

    def markets(self, coingecko_ids: Sequence[str]) -> dict[str, CoinListing]:
        """Those of the coins that CoinGecko knows, with their ranks, by id; 250 in a call.

        Raises SourceError.
        """
        wanted = [coin_id for coin_id in dict.fromkeys(coingecko_ids) if _ID.fullmatch(coin_id)]
        found: dict[str, CoinListing] = {}
        for page in _pages(wanted):
            question = partial(
                self._client.get_coins_markets, CURRENCY, ids=page, per_page=COINS_A_PAGE, page=1
            )
            answer = self._ask(question)
            found |= {coin.coingecko_id: coin for coin in self._listings(_rows(answer))}
        return {coin_id: found[coin_id] for coin_id in wanted if coin_id in found}

    # -------------------------------------------------------------------------------- answers

    def _ticker(self, row: Json, coin_id: str) -> Ticker:
        """A row of `simple/price`: CoinGecko writes numbers, not texts."""
        price = _decimal(row.get(CURRENCY)) if isinstance(row, dict) else None
        if price is None or price <= 0:
            raise SourceBadAnswer(f"CoinGecko's price of {coin_id} is not a price.")
        seconds = row.get("last_updated_at")
        if type(seconds) is not int or not 0 <= seconds * 1000 < LATEST_MS:
            raise SourceBadAnswer(f"CoinGecko's price of {coin_id} has no time.")
        if self._clock.now_ms() - seconds * 1000 > OLDEST_PRICE_MS:
            raise SourceBadAnswer(f"CoinGecko has had no new price of {coin_id} for long.")
        change = _decimal(row.get(f"{CURRENCY}_24h_change"))
        return Ticker(
            symbol=coin_id,
            price=price,
            time_ms=seconds * 1000,
            source=self.name,
            change_24h=None if change is None else float(change),
        )

    def _listings(self, rows: Sequence[Json]) -> list[CoinListing]:
        """The listings of those rows that are one, in their order, each once."""
        found: dict[str, CoinListing] = {}
        for row in rows:
            listing = _listing(row)
            if listing is not None:
                found.setdefault(listing.coingecko_id, listing)
        self._count_dropped(len(rows) - len(found))
        if rows and not found:
            raise SourceBadAnswer("CoinGecko's answer has no sound listing of a coin.")
        return list(found.values())

    # ------------------------------------------------------------------------- the connection

    def _new_client(self, base_url: str, timeout_seconds: float) -> Any:
        is_pro = urlsplit(base_url).hostname == PRO_HOSTNAME
        keys = {"api_key" if is_pro else "demo_api_key": self._api_key}
        client = CoinGeckoAPI(retries=0, **keys)
        client.api_base_url = base_url.rstrip("/") + "/api/v3/"
        client.request_timeout = timeout_seconds
        prepare_session(client.session, self._examine)
        return client

    def _examine(self, response: requests.Response, **_: Any) -> None:
        """The session's response hook: the SDK would make texts with the key in them of these."""
        if not 200 <= response.status_code < 300:
            raise self._failure_of(response)

    def _failure_of(self, response: requests.Response) -> SourceError:
        """The error that an answer other than a success stands for."""
        status = response.status_code
        retry_after = response.headers.get("Retry-After")
        code, words = _code_and_words(json_of(response.content))
        if status == 401 or code in ABOUT_THE_KEY:
            return SourceRefused(f"CoinGecko refuses the API key (HTTP {status}).", code=BAD_KEY)
        if failure := status_failure(status, retry_after, VENUE):
            return failure
        if not words:
            return SourceBadAnswer(f"CoinGecko's answer (HTTP {status}) is not one of its own.")
        if status == 404:
            return SourceRefused("CoinGecko does not know this coin.", code=UNKNOWN_SYMBOL)
        if self._api_key:
            words = words.replace(self._api_key, "…")
        return SourceRefused(f"CoinGecko refuses the question: {words[:200]} (HTTP {status})")

    def _object(self, question: Callable[[], Json]) -> dict[str, Json]:
        """An answer that must be an object."""
        answer = self._ask(question)
        if not isinstance(answer, dict):
            raise SourceBadAnswer("CoinGecko's answer is not an object.")
        return answer

    def _ask(self, question: Callable[[], Json]) -> Json:
        """CoinGecko's answer. Raises SourceError."""
        return self._in_turn(REQUESTS, 1, lambda: self._answer(question))

    @staticmethod
    def _answer(question: Callable[[], Json]) -> Json:
        """What the SDK returns or raises, without the errors that have the key in their text."""
        try:
            answer = by_requests(VENUE, question)
        except (ValueError, RecursionError):  # the SDK's own, and json's
            raise SourceBadAnswer("CoinGecko's answer is not JSON.") from None
        code, words = _code_and_words(answer)
        if code == 429:  # it says so with HTTP 200 at times
            raise rate_limited(429, None, VENUE)
        if words:
            raise SourceBadAnswer("CoinGecko's answer is an error that says it is none.")
        return answer


def _pages(ids: Sequence[str]) -> Iterable[list[str]]:
    return (list(ids[at : at + COINS_A_PAGE]) for at in range(0, len(ids), COINS_A_PAGE))


def _rows(answer: Json) -> list[Json]:
    if not isinstance(answer, list):
        raise SourceBadAnswer("CoinGecko's answer is not a list.")
    return answer


def _listing(row: Json) -> CoinListing | None:
    """A coin of `coins/markets` or `search`; none if it is not one."""
    if not isinstance(row, dict):
        return None
    coin_id, symbol, name = row.get("id"), row.get("symbol"), row.get("name")
    if not (isinstance(coin_id, str) and isinstance(symbol, str) and isinstance(name, str)):
        return None
    rank = row.get("market_cap_rank")
    if not (coin_id and symbol and name) or not (rank is None or (type(rank) is int and rank > 0)):
        return None
    return CoinListing(symbol.upper(), name, coin_id, rank)


def _by_rank(coin: CoinListing) -> tuple[bool, int]:
    return coin.market_cap_rank is None, coin.market_cap_rank or 0


def _decimal(number: Json) -> Decimal | None:
    """A JSON number as the decimal that it was written as, to 15 digits and more; else none."""
    if type(number) not in (int, float):
        return None
    decimal = Decimal(repr(number))
    return decimal if decimal.is_finite() else None


def _code_and_words(answer: Json) -> tuple[int | None, str]:
    """Code and message of `{"status": {"error_code": …}}` or `{"error": …}`, CoinGecko's refusals."""
    if not isinstance(answer, dict):
        return None, ""
    status = answer.get("status")
    if isinstance(status, dict) and type(status.get("error_code")) is int:
        return status["error_code"], str(status.get("error_message"))
    return None, answer["error"] if isinstance(answer.get("error"), str) else ""
