"""Prices from sources that are slow, stuck, old, in dollars or gone; pushed, compared and kept."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from market_source import SettableSource
from new_database import new_database

from binance_fetcher import BinanceDataFetcher
from clock import AcceleratedClock, ManualClock
from data_aggregator import MultiSourceDataAggregator
from data_cache import SqliteDataCache
from database import Database
from domain import MINUTE_MS, Ticker
from errors import SourceBadAnswer, SourceError, SourceRateLimited, SourceRefused, SourceUnavailable
from price_age import StuckSource, without_old
from price_routing import in_tethers

NOW_MS = 1_717_245_296_789
BTC = {"binance": "BTCUSDT", "okx": "BTC-USDT", "coingecko": "bitcoin"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def wall() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", clock)
    yield database
    database.close()


@pytest.fixture
def sources(clock: ManualClock) -> dict[str, SettableSource]:
    """The three, all of which have bitcoin at 100."""
    sources = {name: SettableSource(clock, name) for name in BTC}
    for name, source in sources.items():
        source.quotes = {BTC[name]: Decimal(100)}
    sources["coingecko"].quotes["tether"] = Decimal(1)
    return sources


@pytest.fixture
def make(
    database: Database, sources: dict[str, SettableSource], clock: ManualClock, wall: ManualClock
) -> Callable[..., MultiSourceDataAggregator]:
    def make(**options: Any) -> MultiSourceDataAggregator:
        venues = {name: sources[name] for name in ("binance", "okx")}
        return MultiSourceDataAggregator(
            database,
            options.pop("venues", venues),
            {"price": list(BTC), "klines": ["binance", "okx"], "depth": ["binance", "okx"]},
            clock,
            wall_clock=wall,
            price_sources={"coingecko": sources["coingecko"]},
            **options,
        )

    return make


@pytest.fixture
def aggregator(make: Callable[..., MultiSourceDataAggregator]) -> MultiSourceDataAggregator:
    return make()


def later(clock: ManualClock, seconds: float) -> None:
    clock.set(clock.now_ms() + round(seconds * 1000))


def price(aggregator: MultiSourceDataAggregator, **limits: float) -> tuple[str, str, bool]:
    ticker = aggregator.get_prices(["BTC"], **limits)["BTC"].ticker
    return str(ticker.price), ticker.source, ticker.stale


def said(source: str, amount: str) -> dict[str, Ticker]:
    """What a stream pushes."""
    return {"BTC": Ticker("BTC", Decimal(amount), NOW_MS, source)}


# ----------------------------------------------------------------------------- who is asked


def test_a_source_that_is_down_is_passed_over_and_then_not_asked_at_all(
    aggregator: MultiSourceDataAggregator, sources: dict[str, SettableSource], wall: ManualClock
):
    sources["binance"].fail()
    for _ in range(6):
        assert price(aggregator, max_age_seconds=0)[1] == "okx"
        later(wall, 0.1)
    assert sources["binance"].asked["prices"] == 3
    sources["binance"].failure = None
    later(wall, 5)
    assert price(aggregator, max_age_seconds=0)[1] == "binance"


@pytest.mark.parametrize(
    ("failure", "seconds", "state"),
    [
        (SourceRateLimited("slow down", retry_after=17), 17, "limited"),
        (SourceRateLimited("banned", retry_after=120, code="source_banned"), 120, "banned"),
        (SourceRefused("not here", code="geo_blocked"), 60, "blocked"),
    ],
)
def test_a_source_that_asks_for_silence_gets_it_to_the_second(
    aggregator: MultiSourceDataAggregator, sources: dict[str, SettableSource], wall: ManualClock,
    failure: SourceError, seconds: int, state: str,
):  # fmt: skip
    sources["binance"].failure = failure
    assert price(aggregator)[1] == "okx"
    report = aggregator.sources()[0]
    assert (report.state, report.health.retry_at_ms) == (state, NOW_MS + seconds * 1000)
    sources["binance"].failure = None
    later(wall, seconds - 0.001)
    assert price(aggregator, max_age_seconds=0)[1] == "okx"
    assert sources["binance"].asked["prices"] == 1
    later(wall, 0.001)
    assert price(aggregator, max_age_seconds=0)[1] == "binance"


def test_a_slow_source_leaves_time_for_the_next(
    make: Callable[..., MultiSourceDataAggregator], sources: dict[str, SettableSource],
    wall: ManualClock, monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    release = threading.Event()

    def slow(symbols: Sequence[str]) -> dict[str, Ticker]:
        release.wait(10)
        return {}

    monkeypatch.setattr(sources["binance"], "prices", slow)
    aggregator = make(budget_seconds=0.6)
    began = time.monotonic()
    assert price(aggregator)[1] == "okx"
    assert 0.15 < time.monotonic() - began < 0.55  # a third of the budget
    monkeypatch.setattr(sources["okx"], "prices", slow)
    monkeypatch.setattr(sources["coingecko"], "prices", slow)
    later(wall, 1)
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"Binance did not answer.*; OKX .*; CoinGecko "):
        aggregator.get_prices(["BTC"], 0)
    assert time.monotonic() - began < 1
    release.set()


def test_an_answer_that_comes_in_drops_is_given_up(
    make: Callable[..., MultiSourceDataAggregator], sources: dict[str, SettableSource],
    clock: ManualClock,
):  # fmt: skip
    """A time-out of each read is never reached by one byte after the other."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not ended.wait(0.05):
                    connection.sendall(b" ")

        dripping = threading.Thread(target=drip)
        dripping.start()
        fetcher = BinanceDataFetcher(
            base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", clock=clock
        )
        aggregator = make(venues={"binance": fetcher, "okx": sources["okx"]}, budget_seconds=0.9)
        began = time.monotonic()
        assert price(aggregator)[1] == "okx"
        assert time.monotonic() - began < 0.8
        ended.set()
        dripping.join()


