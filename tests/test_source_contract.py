"""Each fetcher under each fault of the simulated venues: the right rows, or an exception.

Never 0.0, never an empty answer, never a row that another row's fault has changed; what had to be
left out is counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from binance_fetcher import BinanceDataFetcher
from clock import ManualClock
from domain import HOUR_MS, Interval, KlineSeries, OrderBook, Ticker
from errors import SourceBadAnswer, SourceError, SourceRateLimited, SourceRefused, SourceUnavailable
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from market_data import MarketDataFetcher
from okx_fetcher import OKXDataFetcher

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
BARS = 400  # more than a page of OKX

Question = Callable[[Any], Any]


@dataclass(frozen=True)
class Case:
    """A venue: its fetcher's maker from an address, its symbols, what it can be asked."""

    name: str
    make: Callable[[SimulatorServer, float], Any]
    symbols: tuple[str, ...]
    has_candles: bool

    def questions(self) -> dict[str, Question]:
        first, *_ = self.symbols
        asked: dict[str, Question] = {"prices": lambda fetcher: fetcher.prices(self.symbols)}
        if self.has_candles:
            end = NOW_MS // HOUR_MS * HOUR_MS
            asked["klines"] = lambda fetcher: fetcher.klines(
                first, Interval.H1, end - BARS * HOUR_MS, end, None
            )
            asked["depth"] = lambda fetcher: fetcher.depth(first, 20)
        return asked


CASES = (
    Case(
        "binance",
        lambda server, seconds: BinanceDataFetcher(
            base_url=server.url, clock=server.clock, timeout_seconds=seconds
        ),
        ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"),
        has_candles=True,
    ),
    Case(
        "okx",
        lambda server, seconds: OKXDataFetcher(
            domain=server.url, clock=server.clock, timeout_seconds=seconds
        ),
        ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "ADA-USDT"),
        has_candles=True,
    ),
    Case(
        "coingecko",
        lambda server, seconds: MarketDataFetcher(
            base_url=server.coingecko_url, clock=server.clock, timeout_seconds=seconds
        ),
        ("bitcoin", "ethereum", "solana", "ripple", "cardano"),
        has_candles=False,
    ),
)
every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatorServer]:
    limits = {"okx_limit_factor": 10**6, "weight_limit": 10**9, "coingecko_limit": 10**6}
    with SimulatorServer(GeneratedMarket(seed=7), ManualClock(NOW_MS), **limits) as server:
        yield server


@pytest.fixture(autouse=True)
def without_faults(exchange: SimulatorServer) -> Iterator[None]:
    yield
    exchange.faults.clear()


@pytest.fixture(scope="module")
def right(exchange: SimulatorServer) -> dict[tuple[str, str], dict[Any, Any]]:
    """What each question is answered without any fault."""
    return {
        (case.name, name): rows_of(question(case.make(exchange, 10.0)))
        for case in CASES
        for name, question in case.questions().items()
    }


def rows_of(answer: Any) -> dict[Any, Any]:
    """What an answer says, by what it says it of."""
    if isinstance(answer, KlineSeries):
        return {bar.open_time: bar for bar in answer}
    if isinstance(answer, OrderBook):
        return {"book": (answer.bids, answer.asks)}
    return {name: (ticker.price, ticker.change_24h) for name, ticker in answer.items()}


def assert_sound(answer: Any) -> None:
    """Whatever it says, it can be."""
    if isinstance(answer, KlineSeries):
        times = answer.open_time.tolist()
        assert times == sorted(set(times))
        assert times
        for bar in answer:
            assert 0 < bar.low <= min(bar.open, bar.close)
            assert max(bar.open, bar.close) <= bar.high < float("inf")
    elif isinstance(answer, OrderBook):
        assert answer.bids[0][0] < answer.asks[0][0]
    else:
        assert answer
        assert all(
            isinstance(t, Ticker) and t.price.is_finite() and t.price > 0 for t in answer.values()
        )


