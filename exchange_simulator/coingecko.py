"""CoinGecko's REST endpoints (v3) over the simulated market: coins, their ranks and prices in USD.

A tether is a dollar here. Market caps stand still, so that the ranking does; coins that no venue
lists are known too, at a price that stands still. `add_coingecko` mounts the endpoints under
`/coingecko`, as a host of its own would be: Binance's paths begin with `/api/v3` as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from domain import Clock
from exchange_simulator.coins import profile_of
from exchange_simulator.market import QUOTE_DECIMALS, Listing, RollingDay
from exchange_simulator.request_weight import RequestWeight
from exchange_simulator.venue_market import VenueMarket

Json = Any
Query = Mapping[str, str]

DEFAULT_LIMIT = 30  # requests a minute
COINS_A_PAGE = 250
CATEGORIES = {
    "layer-1": "Layer1",
    "layer-2": "Layer2",
    "decentralized-finance-defi": "DeFi",
    "meme-token": "Meme",
    "stablecoins": "Stablecoins",
}

# Coins without a market here: symbol, name, id, category, market cap in millions of USD (none of
# an obscure one), price. The last shares its symbol with Bitcoin, as on the real CoinGecko.
_UNTRADED = """
USDT|Tether|tether|Stablecoins|112000|1
DAI|Dai|dai|Stablecoins|5300|1
LEO|LEO Token|leo-token|Exchange|5480|5.91
KCS|KuCoin|kucoin-shares|Exchange|985|10.2
BTC|batcat|batcat|Meme||0.000031
"""


class CoinGeckoError(Exception):
    """A refusal: `{"error": …}` with an HTTP status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class GeckoCoin:
    """A coin as CoinGecko knows it; `listing` is its market, if it has one."""

    id: str
    symbol: str
    name: str
    category: str | None
    market_cap: int | None
    listing: Listing | None = None
    fixed_price: float = math.nan


@dataclass(frozen=True, slots=True)
class Quote:
    """A coin's price in USD and its last 24 hours."""

    price: float
    open: float
    high: float
    low: float
    turnover: float
    time_ms: int

    @property
    def change(self) -> float:
        """Of 24 hours, in USD."""
        return self.price - self.open

    @property
    def change_percentage(self) -> float:
        """Of 24 hours, in percent."""
        return 100 * self.change / self.open


