"""Ten minutes of a hundred coins and twenty models, by a clock that both sides share.

The simulated venues count what they are asked, and would refuse and ban whoever asks too much.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import Any

import pytest
import requests
from new_database import new_database

from binance_fetcher import BinanceDataFetcher, weight_limiter
from clock import ManualClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import HOUR_MS, MINUTE_MS, Interval
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from market_data import MarketDataFetcher, request_limiter
from market_snapshots import MarketSnapshots
from okx_fetcher import OKXDataFetcher, endpoint_limiter
from repositories import coins
from venue_fetcher import VenueFetcher

NOW_MS = 1_717_245_300_000  # 2024-06-01T12:35:00Z
MODELS = 20
INTERVALS = (Interval.M1, Interval.M5, Interval.M15, Interval.H1)
TIGHT_WEIGHT = 600  # a tenth of Binance's, so that its share is used up again and again


class SharedClock(ManualClock):
    """Goes on when everybody who is in a venue's queue sleeps: no answer is on its way then.

    What is sent at one moment arrives at it, so that the venues' windows are those of the senders.
    """

    def __init__(self, now_ms: int):
        super().__init__(now_ms)
        self._changed = Condition()
        self._awake = 0
        self._wakes: list[int] = []

    @contextmanager
    def asking(self) -> Iterator[None]:
        self._count(+1)
        try:
            yield
        finally:
            self._count(-1)

    def sleep(self, seconds: float) -> None:
        wakes_ms = self.now_ms() + max(1, round(seconds * 1000))
        with self._changed:
            self._wakes.append(wakes_ms)
        self._count(-1)
        self.go_on_to(wakes_ms)
        self._count(+1)
        with self._changed:
            self._wakes.remove(wakes_ms)

    def go_on_to(self, time_ms: int) -> None:
        """Wait until it is so late; who sleeps till an earlier time wakes before."""
        with self._changed:
            while self.now_ms() < time_ms:
                if self._awake == 0:
                    due = [wakes for wakes in self._wakes if wakes > self.now_ms()]
                    self.set(min([time_ms, *due]))
                    self._changed.notify_all()
                self._changed.wait(0.001)

    def _count(self, change: int) -> None:
        with self._changed:
            self._awake += change
            self._changed.notify_all()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SharedClock:
    clock = SharedClock(NOW_MS)
    monkeypatch.setattr("rate_limiter.sleep", clock.sleep)
    in_turn = VenueFetcher._in_turn

    def counted(fetcher: VenueFetcher, *question: Any) -> Any:
        with clock.asking():
            return in_turn(fetcher, *question)

    monkeypatch.setattr(VenueFetcher, "_in_turn", counted)
    return clock


@pytest.fixture
def exchange(clock: SharedClock) -> Iterator[SimulatorServer]:
    market = GeneratedMarket(seed=7)
    with SimulatorServer(market, clock, weight_limit=TIGHT_WEIGHT, limit_clock=clock) as server:
        yield server


@pytest.fixture
def database(tmp_path: Path, clock: SharedClock) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", clock)
    yield database
    database.close()


@pytest.fixture
def aggregator(
    exchange: SimulatorServer, database: Database, clock: SharedClock
) -> MultiSourceDataAggregator:
    binance = BinanceDataFetcher(
        base_url=exchange.url, clock=clock, limiter=weight_limiter(TIGHT_WEIGHT, clock)
    )
    okx = OKXDataFetcher(domain=exchange.url, clock=clock, limiter=endpoint_limiter(20, clock))
    coingecko = MarketDataFetcher(
        base_url=exchange.coingecko_url, clock=clock, limiter=request_limiter(30, clock)
    )
    return MultiSourceDataAggregator(
        database,
        {"binance": binance, "okx": okx},
        {"price": ["binance", "okx", "coingecko"], "klines": ["binance", "okx"]},
        clock,
        wall_clock=clock,
        price_sources={"coingecko": coingecko},
        budget_seconds=20.0,
    )


def state_of(exchange: SimulatorServer) -> dict[str, Any]:
    state: dict[str, Any] = requests.get(f"{exchange.url}/control/state", timeout=5).json()
    return state


def test_no_venue_is_ever_asked_too_much(
    exchange: SimulatorServer,
    aggregator: MultiSourceDataAggregator,
    database: Database,
    clock: SharedClock,
):
    rows = [coin for coin in coins.list_coins(database.connection) if coin.binance_symbol][:100]
    symbols = [coin.symbol for coin in rows]
    assert len(symbols) == 100

    snapshots = MarketSnapshots(aggregator, clock)

    def cycle(model: int) -> int:
        """What a model is shown: how many of its coins have a price and their last bars."""
        try:
            return len(snapshots.take(symbols, INTERVALS[model % len(INTERVALS)], 50))
        finally:
            database.close()

    def backfill() -> int:
        try:
            history = aggregator.fetch_history(
                rows[0], Interval.M1, NOW_MS - 200 * HOUR_MS, NOW_MS - 100 * HOUR_MS
            )
            return history.unanswered_bars
        finally:
            database.close()

    with ThreadPoolExecutor(MODELS + 1) as threads:
        shown: list[int] = []
        history = threads.submit(backfill)
        while clock.now_ms() < NOW_MS + 10 * MINUTE_MS:
            minute_ends_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS + MINUTE_MS
            shown += threads.map(cycle, range(MODELS))
            for second in range(2, 60, 2):
                aggregator.get_prices(symbols, 1.0)
                if second % 30 == 0:
                    aggregator.compare_prices()
                clock.go_on_to(minute_ends_ms - MINUTE_MS + second * 1000)
            clock.go_on_to(minute_ends_ms)
        assert history.result() == 0

    state = state_of(exchange)
    for venue, traffic in state["traffic"].items():
        assert traffic["statuses"].keys() <= {"200"}, venue
    limits = state["limits"]
    assert TIGHT_WEIGHT * 0.9 < limits["binance"]["most_used"] <= TIGHT_WEIGHT
    assert limits["binance"]["bans"] == 0
    for endpoint, used in limits["okx"].items():
        assert used["most_used"] <= used["limit"], endpoint
    assert limits["okx"]["market/candles"]["total"] > 100  # what Binance's budget had no room for
    assert limits["coingecko"]["most_used"] <= 30
    assert shown[-MODELS:] == [100] * MODELS
