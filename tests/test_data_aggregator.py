"""The aggregator over sources that count what they are asked: little is asked, nothing made up."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from new_database import new_database

from clock import ManualClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import (
    HOUR_MS,
    Coin,
    Instrument,
    Interval,
    Kline,
    KlineSeries,
    OrderBook,
    Ticker,
    VenueInstrument,
)
from errors import (
    InvalidInput,
    NotFound,
    SourceError,
    SourceRateLimited,
    SourceRefused,
    SourceUnavailable,
)
from repositories import coins
from source_health import SourceHealth

H1 = Interval.H1
ZERO_HOUR = 1_704_067_200_000  # 2024-01-01T00:00:00Z: hours are counted from here
NOW_MS = ZERO_HOUR + 1000 * HOUR_MS + HOUR_MS // 2


def listed(*pairs: tuple[str, str]) -> dict[str, VenueInstrument]:
    """Pairs against USDT with their lots."""
    return {
        f"{base}USDT": VenueInstrument(
            f"{base}USDT", base, "USDT", True, Instrument(Decimal(lot), Decimal(5))
        )
        for base, lot in pairs
    }


class Venue:
    """A source with a bar every hour but the `gaps`, which notes every question."""

    def __init__(self, name: str, clock: ManualClock):
        self.name = name
        self.clock = clock
        self.gaps: set[int] = set()
        self.quotes = {"BTCUSDT": "100", "ETHUSDT": "10", "BTC-USDT": "101", "SOL-USDT": "5"}
        self.failure: SourceError | None = None
        self.delay_seconds = 0.0
        self.dropped_rows = 0
        self.asked: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()

    def _note(self, *question: Any) -> None:
        with self._lock:
            self.asked.append(question)
        time.sleep(self.delay_seconds)
        if self.failure is not None:
            raise self.failure

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        self._note("prices", tuple(symbols))
        known = [symbol for symbol in symbols if symbol in self.quotes]
        if not known:
            raise SourceRefused(f"{self.name} does not know these.", code="unknown_symbol")
        return {
            symbol: Ticker(symbol, Decimal(self.quotes[symbol]), self.clock.now_ms(), self.name)
            for symbol in known
        }

    def klines(
        self, symbol: str, interval: Interval, start_ms: int | None, end_ms: int | None,
        limit: int | None,
    ) -> KlineSeries:  # fmt: skip
        assert start_ms is not None
        step = interval.milliseconds
        now_ms = self.clock.now_ms()
        stop = now_ms + 1 if end_ms is None else min(end_ms, now_ms + 1)
        opens = list(range(interval.ceil(start_ms), stop, step))
        self._note(symbol, interval.value, *hours_of(start_ms, end_ms), limit)
        bars = [
            Kline(at, 1.0, 2.0, 0.5, 1.5, float(hour(at)), closed=at + step <= now_ms)
            for at in opens
            if hour(at) not in self.gaps
        ]
        return KlineSeries.from_klines(bars[:limit], interval, self.name)

    def depth(self, symbol: str, limit: int) -> OrderBook:
        self._note("depth", symbol, limit)
        return OrderBook((), (), self.name, self.clock.now_ms())

    def instruments(self) -> Mapping[str, VenueInstrument]:
        self._note("instruments")
        return listed(("BTC", "0.00001"), ("ETH", "0.0001"), ("X", "1"))


def hour(time_ms: int) -> int:
    return (time_ms - ZERO_HOUR) // HOUR_MS


def hours_of(start_ms: int, end_ms: int | None) -> tuple[int, int | None]:
    return hour(start_ms), None if end_ms is None else hour(end_ms)


def at(number: float) -> int:
    """The time of an hour."""
    return ZERO_HOUR + int(number * HOUR_MS)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def wall() -> ManualClock:
    return ManualClock(5_000_000)


@pytest.fixture
def venue(clock: ManualClock) -> Venue:
    return Venue("binance", clock)


@pytest.fixture
def second(clock: ManualClock) -> Venue:
    return Venue("okx", clock)


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", clock)
    yield database
    database.close()


@pytest.fixture
def aggregator(
    database: Database, venue: Venue, second: Venue, clock: ManualClock, wall: ManualClock
) -> MultiSourceDataAggregator:
    return MultiSourceDataAggregator(
        database,
        {"binance": venue, "okx": second},
        {"price": ["binance", "okx"], "klines": ["binance"], "depth": ["binance", "okx"]},
        clock,
        wall_clock=wall,
        price_ttl_seconds=10.0,
    )


@pytest.fixture
def btc(database: Database) -> Coin:
    return coins.get(database.connection, "BTC")


def hours(series: KlineSeries) -> list[int]:
    return [hour(bar.open_time) for bar in series]


def in_threads(database: Database, count: int, question: Callable[[], Any]) -> list[Any]:
    """What `count` threads that ask at once are told: answers and SourceErrors."""
    together = threading.Barrier(count)

    def ask(_: int) -> Any:
        together.wait()
        try:
            return question()
        except SourceError as error:
            return error
        finally:
            database.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(ask, range(count)))


# --------------------------------------------------------------------------- which bars are given


def test_the_latest_bars_are_closed_ones(aggregator: MultiSourceDataAggregator):
    answer = aggregator.get_klines("BTC", H1, limit=5)
    assert hours(answer.series) == [995, 996, 997, 998, 999]
    assert (answer.stale, answer.series.source, answer.series.last_is_open) == (
        False, "binance", False,
    )  # fmt: skip
    assert aggregator.get_klines("btc", H1, limit=1).series.bar(0).open_time == at(999)


def test_the_open_bar_is_last_and_only_where_it_was_asked_for(
    aggregator: MultiSourceDataAggregator,
):
    series = aggregator.get_klines("BTC", H1, limit=3, include_open=True).series
    assert (hours(series), series.last_is_open) == ([998, 999, 1000], True)
    one = aggregator.get_klines("BTC", H1, limit=1, include_open=True).series
    assert (hours(one), one.last_is_open) == ([1000], True)
    series = aggregator.get_klines("BTC", H1, limit=3).series
    assert (hours(series), series.last_is_open) == ([997, 998, 999], False)


@pytest.mark.parametrize(
    ("question", "given"),
    [
        ({"start_ms": at(10)}, [10, 11, 12]),
        ({"start_ms": at(9.5)}, [10, 11, 12]),
        ({"end_ms": at(10)}, [7, 8, 9]),
        ({"end_ms": at(10) + 1}, [8, 9, 10]),
        ({"start_ms": at(10), "end_ms": at(12)}, [10, 11]),
        ({"start_ms": at(10), "end_ms": at(10)}, []),
        ({"start_ms": at(998)}, [998, 999, 1000]),
        ({"start_ms": at(997)}, [997, 998, 999]),
        ({"start_ms": at(1000)}, [1000]),
        ({"start_ms": at(1000) + 1}, []),
        ({"start_ms": at(2000)}, []),
        ({"start_ms": at(998), "end_ms": at(1000)}, [998, 999]),
        ({"start_ms": at(998), "end_ms": at(1000) + 1}, [998, 999, 1000]),
        ({"end_ms": at(1000)}, [997, 998, 999]),
        ({"end_ms": at(1000) + 1}, [998, 999, 1000]),
        ({"end_ms": at(5000)}, [998, 999, 1000]),
        ({"end_ms": -5}, []),
        ({"start_ms": -5, "end_ms": -1}, []),
    ],
)
def test_a_page_of_three_with_the_open_bar(
    aggregator: MultiSourceDataAggregator, question: dict[str, int], given: list[int]
):
    """`end_ms` is exclusive by open time; the open bar is one of the page, never a bar too many."""
    answer = aggregator.get_klines("BTC", H1, limit=3, include_open=True, **question)
    assert hours(answer.series) == given
    assert answer.series.last_is_open == (given[-1:] == [1000])
    closed = aggregator.get_klines("BTC", H1, limit=3, **question).series
    assert 1000 not in hours(closed)


def test_the_open_bar_never_stands_beside_bars_of_long_ago(
    aggregator: MultiSourceDataAggregator, venue: Venue
):
    venue.gaps = {11}
    question = {"start_ms": at(10), "limit": 3, "include_open": True}
    assert hours(aggregator.get_klines("BTC", H1, **question).series) == [10, 12, 13]
    venue.gaps = set(range(100, 200))
    question = {"start_ms": at(100), "limit": 3, "include_open": True}
    assert hours(aggregator.get_klines("BTC", H1, **question).series) == [200, 201, 202]


def test_without_the_open_bar_the_closed_ones_are_still_right(
    aggregator: MultiSourceDataAggregator, venue: Venue
):
    aggregator.get_klines("BTC", H1, limit=3)
    venue.failure = SourceUnavailable("out")
    answer = aggregator.get_klines("BTC", H1, limit=3, include_open=True)
    assert (hours(answer.series), answer.stale) == ([997, 998, 999], True)  # one was asked for
    answer = aggregator.get_klines("BTC", H1, limit=3)
    assert (hours(answer.series), answer.stale) == ([997, 998, 999], False)


@pytest.mark.parametrize("interval", Interval)
def test_every_interval_ends_before_its_open_bar(
    aggregator: MultiSourceDataAggregator, interval: Interval
):
    series = aggregator.get_klines("BTC", interval, limit=2, include_open=True).series
    opens = interval.floor(NOW_MS)
    assert series.open_time.tolist() == [opens - interval.milliseconds, opens]


# --------------------------------------------------------------------------- what a source is asked


def test_only_missing_ranges_are_asked_for(aggregator: MultiSourceDataAggregator, venue: Venue):
    aggregator.get_klines("BTC", H1, start_ms=at(100), end_ms=at(200), limit=1000)
    aggregator.get_klines("BTC", H1, start_ms=at(300), end_ms=at(400), limit=1000)
    venue.asked.clear()
    answer = aggregator.get_klines("BTC", H1, start_ms=at(50), end_ms=at(450), limit=1000)
    assert hours(answer.series) == list(range(50, 450))
    assert venue.asked == [
        ("BTCUSDT", "1h", 50, 100, None),
        ("BTCUSDT", "1h", 200, 300, None),
        ("BTCUSDT", "1h", 400, 450, None),
    ]
    venue.asked.clear()
    aggregator.get_klines("BTC", H1, start_ms=at(60), end_ms=at(440), limit=1000)
    assert venue.asked == []


def test_the_newest_bars_alone_are_asked_for_as_time_goes_on(
    aggregator: MultiSourceDataAggregator, venue: Venue, clock: ManualClock
):
    aggregator.get_klines("BTC", H1, limit=100)
    venue.asked.clear()
    clock.set(NOW_MS + 2 * HOUR_MS)
    assert hours(aggregator.get_klines("BTC", H1, limit=100).series)[-1] == 1001
    assert venue.asked == [("BTCUSDT", "1h", 1000, 1002, None)]


def test_a_gap_that_is_known_is_not_asked_for_again(
    aggregator: MultiSourceDataAggregator, venue: Venue
):
    venue.gaps = {20, 21, 22}
    question = {"start_ms": at(18), "end_ms": at(25), "limit": 100}
    for _ in range(2):
        answer = aggregator.get_klines("BTC", H1, **question)
        assert (hours(answer.series), answer.stale) == ([18, 19, 23, 24], False)
    assert len(venue.asked) == 1


def test_the_last_bars_are_as_many_as_asked_for_across_a_gap(
    aggregator: MultiSourceDataAggregator, venue: Venue, database: Database, btc: Coin
):
    """Those before the gap, not whatever older ones happen to be stored."""
    aggregator.fetch_history(btc, H1, at(0), at(10))
    venue.gaps = set(range(990, 998))
    answer = aggregator.get_klines("BTC", H1, limit=5)
    assert hours(answer.series) == [987, 988, 989, 998, 999]
    venue.gaps = set(range(600, 998))
    assert hours(aggregator.get_klines("ETH", H1, limit=50).series) == [
        *range(552, 600), 998, 999,
    ]  # fmt: skip


def test_a_coin_that_is_new_has_the_bars_that_it_has(
    aggregator: MultiSourceDataAggregator, venue: Venue
):
    venue.gaps = set(range(-500_000, 990))
    assert hours(aggregator.get_klines("BTC", H1, limit=100).series) == list(range(990, 1000))
    asked = len(venue.asked)
    assert hours(aggregator.get_klines("BTC", H1, limit=100).series) == list(range(990, 1000))
    assert len(venue.asked) == asked


def test_a_bar_that_has_only_just_closed_is_asked_for_until_it_is_final(
    aggregator: MultiSourceDataAggregator, venue: Venue, clock: ManualClock
):
    """Where our clock runs ahead of the venue's, its newest bar is missing or still moving."""
    clock.set(at(1001) + 1000)
    venue.gaps = {1000}
    assert hours(aggregator.get_klines("BTC", H1, limit=3).series)[-1] == 999
    venue.gaps = set()
    assert hours(aggregator.get_klines("BTC", H1, limit=3).series) == [998, 999, 1000]
    clock.set(at(1001) + 6000)
    aggregator.get_klines("BTC", H1, limit=3)
    venue.asked.clear()
    assert hours(aggregator.get_klines("BTC", H1, limit=3).series) == [998, 999, 1000]
    assert venue.asked == []


