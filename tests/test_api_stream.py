"""Live candles in `GET /api/stream`, from the simulated exchange's websockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import SIMULATED_NOW_MS
from flask import Flask
from flask.testing import FlaskClient

from domain import MINUTE_MS, Interval
from exchange_simulator.server import SimulatorServer
from kline_stream import Series
from routes.services import EXTENSION, Services

FORMING_MS = Interval.M1.floor(SIMULATED_NOW_MS)


@pytest.fixture
def client(app: Flask, simulator: SimulatorServer) -> Iterator[FlaskClient]:
    yield app.test_client()
    simulator.clock.set(SIMULATED_NOW_MS)


def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def events(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The events of a stream as they come, with their ids and topics."""
    for chunk in chunks:
        lines = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line)
        if "event" in lines:
            yield {"id": int(lines["id"]), "topic": lines["event"], **json.loads(lines["data"])}


def test_a_page_is_told_every_bar_also_those_it_missed(
    app: Flask, client: FlaskClient, simulator: SimulatorServer
):
    stream = client.get("/api/stream?topics=trade&topics=kline:btc:1m")
    told = events(iter(stream.response))
    last_closed, forming = next(told), next(told)
    assert (last_closed["topic"], last_closed["coin"], last_closed["interval"]) == (
        "kline", "BTC", "1m",
    )  # fmt: skip
    assert last_closed["bar"]["timestamp"] == FORMING_MS - MINUTE_MS
    assert (forming["bar"]["timestamp"], forming["bar"]["closed"]) == (FORMING_MS, False)
    simulator.clock.set(SIMULATED_NOW_MS + MINUTE_MS)
    closed = next(event for event in told if event["bar"]["closed"])
    assert closed["bar"]["timestamp"] == FORMING_MS
    stream.close()
    simulator.clock.set(SIMULATED_NOW_MS + 4 * MINUTE_MS)
    back = client.get(
        "/api/stream?topics=kline:BTC:1m", headers={"Last-Event-ID": str(closed["id"])}
    )
    closed_ones = (event for event in events(iter(back.response)) if event["bar"]["closed"])
    bars = [next(closed_ones)["bar"] for _ in range(3)]
    back.close()
    stored = client.get("/api/klines/BTC?interval=1m&limit=3").json
    assert [{name: bar[name] for name in stored[0]} for bar in bars] == stored


def test_the_venues_stream_ends_with_the_last_listener(app: Flask, client: FlaskClient):
    stream = client.get("/api/stream?topics=kline:ETH:1h")
    next(events(iter(stream.response)))
    klines = services(app).klines
    series = Series("ETH", Interval.H1)
    assert klines._feeds[series].listeners == 1
    states = {each.name: each.state for each in services(app).prices.streams()}
    assert set(states) == {"binance", "okx", "okx_candles"}
    stream.close()
    assert klines._feeds[series].listeners == 0
    for _ in range(200):
        if {each.state for each in services(app).prices.streams()} == {"off"}:
            break
        time.sleep(0.02)
    health = client.get("/api/health").json
    assert {stream["name"]: stream["state"] for stream in health["streams"]} == dict.fromkeys(
        ("binance", "okx", "okx_candles"), "off"
    )


@pytest.mark.parametrize(
    "topics",
    [
        "kline:NOSUCH:1m", "kline:BTC:7m", "kline:BTC", "kline:", "kline:BTC:", "kline::1m",
        "kline:BTC:1m:x", "kline", "kline:BTC:1M", "price,kline:'BTC:1m", "", " , ",
        ",".join(f"kline:BTC:{interval.value}" for interval in Interval),
        "kline:" + "B" * 900 + ":1m", "x" * 2000,
    ],
)  # fmt: skip
def test_what_names_no_candles_is_refused(app: Flask, client: FlaskClient, topics: str):
    response = client.get("/api/stream", query_string={"topics": topics})
    assert (response.status_code, response.json["code"]) == (400, "invalid_input")
    assert response.json["fields"]
    assert services(app).klines._feeds == {}


def test_a_refused_page_holds_no_place(app: Flask, client: FlaskClient):
    for _ in range(60):
        assert client.get("/api/stream?topics=kline:NOSUCH:1m").status_code == 400
    stream = client.get("/api/stream?topics=kline:BTC:1m&topics=kline:BTC:1m")
    assert stream.status_code == 200
    stream.close()
    assert services(app).events.listener_count == 0
