"""The hot cache: one set of tests for SQLite and Redis, then what each does when it is out."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from new_database import new_database
from redis import Redis
from redis_server import RedisServer

import data_cache
from clock import ManualClock
from config import Config
from data_cache import Cached, DataCache, NoDataCache, RedisDataCache, SqliteDataCache, open_cache
from database import Database

NOW_MS = 1_717_245_296_789
PRICE = {"price": "64123.45000000", "change_24h": -1.25}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", clock)
    yield database
    database.close()


@pytest.fixture(scope="module")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    """A running server that holds nothing."""
    running_redis.empty()
    return running_redis


@pytest.fixture(params=["sqlite", "redis"])
def cache(request: pytest.FixtureRequest, clock: ManualClock) -> DataCache:
    if request.param == "sqlite":
        return SqliteDataCache(request.getfixturevalue("database"), clock)
    return RedisDataCache(request.getfixturevalue("redis").url, clock)


@pytest.fixture
def again(cache: DataCache, request: pytest.FixtureRequest, clock: ManualClock) -> DataCache:
    """The same cache as another process sees it."""
    if isinstance(cache, SqliteDataCache):
        database: Database = request.getfixturevalue("database")
        return SqliteDataCache(Database(database.path, clock), clock)
    return RedisDataCache(request.getfixturevalue("redis").url, clock)


# ---------------------------------------------------------------------------------- both of them


def test_what_is_put_comes_back_with_its_times_also_in_another_process(
    cache: DataCache, again: DataCache
):
    depth = {"bids": [["1.5", "2"], ["1.4", "3"]], "asks": [], "note": "Ätsch 币\x00"}
    cache.put_many("price", "binance", {"BTC": PRICE, "ETH": 1.5}, 10)
    cache.put_many("depth", "binance", {"BTC": depth}, 0.5)
    found = again.get_many("price", "binance", ["BTC", "ETH", "SOL"])
    assert found == {
        "BTC": Cached(PRICE, NOW_MS, NOW_MS + 10_000),
        "ETH": Cached(1.5, NOW_MS, NOW_MS + 10_000),
    }
    assert again.get_many("depth", "binance", ["BTC"]) == {
        "BTC": Cached(depth, NOW_MS, NOW_MS + 500)
    }


def test_kinds_and_sources_are_apart(cache: DataCache):
    cache.put_many("price", "binance", {"BTC": 1}, 10)
    cache.put_many("price", "okx", {"BTC": 2}, 10)
    assert cache.get_many("price", "okx", ["BTC"])["BTC"].value == 2
    assert cache.get_many("price", "binance", ["BTC"])["BTC"].value == 1
    assert cache.get_many("depth", "binance", ["BTC"]) == {}
    assert cache.get_many("price", "coingecko", ["BTC"]) == {}


def test_a_value_takes_the_place_of_the_last_one(cache: DataCache, clock: ManualClock):
    cache.put_many("price", "binance", {"BTC": 1, "ETH": 1}, 10)
    clock.set(clock.now_ms() + 5_000)
    cache.put_many("price", "binance", {"BTC": 2}, 10)
    found = cache.get_many("price", "binance", ["BTC", "ETH"])
    assert found["BTC"] == Cached(2, NOW_MS + 5_000, NOW_MS + 15_000)
    assert found["ETH"] == Cached(1, NOW_MS, NOW_MS + 10_000)


def test_an_expired_value_is_there_until_it_is_cleaned(cache: DataCache, clock: ManualClock):
    cache.put_many("price", "binance", {"BTC": 1, "ETH": 1}, 10)
    cache.put_many("depth", "okx", {"BTC": 1}, 60)
    clock.set(clock.now_ms() + 9_999)
    assert cache.clean() == 0
    clock.set(clock.now_ms() + 1)
    assert cache.get_many("price", "binance", ["BTC"])["BTC"].expires_ms == clock.now_ms()
    assert cache.clean() == 2
    assert cache.get_many("price", "binance", ["BTC", "ETH"]) == {}
    assert list(cache.get_many("depth", "okx", ["BTC"])) == ["BTC"]
    assert cache.clean() == 0


def test_nothing_asked_and_nothing_put_is_no_trouble(cache: DataCache):
    cache.put_many("price", "binance", {}, 10)
    assert cache.get_many("price", "binance", []) == {}
    assert cache.get_many("price", "binance", ["NOSUCHCOIN", ""]) == {}
    assert cache.clean() == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_refused_and_nothing_is_put(cache: DataCache, value: object):
    with pytest.raises((ValueError, TypeError)):
        cache.put_many("price", "binance", {"BTC": 1, "ETH": value}, 10)
    assert cache.get_many("price", "binance", ["BTC", "ETH"]) == {}


def test_many_threads_put_and_read_at_once(cache: DataCache, database: Database):
    def put_and_read(number: int) -> int:
        cache.put_many("price", f"source {number % 3}", {"BTC": number, "ETH": number}, 10)
        found = cache.get_many("price", f"source {number % 3}", ["BTC", "ETH"])
        database.close()
        return len(found)

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(put_and_read, range(60))) == [2] * 60


def test_a_hundred_coins_cost_little(cache: DataCache, database: Database):
    symbols = [row[0] for row in database.connection.execute("SELECT symbol FROM coins LIMIT 100")]
    began = time.process_time()
    for _ in range(20):
        cache.put_many("price", "binance", dict.fromkeys(symbols, PRICE), 10)
        assert len(cache.get_many("price", "binance", symbols)) == 100
    assert time.process_time() - began < 1.0  # about 0.05 s


# ------------------------------------------------------------------------------------- when it is out


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, which it may stop."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def test_without_redis_the_app_goes_on_says_so_once_and_finds_it_again(
    own_redis: RedisServer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    monkeypatch.setattr(data_cache, "PAUSE_SECONDS", 0.05)
    caplog.set_level(logging.INFO)
    cache = RedisDataCache(own_redis.url, clock)
    cache.put_many("price", "binance", {"BTC": 1}, 10)
    own_redis.stop()
    began = time.monotonic()
    for _ in range(200):
        cache.put_many("price", "binance", {"BTC": 2}, 10)
        assert cache.get_many("price", "binance", ["BTC"]) == {}
        assert cache.clean() == 0
    assert time.monotonic() - began < 2.0
    assert [(r.levelname, "does not answer" in r.message) for r in caplog.records] == [
        ("WARNING", True)
    ]
    own_redis.start()
    time.sleep(0.06)
    cache.put_many("price", "binance", {"BTC": 3}, 10)
    assert cache.get_many("price", "binance", ["BTC"])["BTC"].value == 3
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]


def test_a_redis_that_hangs_costs_half_a_second_once(
    own_redis: RedisServer, clock: ManualClock, caplog: pytest.LogCaptureFixture
):
    cache = RedisDataCache(own_redis.url, clock)
    with Redis.from_url(own_redis.url) as client:
        client.execute_command("CLIENT", "PAUSE", "60000")
    began = time.monotonic()
    for _ in range(20):
        assert cache.get_many("price", "binance", ["BTC"]) == {}
    assert time.monotonic() - began < 2 * (data_cache.ANSWER_SECONDS + data_cache.CONNECT_SECONDS)
    assert len(caplog.records) == 1


def test_a_password_is_in_no_log(clock: ManualClock, caplog: pytest.LogCaptureFixture):
    cache = RedisDataCache("redis://me:hunter2@127.0.0.1:9/0", clock)
    assert cache.get_many("price", "binance", ["BTC"]) == {}
    assert "127.0.0.1:9" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{}", "[1,2]", "[null,null,1]", "7", '["a","b",1]']
)
def test_what_others_wrote_into_redis_is_not_taken(
    redis: RedisServer, clock: ManualClock, text: str, caplog: pytest.LogCaptureFixture
):
    cache = RedisDataCache(redis.url, clock)
    cache.put_many("price", "binance", {"ETH": 1}, 10)
    with Redis.from_url(redis.url) as client:
        client.hset("trading:price:binance", "BTC", text)
    assert list(cache.get_many("price", "binance", ["BTC", "ETH"])) == ["ETH"]
    assert "of BTC" in caplog.text
    assert cache.clean() == 1


def test_a_redis_whose_app_is_gone_forgets_by_itself(redis: RedisServer, clock: ManualClock):
    RedisDataCache(redis.url, clock).put_many("price", "binance", {"BTC": 1}, 10)
    with Redis.from_url(redis.url) as client:
        lifetime = client.ttl("trading:price:binance")
    assert 0 < lifetime <= data_cache.KEPT_AFTER_EXPIRY_SECONDS + 10


def test_two_markets_on_one_redis_are_apart(redis: RedisServer, tmp_path: Path, clock: ManualClock):
    database = Database(tmp_path / "any.db", clock)
    live, demo = (
        open_cache(Config(REDIS_URL=redis.url, MARKET=market), database, clock)
        for market in ("live", "demo")
    )
    live.put_many("price", "binance", {"BTC": 1}, 10)
    assert demo.get_many("price", "binance", ["BTC"]) == {}
    clock.set(clock.now_ms() + 20_000)
    assert demo.clean() == 0
    assert live.clean() == 1


def test_a_database_that_cannot_be_written_is_a_cache_without_values(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    cache = SqliteDataCache(database, clock)
    database.connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache.put_many("price", "binance", {"BTC": 1}, 10)
    assert cache.get_many("price", "binance", ["BTC"]) == {}
    assert cache.clean() == 0
    assert "database is locked" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    cache.put_many("price", "binance", {"BTC": 1}, 10)
    assert list(cache.get_many("price", "binance", ["BTC"])) == ["BTC"]


# ------------------------------------------------------------------------------------- which one


def test_the_configuration_chooses(database: Database, clock: ManualClock):
    assert isinstance(open_cache(Config(), database, clock), SqliteDataCache)
    url = "redis://127.0.0.1:9"
    assert isinstance(open_cache(Config(REDIS_URL=url), database, clock), RedisDataCache)
    none = open_cache(Config(REDIS_URL=url, CACHE_ENABLED=False), database, clock)
    assert isinstance(none, NoDataCache)
    none.put_many("price", "binance", {"BTC": 1}, 10)
    assert (none.get_many("price", "binance", ["BTC"]), none.clean()) == ({}, 0)
