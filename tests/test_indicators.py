"""Moving averages against their plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import FloatArray
from indicators import (
    SPANS_TO_FORGET,
    exponential_moving_average,
    simple_moving_average,
)


def walk(count: int, seed: int = 1) -> FloatArray:
    steps = np.random.default_rng(seed).normal(0, 0.01, count)
    return np.round(30_000 * np.exp(np.cumsum(steps)), 2)


@pytest.mark.parametrize("length", [1, 2, 20, 50])
def test_simple_average_is_the_mean_of_the_last_values(length: int) -> None:
    values = walk(120)
    averages = simple_moving_average(values, length)
    assert np.isnan(averages[: length - 1]).all()
    expected = [values[end - length : end].mean() for end in range(length, 121)]
    np.testing.assert_allclose(averages[length - 1 :], expected, rtol=1e-14)


@pytest.mark.parametrize("length", [1, 2, 20, 50])
def test_exponential_average_follows_its_recursion(length: int) -> None:
    values = walk(120)
    averages = exponential_moving_average(values, length)
    assert np.isnan(averages[: length - 1]).all()
    alpha, average = 2 / (length + 1), values[0]
    for index, value in enumerate(values):
        average = alpha * value + (1 - alpha) * average
        if index >= length - 1:
            assert averages[index] == pytest.approx(average, rel=1e-13)


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


@pytest.mark.parametrize("length", [3, 20, 50, 200])
def test_exponential_average_forgets_where_the_array_begins(length: int) -> None:
    forgotten = SPANS_TO_FORGET * length
    values = walk(2 * forgotten + 500)
    whole = exponential_moving_average(values, length)
    for start in (1, 137, forgotten):
        part = exponential_moving_average(values[start:], length)
        np.testing.assert_array_equal(part[forgotten:], whole[start + forgotten :])
