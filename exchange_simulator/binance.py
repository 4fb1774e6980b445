"""Binance's public REST endpoints (spot, v3) over a simulated market.

Answers have Binance's shapes, decimals as text, ordering, page sizes, weights, headers and
errors. `add_binance` mounts them; each endpoint is a function from a query to its JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from domain import Clock
from exchange_simulator import binance_parameters as parameters
from exchange_simulator import intervals
from exchange_simulator import venue_refusals as refusals
from exchange_simulator.bars import Bars
from exchange_simulator.binance_parameters import BinanceError, Query
from exchange_simulator.coins import profile_of
from exchange_simulator.market import (
    NOT_A_NUMBER,
    QUOTE_DECIMALS,
    Listing,
    RollingDay,
    fixed_point_text,
)
from exchange_simulator.order_book import best_prices, order_book
from exchange_simulator.request_weight import Bans, RequestWeight
from exchange_simulator.venue_market import VenueMarket

Json = Any


class Binance:
    """The venue: a market, the clock it is seen by, the weight that callers have used, bans."""

    def __init__(self, market: VenueMarket, clock: Clock, weight: RequestWeight, bans: Bans):
        self.market = market
        self.clock = clock
        self.weight = weight
        self.bans = bans

    def listings(self, now_ms: int) -> Mapping[str, Listing]:
        """What Binance lists, by symbol."""
        return {
            symbol: listing
            for symbol, listing in self.market.listings(now_ms).items()
            if profile_of(listing).on_binance
        }

    def find(self, symbol: str, now_ms: int) -> Listing | None:
        """The listing of a symbol, if Binance has it."""
        listing = self.market.listings(now_ms).get(symbol)
        return listing if listing is not None and profile_of(listing).on_binance else None

    def listing(self, symbol: str, now_ms: int) -> Listing:
        """The listing of a symbol. Raises BinanceError −1121."""
        listing = self.find(symbol, now_ms)
        if listing is None:
            raise parameters.invalid_symbol()
        return listing

    def chosen(self, query: Query, now_ms: int) -> list[Listing]:
        """The listings that `symbol` or `symbols` ask for, or all."""
        symbols = parameters.requested_symbols(query)
        if symbols is None:
            return list(self.listings(now_ms).values())
        return [self.listing(symbol, now_ms) for symbol in symbols]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A GET endpoint: where it is, what it reads, what it costs, what it answers."""

    path: str
    reads: frozenset[str]
    weigh: Callable[[Query], int]
    answer: Callable[[Binance, Query], Json]


def add_binance(app: web.Application, venue: Binance) -> None:
    """Mount the endpoints under `/api/v3`."""
    for endpoint in ENDPOINTS:
        app.router.add_get(f"/api/v3/{endpoint.path}", _handler(venue, endpoint))


def _handler(venue: Binance, endpoint: Endpoint) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        banned_seconds = venue.bans.seconds_left()
        if banned_seconds:
            return refusals.banned("binance", banned_seconds, venue.bans.until_ms)
        within_limit = venue.weight.add(endpoint.weigh(request.query))
        used = str(venue.weight.used)
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        try:
            if not within_limit:
                venue.bans.refuse()
                headers["Retry-After"] = str(venue.weight.seconds_left())
                message = refusals.too_much_weight(venue.weight.limit)
                raise BinanceError(-1003, message, status=429)
            parameters.check_names(request.query, endpoint.reads)
            answer = endpoint.answer(venue, request.query)
        except BinanceError as error:
            refusal = {"code": error.code, "msg": error.message}
            return web.json_response(refusal, status=error.status, headers=headers)
        return web.json_response(answer, headers=headers)

    return handle


# ------------------------------------------------------------------------------------ answers


def _ping(venue: Binance, query: Query) -> Json:
    return {}


def _time(venue: Binance, query: Query) -> Json:
    return {"serverTime": venue.market.stamp_ms(venue.clock.now_ms())}


def _exchange_information(venue: Binance, query: Query) -> Json:
    now_ms = venue.clock.now_ms()
    return {
        "timezone": "UTC",
        "serverTime": venue.market.stamp_ms(now_ms),
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": venue.weight.limit,
            }
        ],
        "exchangeFilters": [],
        "symbols": [_symbol_rules(listing, now_ms) for listing in venue.chosen(query, now_ms)],
    }


def _symbol_rules(listing: Listing, now_ms: int) -> Json:
    return {
        "symbol": listing.symbol,
        "status": "TRADING" if listing.is_trading(now_ms) else "BREAK",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": listing.price_text(1),
                "maxPrice": "1000000.00000000",
                "tickSize": listing.price_text(1),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": listing.quantity_text(1),
                "maxQty": "9000000000.00000000",
                "stepSize": listing.quantity_text(1),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": f"{listing.min_notional:.8f}",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": ["SPOT"],
    }


def _klines(venue: Binance, query: Query) -> Json:
    now_ms = venue.clock.now_ms()
    symbol = parameters.required_symbol(query)
    interval = parameters.required_interval(query)
    rows = parameters.limit(query, default=500, largest=1000)
    start_ms = parameters.optional_number(query, "startTime")
    end_ms = parameters.optional_number(query, "endTime")
    end_ms = now_ms if end_ms is None else end_ms
    listing = venue.listing(symbol, now_ms)
    market = venue.market
    try:
        if start_ms is None:
            bars = market.bars_until(symbol, interval, end_ms, rows, now_ms)
        else:
            bars = market.bars_from(symbol, interval, start_ms, end_ms, rows, now_ms)
    except intervals.UnsupportedInterval:
        raise parameters.invalid_interval() from None
    return _kline_rows(bars, listing, interval)


