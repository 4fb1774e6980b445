"""OKX's websocket channels as the simulator speaks them, by websockets and by the real SDK."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websockets
from okx.websocket.WsPublicAsync import WsPublicAsync
from stream_client import StreamClient, streaming
from websockets.exceptions import ConnectionClosed, InvalidStatus

from clock import ManualClock
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.okx_bars import BAR_LENGTHS
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


def public(exchange: SimulatorServer) -> str:
    return f"{exchange.okx_stream_url}/public"


def business(exchange: SimulatorServer) -> str:
    return f"{exchange.okx_stream_url}/business"


def rest(exchange: SimulatorServer, path: str, **query: object) -> Any:
    address = f"{exchange.url}/api/v5/market/{path}"
    return requests.get(address, params=query, timeout=5).json()["data"]  # type: ignore[arg-type]


def argument(channel: str, instrument: str = "BTC-USDT") -> dict[str, str]:
    return {"channel": channel, "instId": instrument}


def subscribe(client: StreamClient, *arguments: object, **more: object) -> None:
    client.say({"op": "subscribe", "args": list(arguments)} | more)


def rows(client: StreamClient) -> Any:
    """The rows of the next message of a channel."""
    return client.until(lambda message: "data" in message)["data"]


# ------------------------------------------------------------------------------------ channels


def test_a_subscription_is_confirmed_and_its_ticker_is_what_rest_says(exchange: SimulatorServer):
    with streaming(public(exchange)) as client:
        subscribe(client, argument("tickers"), id="7")
        confirmed = client.hear()
        assert len(confirmed.pop("connId")) == 8
        assert confirmed == {"event": "subscribe", "arg": argument("tickers"), "id": "7"}
        message = client.hear()
    assert message == {
        "arg": argument("tickers"),
        "data": rest(exchange, "ticker", instId="BTC-USDT"),
    }


@pytest.mark.parametrize("bar", BAR_LENGTHS)
def test_every_bar_is_pushed_open_and_confirmed_as_rest_has_it(
    exchange: SimulatorServer, clock: ManualClock, bar: str
):
    with streaming(business(exchange)) as client:
        subscribe(client, argument(f"candle{bar}", "ETH-USDT"))
        [forming] = rows(client)
        assert [forming] == rest(exchange, "candles", instId="ETH-USDT", bar=bar, limit=1)
        assert forming[-1] == "0"
        opened = int(forming[0])
        clock.set(opened + 3 * BAR_LENGTHS[bar].milliseconds)
        closed = []
        while len(closed) < 3:
            [row] = rows(client)
            closed += [row] if row[-1] == "1" else []
    stored = rest(exchange, "history-candles", instId="ETH-USDT", bar=bar, limit=3)
    assert closed == stored[::-1]
    assert int(closed[0][0]) == opened


def test_a_channel_that_was_unsubscribed_is_silent(exchange: SimulatorServer):
    with streaming(public(exchange)) as client:
        subscribe(client, argument("tickers"), argument("tickers", "ETH-USDT"))
        client.say({"op": "unsubscribe", "args": [argument("tickers")]})
        confirmed = client.until(lambda message: message.get("event") == "unsubscribe")
        assert confirmed["arg"] == argument("tickers")
        assert {rows(client)[0]["instId"] for _ in range(3)} == {"ETH-USDT"}


def test_ping_is_answered_by_pong(exchange: SimulatorServer):
    with streaming(public(exchange)) as client:
        client.say("ping")
        assert client.hear() == "pong"


@pytest.mark.parametrize(
    ("path", "message", "code"),
    [
        ("public", "hello", "60012"),
        ("public", {"args": []}, "60012"),
        ("public", {"op": "jump", "args": [argument("tickers")]}, "60019"),
        ("public", {"op": "subscribe"}, "60013"),
        ("public", {"op": "subscribe", "args": [7]}, "60013"),
        ("public", {"op": "subscribe", "args": [argument("tickers", "NO-USDT")]}, "60018"),
        ("public", {"op": "subscribe", "args": [argument("candle1m")]}, "60018"),
        ("business", {"op": "subscribe", "args": [argument("tickers")]}, "60018"),
        ("business", {"op": "subscribe", "args": [argument("candle7m")]}, "60018"),
        ("business", {"op": "subscribe", "args": [argument("candle1d")]}, "60018"),
    ],
)
def test_what_it_cannot_do_is_an_error_event(
    exchange: SimulatorServer, path: str, message: object, code: str
):
    with streaming(f"{exchange.okx_stream_url}/{path}") as client:
        client.say(message)
        error = client.hear()
        assert (error["event"], error["code"]) == ("error", code)
        assert error["msg"]
        client.say("ping")
        assert client.hear() == "pong"


# -------------------------------------------------------------------------------------- limits


def test_a_connection_without_traffic_is_closed(clock: ManualClock):
    options = OPTIONS | {"okx_idle_seconds": 0.6}
    with SimulatorServer(GeneratedMarket(7), clock, **options) as exchange:
        with streaming(public(exchange)) as idle, pytest.raises(ConnectionClosed) as closed:
            idle.hear()
        with streaming(public(exchange)) as busy:
            subscribe(busy, argument("tickers"))
            for _ in range(40):  # 0.8 s
                busy.hear()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4004, "No data received in 0.6s")


def test_a_fourth_connection_in_a_second_is_refused(clock: ManualClock):
    def connect() -> None:
        with streaming(public(exchange)) as client:
            client.say("ping")
            assert client.hear() == "pong"

    limit_clock = ManualClock(NOW_MS)
    with SimulatorServer(GeneratedMarket(7), clock, limit_clock=limit_clock) as exchange:
        for _ in range(3):
            connect()
        with pytest.raises(InvalidStatus) as refused:
            connect()
        assert refused.value.response.status_code == 429
        limit_clock.set(NOW_MS + 1000)
        connect()


def test_a_connection_makes_480_requests_an_hour(clock: ManualClock):
    limit_clock = ManualClock(NOW_MS)
    with (
        SimulatorServer(GeneratedMarket(7), clock, limit_clock=limit_clock) as exchange,
        streaming(public(exchange)) as client,
    ):
        events = []
        for _ in range(481):
            client.say({"op": "unsubscribe", "args": [argument("tickers")]})
            events.append(client.hear())
        assert {event["event"] for event in events[:480]} == {"unsubscribe"}
        assert events[480]["code"] == "60014"


# ------------------------------------------------------------------------------------- the SDK


def test_the_sdks_client_runs_on_it(exchange: SimulatorServer):
    """Its factory forces TLS, which a plain address has not: the connection is given to it."""
    heard: list[Any] = []

    async def listen() -> None:
        client = WsPublicAsync(public(exchange))
        client.websocket = await websockets.connect(client.url)
        both_heard = asyncio.Event()

        def receive(text: str) -> None:
            heard.append(json.loads(text))
            if len(heard) > 1:
                both_heard.set()

        reading = asyncio.create_task(client.consume())
        await client.subscribe([argument("tickers")], receive)
        await asyncio.wait_for(both_heard.wait(), 5)
        await client.websocket.close()
        await reading

    asyncio.run(listen())
    assert heard[0]["event"] == "subscribe"
    assert heard[1]["data"][0]["instId"] == "BTC-USDT"
