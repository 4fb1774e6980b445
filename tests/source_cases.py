"""The three fetchers as cases of one contract: how each is made, and what it can be asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from binance_fetcher import BinanceDataFetcher
from clock import ManualClock
from domain import Interval
from errors import SourceError
from market_data import MarketDataFetcher
from okx_fetcher import OKXDataFetcher

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
DAY_MS = 86_400_000

Question = Callable[[Any], Any]

BINANCE_QUESTIONS: dict[str, Question] = {
    "price": lambda fetcher: fetcher.price("BTCUSDT"),
    "prices": lambda fetcher: fetcher.prices(["BTCUSDT", "ETHUSDT"]),
    "klines": lambda fetcher: fetcher.klines("BTCUSDT", Interval.H1, None, None, 10),
    "klines from": lambda fetcher: fetcher.klines("BTCUSDT", Interval.H1, 0, None, None),
    "depth": lambda fetcher: fetcher.depth("BTCUSDT", 10),
    "instruments": lambda fetcher: fetcher.instruments(),
}
OKX_QUESTIONS: dict[str, Question] = {
    "price": lambda fetcher: fetcher.price("BTC-USDT"),
    "prices": lambda fetcher: fetcher.prices(["BTC-USDT", "ETH-USDT"]),
    "klines": lambda fetcher: fetcher.klines("BTC-USDT", Interval.H1, None, None, 10),
    "klines from": lambda fetcher: fetcher.klines(
        "BTC-USDT", Interval.H1, NOW_MS - DAY_MS, None, 9
    ),
    "depth": lambda fetcher: fetcher.depth("BTC-USDT", 10),
    "instruments": lambda fetcher: fetcher.instruments(),
}
COINGECKO_QUESTIONS: dict[str, Question] = {
    "price": lambda fetcher: fetcher.price("bitcoin"),
    "prices": lambda fetcher: fetcher.prices(["bitcoin", "ethereum"]),
    "search": lambda fetcher: fetcher.search("pepe"),
    "top": lambda fetcher: fetcher.top(10),
    "markets": lambda fetcher: fetcher.markets(["bitcoin"]),
}


@dataclass(frozen=True)
class SourceCase:
    """A fetcher: its name in sentences, its maker from an address and a time-out in seconds."""

    name: str
    make: Callable[[str, float], Any]
    questions: dict[str, Question]


CLOCK = ManualClock(NOW_MS)
SOURCES = (
    SourceCase(
        "Binance",
        lambda url, seconds: BinanceDataFetcher(
            "sesame", "open", base_url=url, clock=CLOCK, timeout_seconds=seconds
        ),
        BINANCE_QUESTIONS,
    ),
    SourceCase(
        "OKX",
        lambda url, seconds: OKXDataFetcher(
            "sesame", "open", "words", domain=url, clock=CLOCK, timeout_seconds=seconds
        ),
        OKX_QUESTIONS,
    ),
    SourceCase(
        "CoinGecko",
        lambda url, seconds: MarketDataFetcher(
            "sesame", base_url=url, clock=CLOCK, timeout_seconds=seconds
        ),
        COINGECKO_QUESTIONS,
    ),
)


def assert_no_key_in(error: SourceError) -> None:
    """Neither in its words nor in those of what a traceback shows before it."""
    shown: BaseException | None = error
    while shown is not None:
        assert "sesame" not in str(shown)
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
