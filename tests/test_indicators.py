"""Indicators against their plain formulas, published figures and TA-Lib's other functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from real_klines import real_series

from domain import FloatArray
from indicators import (
    SPANS_TO_FORGET,
    WILDER_LENGTHS_TO_FORGET,
    average_directional_index,
    average_true_range,
    bollinger_bands,
    exponential_moving_average,
    highest,
    lowest,
    macd,
    on_balance_volume,
    relative_strength_index,
    simple_moving_average,
    stochastic,
    volume_ratio,
    volume_weighted_average_price,
)


def walk(count: int, seed: int = 1) -> FloatArray:
    steps = np.random.default_rng(seed).normal(0, 0.01, count)
    return np.round(30_000 * np.exp(np.cumsum(steps)), 2)


@dataclass(frozen=True)
class Bars:
    """High, low and close of a walk."""

    high: FloatArray
    low: FloatArray
    close: FloatArray

    def since(self, start: int) -> Bars:
        return Bars(self.high[start:], self.low[start:], self.close[start:])


def walking_bars(count: int) -> Bars:
    close = walk(count)
    reach = np.random.default_rng(2).uniform(0, 0.01, (2, count))
    return Bars(np.round(close * (1 + reach[0]), 2), np.round(close * (1 - reach[1]), 2), close)


prices = st.lists(st.integers(1, 10**6).map(lambda cents: cents / 100), min_size=4, max_size=60)


# ------------------------------------------------------------------------------------ averages


@pytest.mark.parametrize("length", [1, 2, 20, 50])
def test_simple_average_is_the_mean_of_the_last_values(length: int) -> None:
    values = walk(120)
    averages = simple_moving_average(values, length)
    assert np.isnan(averages[: length - 1]).all()
    expected = [values[end - length : end].mean() for end in range(length, 121)]
    np.testing.assert_allclose(averages[length - 1 :], expected, rtol=1e-14)


def plain_ema(values: FloatArray, length: int) -> FloatArray:
    """The recursion, from the mean of the first `length` values."""
    averages = np.full(len(values), np.nan)
    alpha, average = 2 / (length + 1), values[:length].mean()
    averages[length - 1] = average
    for index in range(length, len(values)):
        average = alpha * values[index] + (1 - alpha) * average
        averages[index] = average
    return averages


@pytest.mark.parametrize("length", [1, 2, 20, 50])
def test_exponential_average_follows_its_recursion(length: int) -> None:
    values = walk(120)
    averages = exponential_moving_average(values, length)
    np.testing.assert_allclose(averages, plain_ema(values, length), rtol=1e-13)


@pytest.mark.parametrize("average", [simple_moving_average, exponential_moving_average])
def test_too_few_values_give_no_average(average: object) -> None:
    assert callable(average)
    assert len(average(np.empty(0), 5)) == 0
    assert np.isnan(average(walk(4), 5)).all()


@given(start=st.integers(0, 80), length=st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_simple_average_is_the_same_to_the_last_digit_wherever_the_array_begins(
    start: int, length: int
) -> None:
    values = walk(150)
    whole = simple_moving_average(values, length)
    part = simple_moving_average(values[start:], length)
    first = start + length - 1
    np.testing.assert_array_equal(part[length - 1 :], whole[first:])


# -------------------------------------------------------------------- forgetting where one began


@pytest.mark.parametrize("length", [3, 20, 50, 200])
def test_exponential_average_forgets_where_the_array_begins(length: int) -> None:
    forgotten = SPANS_TO_FORGET * length
    values = walk(2 * forgotten + 500)
    whole = exponential_moving_average(values, length)
    for start in (1, 137, forgotten):
        part = exponential_moving_average(values[start:], length)
        np.testing.assert_array_equal(part[forgotten:], whole[start + forgotten :])


WILDER: dict[str, Callable[[Bars, int], FloatArray]] = {
    "rsi": lambda bars, length: relative_strength_index(bars.close, length),
    "atr": lambda bars, length: average_true_range(bars.high, bars.low, bars.close, length),
    "adx": lambda bars, length: average_directional_index(bars.high, bars.low, bars.close, length),
}


@pytest.mark.parametrize("length", [3, 14, 50, 200])
@pytest.mark.parametrize("name", WILDER)
def test_wilders_smoothing_forgets_where_the_array_begins(name: str, length: int) -> None:
    forgotten = WILDER_LENGTHS_TO_FORGET * length
    bars = walking_bars(2 * forgotten + 500)
    whole = WILDER[name](bars, length)
    for start in (1, 137, forgotten):
        part = WILDER[name](bars.since(start), length)
        np.testing.assert_array_equal(part[forgotten:], whole[start + forgotten :])


@pytest.mark.parametrize(("fast", "slow", "signal"), [(2, 3, 2), (12, 26, 9), (50, 200, 100)])
def test_macd_forgets_where_the_array_begins(fast: int, slow: int, signal: int) -> None:
    forgotten = SPANS_TO_FORGET * (slow + signal)
    values = walk(2 * forgotten + 500)
    whole = macd(values, fast, slow, signal)
    for start in (1, 137, forgotten):
        for ours, all_of_it in zip(macd(values[start:], fast, slow, signal), whole, strict=True):
            np.testing.assert_array_equal(ours[forgotten:], all_of_it[start + forgotten :])


@pytest.mark.parametrize("coin", ["BTC", "SHIB", "TRX"])
def test_real_candles_from_any_start_agree(coin: str) -> None:
    klines = real_series(coin)
    bars = Bars(klines.high, klines.low, klines.close)
    for start in range(1, 3000, 211):
        for name, indicator in WILDER.items():
            whole, part = indicator(bars, 14), indicator(bars.since(start), 14)
            forgotten = WILDER_LENGTHS_TO_FORGET * 14
            np.testing.assert_array_equal(
                part[forgotten:], whole[start + forgotten :], err_msg=name
            )


@pytest.mark.parametrize("price", [1e-5, 1.0, 61_234.56])
@pytest.mark.parametrize("still", [100, 400, 520, 900, 3000])
def test_a_market_that_stands_still_is_neutral_from_any_start(price: float, still: int) -> None:
    moved = np.round(walk(3000) / 30_000, 4)
    values = price * np.concatenate([moved, np.full(still, moved[-1]), moved[-1] * moved[:50]])
    rsi_start = len(values) - 50 - WILDER_LENGTHS_TO_FORGET * 14
    macd_start = len(values) - 50 - SPANS_TO_FORGET * (26 + 9)
    np.testing.assert_allclose(
        relative_strength_index(values[rsi_start:], 14)[-51:],
        relative_strength_index(values, 14)[-51:],
        atol=1e-10,
    )
    np.testing.assert_array_equal(
        np.sign(macd(values[macd_start:], 12, 26, 9).histogram[-51:]),
        np.sign(macd(values, 12, 26, 9).histogram[-51:]),
    )
    if still >= 900:
        assert relative_strength_index(values, 14)[-51] == 50
        assert macd(values, 12, 26, 9).histogram[-51] == 0


# ---------------------------------------------------------------------------------- oscillators

PUBLISHED_CLOSES = [
    44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931,
    46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521,
    45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
]  # fmt: skip
PUBLISHED_RSI = [
    70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46,
    41.87, 45.46, 37.30, 33.08, 37.77,
]  # fmt: skip


def plain_rsi(values: FloatArray, length: int) -> FloatArray:
    """As Wilder wrote it: means of the first rises and falls, then smoothed by 1/length."""
    changes = np.diff(values)
    rises, falls = np.maximum(changes, 0), np.maximum(-changes, 0)
    rsi = np.full(len(values), np.nan)
    rise, fall = rises[:length].mean(), falls[:length].mean()
    for index in range(length, len(values)):
        if index > length:
            rise = (rise * (length - 1) + rises[index - 1]) / length
            fall = (fall * (length - 1) + falls[index - 1]) / length
        rsi[index] = 100 * rise / (rise + fall) if rise + fall else np.nan
    return rsi


def test_rsi_is_the_published_one() -> None:
    rsi = relative_strength_index(np.array(PUBLISHED_CLOSES), 14)
    assert np.isnan(rsi[:14]).all()
    np.testing.assert_allclose(rsi[14:], PUBLISHED_RSI, atol=0.005)


@given(values=prices, length=st.integers(2, 10))
@settings(max_examples=100, deadline=None)
def test_rsi_follows_wilders_formula(values: list[float], length: int) -> None:
    closes = np.array(values)
    expected = plain_rsi(closes, length) if len(values) > length else np.full(len(values), np.nan)
    moved = np.isfinite(expected)
    ours = relative_strength_index(closes, length)
    np.testing.assert_allclose(ours[moved], expected[moved], atol=1e-9)
    assert np.isnan(ours[:length]).all()


@pytest.mark.parametrize(("fast", "slow", "signal"), [(12, 26, 9), (2, 3, 2)])
def test_macd_is_the_distance_of_two_averages_and_its_average(
    fast: int, slow: int, signal: int
) -> None:
    values = walk(200)
    line = plain_ema(values[slow - fast :], fast)[fast - 1 :] - plain_ema(values, slow)[slow - 1 :]
    average = plain_ema(line, signal)[signal - 1 :]
    ours = macd(values, fast, slow, signal)
    first = slow + signal - 2
    np.testing.assert_allclose(ours.line[first:], line[signal - 1 :], atol=1e-8)
    np.testing.assert_allclose(ours.signal[first:], average, atol=1e-8)
    np.testing.assert_allclose(ours.histogram, ours.line - ours.signal, atol=1e-8)
    assert np.isnan(ours.histogram[:first]).all()


def test_stochastic_is_where_the_close_stands_in_its_range() -> None:
    high, low, close = np.array([[5.0, 6, 7, 7], [1.0, 2, 3, 3], [2.0, 5, 7, 4]])
    fast, slow = stochastic(high, low, close, 3, 2)
    np.testing.assert_allclose(fast, [np.nan, np.nan, 100, 40])
    np.testing.assert_allclose(slow, [np.nan, np.nan, np.nan, 70])


# ------------------------------------------------------------------------- channels and ranges


@given(values=prices, length=st.integers(2, 20), width=st.floats(1, 5))
@settings(max_examples=100, deadline=None)
def test_bollinger_bands_are_deviations_around_the_mean(
    values: list[float], length: int, width: float
) -> None:
    closes = np.array(values)
    bands = bollinger_bands(closes, length, width)
    assert np.isnan(np.array(bands)[:, : length - 1]).all()
    for end in range(length, len(values) + 1):
        window = closes[end - length : end]
        expected = window.mean() + width * window.std() * np.array([-1, 0, 1])
        np.testing.assert_allclose([band[end - 1] for band in bands], expected, atol=1e-8)


@pytest.mark.parametrize("coin", ["BTC", "SHIB"])
def test_bollinger_bands_are_those_of_ta_lib(coin: str) -> None:
    close = real_series(coin).close[:3000]
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    np.testing.assert_allclose(bollinger_bands(close, 20, 2.0), [lower, middle, upper], rtol=1e-9)


@given(start=st.integers(0, 80), length=st.integers(2, 60))
@settings(max_examples=50, deadline=None)
def test_windows_are_the_same_to_the_last_digit_wherever_the_array_begins(
    start: int, length: int
) -> None:
    bars, volume = walking_bars(150), walk(150, seed=3)

    def windows(bars: Bars, volume: FloatArray) -> FloatArray:
        high, low, close = bars.high, bars.low, bars.close
        return np.array([
            *bollinger_bands(close, length, 2.0), highest(high, length), lowest(low, length),
            *stochastic(high, low, close, length, 3), volume_ratio(volume, length),
            volume_weighted_average_price(high, low, close, volume, length),
        ])  # fmt: skip

    whole, part = windows(bars, volume), windows(bars.since(start), volume[start:])
    np.testing.assert_array_equal(part[:, length + 2 :], whole[:, start + length + 2 :])


def test_highest_and_lowest_of_the_last_values() -> None:
    values = np.array([3.0, 1, 4, 1, 5])
    np.testing.assert_array_equal(highest(values, 2), [np.nan, 3, 4, 4, 5])
    np.testing.assert_array_equal(lowest(values, 3), [np.nan, np.nan, 1, 1, 1])
    assert np.isnan(highest(values, 6)).all()


def plain_wilder(values: FloatArray, length: int) -> FloatArray:
    """Smoothed by 1/length from the first value."""
    smoothed = np.empty(len(values))
    average = values[0]
    for index, value in enumerate(values):
        average += (value - average) / length
        smoothed[index] = average
    return smoothed


def test_true_range_and_directional_index_follow_wilders_formulas() -> None:
    length = 14
    bars = walking_bars(WILDER_LENGTHS_TO_FORGET * length + 200)
    high, low, before = bars.high[1:], bars.low[1:], bars.close[:-1]
    true_range = np.maximum(high, before) - np.minimum(low, before)
    up, down = np.diff(bars.high), -np.diff(bars.low)
    plus = plain_wilder(np.where((up > down) & (up > 0), up, 0.0), length)
    minus = plain_wilder(np.where((down > up) & (down > 0), down, 0.0), length)
    directional = 100 * np.abs(plus - minus) / (plus + minus)
    settled = slice(WILDER_LENGTHS_TO_FORGET * length, None)
    np.testing.assert_allclose(
        WILDER["atr"](bars, length)[1:][settled], plain_wilder(true_range, length)[settled], 1e-10
    )
    np.testing.assert_allclose(
        WILDER["adx"](bars, length)[1:][settled], plain_wilder(directional, length)[settled], 1e-10
    )


# --------------------------------------------------------------------------------------- volume


def test_volumes() -> None:
    close, volume = np.array([10.0, 11, 11, 9]), np.array([1.0, 2, 4, 3])
    np.testing.assert_array_equal(on_balance_volume(close, volume), [1, 3, 3, 0])
    np.testing.assert_allclose(volume_ratio(volume, 2), [np.nan, np.nan, 4 / 1.5, 1])
    weighted = volume_weighted_average_price(close, close, close, volume, 2)
    np.testing.assert_allclose(weighted, [np.nan, 32 / 3, 11, 71 / 7])


def test_without_volume_there_is_no_ratio_and_no_weighted_price() -> None:
    nothing, close = np.zeros(5), walk(5)
    assert np.isnan(volume_ratio(nothing, 2)).all()
    assert np.isnan(volume_weighted_average_price(close, close, close, nothing, 2)).all()


def test_too_few_bars_give_nothing() -> None:
    for count in (0, 1, 3):
        bars, volume = walking_bars(count), np.ones(count)
        columns = [
            relative_strength_index(bars.close, 5), *macd(bars.close, 2, 5, 3),
            *bollinger_bands(bars.close, 5, 2.0), highest(bars.high, 5), lowest(bars.low, 5),
            WILDER["atr"](bars, 5), WILDER["adx"](bars, 5), volume_ratio(volume, 5),
            *stochastic(bars.high, bars.low, bars.close, 5, 3),
            volume_weighted_average_price(bars.high, bars.low, bars.close, volume, 5),
        ]  # fmt: skip
        assert all(len(column) == count and np.isnan(column).all() for column in columns)
