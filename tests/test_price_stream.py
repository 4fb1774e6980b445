"""The price stream: pushed where it can be, asked for where not, told to everybody at its rate."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from market_source import SettableSource
from new_database import new_database

import price_age
from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from domain import Coin, Ticker
from event_stream import EventStream
from price_stream import PriceStream
from pushed_prices import traded_only
from repositories.coins import find_all
from stream_supervisor import StreamState


@pytest.fixture
def source() -> SettableSource:
    source = SettableSource(SystemClock())
    source.quotes = {"BTCUSDT": Decimal(100), "ETHUSDT": Decimal(10)}
    return source


@pytest.fixture
def make(tmp_path: Path, source: SettableSource) -> Iterator[Callable[..., PriceStream]]:
    """Makes streams, and stops them at the end."""
    database = new_database(tmp_path / "trading.db", SystemClock())
    made: list[PriceStream] = []

    def make(
        coins: Any = ("BTC", "ETH"), poll_seconds: float = 0.02, streams: Any = None
    ) -> PriceStream:
        aggregator = MultiSourceDataAggregator(
            database, {"binance": source}, {"price": ["binance", "okx"]}, SystemClock(),
        )  # fmt: skip
        in_use = coins if callable(coins) else lambda: coins
        made.append(
            PriceStream(
                aggregator, in_use, EventStream(), poll_seconds, streams=streams,
                find_coins=lambda symbols: find_all(database.connection, symbols),
            )
        )  # fmt: skip
        return made[-1]

    yield make
    for stream in made:
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


# ------------------------------------------------------------------- with the venues' streams


class Streams:
    """Stands for the venues' streams: a test pushes what they bring."""

    def __init__(self) -> None:
        self.up = {"binance": True, "okx": True}
        self.dropped = {"binance": 0, "okx": 0}
        self.last_message_ms = 0
        self.wanted: dict[str, set[str]] = {}
        self._tickers: dict[str, dict[str, Ticker]] = {}
        self._stamp = SystemClock().now_ms()

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def on_tickers(self, listener: Callable[[], None]) -> None:
        self._told = listener

    def on_up(self, listener: Callable[[str], None]) -> None:
        self.come_up = listener

    def want_tickers(self, symbols: dict[str, dict[str, str]]) -> None:
        self.wanted = {source: set(names) for source, names in symbols.items()}

    def has_tickers(self, source: str) -> bool:
        return self.up.get(source, False)

    def take_tickers(self) -> dict[str, dict[str, Ticker]]:
        taken, self._tickers = self._tickers, {}
        return taken

    def states(self) -> list[StreamState]:
        return [
            StreamState(name, "up" if up else "down", self.last_message_ms, dropped=dropped)
            for (name, up), dropped in zip(self.up.items(), self.dropped.values(), strict=True)
        ]

    def push(self, symbol: str, price: int, source: str = "binance", stamp: int = 0) -> None:
        self._stamp += 1
        self.last_message_ms = SystemClock().now_ms()
        ticker = Ticker(symbol, Decimal(price), stamp or self._stamp, source)
        self._tickers.setdefault(source, {})[symbol] = ticker
        self._told()


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
def pushed(make, streams: Streams, source: SettableSource) -> PriceStream:
    """BTC and ETH, followed at both venues; REST would say other prices."""
    stream: PriceStream = make(["BTC", "ETH"], streams=streams)
    stream._pushed.follow(stream._find_coins(["BTC", "ETH"]))
    return stream


def prices_of(stream: PriceStream) -> dict[str, Decimal]:
    known = stream._data_aggregator.latest.last_known(["BTC", "ETH"])
    return {coin: price.ticker.price for coin, price in known.items()}


def age(stream: PriceStream, coin: str) -> float:
    latest = stream._data_aggregator.latest
    return latest.age_seconds(latest.last_known([coin])[coin])


def let_age(stream: PriceStream, coin: str, seconds: float) -> None:
    """As if its price had been received so long ago."""
    prices = stream._data_aggregator.latest._prices
    received_ms = prices[coin].received_ms - int(seconds * 1000)
    prices[coin] = replace(prices[coin], received_ms=received_ms)


