"""Moves closed months of candles from the database into the archive, so that a cut loses nothing.

A month's file is written under a name of its own and read back; then one transaction, which sees
that the bars in the database are still the same, lets the file count and deletes them. Until that
moment the bars are in the database, from it on in the file.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from database import Database
from domain import Coin
from errors import Conflict
from kline_archive import S3, joined, same_bars
from kline_store import KlineStore
from repositories import coins, kline_archives, klines
from repositories.kline_archives import ArchivedMonth
from repositories.klines import KlineKey, Range


@dataclass(frozen=True, slots=True)
class WarmMonth:
    """A calendar month (UTC) of which there are bars in the database."""

    coin: Coin
    key: KlineKey
    start_ms: int
    end_ms: int

    @property
    def name(self) -> str:
        """Like 2024-01."""
        return month_name(self.start_ms)


class KlineArchiver:
    """Archives to `root`: a folder, relative to the database's own or absolute, or an s3:// URL."""

    def __init__(self, database: Database, store: KlineStore, root: str):
        self._database = database
        self._store = store
        self._root = root

    def months(
        self, before_ms: int, symbols: set[str] | None = None, interval: str | None = None
    ) -> Iterator[WarmMonth]:
        """What there is to archive of months that ended by `before_ms`, and by now."""
        before_ms = min(before_ms, self._database.clock.now_ms())
        connection = self._database.connection
        names = {coin.id: coin for coin in coins.list_coins(connection, is_active=None)}
        for key in self._store.series_keys():
            coin = names[key.coin_id]
            wanted = symbols is None or coin.symbol in symbols
            if wanted and interval in (None, key.interval.value):
                yield from self._months_of(coin, key, before_ms)

    def archive(self, month: WarmMonth) -> int:
        """Move one month, together with what is archived of it already; how many bars left.

        Raises ArchiveUnavailable, and Conflict where its bars changed meanwhile: it is then left
        as it is.
        """
        key = month.key
        with self._database.snapshot() as connection:
            warm = klines.read(connection, key, month.start_ms, month.end_ms)
            earlier = kline_archives.current(connection, key, month.start_ms, month.end_ms)
        if not len(warm):
            return 0
        series = joined([self._store.read_month(key, old) for old in earlier], warm)
        file = _file_name(month)
        with self._database.transaction() as connection:
            archive_id = kline_archives.begin(
                connection, key, (month.start_ms, month.end_ms), self._root, file,
                self._database.clock.now_ms(),
            )  # fmt: skip
        self._store.archive_at(self._root).write(file, series)
        # On the disk before the earlier file goes, also after a power cut.
        with self._database.ledger_transaction() as connection:
            present = klines.read(connection, key, month.start_ms, month.end_ms)
            known = kline_archives.current(connection, key, month.start_ms, month.end_ms)
            unchanged = same_bars(present, warm) and known == earlier
            if unchanged and kline_archives.is_being_written(connection, archive_id):
                replaced = [old.id for old in earlier]
                kline_archives.finish(connection, archive_id, replaced, series.open_time.tolist())
                klines.delete(connection, key, month.start_ms, month.end_ms)
            else:
                unchanged = False
        if not unchanged:
            self._store.archive_at(self._root).delete(file)
            raise Conflict(f"{month.coin.symbol} {month.name} changed while it was archived.")
        for old in earlier:
            self._delete(old)
        return len(warm)

    def clean(self) -> int:
        """Delete the files that do not count; how many. One that is being written is given up."""
        leftovers = kline_archives.leftovers(self._database.connection)
        return sum(self._delete(left) for left in leftovers)

    def _delete(self, left: ArchivedMonth) -> bool:
        """Delete a file and then its row, unless it counts by now."""
        with self._database.transaction() as connection:
            unwanted = kline_archives.give_up(connection, left.id)
        if unwanted:
            self._store.archive_at(left.root).delete(left.file)
            with self._database.transaction() as connection:
                kline_archives.forget(connection, left.id)
        return unwanted

    def _months_of(self, coin: Coin, key: KlineKey, before_ms: int) -> Iterator[WarmMonth]:
        at: int | None = 0
        while True:
            at = klines.first_open_time(self._database.connection, key, at or 0, before_ms)
            if at is None:
                return
            start, end = month_of(at)
            if end > before_ms:
                return
            yield WarmMonth(coin, key, start, end)
            at = end


def archive_root(url: str, database: Database) -> str:
    """What KLINE_ARCHIVE_URL means: a folder by the database where it is empty.

    A folder beside the database is named from there, so that both can be moved together.
    """
    if url.startswith(S3):
        return url
    if not url:
        return f"{database.path.stem}.klines"
    folder = database.path.parent.absolute()
    place = (folder.cwd() / url).absolute()
    return str(place.relative_to(folder)) if place.is_relative_to(folder) else str(place)


def month_of(time_ms: int) -> Range:
    """The calendar month in UTC that holds a time: [start, end)."""
    start = _utc(time_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = start.replace(year=start.year + (start.month == 12), month=start.month % 12 + 1)
    return int(start.timestamp()) * 1000, int(following.timestamp()) * 1000


def month_name(time_ms: int) -> str:
    """The calendar month in UTC that holds a time, like 2024-01."""
    return f"{_utc(time_ms):%Y-%m}"


def _file_name(month: WarmMonth) -> str:
    """A name that no other file ever has, below the archive's root."""
    key = month.key
    folder = "/".join(re.sub(r"[^A-Za-z0-9]", "_", part) for part in (
        key.source, month.coin.symbol, key.interval.value,
    ))  # fmt: skip
    return f"{folder}/{month.name}-{uuid.uuid4().hex[:12]}.parquet"


def _utc(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