class CoinGecko:
    """The venue: a market, the clock it is seen by, and the requests of this minute."""

    def __init__(self, market: VenueMarket, clock: Clock, requests: RequestWeight):
        self.market = market
        self.clock = clock
        self.requests = requests

    def coins(self) -> list[GeckoCoin]:
        """Every coin, the largest market cap first, those without one last."""
        listings = self.market.listings(self.clock.now_ms()).values()
        known = [*map(_of_listing, listings), *_untraded()]
        return sorted(known, key=lambda coin: -(coin.market_cap or 0))

    def quote(self, coin: GeckoCoin) -> Quote:
        """The price of a coin now."""
        now_ms = self.clock.now_ms()
        if coin.listing is None:
            stamp_ms = self.market.stamp_ms(now_ms)
            price = coin.fixed_price
            return Quote(price, price, price, price, 0.0, stamp_ms)
        day = self.market.rolling_day(coin.listing.symbol, now_ms)
        return _quote_of(coin.listing, day)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A GET endpoint: where it is, and what it answers."""

    path: str
    answer: Callable[[CoinGecko, Query], Json]


def add_coingecko(app: web.Application, venue: CoinGecko) -> None:
    """Mount the endpoints under `/coingecko/api/v3`."""
    for endpoint in ENDPOINTS:
        app.router.add_get(f"/coingecko/api/v3/{endpoint.path}", _handler(venue, endpoint))


def _handler(venue: CoinGecko, endpoint: Endpoint) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        if not venue.requests.add(1):
            status = {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}
            headers = {"Retry-After": str(venue.requests.seconds_left())}
            return web.json_response({"status": status}, status=429, headers=headers)
        try:
            return web.json_response(endpoint.answer(venue, request.query))
        except CoinGeckoError as error:
            return web.json_response({"error": error.message}, status=error.status)

    return handle


def _of_listing(listing: Listing) -> GeckoCoin:
    profile = profile_of(listing)
    return GeckoCoin(
        profile.coingecko_id,
        listing.base,
        listing.name,
        profile.category,
        profile.market_cap,
        listing,
    )


def _untraded() -> Iterable[GeckoCoin]:
    for line in filter(None, _UNTRADED.split("\n")):
        symbol, name, coin_id, category, millions, price = line.split("|")
        market_cap = int(millions) * 1_000_000 if millions else None
        yield GeckoCoin(coin_id, symbol, name, category, market_cap, fixed_price=float(price))


def _quote_of(listing: Listing, day: RollingDay) -> Quote:
    return Quote(
        price=listing.price_float(day.last),
        open=listing.price_float(day.open),
        high=listing.price_float(day.high),
        low=listing.price_float(day.low),
        turnover=day.quote_volume / 10**QUOTE_DECIMALS,
        time_ms=day.close_time,
    )


# ------------------------------------------------------------------------------------ answers


def _ping(venue: CoinGecko, query: Query) -> Json:
    return {"gecko_says": "(V3) To the Moon!"}


def _coins_list(venue: CoinGecko, query: Query) -> Json:
    return [
        {"id": coin.id, "symbol": coin.symbol.lower(), "name": coin.name} for coin in venue.coins()
    ]


def _search(venue: CoinGecko, query: Query) -> Json:
    """Coins whose name, symbol or id holds the words of `query`, the largest first."""
    words = query.get("query", "").strip().lower()
    found = [
        {
            "id": coin.id,
            "name": coin.name,
            "api_symbol": coin.id,
            "symbol": coin.symbol,
            "market_cap_rank": rank,
            "thumb": "",
            "large": "",
        }
        for coin, rank in _ranked(venue.coins())
        if any(words in text.lower() for text in (coin.name, coin.symbol, coin.id))
    ]
    return {"coins": found, "exchanges": [], "icos": [], "categories": [], "nfts": []}


def _coins_markets(venue: CoinGecko, query: Query) -> Json:
    _check_currency(query, "vs_currency")
    chosen = list(_ranked(venue.coins()))
    if "ids" in query:
        ids = set(_listed(query, "ids"))
        chosen = [(coin, rank) for coin, rank in chosen if coin.id in ids]
    if "category" in query:
        category = CATEGORIES.get(query["category"])
        chosen = [(coin, rank) for coin, rank in chosen if category and coin.category == category]
    size = min(_number(query, "per_page", 100), COINS_A_PAGE)
    first = (_number(query, "page", 1) - 1) * size
    with_change = "24h" in _listed(query, "price_change_percentage")
    return [
        _market_row(venue, coin, rank, with_change) for coin, rank in chosen[first : first + size]
    ]


def _market_row(
    venue: CoinGecko, coin: GeckoCoin, rank: int | None, with_change: bool
) -> dict[str, Json]:
    quote = venue.quote(coin)
    row: dict[str, Json] = {
        "id": coin.id,
        "symbol": coin.symbol.lower(),
        "name": coin.name,
        "image": "",
        "current_price": quote.price,
        "market_cap": coin.market_cap or 0,
        "market_cap_rank": rank,
        "total_volume": quote.turnover,
        "high_24h": quote.high,
        "low_24h": quote.low,
        "price_change_24h": quote.change,
        "price_change_percentage_24h": quote.change_percentage,
        "last_updated": _iso_utc(quote.time_ms),
    }
    if with_change:
        row["price_change_percentage_24h_in_currency"] = quote.change_percentage
    return row


def _simple_price(venue: CoinGecko, query: Query) -> Json:
    _check_currency(query, "vs_currencies")
    if not query.get("ids"):
        raise CoinGeckoError(422, "Missing parameter ids")
    ids = set(_listed(query, "ids"))
    prices = {}
    for coin in venue.coins():
        if coin.id not in ids:
            continue
        quote = venue.quote(coin)
        row: dict[str, Json] = {"usd": quote.price}
        if _is_true(query, "include_market_cap"):
            row["usd_market_cap"] = coin.market_cap or 0
        if _is_true(query, "include_24hr_vol"):
            row["usd_24h_vol"] = quote.turnover
        if _is_true(query, "include_24hr_change"):
            row["usd_24h_change"] = quote.change_percentage
        if _is_true(query, "include_last_updated_at"):
            row["last_updated_at"] = quote.time_ms // 1000
        prices[coin.id] = row
    return prices


def _ranked(coins: Sequence[GeckoCoin]) -> Iterable[tuple[GeckoCoin, int | None]]:
    """Coins in order with their ranks; a coin without a market cap has none."""
    for rank, coin in enumerate(coins, start=1):
        yield coin, None if coin.market_cap is None else rank


# --------------------------------------------------------------------------------- parameters


def _check_currency(query: Query, name: str) -> None:
    if not query.get(name):
        raise CoinGeckoError(422, f"Missing parameter {name}")
    if query[name] != "usd":
        raise CoinGeckoError(400, f"invalid {name}")


def _listed(query: Query, name: str) -> list[str]:
    return [word for word in query.get(name, "").split(",") if word]


def _number(query: Query, name: str, default: int) -> int:
    """A whole number ≥ 1; what is none counts as not sent."""
    text = query.get(name, "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return number or default


def _is_true(query: Query, name: str) -> bool:
    return query.get(name) == "true"


def _iso_utc(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


ENDPOINTS = (
    Endpoint("ping", _ping),
    Endpoint("coins/list", _coins_list),
    Endpoint("search", _search),
    Endpoint("coins/markets", _coins_markets),
    Endpoint("simple/price", _simple_price),
)
