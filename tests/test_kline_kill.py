"""A process killed at any moment of an import, a sync or an archive loses and doubles no candle."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from killing import Victims, victims
from kline_kill_target import END_MS, INTERVAL, NOW_MS, START_MS, SYNCED, SYNCED_PRICE

from clock import ManualClock
from database import Database
from domain import FloatArray, TimeArray
from kline_archiver import KlineArchiver, month_name, month_of
from kline_store import KlineStore
from repositories import coins, kline_archives, klines
from repositories.klines import KlineKey

KILLS = int(os.environ.get("KILLS", "20")) // 5
LONGEST_LIFE_SECONDS = 0.5
IMPORTED = ("BTC", "ETH")


def price_at(times: TimeArray) -> FloatArray:
    """A price of every time of its own, so that no bar can stand in for another."""
    price: FloatArray = (times // INTERVAL.milliseconds % 100_000 + 1) / 8
    return price


def write_files(folder: Path) -> None:
    folder.mkdir()
    at = START_MS
    while at < END_MS:
        start, end = month_of(at)
        times = np.arange(start, end, INTERVAL.milliseconds)
        rows = [
            f"{t},{p},{p},{p},{p},1.5,{t + 299_999},0,0,0,0,0"
            for t, p in zip(times.tolist(), price_at(times).tolist(), strict=True)
        ]
        for symbol in IMPORTED:
            path = folder / f"{symbol}USDT-5m-{month_name(start)}.csv"
            path.write_text("\n".join(rows), "ascii")
        at = end


def work_and_die(workers: Victims, life_seconds: float) -> None:
    """Let a process work for so long after it has begun, then end it with SIGKILL."""
    workers.begin()
    time.sleep(life_seconds)
    workers.kill()


def bars_that_are_right(database: Database, symbol: str) -> int:
    """How many bars there are, when they are just those of the ranges that are known in full."""
    coin, store = coins.get(database.connection, symbol), KlineStore(database)
    key = KlineKey(coin.id, "binance", INTERVAL)
    series = store.read(coin, "binance", INTERVAL, 0, NOW_MS)
    ranges = klines.covered(database.connection, key)
    expected = [np.arange(start, end, INTERVAL.milliseconds) for start, end in ranges]
    times = np.concatenate([np.empty(0, np.int64), *expected])
    assert series.open_time.tolist() == times.tolist()
    prices = price_at(times) if symbol in IMPORTED else np.full(len(times), SYNCED_PRICE)
    for column in (series.open, series.high, series.low, series.close):
        assert column.tolist() == prices.tolist()
    coverage = store.coverage(coin, "binance", INTERVAL)
    assert len(series) == (0 if coverage is None else coverage.bars)
    return len(series)


@pytest.mark.kill
@pytest.mark.timeout(max(120, KILLS * 30))
def test_after_each_kill_every_candle_is_there_once(
    tmp_path: Path, record_property: Callable[[str, object], None]
):
    path, folder = tmp_path / "killed.db", tmp_path / "files"
    write_files(folder)
    moments = random.Random()
    symbols = (*IMPORTED, *SYNCED)
    before = dict.fromkeys(symbols, 0)
    with victims("kline_kill_target", path, folder) as workers:
        for _ in range(KILLS):
            work_and_die(workers, moments.uniform(0.02, LONGEST_LIFE_SECONDS))
            database = Database(path, ManualClock(NOW_MS))
            for symbol in symbols:
                bars = bars_that_are_right(database, symbol)
                assert bars >= before[symbol]  # nothing that was stored is lost
                before[symbol] = bars
            database.close()
    assert sum(before.values()) > 0  # it was at work when it died
    assert_what_was_cut_is_cleaned(path, symbols, before)
    record_property("kills", KILLS)
    record_property("candles", sum(before.values()))
    record_property("lost", 0)  # as has been asserted after every kill
    record_property("doubled", 0)


def assert_what_was_cut_is_cleaned(
    path: Path, symbols: tuple[str, ...], before: dict[str, int]
) -> None:
    """The next archiving takes what is left, and no file stays that does not count."""
    database = Database(path, ManualClock(NOW_MS))
    archiver = KlineArchiver(database, KlineStore(database), "cold")
    archiver.clean()
    for month in list(archiver.months(END_MS)):
        archiver.archive(month)
    assert not kline_archives.leftovers(database.connection)
    assert not list(archiver.months(END_MS))
    counted = database.connection.execute("SELECT COUNT(*) FROM kline_archives").fetchone()[0]
    assert len([file for file in (path.parent / "cold").rglob("*") if file.is_file()]) == counted
    assert {symbol: bars_that_are_right(database, symbol) for symbol in symbols} == before
    database.close()
