"""The venues' websockets through the real SDKs, against the simulated exchange and its faults."""

import gc
import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clock import ManualClock, SystemClock
from domain import DAY_MS, Interval
from exchange_simulator.binance_streams import BinanceStreamTimes
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from market_streams import MarketStreams
from stream_messages import Channel
from stream_supervisor import StreamState, StreamTerms

NOW_MS = 1_717_245_296_789
HASTY = StreamTerms(first_pause=0.01, longest_pause=0.1)
IMPATIENT = StreamTerms(silence=0.6, first_message=0.6, first_pause=0.01, longest_pause=0.1)
SYMBOLS = {"binance": ["BTCUSDT", "ETHUSDT", "SOLUSDT"], "okx": ["BTC-USDT", "ETH-USDT"]}


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatorServer]:
    """An exchange that streams 20 times a second, whose limits of connections are out of the way."""
    with SimulatorServer(
        GeneratedMarket(seed=7), ManualClock(NOW_MS), pulse_seconds=0.05, okx_limit_factor=100
    ) as server:
        yield server


@pytest.fixture
def make(exchange: SimulatorServer) -> Iterator[Callable[..., MarketStreams]]:
    """Makes streams of the exchange, started with the tickers of `SYMBOLS`."""
    made: list[MarketStreams] = []

    def make(terms: StreamTerms = HASTY, symbols: dict[str, list[str]] = SYMBOLS) -> MarketStreams:
        streams = MarketStreams(
            exchange.binance_stream_url, exchange.okx_stream_url, SystemClock(), terms
        )
        made.append(streams)
        streams.want_tickers(symbols)
        streams.start()
        return streams

    yield make
    exchange.faults.clear()
    for streams in made:
        streams.stop()


def until(true: Callable[[], Any], seconds: float = 10.0) -> float:
    """Wait until something is so; the seconds that it took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "it never came"
        time.sleep(0.01)
    return time.monotonic() - begun


def state(streams: MarketStreams, venue: str) -> StreamState:
    return {state.name: state for state in streams.states()}[venue]


def each(true: Callable[[str], Any]) -> bool:
    """Whether something is so of both venues."""
    return all(true(venue) for venue in SYMBOLS)


def until_each(true: Callable[[str], Any]) -> float:
    """Wait until it is."""
    return until(lambda: each(true))


def all_have_come(streams: MarketStreams, symbols: dict[str, list[str]]) -> None:
    """From now on, every symbol's ticker comes once more."""
    missing = {(venue, symbol) for venue, listed in symbols.items() for symbol in listed}
    streams.take_tickers()

    def complete() -> bool:
        for venue, tickers in streams.take_tickers().items():
            missing.difference_update((venue, symbol) for symbol in tickers)
        return not missing

    until(complete)


def test_a_hundred_coins_come_within_the_venues_limits(make, exchange: SimulatorServer):
    listed = exchange.market.listings(NOW_MS)
    binance = list(listed)[:110]
    okx = [f"{symbol.removesuffix('USDT')}-USDT" for symbol in binance]
    streams = make(symbols={"binance": binance, "okx": okx})
    until_each(lambda venue: len(streams._tickers.get(venue, {})) >= 85)  # OKX does not list all
    assert each(lambda venue: state(streams, venue).reconnects == 0)


def test_the_price_is_that_of_rest(make, exchange: SimulatorServer):
    streams = make()
    until_each(lambda venue: state(streams, venue).state == "up")
    rest = {
        "binance": "/api/v3/ticker/24hr?symbol=BTCUSDT",
        "okx": "/api/v5/market/ticker?instId=BTC-USDT",
    }
    answers = {
        venue: json.load(urllib.request.urlopen(exchange.url + path))
        for venue, path in rest.items()
    }
    until_each(lambda venue: SYMBOLS[venue][0] in streams._tickers.get(venue, {}))
    taken = streams.take_tickers()
    assert str(taken["binance"]["BTCUSDT"].price) == answers["binance"]["lastPrice"]
    assert str(taken["okx"]["BTC-USDT"].price) == answers["okx"]["data"][0]["last"]


def test_a_dropped_socket_is_made_again(make, exchange: SimulatorServer):
    streams = make()
    all_have_come(streams, SYMBOLS)
    ups: list[str] = []
    streams.on_up(ups.append)
    exchange.faults.switch_on("all", "socket_drop")
    until_each(lambda venue: state(streams, venue).reconnects == 1)
    until_each(lambda venue: venue in ups)
    all_have_come(streams, SYMBOLS)
    assert each(lambda venue: state(streams, venue).state == "up")