def test_many_who_ask_for_the_same_bars_share_one_call(
    aggregator: MultiSourceDataAggregator, venue: Venue, database: Database
):
    venue.delay_seconds = 0.05
    answers = in_threads(database, 20, lambda: aggregator.get_klines("BTC", H1, limit=50))
    assert [len(answer.series) for answer in answers] == [50] * 20
    assert len(venue.asked) == 1


def test_many_who_wait_for_a_call_that_fails_fail_with_it(
    aggregator: MultiSourceDataAggregator, venue: Venue, database: Database
):
    venue.delay_seconds = 0.2
    venue.failure = SourceUnavailable("timed out")
    began = time.monotonic()
    answers = in_threads(database, 20, lambda: aggregator.get_klines("BTC", H1, limit=50))
    assert all(isinstance(answer, SourceUnavailable) for answer in answers)
    assert len(venue.asked) <= 3  # not one after the other for 4 s
    assert time.monotonic() - began < 2
    venue.failure = None
    assert len(aggregator.get_klines("BTC", H1, limit=50).series) == 50


def test_long_history_comes_in_stretches_that_are_each_kept(
    aggregator: MultiSourceDataAggregator, venue: Venue, clock: ManualClock, btc: Coin
):
    clock.set(at(25_000))
    shares: list[float] = []
    history = aggregator.fetch_history(btc, H1, at(0) - 1, at(30_000), shares.append)
    assert (history.source, history.unanswered_bars, history.failure) == ("binance", 0, None)
    assert [question[2:4] for question in venue.asked] == [
        (0, 10_000), (10_000, 20_000), (20_000, 25_000),
    ]  # fmt: skip
    assert shares == [0.4, 0.8, 1.0]
    coverage = aggregator.coverage(btc, H1)
    assert coverage is not None
    assert (coverage.bars, coverage.missing_bars, coverage.last) == (25_000, 0, at(24_999))


