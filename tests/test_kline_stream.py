"""Live candles: pushed in order, none left out, fetched where the stream has missed some."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from new_database import new_database

import kline_stream
from clock import SystemClock
from data_aggregator import KlineAnswer
from database import Database
from domain import MINUTE_MS, Interval, Kline, KlineSeries
from errors import SourceUnavailable
from event_stream import EventStream, Listener
from kline_stream import KlineStream, Series
from stream_messages import Channel, StreamedBar

NOW = 1_717_245_240_000
BTC = Series("BTC", Interval.M1)
POLL_SECONDS = 0.05


def bar(minute: int, close: float = 10.0, closed: bool = True) -> Kline:
    return Kline(NOW + minute * MINUTE_MS, 10, 20, 5, close, 1, closed)


class Candles:
    """Stands for the aggregator: what its source has, of which the last may be open."""

    def __init__(self) -> None:
        self.bars = [bar(-1), bar(0, closed=False)]
        self.failing = False
        self.asked = threading.Semaphore(0)

    def get_klines(
        self, symbol: str, interval: Interval, *, start_ms: int | None, end_ms: int | None,
        limit: int, include_open: bool,
    ) -> KlineAnswer:  # fmt: skip
        self.asked.release()
        if self.failing:
            raise SourceUnavailable("the test has cut it off")
        chosen = [
            each
            for each in self.bars
            if (each.closed or include_open)
            and (start_ms is None or each.open_time >= start_ms)
            and (end_ms is None or each.open_time < end_ms)
        ]
        chosen = chosen[-limit:] if start_ms is None else chosen[:limit]
        return KlineAnswer(KlineSeries.from_klines(chosen, interval, "rest"))


class Streams:
    """Stands for the venues' streams."""

    def __init__(self) -> None:
        self.up = {"binance", "okx"}
        self.wanted: dict[str, set[Channel]] = {}
        self.changed = threading.Event()
        self.started = False

    def start(self) -> None:
        self.started = True

    def on_bar(self, listener: Callable[[StreamedBar], None]) -> None:
        self._push = listener

    def on_up(self, listener: Callable[[str], None]) -> None:
        self.come_up = listener

    def has_bars(self, source: str) -> bool:
        return source in self.up

    def want_bars(self, wanted: dict[str, set[Channel]]) -> None:
        if wanted != self.wanted:
            self.wanted = {source: set(channels) for source, channels in wanted.items()}
            self.changed.set()

    def push(self, pushed: Kline, source: str = "binance") -> None:
        symbol = {"binance": "BTCUSDT", "okx": "BTC-USDT"}[source]
        self._push(StreamedBar(symbol, Interval.M1, pushed, source))

    def wait_for(self, **wanted: set[Channel]) -> None:
        for _ in range(100):
            if self.wanted == wanted:
                return
            self.changed.wait(0.05)
            self.changed.clear()
        raise AssertionError(f"wanted is {self.wanted}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", SystemClock())
    yield database
    database.close()


@pytest.fixture
def candles() -> Candles:
    return Candles()


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
def events() -> EventStream:
    return EventStream()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kline_stream, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(kline_stream, "ASK_PAUSE_SECONDS", 0.03)
    monkeypatch.setattr(kline_stream, "OPEN_BAR_PAUSE_SECONDS", 0.1)


@pytest.fixture
def feed(database: Database, candles: Any, streams: Any, events: EventStream) -> Iterator[Any]:
    feed = KlineStream(database, candles, events, ["binance", "okx"], POLL_SECONDS, streams)
    yield feed
    feed.stop()


@pytest.fixture
def page(feed: KlineStream, events: EventStream, streams: Streams) -> Listener:
    """Listens to BTC's minutes, and has been told the two bars that there are."""
    listener = events.listen([BTC.topic])
    feed.watch(BTC)
    streams.wait_for(binance={Channel("BTCUSDT", Interval.M1)}, okx=set())
    assert told(listener, 2) == [bar(-1), bar(0, closed=False)]
    return listener


def told(listener: Listener, count: int) -> list[Kline]:
    """The bars of the next events."""
    bars = []
    for _ in range(count):
        event = listener.next(5)
        assert event is not None, f"only {bars} came"
        bars.append(event.payload["bar"])
    return bars


def test_who_begins_to_listen_is_told_the_bars_as_they_stand(page: Listener, streams: Streams):
    assert streams.started
    assert page.next(0.2) is None


def test_a_bar_is_told_as_it_grows_and_when_it_closes(page: Listener, streams: Streams):
    streams.push(bar(0, close=11, closed=False))
    assert told(page, 1) == [bar(0, close=11, closed=False)]
    streams.push(bar(0, close=12))
    streams.push(bar(1, close=13, closed=False))
    assert told(page, 2) == [bar(0, close=12), bar(1, close=13, closed=False)]


def test_an_open_bar_is_told_at_its_rate_and_the_newest_of_it(page: Listener, streams: Streams):
    for step in range(300):
        streams.push(bar(0, close=11 + step / 100, closed=False))
    heard = []
    while (event := page.next(0.5)) is not None:
        heard.append(event.payload["bar"])
    assert len(heard) < 5
    assert heard[-1] == bar(0, close=13.99, closed=False)


def test_bars_that_the_stream_left_out_are_fetched_first(
    page: Listener, streams: Streams, candles: Candles
):
    candles.bars = [bar(minute) for minute in range(-1, 6)]
    streams.push(bar(6, closed=False))
    assert told(page, 7) == [*(bar(minute) for minute in range(6)), bar(6, closed=False)]


