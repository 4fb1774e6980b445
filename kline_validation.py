"""What a kline must be before it is taken from anywhere: the rules that fetchers and files share."""

from __future__ import annotations

import re
from typing import TypeGuard

import numpy as np

from domain import FIRST_MONDAY_MS, BoolArray, Interval, KlineSeries, TimeArray

MOST_SIGNIFICANT_DIGITS = 15  # of decimal text that float64 gives back unchanged, always

_DECIMAL = re.compile(r"-?[0-9]{1,25}(?:\.[0-9]{1,25})?")


def is_decimal(text: object) -> TypeGuard[str]:
    """Whether it is plain decimal text: no exponent, no sign but a minus, no NaN, no space."""
    return isinstance(text, str) and _DECIMAL.fullmatch(text) is not None


def float64_keeps(text: str) -> bool:
    """Whether decimal text has at most 15 significant digits, so that float64 loses nothing."""
    if len(text) <= MOST_SIGNIFICANT_DIGITS:
        return True
    return len(text.lstrip("-").replace(".", "").strip("0")) <= MOST_SIGNIFICANT_DIGITS


def off_grid(interval: Interval, open_time: TimeArray) -> BoolArray:
    """Which of the times no bar of `interval` opens at. All in UTC, weeks from Monday."""
    first = FIRST_MONDAY_MS if interval is Interval.W1 else 0
    off: BoolArray = (open_time - first) % interval.milliseconds != 0
    return off


def impossible(series: KlineSeries) -> BoolArray:
    """Which bars are not 0 < low ≤ open, close ≤ high with a volume ≥ 0, everything finite."""
    possible: BoolArray = (
        (series.low > 0)
        & (series.low <= np.minimum(series.open, series.close))
        & (np.maximum(series.open, series.close) <= series.high)
        & np.isfinite(series.high)
        & (series.volume >= 0)
        & np.isfinite(series.volume)
    )  # a comparison with NaN is false, so that a NaN anywhere is impossible
    return ~possible
