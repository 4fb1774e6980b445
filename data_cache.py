"""The hot tier: the newest prices, tickers, order books, shared by processes and kept over restarts.

SQLite by default, Redis where `REDIS_URL` is set, behind one interface. A cache is a convenience:
one that fails is an empty one. That is logged when it begins and when it is over, never raised.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from config import Config
from database import Database
from domain import Clock
from errors import DatabaseUnavailable
from repositories import market_cache
from repositories.market_cache import CacheRow

Json = Any  # what json.dumps takes

CONNECT_SECONDS = 0.25
ANSWER_SECONDS = 0.5
PAUSE_SECONDS = 5.0  # between tries of a cache that does not answer
KEPT_AFTER_EXPIRY_SECONDS = 7 * 24 * 3600  # by a Redis whose app is gone

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Failures = type[Exception] | tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True)
class Cached:
    """A value, and when it was stored and expires: ms UTC of the wall clock."""

    value: Json
    stored_ms: int
    expires_ms: int


class DataCache(Protocol):
    """Values by kind ("price", "depth" …), source and coin. An expired one is there until `clean`."""

    def get_many(self, kind: str, source: str, symbols: Iterable[str]) -> dict[str, Cached]:
        """What is known of these coins, also what has expired; the others are left out."""
        ...

    def put_many(
        self, kind: str, source: str, values: Mapping[str, Json], ttl_seconds: float
    ) -> None:
        """Keep JSON values by coin, in place of those that are there."""
        ...

    def clean(self) -> int:
        """Delete what has expired; how many values that were."""
        ...


def open_cache(config: Config, database: Database, wall_clock: Clock) -> DataCache:
    """The cache that the configuration names; nothing is connected to yet."""
    if not config.CACHE_ENABLED:
        return NoDataCache()
    if config.REDIS_URL:
        return RedisDataCache(config.REDIS_URL, wall_clock, prefix=f"trading:{config.MARKET}")
    return SqliteDataCache(database, wall_clock)


class NoDataCache:
    """Keeps nothing: `CACHE_ENABLED=false`."""

    def get_many(self, kind: str, source: str, symbols: Iterable[str]) -> dict[str, Cached]:
        """Nothing."""
        return {}

    def put_many(
        self, kind: str, source: str, values: Mapping[str, Json], ttl_seconds: float
    ) -> None:
        """Nothing is kept."""

    def clean(self) -> int:
        """There is nothing to delete."""
        return 0


class SqliteDataCache:
    """Rows of `market_data_cache`; only of symbols that are coins of the database."""

    def __init__(self, database: Database, wall_clock: Clock):
        self._database = database
        self._wall_clock = wall_clock
        self._attempts = _Attempts(
            "The cache in SQLite", (sqlite3.Error, DatabaseUnavailable), pause_seconds=0.0
        )

    def get_many(self, kind: str, source: str, symbols: Iterable[str]) -> dict[str, Cached]:
        """See `DataCache`."""
        wanted = list(symbols)
        nothing: dict[str, CacheRow] = {}
        rows = self._attempts.make(
            lambda: market_cache.read(self._database.connection, kind, source, wanted), nothing
        )
        return _sound({symbol: _of_row(row) for symbol, row in rows.items()})

    def put_many(
        self, kind: str, source: str, values: Mapping[str, Json], ttl_seconds: float
    ) -> None:
        """See `DataCache`."""
        rows = _encoded(values, self._wall_clock.now_ms(), ttl_seconds)
        self._attempts.make(lambda: self._write(kind, source, rows), None)

    def clean(self) -> int:
        """See `DataCache`."""
        now_ms = self._wall_clock.now_ms()
        return self._attempts.make(
            lambda: market_cache.delete_expired(self._database.connection, now_ms), 0
        )

    def _write(self, kind: str, source: str, rows: Mapping[str, CacheRow]) -> None:
        with self._database.transaction() as connection:
            market_cache.write(connection, kind, source, rows)


class RedisDataCache:
    """A hash a kind and source, `PREFIX:KIND:SOURCE`, of [stored_ms, expires_ms, value] by symbol.

    A server that does not answer costs a caller half a second at most, once in five.
    """

    def __init__(self, url: str, wall_clock: Clock, prefix: str = "trading"):
        self._wall_clock = wall_clock
        self._prefix = prefix
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            encoding_errors="replace",
        )
        self._delete_unchanged = self._redis.register_script(
            "if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then "
            "return redis.call('HDEL', KEYS[1], ARGV[1]) end return 0"
        )
        known = self._redis.connection_pool.connection_kwargs
        place = known.get("path") or f"{known.get('host')}:{known.get('port')}"  # no password
        self._attempts = _Attempts(f"Redis at {place}", RedisError, pause_seconds=PAUSE_SECONDS)

    def get_many(self, kind: str, source: str, symbols: Iterable[str]) -> dict[str, Cached]:
        """See `DataCache`."""
        wanted = list(symbols)
        if not wanted:
            return {}
        key = self._key(kind, source)
        nothing: list[bytes | str | None] = [None] * len(wanted)
        texts = self._attempts.make(lambda: self._redis.hmget(key, wanted), nothing)
        found = zip(wanted, texts, strict=True)
        return _sound({symbol: _of_text(text) for symbol, text in found if text is not None})

    def put_many(
        self, kind: str, source: str, values: Mapping[str, Json], ttl_seconds: float
    ) -> None:
        """See `DataCache`."""
        if not values:
            return
        rows = _encoded(values, self._wall_clock.now_ms(), ttl_seconds)
        texts = {
            symbol: f"[{row.stored_ms},{row.expires_ms},{row.text}]" for symbol, row in rows.items()
        }
        self._attempts.make(lambda: self._write(self._key(kind, source), texts, ttl_seconds), None)

    def clean(self) -> int:
        """See `DataCache`."""
        return self._attempts.make(self._clean, 0)

    def _write(self, key: str, texts: Mapping[str, str], ttl_seconds: float) -> None:
        fields: dict[Any, Any] = dict(texts)  # the library's own type is wider, and invariant
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, mapping=fields)
            pipeline.expire(key, int(ttl_seconds) + KEPT_AFTER_EXPIRY_SECONDS)
            pipeline.execute()

    def _clean(self) -> int:
        now_ms = self._wall_clock.now_ms()
        deleted = 0
        for key in self._redis.scan_iter(match=f"{self._prefix}:*"):
            for symbol, text in self._redis.hgetall(key).items():
                cached = _of_text(text)
                if cached is None or cached.expires_ms <= now_ms:
                    # One that was put anew meanwhile stays.
                    deleted += int(self._delete_unchanged(keys=[key], args=[symbol, text]))
        return deleted

    def _key(self, kind: str, source: str) -> str:
        return f"{self._prefix}:{kind}:{source}"


class _Attempts:
    """Asks a store that may be out: an answer, or `otherwise` while it does not answer."""

    def __init__(self, what: str, failure: Failures, pause_seconds: float):
        self._what = what
        self._failure = failure
        self._pause_seconds = pause_seconds
        self._lock = threading.Lock()
        self._is_out = False
        self._next_try = 0.0

    def make(self, ask: Callable[[], Answer], otherwise: Answer) -> Answer:
        """What `ask` returns; `otherwise` when it fails, or failed a moment ago."""
        if self._is_out and not self._may_try():
            return otherwise
        try:
            answer = ask()
        except self._failure as error:
            self._went_out(error)
            return otherwise
        self._came_back()
        return answer

    def _may_try(self) -> bool:
        """One thread in each pause: the others go on without waiting for it."""
        with self._lock:
            now = time.monotonic()
            if now < self._next_try:
                return False
            self._next_try = now + self._pause_seconds
            return True

    def _went_out(self, error: Exception) -> None:
        with self._lock:
            begins = not self._is_out
            self._is_out = True
            self._next_try = time.monotonic() + self._pause_seconds
        if begins:
            log.warning("%s does not answer, going on without a cache: %s", self._what, error)

    def _came_back(self) -> None:
        if not self._is_out:
            return
        with self._lock:
            ends, self._is_out = self._is_out, False
        if ends:
            log.info("%s answers again.", self._what)


def _encoded(values: Mapping[str, Json], now_ms: int, ttl_seconds: float) -> dict[str, CacheRow]:
    """Rows of values. Raises ValueError, TypeError for one that is no JSON (NaN is none)."""
    expires_ms = now_ms + round(ttl_seconds * 1000)
    return {
        symbol: CacheRow(json.dumps(value, allow_nan=False), now_ms, expires_ms)
        for symbol, value in values.items()
    }


def _sound(values: Mapping[str, Cached | None]) -> dict[str, Cached]:
    """Those that could be read: what another program wrote there is not taken."""
    broken = [symbol for symbol, cached in values.items() if cached is None]
    if broken:
        log.warning("The cache holds nothing that this app wrote of %s.", ", ".join(broken))
    return {symbol: cached for symbol, cached in values.items() if cached is not None}


def _of_row(row: CacheRow) -> Cached | None:
    try:
        return Cached(json.loads(row.text), row.stored_ms, row.expires_ms)
    except ValueError:
        return None


def _of_text(text: str | bytes) -> Cached | None:
    try:
        stored_ms, expires_ms, value = json.loads(text)
        return Cached(value, int(stored_ms), int(expires_ms))
    except (ValueError, TypeError):
        return None
