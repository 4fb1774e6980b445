"""MarketDataFetcher: the unmodified SDK against the simulated CoinGecko, and every kind of failure."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
import responses
from scripted_venue import ScriptedVenue
from source_cases import COINGECKO_QUESTIONS, assert_no_key_in

from clock import ManualClock
from errors import (
    InvalidInput,
    SourceBadAnswer,
    SourceError,
    SourceRateLimited,
    SourceRefused,
    SourceUnavailable,
)
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from market_data import CoinListing, MarketDataFetcher

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatorServer]:
    """An exchange that allows as many requests as a test makes."""
    market, clock = GeneratedMarket(seed=7), ManualClock(NOW_MS)
    with SimulatorServer(market, clock, coingecko_limit=10**9) as server:
        yield server


@pytest.fixture
def fetcher(exchange: SimulatorServer) -> Iterator[MarketDataFetcher]:
    fetcher = MarketDataFetcher(base_url=exchange.coingecko_url, clock=exchange.clock)
    yield fetcher
    fetcher.close()


# ---------------------------------------------------------------------------- coins and prices


def test_prices_are_those_of_the_market_in_one_call(
    exchange: SimulatorServer, fetcher: MarketDataFetcher
):
    prices = fetcher.prices(["bitcoin", "pepe", "tether", "bitcoin"])
    assert set(prices) == {"bitcoin", "pepe", "tether"}
    binance = f"{exchange.url}/api/v3/ticker/24hr?symbol="
    for coin_id, symbol in (("bitcoin", "BTCUSDT"), ("pepe", "PEPEUSDT")):
        said = requests.get(binance + symbol, timeout=5).json()
        assert prices[coin_id].price == Decimal(said["lastPrice"])
        assert prices[coin_id].change_24h == pytest.approx(
            float(said["priceChangePercent"]), abs=0.001
        )
        assert (prices[coin_id].symbol, prices[coin_id].source) == (coin_id, "coingecko")
        assert prices[coin_id].time_ms == NOW_MS // 1000 * 1000
    assert prices["tether"].price == 1
    assert fetcher.price("bitcoin") == prices["bitcoin"]
    assert fetcher.prices([]) == {}


def test_unknown_coins_spoil_no_others(fetcher: MarketDataFetcher):
    wanted = ["bitcoin", "no-such-coin", "ethereum,solana", "", "币", "ethereum"]
    assert set(fetcher.prices(wanted)) == {"bitcoin", "ethereum"}
    for coin_id in wanted[1:-1]:
        with pytest.raises(SourceRefused) as refused:
            fetcher.price(coin_id)
        assert refused.value.code == "unknown_symbol"


def test_many_prices_are_250_a_call(venue: ScriptedVenue, asking: MarketDataFetcher):
    venue.says({f"coin-{number}": quote(1 + number) for number in range(600)})
    prices = asking.prices([f"coin-{number}" for number in range(600)])
    assert len(venue.paths) == 3
    assert prices["coin-599"].price == 600


def test_a_coin_is_found_by_name_and_by_symbol(fetcher: MarketDataFetcher):
    uniswap = CoinListing("UNI", "Uniswap", "uniswap", 23)
    assert fetcher.search("uniswap") == [uniswap]
    assert uniswap in fetcher.search(" UNI ")
    same_symbol = fetcher.search("btc")
    assert [(coin.coingecko_id, coin.market_cap_rank) for coin in same_symbol] == [
        ("bitcoin", 1),
        ("batcat", None),
    ]
    assert fetcher.search("no such coin & page=2") == []
    assert fetcher.search("  ") == []


def test_the_largest_coins_come_in_order(fetcher: MarketDataFetcher):
    largest = fetcher.top(100)
    assert [coin.market_cap_rank for coin in largest] == list(range(1, 101))
    assert [coin.symbol for coin in largest[:6]] == ["BTC", "ETH", "USDT", "BNB", "SOL", "USDC"]
    everything = fetcher.top(1000)
    assert everything[:100] == largest
    assert len({coin.coingecko_id for coin in everything}) == len(everything) > 110
    assert everything[-1].market_cap_rank is None
    with pytest.raises(InvalidInput):
        fetcher.top(0)


def test_several_pages_of_coins_are_put_together(exchange: SimulatorServer):
    """A coin that changed places between two calls is there once."""

    def row(rank: int) -> dict[str, Any]:
        return {"id": f"c{rank}", "symbol": "c", "name": "C", "market_cap_rank": rank}

    url = "https://api.coingecko.com/api/v3/coins/markets"
    with responses.RequestsMock() as network:
        network.get(url, json=[row(rank) for rank in range(1, 251)])
        network.get(url, json=[row(rank) for rank in range(250, 401)])
        coins = MarketDataFetcher(clock=exchange.clock).top(300)
        assert [call.request.params["page"] for call in network.calls] == ["1", "2"]
    assert [coin.market_cap_rank for coin in coins] == list(range(1, 301))


def test_the_ranks_of_known_coins(fetcher: MarketDataFetcher):
    found = fetcher.markets(["solana", "batcat", "no-such-coin", "avalanche-2", "a,b"])
    assert list(found) == ["solana", "batcat", "avalanche-2"]
    assert found["solana"] == CoinListing("SOL", "Solana", "solana", 5)
    assert found["batcat"].market_cap_rank is None
    assert fetcher.markets([]) == {}


def test_too_many_requests_are_a_rate_limit_with_the_seconds_to_wait():
    market, clock = GeneratedMarket(seed=7), ManualClock(NOW_MS)
    with SimulatorServer(market, clock, coingecko_limit=2) as server:
        fetcher = MarketDataFetcher(base_url=server.coingecko_url, clock=clock)
        searches = (fetcher.search("pepe") for _ in range(6))  # the minute may turn in between
        with pytest.raises(SourceRateLimited) as limited:
            list(searches)
        assert limited.value.retry_after is not None
        assert 0 < limited.value.retry_after <= 60


def test_construction_touches_no_network():
    with responses.RequestsMock() as network:
        MarketDataFetcher(clock=ManualClock(NOW_MS)).close()
        MarketDataFetcher("key", clock=ManualClock(NOW_MS)).close()
        assert len(network.calls) == 0


# ----------------------------------------------------------------------------------- failures


@pytest.fixture
def asking(venue: ScriptedVenue) -> MarketDataFetcher:
    return MarketDataFetcher("sesame", base_url=venue.url, clock=ManualClock(NOW_MS))


def quote(price: Any = 64000.1, **changes: Any) -> dict[str, Any]:
    fields = {"usd": price, "usd_24h_change": -1.25, "last_updated_at": NOW_MS // 1000}
    return fields | changes


HTML = b"<html><body>Service unavailable</body></html>"
LIMIT = {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}
NO_KEY = {"status": {"error_code": 10002, "error_message": "API Key Missing: sesame"}}
LIMITED, REFUSED, OUT, BAD = SourceRateLimited, SourceRefused, SourceUnavailable, SourceBadAnswer
REFUSALS: dict[str, tuple[int, Any, type[SourceError], str]] = {
    "429": (429, LIMIT, LIMITED, "source_rate_limited"),
    "429 html": (429, HTML, LIMITED, "source_rate_limited"),
    "200 limit": (200, LIMIT, LIMITED, "source_rate_limited"),
    "451": (451, HTML, REFUSED, "geo_blocked"),
    "403 html": (403, HTML, REFUSED, "geo_blocked"),
    "401": (401, NO_KEY, REFUSED, "bad_key"),
    "401 html": (401, HTML, REFUSED, "bad_key"),
    "400 key": (400, NO_KEY, REFUSED, "bad_key"),
    "404": (404, {"error": "coin not found"}, REFUSED, "unknown_symbol"),
    "422": (422, {"error": "Missing parameter, ?key=sesame"}, REFUSED, "source_refused"),
    "500": (500, {"error": "Internal Server Error"}, OUT, "source_unavailable"),
    "502 html": (502, HTML, OUT, "source_unavailable"),
    "503 list": (503, ["down"], OUT, "source_unavailable"),
    "400 list": (400, [1, 2], BAD, "source_bad_answer"),
    "404 html": (404, HTML, BAD, "source_bad_answer"),
    "200 error": (200, {"error": "sesame"}, BAD, "source_bad_answer"),
    "200 html": (200, HTML, BAD, "source_bad_answer"),
    "200 empty": (200, b"", BAD, "source_bad_answer"),
    "200 null": (200, None, BAD, "source_bad_answer"),
    "200 number": (200, 17, BAD, "source_bad_answer"),
    "200 text": (200, "ok", BAD, "source_bad_answer"),
    "200 truncated": (200, b'{"bitcoin": {"us', BAD, "source_bad_answer"),
    "200 bytes": (200, bytes(range(256)), BAD, "source_bad_answer"),
    "200 deep": (200, b"[" * 100_000, BAD, "source_bad_answer"),
    "204": (204, b"", BAD, "source_bad_answer"),
    "304": (304, b"", BAD, "source_bad_answer"),
}


@pytest.mark.parametrize(
    ("status", "body", "error", "code"), REFUSALS.values(), ids=REFUSALS.keys()
)
def test_every_bad_answer_is_a_typed_error(
    venue: ScriptedVenue,
    asking: MarketDataFetcher,
    status: int,
    body: Any,
    error: type[SourceError],
    code: str,
):
    venue.says(body, status)
    for name, question in COINGECKO_QUESTIONS.items():
        with pytest.raises(error) as raised:
            question(asking)
        assert (name, type(raised.value), raised.value.code) == (name, error, code)
        assert raised.value.message.startswith("CoinGecko")
        assert_no_key_in(raised.value)


@pytest.mark.parametrize(
    ("body", "questions"),
    [
        ({}, ["search"]),
        ([], ["search", "prices", "top"]),
        ({"coins": {}}, ["search", "top", "markets"]),
        ({"coins": [None, {}, {"id": 1}]}, ["search"]),
        ([None, {}, "x", {"id": "a", "symbol": "", "name": "b"}], ["top", "markets"]),
        ([{"id": "a", "symbol": "b", "name": "c", "market_cap_rank": "1"}], ["top", "markets"]),
        ([{"id": "a", "symbol": "b", "name": "c", "market_cap_rank": True}], ["top", "markets"]),
        ([{"id": "a", "symbol": "b", "name": "c", "market_cap_rank": 0}], ["top", "markets"]),
    ],
)
def test_a_wrong_shape_is_a_bad_answer(
    venue: ScriptedVenue, asking: MarketDataFetcher, body: Any, questions: list[str]
):
    venue.says(body)
    for name in questions:
        with pytest.raises(SourceBadAnswer):
            COINGECKO_QUESTIONS[name](asking)


def test_the_key_is_sent_as_its_host_wants_it(venue: ScriptedVenue, asking: MarketDataFetcher):
    venue.says({"bitcoin": quote()})
    asking.price("bitcoin")
    assert "x_cg_demo_api_key=sesame" in venue.paths[0]
    pro = "https://pro-api.coingecko.com"
    with responses.RequestsMock() as network:
        network.get(f"{pro}/api/v3/simple/price", json={"bitcoin": quote()})
        MarketDataFetcher("sesame", base_url=pro, clock=ManualClock(NOW_MS)).price("bitcoin")
        assert network.calls[0].request.params["x_cg_pro_api_key"] == "sesame"
    for key in ("clé", "a\nb"):
        with pytest.raises(InvalidInput):
            MarketDataFetcher(key, clock=ManualClock(NOW_MS))


# ------------------------------------------------------------------- sound answers, and unsound

UNSOUND = {
    "zero": quote(0),
    "negative": quote(-1.0),
    "text": quote("64000.1"),
    "none": quote(None),
    "true": quote(True),
    "no time": quote(last_updated_at=None),
    "time is text": quote(last_updated_at=str(NOW_MS // 1000)),
    "time is endless": quote(last_updated_at=10**30),
    "of an hour ago": quote(last_updated_at=NOW_MS // 1000 - 3600),
    "no row": 64000.1,
    "empty": {},
}


@pytest.mark.parametrize("row", UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_price_is_dropped_and_counted(
    venue: ScriptedVenue, asking: MarketDataFetcher, row: Any
):
    venue.says({"bitcoin": row, "ethereum": quote(3000.5)})
    prices = asking.prices(["bitcoin", "ethereum"])
    assert {coin_id: ticker.price for coin_id, ticker in prices.items()} == {
        "ethereum": Decimal("3000.5")
    }
    assert asking.dropped_rows == 1
    with pytest.raises(SourceBadAnswer):
        asking.price("bitcoin")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_none_is_dropped(
    venue: ScriptedVenue, asking: MarketDataFetcher, text: str
):
    venue.says(f'{{"bitcoin": {{"usd": {text}, "last_updated_at": {NOW_MS // 1000}}}}}'.encode())
    with pytest.raises(SourceBadAnswer):
        asking.price("bitcoin")


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("64000.1", "64000.1"),
        ("1.2e-05", "0.000012"),
        ("64000", "64000"),
        ("0.00000000123456789012345", "0.00000000123456789012345"),
    ],
)
def test_a_price_is_the_number_that_was_written(
    venue: ScriptedVenue, asking: MarketDataFetcher, text: str, price: str
):
    venue.says(f'{{"bitcoin": {{"usd": {text}, "last_updated_at": {NOW_MS // 1000}}}}}'.encode())
    assert asking.price("bitcoin").price == Decimal(price)
    assert asking.price("bitcoin").change_24h is None


def test_an_unsound_listing_is_dropped_and_counted(venue: ScriptedVenue, asking: MarketDataFetcher):
    good = {"id": "pepe", "symbol": "pepe", "name": "Pepe", "market_cap_rank": None}
    venue.says({"coins": [good, {"id": "x"}, good, None]})
    assert asking.search("pepe") == [CoinListing("PEPE", "Pepe", "pepe", None)]
    assert asking.dropped_rows == 3
