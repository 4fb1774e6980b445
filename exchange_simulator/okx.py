"""OKX's public REST endpoints (spot, v5) over the same simulated market as Binance's.

Prices and bars are the same as there, so that the two can be held against each other; names,
shapes, ordering, page sizes, limits and errors are OKX's. `add_okx` mounts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from domain import DAY_MS, Clock
from exchange_simulator import okx_parameters as parameters
from exchange_simulator.bars import Bars
from exchange_simulator.coins import profile_of
from exchange_simulator.intervals import UnsupportedInterval
from exchange_simulator.market import (
    QUOTE_DECIMALS,
    Listing,
    fixed_point_text,
)
from exchange_simulator.okx_bars import BAR_LENGTHS, BarLength, last_bars
from exchange_simulator.okx_parameters import OkxError, Query
from exchange_simulator.order_book import best_prices, order_book
from exchange_simulator.request_weight import RequestWeight
from exchange_simulator.venue_market import VenueMarket

Json = Any

LIMIT_WINDOW_MS = 2000
RECENT_BARS = 1440  # as far back as `candles` goes
CANDLES_A_PAGE = 300
HISTORY_A_PAGE = 100
LARGEST_DEPTH = 400
SUSPENDED_MS = 7 * DAY_MS  # how long a delisted pair is still shown, as suspended


class Okx:
    """The venue: a market and the clock it is seen by. Its requests are counted by endpoint.

    `limit_clock` is that of their windows; `limit_factor` multiplies OKX's limits, for tests that ask for years of bars at once.
    """

    def __init__(
        self, market: VenueMarket, clock: Clock, limit_clock: Clock, limit_factor: int = 1
    ):
        self.market = market
        self.clock = clock
        self.requests = {
            endpoint.path: RequestWeight(
                limit_clock, endpoint.limit * limit_factor, window_ms=LIMIT_WINDOW_MS
            )
            for endpoint in ENDPOINTS
        }

    def listings(self, now_ms: int) -> Mapping[str, Listing]:
        """What OKX lists, by its names (`BTC-USDT`)."""
        return {
            f"{listing.base}-{listing.quote}": listing
            for listing in self.market.listings(now_ms).values()
            if profile_of(listing).on_okx and not _is_gone(listing, now_ms)
        }

    def listing(self, query: Query, now_ms: int) -> Listing:
        """The listing that `instId` names. Raises OkxError 51001."""
        listing = self.listings(now_ms).get(parameters.required(query, "instId"))
        if listing is None:
            raise parameters.unknown_instrument()
        return listing


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A GET endpoint: where it is, how many requests it allows in 2 s, what it answers."""

    path: str
    limit: int
    answer: Callable[[Okx, Query], list[Json]]


def add_okx(app: web.Application, venue: Okx) -> None:
    """Mount the endpoints under `/api/v5`."""
    for endpoint in ENDPOINTS:
        app.router.add_get(f"/api/v5/{endpoint.path}", _handler(venue, endpoint))


def _handler(venue: Okx, endpoint: Endpoint) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        try:
            if not venue.requests[endpoint.path].add(1):
                raise parameters.too_many_requests()
            rows = endpoint.answer(venue, request.query)
        except OkxError as error:
            refusal = {"code": error.code, "msg": error.message, "data": []}
            return web.json_response(refusal, status=error.status)
        return web.json_response({"code": "0", "msg": "", "data": rows})

    return handle


def _is_gone(listing: Listing, now_ms: int) -> bool:
    return listing.delisted_ms is not None and now_ms >= listing.delisted_ms + SUSPENDED_MS


# ------------------------------------------------------------------------------------ answers


def _time(venue: Okx, query: Query) -> list[Json]:
    return [{"ts": str(venue.market.stamp_ms(venue.clock.now_ms()))}]


def _instruments(venue: Okx, query: Query) -> list[Json]:
    now_ms = venue.clock.now_ms()
    if not parameters.asks_for_spot(query):
        return []
    if query.get("instId"):
        chosen = {query["instId"]: venue.listing(query, now_ms)}
    else:
        chosen = dict(venue.listings(now_ms))
    return [
        {
            "instType": "SPOT",
            "instId": name,
            "instFamily": "",
            "uly": "",
            "baseCcy": listing.base,
            "quoteCcy": listing.quote,
            "settleCcy": "",
            "tickSz": _text(1, listing.price_decimals),
            "lotSz": _text(1, listing.quantity_decimals),
            "minSz": _text(1, listing.quantity_decimals),
            "listTime": str(listing.listed_ms),
            "expTime": "",
            "state": "live" if listing.is_trading(now_ms) else "suspend",
        }
        for name, listing in chosen.items()
    ]


def _ticker(venue: Okx, query: Query) -> list[Json]:
    now_ms = venue.clock.now_ms()
    listing = venue.listing(query, now_ms)
    return [ticker_of(query["instId"], listing, venue.market, now_ms)]


def _tickers(venue: Okx, query: Query) -> list[Json]:
    now_ms = venue.clock.now_ms()
    if not parameters.asks_for_spot(query):
        return []
    return [
        ticker_of(name, listing, venue.market, now_ms)
        for name, listing in venue.listings(now_ms).items()
    ]


