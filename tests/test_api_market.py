"""Coins, prices, candles and coverage over the REST API, on the simulated exchange and without it."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import SIMULATED_NOW_MS
from flask import Flask
from flask.testing import FlaskClient

from domain import HOUR_MS, Interval


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def candles(client: FlaskClient, query: str) -> Any:
    response = client.get(f"/api/klines/{query}")
    assert response.status_code == 200, response.json
    return response.json


def test_coins_come_by_rank_with_the_unranked_last(client: FlaskClient):
    rows = client.get("/api/coins").json
    assert [row["symbol"] for row in rows[:4]] == ["BTC", "ETH", "BNB", "SOL"]
    ranks = [row["market_cap_rank"] for row in rows]
    assert ranks == sorted(ranks, key=lambda rank: (rank is None, rank or 0))
    memes = client.get("/api/coins?category=Meme").json
    assert {row["symbol"] for row in memes} >= {"DOGE", "SHIB", "PEPE"}
    assert [row["symbol"] for row in client.get("/api/coins?q=bitcoin c").json] == ["BCH"]
    assert client.get("/api/coins?is_active=0").json == []
    assert client.get("/api/coins?is_active=maybe").status_code == 400


def test_prices_of_the_named_coins(client: FlaskClient):
    prices = client.get("/api/market/prices?coins=BTC,PEPE").json
    assert set(prices) == {"BTC", "PEPE"}
    assert 0 < prices["PEPE"]["price"] < 0.01
    assert prices["BTC"]["source"] == "binance"
    assert prices["BTC"]["stale"] is False
    assert client.get("/api/market/prices?coins=GOLD").status_code == 404
    everything = client.get("/api/market/prices").json
    assert len(everything) >= 100
    assert everything["LEO"]["source"] == "coingecko"  # no exchange lists it
    assert client.get("/api/klines/LEO").json["code"] == "not_listed"
    assert client.get("/api/depth/LEO").status_code == 404


@pytest.mark.parametrize("interval", [interval.value for interval in Interval])
def test_candles_of_every_interval(client: FlaskClient, interval: str):
    rows = candles(client, f"BTC?interval={interval}&limit=60")
    length = Interval(interval).milliseconds
    times = [row["timestamp"] for row in rows]
    assert times == list(range(times[0], times[0] + 60 * length, length))
    assert times[-1] + length <= SIMULATED_NOW_MS  # closed
    assert all(Interval(interval).floor(time) == time for time in times)
    assert all(
        row["low"] <= min(row["open"], row["close"]) <= max(row["open"], row["close"])
        <= row["high"] for row in rows
    )  # fmt: skip


def test_scrolling_back_gives_every_candle_once(client: FlaskClient):
    pages: list[Any] = candles(client, "ETH?interval=5m&limit=1000")
    for _ in range(3):
        pages = candles(client, f"ETH?interval=5m&limit=1000&end={pages[0]['timestamp']}") + pages
    times = [row["timestamp"] for row in pages]
    assert times == list(range(times[0], times[0] + 4000 * 300_000, 300_000))
    whole = candles(client, f"ETH?interval=5m&start={times[1000]}&limit=1000")
    assert whole == pages[1000:2000]


def test_the_open_bar_comes_last_and_only_when_asked_for(client: FlaskClient):
    closed = candles(client, "BTC?interval=1h&limit=3")
    with_open = candles(client, "BTC?interval=1h&limit=3&include_open=1")
    assert with_open[:2] == closed[1:]
    assert with_open[2]["timestamp"] == closed[2]["timestamp"] + HOUR_MS
    assert with_open[2]["timestamp"] <= SIMULATED_NOW_MS < with_open[2]["timestamp"] + HOUR_MS


def test_start_and_end_are_times_in_either_form(client: FlaskClient):
    in_ms = candles(client, "BTC?interval=1d&start=1704067200000&end=1704326400000")
    in_iso = candles(client, "BTC?interval=1d&start=2024-01-01&end=2024-01-04T00:00:00Z")
    assert in_ms == in_iso
    assert [row["timestamp"] for row in in_ms] == [1704067200000, 1704153600000, 1704240000000]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("GOLD", 404, "unknown_coin"),
        ("BTC?interval=7m", 400, "invalid_input"),
        ("BTC?limit=abc", 400, "invalid_input"),
        ("BTC?limit=0", 400, "invalid_input"),
        ("BTC?limit=-5", 400, "invalid_input"),
        ("BTC?start=soon", 400, "invalid_input"),
        ("BTC?start=-1", 400, "invalid_input"),
        ("BTC?end=99999999999999999999", 400, "invalid_input"),
        ("BTC?start=2024-01-02&end=2024-01-01", 400, "invalid_input"),
        ("..%2F..%2Fetc", 404, "not_found"),
        ("%3Cscript%3E", 404, "unknown_coin"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    client: FlaskClient, query: str, status: int, code: str
):
    response = client.get(f"/api/klines/{query}")
    assert (response.status_code, response.json["code"]) == (status, code)


def test_a_limit_beyond_the_most_is_cut_to_it(client: FlaskClient):
    assert len(candles(client, "BTC?interval=1m&limit=100000")) == 1000


def test_the_headers_say_whose_candles_they_are(client: FlaskClient):
    response = client.get("/api/klines/BTC?interval=1h")
    assert response.headers["X-Data-Source"] == "binance"
    assert response.headers["X-Data-Stale"] == "0"
    assert int(response.headers["X-Data-Age-Seconds"]) < 3600


def test_depth(client: FlaskClient):
    book = client.get("/api/depth/BTC?limit=5").json
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["bids"][0][0] < book["asks"][0][0]


def test_coverage_tells_what_is_stored(client: FlaskClient):
    assert client.get("/api/coverage?coins=BTC&interval=1h").json == {"BTC": None}
    rows = candles(client, "BTC?interval=1h&limit=48")
    stored = client.get("/api/coverage?coins=BTC&interval=1h").json["BTC"]
    assert (stored["bars"], stored["missing_bars"]) == (48, 0)
    assert stored["last"] == "2024-06-01T11:00:00Z"
    assert rows[-1]["timestamp"] == SIMULATED_NOW_MS // HOUR_MS * HOUR_MS - HOUR_MS


def test_without_a_source_what_is_stored_comes_as_stale_and_nothing_is_made_up(
    offline_app: Flask,
):
    client = offline_app.test_client()
    nothing = client.get("/api/klines/BTC")
    assert (nothing.status_code, nothing.json["code"]) == (503, "source_unavailable")
    prices = client.get("/api/market/prices?coins=BTC")
    assert (prices.status_code, prices.json["code"]) == (503, "source_unavailable")


def test_candles_with_indicators(client: FlaskClient):
    asked = "sma_5,ema_9,rsi,macd,bollinger_10,atr,adx,stochastic,vwap,volume_ratio"
    rows = candles(client, f"BTC?interval=1h&limit=30&indicators={asked}")
    assert len(rows) == 30
    closes = [row["close"] for row in rows]
    values = rows[-1]["indicators"]
    assert values["sma_5"] == pytest.approx(sum(closes[-5:]) / 5)
    assert values["bollinger_10_middle"] == pytest.approx(sum(closes[-10:]) / 10)
    assert values["macd_histogram"] == pytest.approx(values["macd"] - values["macd_signal"])
    assert {"rsi", "atr", "adx", "stochastic_k", "stochastic_d", "vwap", "volume_ratio"} <= set(
        values
    )
    assert all(value is not None for row in rows for value in row["indicators"].values())
    # The value at a bar does not depend on how many are asked for.
    (last,) = candles(client, f"BTC?interval=1h&limit=1&indicators={asked}")
    assert last["indicators"] == values
    assert "indicators" not in candles(client, "BTC?limit=1")[0]


def test_indicators_are_null_where_a_listing_is_too_young(client: FlaskClient):
    (first,) = candles(client, "BTC?interval=1w&start=0&limit=1&indicators=sma_3,macd")
    assert set(first["indicators"].values()) == {None}


NO_INDICATORS = [
    "", "nope", "sma_0", "sma_1", "ema_201", "macd_9", "sma_-5", "sma,,", "sma_5.5", "%27;--", "%00",
    ",".join(f"sma_{length}" for length in range(2, 20)), "x" * 401,
]  # fmt: skip


@pytest.mark.parametrize("indicators", NO_INDICATORS)
def test_what_is_no_indicator_is_refused(client: FlaskClient, indicators: str):
    response = client.get(f"/api/klines/BTC?indicators={indicators}")
    assert (response.status_code, response.json["code"]) == (400, "invalid_input")
    assert set(response.json["fields"]) == {"indicators"}