def test_history_that_cannot_be_had_says_how_much_of_it(
    aggregator: MultiSourceDataAggregator, venue: Venue, btc: Coin
):
    aggregator.fetch_history(btc, H1, at(10), at(20))
    venue.failure = SourceUnavailable("out")
    history = aggregator.fetch_history(btc, H1, at(5), at(30))
    assert (history.unanswered_bars, history.failure) == (15, venue.failure)
    assert aggregator.fetch_history(btc, H1, at(10), at(20)).failure is None
    assert aggregator.coverage(coins.get(aggregator._database.connection, "ETH"), H1) is None


def test_a_range_without_end_is_refused(aggregator: MultiSourceDataAggregator, btc: Coin):
    with pytest.raises(InvalidInput) as refused:
        aggregator.fetch_history(btc, Interval.M1, 0, NOW_MS)
    assert refused.value.code == "range_too_long"


def test_a_question_about_no_coin_is_not_asked(aggregator: MultiSourceDataAggregator, venue: Venue):
    for question in (
        lambda: aggregator.get_klines("NOSUCH", H1),
        lambda: aggregator.get_depth("NOSUCH", 5),
        lambda: aggregator.get_current_price("NOSUCH"),
    ):
        with pytest.raises(NotFound):
            question()
    assert venue.asked == []


