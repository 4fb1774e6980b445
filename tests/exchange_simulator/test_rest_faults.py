"""Faults of the venues' REST answers: switched on and off while the exchange runs."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from clock import ManualClock
from exchange_simulator.fault_kinds import EXCHANGE_KINDS, InvalidFault
from exchange_simulator.faults import UnknownFault
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z, a Saturday
MINUTE_MS = 60_000
MINUTE_OF_NOW_MS = NOW_MS - NOW_MS % MINUTE_MS
PATHS = {
    "binance": "/api/v3/ticker/price?symbol=BTCUSDT",
    "okx": "/api/v5/market/ticker?instId=BTC-USDT",
    "coingecko": "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd",
}
UNLIMITED = {"weight_limit": 10**9, "okx_limit_factor": 10**6, "coingecko_limit": 10**9}


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(GeneratedMarket(seed=7), ManualClock(NOW_MS), **UNLIMITED) as server:
        yield server


@pytest.fixture
def exchange(server: SimulatorServer) -> Iterator[SimulatorServer]:
    """Without a fault at the beginning and at the end."""
    yield server
    server.faults.clear()
    assert isinstance(server.clock, ManualClock)
    server.clock.set(NOW_MS)


def get(exchange: SimulatorServer, path: str, timeout: float = 5) -> requests.Response:
    return requests.get(exchange.url + path, timeout=timeout)


def price(exchange: SimulatorServer, venue: str) -> Any:
    content = get(exchange, PATHS[venue]).json()
    if venue == "binance":
        return content["price"]
    return content["data"][0]["last"] if venue == "okx" else content["bitcoin"]["usd"]


def klines(exchange: SimulatorServer, limit: int = 20, interval: str = "1m") -> list[list[Any]]:
    path = f"/api/v3/klines?symbol=BTCUSDT&interval={interval}&limit={limit}"
    rows: list[list[Any]] = get(exchange, path).json()
    return rows


def candles(exchange: SimulatorServer, limit: int = 20) -> list[list[str]]:
    path = f"/api/v5/market/candles?instId=BTC-USDT&limit={limit}"
    rows: list[list[str]] = get(exchange, path).json()["data"]
    return rows


# ---------------------------------------------------------------------------------- no answers


@pytest.mark.parametrize("venue", PATHS)
def test_a_venue_that_is_down_answers_with_a_page(exchange: SimulatorServer, venue: str):
    exchange.faults.switch_on(venue, "down")
    answer = get(exchange, PATHS[venue])
    assert answer.status_code == 503
    assert answer.text.startswith("<html>")
    others = [path for name, path in PATHS.items() if name != venue]
    assert [get(exchange, path).status_code for path in others] == [200, 200]
    exchange.faults.clear()
    assert get(exchange, PATHS[venue]).status_code == 200


def test_a_venue_that_is_down_can_cut_the_connection_or_say_nothing(exchange: SimulatorServer):
    exchange.faults.switch_on("binance", "down", how="reset")
    with pytest.raises(requests.ConnectionError):
        get(exchange, PATHS["binance"])
    exchange.faults.switch_on("okx", "down", how="hang")
    with pytest.raises(requests.ReadTimeout):
        get(exchange, PATHS["okx"], timeout=0.2)


def test_a_slow_answer_is_the_right_one(exchange: SimulatorServer):
    right = price(exchange, "binance")
    exchange.faults.switch_on("all", "slow", seconds=0.2)
    started = time.monotonic()
    assert price(exchange, "binance") == right
    assert 0.2 <= time.monotonic() - started < 2


def test_a_fault_may_be_of_some_endpoints_only(exchange: SimulatorServer):
    exchange.faults.switch_on("binance", "down", endpoints=["klines"])
    assert get(exchange, "/api/v3/klines?symbol=BTCUSDT&interval=1m").status_code == 503
    assert get(exchange, PATHS["binance"]).status_code == 200


def test_a_fault_of_streams_leaves_rest_alone(exchange: SimulatorServer):
    exchange.faults.switch_on("all", "down", channel="stream")
    assert [get(exchange, path).status_code for path in PATHS.values()] == [200, 200, 200]


# ------------------------------------------------------------------------------------ refusals


def test_429_comes_as_each_venue_sends_it(exchange: SimulatorServer):
    exchange.faults.switch_on("all", "429", retry_after=7)
    binance, okx, coingecko = (get(exchange, path) for path in PATHS.values())
    assert [answer.status_code for answer in (binance, okx, coingecko)] == [429, 429, 429]
    assert binance.json()["code"] == -1003
    assert okx.json()["code"] == "50011"
    assert "Retry-After" not in okx.headers
    assert coingecko.json()["status"]["error_code"] == 429
    assert {binance.headers["Retry-After"], coingecko.headers["Retry-After"]} <= {"7", "6"}


def test_a_ban_says_until_when_and_ends_then(exchange: SimulatorServer):
    exchange.faults.switch_on("binance", "418", retry_after=1)
    started = time.time()
    answer = get(exchange, PATHS["binance"])
    assert (answer.status_code, answer.headers["Retry-After"]) == (418, "1")
    until = int(answer.json()["msg"].split("banned until ")[1].split(".")[0]) / 1000
    assert started + 0.5 < until < started + 1.5
    time.sleep(max(until - time.time(), 0) + 0.01)
    assert get(exchange, PATHS["binance"]).status_code == 200
    assert exchange.faults.all_active() == []


def test_who_is_banned_by_the_others_meets_cloudflare(exchange: SimulatorServer):
    exchange.faults.switch_on("all", "418", retry_after=30)
    for venue in ("okx", "coingecko"):
        answer = get(exchange, PATHS[venue])
        assert answer.status_code == 429
        assert "Error 1015" in answer.text
        assert answer.headers["Retry-After"] in ("29", "30")


def test_places_that_a_venue_does_not_serve(exchange: SimulatorServer):
    exchange.faults.switch_on("all", "451")
    answers = [get(exchange, path) for path in PATHS.values()]
    assert [answer.status_code for answer in answers] == [451, 451, 451]
    assert "restricted location" in answers[0].json()["msg"]
    exchange.faults.clear()
    exchange.faults.switch_on("all", "403")
    for path in PATHS.values():
        answer = get(exchange, path)
        assert (answer.status_code, answer.headers["Content-Type"][:9]) == (403, "text/html")


# ------------------------------------------------------------------------------ spoiled answers


@pytest.mark.parametrize("venue", PATHS)
@pytest.mark.parametrize("fault", ["garbage", "truncated"])
def test_an_answer_that_is_no_json(exchange: SimulatorServer, venue: str, fault: str):
    exchange.faults.switch_on(venue, fault)
    answer = get(exchange, PATHS[venue])
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_connection_that_ends_in_the_middle_of_an_answer(exchange: SimulatorServer):
    exchange.faults.switch_on("binance", "truncated", how="connection")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        klines(exchange)


def test_rows_in_a_wrong_order_are_the_same_rows(exchange: SimulatorServer):
    right, right_candles = klines(exchange), candles(exchange)
    exchange.faults.switch_on("all", "wrong_order")
    mixed, mixed_candles = klines(exchange), candles(exchange)
    assert mixed not in (right, right[::-1])
    assert sorted(mixed) == right
    assert mixed_candles != right_candles
    assert sorted(mixed_candles, reverse=True) == right_candles


def test_rows_that_come_twice(exchange: SimulatorServer):
    right = klines(exchange, limit=6)
    exchange.faults.switch_on("binance", "duplicates", every=3)
    assert klines(exchange, limit=6) == [
        right[0], right[0], right[1], right[2], right[3], right[3], right[4], right[5],
    ]  # fmt: skip


# ------------------------------------------------------------------------------ spoiled markets


def test_bars_that_are_missing_are_the_same_ones_in_every_answer(exchange: SimulatorServer):
    right = [row[0] for row in klines(exchange, limit=40)]
    exchange.faults.switch_on("all", "gaps", every=5)
    gappy = [row[0] for row in klines(exchange, limit=20)]
    assert len(gappy) == 20  # a page is as long as it would be
    expected = [time_ms for time_ms in right if time_ms // MINUTE_MS % 5]
    assert gappy == expected[-20:]
    assert [int(row[0]) for row in candles(exchange, limit=20)] == gappy[::-1]


def test_a_gap_may_be_named(exchange: SimulatorServer):
    start_ms, end_ms = MINUTE_OF_NOW_MS - 8 * MINUTE_MS, MINUTE_OF_NOW_MS - 2 * MINUTE_MS
    exchange.faults.switch_on("binance", "gaps", start_ms=start_ms, end_ms=end_ms, symbols=["BTC"])
    times = [row[0] for row in klines(exchange, limit=5)]
    assert [(MINUTE_OF_NOW_MS - time_ms) // MINUTE_MS for time_ms in times] == [10, 9, 2, 1, 0]


@pytest.mark.parametrize(
    ("fault", "text"), [("zero_price", "0.00000000"), ("nan_price", "NaN"), ("negative_price", "-")]
)
def test_prices_that_are_none(exchange: SimulatorServer, fault: str, text: str):
    exchange.faults.switch_on("all", fault, symbols=["BTCUSDT"], every=4)
    assert price(exchange, "binance").startswith(text)
    assert price(exchange, "okx").startswith(text.rstrip("0").rstrip(".") or "0")
    assert not price(exchange, "coingecko") > 0
    day = get(exchange, "/api/v3/ticker/24hr?symbol=BTCUSDT").json()
    assert day["lastPrice"].startswith(text)
    spoiled = [row[0] for row in klines(exchange) if row[4].startswith(text)]
    assert spoiled == [row[0] for row in klines(exchange) if row[0] // MINUTE_MS % 4 == 0] + [
        MINUTE_OF_NOW_MS
    ]
    book = get(exchange, "/api/v3/depth?symbol=BTCUSDT").json()
    assert book["bids"][0][0].startswith(text)
    other = get(exchange, "/api/v3/ticker/price?symbol=ETHUSDT").json()
    assert float(other["price"]) > 0


def test_a_spike_is_in_the_price_and_in_what_has_traded_since(exchange: SimulatorServer):
    assert isinstance(exchange.clock, ManualClock)
    before = klines(exchange, limit=5)
    exchange.faults.switch_on("all", "spike", percent=50, symbols=["BTCUSDT"])
    right = float(before[-1][4])
    assert float(price(exchange, "binance")) == pytest.approx(1.5 * right)
    assert float(price(exchange, "okx")) == pytest.approx(1.5 * right)
    assert price(exchange, "coingecko") == pytest.approx(1.5 * right)
    spiked = klines(exchange, limit=5)
    assert spiked[:4] == before[:4]
    assert spiked[4][1] == before[4][1]  # the open was before
    assert float(spiked[4][2]) == float(spiked[4][4]) == pytest.approx(1.5 * right)
    exchange.clock.set(NOW_MS + 2 * MINUTE_MS)
    later = klines(exchange, limit=2)
    assert all(float(row[3]) > 1.4 * right for row in later)


def test_a_venue_that_drifts_differs_from_the_others_in_all_its_prices(exchange: SimulatorServer):
    right = klines(exchange)
    exchange.faults.switch_on("okx", "drift", percent=3)
    assert klines(exchange) == right
    assert float(price(exchange, "okx")) == pytest.approx(1.03 * float(right[-1][4]))
    for row, true in zip(candles(exchange), right[::-1], strict=True):
        assert [float(text) for text in row[1:5]] == pytest.approx(
            [1.03 * float(text) for text in true[1:5]]
        )


@pytest.mark.parametrize("stamps", ["old", "now"])
def test_a_stale_venue_stands_still(exchange: SimulatorServer, stamps: str):
    assert isinstance(exchange.clock, ManualClock)
    frozen, bars = price(exchange, "binance"), klines(exchange)
    exchange.faults.switch_on("binance", "stale", stamps=stamps)
    exchange.clock.set(NOW_MS + 10 * MINUTE_MS)
    assert price(exchange, "binance") == frozen != price(exchange, "okx")
    assert klines(exchange) == bars
    day = get(exchange, "/api/v3/ticker/24hr?symbol=BTCUSDT").json()
    assert day["lastPrice"] == frozen
    assert day["closeTime"] == (NOW_MS if stamps == "old" else NOW_MS + 10 * MINUTE_MS)


def test_a_clock_that_is_wrong_changes_stamps_and_no_price(exchange: SimulatorServer):
    right = [price(exchange, venue) for venue in PATHS]
    exchange.faults.switch_on("all", "clock_skew", seconds=-90)
    assert [price(exchange, venue) for venue in PATHS] == right
    assert get(exchange, "/api/v3/time").json() == {"serverTime": NOW_MS - 90_000}
    day = get(exchange, "/api/v3/ticker/24hr?symbol=BTCUSDT").json()
    assert day["closeTime"] == NOW_MS - 90_000
    okx = get(exchange, PATHS["okx"]).json()["data"][0]
    assert okx["ts"] == str(NOW_MS - 90_000)


# ------------------------------------------------------------------------------------- control


def test_faults_are_switched_by_the_control_routes(exchange: SimulatorServer):
    address = f"{exchange.url}/control/faults"
    asked = {"venue": "okx", "fault": "spike", "params": {"percent": 10}, "channel": "rest"}
    made = requests.post(address, json=asked | {"seconds": 60}, timeout=5)
    assert made.status_code == 201
    number = made.json()["id"]
    [listed] = requests.get(address, timeout=5).json()
    assert listed | {"since": "", "until": ""} == {
        "id": number, "venue": "okx", "fault": "spike", "channel": "rest",
        "params": {"percent": 10, "symbols": []}, "since": "", "until": "",
    }  # fmt: skip
    assert listed["until"] > listed["since"]
    assert requests.delete(f"{address}/{number}", timeout=5).status_code == 204
    assert requests.delete(f"{address}/{number}", timeout=5).status_code == 404
    requests.post(address, json=asked, timeout=5)
    assert requests.delete(address, timeout=5).status_code == 204
    assert requests.get(address, timeout=5).json() == []


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        [],
        {"venue": "okx"},
        {"venue": "kraken", "fault": "down"},
        {"venue": "okx", "fault": "earthquake"},
        {"venue": "okx", "fault": "down", "channel": "radio"},
        {"venue": "okx", "fault": "socket_drop", "channel": "rest"},
        {"venue": "okx", "fault": "down", "more": 1},
        {"venue": "okx", "fault": "down", "seconds": 0},
        {"venue": "okx", "fault": "down", "seconds": "5"},
        {"venue": "okx", "fault": "down", "params": [1]},
        {"venue": "okx", "fault": "down", "params": {"how": "slowly"}},
        {"venue": "okx", "fault": "slow", "params": {"seconds": -1}},
        {"venue": "okx", "fault": "slow", "params": {"seconds": True}},
        {"venue": "okx", "fault": "spike", "params": {"percents": 5}},
        {"venue": "okx", "fault": "spike", "params": {"symbols": "BTCUSDT"}},
        {"venue": "okx", "fault": "gaps", "params": {"every": 1}},
    ],
)
def test_what_is_no_fault_is_refused(exchange: SimulatorServer, body: object):
    answer = requests.post(f"{exchange.url}/control/faults", json=body, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_input"
    assert exchange.faults.all_active() == []


def test_every_fault_can_be_switched_on_by_its_name_alone(exchange: SimulatorServer):
    for name in EXCHANGE_KINDS:
        exchange.faults.switch_off(exchange.faults.switch_on("all", name))


def test_a_provider_of_its_own_kind_names_its_own_faults(exchange: SimulatorServer):
    with pytest.raises(InvalidFault, match="venue must be one of"):
        exchange.faults.switch_on("forecasts", "rain")
    with pytest.raises(UnknownFault):
        exchange.faults.switch_off(10**9)


# -------------------------------------------------------------------------------------- counts


def state(exchange: SimulatorServer) -> Any:
    return get(exchange, "/control/state").json()


def test_requests_and_answers_are_counted_by_venue():
    with SimulatorServer(GeneratedMarket(7), ManualClock(NOW_MS), **UNLIMITED) as exchange:
        for _ in range(3):
            get(exchange, PATHS["binance"])
        get(exchange, "/api/v3/klines?symbol=BTCUSDT&interval=1m")
        get(exchange, PATHS["okx"])
        exchange.faults.switch_on("okx", "429")
        get(exchange, PATHS["okx"])
        counted = state(exchange)
    binance, okx = counted["traffic"]["binance"], counted["traffic"]["okx"]
    assert binance["requests"] == {"ticker/price": 3, "klines": 1}
    assert binance["statuses"] == {"200": 4}
    assert okx["statuses"] == {"200": 1, "429": 1}
    assert counted["limits"]["binance"]["total"] == 3 * 2 + 2
    assert counted["limits"]["okx"]["market/ticker"]["total"] == 1
    assert [fault["fault"] for fault in counted["faults"]] == ["429"]


def test_limits_turn_by_the_clock_that_they_are_given():
    limit_clock = ManualClock(NOW_MS)
    market, clock = GeneratedMarket(seed=7), ManualClock(NOW_MS)
    options = {"weight_limit": 4, "limit_clock": limit_clock}
    with SimulatorServer(market, clock, **options) as exchange:
        binance = PATHS["binance"]
        assert [get(exchange, binance).status_code for _ in range(3)] == [200, 200, 429]
        limit_clock.set(NOW_MS + MINUTE_MS)
        assert get(exchange, binance).status_code == 200
        statuses = [get(exchange, PATHS["okx"]).status_code for _ in range(21)]
        assert statuses == [200] * 20 + [429]
        limit_clock.set(NOW_MS + MINUTE_MS + 2000)
        assert get(exchange, PATHS["okx"]).status_code == 200


def test_who_goes_on_after_429_is_banned_and_each_time_longer():
    limit_clock = ManualClock(NOW_MS)
    market, clock = GeneratedMarket(seed=7), ManualClock(NOW_MS)
    with SimulatorServer(market, clock, weight_limit=2, limit_clock=limit_clock) as exchange:

        def statuses(count: int) -> list[int]:
            return [get(exchange, PATHS["binance"]).status_code for _ in range(count)]

        assert statuses(13) == [200] + 11 * [429] + [418]
        banned = get(exchange, PATHS["binance"])
        assert banned.headers["Retry-After"] == "120"
        limit_clock.set(NOW_MS + 120_000 - 1)
        assert statuses(1) == [418]
        limit_clock.set(NOW_MS + 120_000)
        assert statuses(13) == [200] + 11 * [429] + [418]
        assert get(exchange, PATHS["binance"]).headers["Retry-After"] == "240"
        counted = state(exchange)["limits"]["binance"]
        assert (counted["bans"], counted["requests_while_banned"]) == (2, 5)
