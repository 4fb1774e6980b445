"""Faults of the venues' websockets: switched on and off while they are open."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from stream_client import StreamClient, streaming
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from clock import ManualClock
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z, a Saturday
MINUTE_MS = 60_000
MINUTE_OF_NOW_MS = NOW_MS - NOW_MS % MINUTE_MS
OPTIONS = {"pulse_seconds": 0.02, "okx_limit_factor": 10**6}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def exchange(clock: ManualClock) -> Iterator[SimulatorServer]:
    with SimulatorServer(GeneratedMarket(seed=7), clock, **OPTIONS) as server:
        yield server


@pytest.fixture
def ticker(exchange: SimulatorServer) -> Iterator[StreamClient]:
    """A connection that has heard its first ticker of Bitcoin."""
    with streaming(f"{exchange.binance_stream_url}ws/btcusdt@miniTicker") as client:
        client.hear()
        yield client


def price_of_rest(exchange: SimulatorServer) -> float:
    address = f"{exchange.url}/api/v3/ticker/price?symbol=BTCUSDT"
    return float(requests.get(address, timeout=5).json()["price"])


def streams(exchange: SimulatorServer) -> Any:
    state = requests.get(f"{exchange.url}/control/state", timeout=5).json()
    return state["traffic"]["binance"]["streams"]


def hear_texts(client: StreamClient, count: int) -> list[str]:
    return [str(client.socket.recv(5)) for _ in range(count)]


def is_silent(client: StreamClient, seconds: float = 0.2) -> bool:
    """Whether nothing comes, after what was already under way."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            client.hear(seconds)
        except TimeoutError:
            return True
    return False


# --------------------------------------------------------------------------------- connections


def test_a_socket_is_dropped_without_a_word_and_may_come_back(
    exchange: SimulatorServer, ticker: StreamClient
):
    exchange.faults.switch_on("binance", "socket_drop")
    with pytest.raises(ConnectionClosedError) as dropped:
        ticker.until(lambda message: False)
    assert dropped.value.rcvd is None  # not even a close frame
    with streaming(f"{exchange.binance_stream_url}ws/btcusdt@miniTicker") as again:
        assert [again.hear()["s"] for _ in range(5)] == ["BTCUSDT"] * 5


def test_sockets_may_be_dropped_again_and_again(exchange: SimulatorServer):
    exchange.faults.switch_on("binance", "socket_drop", after_seconds=0.3)
    for _ in range(2):
        with (
            streaming(f"{exchange.binance_stream_url}ws/btcusdt@miniTicker") as client,
            pytest.raises(ConnectionClosedError),
        ):
            client.until(lambda message: False)


@pytest.mark.parametrize(
    ("fault", "status"), [("down", 503), ("429", 429), ("418", 418), ("451", 451), ("403", 403)]
)
def test_a_venue_may_refuse_to_connect(exchange: SimulatorServer, fault: str, status: int):
    exchange.faults.switch_on("binance", fault, channel="stream")
    with (
        pytest.raises(InvalidStatus) as refused,
        streaming(f"{exchange.binance_stream_url}ws/btcusdt@miniTicker"),
    ):
        pass
    assert refused.value.response.status_code == status
    assert price_of_rest(exchange) > 0


def test_a_venue_that_goes_down_cuts_its_sockets(exchange: SimulatorServer, ticker: StreamClient):
    exchange.faults.switch_on("binance", "down")
    with pytest.raises(ConnectionClosed):
        ticker.until(lambda message: False)


def test_a_silent_socket_stays_open_and_answers_pings(
    exchange: SimulatorServer, ticker: StreamClient
):
    number = exchange.faults.switch_on("binance", "socket_silent")
    assert is_silent(ticker)
    assert ticker.socket.ping().wait(5)
    assert ticker.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1})["result"]
    exchange.faults.switch_off(number)
    assert ticker.hear()["s"] == "BTCUSDT"