# ------------------------------------------------------------------------------ without a source


def test_stored_bars_are_given_as_stale_when_the_source_is_out(
    aggregator: MultiSourceDataAggregator, venue: Venue, clock: ManualClock
):
    aggregator.get_klines("BTC", H1, limit=10)
    clock.set(NOW_MS + 5 * HOUR_MS)
    venue.failure = SourceUnavailable("binance is out")
    answer = aggregator.get_klines("BTC", H1, limit=10, include_open=True)
    assert (hours(answer.series), answer.stale) == (list(range(990, 1000)), True)
    known = aggregator.get_klines("BTC", H1, end_ms=at(1000), limit=10)
    assert (hours(known.series), known.stale) == (list(range(990, 1000)), False)


def test_without_stored_bars_it_is_the_sources_own_error(
    aggregator: MultiSourceDataAggregator, venue: Venue
):
    venue.failure = SourceRateLimited("binance asks for silence", retry_after=7)
    with pytest.raises(SourceRateLimited, match="silence"):
        aggregator.get_klines("BTC", H1, limit=10)


def test_a_coin_that_no_source_lists_says_so(
    aggregator: MultiSourceDataAggregator, database: Database
):
    database.connection.execute("UPDATE coins SET binance_symbol = NULL WHERE symbol = 'BTC'")
    with pytest.raises(NotFound, match="No exchange lists BTC"):
        aggregator.get_klines("BTC", H1)


