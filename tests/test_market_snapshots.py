"""Snapshots: asked for once a bar, whoever wants them, and always what reading anew would give."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from trading_world import World, opened_world

from domain import HOUR_MS, MINUTE_MS, Interval, KlineSeries
from market_snapshots import MarketSnapshots


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from opened_world(tmp_path)


@pytest.fixture
def snapshots(world: World) -> MarketSnapshots:
    return MarketSnapshots(world.aggregator, world.clock)


def anew(world: World, coin: str, bars: int, interval: Interval = Interval.M1) -> KlineSeries:
    return world.aggregator.get_klines(coin, interval, limit=bars).series


def assert_same(one: KlineSeries, other: KlineSeries) -> None:
    for column in ("open_time", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(one, column), getattr(other, column)), column
    assert (one.interval, one.source, one.last_is_open) == (
        other.interval, other.source, other.last_is_open,
    )  # fmt: skip


def test_models_that_ask_at_the_same_bar_share_what_was_asked(
    world: World, snapshots: MarketSnapshots
):
    snapshots.take(["BTC", "ETH"], Interval.M1, 50)
    asked = world.source.asked["klines"]
    for bars in (50, 20, 1):
        market = snapshots.take(["ETH", "BTC"], Interval.M1, bars)
        assert {len(seen.klines) for seen in market.values()} == {bars}
    assert world.source.asked["klines"] == asked
    assert len(snapshots.take(["BTC"], Interval.M1, 80)["BTC"].klines) == 80


@pytest.mark.parametrize("minutes", [1, 2, 9, 30])
def test_after_some_bars_it_is_what_reading_all_of_it_gives(
    world: World, snapshots: MarketSnapshots, minutes: int
):
    snapshots.take(["BTC"], Interval.M1, 40)
    world.clock.set(world.clock.now_ms() + minutes * MINUTE_MS)
    world.source.quotes["BTCUSDT"] = Decimal(101)
    seen = snapshots.take(["BTC"], Interval.M1, 40)["BTC"]
    assert_same(seen.klines, anew(world, "BTC", 40))
    assert seen.price == 101


def test_several_intervals_come_at_once(world: World, snapshots: MarketSnapshots):
    seen = snapshots.take(["BTC"], Interval.M1, 30, [Interval.H1, Interval.M1])["BTC"]
    assert set(seen.other_klines) == {Interval.H1}
    assert_same(seen.other_klines[Interval.H1], anew(world, "BTC", 30, Interval.H1))


def test_a_coin_whose_candles_are_not_up_to_date_is_left_out(
    world: World, snapshots: MarketSnapshots
):
    snapshots.take(["BTC", "ETH"], Interval.H1, 10)
    world.clock.set(world.clock.now_ms() + HOUR_MS)

    klines = world.source.klines

    def of_btc_alone(symbol: str, *question: object) -> KlineSeries:
        if symbol == "ETHUSDT":
            world.source.fail()
        try:
            return klines(symbol, *question)  # type: ignore[arg-type]
        finally:
            world.source.failure = None

    world.source.klines = of_btc_alone  # type: ignore[method-assign]
    assert set(snapshots.take(["BTC", "ETH"], Interval.H1, 10)) == {"BTC"}