# ------------------------------------------------------------------------- the last good price


def test_without_any_source_the_last_good_price_is_stale_and_only_so_old_as_was_asked_for(
    aggregator: MultiSourceDataAggregator, sources: dict[str, SettableSource], wall: ManualClock
):
    assert price(aggregator) == ("100", "binance", False)
    for source in sources.values():
        source.fail(f"{source.name} is out")
    later(wall, 60)
    assert price(aggregator, stale_seconds=60) == ("100", "binance", True)
    with pytest.raises(SourceUnavailable, match="binance is out; okx is out; coingecko is out"):
        price(aggregator)  # who has not asked for one gets none
    later(wall, 1)
    with pytest.raises(SourceUnavailable):
        price(aggregator, stale_seconds=60)
    sources["okx"].failure = None
    later(wall, 60)
    assert price(aggregator, stale_seconds=900) == ("100", "okx", False)


def test_prices_outlive_a_restart_as_stale_ones(
    make: Callable[..., MultiSourceDataAggregator], sources: dict[str, SettableSource],
    database: Database, wall: ManualClock,
):  # fmt: skip
    cache = SqliteDataCache(database, wall)
    first = make(cache=cache)
    first.latest.receive("binance", said("binance", "100"))
    first.latest.keep()
    for source in sources.values():
        source.fail()
    again = make(cache=cache)
    (known,) = again.latest.last_known(["BTC", "ETH"]).values()
    assert (str(known.ticker.price), known.ticker.source) == ("100", "binance")
    assert again.latest.is_stale(known)  # however quick the restart was
    with pytest.raises(SourceUnavailable):
        again.get_prices(["BTC"])
    later(wall, 100)
    assert price(again, stale_seconds=900) == ("100", "binance", True)
    assert again.latest.newest() == known


def test_what_something_else_has_written_into_the_cache_is_no_price(
    make: Callable[..., MultiSourceDataAggregator], database: Database, wall: ManualClock
):
    cache = SqliteDataCache(database, wall)
    for value in ({"price": "0", "time_ms": 1}, {"price": 5}, [], "x", {"price": "1"}):
        cache.put_many("price", "binance", {"BTC": value}, 60)
        assert make(cache=cache).latest.last_known(["BTC"]) == {}


# ------------------------------------------------------------------------------------ streams


def test_a_pushed_price_gives_way_to_a_source_that_comes_before(
    aggregator: MultiSourceDataAggregator, wall: ManualClock
):
    latest = aggregator.latest
    assert list(latest.receive("binance", said("binance", "100"))) == ["BTC"]
    assert latest.receive("okx", said("okx", "100.1")) == {}
    assert price(aggregator) == ("100", "binance", False)
    later(wall, 3.001)
    assert list(latest.receive("okx", said("okx", "100.2"))) == ["BTC"]
    assert list(latest.receive("binance", said("binance", "100.3"))) == ["BTC"]
    assert price(aggregator) == ("100.3", "binance", False)