@pytest.fixture
def two_venues(
    database: Database, venue: Venue, second: Venue, clock: ManualClock, wall: ManualClock
) -> MultiSourceDataAggregator:
    return MultiSourceDataAggregator(
        database,
        {"binance": venue, "okx": second},
        {kind: ["binance", "okx"] for kind in ("price", "klines", "depth")},
        clock,
        wall_clock=wall,
    )


def test_the_next_exchange_gives_its_candles_when_the_first_is_out(
    two_venues: MultiSourceDataAggregator, venue: Venue
):
    venue.failure = SourceUnavailable("binance is down")
    answer = two_venues.get_klines("BTC", H1, limit=5, include_open=True)
    assert (answer.series.source, len(answer.series), answer.stale) == ("okx", 5, False)
    venue.failure = None
    again = two_venues.get_klines("BTC", H1, limit=5)
    assert (again.series.source, again.stale) == ("binance", False)


def test_an_open_bar_is_had_elsewhere_though_all_closed_ones_are_stored(
    two_venues: MultiSourceDataAggregator, venue: Venue
):
    two_venues.get_klines("BTC", H1, limit=3)
    venue.failure = SourceUnavailable("binance is down")
    answer = two_venues.get_klines("BTC", H1, limit=3, include_open=True)
    assert (answer.series.source, answer.stale) == ("okx", False)
    assert not answer.series.bar(-1).closed


def test_when_every_exchange_is_out_the_stored_candles_are_stale_and_say_whose_they_are(
    two_venues: MultiSourceDataAggregator, venue: Venue, second: Venue
):
    venue.failure = SourceUnavailable("binance is down")
    two_venues.get_klines("BTC", H1, limit=5)
    second.failure = SourceUnavailable("okx is down")
    answer = two_venues.get_klines("BTC", H1, limit=5000)
    assert (answer.series.source, len(answer.series), answer.stale) == ("okx", 5, True)
    with pytest.raises(SourceUnavailable, match=r"binance is down; okx is down"):
        two_venues.get_klines("ETH", H1, limit=5)


