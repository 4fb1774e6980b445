"""The rules that every source's klines pass."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import HOUR_MS, Interval, Kline, KlineSeries
from kline_validation import float64_keeps, impossible, is_decimal, off_grid


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8))
def test_what_is_kept_is_the_same_number_again(number: Decimal):
    text = format(number, "f")
    if is_decimal(text) and float64_keeps(text):
        assert Decimal(repr(float(text))) == number


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("123456789012345", True),
        ("1234567890123456", False),
        ("1234567890123450000", True),
        ("0.00000000123456789012345", True),
        ("0.1234567890123456", False),
        ("-100000.000000000001", False),
        ("00000000000000000000.10", True),
    ],
)
def test_fifteen_significant_digits_are_kept(text: str, kept: bool):
    assert float64_keeps(text) is kept


@pytest.mark.parametrize("text", ["", ".", "1.", ".5", "+1", "1e5", "nan", "inf", " 1", "1_0", "١"])
def test_what_is_no_plain_decimal(text: str):
    assert not is_decimal(text)


@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], b"1"])
def test_what_is_no_text_is_no_decimal(value: object):
    assert not is_decimal(value)


GOOD = (100.0, 110.0, 90.0, 105.0, 1.0)


@pytest.mark.parametrize("column", range(5), ids=["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_a_bar_with_one_impossible_number_is_impossible(column: int, value: float):
    numbers = [*GOOD[:column], value, *GOOD[column + 1 :]]
    bars = [Kline(0, *GOOD), Kline(HOUR_MS, *numbers), Kline(2 * HOUR_MS, *GOOD)]
    series = KlineSeries.from_klines(bars, Interval.H1)
    assert impossible(series).tolist() == [False, True, False]


def test_the_grid_is_that_of_the_intervals():
    times = np.array([0, 1, HOUR_MS, 4 * 24 * HOUR_MS], dtype=np.int64)
    assert off_grid(Interval.H1, times).tolist() == [False, True, False, False]
    assert off_grid(Interval.W1, times).tolist() == [True, True, True, False]
    for interval in Interval:
        opens = interval.floor(1_717_245_296_789)
        assert not off_grid(interval, np.array([opens], dtype=np.int64)).any()
