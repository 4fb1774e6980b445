"""The seeded market: always the same, the same from every interval, never from the future."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import DAY_MS, HOUR_MS, MINUTE_MS
from exchange_simulator import intervals
from exchange_simulator.bars import CLOSE, HIGH, LOW, OPEN, TRADES, VOLUME, Bars
from exchange_simulator.coins import known_coins
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.intervals import UnsupportedInterval

ROOT = Path(__file__).parent.parent.parent
NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
MARKET = GeneratedMarket(seed=7)


def by_open_time(bars: Bars) -> dict[int, list[int]]:
    return dict(zip(bars.open_time.tolist(), bars.columns.T.tolist(), strict=True))


def aggregated(minutes: Bars, interval: str) -> dict[int, list[int]]:
    """Larger bars made the plain way, minute by minute."""
    larger: dict[int, list[int]] = {}
    for open_ms, minute in by_open_time(minutes).items():
        opening = intervals.floor(interval, open_ms)
        if opening not in larger:
            larger[opening] = list(minute)
            continue
        bar = larger[opening]
        bar[HIGH] = max(bar[HIGH], minute[HIGH])
        bar[LOW] = min(bar[LOW], minute[LOW])
        bar[CLOSE] = minute[CLOSE]
        for column in range(VOLUME, len(bar)):
            bar[column] += minute[column]
    return larger


def test_the_same_seed_gives_the_same_market_in_any_order_and_process():
    other = GeneratedMarket(seed=7)
    late = other.bars_until("ETHUSDT", "1m", NOW_MS, 100, NOW_MS)
    early = other.bars_from("ETHUSDT", "1m", NOW_MS - 400 * DAY_MS, NOW_MS, 100, NOW_MS)
    again = MARKET.bars_from("ETHUSDT", "1m", NOW_MS - 400 * DAY_MS, NOW_MS, 100, NOW_MS)
    assert by_open_time(early) == by_open_time(again)
    assert by_open_time(late) == by_open_time(
        MARKET.bars_until("ETHUSDT", "1m", NOW_MS, 100, NOW_MS)
    )
    code = (
        "from exchange_simulator.generated_market import GeneratedMarket as M;"
        f"print(M(7).bars_until('ETHUSDT', '1m', {NOW_MS}, 3, {NOW_MS}).columns.tolist())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(late.slice(97, 100).columns.tolist())


def test_another_seed_or_coin_gives_another_market():
    reference = MARKET.bars_until("ETHUSDT", "1d", NOW_MS, 50, NOW_MS)
    other = GeneratedMarket(seed=8).bars_until("ETHUSDT", "1d", NOW_MS, 50, NOW_MS)
    assert not np.array_equal(reference.columns, other.columns)


def test_coins_move_together_but_not_as_one():
    returns = {
        symbol: np.diff(np.log(MARKET.bars_until(symbol, "1d", NOW_MS, 800, NOW_MS).columns[CLOSE]))
        for symbol in ("BTCUSDT", "ETHUSDT", "DOGEUSDT")
    }
    correlation = np.corrcoef(list(returns.values()))
    assert (correlation[np.triu_indices(3, 1)] > 0.3).all()
    assert (correlation[np.triu_indices(3, 1)] < 0.98).all()
    yearly = {symbol: daily.std() * 365**0.5 for symbol, daily in returns.items()}
    assert 0.3 < yearly["BTCUSDT"] < yearly["DOGEUSDT"] < 2


def test_volatility_comes_in_clusters():
    closes = MARKET.bars_until("BTCUSDT", "1d", NOW_MS, 1000, NOW_MS).columns[CLOSE]
    moves = np.abs(np.diff(np.log(closes)))
    assert np.corrcoef(moves[:-5], moves[5:])[0, 1] > 0.05


@pytest.mark.parametrize("interval", sorted(intervals.NAMES - {"1M"}))
def test_a_bar_of_any_interval_is_the_aggregate_of_its_minutes(interval: str):
    length = intervals.FIXED_MS[interval]
    end = intervals.floor(interval, NOW_MS)
    start = end - max(3, min(40, 3 * DAY_MS // length)) * length
    bars = MARKET.bars_from("SOLUSDT", interval, start, end - 1, 1000, NOW_MS)
    minutes = MARKET.bars_from("SOLUSDT", "1m", start, end - 1, 10**6, NOW_MS)
    assert len(minutes) == (end - start) // MINUTE_MS
    assert by_open_time(bars) == aggregated(minutes, interval)


def test_a_month_is_the_aggregate_of_its_days():
    months = MARKET.bars_until("SOLUSDT", "1M", NOW_MS, 4, NOW_MS)
    days = MARKET.bars_from("SOLUSDT", "1d", int(months.open_time[0]), NOW_MS, 1000, NOW_MS)
    assert by_open_time(months) == aggregated(days, "1M")
    assert intervals.open_times("1M", *months.open_time[[0, -1]].tolist()).tolist() == (
        months.open_time.tolist()
    )


@settings(max_examples=40, deadline=None)
@given(
    symbol=st.sampled_from(["BTCUSDT", "PEPEUSDT", "YFIUSDT"]),
    interval=st.sampled_from(["1m", "5m", "1h", "4h", "1d", "1w"]),
    now_ms=st.integers(NOW_MS - 30 * DAY_MS, NOW_MS),
)
def test_the_open_bar_is_the_aggregate_of_the_minutes_seen_so_far(
    symbol: str, interval: str, now_ms: int
):
    opening = intervals.floor(interval, now_ms)
    (forming,) = by_open_time(MARKET.bars_until(symbol, interval, now_ms, 1, now_ms)).items()
    minutes = MARKET.bars_from(symbol, "1m", opening, now_ms, 20_000, now_ms)
    assert dict([forming]) == aggregated(minutes, interval)
    final = by_open_time(MARKET.bars_from(symbol, interval, opening, opening, 1, 2 * NOW_MS))
    bar, end = forming[1], final[opening]
    assert bar[OPEN] == end[OPEN]
    assert end[LOW] <= bar[LOW] <= bar[CLOSE] <= bar[HIGH] <= end[HIGH]
    assert all(so_far <= total for so_far, total in zip(bar[VOLUME:], end[VOLUME:], strict=True))
    assert MARKET.price(symbol, now_ms) == bar[CLOSE]


def test_a_bar_ends_at_its_close_and_the_next_opens_there():
    closing = intervals.ceil("1h", NOW_MS) - 1
    (last,) = MARKET.bars_until("BTCUSDT", "1h", closing, 1, closing).columns.T.tolist()
    later = MARKET.bars_until("BTCUSDT", "1h", closing + 1, 2, closing + 1).columns.T.tolist()
    assert last == later[0]
    assert later[1][OPEN] == last[CLOSE]


@settings(max_examples=25, deadline=None)
@given(
    symbol=st.sampled_from(sorted(coin.listing.symbol for coin in known_coins())),
    days=st.integers(0, 12 * 365),
)
def test_every_bar_is_sound_and_joins_the_next_on_any_day(symbol: str, days: int):
    listed = MARKET.listings(2 * NOW_MS)[symbol].listed_ms
    start = listed + days * DAY_MS
    bars = MARKET.bars_from(symbol, "1m", start, start + 2 * DAY_MS - 1, 5000, start + 9 * DAY_MS)
    assert bars.open_time.tolist() == list(range(start, start + 2 * DAY_MS, MINUTE_MS))
    opens, highs, lows, closes = bars.columns[: CLOSE + 1]
    assert (lows > 0).all()
    assert (lows <= np.minimum(opens, closes)).all()
    assert (highs >= np.maximum(opens, closes)).all()
    assert (opens[1:] == closes[:-1]).all()
    assert (bars.columns[[VOLUME, TRADES]] > 0).all()


def test_over_a_hundred_symbols_each_from_its_listing_on():
    assert len(MARKET.listings(NOW_MS)) > 100
    for symbol, listing in MARKET.listings(2 * NOW_MS).items():
        assert symbol not in MARKET.listings(listing.listed_ms - 1)
        first = MARKET.bars_from(symbol, "1h", 0, NOW_MS * 2, 1, listing.listed_ms + DAY_MS)
        assert first.open_time.tolist() == [listing.listed_ms]
        assert not len(MARKET.bars_until(symbol, "1h", listing.listed_ms - 1, 9, NOW_MS * 2))
    assert 0 < len(MARKET.listings(1_577_836_800_000)) < 60  # 2020-01-01


def test_nothing_is_seen_of_the_future():
    now_ms = NOW_MS
    assert MARKET.bars_until("BTCUSDT", "1h", 10**17, 2, now_ms).open_time[-1] <= now_ms
    assert not len(MARKET.bars_from("BTCUSDT", "1h", now_ms + 1, now_ms + DAY_MS, 10, now_ms))
    before = by_open_time(MARKET.bars_until("BTCUSDT", "1m", now_ms, 60, now_ms))
    after = by_open_time(MARKET.bars_until("BTCUSDT", "1m", now_ms, 60, now_ms + HOUR_MS))
    del before[intervals.floor("1m", now_ms)], after[intervals.floor("1m", now_ms)]
    assert before == after  # closed bars never change


@pytest.mark.parametrize("interval", ["1s", "2d", "", "1H"])
def test_an_interval_that_does_not_exist_is_refused(interval: str):
    with pytest.raises(UnsupportedInterval):
        MARKET.bars_until("BTCUSDT", interval, NOW_MS, 1, NOW_MS)
    with pytest.raises(UnsupportedInterval):
        MARKET.bars_from("BTCUSDT", interval, NOW_MS + 1, NOW_MS + 2, 1, NOW_MS)


def test_the_rolling_day_is_that_of_the_minutes():
    day = MARKET.rolling_day("BTCUSDT", NOW_MS)
    start = intervals.ceil("1m", NOW_MS - DAY_MS)
    minutes = MARKET.bars_from("BTCUSDT", "1m", start, NOW_MS, 2000, NOW_MS).columns
    assert (day.open, day.last) == (minutes[OPEN, 0], minutes[CLOSE, -1])
    assert (day.high, day.low) == (minutes[HIGH].max(), minutes[LOW].min())
    assert day.volume == minutes[VOLUME].sum()


def test_cold_answers_are_quick():
    market = GeneratedMarket(seed=11)
    started = time.perf_counter()
    for symbol in market.listings(NOW_MS):
        market.rolling_day(symbol, NOW_MS)
    tickers = time.perf_counter() - started
    started = time.perf_counter()
    assert len(market.bars_until("BTCUSDT", "1d", NOW_MS, 1000, NOW_MS)) == 1000
    days = time.perf_counter() - started
    # About 0.07 s and 0.25 s on an idle core; the bounds leave room for a busy machine.
    assert tickers < 1
    assert days < 1.5


def test_a_delisted_pair_stands_still_and_has_no_bars_any_more():
    ended = MARKET.listings(NOW_MS)["MATICUSDT"].delisted_ms
    assert ended is not None
    last = MARKET.price("MATICUSDT", ended - 1)
    for later in (ended, ended + HOUR_MS, ended + 900 * DAY_MS):
        assert MARKET.price("MATICUSDT", later) == last
        for interval in ("1m", "1h", "1d", "1w", "1M"):
            bars = MARKET.bars_until("MATICUSDT", interval, later, 5, later)
            assert int(bars.open_time[-1]) == intervals.floor(interval, ended - 1)
            assert len(bars) == 5
            assert int(bars.columns[CLOSE, -1]) == last
            after = intervals.floor(interval, ended) + 1
            assert len(MARKET.bars_from("MATICUSDT", interval, after, later, 5, later)) == 0
    assert MARKET.rolling_day("MATICUSDT", ended + HOUR_MS).volume > 0
    still = MARKET.rolling_day("MATICUSDT", ended + 2 * DAY_MS)
    assert (still.open, still.high, still.low, still.last, still.volume) == (last,) * 4 + (0,)
    assert "MATICUSDT" in MARKET.listings(ended + DAY_MS)
    assert not MARKET.listings(ended)["MATICUSDT"].is_trading(ended)


@pytest.mark.parametrize("coin", ["USDC", "FDUSD", "TUSD"])
def test_a_stablecoin_stays_at_a_dollar(coin: str):
    bars = MARKET.bars_until(f"{coin}USDT", "1d", NOW_MS, 900, NOW_MS)
    assert len(bars) > 300
    assert 9950 < bars.columns[LOW].min() <= bars.columns[HIGH].max() < 10050  # of 0.0001
    assert np.ptp(bars.columns[CLOSE]) > 0