def ticker_of(name: str, listing: Listing, market: VenueMarket, now_ms: int) -> dict[str, str]:
    """The ticker of a pair, by OKX's names."""
    day = market.rolling_day(listing.symbol, now_ms)
    bid, ask = best_prices(day.last)

    def price(ticks: int) -> str:
        return _text(ticks, listing.price_decimals)

    lot = _text(1, listing.quantity_decimals)
    return {
        "instType": "SPOT",
        "instId": name,
        "last": price(day.last),
        "lastSz": lot,
        "askPx": price(ask),
        "askSz": lot,
        "bidPx": price(bid),
        "bidSz": lot,
        "open24h": price(day.open),
        "high24h": price(day.high),
        "low24h": price(day.low),
        "volCcy24h": _text(day.quote_volume, QUOTE_DECIMALS),
        "vol24h": _text(day.volume, listing.quantity_decimals),
        "ts": str(day.close_time),
    }


def _candles(venue: Okx, query: Query) -> list[Json]:
    """The latest bars, the one that is still open among them."""
    now_ms = venue.clock.now_ms()
    bar = _bar_length(query)
    oldest = bar.floor(now_ms) - (RECENT_BARS - 1) * bar.milliseconds
    return _rows(venue, query, bar, oldest, now_ms, CANDLES_A_PAGE)


def _history_candles(venue: Okx, query: Query) -> list[Json]:
    """Bars as old as the market, closed ones alone."""
    bar = _bar_length(query)
    newest_ms = bar.floor(venue.clock.now_ms()) - 1
    return _rows(venue, query, bar, 0, newest_ms, HISTORY_A_PAGE)


def _rows(
    venue: Okx, query: Query, bar: BarLength, oldest_ms: int, newest_ms: int, largest: int
) -> list[Json]:
    """The newest bars with before < open_time < after, newest first: either bound may be absent."""
    now_ms = venue.clock.now_ms()
    listing = venue.listing(query, now_ms)
    count = parameters.limit(query, default=100, largest=largest)
    after, before = parameters.number(query, "after"), parameters.number(query, "before")
    end_ms = newest_ms if after is None else min(newest_ms, after - 1)
    start_ms = oldest_ms if before is None else max(oldest_ms, before + 1)
    if end_ms < start_ms:
        return []
    try:
        bars = last_bars(venue.market, listing.symbol, bar, end_ms, count, now_ms)
    except UnsupportedInterval:
        raise parameters.wrong("bar") from None
    seen_ms = venue.market.seen_ms(listing.symbol, now_ms)
    return candle_rows(bars.between(start_ms, end_ms + 1), listing, bar, seen_ms)


def candle_rows(bars: Bars, listing: Listing, bar: BarLength, now_ms: int) -> list[list[str]]:
    """Rows of candles, the newest first; those that end after `now_ms` are unconfirmed."""
    rows = [
        candle_row(open_ms, column, listing, has_closed=open_ms + bar.milliseconds <= now_ms)
        for open_ms, column in zip(bars.open_time.tolist(), bars.columns.T.tolist(), strict=True)
    ]
    return rows[::-1]


def candle_row(open_ms: int, column: list[int], listing: Listing, *, has_closed: bool) -> list[str]:
    """A candle as OKX writes it: its open time, prices, volumes, and whether it is confirmed."""
    quote_volume = _text(column[5], QUOTE_DECIMALS)
    return [
        str(open_ms),
        *(_text(ticks, listing.price_decimals) for ticks in column[:4]),
        _text(column[4], listing.quantity_decimals),
        quote_volume,
        quote_volume,
        "1" if has_closed else "0",
    ]


def _bar_length(query: Query) -> BarLength:
    bar = BAR_LENGTHS.get(query.get("bar") or "1m")
    if bar is None:
        raise parameters.wrong("bar")
    return bar


def _books(venue: Okx, query: Query) -> list[Json]:
    now_ms = venue.clock.now_ms()
    listing = venue.listing(query, now_ms)
    levels = parameters.depth(query, LARGEST_DEPTH)
    price = venue.market.price(listing.symbol, now_ms)
    bids, asks = order_book(listing, price, now_ms, levels)
    stamp = str(venue.market.stamp_ms(now_ms))

    def rows(side: list[tuple[int, int]]) -> list[list[str]]:
        return [
            [_text(ticks, listing.price_decimals), _text(lots, listing.quantity_decimals), "0", "1"]
            for ticks, lots in side
        ]

    return [{"asks": rows(asks), "bids": rows(bids), "ts": stamp, "seqId": now_ms}]


def _text(units: int, decimals: int) -> str:
    """Decimal text without zeros at its end, as OKX writes it."""
    text = fixed_point_text(units, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


ENDPOINTS = (
    Endpoint("public/time", 10, _time),
    Endpoint("public/instruments", 20, _instruments),
    Endpoint("market/ticker", 20, _ticker),
    Endpoint("market/tickers", 20, _tickers),
    Endpoint("market/candles", 40, _candles),
    Endpoint("market/history-candles", 20, _history_candles),
    Endpoint("market/books", 40, _books),
)
