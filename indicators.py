"""Indicators over closed bars: float64 arrays in, float64 arrays out, NaN while warming up.

The value at a bar depends on the last bars alone and comes out the same to the last digit
wherever the array begins, so that a live cycle with a short history and a backtest over years
see the same crosses. What is recursive comes from TA-Lib and forgets its start within the bars
that are named below; TA-Lib's moving sums never forget it, so windows are summed here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import talib

from domain import FloatArray

# An exponential average forgets its start by e^(-2k) after k spans: 19 of them bring two starts to
# within the last digit of a float64, and the others let the rounding of that digit meet.
SPANS_TO_FORGET = 30

# Wilder's smoothing (α = 1/length) forgets half as fast, by e^(-k) after k lengths, and 45 of them
# are enough in a market that moves. One that stands still lives on the moves before, until after
# `LENGTHS_TO_STAND_STILL` they count as nothing.
LENGTHS_TO_STAND_STILL = 40
WILDER_LENGTHS_TO_FORGET = 2 * SPANS_TO_FORGET + LENGTHS_TO_STAND_STILL

VALUES_IN_CACHE = 16_384

# What is smaller than this share of the price is the rounding of the averages, not their distance.
ROUNDING = 1e-12


class Macd(NamedTuple):
    """Moving average convergence and divergence, shape (n,) each."""

    line: FloatArray
    signal: FloatArray
    histogram: FloatArray  # line − signal


class Bands(NamedTuple):
    """A middle line with a band on each side, shape (n,) each."""

    lower: FloatArray
    middle: FloatArray
    upper: FloatArray


class Stochastic(NamedTuple):
    """Where the close stands in its range, 0 to 100, shape (n,) each."""

    fast: FloatArray  # %K
    slow: FloatArray  # %D, the mean of %K


# ------------------------------------------------------------------------------------ averages


def simple_moving_average(values: FloatArray, length: int) -> FloatArray:
    """Mean of the last `length` values, shape (n,).

    Sums windows anew instead of keeping a running sum, which would carry the rounding of
    everything before.
    """
    averages = np.full(len(values), np.nan)
    for start in range(0, len(values) - length + 1, VALUES_IN_CACHE):
        part = values[start : start + VALUES_IN_CACHE + length - 1]
        sums = _window_sums(part, length)
        first = start + length - 1
        np.divide(sums, length, out=averages[first : first + len(sums)])
    return averages


def _window_sums(values: FloatArray, length: int) -> FloatArray:
    """Sums of `length` values in a row, from windows of 1, 2, 4 … values that double by adding."""
    count = len(values) - length + 1
    total = np.zeros(count)
    added, width, windows = 0, 1, values
    while added < length:
        if length & width:
            total += windows[added : added + count]
            added += width
        windows = windows[:-width] + windows[width:]
        width *= 2
    return total


def exponential_moving_average(values: FloatArray, length: int) -> FloatArray:
    """EMA with α = 2/(length + 1), started at the mean of the first `length` values, shape (n,).

    The first `SPANS_TO_FORGET × length` values still carry the start.
    """
    return talib.EMA(values, length)


# ---------------------------------------------------------------------------------- oscillators


def relative_strength_index(values: FloatArray, length: int) -> FloatArray:
    """Wilder's RSI, 0 to 100, shape (n,); 50 where nothing has moved for `LENGTHS_TO_STAND_STILL`.

    The first `WILDER_LENGTHS_TO_FORGET × length` values still carry the start.
    """
    rsi = talib.RSI(values, length)
    window = LENGTHS_TO_STAND_STILL * length
    rsi[highest(values, window) == lowest(values, window)] = 50.0
    return rsi


def macd(values: FloatArray, fast: int, slow: int, signal: int) -> Macd:
    """EMA(fast) − EMA(slow), its EMA over `signal` bars, and the distance of the two.

    A distance within rounding is 0, so that a market that stands still has no crosses. The first
    `SPANS_TO_FORGET × (slow + signal)` values still carry the start.
    """
    line, average, histogram = talib.MACD(values, fast, slow, signal)
    histogram[np.abs(histogram) < ROUNDING * values] = 0.0
    return Macd(line, average, histogram)


def stochastic(
    high: FloatArray, low: FloatArray, close: FloatArray, length: int, smoothing: int
) -> Stochastic:
    """The close within the range of the last `length` bars, and its mean over `smoothing` bars."""
    fast, _ = talib.STOCHF(high, low, close, length, 1)
    return Stochastic(fast, simple_moving_average(fast, smoothing))


# ------------------------------------------------------------------------- channels and ranges


def bollinger_bands(values: FloatArray, length: int, width: float) -> Bands:
    """The mean of the last `length` values, and `width` standard deviations (of all n) around it."""
    middle = simple_moving_average(values, length)
    count = max(len(values) - length + 1, 0)
    squares = np.zeros(count)
    for shift in range(length if count else 0):
        squares += (values[shift : shift + count] - middle[length - 1 :]) ** 2
    distance = np.full(len(values), np.nan)
    distance[length - 1 :] = width * np.sqrt(squares / length)
    return Bands(middle - distance, middle, middle + distance)


def highest(values: FloatArray, length: int) -> FloatArray:
    """The largest of the last `length` values, shape (n,)."""
    return talib.MAX(values, length)


def lowest(values: FloatArray, length: int) -> FloatArray:
    """The smallest of the last `length` values, shape (n,)."""
    return talib.MIN(values, length)


def average_true_range(
    high: FloatArray, low: FloatArray, close: FloatArray, length: int
) -> FloatArray:
    """Wilder's ATR in quote currency, shape (n,); forgets its start as the RSI does."""
    return talib.ATR(high, low, close, length)


def average_directional_index(
    high: FloatArray, low: FloatArray, close: FloatArray, length: int
) -> FloatArray:
    """Wilder's ADX, 0 to 100: how strong a trend is, whichever its way, shape (n,).

    Smoothed twice, it still forgets its start within `WILDER_LENGTHS_TO_FORGET × length` bars.
    """
    return talib.ADX(high, low, close, length)


# --------------------------------------------------------------------------------------- volume


def on_balance_volume(close: FloatArray, volume: FloatArray) -> FloatArray:
    """Volume of bars that rose less that of bars that fell, counted from the array's first bar.

    The one indicator that depends on where the array begins: only its changes mean anything.
    """
    return talib.OBV(close, volume)


def volume_weighted_average_price(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, length: int
) -> FloatArray:
    """Σ volume·(high + low + close)/3 over Σ volume of the last `length` bars; NaN without volume."""
    typical = (high + low + close) / 3.0
    return _quotient(
        simple_moving_average(typical * volume, length), simple_moving_average(volume, length)
    )


def volume_ratio(volume: FloatArray, length: int) -> FloatArray:
    """A bar's volume over the mean of the `length` bars before it; NaN where those had none."""
    before = np.full(len(volume), np.nan)
    before[1:] = simple_moving_average(volume, length)[:-1]
    return _quotient(volume, before)


def _quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """NaN where the denominator is 0."""
    quotient = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient
