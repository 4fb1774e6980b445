"""The configuration: the environment over `.env` over the defaults, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from clock import AcceleratedClock, SystemClock
from config import Config, MarketKind


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without `.env`, and an environment that names none of the settings."""
    monkeypatch.chdir(tmp_path)
    for name in Config.model_fields:
        monkeypatch.delenv(name, raising=False)


def test_without_anything_it_is_a_live_market_on_the_loopback():
    config = Config()
    assert (config.HOST, config.PORT, config.MARKET) == ("127.0.0.1", 5000, MarketKind.LIVE)
    assert str(config.DATABASE_PATH) == "instance/trading.db"
    assert config.DATA_SOURCE_PRIORITY == {
        "price": ["binance", "okx", "coingecko"], "klines": ["binance", "okx"],
        "depth": ["binance", "okx"],
    }  # fmt: skip
    assert isinstance(config.clock(), SystemClock)


def test_the_environment_overrides_the_file_and_the_file_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
):
    Path(".env").write_text("PORT=6000\nCACHE_PRICE_TTL=3\nSOMETHING_ELSE=1\n# A comment\n")
    monkeypatch.setenv("PORT", "7000")
    monkeypatch.setenv("DATABASE_PATH", "/data/mine.db")
    monkeypatch.setenv("DATA_SOURCE_PRIORITY", '{"price": ["binance"]}')
    config = Config(SERVER_THREADS=99)
    assert (config.PORT, config.CACHE_PRICE_TTL, config.SERVER_THREADS) == (7000, 3.0, 99)
    assert str(config.DATABASE_PATH) == "/data/mine.db"
    # A kind of data that is not named keeps its sources.
    assert config.DATA_SOURCE_PRIORITY["klines"] == ["binance", "okx"]


@pytest.mark.parametrize(
    ("settings", "reached"),
    [
        ({}, False),
        ({"HOST": "localhost"}, False),
        ({"HOST": "::1"}, False),
        ({"HOST": "0.0.0.0"}, True),
        ({"HOST": "::"}, True),
        ({"HOST": "192.168.1.7"}, True),
        ({"HOST": "127.0.0.1.evil.example"}, True),
        ({"ALLOWED_HOSTS": "trading.example, 192.168.1.7"}, True),
        ({"TRUSTED_PROXY": "127.0.0.1"}, True),
    ],
)
def test_who_listens_elsewhere_or_behind_a_proxy_is_reached_by_others(
    settings: dict[str, str], reached: bool
):
    assert Config(**settings).others_can_reach is reached


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("HOST", ""), ("HOST", "*"), ("HOST", "two words"), ("ALLOWED_HOSTS", "*.example"),
        ("ALLOWED_HOSTS", "trading.example:443"), ("ALLOWED_HOSTS", "https://trading.example"),
        ("TRUSTED_PROXY", "*"), ("TRUSTED_PROXY", "proxy.example"), ("TRUSTED_PROXY", "10.0.0.0/8"),
    ],
)  # fmt: skip
def test_what_is_no_name_or_address_is_refused(
    name: str, wrong: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, wrong)
    with pytest.raises(ValidationError, match=name):
        Config()


@pytest.mark.parametrize(
    "wrong",
    [
        {"PORT": 65_536},
        {"PORT": "five"},
        {"SERVER_THREADS": 1},
        {"STREAM_CONNECTIONS": 0},
        {"TRADING_LOOP": "maybe"},
        {"LOG_LEVEL": "LOUD"},
        {"SOURCE_TIMEOUT_SECONDS": 0},
        {"CACHE_PRICE_TTL": -1},
        {"PRICE_POLL_SECONDS": 0},
        {"DEFAULT_TRADE_FEE_RATE": 1},
        {"BACKTEST_WORKERS": 0},
        {"MARKET": "casino"},
        {"DEMO_CLOCK_SPEED": 0},
        {"DEMO_CLOCK_START_MS": 1},
        {"DEMO_CLOCK_WALL_START_MS": 1},
        {"DATA_SOURCE_PRIORITY": {"price": []}},
        {"DATA_SOURCE_PRIORITY": {"price": ["mtgox"]}},
        {"DATA_SOURCE_PRIORITY": {"rumours": ["binance"]}},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused_by_name(wrong: dict[str, Any]):
    with pytest.raises(ValidationError) as refused:
        Config(**wrong)
    (name,) = wrong
    assert name in str(refused.value)


def test_more_streams_than_threads_would_leave_nobody_to_answer():
    with pytest.raises(ValidationError, match="STREAM_CONNECTIONS"):
        Config(SERVER_THREADS=8, STREAM_CONNECTIONS=8)
    assert Config(SERVER_THREADS=8, STREAM_CONNECTIONS=7)


def test_a_demo_market_has_a_clock_of_its_own():
    wall_ms = SystemClock().now_ms()
    config = Config(
        MARKET="demo", DEMO_CLOCK_START_MS=0, DEMO_CLOCK_WALL_START_MS=wall_ms, DEMO_CLOCK_SPEED=30
    )
    clock = config.clock()
    assert isinstance(clock, AcceleratedClock)
    assert (clock.start_ms, clock.wall_start_ms, clock.speed) == (0, wall_ms, 30)


def test_a_configuration_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Config().PORT = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [
        {"REDIS_URL": "http://127.0.0.1"},
        {"REDIS_URL": "redis://127.0.0.1:many/0"},
        {"REDIS_URL": "redis://[127.0.0.1"},
        {"KLINE_ARCHIVE_URL": "http://bucket/x"},
        {"KLINE_ARCHIVE_URL": "s3://"},
        {"KLINE_ARCHIVE_URL": "s3://key:secret@bucket/x"},
    ],
)
def test_places_of_market_data_are_checked(wrong: dict[str, str]):
    with pytest.raises(ValidationError):
        Config(**wrong)


def test_the_password_of_redis_is_a_secret():
    config = Config(REDIS_URL="redis://me:hunter2@127.0.0.1/0", KLINE_ARCHIVE_URL="s3://bucket/x")
    assert "hunter2" in config.secrets
