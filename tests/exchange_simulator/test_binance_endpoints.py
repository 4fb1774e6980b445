"""Binance's REST interface as the simulator speaks it: shapes, limits, weights, error codes."""

import time
from decimal import Decimal
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clock import AcceleratedClock, ManualClock, SystemClock
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer

HOUR_MS = 3_600_000
NOW_MS = 1_717_245_296_789
ENDPOINTS = ["ping", "time", "exchangeInfo", "klines", "ticker/price", "ticker/24hr", "depth"]


def get(simulator: SimulatorServer, path: str, **query: object) -> requests.Response:
    return requests.get(f"{simulator.url}/api/v3/{path}", params=query, timeout=5)  # type: ignore[arg-type]


def answer(simulator: SimulatorServer, path: str, **query: object) -> Any:
    response = get(simulator, path, **query)
    assert response.status_code == 200, response.text
    return response.json()


def is_decimal_text(text: object) -> bool:
    return isinstance(text, str) and Decimal(text).is_finite()


# -------------------------------------------------------------------------------------- shapes


def test_ping_and_time(simulator: SimulatorServer):
    assert answer(simulator, "ping") == {}
    assert answer(simulator, "time") == {"serverTime": NOW_MS}


def test_exchange_information_lists_symbols_with_their_rules(simulator: SimulatorServer):
    everything = answer(simulator, "exchangeInfo")
    assert len(everything["symbols"]) > 100
    one = answer(simulator, "exchangeInfo", symbol="ETHUSDT")["symbols"]
    assert [row["symbol"] for row in one] == ["ETHUSDT"]
    two = answer(simulator, "exchangeInfo", symbols='["ETHUSDT","BTCUSDT"]')["symbols"]
    assert [row["symbol"] for row in two] == ["ETHUSDT", "BTCUSDT"]
    for row in everything["symbols"]:
        kinds = {rule["filterType"] for rule in row["filters"]}
        assert {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"} <= kinds
        assert row["symbol"] == row["baseAsset"] + row["quoteAsset"]
        assert row["status"] == "TRADING"


def test_a_kline_has_binances_twelve_columns(simulator: SimulatorServer):
    rows = answer(simulator, "klines", symbol="BTCUSDT", interval="1h", limit=3)
    assert [row[0] for row in rows] == [
        NOW_MS - NOW_MS % HOUR_MS + i * HOUR_MS for i in (-2, -1, 0)
    ]
    for row in rows:
        assert len(row) == 12
        assert all(map(is_decimal_text, row[1:6]))
        assert row[6] == row[0] + HOUR_MS - 1
        assert is_decimal_text(row[7])
        assert isinstance(row[8], int)
        assert all(map(is_decimal_text, row[9:]))
        first, high, low, last = map(Decimal, row[1:5])
        assert 0 < low <= min(first, last) <= max(first, last) <= high


def test_prices_of_one_several_and_all_agree_with_the_candles(simulator: SimulatorServer):
    one = answer(simulator, "ticker/price", symbol="BTCUSDT")
    several = answer(simulator, "ticker/price", symbols='["ETHUSDT","BTCUSDT"]')
    everything = answer(simulator, "ticker/price")
    assert set(one) == {"symbol", "price"}
    assert several[1] == one
    assert one in everything
    assert len(everything) > 100
    last = answer(simulator, "klines", symbol="BTCUSDT", interval="1d", limit=1)[0]
    assert one["price"] == last[4]


def test_the_ticker_of_the_day_of_one_several_and_all(simulator: SimulatorServer):
    one = answer(simulator, "ticker/24hr", symbol="SOLUSDT")
    several = answer(simulator, "ticker/24hr", symbols='["BTCUSDT","SOLUSDT"]')
    everything = answer(simulator, "ticker/24hr")
    assert several[1] == one
    assert one in everything
    assert one["lastPrice"] == answer(simulator, "ticker/price", symbol="SOLUSDT")["price"]
    change = Decimal(one["lastPrice"]) - Decimal(one["openPrice"])
    assert Decimal(one["priceChange"]) == change
    assert abs(Decimal(one["priceChangePercent"]) - 100 * change / Decimal(one["openPrice"])) < 1
    assert Decimal(one["bidPrice"]) < Decimal(one["askPrice"])
    assert one["closeTime"] == NOW_MS
    mini = answer(simulator, "ticker/24hr", symbol="SOLUSDT", type="MINI")
    assert mini.items() <= one.items()
    assert "priceChange" not in mini


def test_depth_is_ordered_and_a_short_book_begins_a_long_one(simulator: SimulatorServer):
    book = answer(simulator, "depth", symbol="BTCUSDT", limit=5000)
    bids = [Decimal(price) for price, _ in book["bids"]]
    asks = [Decimal(price) for price, _ in book["asks"]]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert bids[0] < asks[0]
    assert len(bids) == len(asks) == 5000
    assert all(Decimal(quantity) > 0 for _, quantity in book["bids"] + book["asks"])
    price = Decimal(answer(simulator, "ticker/price", symbol="BTCUSDT")["price"])
    assert bids[0] <= price <= asks[0]
    short = answer(simulator, "depth", symbol="BTCUSDT", limit=5)
    assert (short["bids"], short["asks"]) == (book["bids"][:5], book["asks"][:5])
    assert len(answer(simulator, "depth", symbol="BTCUSDT")["bids"]) == 100


# ---------------------------------------------------------------------------- pages and ranges


@pytest.mark.parametrize(
    ("limit", "rows"), [(None, 500), (1, 1), (1000, 1000), (1001, 1000), (10**9, 1000)]
)
def test_a_page_of_klines_has_at_most_a_thousand(
    simulator: SimulatorServer, limit: int | None, rows: int
):
    query = {} if limit is None else {"limit": limit}
    assert len(answer(simulator, "klines", symbol="BTCUSDT", interval="1m", **query)) == rows


def test_ranges_are_inclusive_by_open_time_and_start_from_the_start(simulator: SimulatorServer):
    start = NOW_MS - NOW_MS % HOUR_MS - 2000 * HOUR_MS

    def opens(**query: object) -> list[int]:
        rows = answer(simulator, "klines", symbol="BTCUSDT", interval="1h", **query)
        return [(row[0] - start) // HOUR_MS for row in rows]

    assert opens(startTime=start, endTime=start + 2 * HOUR_MS) == [0, 1, 2]
    assert opens(startTime=start + 1, endTime=start + 2 * HOUR_MS - 1) == [1]
    assert opens(startTime=start, limit=3) == [0, 1, 2]
    assert opens(endTime=start, limit=3) == [-2, -1, 0]
    assert opens(startTime=start, endTime=start + 1500 * HOUR_MS, limit=1000)[-1] == 999
    assert opens(startTime=start + HOUR_MS, endTime=start) == []
    assert opens(startTime=NOW_MS + HOUR_MS) == []
    assert opens(startTime=10**19) == []


def test_a_symbol_is_unknown_before_its_listing():
    market, listed = GeneratedMarket(seed=7), 1_679_529_600_000  # ARB, 2023-03-23
    with SimulatorServer(market, ManualClock(listed - 1)) as simulator:
        query = {"symbol": "ARBUSDT", "interval": "1m"}
        assert get(simulator, "klines", **query).json()["code"] == -1121
        simulator.clock.set(listed)
        assert [row[0] for row in answer(simulator, "klines", **query)] == [listed]
        assert answer(simulator, "klines", startTime=0, **query)[0][0] == listed


# ---------------------------------------------------------------------------- weight and limit

WEIGHTS = [
    ("ping", {}, 1),
    ("time", {}, 1),
    ("exchangeInfo", {}, 20),
    ("klines", {"symbol": "BTCUSDT", "interval": "1h"}, 2),
    ("ticker/price", {"symbol": "BTCUSDT"}, 2),
    ("ticker/price", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 4),
    ("ticker/price", {}, 4),
    ("ticker/24hr", {"symbol": "BTCUSDT"}, 2),
    ("ticker/24hr", {"symbols": '["BTCUSDT","ETHUSDT"]'}, 2),
    ("ticker/24hr", {"symbols": str([f"X{i}" for i in range(21)])}, 40),
    ("ticker/24hr", {"symbols": str([f"X{i}" for i in range(101)])}, 80),
    ("ticker/24hr", {}, 80),
    ("depth", {"symbol": "BTCUSDT", "limit": "100"}, 5),
    ("depth", {"symbol": "BTCUSDT", "limit": "500"}, 25),
    ("depth", {"symbol": "BTCUSDT", "limit": "1000"}, 50),
    ("depth", {"symbol": "BTCUSDT", "limit": "5000"}, 250),
]


@pytest.mark.parametrize(("path", "query", "weight"), WEIGHTS)
def test_each_endpoint_has_binances_weight(
    simulator: SimulatorServer, path: str, query: dict[str, str], weight: int
):
    wait_out_the_end_of_a_minute()
    before = int(get(simulator, "ping").headers["X-MBX-USED-WEIGHT-1M"])
    response = get(simulator, path, **query)
    assert int(response.headers["X-MBX-USED-WEIGHT-1M"]) - before == weight
    assert response.headers["Content-Type"].startswith("application/json")


def wait_out_the_end_of_a_minute() -> None:
    """The venue's count starts again with each minute of real time."""
    left = 60 - time.time() % 60
    if left < 1:
        time.sleep(left)


def test_beyond_the_limit_every_answer_is_429_with_the_seconds_to_wait():
    wait_out_the_end_of_a_minute()
    with SimulatorServer(GeneratedMarket(7), ManualClock(NOW_MS), weight_limit=4) as simulator:
        statuses = [get(simulator, "ticker/price", symbol="BTCUSDT").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = get(simulator, "ping")
        assert refused.status_code == 429
        assert refused.json()["code"] == -1003
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["X-MBX-USED-WEIGHT-1M"] == "7"


# -------------------------------------------------------------------------------------- errors

KLINES = {"symbol": "BTCUSDT", "interval": "1h"}
MISTAKES = [
    ("klines", {"interval": "1h"}, -1102),
    ("klines", {"symbol": "BTCUSDT"}, -1102),
    ("klines", KLINES | {"symbol": "NOSUCH"}, -1121),
    ("klines", KLINES | {"symbol": "btcusdt"}, -1100),
    ("klines", KLINES | {"symbol": ""}, -1105),
    ("klines", KLINES | {"symbol": "X" * 21}, -1100),
    ("klines", KLINES | {"interval": "2d"}, -1120),
    ("klines", KLINES | {"interval": "1 h"}, -1100),
    ("klines", KLINES | {"limit": "0"}, -1130),
    ("klines", KLINES | {"limit": "abc"}, -1100),
    ("klines", KLINES | {"limit": "-1"}, -1100),
    ("klines", KLINES | {"limit": "1.5"}, -1100),
    ("klines", KLINES | {"startTime": "1e12"}, -1100),
    ("klines", KLINES | {"startTime": "٣"}, -1100),
    ("klines", KLINES | {"endTime": "9" * 21}, -1100),
    ("klines", KLINES | {"colour": "red"}, -1104),
    ("ping", {"colour": "red"}, -1101),
    ("depth", {}, -1102),
    ("depth", {"symbol": "NOSUCH"}, -1121),
    ("ticker/price", {"symbol": "NOSUCH"}, -1121),
    ("ticker/price", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
    ("ticker/24hr", {"symbols": '["BTCUSDT","NOSUCH"]'}, -1121),
    ("ticker/24hr", {"symbols": '["BTCUSDT","BTCUSDT"]'}, -1151),
    ("ticker/24hr", {"symbols": "[]"}, -1100),
    ("ticker/24hr", {"symbols": "BTCUSDT"}, -1100),
    ("ticker/24hr", {"symbol": "BTCUSDT", "type": "TINY"}, -1139),
    ("exchangeInfo", {"symbol": "NOSUCH"}, -1121),
]


@pytest.mark.parametrize(("path", "query", "code"), MISTAKES)
def test_a_mistake_has_binances_code(
    simulator: SimulatorServer, path: str, query: dict[str, str], code: int
):
    response = get(simulator, path, **query)
    assert response.status_code == 400
    assert response.json()["code"] == code
    assert set(response.json()) == {"code", "msg"}
    assert "X-MBX-USED-WEIGHT-1M" in response.headers


def test_what_is_not_an_endpoint_is_json_too(simulator: SimulatorServer):
    for response in (
        get(simulator, "nothing"),
        requests.post(f"{simulator.url}/api/v3/ping", timeout=5),
    ):
        assert response.status_code in (404, 405)
        assert response.json()["code"] == -1000


WORDS = st.one_of(
    st.sampled_from(["BTCUSDT", "1h", "1M", "0", "1000", '["BTCUSDT"]', str(NOW_MS), "9" * 20]),
    st.text(max_size=12),
)
NAMES = st.sampled_from(
    ["symbol", "symbols", "interval", "limit", "startTime", "endTime", "type", "x"]
)


@pytest.fixture(scope="module")
def limitless():
    with SimulatorServer(
        GeneratedMarket(seed=7), ManualClock(NOW_MS), weight_limit=10**9
    ) as simulator:
        yield simulator


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(ENDPOINTS), query=st.dictionaries(NAMES, WORDS, max_size=5))
def test_whatever_is_asked_is_answered_or_refused_in_binances_form(
    limitless: SimulatorServer, path: str, query: dict[str, str]
):
    response = get(limitless, path, **query)
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert set(response.json()) == {"code", "msg"}
        assert response.json()["code"] < 0


# ------------------------------------------------------------------------------ clock and speed


def test_the_control_routes_tell_the_state_and_set_a_manual_clock():
    with SimulatorServer(GeneratedMarket(seed=7), ManualClock(NOW_MS)) as simulator:
        control = f"{simulator.url}/control"
        state = requests.get(f"{control}/state", timeout=5).json()
        assert (state["now_ms"], state["market"]) == (NOW_MS, "generated")
        assert len(state["symbols"]) > 100
        requests.post(f"{control}/clock", json={"now_ms": NOW_MS + 5}, timeout=5)
        assert answer(simulator, "time") == {"serverTime": NOW_MS + 5}
        for body in ("", "[]", "{}", '{"now_ms": "1"}', '{"now_ms": -1}', '{"now_ms": true}', "{"):
            refused = requests.post(f"{control}/clock", data=body, timeout=5)
            assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
    with SimulatorServer(GeneratedMarket(seed=7), SystemClock()) as simulator:
        refused = requests.post(f"{simulator.url}/control/clock", json={"now_ms": 1}, timeout=5)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


def test_time_runs_as_fast_as_the_clock():
    wall_ms = SystemClock().now_ms()
    with SimulatorServer(
        GeneratedMarket(seed=7), AcceleratedClock(NOW_MS, wall_ms, speed=3600)
    ) as simulator:
        before, wall_before = answer(simulator, "time")["serverTime"], time.time()
        time.sleep(0.3)
        after, wall_after = answer(simulator, "time")["serverTime"], time.time()
        market_seconds = (after - before) / 1000
        assert 0.28 * 3600 < market_seconds < (wall_after - wall_before + 0.02) * 3600


def test_the_market_seen_over_http_is_cold_and_quick():
    with SimulatorServer(GeneratedMarket(seed=13), ManualClock(NOW_MS)) as simulator:
        for path, query in [
            ("ticker/24hr", {}),
            ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1000}),
            ("klines", {"symbol": "ETHUSDT", "interval": "1h", "limit": 1000}),
            ("klines", {"symbol": "SOLUSDT", "interval": "1d", "limit": 1000}),
        ]:
            started = time.perf_counter()
            answer(simulator, path, **query)
            assert time.perf_counter() - started < 1.5  # 0.02 to 0.25 s on an idle core