def test_both_venues_are_asked_for_the_coins_in_use(pushed: PriceStream, streams: Streams):
    assert streams.wanted == {
        "binance": {"BTCUSDT", "ETHUSDT"},
        "okx": {"BTC-USDT", "ETH-USDT"},
    }


def test_a_venue_is_not_asked_for_what_it_does_not_trade():
    """One name that it does not know may have it refuse all others."""
    btc = Coin(1, "BTC", "Bitcoin", binance_symbol="BTCUSDT", okx_symbol="BTC-USDT")
    matic = Coin(2, "MATIC", "Matic", binance_symbol="MATICUSDT", okx_symbol="MATIC-USDT")
    trading = {"BTC": {"binance": True}, "MATIC": {"binance": False, "okx": True}}
    assert traded_only([btc, matic], trading) == [btc, replace(matic, binance_symbol=None)]


def test_what_is_pushed_goes_to_the_listeners_and_costs_no_question(
    pushed: PriceStream, streams: Streams, source: SettableSource
):
    heard: list[dict[str, Any]] = []
    pushed.on_prices(lambda prices: heard.append(dict(prices)))
    for price in (101, 102, 103):
        streams.push("BTCUSDT", price)
    streams.push("ETHUSDT", 11)
    streams.push("DOGEUSDT", 1)  # nobody's
    pushed.deliver()
    assert [{coin: price.ticker.price for coin, price in prices.items()} for prices in heard] == [
        {"BTC": 103, "ETH": 11}
    ]
    pushed.poll()
    assert source.asked == {}
    pushed.deliver()
    assert len(heard) == 1  # nothing new is nothing to tell


def test_a_coin_that_no_stream_brings_is_polled(
    pushed: PriceStream, streams: Streams, source: SettableSource
):
    streams.push("BTCUSDT", 101)
    pushed.deliver()
    pushed.poll()
    pushed.deliver()
    assert source.asked == {"prices": 1}
    assert prices_of(pushed) == {"BTC": 101, "ETH": 10}


def test_while_the_streams_are_out_everything_is_polled(
    pushed: PriceStream, streams: Streams, source: SettableSource
):
    streams.push("BTCUSDT", 101)
    streams.push("ETHUSDT", 11)
    pushed.deliver()
    streams.up = {"binance": False, "okx": False}
    let_age(pushed, "BTC", 3)
    let_age(pushed, "ETH", 3)
    pushed.poll()
    pushed.deliver()
    assert source.asked == {"prices": 1}
    assert prices_of(pushed) == {"BTC": 100, "ETH": 10}


def test_the_poll_begins_as_soon_as_a_stream_is_lost(pushed: PriceStream, streams: Streams):
    streams.push("BTCUSDT", 101)
    pushed.deliver()
    pushed._poll_now.clear()
    pushed._confirmed_at = 0
    streams.up["binance"] = False
    pushed.deliver()
    assert pushed._poll_now.is_set()


def test_pages_are_told_when_a_stream_goes_or_comes(pushed: PriceStream, streams: Streams):
    page = pushed._events.listen(["health"])
    told = []
    for binance in (True, True, False, False, True):
        streams.up["binance"] = binance
        pushed._confirmed_at = 0
        pushed.deliver()
        event = page.next(0)
        told.append(event is not None and event.payload == {"sources": True})
    assert told == [True, False, True, False, True]


def test_okx_stands_in_when_binance_says_nothing(pushed: PriceStream, streams: Streams):
    streams.push("BTCUSDT", 101)
    streams.push("BTC-USDT", 100, "okx")
    pushed.deliver()
    assert prices_of(pushed)["BTC"] == 101
    let_age(pushed, "BTC", 3.5)
    streams.push("BTC-USDT", 100, "okx")
    pushed.deliver()
    assert prices_of(pushed)["BTC"] == 100


