"""Candles across sources: before a listing, over gaps, and from the next venue, live and history."""

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from market_source import SettableSource
from new_database import new_database

from binance_fetcher import BinanceDataFetcher
from clock import ManualClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import HOUR_MS, Coin, Interval, KlineSeries, Ticker
from errors import SourceRateLimited, SourceUnavailable
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from market_sources import MarketSource
from okx_fetcher import OKXDataFetcher
from repositories import coins

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
H1 = Interval.H1


class Gapped(SettableSource):
    """Candles of every hour but some, at prices that tell the source; rows that it drops."""

    gaps: frozenset[int] = frozenset()
    dropping = 0
    delay_seconds = 0.0

    def klines(
        self, symbol: str, interval: Interval, start_ms: int | None, end_ms: int | None,
        limit: int | None,
    ) -> KlineSeries:  # fmt: skip
        time.sleep(self.delay_seconds)
        series = super().klines(symbol, interval, start_ms, end_ms, None)
        bars = [bar for bar in series if bar.open_time not in self.gaps]
        self.dropped_rows += self.dropping
        return KlineSeries.from_klines(bars[:limit], interval, self.name)


def hours_ago(hours: int) -> int:
    return H1.floor(NOW_MS) - hours * HOUR_MS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", clock)
    yield database
    database.close()


@pytest.fixture
def venues(clock: ManualClock) -> dict[str, Gapped]:
    venues = {name: Gapped(clock, name) for name in ("binance", "okx")}
    venues["binance"].quotes = {"BTCUSDT": 100}  # type: ignore[dict-item]
    venues["okx"].quotes = {"BTC-USDT": 200}  # type: ignore[dict-item]
    return venues


def aggregator_of(
    database: Database, clock: ManualClock, venues: dict[str, MarketSource], seconds: float = 5.0
) -> MultiSourceDataAggregator:
    priority = {kind: ["binance", "okx"] for kind in ("price", "klines", "depth")}
    return MultiSourceDataAggregator(
        database, venues, priority, clock, wall_clock=clock, budget_seconds=seconds
    )


@pytest.fixture
def btc(database: Database) -> Coin:
    return coins.get(database.connection, "BTC")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorServer]:
    """An exchange that only counts what it is asked."""
    with SimulatorServer(
        GeneratedMarket(seed=7), ManualClock(NOW_MS), okx_limit_factor=10**6, weight_limit=10**9
    ) as server:
        yield server


def requests_to_okx(simulator: SimulatorServer) -> int:
    state = requests.get(f"{simulator.url}/control/state", timeout=5).json()
    return sum(state["traffic"].get("okx", {"requests": {}})["requests"].values())


@pytest.mark.parametrize("venue", ["binance", "okx"])
@pytest.mark.parametrize("interval", [Interval.M1, Interval.H1, Interval.D1, Interval.W1])
def test_a_start_before_the_listing_gives_the_first_candles_that_there_are(
    database: Database, simulator: SimulatorServer, venue: str, interval: Interval
):
    fetcher: MarketSource = (
        BinanceDataFetcher(base_url=simulator.url, clock=simulator.clock)
        if venue == "binance"
        else OKXDataFetcher(domain=simulator.url, clock=simulator.clock)
    )
    aggregator = MultiSourceDataAggregator(
        database, {venue: fetcher}, {"price": [venue], "klines": [venue]}, simulator.clock
    )
    listed_ms = simulator.market.listings(simulator.clock.now_ms())["ARBUSDT"].listed_ms
    before = requests_to_okx(simulator)
    answer = aggregator.get_klines("ARB", interval, start_ms=0, limit=5)
    assert requests_to_okx(simulator) - before <= 20  # what it allows in two seconds
    first = int(answer.series.open_time[0])
    assert (len(answer.series), answer.stale) == (5, False)
    assert interval.floor(listed_ms) <= first <= interval.ceil(listed_ms)
    again = aggregator.get_klines("ARB", interval, start_ms=first - 1, limit=5)
    assert list(again.series) == list(answer.series)


def test_a_range_that_ends_before_the_listing_has_no_candles(
    database: Database, clock: ManualClock, venues: dict[str, Gapped]
):
    venues["binance"].gaps = frozenset(range(0, hours_ago(10), HOUR_MS))
    aggregator = aggregator_of(database, clock, {**venues})
    before = aggregator.get_klines(
        "BTC", H1, start_ms=hours_ago(100), end_ms=hours_ago(50), limit=10
    )
    assert (len(before.series), before.stale) == (0, False)
    after = aggregator.get_klines("BTC", H1, start_ms=hours_ago(100), limit=3)
    assert after.series.open_time.tolist() == [hours_ago(10), hours_ago(9), hours_ago(8)]


