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
NOTHING_LEFT = 1e-300  # stands for an account of nothing, whose log cannot be said
NO_DEVIATION = 1e-15  # of returns that are all the same, but for their rounding
MOST_NUMBERS_IN_CACHE = 20_000
MOST_RANDOM_TRIPS = 1_000_000
RANDOM_RUNS = (99, 999)  # at least and at most
LARGEST_LOSS = -0.999999  # a position loses its margin, which its equity may consist of
FACTORS_OF_A_LOG = 8
LAST_BEFORE_ONE = float(np.nextafter(1, 0))

IndexArray = npt.NDArray[np.int64]
Range = tuple[float, float]


# -------------------------------------------------------------------------------- intervals


@dataclass(frozen=True, slots=True)
class Blocks:
    """Resampled series as blocks of the original, shape (samples, blocks) each.

    A block begins at `starts` and goes on for `lengths` places, over the end to the beginning;
    a length of 0 is none. The lengths of every sample sum to that of the series.
    """

    starts: IndexArray
    lengths: IndexArray

    def sums(self, values: FloatArray) -> FloatArray:
        """The sum of `values` over every resampled series, shape (samples,)."""
        until = np.concatenate(([0.0], np.cumsum(np.concatenate((values, values)))))
        summed: FloatArray = np.sum(until[self.starts + self.lengths] - until[self.starts], axis=1)
        return summed


def stationary_bootstrap(
    length: int, mean_block: float, samples: int, generator: np.random.Generator
) -> Blocks:
    """Blocks of random length, so that what follows on what is kept (Politis and Romano, 1994).

    A block ends after each place with probability 1/`mean_block`; the next begins anywhere.
    """
    ends = np.zeros((samples, 1), dtype=np.int64)
    while np.min(ends[:, -1]) < length:
        at_once = math.ceil(length / mean_block) + 1
        more = generator.geometric(1 / mean_block, (samples, at_once))
        ends = np.hstack((ends, ends[:, -1:] + np.cumsum(more, axis=1)))
    lengths = np.diff(np.minimum(ends, length), axis=1)
    return Blocks(generator.integers(0, length, lengths.shape), lengths)


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
    drawn = stationary_bootstrap(
        length, mean_block_length(length), RESAMPLES, np.random.default_rng(seed)
    )
    logs = np.log(np.maximum(1 + daily_returns, NOTHING_LEFT))
    mean = float(np.mean(daily_returns))
    off_mean = daily_returns - mean
    mean_off = drawn.sums(off_mean) / length
    variance = (drawn.sums(off_mean**2) - length * mean_off**2) / (length - 1)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    moves = deviation > NO_DEVIATION
    sharpes = np.where(moves, mean + mean_off, np.nan) / np.where(moves, deviation, 1.0)
    return Intervals(
        _interval(np.expm1(drawn.sums(logs)) * 100),
        _interval(sharpes * math.sqrt(DAYS_A_YEAR)),
    )


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
    ours = sum(float(_log_growth(coin.exposures, coin.growths)) for coin in coins)
    theirs = np.zeros(runs)
    for coin in coins:
        theirs += _random_runs(coin, runs, generator)
    return (1 + int(np.count_nonzero(theirs >= ours))) / (1 + runs)


def _random_runs(coin: CoinTrips, runs: int, generator: np.random.Generator) -> FloatArray:
    """The log growth of `runs` runs of the coin's trips at random times, shape (runs,)."""
    count = len(coin.bars)
    free = max(len(coin.opens) - 1 - int(np.sum(coin.bars)), 0)
    total = np.empty(runs)
    in_cache = max(1, MOST_NUMBERS_IN_CACHE // count)
    for first in range(0, runs, in_cache):
        rows = min(in_cache, runs - first)
        order = np.tile(np.arange(count), (rows, 1))
        generator.permuted(order, axis=1, out=order)
        gaps = (_sorted_uniforms(rows, count, generator) * (free + 1)).astype(np.int64)
        total[first : first + rows] = _growth(coin, order, gaps)
    return total


def _sorted_uniforms(rows: int, count: int, generator: np.random.Generator) -> FloatArray:
    """Ascending rows of `count` uniform numbers in [0, 1), made so at once: the times of a
    Poisson process over its time at the next event are distributed like sorted uniforms."""
    times = np.cumsum(generator.standard_exponential((rows, count + 1)), axis=1)
    uniforms: FloatArray = times[:, :-1] / times[:, -1:]
    return np.minimum(uniforms, LAST_BEFORE_ONE)


def _growth(coin: CoinTrips, order: IndexArray, gaps: IndexArray) -> FloatArray:
    """The log growth of runs with the trips in `order` and so many free bars before each, both of
    shape (runs, k)."""
    lengths = coin.bars.take(order)
    exits = np.cumsum(lengths, axis=1)
    exits += gaps
    entries = exits - lengths
    bought = coin.opens.take(entries, mode="clip")  # a trip that is too long ends with the bars
    growths = coin.opens.take(exits, mode="clip")
    growths /= bought
    growths -= 1
    return _log_growth(coin.exposures.take(order), growths)


def _log_growth(exposures: FloatArray, growths: FloatArray) -> FloatArray:
    """The log of what trips multiply equity by, summed over the last axis.

    Logs are dear: up to `FACTORS_OF_A_LOG` factors share one, which keeps their product far from
    the ends of a float.
    """
    factors = 1 + np.maximum(exposures * growths, LARGEST_LOSS)
    shared = factors.shape[-1] // FACTORS_OF_A_LOG * FACTORS_OF_A_LOG
    groups = factors[..., :shared].reshape(*factors.shape[:-1], FACTORS_OF_A_LOG, -1)
    products = np.concatenate((np.prod(groups, axis=-2), factors[..., shared:]), axis=-1)
    grown: FloatArray = np.sum(np.log(products), axis=-1)
    return grown
