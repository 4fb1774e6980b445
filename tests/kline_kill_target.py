"""A process that imports, syncs and archives candles until it is killed."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

from market_source import SettableSource

from clock import ManualClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import DAY_MS, Interval
from kline_archiver import KlineArchiver
from kline_import import import_file
from kline_store import KlineStore
from kline_sync import KlineSync
from repositories import coins
from timestamps import parse_time_ms

START_MS = parse_time_ms("2024-01-01")
END_MS = parse_time_ms("2024-04-01")
NOW_MS = parse_time_ms("2024-04-20")
INTERVAL = Interval.M5
SYNCED = ("SOL", "XRP")
SYNCED_PRICE = 100.0


class Candles:
    """The three things that are done to candles, on one database."""

    def __init__(self, database: Database, files: list[Path]):
        source = SettableSource(database.clock)
        source.quotes = {f"{symbol}USDT": Decimal(str(SYNCED_PRICE)) for symbol in SYNCED}
        aggregator = MultiSourceDataAggregator(
            database, {"binance": source}, {"price": ["binance"], "klines": ["binance"]},
            database.clock, wall_clock=database.clock,
        )  # fmt: skip
        self._database = database
        self._files = files
        self._store = KlineStore(database)
        self._syncing = KlineSync(database, aggregator)
        self._archiver = KlineArchiver(database, self._store, "cold")

    def import_one(self) -> None:
        import_file(self._database, self._store, random.choice(self._files))

    def sync_some(self) -> None:
        coin = coins.get(self._database.connection, random.choice(SYNCED))
        first = START_MS + random.randrange(80) * DAY_MS
        until = first + 10 * DAY_MS
        self._syncing.sync(coin, INTERVAL, first, until, lambda _: None, lambda _: None)

    def archive_some(self) -> None:
        self._archiver.clean()
        months = list(self._archiver.months(END_MS))
        for month in random.sample(months, min(2, len(months))):
            self._archiver.archive(month)


def main(path: str, folder: str) -> None:
    """Do one after the other, for ever; the files of `folder` are in Binance's format."""
    database = Database(Path(path), ManualClock(NOW_MS))
    database.upgrade()
    candles = Candles(database, sorted(Path(folder).iterdir()))
    actions = (candles.import_one, candles.sync_some, candles.archive_some)
    print("at work", flush=True)  # noqa: T201 - what the test waits for
    while True:
        random.choice(actions)()