# ---------------------------------------------------------------------------------------- prices


def prices_of(aggregator: MultiSourceDataAggregator, *symbols: str, **limits: float) -> dict:
    found = aggregator.get_prices(symbols, **limits)
    return {symbol: (str(p.ticker.price), p.ticker.source) for symbol, p in found.items()}


def test_prices_are_asked_once_and_kept_for_their_time(
    aggregator: MultiSourceDataAggregator, venue: Venue, wall: ManualClock
):
    expected = {"BTC": ("100", "binance"), "ETH": ("10", "binance")}
    assert prices_of(aggregator, "BTC", "ETH", "BTC") == expected
    assert aggregator.get_prices(["BTC"])["BTC"].ticker.symbol == "BTC"
    assert venue.asked == [("prices", ("BTCUSDT", "ETHUSDT"))]
    wall.set(wall.now_ms() + 10_000)
    assert prices_of(aggregator, "BTC", "ETH") == expected
    assert len(venue.asked) == 1
    wall.set(wall.now_ms() + 1)
    prices_of(aggregator, "ETH")
    assert venue.asked[1:] == [("prices", ("ETHUSDT",))]
    assert aggregator.latest.is_stale(aggregator.latest.last_known(["BTC"])["BTC"])
    prices_of(aggregator, "ETH", max_age_seconds=0)
    assert len(venue.asked) == 2  # it is of this very moment
    assert aggregator.get_current_price("btc").price == Decimal(100)


def test_fifty_who_ask_for_prices_share_one_call(
    aggregator: MultiSourceDataAggregator, venue: Venue, database: Database
):
    venue.delay_seconds = 0.05
    answers = in_threads(database, 50, lambda: prices_of(aggregator, "BTC", "ETH"))
    assert all(answer == answers[0] and len(answer) == 2 for answer in answers)
    assert len(venue.asked) == 1


def test_fifty_who_wait_for_prices_fail_together(
    aggregator: MultiSourceDataAggregator, venue: Venue, database: Database
):
    venue.delay_seconds = 0.2
    venue.failure = SourceUnavailable("timed out")
    answers = in_threads(database, 50, lambda: prices_of(aggregator, "ETH", "BNB"))
    assert all(isinstance(answer, SourceUnavailable) for answer in answers)
    assert len(venue.asked) <= 3


def test_unknown_symbols_are_left_out(aggregator: MultiSourceDataAggregator, venue: Venue):
    assert prices_of(aggregator, "NOSUCH", "BTC") == {"BTC": ("100", "binance")}
    assert venue.asked == [("prices", ("BTCUSDT",))]
    assert prices_of(aggregator, "NOSUCH") == {}
    assert prices_of(aggregator) == {}
    assert len(venue.asked) == 1


def test_the_second_source_is_asked_for_what_the_first_lacks(
    aggregator: MultiSourceDataAggregator, venue: Venue, second: Venue
):
    assert prices_of(aggregator, "BTC", "SOL") == {
        "BTC": ("100", "binance"), "SOL": ("5", "okx"),
    }  # fmt: skip
    assert second.asked == [("prices", ("SOL-USDT",))]


def test_the_second_source_answers_when_the_first_is_out(
    aggregator: MultiSourceDataAggregator, venue: Venue, second: Venue
):
    venue.failure = SourceUnavailable("binance is out")
    assert prices_of(aggregator, "BTC") == {"BTC": ("101", "okx")}
    assert aggregator.get_depth("BTC", 7).source == "okx"
    assert second.asked[-1] == ("depth", "BTC-USDT", 100)
    venue.failure = None
    assert aggregator.get_depth("BTC", 7).source == "binance"


