"""The warm store: which ranges are known in full, and bars that come back as they went in."""

import random
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from new_database import new_database

from clock import ManualClock
from database import Database
from domain import HOUR_MS, Coin, Interval, Kline, KlineSeries
from kline_store import Coverage, KlineStore, merged, without
from repositories import coins, klines
from repositories.klines import KlineKey

START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
SOURCE = "binance"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", ManualClock(START_MS))
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> KlineStore:
    return KlineStore(database)


@pytest.fixture
def btc(database: Database) -> Coin:
    return coins.get(database.connection, "BTC")


def hours(first: int, stop: int) -> tuple[int, int]:
    """The range of open times from one hour to another, counted from START_MS."""
    return START_MS + first * HOUR_MS, START_MS + stop * HOUR_MS


def bars(*numbers: int, price: float = 1.5, interval: Interval = Interval.H1) -> KlineSeries:
    """Bars at those hours."""
    klines = [
        Kline(START_MS + n * HOUR_MS, price, price + 1, price - 1, price, float(n)) for n in numbers
    ]
    return KlineSeries.from_klines(klines, interval, SOURCE)


# --------------------------------------------------------------------------- ranges, as sets

RANGES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 15)).map(lambda r: (r[0], r[0] + r[1])), max_size=8
)


def numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for start, end in ranges for number in range(start, end)}


def are_apart(ranges: list[tuple[int, int]]) -> bool:
    """Ascending, none empty, none touching the next."""
    ends = [edge for known in ranges for edge in known]
    return all(before < after for before, after in pairwise(ends))


@given(ranges=RANGES)
def test_merged_ranges_hold_the_same_numbers_apart_from_each_other(ranges: list[tuple[int, int]]):
    joined = merged(ranges)
    assert numbers(joined) == numbers(ranges)
    assert are_apart(joined)
    assert merged(joined) == joined


@given(known=RANGES, start=st.integers(0, 80), length=st.integers(0, 40))
def test_what_is_missing_is_what_is_wanted_without_what_is_known(
    known: list[tuple[int, int]], start: int, length: int
):
    missing = without((start, start + length), merged(known))
    assert numbers(missing) == set(range(start, start + length)) - numbers(known)
    assert are_apart(missing)


# ------------------------------------------------------------------------------- bars and ranges


def test_bars_come_back_as_they_went_in(store: KlineStore, btc: Coin):
    shib = Kline(START_MS, 0.00001412, 0.00005, 0.00001411, 0.00002971, 15274305779676.0)
    dear = Kline(START_MS + HOUR_MS, 123456789012.345, 1e15, 1e-12, 0.1 + 0.2, 0.0)
    series = KlineSeries.from_klines([shib, dear], Interval.H1, SOURCE)
    store.store(btc, series, hours(0, 2))
    read = store.read(btc, SOURCE, Interval.H1, *hours(0, 2))
    assert list(read) == [shib, dear]
    assert (read.interval, read.source, read.last_is_open) == (Interval.H1, SOURCE, False)


def test_reading_takes_a_range_or_the_last(store: KlineStore, btc: Coin):
    store.store(btc, bars(*range(10)), hours(0, 10))
    assert store.read(btc, SOURCE, Interval.H1, *hours(3, 5)).volume.tolist() == [3, 4]
    start, stop = hours(3, 5)
    assert len(store.read(btc, SOURCE, Interval.H1, start + 1, stop + 1)) == 2  # 4 and 5
    last = store.read_last(btc, SOURCE, Interval.H1, hours(0, 8)[1], 3)
    assert last.volume.tolist() == [5, 6, 7]
    assert len(store.read(btc, SOURCE, Interval.H1, *hours(20, 30))) == 0
    assert len(store.read_last(btc, SOURCE, Interval.H1, START_MS, 5)) == 0


def test_series_of_other_coins_sources_and_intervals_are_others(
    store: KlineStore, btc: Coin, database: Database
):
    store.store(btc, bars(0, 1), hours(0, 2))
    eth = coins.get(database.connection, "ETH")
    for coin, source, interval in (
        (eth, SOURCE, Interval.H1), (btc, "okx", Interval.H1), (btc, SOURCE, Interval.M1),
    ):  # fmt: skip
        assert store.coverage(coin, source, interval) is None
        assert store.missing(coin, source, interval, *hours(0, 2)) == [hours(0, 2)]


def test_an_open_bar_is_never_stored(store: KlineStore, btc: Coin):
    series = bars(0, 1)
    forming = KlineSeries.from_klines(
        [*series, Kline(START_MS + 2 * HOUR_MS, 1, 1, 1, 1, 1, closed=False)], Interval.H1, SOURCE
    )
    store.store(btc, forming, hours(0, 2))
    assert store.read(btc, SOURCE, Interval.H1, *hours(0, 9)).volume.tolist() == [0, 1]


