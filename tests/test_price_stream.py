"""The price stream: pushed where it can be, asked for where not, told to everybody at its rate."""

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from market_source import SettableSource

from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from event_stream import EventStream
from price_stream import PriceStream


@pytest.fixture
def source() -> SettableSource:
    source = SettableSource(SystemClock())
    source.quotes = {"BTCUSDT": Decimal(100), "ETHUSDT": Decimal(10)}
    return source


@pytest.fixture
def make(tmp_path: Path, source: SettableSource) -> Iterator[Callable[..., PriceStream]]:
    """Makes streams, and stops them at the end."""
    database = Database(tmp_path / "trading.db", SystemClock())
    database.upgrade()
    streams: list[PriceStream] = []

    def make(coins: Any = ("BTC", "ETH"), poll_seconds: float = 0.02) -> PriceStream:
        aggregator = MultiSourceDataAggregator(
            database, {"binance": source}, {"price": ["binance"]}, SystemClock(),
        )  # fmt: skip
        in_use = coins if callable(coins) else lambda: coins
        streams.append(PriceStream(aggregator, in_use, EventStream(), poll_seconds))
        return streams[-1]

    yield make
    for stream in streams:
        stream.stop()
    database.close()


def test_a_poll_asks_once_and_tells_listeners_and_pages(make, source: SettableSource):
    stream = make(["ETH", "BTC", "ETH", "NOSUCH"])
    heard: list[dict[str, Any]] = []
    stream.on_prices(lambda prices: heard.append(dict(prices)))
    pages = stream._events.listen(["price"])
    stream.poll()
    assert heard == []  # listeners are called on the thread that delivers
    stream.deliver()
    assert {coin: price.ticker.price for coin, price in heard[0].items()} == {"BTC": 100, "ETH": 10}
    event = pages.next(0)
    assert event is not None
    assert event.payload["prices"] == heard[0]
    assert source.asked == {"prices": 1}


def test_without_coins_in_use_nothing_is_asked(make, source: SettableSource):
    stream = make([])
    stream.on_prices(lambda prices: pytest.fail("there are none"))
    stream.poll()
    stream.deliver()
    assert source.asked == {}


def test_coins_without_a_price_are_no_event(make):
    stream = make(["NOSUCH"])
    stream.on_prices(lambda prices: pytest.fail("there are none"))
    pages = stream._events.listen(["price"])
    stream.poll()
    stream.deliver()
    assert pages.next(0) is None


def test_it_polls_until_it_is_stopped(make, source: SettableSource):
    stream = make()
    polled = threading.Semaphore(0)
    stream.on_prices(lambda prices: polled.release())
    assert not stream.running
    stream.start()
    assert stream.running
    assert all(polled.acquire(timeout=5) for _ in range(3))
    stream.stop()
    assert not stream.running
    asked = source.asked["prices"]
    assert asked >= 3
    stream.stop()  # again is nothing


def test_a_stream_that_was_never_started_can_be_stopped(make):
    make().stop()


@pytest.mark.parametrize("trouble", ["source", "listener", "coins"])
def test_whatever_goes_wrong_once_it_goes_on(make, source: SettableSource, trouble: str):
    """Exits hang on it."""
    calls: list[str] = []
    polled = threading.Semaphore(0)

    def coins() -> list[str]:
        if trouble == "coins" and not calls:
            calls.append("failed")
            raise ValueError("bad coins")
        return ["BTC"]

    def listen(prices: object) -> None:
        if trouble == "listener" and not calls:
            calls.append("failed")
            raise ValueError("bad listener")
        polled.release()

    if trouble == "source":
        source.fail()
    stream = make(coins)
    stream.on_prices(listen)
    stream.start()
    if trouble == "source":
        assert not polled.acquire(timeout=0.1)
        source.failure = None
    assert polled.acquire(timeout=5)
    assert stream.running


def test_the_pause_grows_with_failures_and_is_bounded(make):
    stream = make(poll_seconds=2.0)

    def pauses(failures: range) -> list[float]:
        found = []
        for stream._failures in failures:
            found.append(stream._pause_seconds())
        return found

    assert pauses(range(8)) == [2, 4, 8, 10, 32, 60, 60, 60]
    assert pauses(range(1000, 1001)) == [60]
