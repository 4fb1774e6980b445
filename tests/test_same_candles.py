"""One market, two venues: every interval gives the same candles from Binance and from OKX.

Bar for bar, open times in UTC, across the pages of both (1,000 rows a call there, 300 or 100
here), for as many as 10,000 bars and up to the one that is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from binance_fetcher import BinanceDataFetcher
from clock import ManualClock
from domain import DAY_MS, WEEK_MS, Interval, KlineSeries
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from okx_fetcher import OKXDataFetcher

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z, a Saturday
LISTED_MS = 1_501_545_600_000  # Bitcoin, 2017-08-01T00:00Z, a Tuesday
MOST_BARS = 10_000
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
UNLIMITED = {"okx_limit_factor": 10**6, "weight_limit": 10**9}


@dataclass(frozen=True)
class Venues:
    """The two, on the same market."""

    binance: BinanceDataFetcher
    okx: OKXDataFetcher
    clock: ManualClock

    def klines(
        self, interval: Interval, start_ms: int | None, end_ms: int | None, limit: int | None
    ) -> tuple[KlineSeries, KlineSeries]:
        """What each says to the same question."""
        return (
            self.binance.klines("BTCUSDT", interval, start_ms, end_ms, limit),
            self.okx.klines("BTC-USDT", interval, start_ms, end_ms, limit),
        )


@pytest.fixture(scope="module")
def venues() -> Iterator[Venues]:
    clock = ManualClock(NOW_MS)
    with SimulatorServer(GeneratedMarket(seed=7), clock, **UNLIMITED) as server:
        binance = BinanceDataFetcher(base_url=server.url, clock=clock)
        okx = OKXDataFetcher(domain=server.url, clock=clock)
        yield Venues(binance, okx, clock)
        binance.close()
        okx.close()


def assert_same(one: KlineSeries, other: KlineSeries) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.last_is_open == other.last_is_open


def first_bar(interval: Interval) -> int:
    """The open time of the bar in which Bitcoin was listed, or of the 10,000th to the last."""
    latest = interval.floor(NOW_MS) - (MOST_BARS - 1) * interval.milliseconds
    return max(interval.floor(LISTED_MS), latest)


@pytest.mark.parametrize("interval", list(Interval), ids=lambda interval: interval.value)
def test_an_interval_is_the_same_from_both_venues_across_pages(venues: Venues, interval: Interval):
    start_ms = first_bar(interval)
    binance, okx = venues.klines(interval, start_ms, None, None)
    assert_same(binance, okx)
    count = (NOW_MS - start_ms) // interval.milliseconds + 1
    assert count == MOST_BARS or interval.milliseconds * MOST_BARS > NOW_MS - LISTED_MS
    expected = start_ms + np.arange(count) * interval.milliseconds
    np.testing.assert_array_equal(binance.open_time, expected)
    assert binance.last_is_open


@pytest.mark.parametrize("interval", list(Interval), ids=lambda interval: interval.value)
def test_an_interval_opens_by_utc(venues: Venues, interval: Interval):
    binance, okx = venues.klines(interval, None, None, 3)
    assert_same(binance, okx)
    origin = 4 * DAY_MS if interval.milliseconds == WEEK_MS else 0  # weeks open on Mondays
    assert not np.any((binance.open_time - origin) % interval.milliseconds)


@pytest.mark.parametrize("interval", [Interval.M1, Interval.H4, Interval.D1, Interval.W1])
@pytest.mark.parametrize("limit", [1, 99, 100, 101, 300, 301, 1000, 1001, 1501])
def test_limits_around_the_page_sizes_are_the_same(venues: Venues, interval: Interval, limit: int):
    end_ms = interval.floor(NOW_MS) - 7 * interval.milliseconds
    newest = venues.klines(interval, None, end_ms, limit)
    assert_same(*newest)
    oldest = venues.klines(interval, first_bar(interval), end_ms, limit)
    assert_same(*oldest)
    assert not newest[0].last_is_open
    available = (end_ms - first_bar(interval)) // interval.milliseconds
    assert len(oldest[0]) == min(limit, available)