def test_a_bar_that_comes_again_replaces_the_first(store: KlineStore, btc: Coin):
    store.store(btc, bars(0, price=1.5), hours(0, 1))
    store.store(btc, bars(0, price=7.5), hours(0, 1))
    assert store.read(btc, SOURCE, Interval.H1, *hours(0, 1)).close.tolist() == [7.5]


def test_coverage_survives_the_process(store: KlineStore, btc: Coin, database: Database):
    store.store(btc, bars(0, 1), hours(0, 2))
    store.store(btc, bars(6, 7), hours(6, 8))
    database.close()
    again = KlineStore(Database(database.path, database.clock))
    assert again.missing(btc, SOURCE, Interval.H1, *hours(0, 10)) == [hours(2, 6), hours(8, 10)]
    again.store(btc, KlineSeries.empty(Interval.H1, SOURCE), hours(2, 6))  # none were ever made
    assert again.missing(btc, SOURCE, Interval.H1, *hours(0, 8)) == []
    assert again.coverage(btc, SOURCE, Interval.H1) == Coverage(
        SOURCE, hours(0, 0)[0], hours(7, 7)[0], bars=4, missing_bars=4
    )


def test_bars_without_a_range_are_kept_and_asked_for_again(store: KlineStore, btc: Coin):
    store.store(btc, bars(3), (START_MS, START_MS))
    assert len(store.read(btc, SOURCE, Interval.H1, *hours(0, 9))) == 1
    assert store.missing(btc, SOURCE, Interval.H1, *hours(3, 4)) == [hours(3, 4)]


def test_a_store_that_is_cut_keeps_neither_bars_nor_range(
    store: KlineStore, btc: Coin, database: Database, monkeypatch: pytest.MonkeyPatch
):
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(klines, "replace_coverage", cut)
    with pytest.raises(KeyboardInterrupt):
        store.store(btc, bars(0, 1), hours(0, 2))
    monkeypatch.undo()
    assert store.coverage(btc, SOURCE, Interval.H1) is None
    assert store.missing(btc, SOURCE, Interval.H1, *hours(0, 2)) == [hours(0, 2)]


def test_ranges_stored_by_many_threads_at_once_are_all_known(
    store: KlineStore, btc: Coin, database: Database
):
    parts = list(range(40))
    random.Random(7).shuffle(parts)

    def keep(number: int) -> None:
        store.store(btc, bars(number), hours(number, number + 1))
        database.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(keep, parts))
    assert store.missing(btc, SOURCE, Interval.H1, *hours(0, 40)) == []
    key = KlineKey(btc.id, SOURCE, Interval.H1)
    assert klines.covered(database.connection, key) == [hours(0, 40)]


@settings(max_examples=30, deadline=None)
@given(asked=RANGES)
def test_after_any_asking_what_is_known_is_what_was_asked(asked: list[tuple[int, int]]):
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute(
        "CREATE TABLE kline_coverage (coin_id, source, interval, start_ms, end_ms, "
        "PRIMARY KEY (coin_id, source, interval, start_ms))"
    )
    key = KlineKey(1, SOURCE, Interval.H1)
    for wanted in asked:
        ranges = merged([*klines.covered(connection, key), wanted])
        klines.replace_coverage(connection, key, ranges)
    known = klines.covered(connection, key)
    connection.close()
    assert numbers(known) == numbers(asked)
    assert are_apart(known)


def test_a_fingerprint_changes_with_the_bars(store: KlineStore, btc: Coin, database: Database):
    key = KlineKey(btc.id, SOURCE, Interval.H1)

    def fingerprint() -> list[int | float | None]:
        return klines.fingerprint(database.connection, key, *hours(0, 9))

    seen = [fingerprint()]
    for series in (bars(0, 1), bars(0, 1, 2), bars(0, 1, 2, price=3.0)):
        store.store(btc, series, hours(0, 9))
        seen.append(fingerprint())
    assert len({tuple(found) for found in seen}) == 4
    store.store(btc, bars(20), hours(20, 21))  # outside
    assert fingerprint() == seen[-1]


def test_fifteen_thousand_bars_are_stored_and_read_in_time(store: KlineStore, btc: Coin):
    count = 15_000
    price = np.linspace(1.0, 2.0, count)
    times = START_MS + np.arange(count, dtype=np.int64) * HOUR_MS
    series = KlineSeries(Interval.H1, times, price, price, price, price, price, SOURCE)
    began = time.process_time()
    store.store(btc, series, hours(0, count))
    read = store.read(btc, SOURCE, Interval.H1, *hours(0, count))
    assert time.process_time() - began < 2.0  # about 0.1 s
    assert read.close.tolist() == price.tolist()
