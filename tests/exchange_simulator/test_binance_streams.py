"""Binance's websocket streams as the simulator speaks them, by websockets and by the real SDK."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from binance import AsyncClient, BinanceSocketManager
from stream_client import StreamClient, streaming
from websockets.exceptions import ConnectionClosed

from clock import AcceleratedClock, ManualClock
from exchange_simulator.binance_streams import BinanceStreamTimes
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.replayed_market import ReplayedMarket
from exchange_simulator.server import SimulatorServer

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z, a Saturday
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
MINUTE_OF_NOW_MS = NOW_MS - NOW_MS % MINUTE_MS
INTERVALS = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w"]
KLINE_KEYS = [
    "t",
    "o",
    "h",
    "l",
    "c",
    "v",
    "T",
    "q",
    "n",
    "V",
    "Q",
    "B",
]  # in the order of a REST row


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def exchange(clock: ManualClock) -> Iterator[SimulatorServer]:
    """An exchange whose connections outlive the leaps of its clock."""
    times = BinanceStreamTimes(lifetime_ms=400 * DAY_MS)
    options = {"pulse_seconds": 0.02, "weight_limit": 10**9, "binance_stream_times": times}
    with SimulatorServer(GeneratedMarket(seed=7), clock, **options) as server:
        yield server


def rest(exchange: SimulatorServer, path: str, **query: object) -> Any:
    response = requests.get(f"{exchange.url}/api/v3/{path}", params=query, timeout=5)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return response.json()


def raw(exchange: SimulatorServer, streams: str = "") -> str:
    return f"{exchange.binance_stream_url}ws/{streams}"


def combined(exchange: SimulatorServer, streams: str) -> str:
    return f"{exchange.binance_stream_url}stream?streams={streams}"


def request(method: str, *parameters: object, number: object = 1) -> dict[str, object]:
    return {"method": method, "params": list(parameters), "id": number}


# ------------------------------------------------------------------------------------- tickers


def test_a_mini_ticker_is_what_rest_says(exchange: SimulatorServer):
    with streaming(raw(exchange, "btcusdt@miniTicker")) as client:
        event = client.hear()
    day = rest(exchange, "ticker/24hr", symbol="BTCUSDT")
    assert (event["e"], event["s"], event["E"]) == ("24hrMiniTicker", "BTCUSDT", NOW_MS)
    assert [event[key] for key in "cohlvq"] == [
        day[key]
        for key in ["lastPrice", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume"]
    ]


def test_the_full_ticker_and_the_best_prices_are_what_rest_says(exchange: SimulatorServer):
    names = "ethusdt@ticker/ethusdt@bookTicker"
    with streaming(combined(exchange, names)) as client:
        events = {event["stream"]: event["data"] for event in (client.hear(), client.hear())}
    day = rest(exchange, "ticker/24hr", symbol="ETHUSDT")
    ticker, book = events["ethusdt@ticker"], events["ethusdt@bookTicker"]
    assert ticker["p"] == day["priceChange"]
    assert (ticker["P"], ticker["w"]) == (day["priceChangePercent"], day["weightedAvgPrice"])
    assert (ticker["b"], ticker["a"]) == (book["b"], book["a"])
    assert (book["b"], book["a"]) == (day["bidPrice"], day["askPrice"])


def test_all_mini_tickers_come_as_one_list_of_what_trades(exchange: SimulatorServer):
    with streaming(raw(exchange, "!miniTicker@arr")) as client:
        events = client.hear()
    traded = {row["symbol"]: row for row in rest(exchange, "ticker/24hr", type="MINI")}
    assert len(events) > 100
    assert {event["s"]: event["c"] for event in events} == {
        symbol: row["lastPrice"] for symbol, row in traded.items()
    }


def test_a_delisted_pair_is_silent(exchange: SimulatorServer, clock: ManualClock):
    clock.set(NOW_MS + 200 * DAY_MS)  # MATIC ended in September
    with streaming(raw(exchange, "maticusdt@miniTicker/btcusdt@miniTicker")) as client:
        assert {client.hear()["s"] for _ in range(5)} == {"BTCUSDT"}


# -------------------------------------------------------------------------------------- klines


def closed_bars(client: StreamClient, count: int) -> list[Any]:
    bars = []
    while len(bars) < count:
        event = client.hear()
        bar = event.get("data", event)["k"]
        if bar["x"]:
            bars.append(bar)
    return bars


def test_the_open_bar_grows_and_closes_once(exchange: SimulatorServer, clock: ManualClock):
    with streaming(raw(exchange, "btcusdt@kline_1m")) as client:
        event = client.hear()
        assert (event["e"], event["E"], event["s"]) == ("kline", NOW_MS, "BTCUSDT")
        bar = event["k"]
        assert (bar["t"], bar["x"], bar["i"]) == (MINUTE_OF_NOW_MS, False, "1m")
        assert [bar[key] for key in KLINE_KEYS] == rest(
            exchange, "klines", symbol="BTCUSDT", interval="1m", limit=1
        )[0]
        clock.set(MINUTE_OF_NOW_MS + MINUTE_MS)
        assert client.until(lambda event: event["k"]["x"])["k"]["t"] == MINUTE_OF_NOW_MS
        following = client.hear()["k"]
        assert (following["t"], following["x"]) == (MINUTE_OF_NOW_MS + MINUTE_MS, False)


def test_closed_bars_are_rests_to_the_digit_and_none_is_missing_or_doubled(
    exchange: SimulatorServer, clock: ManualClock
):
    """A market that leaps by up to seven hours between two beats, in bars of three lengths."""
    names = "btcusdt@kline_1m/btcusdt@kline_15m/btcusdt@kline_1h"
    with streaming(combined(exchange, names)) as client:
        for _ in range(3):
            client.hear()
        now_ms = NOW_MS
        for leap_ms in (30_000, 61_000, 7 * HOUR_MS, 1, 2 * HOUR_MS):
            now_ms += leap_ms
            clock.set(now_ms)
        total = sum(
            now_ms // length - NOW_MS // length for length in (MINUTE_MS, 15 * MINUTE_MS, HOUR_MS)
        )
        bars = closed_bars(client, total)
    for interval, length in (("1m", MINUTE_MS), ("15m", 15 * MINUTE_MS), ("1h", HOUR_MS)):
        first = NOW_MS - NOW_MS % length
        stored = rest(
            exchange, "klines", symbol="BTCUSDT", interval=interval, startTime=first,
            endTime=now_ms - now_ms % length - 1, limit=1000,
        )  # fmt: skip
        pushed = [[bar[key] for key in KLINE_KEYS] for bar in bars if bar["i"] == interval]
        assert pushed == stored


@pytest.mark.parametrize("interval", [*INTERVALS, "3d", "1M"])
def test_every_interval_closes_as_rest_has_it(
    exchange: SimulatorServer, clock: ManualClock, interval: str
):
    with streaming(raw(exchange, f"solusdt@kline_{interval}")) as client:
        opened = client.hear()["k"]
        clock.set(opened["T"] + 1)
        closed = client.until(lambda event: event["k"]["x"])["k"]
    stored = rest(
        exchange, "klines", symbol="SOLUSDT", interval=interval, startTime=opened["t"], limit=1
    )
    assert [closed[key] for key in KLINE_KEYS] == stored[0]


def test_a_market_ten_thousand_times_as_fast_leaves_out_no_bar():
    clock = AcceleratedClock(NOW_MS, time.time_ns() // 1_000_000, 10_000)
    with (
        SimulatorServer(GeneratedMarket(7), clock, pulse_seconds=0.05) as exchange,
        streaming(raw(exchange, "btcusdt@kline_1m/btcusdt@miniTicker")) as client,
    ):
        times: list[int] = []
        tickers = 0
        while len(times) < 100:
            event = client.hear()
            tickers += event["e"] == "24hrMiniTicker"
            times += [event["k"]["t"]] if "k" in event and event["k"]["x"] else []
    assert times == list(range(times[0], times[0] + 100 * MINUTE_MS, MINUTE_MS))
    assert 0 < tickers < 100  # at the pulse's rate, not at the market's


def test_bars_from_before_a_subscription_are_not_sent(
    exchange: SimulatorServer, clock: ManualClock
):
    with streaming(raw(exchange, "btcusdt@kline_1m")) as early:
        early.hear()
        clock.set(NOW_MS + 10 * MINUTE_MS)
        with streaming(raw(exchange, "btcusdt@kline_1m")) as late:
            assert late.hear()["k"]["t"] == MINUTE_OF_NOW_MS + 10 * MINUTE_MS
        assert [bar["t"] for bar in closed_bars(early, 10)] == [
            MINUTE_OF_NOW_MS + number * MINUTE_MS for number in range(10)
        ]


def test_recorded_bars_are_replayed_and_what_they_do_not_make_is_silent(
    clock: ManualClock, tmp_path: Path
):
    rows = [f"{NOW_MS // HOUR_MS * HOUR_MS + h * HOUR_MS},10,12,9,11,5,0,50,7,2,20,0"
            for h in range(-48, 48)]  # fmt: skip
    (tmp_path / "BTCUSDT-1h-2024.csv").write_text("\n".join(rows))
    market = ReplayedMarket.from_files([tmp_path])
    with (
        SimulatorServer(market, clock, pulse_seconds=0.02) as exchange,
        streaming(combined(exchange, "btcusdt@kline_1m/btcusdt@kline_4h")) as client,
    ):
        opened = client.hear()
        assert opened["stream"] == "btcusdt@kline_4h"
        clock.set(opened["data"]["k"]["T"] + 1)
        [closed] = closed_bars(client, 1)
        stored = rest(
            exchange, "klines", symbol="BTCUSDT", interval="4h", startTime=closed["t"], limit=1
        )
        assert [closed[key] for key in KLINE_KEYS] == stored[0]


# ------------------------------------------------------------------------------------ requests


def test_subscriptions_change_while_the_connection_is_open(exchange: SimulatorServer):
    with streaming(raw(exchange)) as client:
        names = ["btcusdt@miniTicker", "ethusdt@miniTicker", "nosuchusdt@miniTicker"]
        assert client.ask(request("SUBSCRIBE", *names)) == {"result": None, "id": 1}
        assert {client.hear()["s"] for _ in range(4)} == {"BTCUSDT", "ETHUSDT"}
        client.ask(request("UNSUBSCRIBE", "btcusdt@miniTicker"))
        assert client.ask(request("LIST_SUBSCRIPTIONS", number=3)) == {
            "result": names[1:],
            "id": 3,
        }
        assert {client.hear()["s"] for _ in range(3)} == {"ETHUSDT"}


def test_the_envelope_of_combined_streams_is_a_property(exchange: SimulatorServer):
    with streaming(raw(exchange, "btcusdt@miniTicker")) as client:
        assert client.ask(request("GET_PROPERTY", "combined"))["result"] is False
        client.ask(request("SET_PROPERTY", "combined", True))
        assert client.hear()["stream"] == "btcusdt@miniTicker"


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("{not json", 3, "Invalid JSON"),
        ("[]", 2, "missing field `method`"),
        ({"method": "JUMP", "id": 1}, 2, "unknown variant `JUMP`"),
        ({"method": "SUBSCRIBE", "params": ["btcusdt@ticker"]}, 2, "unsigned integer"),
        ({"method": "SUBSCRIBE", "params": ["x"], "id": -1}, 2, "unsigned integer"),
        (request("SUBSCRIBE", "BTCUSDT@ticker"), 2, "invalid stream"),
        (request("SUBSCRIBE", 7), 2, "must be a string"),
        ({"method": "SUBSCRIBE", "params": "btcusdt@ticker", "id": 1}, 2, "invalid params"),
        (request("GET_PROPERTY", "colour"), 0, "Unknown property"),
        (request("SET_PROPERTY", "combined", "yes"), 1, "expected Boolean"),
    ],
)
def test_what_it_cannot_do_is_answered_with_an_error(
    exchange: SimulatorServer, message: object, code: int, words: str
):
    with streaming(raw(exchange)) as client:
        error = client.ask(message)["error"]
        assert error["code"] == code
        assert words in error["msg"]
        assert client.ask(request("LIST_SUBSCRIPTIONS"))["result"] == []


# -------------------------------------------------------------------------------------- limits


def close_code(client: StreamClient) -> tuple[int, str]:
    """How the other side ends the connection."""
    with pytest.raises(ConnectionClosed) as closed:
        client.until(lambda message: False)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def test_the_sixth_message_within_a_second_ends_the_connection(exchange: SimulatorServer):
    with streaming(raw(exchange)) as client:
        for number in range(6):
            client.say(request("LIST_SUBSCRIPTIONS", number=number))
        assert close_code(client) == (1008, "Too many requests")


def test_there_are_300_new_connections_in_five_minutes_at_most(clock: ManualClock):
    limit_clock = ManualClock(NOW_MS)
    with SimulatorServer(GeneratedMarket(7), clock, limit_clock=limit_clock) as exchange:
        address = raw(exchange).replace("ws://", "http://")  # no handshake is counted as well
        statuses = {requests.get(address, timeout=5).status_code for _ in range(300)}
        assert 429 not in statuses
        assert requests.get(address, timeout=5).status_code == 429
        limit_clock.set(NOW_MS + 5 * MINUTE_MS)
        with streaming(raw(exchange)) as client:
            assert client.ask(request("LIST_SUBSCRIPTIONS"))["result"] == []


def test_a_connection_has_1024_streams_at_most(exchange: SimulatorServer):
    names = [f"coin{number}usdt@ticker" for number in range(1024)]
    with streaming(raw(exchange)) as client:
        client.ask(request("SUBSCRIBE", *names))
        client.say(request("SUBSCRIBE", "btcusdt@ticker"))
        assert close_code(client) == (1008, "Too many streams")


def test_a_connection_ends_after_a_day_of_the_markets_time(clock: ManualClock):
    with (
        SimulatorServer(GeneratedMarket(7), clock, pulse_seconds=0.02) as exchange,
        streaming(raw(exchange, "btcusdt@miniTicker")) as client,
    ):
        clock.set(NOW_MS + DAY_MS - 1)
        client.until(lambda event: event["E"] == NOW_MS + DAY_MS - 1)
        clock.set(NOW_MS + DAY_MS)
        assert close_code(client)[0] == 1001


def test_who_does_not_answer_a_ping_is_cut(clock: ManualClock):
    times = BinanceStreamTimes(ping_seconds=0.05, pong_seconds=0.1)
    options = {"pulse_seconds": 0.02, "binance_stream_times": times}

    async def listen_without_a_pong(url: str) -> tuple[aiohttp.WSMsgType, int | None, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, autoping=False) as socket,
        ):
            first = (await socket.receive(5)).type
            while (message := await socket.receive(5)).type is aiohttp.WSMsgType.PING:
                pass
            return first, message.data, message.extra

    with SimulatorServer(GeneratedMarket(7), clock, **options) as exchange:
        heard = asyncio.run(listen_without_a_pong(raw(exchange)))
    assert heard == (aiohttp.WSMsgType.PING, 1008, "Pong timeout")


# ------------------------------------------------------------------------------------- the SDK


def test_the_sdks_socket_manager_runs_on_it(exchange: SimulatorServer, clock: ManualClock):
    async def listen() -> tuple[Any, Any, Any]:
        client = AsyncClient()
        client.API_URL = f"{exchange.url}/api"
        sockets = BinanceSocketManager(client)
        sockets.STREAM_URL = exchange.binance_stream_url
        try:
            async with sockets.kline_socket("BTCUSDT", "1m") as klines:
                opened = await klines.recv()
                clock.set(MINUTE_OF_NOW_MS + MINUTE_MS)
                while not (closed := await klines.recv())["k"]["x"]:
                    pass
            async with sockets.miniticker_socket() as tickers:
                return opened, closed, await tickers.recv()
        finally:
            await client.close_connection()

    opened, closed, tickers = asyncio.run(listen())
    assert (opened["k"]["t"], opened["k"]["x"]) == (MINUTE_OF_NOW_MS, False)
    assert closed["k"]["t"] == MINUTE_OF_NOW_MS
    assert len(tickers) > 100


def test_a_server_with_an_open_connection_ends_at_once(clock: ManualClock):
    with SimulatorServer(GeneratedMarket(7), clock, pulse_seconds=0.02) as exchange:
        connection = streaming(raw(exchange, "btcusdt@miniTicker"))
        connection.__enter__().hear()
        started = time.monotonic()
    assert time.monotonic() - started < 2
    connection.__exit__(None, None, None)