def test_a_coin_that_does_not_trade_stays_young_while_its_stream_lives(
    aggregator: MultiSourceDataAggregator, sources: dict[str, SettableSource], wall: ManualClock
):
    aggregator.latest.receive("okx", said("okx", "100"))
    later(wall, 20)
    aggregator.latest.confirm("binance", ["BTC"])  # it is not this one's price
    assert aggregator.latest.last_known(["BTC"])["BTC"].age_seconds(wall.now_ms()) == 20
    aggregator.latest.confirm("okx", ["BTC", "ETH"])
    assert price(aggregator, max_age_seconds=1) == ("100", "okx", False)
    assert sources["binance"].asked["prices"] == 0


@pytest.mark.parametrize("amount", ["0", "-5", "NaN"])
def test_what_is_no_price_is_not_received(aggregator: MultiSourceDataAggregator, amount: str):
    assert aggregator.latest.receive("binance", said("binance", amount)) == {}
    assert aggregator.latest.last_known(["BTC"]) == {}


# ---------------------------------------------------------------------------------- comparing


def test_a_spike_is_left_out_and_the_next_source_serves(
    aggregator: MultiSourceDataAggregator, sources: dict[str, SettableSource], wall: ManualClock
):
    assert price(aggregator) == ("100", "binance", False)
    sources["binance"].quotes[BTC["binance"]] = Decimal(150)
    later(wall, 2)
    assert price(aggregator, max_age_seconds=1) == ("100", "okx", False)
    later(wall, 2)
    assert price(aggregator, max_age_seconds=1) == ("100", "okx", False)
    report = aggregator.sources()[0]
    assert (report.state, report.quarantined) == ("quarantined", ["BTC"])
    assert {alert.kind for alert in aggregator.alerts.newest(9)} == {"jump", "deviation"}
    sources["binance"].quotes[BTC["binance"]] = Decimal(101)
    later(wall, 2)
    assert price(aggregator, max_age_seconds=1) == ("101", "binance", False)
    assert aggregator.sources()[0].state == "up"


def test_a_source_that_drifts_is_found_by_comparing_all_three(
    aggregator: MultiSourceDataAggregator, sources: dict[str, SettableSource], wall: ManualClock
):
    sources["binance"].quotes[BTC["binance"]] = Decimal(103)  # from the first question on
    assert price(aggregator) == ("103", "binance", False)
    aggregator.compare_prices()
    assert price(aggregator)[1] != "binance"
    assert {alert.kind for alert in aggregator.alerts.newest(9)} == {"deviation"}
    later(wall, 2)
    assert price(aggregator, max_age_seconds=1) == ("100", "okx", False)


def test_two_sources_that_are_apart_have_a_third_asked_at_once(
    make: Callable[..., MultiSourceDataAggregator], sources: dict[str, SettableSource]
):
    aggregator = make(compare_every_seconds=3600)
    asked = threading.Event()
    dollars = sources["coingecko"].prices

    def ask(symbols: Sequence[str]) -> dict[str, Ticker]:
        asked.set()
        return dollars(symbols)

    sources["coingecko"].prices = ask  # type: ignore[method-assign]
    aggregator.latest.receive("binance", said("binance", "100"))
    aggregator.latest.receive("okx", said("okx", "103"))
    assert asked.wait(5)


def test_dollars_are_told_from_tethers(
    aggregator: MultiSourceDataAggregator, sources: dict[str, SettableSource], wall: ManualClock
):
    """With the tether at 90 cents, a price of 90 dollars is one of 100 tethers."""
    sources["coingecko"].quotes |= {"bitcoin": Decimal("90.0"), "tether": Decimal("0.9")}
    aggregator.get_prices(["BTC"])
    aggregator.compare_prices()
    assert aggregator.alerts.newest(9) == []
    sources["binance"].fail()
    sources["okx"].fail()
    later(wall, 20)
    assert price(aggregator) == ("100.000", "coingecko", False)


def test_without_the_tethers_own_price_dollars_are_no_price(
    aggregator: MultiSourceDataAggregator, sources: dict[str, SettableSource]
):
    del sources["coingecko"].quotes["tether"]
    sources["binance"].fail()
    sources["okx"].fail()
    with pytest.raises(SourceUnavailable, match="no price of USDT to tell dollars by"):
        price(aggregator)


def test_the_tether_itself_is_in_dollars():
    tickers = {
        "tether": Ticker("tether", Decimal("0.998"), NOW_MS, "coingecko"),
        "pepe": Ticker("pepe", Decimal("0.00001234"), NOW_MS, "coingecko"),
    }
    converted = in_tethers("coingecko", tickers, "tether")
    assert str(converted["tether"].price) == "0.998"
    assert str(converted["pepe"].price) == "0.0000123647"


