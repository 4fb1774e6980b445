"""The bar lengths that the simulated exchange can serve, by Binance's names, all in UTC.

Beside those of `domain.Interval` there are 8h, 3d and 1M (calendar months). Weeks open on
Mondays; three-day bars are counted from the epoch.
"""

from __future__ import annotations

import numpy as np

from domain import DAY_MS, FIRST_MONDAY_MS, HOUR_MS, WEEK_MS, Interval, TimeArray

MONTH = "1M"
FIXED_MS = {interval.value: interval.milliseconds for interval in Interval} | {
    "8h": 8 * HOUR_MS,
    "3d": 3 * DAY_MS,
}
NAMES = frozenset(FIXED_MS) | {MONTH}


class UnsupportedInterval(ValueError):
    """A market cannot form bars of this length."""


def floor(interval: str, time_ms: int) -> int:
    """The open time of the bar that holds `time_ms`.

    Raises UnsupportedInterval for a name that is not in `NAMES`.
    """
    if interval == MONTH:
        return _month_opening(_month_of(time_ms))
    length = _fixed_length(interval)
    offset = FIRST_MONDAY_MS if length == WEEK_MS else 0
    return time_ms - (time_ms - offset) % length


def ceil(interval: str, time_ms: int) -> int:
    """The first open time at or after `time_ms`."""
    opening = floor(interval, time_ms)
    return opening if opening == time_ms else shift(interval, opening, 1)


def shift(interval: str, open_ms: int, bars: int) -> int:
    """The open time `bars` bars after the one that opens at `open_ms` (before, if negative)."""
    if interval == MONTH:
        return _month_opening(_month_of(open_ms) + bars)
    return open_ms + bars * _fixed_length(interval)


def open_times(interval: str, first_ms: int, last_ms: int) -> TimeArray:
    """Every open time from the open time `first_ms` to the open time `last_ms`, both included."""
    if interval == MONTH:
        months = np.arange(_month_of(first_ms), _month_of(last_ms) + 1)
        return months.astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)
    return np.arange(first_ms, last_ms + 1, _fixed_length(interval), dtype=np.int64)


def _fixed_length(interval: str) -> int:
    try:
        return FIXED_MS[interval]
    except KeyError:
        raise UnsupportedInterval(f"no bars of length {interval!r}") from None


def _month_of(time_ms: int) -> int:
    return int(np.datetime64(time_ms, "ms").astype("datetime64[M]").astype(np.int64))


def _month_opening(month: int) -> int:
    return int(np.datetime64(month, "M").astype("datetime64[ms]").astype(np.int64))