def test_when_all_are_out_each_is_quoted(
    aggregator: MultiSourceDataAggregator, venue: Venue, second: Venue, wall: ManualClock
):
    before = prices_of(aggregator, "BTC")
    venue.failure = SourceUnavailable("binance is out")
    second.failure = SourceRateLimited("okx asks for silence")
    assert prices_of(aggregator, "BTC") == before
    wall.set(wall.now_ms() + 60_000)
    for question in (
        lambda: aggregator.get_prices(["BTC"]),
        lambda: aggregator.get_current_price("BTC"),
        lambda: aggregator.get_depth("BTC", 5),
    ):
        with pytest.raises(SourceUnavailable, match=r"binance is out; okx asks for silence"):
            question()
    known = aggregator.latest.last_known(["BTC", "ETH"])
    assert list(known) == ["BTC"]
    assert aggregator.latest.age_seconds(known["BTC"]) == 60
    assert aggregator.latest.is_stale(known["BTC"])
    newest = aggregator.latest.newest()
    assert newest == known["BTC"]


def test_a_coin_that_no_venue_prices_is_left_out(aggregator: MultiSourceDataAggregator):
    with pytest.raises(SourceUnavailable, match="No source has a price of PEPE"):
        aggregator.get_current_price("PEPE")
    assert aggregator.get_prices(["PEPE"]) == {}
    assert aggregator.latest.newest() is None


# ---------------------------------------------------------------------------------------- health


def test_a_source_is_unused_up_or_down(
    aggregator: MultiSourceDataAggregator, venue: Venue, wall: ManualClock
):
    def state() -> str:
        return aggregator.health()[0].state

    assert aggregator.health() == [SourceHealth("binance"), SourceHealth("okx")]
    assert state() == "unused"
    prices_of(aggregator, "BTC")
    assert state() == "up"
    wall.set(wall.now_ms() + 60_000)
    venue.failure = SourceUnavailable("out")
    prices_of(aggregator, "BTC")
    assert state() == "down"
    assert aggregator.health()[0] == SourceHealth(
        "binance", 5_000_000, "out", 5_060_000, "down", last_error_code="source_unavailable"
    )
    wall.set(wall.now_ms() + 60_000)
    venue.failure = None
    prices_of(aggregator, "BTC")
    assert (state(), aggregator.health()[0].last_error) == ("up", "out")


def test_a_coin_that_a_venue_does_not_know_does_not_make_it_down(
    aggregator: MultiSourceDataAggregator,
):
    prices_of(aggregator, "BTC")
    aggregator.get_prices(["PEPE"])
    assert aggregator.health()[0].state == "up"


# ----------------------------------------------------------------------- listings


def test_instruments_are_asked_for_once_an_hour(
    aggregator: MultiSourceDataAggregator, venue: Venue, wall: ManualClock, database: Database
):
    rules = aggregator.venues.instruments(["BTC", "PEPE", "NOSUCH"])
    assert rules == {"BTC": Instrument(Decimal("0.00001"), Decimal(5))}
    database.connection.execute(
        "INSERT INTO coins (symbol, name, binance_symbol, created_at, updated_at) "
        "VALUES ('X', 'New', 'XUSDT', 0, 0)"
    )
    assert list(aggregator.venues.instruments(["X"])) == ["X"]  # a coin added since
    assert venue.asked == [("instruments",)]
    wall.set(wall.now_ms() + 3_600_001)
    venue.failure = SourceUnavailable("out")
    assert aggregator.venues.instruments(["BTC"]) == rules  # the old ones are better than none
    venue.failure = None
    aggregator.venues.instruments(["BTC"])
    assert len(venue.asked) == 3


def test_instruments_that_were_never_had_are_an_error(
    aggregator: MultiSourceDataAggregator, venue: Venue, database: Database
):
    venue.failure = SourceUnavailable("out")
    with pytest.raises(SourceUnavailable):
        aggregator.venues.instruments(["BTC"])
    venue.failure = None
    venue.delay_seconds = 0.05
    venue.asked.clear()
    answers = in_threads(database, 10, lambda: aggregator.venues.instruments(["BTC"]))
    assert all(list(answer) == ["BTC"] for answer in answers)
    assert len(venue.asked) == 1
