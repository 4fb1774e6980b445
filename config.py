"""Settings of the process: from the environment and from `.env`, with the design's names."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clock import AcceleratedClock, SystemClock
from domain import Clock
from log_lines import LogFormat, LogLevel, LogTerms

# The sources that can answer for each kind of data, first choice first.
SOURCES = {
    "price": ("binance", "okx", "coingecko"),
    "klines": ("binance", "okx"),
    "depth": ("binance", "okx"),
}
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
EVERY_ADDRESS = ("0.0.0.0", "::")  # nosec B104 # to know them by
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.IGNORECASE)


class MarketKind(StrEnum):
    """Whether prices are real or those of the simulated exchange."""

    LIVE = "live"
    DEMO = "demo"


class Config(BaseSettings):
    """One field a setting; the environment overrides `.env`, which overrides the defaults."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    DATABASE_PATH: Path = Field(Path("instance/trading.db"), description="The SQLite file")
    HOST: str = Field(
        "127.0.0.1", description="Address to listen on; all but the loopback need a password"
    )
    PORT: int = Field(5000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    ALLOWED_HOSTS: str = Field(
        "", description="Names that browsers may ask by besides HOST's own, by commas"
    )
    TRUSTED_PROXY: str = Field(
        "", description="Address of the reverse proxy whose X-Forwarded-For, -Proto, -Host hold"
    )
    SESSION_DAYS: int = Field(7, ge=1, le=365, description="After which one signs in again")
    SERVER_THREADS: int = Field(96, ge=4, le=512, description="Requests served at once")
    STREAM_CONNECTIONS: int = Field(64, ge=1, description="Browsers on the event stream at once")
    TRADING_LOOP: Literal["on", "off"] = Field("on", description="Whether this process trades")
    DISK_LEAST_FREE_MB: int = Field(
        200, ge=0, description="Room on the database's disk below which /api/health says so"
    )
    LOG_LEVEL: LogLevel = "INFO"
    LOG_FORMAT: LogFormat = Field("text", description="Lines of text, or of JSON for programs")
    LOG_LIBRARIES: LogLevel = Field(
        "WARNING", description="The same for what libraries say; at DEBUG each step of a request"
    )

    BINANCE_API_KEY: str = Field("", description="Optional: public data needs none")
    BINANCE_API_SECRET: str = ""
    BINANCE_API_URL: str = Field("", description="Another base URL; empty is Binance's own")
    OKX_API_KEY: str = Field("", description="Optional: public data needs none")
    OKX_API_SECRET: str = ""
    OKX_PASSPHRASE: str = ""
    OKX_API_URL: str = Field("", description="Another base URL; empty is OKX's own")
    COINGECKO_API_KEY: str = Field("", description="Optional: raises the limit of questions")
    COINGECKO_API_URL: str = Field("", description="Another base URL; empty is CoinGecko's own")
    SOURCE_TIMEOUT_SECONDS: float = Field(4.0, gt=0, le=60)
    SOURCE_BUDGET_SECONDS: float = Field(
        5.0, gt=0, le=60, description="For an answer, whichever sources are asked for it"
    )
    SOURCE_REST_SECONDS: float = Field(
        5.0, gt=0, le=60, description="That a source which fails is left alone, doubled each time"
    )
    BINANCE_RATE_LIMIT: int = Field(5400, ge=100, description="Weight a minute; it allows 6,000")
    OKX_RATE_LIMIT: int = Field(
        20, ge=1, description="Requests in 2 s to its narrowest endpoints; others in proportion"
    )
    COINGECKO_RATE_LIMIT: int = Field(25, ge=1, description="Requests a minute; about 30 allowed")
    PRICE_DEVIATION_PERCENT: float = Field(
        2.0, gt=0, lt=100, description="How far apart two sources may be without an alert"
    )
    PRICE_JUMP_PERCENT: float = Field(
        20.0, gt=0, lt=100, description="A move between two ticks that another source must confirm"
    )
    DATA_SOURCE_PRIORITY: dict[str, list[str]] = Field(
        default={}, validate_default=True, description="Sources by kind of data, first choice first"
    )
    STREAMS: Literal["on", "off"] = Field("on", description="Whether prices come over websockets")
    BINANCE_STREAM_URL: str = Field(
        "",
        description="Where `/stream` is, if elsewhere; empty is Binance's own, or none where "
        "BINANCE_API_URL is set",
    )
    OKX_STREAM_URL: str = Field(
        "",
        description="Where `/public` is, if elsewhere; empty is OKX's own, or none where "
        "OKX_API_URL is set",
    )
    CACHE_PRICE_TTL: float = Field(10.0, gt=0, description="Seconds that a price counts as fresh")
    CACHE_ENABLED: bool = Field(True, description="Whether the newest data outlive the process")
    REDIS_URL: str = Field("", description="A Redis for the hot cache; empty keeps it in SQLite")
    KLINE_ARCHIVE_URL: str = Field(
        "", description="Folder or s3:// URL of old candles; empty is a folder by the database"
    )
    PRICE_POLL_SECONDS: float = Field(2.0, gt=0, description="Real seconds between price polls")

    BACKUP_FOLDER: Path | None = Field(None, description="By default backups beside the database")
    SECRET_KEY: SecretStr = Field(
        SecretStr(""), description="Seals stored keys; by default that of SECRET_KEY_FILE"
    )
    SECRET_KEY_FILE: Path | None = Field(None, description="By default beside the database")
    LOCAL_PROVIDERS: Literal["on", "off"] = Field(
        "off", description="Whether LLMs may be on this computer or its network"
    )

    DEFAULT_TRADE_FEE_RATE: float = Field(0.001, ge=0, le=0.1)
    BACKTEST_WORKERS: int = Field(1, ge=1, le=64, description="Processes that run backtests")
    SWEEP_WORKERS: int = Field(
        0, ge=0, le=256, description="Processes of a search over parameters; 0: one a core"
    )
    DASK_SCHEDULER: str = Field(
        "", description="Dask scheduler for searches, like tcp://10.0.0.1:8786; empty: this machine"
    )

    MARKET: MarketKind = MarketKind.LIVE
    DEMO_CLOCK_START_MS: int | None = Field(None, description="Market time at the wall start")
    DEMO_CLOCK_WALL_START_MS: int | None = None
    DEMO_CLOCK_SPEED: float = Field(1.0, gt=0, description="Times as fast as real time")

    @field_validator("HOST")
    @classmethod
    def _an_address_or_a_name(cls, host: str) -> str:
        if not _is_host(host):
            raise ValueError("must be an address or the name of one")
        return host

    @field_validator("ALLOWED_HOSTS")
    @classmethod
    def _names_without_ports(cls, names: str) -> str:
        for name in filter(None, (name.strip() for name in names.split(","))):
            if not _is_host(name):
                raise ValueError(f"{name!r} is no name of a host; it takes no port and no pattern")
        return names

    @field_validator("TRUSTED_PROXY")
    @classmethod
    def _one_address(cls, proxy: str) -> str:
        """What anybody may forge is not believed: the proxy's own address is needed."""
        if proxy:
            ip_address(proxy)
        return proxy

    @field_validator("REDIS_URL")
    @classmethod
    def _only_redis(cls, url: str) -> str:
        if url and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        urlsplit(url).port  # noqa: B018 - raises ValueError where the address is none
        return url

    @field_validator("KLINE_ARCHIVE_URL")
    @classmethod
    def _no_key_in_the_archive_url(cls, url: str) -> str:
        """Where candles lie is written into the database and said in logs."""
        place, _, _ = url.removeprefix("s3://").partition("/")
        if "://" in url and not url.startswith("s3://"):
            raise ValueError("must be a folder or begin with s3://")
        if url.startswith("s3://") and ("@" in place or not place):
            raise ValueError("must name a bucket; keys belong into AWS_ACCESS_KEY_ID and so on")
        return url

    @field_validator("DATA_SOURCE_PRIORITY")
    @classmethod
    def _every_kind_has_a_source(cls, priority: dict[str, list[str]]) -> dict[str, list[str]]:
        """A kind that is not named keeps every source."""
        for kind, sources in priority.items():
            if kind not in SOURCES:
                raise ValueError(f"{kind!r} is none of {', '.join(SOURCES)}")
            if not sources or not set(sources) <= set(SOURCES[kind]):
                raise ValueError(f"{kind} takes one or more of {', '.join(SOURCES[kind])}")
        return {kind: list(names) for kind, names in SOURCES.items()} | priority

    @model_validator(mode="after")
    def _streams_leave_threads_for_answers(self) -> Config:
        if self.STREAM_CONNECTIONS >= self.SERVER_THREADS:
            raise ValueError("STREAM_CONNECTIONS must be less than SERVER_THREADS")
        return self

    @model_validator(mode="after")
    def _demo_clock_is_whole(self) -> Config:
        if (self.DEMO_CLOCK_START_MS is None) != (self.DEMO_CLOCK_WALL_START_MS is None):
            raise ValueError("DEMO_CLOCK_START_MS and DEMO_CLOCK_WALL_START_MS go together")
        return self

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The names of ALLOWED_HOSTS."""
        return tuple(filter(None, (name.strip() for name in self.ALLOWED_HOSTS.split(","))))

    @property
    def others_can_reach(self) -> bool:
        """Whether it is there for more than this computer: itself, or by a proxy in front."""
        on_the_loopback = self.HOST in LOOPBACK_HOSTS
        return not on_the_loopback or bool(self.allowed_hosts or self.TRUSTED_PROXY)

    @property
    def secret_key_file(self) -> Path:
        """Where the key of the stored secrets is, or is made: beside the database, not in it."""
        return self.SECRET_KEY_FILE or self.DATABASE_PATH.parent / "secret.key"

    @property
    def backup_folder(self) -> Path:
        """Where copies of the database are: beside it, unless said otherwise."""
        return self.BACKUP_FOLDER or self.DATABASE_PATH.parent / "backups"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of these settings nobody may read."""
        return (
            self.BINANCE_API_KEY, self.BINANCE_API_SECRET, self.OKX_API_KEY, self.OKX_API_SECRET,
            self.OKX_PASSPHRASE, self.COINGECKO_API_KEY, self.SECRET_KEY.get_secret_value(),
            urlsplit(self.REDIS_URL).password or "",
        )  # fmt: skip

    @property
    def log_terms(self) -> LogTerms:
        """How the log is written."""
        return LogTerms(self.LOG_LEVEL, self.LOG_FORMAT, self.LOG_LIBRARIES)

    def clock(self) -> Clock:
        """The market's clock: the wall's, or the accelerated one of a demo market."""
        if self.DEMO_CLOCK_START_MS is None or self.DEMO_CLOCK_WALL_START_MS is None:
            return SystemClock()
        return AcceleratedClock(
            self.DEMO_CLOCK_START_MS, self.DEMO_CLOCK_WALL_START_MS, self.DEMO_CLOCK_SPEED
        )


def _is_host(text: str) -> bool:
    """Whether it is an address or a name."""
    try:
        ip_address(text)
    except ValueError:
        return HOST_NAME.fullmatch(text) is not None
    return True
