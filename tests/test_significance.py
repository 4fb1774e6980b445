"""Intervals that cover what they say, and a luck test that is uniform for traders without a plan."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from significance import (
    Blocks,
    CoinTrips,
    Intervals,
    intervals,
    luck_probability,
    stationary_bootstrap,
)

Floats = npt.NDArray[np.float64]


def resampled(blocks: Blocks, length: int) -> npt.NDArray[np.int64]:
    """The places of the series that the blocks stand for, one after the other."""
    rows = []
    for starts, lengths in zip(blocks.starts, blocks.lengths, strict=True):
        runs = [np.arange(n) + at for at, n in zip(starts, lengths, strict=True)]
        rows.append(np.concatenate(runs) % length)
    return np.array(rows)


class TestStationaryBootstrap:
    @given(st.integers(1, 60), st.floats(1, 20), st.integers(1, 20), st.integers(0, 9))
    def test_blocks_fill_the_series_with_places_of_its_own(
        self, length: int, block: float, samples: int, seed: int
    ) -> None:
        blocks = stationary_bootstrap(length, block, samples, np.random.default_rng(seed))
        assert np.all(blocks.lengths.sum(axis=1) == length)
        assert blocks.lengths.min() >= 0
        assert blocks.starts.min() >= 0
        assert blocks.starts.max() < length

    def test_sums_are_those_of_the_places(self) -> None:
        values = np.random.default_rng(2).normal(0, 1, 50)
        blocks = stationary_bootstrap(50, 4.0, 100, np.random.default_rng(3))
        np.testing.assert_allclose(
            blocks.sums(values), values[resampled(blocks, 50)].sum(axis=1), atol=1e-12
        )

    def test_blocks_are_as_long_as_asked_for_on_average(self) -> None:
        blocks = stationary_bootstrap(1000, 8.0, 200, np.random.default_rng(3))
        goes_on = np.mean((np.diff(resampled(blocks, 1000), axis=1) % 1000) == 1)
        assert goes_on == pytest.approx(1 - 1 / 8, abs=0.005)

    def test_every_place_is_drawn_as_often(self) -> None:
        blocks = stationary_bootstrap(20, 4.0, 5000, np.random.default_rng(4))
        places = resampled(blocks, 20)
        counts = np.bincount(places.ravel(), minlength=20) / places.size
        np.testing.assert_allclose(counts, 1 / 20, rtol=0.05)


class TestIntervals:
    def test_of_too_few_days_nothing_can_be_said(self) -> None:
        assert intervals(np.zeros(10)) == Intervals()

    def test_a_curve_that_never_moves_has_no_sharpe(self) -> None:
        said = intervals(np.zeros(100))
        assert said.return_percentage == (0, 0)
        assert said.sharpe is None

    def test_the_same_days_give_the_same_interval(self) -> None:
        days = np.random.default_rng(1).normal(0, 0.02, 100)
        assert intervals(days) == intervals(days.copy())

    def test_an_account_that_lost_everything(self) -> None:
        days = np.append(np.full(40, 0.01), -1.0)
        low, _ = intervals(days).return_percentage or (0, 0)
        assert low == -100

    @pytest.mark.parametrize("days", [90, 365])
    def test_they_cover_the_truth_as_often_as_they_say(self, days: int) -> None:
        draw = np.random.default_rng(5)
        mean, deviation = 0.0005, 0.02
        expected = math.expm1(days * float(np.mean(np.log1p(draw.normal(mean, deviation, 10**6)))))
        said = [intervals(draw.normal(mean, deviation, days)) for _ in range(200)]
        returns = [one.return_percentage for one in said if one.return_percentage is not None]
        sharpes = [one.sharpe for one in said if one.sharpe is not None]
        sharpe = mean / deviation * math.sqrt(365)
        assert 180 <= sum(low <= expected * 100 <= high for low, high in returns) <= 198
        assert 180 <= sum(low <= sharpe <= high for low, high in sharpes) <= 198


def trips_of_a_monkey(seed: int, bars: int = 2000) -> CoinTrips:
    """A random walk, and trips on it whose entries and exits are drawn bar by bar."""
    draw = np.random.default_rng(seed)
    opens = 100 * np.exp(np.cumsum(draw.normal(0, 0.01, bars)))
    lengths, growths, entry = [], [], -1
    for bar, chance in enumerate(draw.random(bars - 1).tolist(), start=1):
        if entry < 0 and chance < 0.05:
            entry = bar
        elif entry >= 0 and chance < 0.1:
            lengths.append(bar - entry)
            growths.append(opens[bar] / opens[entry] - 1)
            entry = -1
    sides = draw.choice([-0.9, 0.9], len(lengths))
    return CoinTrips(opens, np.array(lengths), sides, np.array(growths))


class TestLuck:
    def test_without_trips_there_is_no_luck(self) -> None:
        none = np.empty(0)
        assert luck_probability([CoinTrips(np.ones(9), none.astype(int), none, none)]) is None

    def test_it_is_uniform_for_traders_without_a_plan(self) -> None:
        found = np.sort([luck_probability([trips_of_a_monkey(seed)]) for seed in range(400)])
        distance = np.max(np.abs(found - np.arange(1, 401) / 400))  # Kolmogorov and Smirnov
        assert distance < 1.63 / math.sqrt(400)  # 1 %

    def test_who_knows_the_lows_and_highs_is_not_lucky(self) -> None:
        wave = 100 + 10 * np.sin(np.arange(1000) / 10)
        lows = np.flatnonzero((wave[1:-1] < wave[:-2]) & (wave[1:-1] < wave[2:])) + 1
        held = np.full(len(lows) - 1, 31)
        growths = wave[lows[:-1] + 31] / wave[lows[:-1]] - 1
        trips = CoinTrips(wave, held, np.ones(len(held)), growths)
        assert (luck_probability([trips]) or 1) <= 0.002

    def test_several_coins_are_judged_together(self) -> None:
        coins = [trips_of_a_monkey(seed) for seed in (1, 2)]
        together = luck_probability(coins)
        assert together is not None
        assert 0 < together <= 1
        assert together == luck_probability(coins)

    def test_a_trip_over_all_bars_is_no_choice(self) -> None:
        opens: Floats = np.linspace(100, 200, 50)
        held = CoinTrips(opens, np.array([49]), np.array([1.0]), np.array([1.0]))
        assert luck_probability([held]) == 1