@pytest.mark.parametrize("trouble", ["none", "silent", "garbled", "down", "repeating"])
def test_a_coin_that_does_not_trade_is_as_good_as_new_while_its_stream_is(
    pushed: PriceStream, streams: Streams, trouble: str
):
    now_ms = SystemClock().now_ms()
    streams.push("BTCUSDT", 101, stamp=now_ms)
    pushed.deliver()
    let_age(pushed, "BTC", 3)
    pushed._confirmed_at = 0
    if trouble == "silent":
        streams.last_message_ms -= 3500
    if trouble == "garbled":  # perhaps it was BTC's price that could not be read
        streams.dropped["binance"] = 1
    if trouble == "down":
        streams.up["binance"] = False
    if trouble == "repeating":  # the venue's time stands still
        streams.push("BTCUSDT", 101, stamp=now_ms)
    pushed.deliver()
    assert (age(pushed, "BTC") < 1) == (trouble == "none")


@pytest.mark.parametrize("stamp", [1, 0])
def test_a_source_that_has_stopped_is_not_believed(
    pushed: PriceStream, streams: Streams, stamp: int, monkeypatch: pytest.MonkeyPatch
):
    """Its prices are of long ago by its own times, or the same again and again with new times."""
    monkeypatch.setattr(price_age, "STUCK_AFTER_MS", -1)
    monkeypatch.setattr(price_age, "COINS_THAT_MOVE", 2)
    if stamp == 0:
        streams.push("BTCUSDT", 101)
        streams.push("ETHUSDT", 11)
        pushed.deliver()
        pushed._pushed._sources["binance"]._examined_at = 0
    streams.push("BTCUSDT", 101, stamp=stamp)
    streams.push("ETHUSDT", 11, stamp=stamp)
    heard: list[Any] = []
    pushed.on_prices(heard.append)
    pushed.deliver()
    assert heard == []
    assert pushed._covered() == set()
    pushed._pushed._sources["binance"]._examined_at = 0
    streams.push("BTCUSDT", 102)
    pushed.deliver()
    assert [list(prices) for prices in heard] == [["BTC"]]


def test_pages_are_told_at_most_twice_a_second(pushed: PriceStream, streams: Streams):
    page = pushed._events.listen(["price"])
    for price in range(100, 150):
        streams.push("BTCUSDT", price)
        pushed.deliver()
    event = page.next(0)
    assert event is not None
    assert page.next(0) is None
    pushed._published_at -= 0.5
    pushed.deliver()
    event = page.next(0)
    assert event is not None
    assert event.payload["prices"]["BTC"].ticker.price == 149


def test_while_a_listener_is_busy_the_newest_prices_wait_for_it(
    pushed: PriceStream, streams: Streams, source: SettableSource
):
    source.fail()  # so that nothing comes but what is pushed
    heard: list[Decimal] = []
    entered, go = threading.Event(), threading.Event()

    def listen(prices: Any) -> None:
        heard.append(prices["BTC"].ticker.price)
        entered.set()
        assert go.wait(5)

    pushed.on_prices(listen)
    pushed.start()
    streams.push("BTCUSDT", 101)
    assert entered.wait(5)
    entered.clear()
    for price in range(102, 112):
        streams.push("BTCUSDT", price)
    go.set()
    assert entered.wait(5)
    assert heard == [101, 111]


def test_one_listeners_trouble_is_not_the_others(pushed: PriceStream, streams: Streams):
    heard: list[Any] = []

    def fail(prices: object) -> None:
        raise ValueError("bad listener")

    pushed.on_prices(fail)
    pushed.on_prices(heard.append)
    streams.push("BTCUSDT", 101)
    pushed.deliver()
    assert len(heard) == 1


def test_prices_that_stand_still_are_repeated_to_the_pages(pushed: PriceStream, streams: Streams):
    streams.push("BTCUSDT", 101)
    pushed.deliver()
    page = pushed._events.listen(["price"])
    pushed._repeated_at, pushed._published_at = 0, 0
    pushed.deliver()
    event = page.next(0)
    assert event is not None
    assert set(event.payload["prices"]) == {"BTC"}
