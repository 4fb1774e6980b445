"""What the venues send over websockets, held to the same as their REST answers."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import binance_stream
import okx_stream
from domain import Interval, Kline, Ticker
from stream_messages import GARBAGE, NOTHING, Channel, Heard, StreamedBar, channel_of, in_batches

MINUTE = 1_717_245_240_000


def binance_ticker(**changes: Any) -> dict[str, Any]:
    event = {
        "e": "24hrMiniTicker", "E": 1_717_245_296_789, "s": "BTCUSDT",
        "c": "67500.12000000", "o": "66000.00000000", "h": "1", "l": "1", "v": "1", "q": "1",
    }  # fmt: skip
    return {"stream": "btcusdt@miniTicker", "data": event | changes}


def binance_kline(**changes: Any) -> dict[str, Any]:
    row = {
        "t": MINUTE, "T": MINUTE + 59_999, "s": "BTCUSDT", "i": "1m", "o": "10", "h": "12",
        "l": "9", "c": "11", "v": "3.5", "x": False,
    }  # fmt: skip
    event = {"e": "kline", "E": MINUTE + 5000, "s": "BTCUSDT", "k": row | changes}
    return {"stream": "btcusdt@kline_1m", "data": event}


def okx_text(channel: str, row: Any, symbol: str = "BTC-USDT") -> str:
    return json.dumps({"arg": {"channel": channel, "instId": symbol}, "data": [row]})


def okx_ticker(**changes: Any) -> str:
    row = {"instId": "BTC-USDT", "last": "67500.1", "open24h": "66000", "ts": "1717245296789"}
    return okx_text("tickers", row | changes)


def okx_candle(*row: Any) -> list[Any]:
    return list(row or (str(MINUTE), "10", "12", "9", "11", "3.5", "1", "1", "0"))


def test_a_ticker_of_binance_is_exact():
    (ticker,) = binance_stream.understood(binance_ticker()).messages
    assert ticker == Ticker(
        "BTCUSDT", Decimal("67500.12000000"), 1_717_245_296_789, "binance", 2.273
    )
    assert channel_of(ticker) == Channel("BTCUSDT")


def test_a_ticker_of_okx_is_exact():
    (ticker,) = okx_stream.understood(okx_ticker()).messages
    assert isinstance(ticker, Ticker)
    assert (ticker.symbol, ticker.price, ticker.source) == ("BTC-USDT", Decimal("67500.1"), "okx")


@pytest.mark.parametrize(
    ("text", "source", "symbol"),
    [
        (binance_kline(), "binance", "BTCUSDT"),
        (okx_text("candle1m", okx_candle()), "okx", "BTC-USDT"),
    ],
)
def test_both_venues_open_bars_are_the_same(text: Any, source: str, symbol: str):
    module = {"binance": binance_stream, "okx": okx_stream}[source]
    bar = Kline(MINUTE, 10, 12, 9, 11, 3.5, closed=False)
    expected = StreamedBar(symbol, Interval.M1, bar, source)
    assert module.understood(text) == Heard((expected,))
    assert channel_of(expected) == Channel(symbol, Interval.M1)


def test_closed_bars_are_flagged():
    (of_binance,) = binance_stream.understood(binance_kline(x=True)).messages
    row = [*okx_candle()[:-1], "1"]
    (of_okx,) = okx_stream.understood(okx_text("candle1m", row)).messages
    assert isinstance(of_binance, StreamedBar)
    assert isinstance(of_okx, StreamedBar)
    assert of_binance.bar.closed
    assert of_okx.bar.closed


@pytest.mark.parametrize("interval", list(Interval))
def test_every_interval_has_a_channel_at_both_venues(interval: Interval):
    name = binance_stream.stream_name(Channel("BTCUSDT", interval))
    assert name == f"btcusdt@kline_{interval.value}"
    argument = okx_stream.channel_argument(Channel("BTC-USDT", interval))
    opens = interval.floor(MINUTE)
    row = okx_candle(str(opens), "10", "12", "9", "11", "3.5", "1", "1", "0")
    (bar,) = okx_stream.understood(okx_text(argument["channel"], row)).messages
    assert isinstance(bar, StreamedBar)
    assert (bar.interval, bar.bar.open_time) == (interval, opens)


BAD_PRICES = ["0", "0.00", "-1", "NaN", "Infinity", "1e5", "", " 1", "abc", None, 1, 1.5, [], {}]


@pytest.mark.parametrize("price", BAD_PRICES)
def test_what_is_no_price_is_dropped(price: Any):
    assert binance_stream.understood(binance_ticker(c=price)) == GARBAGE
    assert okx_stream.understood(okx_ticker(last=price)) == GARBAGE
    assert binance_stream.understood(binance_kline(c=price)) == GARBAGE
    row = okx_candle(str(MINUTE), "10", "12", "9", price, "3.5", "1", "1", "0")
    assert okx_stream.understood(okx_text("candle1m", row)) == GARBAGE


@pytest.mark.parametrize(
    "changes",
    [
        {"h": "10"}, {"l": "10.5"}, {"v": "-1"}, {"t": MINUTE + 1}, {"t": "0"}, {"t": -60_000},
        {"i": "1M"}, {"i": None}, {"x": 1}, {"x": "false"},
    ],
)  # fmt: skip
def test_impossible_bars_are_dropped(changes: dict[str, Any]):
    assert binance_stream.understood(binance_kline(**changes)) == GARBAGE


@pytest.mark.parametrize("event_time", [None, "1717245296789", -1, 10**14, 1.5, True])
def test_a_ticker_without_a_time_is_dropped(event_time: Any):
    assert binance_stream.understood(binance_ticker(E=event_time)) == GARBAGE


def test_answers_to_requests_are_no_messages():
    assert binance_stream.understood({"result": None, "id": 1}) == NOTHING
    assert okx_stream.understood('{"event": "subscribe", "arg": {}}') == NOTHING
    assert okx_stream.understood("pong") == NOTHING


def test_a_refusal_is_told():
    refused = binance_stream.understood({"error": {"code": 2, "msg": "invalid stream"}, "id": 1})
    assert refused.refusal == "invalid stream"
    assert okx_stream.understood('{"event": "error", "msg": "no"}').refusal == "no"


def test_a_venue_that_is_about_to_close_says_so():
    assert binance_stream.understood({"e": "serverShutdown", "E": 1}).ends_soon
    assert binance_stream.understood({"stream": "x", "data": {"e": "serverShutdown"}}).ends_soon
    assert okx_stream.understood('{"event": "notice", "code": "64008", "msg": "…"}').ends_soon


def test_one_bad_row_does_not_take_the_others_along():
    good = json.loads(okx_ticker())["data"][0]
    text = json.dumps({"arg": {"channel": "tickers", "instId": "BTC-USDT"}, "data": [good, {}, 1]})
    heard = okx_stream.understood(text)
    assert (len(heard.messages), heard.dropped) == (1, 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
NAMED = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("stream", "data", "arg", "event", "error", "code", "result", "e", "k", "s", "x"), JSON
    ),
)


@given(JSON | NAMED | st.fixed_dictionaries({"stream": st.text(), "data": NAMED}))
def test_no_content_raises(content: Any):
    assert isinstance(binance_stream.understood(content), Heard)
    assert isinstance(okx_stream.understood(json.dumps(content)), Heard)


@given(st.text() | st.binary())
def test_no_text_raises(text: str | bytes):
    assert isinstance(okx_stream.understood(text), Heard)
    assert isinstance(binance_stream.understood(binance_stream._json(text)), Heard)


def test_batches_are_of_a_size_and_always_the_same():
    channels = {Channel(name, interval) for name in "ABC" for interval in (None, Interval.M1)}
    batches = in_batches(channels, 4)
    assert [len(batch) for batch in batches] == [4, 2]
    assert batches == in_batches(channels, 4)
    assert {channel for batch in batches for channel in batch} == channels
    assert in_batches([], 4) == []