def test_a_socket_may_be_silent_to_requests_as_well(
    exchange: SimulatorServer, ticker: StreamClient
):
    exchange.faults.switch_on("binance", "socket_silent", replies="no")
    ticker.say({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert is_silent(ticker)


def test_a_flood_is_as_large_as_it_was_told_to_be(exchange: SimulatorServer, ticker: StreamClient):
    before = streams(exchange)["sent"]
    exchange.faults.switch_on("binance", "socket_flood", rate=5000)
    started = time.monotonic()
    hear_texts(ticker, 1000)
    assert time.monotonic() - started < 5
    assert streams(exchange)["sent"] - before >= 900
    exchange.faults.clear()
    assert ticker.until(lambda message: message["s"] == "BTCUSDT")


def test_connections_and_messages_are_counted(exchange: SimulatorServer, ticker: StreamClient):
    ticker.hear()
    counted = streams(exchange)
    assert (counted["open"], counted["opened"]) == (1, 1)
    assert counted["sent"] >= 2


# ------------------------------------------------------------------------------------ messages


def test_messages_come_late_and_in_order(
    exchange: SimulatorServer, clock: ManualClock, ticker: StreamClient
):
    exchange.faults.switch_on("binance", "slow", seconds=0.3)
    clock.set(NOW_MS + 1000)
    started = time.monotonic()
    ticker.until(lambda event: event["E"] == NOW_MS + 1000)
    assert 0.2 < time.monotonic() - started < 3


@pytest.mark.parametrize("fault", ["garbage", "truncated"])
def test_messages_that_are_no_json(exchange: SimulatorServer, ticker: StreamClient, fault: str):
    exchange.faults.switch_on("binance", fault)
    ticker.until(lambda message: isinstance(message, str))
    exchange.faults.clear()
    assert ticker.until(lambda message: isinstance(message, dict))["s"] == "BTCUSDT"


def test_messages_that_come_twice(exchange: SimulatorServer):
    exchange.faults.switch_on("binance", "duplicates", every=1)
    with streaming(f"{exchange.binance_stream_url}ws/btcusdt@miniTicker") as client:
        texts = hear_texts(client, 6)
    assert texts[::2] == texts[1::2]


def closes(client: StreamClient, count: int) -> list[int]:
    """The open times of the next closed bars, as they come."""
    times: list[int] = []
    while len(times) < count:
        bar = client.hear()["k"]
        times += [bar["t"]] if bar["x"] else []
    return times


def minutes(*numbers: int) -> list[int]:
    return [MINUTE_OF_NOW_MS + number * MINUTE_MS for number in numbers]


def test_messages_in_a_wrong_order(exchange: SimulatorServer, clock: ManualClock):
    with streaming(f"{exchange.binance_stream_url}ws/btcusdt@kline_1m") as client:
        client.hear()
        exchange.faults.switch_on("binance", "wrong_order")
        clock.set(NOW_MS + 6 * MINUTE_MS)
        came = closes(client, 6)
        assert came != sorted(came)
        assert sorted(came) == minutes(0, 1, 2, 3, 4, 5)


def test_bars_that_are_missing_from_a_stream_and_not_from_rest(
    exchange: SimulatorServer, clock: ManualClock
):
    start_ms, end_ms = minutes(1, 3)
    exchange.faults.switch_on("binance", "gaps", channel="stream", start_ms=start_ms, end_ms=end_ms)
    with streaming(f"{exchange.binance_stream_url}ws/btcusdt@kline_1m") as client:
        client.hear()
        clock.set(NOW_MS + 5 * MINUTE_MS)
        assert closes(client, 3) == minutes(0, 3, 4)
    address = f"{exchange.url}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=6"
    stored = requests.get(address, timeout=5).json()
    assert [row[0] for row in stored] == minutes(0, 1, 2, 3, 4, 5)


# ------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("fault", "text"), [("zero_price", "0.00000000"), ("negative_price", "-"), ("nan_price", "NaN")]
)
def test_prices_that_are_none_are_pushed_as_well(
    exchange: SimulatorServer, ticker: StreamClient, fault: str, text: str
):
    exchange.faults.switch_on("binance", fault)
    ticker.until(lambda event: event["c"].startswith(text))
    with streaming(f"{exchange.binance_stream_url}ws/btcusdt@kline_1m") as client:
        assert client.hear()["k"]["c"].startswith(text)


def test_a_spike_is_in_tickers_and_bars_and_equals_rests(
    exchange: SimulatorServer, ticker: StreamClient
):
    right = price_of_rest(exchange)
    exchange.faults.switch_on("binance", "spike", percent=-40)
    spiked = ticker.until(lambda event: float(event["c"]) < 0.7 * right)
    assert float(spiked["c"]) == price_of_rest(exchange) == pytest.approx(0.6 * right)
    with streaming(f"{exchange.binance_stream_url}ws/btcusdt@kline_1m") as client:
        bar = client.hear()["k"]
    assert float(bar["l"]) == float(bar["c"]) == pytest.approx(0.6 * right)
    assert float(bar["o"]) > 0.9 * right


def test_a_stale_stream_goes_on_saying_the_same_and_closes_no_bar(
    exchange: SimulatorServer, clock: ManualClock
):
    names = "btcusdt@kline_1m/btcusdt@miniTicker"
    with streaming(f"{exchange.binance_stream_url}ws/{names}") as client:
        client.hear()
        number = exchange.faults.switch_on("binance", "stale", stamps="now")
        clock.set(NOW_MS + 3 * MINUTE_MS)
        stale = client.until(
            lambda event: event["e"] == "24hrMiniTicker" and event["E"] == NOW_MS + 3 * MINUTE_MS
        )
        assert json.loads(hear_texts(client, 2)[0])["e"] in ("kline", "24hrMiniTicker")
        exchange.faults.switch_off(number)
        assert [
            bar["k"]["t"]
            for bar in (
                client.until(lambda event: event["e"] == "kline" and event["k"]["x"])
                for _ in range(3)
            )
        ] == minutes(0, 1, 2)
        fresh = client.until(lambda event: event["e"] == "24hrMiniTicker")
        assert fresh["c"] != stale["c"]


def test_a_clock_that_is_wrong_shows_in_the_stamps_of_both_venues(
    exchange: SimulatorServer, ticker: StreamClient
):
    exchange.faults.switch_on("all", "clock_skew", seconds=3600)
    ticker.until(lambda event: event["E"] == NOW_MS + 3_600_000)
    with streaming(f"{exchange.okx_stream_url}/public") as client:
        asked = {"channel": "tickers", "instId": "BTC-USDT"}
        client.say({"op": "subscribe", "args": [asked]})
        message = client.until(lambda heard: "data" in heard)
        assert message["data"][0]["ts"] == str(NOW_MS + 3_600_000)


def test_a_reader_that_has_stopped_holds_up_nobody_else(exchange: SimulatorServer):
    """It gets all tickers and never reads: what its socket takes is full at once."""
    exchange.faults.switch_on("binance", "socket_flood", rate=5000)
    everything = f"{exchange.binance_stream_url}ws/!miniTicker@arr"
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=5) as stopped:
        stopped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stopped.sendall(handshake("/ws/!miniTicker@arr"))
        with streaming(everything) as reading:
            started = time.monotonic()
            hear_texts(reading, 300)
            assert time.monotonic() - started < 8


def handshake(path: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()
