"""The random process behind the generated market, open to random access.

Two layers of Brownian bridges. A coin's log price at midnight is fixed every `BLOCK_DAYS` days by
an anchor drawn around its typical price; between two anchors it is a bridge of daily returns
(drifting regimes and volatility clusters that the coins share, and a noise of their own); between
two midnights it is a bridge of minutes. So a day of 2047 needs its block and itself, nothing from
before, and prices never drift away over the decades.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from domain import FloatArray
from exchange_simulator.bars import (
    CLOSE,
    COLUMN_COUNT,
    HIGH,
    LOW,
    OPEN,
    QUOTE_VOLUME,
    TAKER_QUOTE_VOLUME,
    TAKER_VOLUME,
    TRADES,
    VOLUME,
    Columns,
)
from exchange_simulator.coins import Coin
from exchange_simulator.market import QUOTE_DECIMALS

BLOCK_DAYS = 1024
MINUTES = 1440
HOURS = 24

COMMON_VOLATILITY = 0.026  # daily standard deviation of the move that all coins share
COMMON_ANCHOR_SPREAD = 0.3  # of the log price at the anchors, shared
HOURLY_TREND_SHARE = 0.35  # of a day's variance that comes as steady drifts of an hour each
MEAN_TRADE = 800.0  # USDT

# Drift a day and factor on the volatility of: calm sideways, rising, falling, stormy sideways.
REGIME_DRIFT = np.array([0.0, 0.008, -0.009, 0.0])
REGIME_VOLATILITY = np.array([0.7, 0.95, 1.25, 1.5])
REGIME_CHANCES = np.array([0.35, 0.3, 0.2, 0.15])


class Stream(IntEnum):
    """What a stream of random numbers is for: part of its seed."""

    COMMON_BLOCK = 1
    COMMON_ANCHOR = 2
    COMMON_DAY = 3
    OWN_BLOCK = 4
    OWN_ANCHOR = 5
    OWN_DAY = 6


@dataclass(frozen=True, slots=True)
class CommonBlock:
    """What the coins share in a block of days: shape (BLOCK_DAYS,) each."""

    returns: FloatArray
    volatility: FloatArray


@dataclass(frozen=True, slots=True)
class CoinBlock:
    """A coin's midnights, shape (BLOCK_DAYS + 1,), and the daily volatilities between them.

    Midnights are log prices relative to the coin's typical one.
    """

    midnights: FloatArray
    common_volatility: FloatArray
    own_volatility: FloatArray


@dataclass(frozen=True, slots=True)
class Noise:
    """A day's increments by the minute, their variances adding up to about 1."""

    increments: FloatArray  # (1440,)
    activity: FloatArray  # (1440,): the factor on volatility and volume by the hour