def test_history_comes_from_the_next_venue_when_the_first_is_out(
    database: Database, clock: ManualClock, venues: dict[str, Gapped], btc: Coin
):
    aggregator = aggregator_of(database, clock, {**venues})
    venues["binance"].fail("binance is out")
    history = aggregator.fetch_history(btc, H1, hours_ago(50), hours_ago(10))
    assert (history.source, history.unanswered_bars, history.failure) == ("okx", 0, None)
    venues["okx"].fail("okx is out")
    history = aggregator.fetch_history(btc, H1, hours_ago(60), hours_ago(10))
    assert (history.source, history.unanswered_bars) == ("binance", 50)
    assert history.failure is not None
    assert "binance is out; okx is out" in history.failure.message
    alone = aggregator.fetch_history(btc, H1, hours_ago(50), hours_ago(10), source="okx")
    assert (alone.source, alone.failure) == ("okx", None)


def test_history_waits_for_a_venue_that_asks_for_a_short_silence(
    database: Database, clock: ManualClock, venues: dict[str, Gapped], btc: Coin,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    def sleep(seconds: float) -> None:
        clock.set(clock.now_ms() + round(seconds * 1000))
        if clock.now_ms() >= NOW_MS + 17_000:
            venues["binance"].failure = None

    monkeypatch.setattr("kline_routing.sleep", sleep)
    aggregator = aggregator_of(database, clock, {"binance": venues["binance"]})
    shares: list[float] = []
    venues["binance"].failure = SourceRateLimited("slow down", retry_after=17)
    history = aggregator.fetch_history(btc, H1, hours_ago(50), hours_ago(10), shares.append)
    assert (history.failure, shares) == (None, [0.0] * 17 + [1.0])
    assert clock.now_ms() == NOW_MS + 17_000
    venues["binance"].failure = SourceRateLimited("banned", retry_after=7200)
    history = aggregator.fetch_history(btc, H1, hours_ago(60), hours_ago(10))
    assert history.failure is not None
    assert clock.now_ms() == NOW_MS + 17_000


def test_what_is_stored_is_given_although_its_beginning_cannot_be_had(
    database: Database, clock: ManualClock, venues: dict[str, Gapped], btc: Coin
):
    aggregator = aggregator_of(database, clock, {**venues})
    aggregator.fetch_history(btc, H1, hours_ago(50), hours_ago(40))
    aggregator.fetch_history(btc, H1, hours_ago(30), hours_ago(20))
    for venue in venues.values():
        venue.fail()
    answer = aggregator.get_klines("BTC", H1, start_ms=hours_ago(90), limit=100)
    assert (len(answer.series), answer.stale) == (20, True)
    answer = aggregator.get_klines("BTC", H1, start_ms=hours_ago(45), limit=12)
    assert (len(answer.series), answer.stale) == (12, True)
    assert int(answer.series.open_time[0]) == hours_ago(45)


def test_a_slow_venue_leaves_time_for_the_next(
    database: Database, clock: ManualClock, venues: dict[str, Gapped]
):
    venues["binance"].delay_seconds = 0.8
    aggregator = aggregator_of(database, clock, {**venues}, seconds=0.6)
    began = time.monotonic()
    answer = aggregator.get_klines("BTC", H1, limit=5)
    assert (answer.series.source, answer.stale) == ("okx", False)
    assert time.monotonic() - began < 0.6


def test_a_venue_whose_price_is_in_quarantine_makes_no_candles(
    database: Database, clock: ManualClock, venues: dict[str, Gapped]
):
    aggregator = aggregator_of(database, clock, {**venues})

    def pushed(source: str, price: str) -> None:
        ticker = Ticker("BTC", Decimal(price), clock.now_ms(), source)
        aggregator.latest.receive(source, {"BTC": ticker})

    for source in ("binance", "okx", "binance"):
        pushed(source, "100")
    assert aggregator.get_klines("BTC", H1, limit=5).series.source == "binance"
    pushed("binance", "150")
    assert aggregator.latest.quarantined("binance") == ["BTC"]
    assert aggregator.get_klines("BTC", H1, limit=5).series.source == "okx"
    pushed("binance", "100")
    assert aggregator.latest.quarantined("binance") == []
    assert aggregator.get_klines("BTC", H1, limit=5).series.source == "binance"


def test_a_live_question_does_not_wait_for_history(
    database: Database, clock: ManualClock, venues: dict[str, Gapped], btc: Coin
):
    """A year of history may take minutes; the chart of the same coin wants its last bars now."""
    aggregator = aggregator_of(database, clock, {**venues})
    answers: list[KlineSeries] = []

    def meanwhile(share: float) -> None:
        answers.append(aggregator.get_klines("BTC", H1, limit=5).series)

    began = time.monotonic()
    aggregator.fetch_history(btc, H1, hours_ago(50), hours_ago(10), meanwhile)
    assert [len(series) for series in answers] == [5]
    assert time.monotonic() - began < 2


def test_gaps_and_rows_that_were_left_out_are_told_of(
    database: Database, clock: ManualClock, venues: dict[str, Gapped], btc: Coin
):
    venues["binance"].gaps = frozenset({hours_ago(20), hours_ago(19), hours_ago(15)})
    aggregator = aggregator_of(database, clock, {**venues})
    aggregator.fetch_history(btc, H1, hours_ago(30), hours_ago(10))
    (alert,) = aggregator.alerts.newest(9)
    assert (alert.kind, alert.source, alert.coin) == ("gap", "binance", "BTC")
    assert "no 3 1h candles of BTC in 2 gaps" in alert.message
    venues["binance"].dropping = 2
    aggregator.fetch_history(btc, H1, hours_ago(50), hours_ago(40))
    assert [alert.kind for alert in aggregator.alerts.newest(1)] == ["dropped"]


def test_a_gap_is_asked_for_once_more_after_ten_minutes(
    database: Database, clock: ManualClock, venues: dict[str, Gapped]
):
    """An answer can lack bars by mistake: then they must not be missing for ever."""
    venues["binance"].gaps = frozenset({hours_ago(3), hours_ago(7)})
    aggregator = aggregator_of(database, clock, {**venues})
    question = {"start_ms": hours_ago(9), "end_ms": hours_ago(1), "limit": 100}
    assert len(aggregator.get_klines("BTC", H1, **question).series) == 6
    venues["binance"].gaps = frozenset({hours_ago(3)})
    clock.set(NOW_MS + 599_999)
    assert len(aggregator.get_klines("BTC", H1, **question).series) == 6
    assert venues["binance"].asked["klines"] == 1
    clock.set(NOW_MS + 600_000)
    assert len(aggregator.get_klines("BTC", H1, **question).series) == 7
    assert venues["binance"].asked["klines"] == 3  # for the two gaps
    clock.set(NOW_MS + 2 * 600_000)
    assert len(aggregator.get_klines("BTC", H1, **question).series) == 7
    assert venues["binance"].asked["klines"] == 3  # twice asked for, it is one


def test_a_new_candle_that_does_not_come_is_asked_for_once_more(
    database: Database, clock: ManualClock, venues: dict[str, Gapped]
):
    aggregator = aggregator_of(database, clock, {**venues})
    aggregator.get_klines("BTC", H1, limit=3)
    venues["binance"].gaps = frozenset({hours_ago(0)})
    clock.set(hours_ago(0) + HOUR_MS + 10_000)  # the hour has closed
    assert aggregator.get_klines("BTC", H1, limit=3).series.open_time[-1] == hours_ago(1)
    venues["binance"].gaps = frozenset()
    clock.set(clock.now_ms() + 600_000)
    assert aggregator.get_klines("BTC", H1, limit=3).series.open_time[-1] == hours_ago(0)


def test_what_was_dropped_is_asked_for_again(
    database: Database, clock: ManualClock, venues: dict[str, Gapped]
):
    venues["binance"].gaps, venues["binance"].dropping = frozenset({hours_ago(3)}), 1
    aggregator = aggregator_of(database, clock, {**venues})
    assert len(aggregator.get_klines("BTC", H1, start_ms=hours_ago(5), limit=5).series) == 4
    venues["binance"].gaps, venues["binance"].dropping = frozenset(), 0
    assert len(aggregator.get_klines("BTC", H1, start_ms=hours_ago(5), limit=5).series) == 5


def test_without_any_venue_it_says_what_each_has_said(
    database: Database, clock: ManualClock, venues: dict[str, Gapped]
):
    for venue in venues.values():
        venue.fail(f"{venue.name} is out")
    aggregator = aggregator_of(database, clock, {**venues})
    for _ in range(5):  # also when they are not asked any more
        with pytest.raises(SourceUnavailable, match="binance is out; okx is out"):
            aggregator.get_klines("BTC", H1, start_ms=hours_ago(5), limit=5)
    assert venues["binance"].asked["klines"] <= 3
