"""CoinGecko's REST interface as the simulator speaks it: coins, ranks, prices, its limit."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clock import ManualClock
from exchange_simulator.coins import Profile, known_coins, profile_of
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.market import Listing
from exchange_simulator.server import SimulatorServer

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
ENDPOINTS = ["ping", "coins/list", "search", "coins/markets", "simple/price"]


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatorServer]:
    """An exchange that allows as many requests as a test makes."""
    market, clock = GeneratedMarket(seed=7), ManualClock(NOW_MS)
    with SimulatorServer(market, clock, coingecko_limit=10**9) as server:
        yield server


def get(exchange: SimulatorServer, path: str, **query: object) -> requests.Response:
    url = f"{exchange.coingecko_url}/api/v3/{path}"
    return requests.get(url, params=query, timeout=5)  # type: ignore[arg-type]


def answer(exchange: SimulatorServer, path: str, **query: object) -> Any:
    response = get(exchange, path, **query)
    assert response.status_code == 200, response.text
    return response.json()


def test_ping_and_list(exchange: SimulatorServer):
    assert answer(exchange, "ping") == {"gecko_says": "(V3) To the Moon!"}
    coins = answer(exchange, "coins/list")
    assert {"id": "avalanche-2", "symbol": "avax", "name": "Avalanche"} in coins
    assert len({coin["id"] for coin in coins}) == len(coins) > 110


def test_markets_are_pages_by_market_cap(exchange: SimulatorServer):
    first = answer(exchange, "coins/markets", vs_currency="usd", per_page=50, page=1)
    second = answer(exchange, "coins/markets", vs_currency="usd", per_page=50, page=2)
    whole = answer(exchange, "coins/markets", vs_currency="usd", per_page=9999)
    assert first + second == whole[:100]
    assert len(whole) <= 250
    assert [row["market_cap_rank"] for row in first] == list(range(1, 51))
    caps = [row["market_cap"] for row in whole]
    assert caps == sorted(caps, reverse=True)
    assert len(answer(exchange, "coins/markets", vs_currency="usd")) == 100
    assert answer(exchange, "coins/markets", vs_currency="usd", page=99) == []
    bitcoin = first[0]
    binance = requests.get(f"{exchange.url}/api/v3/ticker/24hr?symbol=BTCUSDT", timeout=5).json()
    assert bitcoin["current_price"] == float(binance["lastPrice"])
    assert bitcoin["price_change_percentage_24h"] == pytest.approx(
        float(binance["priceChangePercent"]), abs=0.001
    )
    assert bitcoin["last_updated"] == "2024-06-01T12:34:56.789Z"


def test_markets_of_some_ids_or_a_category(exchange: SimulatorServer):
    query = {"vs_currency": "usd", "price_change_percentage": "24h"}
    rows = answer(exchange, "coins/markets", ids="tether,nonsense,uniswap", **query)
    assert [row["id"] for row in rows] == ["tether", "uniswap"]
    assert all("price_change_percentage_24h_in_currency" in row for row in rows)
    memes = answer(exchange, "coins/markets", vs_currency="usd", category="meme-token")
    assert {"dogecoin", "pepe", "bonk"} <= {row["id"] for row in memes}
    assert "bitcoin" not in {row["id"] for row in memes}
    assert answer(exchange, "coins/markets", vs_currency="usd", category="nonsense") == []


def test_the_ranking_stands_still_while_prices_move():
    def ranking(now_ms: int) -> list[str]:
        with SimulatorServer(GeneratedMarket(seed=7), ManualClock(now_ms)) as exchange:
            rows = answer(exchange, "coins/markets", vs_currency="usd", per_page=250)
            return [row["id"] for row in rows]

    assert ranking(NOW_MS) == ranking(NOW_MS + 50 * 86_400_000)


def test_search_finds_by_name_symbol_and_id_the_largest_first(exchange: SimulatorServer):
    coins = answer(exchange, "search", query="Polygon")["coins"]
    assert [coin["id"] for coin in coins] == ["matic-network", "polygon-ecosystem-token"]
    assert answer(exchange, "search", query="btc")["coins"][0]["id"] == "bitcoin"
    assert answer(exchange, "search", query="nonsense")["coins"] == []


def test_simple_prices(exchange: SimulatorServer):
    query = {"ids": "bitcoin,nonsense,tether", "vs_currencies": "usd"}
    assert set(answer(exchange, "simple/price", **query)) == {"bitcoin", "tether"}
    assert answer(exchange, "simple/price", **query)["tether"] == {"usd": 1.0}
    for name in ("market_cap", "24hr_vol", "24hr_change", "last_updated_at"):
        query[f"include_{name}"] = "true"
    bitcoin = answer(exchange, "simple/price", **query)["bitcoin"]
    assert set(bitcoin) == {
        "usd", "usd_market_cap", "usd_24h_vol", "usd_24h_change", "last_updated_at"
    }  # fmt: skip
    assert bitcoin["last_updated_at"] == NOW_MS // 1000


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("coins/markets", {}, 422),
        ("coins/markets", {"vs_currency": "doubloon"}, 400),
        ("simple/price", {"ids": "bitcoin"}, 422),
        ("simple/price", {"vs_currencies": "usd"}, 422),
    ],
)
def test_a_mistake_says_what_it_is(
    exchange: SimulatorServer, path: str, query: dict[str, str], status: int
):
    response = get(exchange, path, **query)
    assert response.status_code == status
    assert set(response.json()) == {"error"}


def test_beyond_thirty_requests_a_minute_there_is_429_with_the_seconds_to_wait():
    left = 60 - time.time() % 60  # the count starts again with each minute of real time
    if left < 2:
        time.sleep(left)
    with SimulatorServer(GeneratedMarket(seed=7), ManualClock(NOW_MS)) as exchange:
        answers = [get(exchange, "ping") for _ in range(31)]
        assert [response.status_code for response in answers] == [200] * 30 + [429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
        assert answers[-1].json()["status"]["error_code"] == 429


def test_every_coin_of_the_market_has_its_profile():
    profiles = {coin.listing.base: profile_of(coin.listing) for coin in known_coins()}
    assert len(profiles) == 115
    assert len({profile.coingecko_id for profile in profiles.values()}) == 115
    assert all(profile.category and profile.market_cap for profile in profiles.values())
    assert profiles["BTC"].on_okx
    assert not profiles["XMR"].on_okx
    assert (profiles["OKB"].on_binance, profiles["OKB"].on_okx) == (False, True)


def test_a_coin_that_is_not_in_the_table_is_known_by_its_name():
    listing = Listing("NEW", "A New Coin!", 4, 2, listed_ms=0)
    assert profile_of(listing) == Profile("a-new-coin", None, None, on_binance=True, on_okx=True)


WORDS = st.one_of(
    st.sampled_from(["bitcoin", "usd", "24h", "true", "0", "250", "9" * 20]), st.text(max_size=12)
)
NAMES = st.sampled_from(
    ["ids", "vs_currency", "vs_currencies", "query", "page", "per_page", "category", "x"]
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(ENDPOINTS), query=st.dictionaries(NAMES, WORDS, max_size=5))
def test_whatever_is_asked_is_answered_or_refused(
    exchange: SimulatorServer, path: str, query: dict[str, str]
):
    response = get(exchange, path, **query)
    assert response.status_code in (200, 400, 422)
    assert response.status_code == 200 or set(response.json()) == {"error"}