class PriceProcess:
    """The prices that follow from a seed (a whole number ≥ 0)."""

    def __init__(self, seed: int):
        self.seed = seed
        self._common_block = lru_cache(maxsize=32)(self._draw_common_block)
        self._common_noise = lru_cache(maxsize=512)(self._draw_common_noise)
        self._coin_block = lru_cache(maxsize=512)(self._draw_coin_block)

    def minutes(self, coin: Coin, first_day: int, count: int = 1) -> Columns:
        """The minutes of `count` days from `first_day` (counted from the epoch): (9, 1440 · count).

        Many days at once take half the time of each by itself, and are the same.
        """
        days = range(first_day, first_day + count)
        randoms = [self._random(Stream.OWN_DAY, coin.key, day) for day in days]
        common = _stacked([self._common_noise(day) for day in days])
        own = _stacked([_draw_noise(random) for random in randoms])
        start, end, common_scale, own_scale = self._days_of(coin, days)
        path = _bridges(start, end, common_scale * common.increments + own_scale * own.increments)
        volatility = np.hypot(common_scale * common.activity, own_scale * own.activity)
        columns = np.empty((COLUMN_COUNT, count, MINUTES), dtype=np.int64)
        _fill_prices(columns, coin, path, volatility / np.sqrt(MINUTES), randoms)
        _fill_activity(columns, coin, common.activity * own.activity, randoms)
        return columns.reshape(COLUMN_COUNT, count * MINUTES)

    def _days_of(self, coin: Coin, days: range) -> FloatArray:
        """The midnights around each day, and its two volatilities: shape (4, days, 1)."""
        found = []
        for day in days:
            block, index = self._coin_block(coin, day // BLOCK_DAYS), day % BLOCK_DAYS
            around = block.midnights[index], block.midnights[index + 1]
            found.append((*around, block.common_volatility[index], block.own_volatility[index]))
        return np.array(found).T[:, :, np.newaxis]

    def _random(self, stream: Stream, *keys: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, int(stream), *keys))

    def _draw_common_block(self, block: int) -> CommonBlock:
        random = self._random(Stream.COMMON_BLOCK, block)
        lengths = random.integers(8, 50, size=BLOCK_DAYS // 8)
        regimes = random.choice(len(REGIME_CHANCES), size=len(lengths), p=REGIME_CHANCES)
        regime = np.repeat(regimes, lengths)[:BLOCK_DAYS]
        volatility = COMMON_VOLATILITY * REGIME_VOLATILITY[regime] * _clusters(random)
        noise = random.standard_normal(BLOCK_DAYS)
        return CommonBlock(REGIME_DRIFT[regime] + volatility * noise, volatility)

    def _draw_common_noise(self, day: int) -> Noise:
        return _draw_noise(self._random(Stream.COMMON_DAY, day))

    def _draw_coin_block(self, coin: Coin, block: int) -> CoinBlock:
        common = self._common_block(block)
        random = self._random(Stream.OWN_BLOCK, coin.key, block)
        own_volatility = coin.own_volatility * _clusters(random)
        returns = coin.beta * common.returns + own_volatility * random.standard_normal(BLOCK_DAYS)
        start, end = (np.array([[self._anchor(coin, at)]]) for at in (block, block + 1))
        (midnights,) = _bridges(start, end, returns[np.newaxis])
        return CoinBlock(midnights, coin.beta * common.volatility, own_volatility)

    def _anchor(self, coin: Coin, block: int) -> float:
        common = self._random(Stream.COMMON_ANCHOR, block).standard_normal()
        own = self._random(Stream.OWN_ANCHOR, coin.key, block).standard_normal()
        return float(COMMON_ANCHOR_SPREAD * coin.beta * common + coin.anchor_spread * own)


def _clusters(random: np.random.Generator) -> FloatArray:
    """Factors around 1 that stay high or low for weeks: exponentials of smoothed noise."""
    kernel = np.exp(-np.arange(60) / 12)
    kernel /= np.sqrt(np.sum(kernel**2))
    smooth = np.convolve(random.standard_normal(BLOCK_DAYS + 59), kernel, mode="valid")
    return np.exp(0.35 * smooth - 0.06)


def _draw_noise(random: np.random.Generator) -> Noise:
    activity = np.exp(0.3 * random.standard_normal(HOURS))
    activity /= np.sqrt(np.mean(activity**2))
    by_minute = np.repeat(activity, MINUTES // HOURS)
    trend = np.repeat(random.standard_normal(HOURS), MINUTES // HOURS)
    trend *= np.sqrt(HOURLY_TREND_SHARE * HOURS) / MINUTES
    steps = random.standard_normal(MINUTES) * np.sqrt((1 - HOURLY_TREND_SHARE) / MINUTES)
    return Noise(by_minute * (trend + steps), by_minute)


def _stacked(days: Sequence[Noise]) -> Noise:
    """The noise of several days: shape (days, 1440) each."""
    return Noise(
        np.stack([day.increments for day in days]), np.stack([day.activity for day in days])
    )


def _bridges(start: FloatArray, end: FloatArray, increments: FloatArray) -> FloatArray:
    """Paths of `increments` (k, n) from `start` (k, 1), bent to end at `end`: shape (k, n + 1)."""
    paths, count = increments.shape
    path = np.empty((paths, count + 1))
    path[:, :1] = start
    np.cumsum(increments, axis=1, out=path[:, 1:])
    path[:, 1:] += start
    path[:, 1:] += (end - path[:, -1:]) * np.arange(1, count + 1) / count
    path[:, -1:] = end  # to the last bit: the next stretch starts there
    return path


def _fill_prices(
    columns: Columns,
    coin: Coin,
    path: FloatArray,
    volatility: FloatArray,
    randoms: Sequence[np.random.Generator],
) -> None:
    """Opens and closes on the path; extremes as a Brownian bridge between them would reach them.

    The maximum of a Brownian bridge from a to b with standard deviation s is distributed as
    (a + b + √((b − a)² − 2 s² ln U)) / 2 with U uniform on (0, 1).
    """
    start, end = path[:, :-1], path[:, 1:]
    rise_squared = (end - start) ** 2
    drawn = np.stack([random.standard_exponential((2, MINUTES)) for random in randoms], axis=1)
    spread = 2 * volatility**2 * drawn
    reach = (np.sqrt(rise_squared + spread) - np.abs(end - start)) / 2
    typical_ticks = coin.typical_price * 10**coin.listing.price_decimals
    ticks = np.maximum(np.rint(typical_ticks * np.exp(path)), 1)
    columns[OPEN], columns[CLOSE] = ticks[:, :-1], ticks[:, 1:]
    top = np.maximum(ticks[:, :-1], ticks[:, 1:])
    bottom = np.minimum(ticks[:, :-1], ticks[:, 1:])
    columns[HIGH] = np.maximum(np.rint(top * np.exp(reach[0])), top)
    columns[LOW] = np.maximum(np.rint(bottom * np.exp(-reach[1])), 1)


def _fill_activity(
    columns: Columns, coin: Coin, factor: FloatArray, randoms: Sequence[np.random.Generator]
) -> None:
    """Volumes that grow with the hour's activity and with the minute's range."""
    listing = coin.listing
    span = (columns[HIGH] - columns[LOW]) / columns[LOW]
    lively = 0.4 + 0.6 * span / np.maximum(span.mean(axis=1, keepdims=True), 1e-9)
    normal = np.stack([random.standard_normal(MINUTES) for random in randoms])
    chance = np.exp(0.5 * normal - 0.125)
    notional = coin.daily_turnover / MINUTES * factor * lively * chance
    price = columns[OPEN : CLOSE + 1].mean(axis=0) / 10**listing.price_decimals
    lots = np.maximum(np.rint(notional / price * 10**listing.quantity_decimals), 1)
    taker_lots = np.rint(lots * np.stack([r.uniform(0.4, 0.6, MINUTES) for r in randoms]))
    quote_units = price / 10**listing.quantity_decimals * 10**QUOTE_DECIMALS
    columns[VOLUME], columns[TAKER_VOLUME] = lots, taker_lots
    columns[QUOTE_VOLUME] = np.rint(lots * quote_units)
    columns[TAKER_QUOTE_VOLUME] = np.rint(taker_lots * quote_units)
    columns[TRADES] = 1 + np.rint(notional / MEAN_TRADE)
