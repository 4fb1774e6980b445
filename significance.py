"""How much of a result may be luck: intervals by resampling days, and random entries beside ours.

Pure and repeatable: every draw comes from a generator with a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domain import FloatArray, TimeArray

DAYS_A_YEAR = 365
CONFIDENCE = 0.95
RESAMPLES = 1000
FEWEST_DAYS = 20  # with fewer, days drawn again from them say nothing about others
MOST_DRAWS_AT_ONCE = 500_000
MOST_NUMBERS_IN_CACHE = 20_000
MOST_RANDOM_TRIPS = 1_000_000
RANDOM_RUNS = (99, 999)  # at least and at most
LARGEST_LOSS = -0.999999  # a position loses its margin, which its equity may consist of

IndexArray = npt.NDArray[np.int64]
Range = tuple[float, float]


# -------------------------------------------------------------------------------- intervals


def stationary_bootstrap(
    length: int, mean_block: float, samples: int, generator: np.random.Generator
) -> IndexArray:
    """Indices of resampled series, shape (samples, length): blocks of random length, wrapped.

    Each place begins a new block with probability 1/`mean_block` and else goes on with the next
    index, so that what follows on what is kept (Politis and Romano, 1994).
    """
    places = np.arange(length)
    begins = generator.random((samples, length)) < 1 / mean_block
    begins[:, 0] = True
    block_at = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    starts = generator.integers(0, length, (samples, length))
    resampled: IndexArray = (
        np.take_along_axis(starts, block_at, axis=1) + places - block_at
    ) % length
    return resampled


def mean_block_length(length: int) -> float:
    """The usual n^(1/3) for a series of `length` days."""
    return max(1.0, float(np.cbrt(length)))


@dataclass(frozen=True, slots=True)
class Intervals:
    """Where a figure lies in 95 of 100 resampled runs, from and to; None where it cannot be said.

    `return_percentage` is over the whole run, `sharpe` annualised.
    """

    return_percentage: Range | None = None
    sharpe: Range | None = None


def intervals(daily_returns: FloatArray, seed: int = 0) -> Intervals:
    """95 % intervals of the total return and the Sharpe ratio from returns of days, shape (n,)."""
    length = len(daily_returns)
    if length < FEWEST_DAYS:
        return Intervals()
    generator = np.random.default_rng(seed)
    totals, sharpes = [], []
    at_once = max(1, MOST_DRAWS_AT_ONCE // length)
    for done in range(0, RESAMPLES, at_once):
        samples = min(at_once, RESAMPLES - done)
        drawn = daily_returns[
            stationary_bootstrap(length, mean_block_length(length), samples, generator)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            totals.append(np.expm1(np.sum(np.log1p(drawn), axis=1)) * 100)
            deviation = np.std(drawn, axis=1, ddof=1)
            sharpes.append(np.mean(drawn, axis=1) / deviation * math.sqrt(DAYS_A_YEAR))
    return Intervals(_interval(np.concatenate(totals)), _interval(np.concatenate(sharpes)))


def _interval(values: FloatArray) -> Range | None:
    """The middle 95 % of `values`; None unless all of them are numbers."""
    if not np.all(np.isfinite(values)):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, (tail, 1 - tail)).tolist()
    return low, high


# -------------------------------------------------------------------------------- the luck test


@dataclass(frozen=True, slots=True)
class CoinTrips:
    """The round trips of one coin, shape (k,) each, beside the opens it could have traded at, (n,).

    `bars` are how many bars each was held, `exposures` its signed notional over the equity at its
    entry, `growths` its change of price from entry to exit as a share.
    """

    opens: FloatArray
    bars: TimeArray
    exposures: FloatArray
    growths: FloatArray


def luck_probability(coins: Sequence[CoinTrips], seed: int = 0) -> float | None:
    """The share of random runs that do as well as ours; None without trips.

    A random run has the same number of trips, each as long, as large and on the same side, in
    random order at random times that do not overlap, before costs, which are the same for both.
    For a trader without a plan it is uniform between 0 and 1.
    """
    coins = [coin for coin in coins if len(coin.bars)]
    trips = sum(len(coin.bars) for coin in coins)
    if not trips:
        return None
    fewest, most = RANDOM_RUNS
    runs = min(max(MOST_RANDOM_TRIPS // trips, fewest), most)
    generator = np.random.default_rng(seed)
    ours = sum(float(np.sum(_log_growth(coin.exposures, coin.growths))) for coin in coins)
    theirs = np.zeros(runs)
    for coin in coins:
        theirs += _random_runs(coin, runs, generator)
    return (1 + int(np.count_nonzero(theirs >= ours))) / (1 + runs)


def _random_runs(coin: CoinTrips, runs: int, generator: np.random.Generator) -> FloatArray:
    """The log growth of `runs` runs of the coin's trips at random times, shape (runs,)."""
    count = len(coin.bars)
    free = max(len(coin.opens) - 1 - int(np.sum(coin.bars)), 0)
    total = np.empty(runs)
    at_once = max(1, MOST_DRAWS_AT_ONCE // count)
    in_cache = max(1, MOST_NUMBERS_IN_CACHE // count)
    for done in range(0, runs, at_once):
        rows = min(at_once, runs - done)
        order = np.tile(np.arange(count), (rows, 1))
        generator.permuted(order, axis=1, out=order)
        gaps = generator.integers(0, free + 1, (rows, count))
        for first in range(0, rows, in_cache):
            part = slice(first, min(first + in_cache, rows))
            total[done + part.start : done + part.stop] = _growth(coin, order[part], gaps[part])
    return total


def _growth(coin: CoinTrips, order: IndexArray, gaps: IndexArray) -> FloatArray:
    """The log growth of runs with the trips in `order` and so many free bars before each, both of
    shape (runs, k)."""
    lengths = coin.bars[order]
    entries = np.sort(gaps, axis=1) + np.cumsum(lengths, axis=1) - lengths
    last = len(coin.opens) - 1
    exits = np.minimum(entries + lengths, last)
    growths = coin.opens[exits] / coin.opens[np.minimum(entries, last)] - 1
    grown: FloatArray = np.sum(_log_growth(coin.exposures[order], growths), axis=1)
    return grown


def _log_growth(exposures: FloatArray, growths: FloatArray) -> FloatArray:
    """The log of what equity is multiplied by."""
    grown: FloatArray = np.log1p(np.maximum(exposures * growths, LARGEST_LOSS))
    return grown