# ------------------------------------------------------------------------------- old and stuck


def at(*ages_seconds: float) -> dict[str, Ticker]:
    """Tickers so many seconds old."""
    return {
        str(age): Ticker(str(age), Decimal(1), NOW_MS - round(age * 1000), "binance")
        for age in ages_seconds
    }


def test_a_source_whose_newest_price_is_old_has_stopped(clock: ManualClock):
    with pytest.raises(SourceBadAnswer, match="31 s old"):
        without_old("binance", at(31, 90), clock)
    assert len(without_old("coingecko", at(61, 90), clock)[0]) == 2
    assert without_old("binance", {}, clock) == ({}, 0)


def test_of_a_source_that_goes_on_the_coins_that_stand_still_are_left_out(clock: ManualClock):
    tickers, old = without_old("binance", at(0, 61, 899, 901), clock)
    assert (list(tickers), old) == (["0", "61", "899"], 1)


def test_in_a_market_that_runs_faster_seconds_on_the_way_are_no_age():
    now_ms = time.time_ns() // 1_000_000
    clock = AcceleratedClock(NOW_MS + 2 * MINUTE_MS, now_ms, 30)
    assert len(without_old("binance", at(0), clock)[0]) == 1  # 4 s of real time
    clock = AcceleratedClock(NOW_MS + 3 * MINUTE_MS, now_ms, 30)
    with pytest.raises(SourceBadAnswer):
        without_old("binance", at(0), clock)


def test_a_source_that_repeats_itself_is_stuck():
    stuck, prices = (
        StuckSource(),
        {str(n): Ticker(str(n), Decimal(n), 0, "x") for n in range(1, 21)},
    )
    stuck.examine("binance", prices, 0, 0)
    stuck.examine("binance", prices, 8_000, 240_000)
    with pytest.raises(SourceBadAnswer, match="repeated the same prices for 8 s"):
        stuck.examine("binance", prices, 8_001, 240_000)
    moved = prices | {"7": Ticker("7", Decimal("7.1"), 0, "x")}
    stuck.examine("binance", moved, 9_000, 250_000)
    stuck.examine("binance", moved, 17_000, 490_000)
    stuck.examine("binance", moved, 99_000, 258_000)  # a market that stands still
    few = dict(list(prices.items())[:19])
    for second in range(0, 100, 10):  # so few may stand still
        stuck.examine("binance", few, second * 1000, second * 1000)


def tickers_of(count: int, price: str = "1") -> dict[str, Ticker]:
    return {str(n): Ticker(str(n), Decimal(price), 0, "x") for n in range(count)}


def test_the_more_coins_repeat_themselves_the_sooner_it_is_sure():
    stuck = StuckSource()
    stuck.examine("binance", tickers_of(100), 0, 0)
    stuck.examine("binance", tickers_of(100), 2_500, 2_500)
    with pytest.raises(SourceBadAnswer, match="for 2 s"):
        stuck.examine("binance", tickers_of(100), 2_501, 2_501)
    with pytest.raises(SourceBadAnswer):  # also when asked for a few of them
        stuck.examine("binance", tickers_of(2), 4_000, 4_000)
    stuck.examine("binance", tickers_of(1, "2"), 5_000, 5_000)
    stuck.examine("binance", tickers_of(100, "2") | tickers_of(1, "2"), 5_001, 5_001)


def test_coins_that_were_just_heard_of_have_not_stood_for_long():
    stuck = StuckSource()
    stuck.examine("binance", tickers_of(1), 0, 0)
    for second in range(1, 60):
        stuck.examine("binance", tickers_of(1), second * 1000, second * 1000)
    for moment in (60_000, 61_000, 61_500):
        stuck.examine("binance", tickers_of(50), moment, moment)


def test_what_a_stream_knows_of_a_source_that_has_stopped_holds_for_its_answers():
    stream, answers = StuckSource(), StuckSource()
    for moment in (0, 2_400):
        stream.examine("binance", tickers_of(100), moment, moment)
    answers.adopt(stream)
    with pytest.raises(SourceBadAnswer):
        answers.examine("binance", tickers_of(3), 2_600, 2_600)
    answers.adopt(stream)
    answers.examine("binance", tickers_of(3, "2"), 2_600, 2_600)  # it goes on here