def test_a_venue_that_is_down_has_us_back_soon_after(make, exchange: SimulatorServer):
    fault = exchange.faults.switch_on("all", "down", channel="stream")
    streams = make()
    until_each(lambda venue: state(streams, venue).reconnects > 3)
    assert each(lambda venue: state(streams, venue).state == "down")
    exchange.faults.switch_off(fault)
    took = until_each(lambda venue: state(streams, venue).state == "up")
    assert took < HASTY.longest_pause + 1
    all_have_come(streams, SYMBOLS)


def test_a_silent_socket_is_down(make, exchange: SimulatorServer):
    streams = make(IMPATIENT)
    until_each(lambda venue: state(streams, venue).state == "up")
    fault = exchange.faults.switch_on("all", "socket_silent")
    until_each(lambda venue: state(streams, venue).state == "silent")
    until_each(lambda venue: state(streams, venue).reconnects > 1)  # and it keeps trying
    exchange.faults.switch_off(fault)
    until_each(lambda venue: state(streams, venue).state == "up")
    all_have_come(streams, SYMBOLS)


def test_a_flood_is_coalesced(make, exchange: SimulatorServer):
    streams = make()
    until_each(lambda venue: state(streams, venue).state == "up")
    before = {venue: state(streams, venue).messages for venue in SYMBOLS}
    exchange.faults.switch_on("all", "socket_flood", rate=2000)
    until_each(lambda venue: state(streams, venue).messages > before[venue] + 1000)
    # The newest of each, and no more.
    assert each(lambda venue: len(streams._tickers[venue]) == len(SYMBOLS[venue]))
    exchange.faults.clear()
    assert each(lambda venue: state(streams, venue).reconnects == 0)
    all_have_come(streams, SYMBOLS)


@pytest.mark.parametrize("fault", ["garbage", "zero_price"])
def test_garbage_is_counted_and_never_served(make, exchange: SimulatorServer, fault: str):
    streams = make()
    until_each(lambda venue: state(streams, venue).state == "up")
    params = {"every": 1} if fault.endswith("price") else {}
    number = exchange.faults.switch_on("all", fault, channel="stream", **params)
    until_each(lambda venue: state(streams, venue).dropped > 5)
    assert all(
        ticker.price > 0 for taken in streams.take_tickers().values() for ticker in taken.values()
    )
    exchange.faults.switch_off(number)
    all_have_come(streams, SYMBOLS)
    assert each(
        lambda venue: state(streams, venue).reconnects == 0
    )  # the socket was never the trouble


def test_nothing_but_garbage_is_as_good_as_silence(make, exchange: SimulatorServer):
    streams = make(IMPATIENT)
    until_each(lambda venue: state(streams, venue).state == "up")
    exchange.faults.switch_on("all", "garbage", channel="stream")
    until_each(lambda venue: state(streams, venue).state == "silent")


def test_a_second_connection_takes_over_before_the_cut(make, exchange: SimulatorServer):
    """Without a gap: no loss is counted, and prices come all the while."""
    terms = StreamTerms(silence=5, first_message=5, renew_after=0.5, overlap=0.2, first_pause=0.01)
    streams = make(terms)
    until_each(lambda venue: state(streams, venue).renewals >= 2)
    all_have_come(streams, SYMBOLS)
    assert each(lambda venue: state(streams, venue).reconnects == 0)
    assert each(lambda venue: state(streams, venue).state == "up")


def test_the_cut_after_24_hours_is_mended(make, exchange: SimulatorServer):
    streams = make()
    until(lambda: state(streams, "binance").state == "up")
    exchange.clock.set(NOW_MS + DAY_MS)
    try:
        until(lambda: state(streams, "binance").reconnects == 1)
        all_have_come(streams, {"binance": SYMBOLS["binance"]})
    finally:
        exchange.clock.set(NOW_MS)


def test_what_is_wanted_changes_while_it_runs(make, exchange: SimulatorServer):
    streams = make()
    all_have_come(streams, SYMBOLS)
    more = {"binance": ["ETHUSDT", "XRPUSDT"], "okx": ["ETH-USDT", "XRP-USDT"]}
    streams.want_tickers(more)
    all_have_come(streams, more)
    streams.want_tickers({venue: symbols[1:] for venue, symbols in more.items()})
    # Bitcoin, which nobody wants any more, is had all the same: as a sign of life.
    kept = {"binance": {"BTCUSDT", "XRPUSDT"}, "okx": {"BTC-USDT", "XRP-USDT"}}

    def had_meanwhile() -> dict[str, set[str]]:
        """What comes within a few of the venues' pulses, which need not fall together."""
        streams.take_tickers()
        time.sleep(0.3)
        return {venue: set(had) for venue, had in streams.take_tickers().items()}

    until(lambda: had_meanwhile() == kept)
    assert had_meanwhile() == kept
    assert each(lambda venue: state(streams, venue).reconnects == 0)


