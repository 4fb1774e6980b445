"""The routing under each fault of the first venue: the next good price is there in time.

The market stands still, so that every price that is not the right one is seen to be wrong.
"""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from new_database import new_database

from binance_fetcher import BinanceDataFetcher, weight_limiter
from clock import ManualClock
from data_aggregator import MultiSourceDataAggregator
from domain import HOUR_MS, Interval
from errors import SourceUnavailable
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from market_data import MarketDataFetcher, request_limiter
from okx_fetcher import OKXDataFetcher, endpoint_limiter
from repositories import coins

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
COINS = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LINK", "AVAX", "LTC", "DOT")
CLOSE_ENOUGH = Decimal("0.005")  # what the venues' prices are apart anyway

OUTAGES: list[tuple[str, dict[str, Any]]] = [
    ("down", {"how": "page"}),
    ("down", {"how": "reset"}),
    ("slow", {"seconds": 3}),
    ("429", {"retry_after": 30}),
    ("418", {"retry_after": 90}),
    ("451", {}),
    ("403", {}),
    ("garbage", {}),
    ("truncated", {"share": 0.5}),
]
WRONG_PRICES: list[tuple[str, dict[str, Any]]] = [
    ("zero_price", {"every": 1}),
    ("negative_price", {"every": 1}),
    ("nan_price", {"every": 1}),
    ("zero_price", {"every": 3}),
    ("spike", {"percent": 50}),
    ("spike", {"percent": -60}),
    ("drift", {"percent": 3}),
    ("clock_skew", {"seconds": -3600}),
    ("wrong_order", {}),
    ("duplicates", {}),
]


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture(scope="module")
def exchange(clock: ManualClock) -> Iterator[SimulatorServer]:
    limits = {"okx_limit_factor": 10**6, "weight_limit": 10**9, "coingecko_limit": 10**6}
    with SimulatorServer(GeneratedMarket(seed=7), clock, **limits) as server:
        yield server


@pytest.fixture
def wall() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def aggregator(
    exchange: SimulatorServer, clock: ManualClock, wall: ManualClock, tmp_path: Path
) -> Iterator[MultiSourceDataAggregator]:
    database = new_database(tmp_path / "trading.db", clock)
    venues = {
        "binance": BinanceDataFetcher(
            base_url=exchange.url, clock=clock, limiter=weight_limiter(5400, wall)
        ),
        "okx": OKXDataFetcher(domain=exchange.url, clock=clock, limiter=endpoint_limiter(20, wall)),
    }
    coingecko = MarketDataFetcher(
        base_url=exchange.coingecko_url, clock=clock, limiter=request_limiter(25, wall)
    )
    yield MultiSourceDataAggregator(
        database,
        venues,
        {"price": [*venues, "coingecko"], "klines": list(venues), "depth": list(venues)},
        clock,
        wall_clock=wall,
        price_sources={"coingecko": coingecko},
        budget_seconds=1.2,
    )
    exchange.faults.clear()
    database.close()


def prices(aggregator: MultiSourceDataAggregator, wall: ManualClock) -> dict[str, Decimal]:
    """A poll, two seconds after the last; it takes no longer than its budget."""
    wall.set(wall.now_ms() + 2000)
    began = time.monotonic()
    known = aggregator.get_prices(COINS, 1.0)
    assert time.monotonic() - began < 2
    return {coin: price.ticker.price for coin, price in known.items()}


def wrong(found: dict[str, Decimal], right: dict[str, Decimal]) -> list[str]:
    return [coin for coin, price in found.items() if abs(price / right[coin] - 1) > CLOSE_ENOUGH]


@pytest.mark.parametrize(("fault", "params"), [*OUTAGES, *WRONG_PRICES])
def test_with_another_source_up_every_price_is_there_and_right(
    aggregator: MultiSourceDataAggregator, exchange: SimulatorServer, wall: ManualClock,
    fault: str, params: dict[str, Any],
):  # fmt: skip
    right = prices(aggregator, wall)
    assert len(right) == len(COINS)
    aggregator.compare_prices()
    exchange.faults.switch_on("binance", fault, **params)
    for _ in range(3):
        found = prices(aggregator, wall)
        assert len(found) == len(COINS)
        assert wrong(found, right) == []
    exchange.faults.clear()
    wall.set(wall.now_ms() + 120_000)
    assert len(prices(aggregator, wall)) == len(COINS)
    aggregator.compare_prices()
    prices(aggregator, wall)
    back = aggregator.sources()[0]
    assert (back.state, back.quarantined) == ("up", [])
    assert {p.ticker.source for p in aggregator.get_prices(COINS, 1.0).values()} == {"binance"}


@pytest.mark.parametrize(("fault", "params"), OUTAGES)
def test_with_no_source_up_nothing_is_made_up_and_candles_are_as_stored(
    aggregator: MultiSourceDataAggregator, exchange: SimulatorServer, wall: ManualClock,
    clock: ManualClock, fault: str, params: dict[str, Any],
):  # fmt: skip
    right = prices(aggregator, wall)
    stored = aggregator.get_klines("BTC", Interval.H1, limit=5).series
    exchange.faults.switch_on("all", fault, **params)
    wall.set(wall.now_ms() + 60_000)
    with pytest.raises(SourceUnavailable) as out:
        aggregator.get_prices(COINS)
    for venue in ("Binance", "OKX", "CoinGecko"):
        assert venue.lower() in out.value.message.lower()
    stale = aggregator.get_prices(COINS, stale_seconds=900)
    assert {coin: price.ticker.price for coin, price in stale.items()} == right
    assert all(price.ticker.stale for price in stale.values())
    clock.set(NOW_MS + HOUR_MS)
    try:
        answer = aggregator.get_klines("BTC", Interval.H1, limit=5)
    finally:
        clock.set(NOW_MS)
    assert (answer.stale, list(answer.series)) == (True, list(stored))


def test_a_refresh_of_a_hundred_coins_is_one_call_to_each_source_that_is_needed(
    aggregator: MultiSourceDataAggregator, exchange: SimulatorServer, wall: ManualClock
):
    """Also when fifty ask at once."""
    database = aggregator._database
    symbols = [coin.symbol for coin in coins.list_coins(database.connection)]
    assert len(symbols) > 100
    before = requests_by_venue(exchange)

    def ask(_: int) -> int:
        try:
            return len(aggregator.get_prices(symbols, 1.0))
        finally:
            database.close()

    for _ in range(3):  # the second and third time with prices alone, which weigh less
        wall.set(wall.now_ms() + 12_000)
        with ThreadPoolExecutor(50) as threads:
            priced = list(threads.map(ask, range(50)))
        assert min(priced) > 100
    after = requests_by_venue(exchange)
    # CoinGecko for what no exchange lists; OKX for what Binance does not.
    assert after - before == Counter(binance=3, okx=3, coingecko=3)


def requests_by_venue(exchange: SimulatorServer) -> Counter[str]:
    state = requests.get(f"{exchange.url}/control/state", timeout=5).json()
    return Counter(
        {venue: sum(seen["requests"].values()) for venue, seen in state["traffic"].items()}
    )
