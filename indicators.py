"""Moving averages over bar closes: float64 arrays in, float64 arrays out, NaN while warming up.

The value at a bar depends on the last bars alone and comes out the same to the last digit
wherever the array begins, so that a live cycle with a short history and a backtest over years
see the same crosses.
"""

from __future__ import annotations

import numpy as np

from domain import FloatArray

# An exponential average forgets its start by e^(-2k) after k spans: 19 of them bring two starts to
# within the last digit of a float64, and the others let the rounding of that digit meet.
SPANS_TO_FORGET = 30


def simple_moving_average(values: FloatArray, length: int) -> FloatArray:
    """Mean of the last `length` values, shape (n,).

    Adds shifted copies in a fixed order instead of a running sum, which would carry the rounding
    of everything before.
    """
    averages = np.full(len(values), np.nan)
    count = len(values) - length + 1
    if count <= 0:
        return averages
    total = values[:count].copy()
    for shift in range(1, length):
        total += values[shift : shift + count]
    averages[length - 1 :] = total / length
    return averages


def exponential_moving_average(values: FloatArray, length: int) -> FloatArray:
    """EMA with α = 2/(length + 1), started at the first value, shape (n,).

    The first `SPANS_TO_FORGET × length` values still carry the start.
    """
    averages = np.empty(len(values))
    if not len(values):
        return averages
    alpha = 2.0 / (length + 1)
    average = float(values[0])
    for index, value in enumerate(values.tolist()):
        average += alpha * (value - average)
        averages[index] = average
    averages[: length - 1] = np.nan
    return averages
