"""Bars of a longer interval from those of a shorter one. Pure."""

from __future__ import annotations

import numpy as np

from domain import FIRST_MONDAY_MS, Interval, KlineSeries


def fold(klines: KlineSeries, interval: Interval) -> KlineSeries:
    """Closed bars of `interval` from closed shorter ones.

    A bar is made of those that lie in it, as an exchange makes it when some are missing. The first
    is left out where `klines` begin inside it, and the last one where it has not closed yet.
    """
    if not len(klines):
        return KlineSeries.empty(interval, klines.source)
    length = interval.milliseconds
    offset = FIRST_MONDAY_MS if interval is Interval.W1 else 0
    opens = (klines.open_time - offset) // length * length + offset
    starts = np.flatnonzero(np.concatenate(([True], opens[1:] != opens[:-1])))
    ends = np.concatenate((starts[1:], [len(klines)])) - 1
    folded = KlineSeries(
        interval,
        opens[starts],
        klines.open[starts],
        np.maximum.reduceat(klines.high, starts),
        np.minimum.reduceat(klines.low, starts),
        klines.close[ends],
        np.add.reduceat(klines.volume, starts),
        klines.source,
    )
    first = 0 if int(klines.open_time[0]) == int(opens[0]) else 1
    closed_at = int(klines.open_time[-1]) + klines.interval.milliseconds
    last_is_whole = int(opens[-1]) + length <= closed_at
    return folded.slice(first, len(folded) if last_is_whole else len(folded) - 1)