def _kline_rows(bars: Bars, listing: Listing, interval: str) -> list[list[Json]]:
    price, quantity = listing.price_text, listing.quantity_text
    rows = []
    for open_ms, column in zip(bars.open_time.tolist(), bars.columns.T.tolist(), strict=True):
        first, high, low, last, volume, quote, trades, taker_volume, taker_quote = column
        rows.append(
            [
                open_ms,
                price(first),
                price(high),
                price(low),
                price(last),
                quantity(volume),
                intervals.shift(interval, open_ms, 1) - 1,
                quote_text(quote),
                trades,
                quantity(taker_volume),
                quote_text(taker_quote),
                "0",
            ]
        )
    return rows


def _ticker_prices(venue: Binance, query: Query) -> Json:
    now_ms = venue.clock.now_ms()
    tickers = []
    for listing in venue.chosen(query, now_ms):
        ticks = venue.market.price(listing.symbol, now_ms)
        tickers.append({"symbol": listing.symbol, "price": listing.price_text(ticks)})
    return tickers[0] if "symbol" in query else tickers


def _tickers_of_the_day(venue: Binance, query: Query) -> Json:
    now_ms = venue.clock.now_ms()
    render = _mini_ticker if parameters.wants_mini_tickers(query) else _full_ticker
    tickers = [
        render(listing, venue.market.rolling_day(listing.symbol, now_ms))
        for listing in venue.chosen(query, now_ms)
    ]
    return tickers[0] if "symbol" in query else tickers


def _mini_ticker(listing: Listing, day: RollingDay) -> dict[str, Json]:
    return {
        "symbol": listing.symbol,
        "openPrice": listing.price_text(day.open),
        "highPrice": listing.price_text(day.high),
        "lowPrice": listing.price_text(day.low),
        "lastPrice": listing.price_text(day.last),
        "volume": listing.quantity_text(day.volume),
        "quoteVolume": quote_text(day.quote_volume),
        "openTime": day.open_time,
        "closeTime": day.close_time,
        "firstId": 0,
        "lastId": day.trades,
        "count": day.trades,
    }


def _full_ticker(listing: Listing, day: RollingDay) -> dict[str, Json]:
    bid, ask = best_prices(day.last)
    return _mini_ticker(listing, day) | {
        **change_texts(listing, day),
        "weightedAvgPrice": average_price_text(listing, day),
        "prevClosePrice": listing.price_text(day.open),
        "lastQty": listing.quantity_text(1),
        "bidPrice": listing.price_text(bid),
        "bidQty": listing.quantity_text(1),
        "askPrice": listing.price_text(ask),
        "askQty": listing.quantity_text(1),
    }


def change_texts(listing: Listing, day: RollingDay) -> dict[str, str]:
    """How far the price has moved in the day, and in percent."""
    if day.last == NOT_A_NUMBER:
        return {"priceChange": "NaN", "priceChangePercent": "NaN"}
    change = day.last - day.open
    return {
        "priceChange": listing.price_text(change),
        "priceChangePercent": f"{100 * change / day.open:.3f}",
    }


def average_price_text(listing: Listing, day: RollingDay) -> str:
    """The day's turnover by its volume; the last price if nothing was traded."""
    quantity = day.volume / 10**listing.quantity_decimals
    quote = day.quote_volume / 10**QUOTE_DECIMALS
    return f"{quote / quantity:.8f}" if quantity and quote else listing.price_text(day.last)


def _depth(venue: Binance, query: Query) -> Json:
    now_ms = venue.clock.now_ms()
    symbol = parameters.required_symbol(query)
    levels = parameters.limit(query, default=100, largest=5000)
    listing = venue.listing(symbol, now_ms)
    bids, asks = order_book(listing, venue.market.price(symbol, now_ms), now_ms, levels)

    def text(side: list[tuple[int, int]]) -> list[list[str]]:
        return [[listing.price_text(price), listing.quantity_text(lots)] for price, lots in side]

    return {"lastUpdateId": now_ms, "bids": text(bids), "asks": text(asks)}


def quote_text(units: int) -> str:
    """An amount of the quote asset with 8 decimals."""
    return fixed_point_text(units, QUOTE_DECIMALS)


# ------------------------------------------------------------------------------------ weights


def _constant(weight: int) -> Callable[[Query], int]:
    return lambda query: weight


def _weigh_price(query: Query) -> int:
    return 2 if "symbol" in query else 4


def _weigh_day(query: Query) -> int:
    if "symbol" in query:
        return 2
    if "symbols" not in query:
        return 80
    count = query["symbols"].count(",") + 1
    return 2 if count <= 20 else 40 if count <= 100 else 80


def _weigh_depth(query: Query) -> int:
    text = query.get("limit", "")
    levels = int(text) if text.isascii() and text.isdigit() else 100
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250


_SYMBOLS = frozenset({"symbol", "symbols"})
_RANGE = frozenset({"symbol", "interval", "startTime", "endTime", "limit"})

ENDPOINTS = (
    Endpoint("ping", frozenset(), _constant(1), _ping),
    Endpoint("time", frozenset(), _constant(1), _time),
    Endpoint("exchangeInfo", _SYMBOLS, _constant(20), _exchange_information),
    Endpoint("klines", _RANGE, _constant(2), _klines),
    Endpoint("ticker/price", _SYMBOLS, _weigh_price, _ticker_prices),
    Endpoint("ticker/24hr", _SYMBOLS | {"type"}, _weigh_day, _tickers_of_the_day),
    Endpoint("depth", frozenset({"symbol", "limit"}), _weigh_depth, _depth),
)