def test_a_close_that_was_missed_is_fetched(page: Listener, streams: Streams, candles: Candles):
    candles.bars = [bar(-1), bar(0, close=15)]
    streams.push(bar(1, closed=False))
    assert told(page, 2) == [bar(0, close=15), bar(1, closed=False)]


def test_a_bar_that_the_exchange_never_made_is_not_waited_for_forever(
    page: Listener, streams: Streams, candles: Candles
):
    candles.bars = [bar(-1), bar(0)]
    streams.push(bar(5))
    assert told(page, 2) == [bar(0), bar(5)]


def test_while_the_missing_bars_cannot_be_had_the_next_one_waits(
    page: Listener, streams: Streams, candles: Candles
):
    candles.failing = True
    streams.push(bar(3, closed=False))
    for _ in range(4):
        assert candles.asked.acquire(timeout=5)
    assert page.next(0) is None
    candles.bars = [bar(minute) for minute in range(-1, 3)]
    candles.failing = False
    assert told(page, 4) == [bar(0), bar(1), bar(2), bar(3, closed=False)]


def test_bars_out_of_order_or_twice_are_told_once(page: Listener, streams: Streams):
    closed = bar(0, close=12)
    for pushed in (closed, closed, bar(-3), bar(0, close=9, closed=False), bar(1, closed=False)):
        streams.push(pushed)
    assert told(page, 2) == [closed, bar(1, closed=False)]
    assert page.next(0.2) is None


def test_after_a_cut_what_was_missed_is_fetched_at_once(
    page: Listener, streams: Streams, candles: Candles
):
    candles.bars = [bar(minute) for minute in range(-1, 3)] + [bar(3, closed=False)]
    streams.come_up("binance")
    assert told(page, 4) == [bar(0), bar(1), bar(2), bar(3, closed=False)]


def test_while_the_first_venue_is_out_the_second_one_serves(page: Listener, streams: Streams):
    streams.up = {"okx"}
    both = {
        "binance": {Channel("BTCUSDT", Interval.M1)},  # so that it comes back
        "okx": {Channel("BTC-USDT", Interval.M1)},
    }
    streams.wait_for(**both)
    streams.push(bar(0, close=11), "okx")
    event = page.next(5)
    assert event is not None
    assert (event.payload["bar"], event.payload["source"]) == (bar(0, close=11), "okx")
    streams.up = {"binance", "okx"}
    streams.wait_for(binance=both["binance"], okx=set())


def test_without_any_stream_candles_are_polled(page: Listener, streams: Streams, candles: Candles):
    streams.up = set()
    candles.bars = [bar(-1), bar(0), bar(1, closed=False)]
    assert told(page, 2) == [bar(0), bar(1, closed=False)]
    candles.bars[-1] = replace(candles.bars[-1], close=15)
    assert told(page, 1) == [bar(1, close=15, closed=False)]


def test_a_series_of_which_the_stream_says_nothing_is_asked_for(
    page: Listener, candles: Candles, monkeypatch: pytest.MonkeyPatch
):
    """The venue's stream is up, and does not have this coin."""
    monkeypatch.setattr(kline_stream, "QUIET_SECONDS", 0.1)
    candles.bars = [bar(-1), bar(0), bar(1, closed=False)]
    assert told(page, 2) == [bar(0), bar(1, closed=False)]


def test_the_venues_are_left_when_the_last_listener_leaves(
    feed: KlineStream, page: Listener, streams: Streams
):
    feed.watch(BTC)
    feed.leave(BTC)
    assert streams.wanted["binance"]
    feed.leave(BTC)
    streams.wait_for(binance=set(), okx=set())


def test_who_comes_back_has_missed_no_bar(
    feed: KlineStream, page: Listener, events: EventStream, streams: Streams, candles: Candles
):
    streams.push(bar(0))
    event = page.next(5)
    assert event is not None
    events.leave(page)
    feed.leave(BTC)
    streams.wait_for(binance=set(), okx=set())
    candles.bars = [bar(minute) for minute in range(-1, 4)]
    back = events.listen([BTC.topic], after_id=event.id)
    feed.watch(BTC)
    assert told(back, 3) == [bar(1), bar(2), bar(3)]


def test_series_that_nobody_has_listened_to_for_long_are_forgotten(
    feed: KlineStream, page: Listener, streams: Streams, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kline_stream, "REMEMBERED_SECONDS", 0.0)
    feed.leave(BTC)
    for _ in range(100):
        if not feed._feeds:
            break
        threading.Event().wait(0.02)
    assert feed._feeds == {}
    assert BTC.topic not in feed._events._kept
    streams.wait_for(binance=set(), okx=set())


def test_trouble_once_is_not_the_end(
    page: Listener, streams: Streams, candles: Candles, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any, **__: Any) -> KlineAnswer:
        candles.asked.release()
        raise ValueError("a bug")

    while candles.asked.acquire(blocking=False):
        pass
    with monkeypatch.context() as broken:
        broken.setattr(candles, "get_klines", fail, raising=False)
        streams.push(bar(2))
        assert candles.asked.acquire(timeout=5)
    candles.bars = [bar(-1), bar(0), bar(1)]
    assert told(page, 3) == [bar(0), bar(1), bar(2)]
