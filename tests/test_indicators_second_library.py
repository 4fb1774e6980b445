"""Each indicator against a second library, talipp, on bars that move as real ones do.

talipp computes one value after another in plain Python; what is compared here is that the
definitions are the same. Where they differ:

- Of what is recursive the EMA begins alike; talipp's RSI takes the mean of one change fewer, its ATR
  (and so its ADX) counts the first bar's range, its fast EMA of a MACD does not wait for the slow
  one. Both forget the start, and agree after it.
- talipp's VWAP runs from the first bar on, ours over the last bars: they are one where the window
  is the whole array. Over a window it has the volume-weighted average of closes, which is ours
  where the typical price stands in for the close.
- It has no ratio of volumes; its simple average makes one.
- Of bars that do not move talipp's RSI is 100 and its stochastic 100, ours 50 and 0 as TA-Lib's: not
  compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from talipp.indicators import ADX, ATR, BB, EMA, MACD, OBV, RSI, SMA, VWAP, VWMA, Stoch
from talipp.ohlcv import OHLCV

from domain import FloatArray
from indicators import (
    SPANS_TO_FORGET,
    WILDER_LENGTHS_TO_FORGET,
    average_directional_index,
    average_true_range,
    bollinger_bands,
    exponential_moving_average,
    macd,
    on_balance_volume,
    relative_strength_index,
    simple_moving_average,
    stochastic,
    volume_ratio,
    volume_weighted_average_price,
)

COUNT = 2000
LENGTHS = (3, 14)


@dataclass(frozen=True)
class Bars:
    """Bars of a walk, shape (COUNT,) each."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    @property
    def rows(self) -> list[OHLCV]:
        return [
            OHLCV(*(float(value) for value in row))
            for row in zip(self.open, self.high, self.low, self.close, self.volume, strict=True)
        ]

    @property
    def typical(self) -> FloatArray:
        return (self.high + self.low + self.close) / 3.0


@pytest.fixture(scope="module", params=[30_000.0, 0.0000071], ids=["dear", "cheap"])
def bars(request: pytest.FixtureRequest) -> Bars:
    """Calm and wild stretches with jumps between bars, as of a dear and of a very cheap coin."""
    chance = np.random.default_rng(11)
    calm = np.where(np.arange(COUNT) // 250 % 2 == 0, 0.004, 0.02)
    steps = chance.standard_t(4, COUNT) * calm
    close = request.param * np.exp(np.cumsum(steps))
    opened = np.roll(close, 1) * np.exp(chance.normal(0, 0.001, COUNT))
    opened[0] = request.param
    reach = 1 + chance.exponential(0.004, (2, COUNT))
    high, low = np.maximum(opened, close) * reach[0], np.minimum(opened, close) / reach[1]
    volume = chance.lognormal(5, 1, COUNT) * (1 + 20 * np.abs(steps))
    return Bars(opened, high, low, close, volume)


def column(values: Sequence[Any], field: str | None = None) -> FloatArray:
    """A field of the library's values; NaN where it has none yet."""
    picked = [
        value if field is None or value is None else getattr(value, field) for value in values
    ]
    return np.array([np.nan if value is None else value for value in picked], dtype=np.float64)


def assert_same(ours: FloatArray, theirs: FloatArray, start: int) -> None:
    """From `start` on they are equal but for rounding, and there is enough to compare."""
    assert len(ours) == len(theirs) == COUNT
    assert COUNT - start > 300
    largest = np.abs(theirs[start:]).max()
    np.testing.assert_allclose(ours[start:], theirs[start:], rtol=1e-9, atol=1e-10 * largest)


@pytest.mark.parametrize("length", LENGTHS)
def test_averages(bars: Bars, length: int) -> None:
    simple, exponential = SMA(length, bars.close.tolist()), EMA(length, bars.close.tolist())
    assert_same(simple_moving_average(bars.close, length), column(simple), length - 1)
    # Both begin the exponential one with the mean of the first values: the same from there on.
    assert_same(exponential_moving_average(bars.close, length), column(exponential), length - 1)


@pytest.mark.parametrize("length", LENGTHS)
def test_rsi(bars: Bars, length: int) -> None:
    theirs = column(RSI(length, bars.close.tolist()))
    assert_same(
        relative_strength_index(bars.close, length), theirs, WILDER_LENGTHS_TO_FORGET * length
    )


def test_macd(bars: Bars) -> None:
    fast, slow, signal = 12, 26, 9
    theirs = MACD(fast, slow, signal, bars.close.tolist())
    ours = macd(bars.close, fast, slow, signal)
    start = SPANS_TO_FORGET * (slow + signal)
    assert_same(ours.line, column(theirs, "macd"), start)
    assert_same(ours.signal, column(theirs, "signal"), start)
    assert_same(ours.histogram, column(theirs, "histogram"), start)


def test_bollinger_bands(bars: Bars) -> None:
    theirs = BB(20, 2.0, bars.close.tolist())
    ours = bollinger_bands(bars.close, 20, 2.0)
    for band, field in ((ours.lower, "lb"), (ours.middle, "cb"), (ours.upper, "ub")):
        assert_same(band, column(theirs, field), 19)


@pytest.mark.parametrize("length", LENGTHS)
def test_average_true_range(bars: Bars, length: int) -> None:
    ours = average_true_range(bars.high, bars.low, bars.close, length)
    assert_same(ours, column(ATR(length, bars.rows)), WILDER_LENGTHS_TO_FORGET * length)


@pytest.mark.parametrize("length", LENGTHS)
def test_average_directional_index(bars: Bars, length: int) -> None:
    ours = average_directional_index(bars.high, bars.low, bars.close, length)
    theirs = column(ADX(length, length, bars.rows), "adx")
    assert_same(ours, theirs, WILDER_LENGTHS_TO_FORGET * length)


@pytest.mark.parametrize("length", LENGTHS)
def test_stochastic(bars: Bars, length: int) -> None:
    ours = stochastic(bars.high, bars.low, bars.close, length, 3)
    theirs = Stoch(length, 3, bars.rows)
    assert_same(ours.fast, column(theirs, "k"), length - 1)
    assert_same(ours.slow, column(theirs, "d"), length + 1)


def test_on_balance_volume(bars: Bars) -> None:
    assert_same(on_balance_volume(bars.close, bars.volume), column(OBV(bars.rows)), 0)


def test_volume_weighted_average_price(bars: Bars) -> None:
    arrays = (bars.high, bars.low, bars.close, bars.volume)
    weighted = column(VWMA(20, replace(bars, close=bars.typical).rows))
    assert_same(volume_weighted_average_price(*arrays, 20), weighted, 19)
    whole = column(VWAP(bars.rows))
    for end in (1, 50, COUNT):
        ours = volume_weighted_average_price(*(array[:end] for array in arrays), end)
        assert ours[-1] == pytest.approx(whole[end - 1], rel=1e-9)


def test_volume_ratio(bars: Bars) -> None:
    before = np.roll(column(SMA(20, bars.volume.tolist())), 1)
    assert_same(volume_ratio(bars.volume, 20), bars.volume / before, 20)
