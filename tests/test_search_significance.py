"""The deflated Sharpe ratio, by the worked example of its paper and by what must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from search_significance import (
    ReturnMoments,
    deflated_sharpes,
    expected_best_sharpe,
    probabilistic_sharpe,
    return_moments,
)

# Section "A numerical example": 2.5 a year over 1,250 days of 250 a year, skewness −3, kurtosis 10;
# the tries' ratios have a variance of 1/2 a year.
EXAMPLE = ReturnMoments(1250, 2.5 / math.sqrt(250), -3.0, 10.0)
VARIANCE = 0.5 / 250


def test_the_papers_example_of_100_tries():
    threshold = expected_best_sharpe(VARIANCE, 100)
    assert threshold == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(EXAMPLE, threshold) == pytest.approx(0.9004, abs=5e-5)


def test_the_papers_example_of_46_tries():
    threshold = expected_best_sharpe(VARIANCE, 46)
    assert probabilistic_sharpe(EXAMPLE, threshold) == pytest.approx(0.9505, abs=5e-5)


def test_the_papers_example_of_88_tries_of_normal_returns():
    normal = ReturnMoments(1250, EXAMPLE.sharpe, 0.0, 3.0)
    threshold = expected_best_sharpe(VARIANCE, 88)
    assert probabilistic_sharpe(normal, threshold) == pytest.approx(0.9505, abs=5e-4)


def test_one_try_is_not_deflated():
    assert expected_best_sharpe(0.3, 1) == 0.0
    (alone,) = deflated_sharpes([EXAMPLE])
    assert alone == probabilistic_sharpe(EXAMPLE, 0.0)


def test_moments_of_returns():
    returns = np.tile([0.02, -0.01, -0.01], 10)
    moments = return_moments(returns)
    assert moments is not None
    assert moments.count == 30
    assert moments.sharpe == pytest.approx(0.0, abs=1e-12)
    assert moments.skewness == pytest.approx(1 / math.sqrt(2))
    assert moments.kurtosis == pytest.approx(1.5)
    assert return_moments(np.zeros(100)) is None
    assert return_moments(returns[:19]) is None


def test_the_best_of_many_without_skill_is_not_believed():
    """Of searches among 100 random tries, the best one's figure is as high as 95 % in about 5."""
    generator = np.random.default_rng(7)
    believed = 0
    for _ in range(60):
        tries = [return_moments(row) for row in generator.normal(0, 0.01, (100, 250))]
        believed += max(figure or 0.0 for figure in deflated_sharpes(tries)) > 0.95
    assert believed <= 8


def test_tries_that_say_nothing_still_count():
    with_nothing = deflated_sharpes([EXAMPLE, ReturnMoments(1250, 0.0, 0.0, 3.0), None, None])
    without = deflated_sharpes([EXAMPLE, ReturnMoments(1250, 0.0, 0.0, 3.0)])
    assert with_nothing[2:] == [None, None]
    assert with_nothing[0] is not None
    assert without[0] is not None
    assert with_nothing[0] < without[0]