@pytest.mark.parametrize("venue", ["binance", "okx"])
def test_candles_come_while_they_are_wanted_and_no_longer(make, exchange: SimulatorServer, venue):
    streams = make()
    bars: list[Any] = []
    streams.on_bar(bars.append)
    symbol = SYMBOLS[venue][1]
    streams.want_bars({venue: [Channel(symbol, Interval.H1)]})
    until(lambda: any(bar.symbol == symbol for bar in bars))
    assert streams.has_bars(venue)
    streams.want_bars({})
    if venue == "okx":
        until(lambda: state(streams, "okx_candles").state == "off")
    time.sleep(0.2)
    bars.clear()
    time.sleep(0.2)
    assert bars == []


def test_a_name_that_is_none_does_not_cost_the_others(make, exchange: SimulatorServer):
    strange = ["NOSUCHUSDT", "NOSUCH-USDT", "a/b", "BTC USDT", "币安人生USDT", "x" * 100, ""]
    symbols = {venue: [*strange, *known] for venue, known in SYMBOLS.items()}
    streams = make(symbols=symbols)
    all_have_come(streams, SYMBOLS)
    streams.want_tickers({venue: [*known, "ß-USDT"] for venue, known in symbols.items()})
    all_have_come(streams, SYMBOLS)
    assert each(lambda venue: state(streams, venue).reconnects == 0)


def test_an_outage_is_told_once(exchange: SimulatorServer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "venue_stream")
    streams = MarketStreams("ws://127.0.0.1:9", None, SystemClock(), HASTY)
    streams.want_tickers(SYMBOLS)
    streams.start()
    until(lambda: state(streams, "binance").reconnects > 3)
    streams.stop()
    assert len([each for each in caplog.records if each.name == "venue_stream"]) == 1


def test_without_anything_wanted_there_is_no_connection(make, exchange: SimulatorServer):
    streams = make()
    until(lambda: all(state(streams, venue).state == "up" for venue in ("binance", "okx")))
    streams.want_tickers({})
    until(lambda: {each.state for each in streams.states()} == {"off"})
    taken = streams.take_tickers
    taken()
    time.sleep(0.2)
    assert taken() == {}


@pytest.mark.parametrize("trouble", [None, "socket_silent", "socket_flood", "down"])
def test_stopping_is_quick_and_leaves_nothing_behind(
    make, exchange: SimulatorServer, trouble: str | None, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING, "asyncio")
    streams = make(StreamTerms())
    if trouble is not None:
        exchange.faults.switch_on("all", trouble, channel="stream")
        time.sleep(0.3)
    else:
        until(lambda: state(streams, "binance").state == "up")
    begun = time.monotonic()
    streams.stop()
    assert time.monotonic() - begun < 2
    assert "market-streams" not in [thread.name for thread in threading.enumerate()]
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []
    streams.start()  # after the end is nothing
    assert "market-streams" not in [thread.name for thread in threading.enumerate()]


def test_streams_that_were_never_started_can_be_stopped(exchange: SimulatorServer):
    streams = MarketStreams(None, exchange.okx_stream_url, SystemClock())
    assert [each.name for each in streams.states()] == ["okx", "okx_candles"]
    assert not streams.has_tickers("binance")
    streams.stop()


def test_a_venue_that_cannot_be_reached_leaves_the_other_alone(exchange: SimulatorServer):
    streams = MarketStreams("ws://127.0.0.1:9", exchange.okx_stream_url, SystemClock(), HASTY)
    streams.want_tickers(SYMBOLS)
    streams.start()
    try:
        until(lambda: state(streams, "okx").state == "up")
        until(lambda: state(streams, "binance").reconnects > 2)
        assert state(streams, "binance").state == "down"
    finally:
        streams.stop()


def test_pings_are_answered():
    """Else the venue would close the connection."""
    times = BinanceStreamTimes(ping_seconds=0.05, pong_seconds=0.3)
    with SimulatorServer(
        GeneratedMarket(seed=7), ManualClock(NOW_MS), pulse_seconds=0.3, binance_stream_times=times
    ) as server:
        streams = MarketStreams(server.binance_stream_url, None, SystemClock())
        streams.want_tickers(SYMBOLS)
        streams.start()
        try:
            until(lambda: state(streams, "binance").messages > 12)
            assert state(streams, "binance").reconnects == 0
        finally:
            streams.stop()