@every_case
@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("wrong_order", {}),
        ("duplicates", {"every": 3}),
        ("duplicates", {"every": 1}),
        ("gaps", {"every": 5}),
        ("zero_price", {"every": 4}),
        ("zero_price", {"every": 1}),
        ("negative_price", {"every": 4}),
        ("nan_price", {"every": 4}),
        ("nan_price", {"every": 1}),
        ("truncated", {"share": 0.5}),
        ("truncated", {"share": 0.0}),
        ("truncated", {"how": "connection"}),
        ("garbage", {}),
        ("down", {"how": "page"}),
        ("down", {"how": "reset"}),
    ],
)
def test_what_is_answered_is_what_is_answered_without_the_fault(
    exchange: SimulatorServer, right: dict[tuple[str, str], dict[Any, Any]],
    case: Case, fault: str, params: dict[str, Any],
):  # fmt: skip
    exchange.faults.switch_on(case.name, fault, **params)
    for name, question in case.questions().items():
        fetcher = case.make(exchange, 10.0)
        try:
            answer = question(fetcher)
        except SourceError as error:
            assert isinstance(error, SourceBadAnswer | SourceUnavailable)  # noqa: PT017
            continue
        assert_sound(answer)
        given, expected = rows_of(answer), right[case.name, name]
        assert given.items() <= expected.items()
        if fault not in ("gaps", "duplicates", "wrong_order"):
            assert fetcher.dropped_rows == len(expected) - len(given)


@every_case
@pytest.mark.parametrize("fault", ["spike", "drift", "stale", "clock_skew"])
def test_a_market_that_is_wrong_is_still_a_possible_one(
    exchange: SimulatorServer, case: Case, fault: str
):
    """A fetcher alone cannot know: that is for the routing, which has others to compare with."""
    exchange.faults.switch_on(case.name, fault)
    for question in case.questions().values():
        try:
            assert_sound(question(case.make(exchange, 10.0)))
        except SourceBadAnswer:
            assert fault == "clock_skew"


@every_case
@pytest.mark.parametrize(
    ("fault", "params", "expected", "code"),
    [
        ("429", {"retry_after": 7}, SourceRateLimited, "source_rate_limited"),
        ("418", {"retry_after": 90}, SourceRateLimited, "source_banned"),
        ("451", {}, SourceRefused, "geo_blocked"),
        ("403", {}, SourceRefused, "geo_blocked"),
        ("slow", {"seconds": 1.5}, SourceUnavailable, "source_unavailable"),
        ("down", {"how": "hang"}, SourceUnavailable, "source_unavailable"),
    ],
)
def test_a_refusal_is_told_as_what_it_is(
    exchange: SimulatorServer, case: Case, fault: str, params: dict[str, Any],
    expected: type[SourceError], code: str,
):  # fmt: skip
    exchange.faults.switch_on(case.name, fault, **params)
    fetcher = case.make(exchange, 0.5)
    with pytest.raises(expected) as refused:
        fetcher.prices(case.symbols)
    if case.name == "binance" or fault != "418":  # the others have no such status of their own
        assert refused.value.code == code
    if isinstance(refused.value, SourceRateLimited) and case.name != "okx":
        assert refused.value.retry_after == params["retry_after"]


@pytest.mark.parametrize("case", CASES[:2], ids=["binance", "okx"])
def test_bars_that_are_missing_from_a_page_do_not_end_the_range(
    exchange: SimulatorServer, case: Case
):
    end = NOW_MS // HOUR_MS * HOUR_MS
    start = end - 2500 * HOUR_MS
    exchange.faults.switch_on(case.name, "gaps", every=5)
    series = case.make(exchange, 10.0).klines(case.symbols[0], Interval.H1, start, end, None)
    assert 1900 <= len(series) <= 2100
    assert end - int(series.open_time[-1]) <= 2 * HOUR_MS
