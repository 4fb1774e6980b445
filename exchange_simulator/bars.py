"""Bars as columns of whole numbers, how they aggregate, and how one looks while it is open.

Prices are in ticks, volumes in lots, quote volumes in ten-thousandths: whole numbers add up
exactly, in any grouping, so that a bar is the same from whichever interval it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from domain import TimeArray

Columns = npt.NDArray[np.int64]

OPEN, HIGH, LOW, CLOSE, VOLUME, QUOTE_VOLUME, TRADES, TAKER_VOLUME, TAKER_QUOTE_VOLUME = range(9)
COLUMN_COUNT = 9


@dataclass(frozen=True, slots=True)
class Bars:
    """n bars: `open_time` of shape (n,), ascending, and `columns` of shape (9, n)."""

    open_time: TimeArray
    columns: Columns

    @classmethod
    def empty(cls) -> Bars:
        """No bars."""
        return cls(np.empty(0, dtype=np.int64), np.empty((COLUMN_COUNT, 0), dtype=np.int64))

    @classmethod
    def joined(cls, pieces: Sequence[Bars]) -> Bars:
        """`pieces` one after the other; they must be ascending."""
        if not pieces:
            return cls.empty()
        if len(pieces) == 1:
            return pieces[0]
        return cls(
            np.concatenate([piece.open_time for piece in pieces]),
            np.concatenate([piece.columns for piece in pieces], axis=1),
        )

    def __len__(self) -> int:
        return len(self.open_time)

    def slice(self, start: int, stop: int) -> Bars:
        """Bars start ≤ i < stop, as views on the same memory."""
        return Bars(self.open_time[start:stop], self.columns[:, start:stop])

    def between(self, start_ms: int, end_ms: int) -> Bars:
        """Bars with start_ms ≤ open_time < end_ms."""
        first, last = np.searchsorted(self.open_time, [start_ms, end_ms])
        return self.slice(int(first), int(last))


def aggregate(bars: Bars, open_times: TimeArray) -> Bars:
    """Larger bars that open at `open_times` (ascending), made of `bars`.

    `bars` must not reach beyond the end of the last one. A larger bar without a smaller one in
    it does not exist in the result: a gap stays a gap.
    """
    starts = np.searchsorted(bars.open_time, open_times)
    filled = np.diff(starts, append=len(bars)) > 0
    starts = starts[filled]
    if not len(starts):
        return Bars.empty()
    last = np.append(starts[1:], len(bars)) - 1
    columns = np.empty((COLUMN_COUNT, len(starts)), dtype=np.int64)
    columns[OPEN] = bars.columns[OPEN, starts]
    columns[HIGH] = np.maximum.reduceat(bars.columns[HIGH], starts)
    columns[LOW] = np.minimum.reduceat(bars.columns[LOW], starts)
    columns[CLOSE] = bars.columns[CLOSE, last]
    columns[VOLUME:] = np.add.reduceat(bars.columns[VOLUME:], starts, axis=1)
    return Bars(open_times[filled], columns)


def seen_at(bars: Bars, now_ms: int, length_ms: int) -> Bars:
    """What of `bars`, each `length_ms` long, can be seen at `now_ms`: the last one as it forms."""
    visible = bars.slice(0, int(np.searchsorted(bars.open_time, now_ms, side="right")))
    if not len(visible):
        return visible
    elapsed_ms = now_ms - int(visible.open_time[-1])
    if elapsed_ms >= length_ms:
        return visible
    columns = visible.columns.copy()
    columns[:, -1] = formed_so_far(columns[:, -1].tolist(), elapsed_ms, length_ms)
    return Bars(visible.open_time, columns)


def formed_so_far(bar: Sequence[int], elapsed_ms: int, length_ms: int) -> list[int]:
    """The nine columns of a bar as they stand `elapsed_ms` after its opening.

    The price walks in straight lines from the open to the extreme that lies against the bar's
    direction, to the other extreme and to the close, where it is in the bar's last millisecond.
    """
    opening, high, low, close = bar[OPEN], bar[HIGH], bar[LOW], bar[CLOSE]
    first, second = (low, high) if close >= opening else (high, low)
    corners = (
        (0, opening),
        (length_ms * 3 // 10, first),
        (length_ms * 7 // 10, second),
        (length_ms - 1, close),
    )
    passed = [price for time_ms, price in corners if time_ms <= elapsed_ms]
    price = _price_on_path(corners, elapsed_ms)
    activity = [total * (elapsed_ms + 1) // length_ms for total in bar[VOLUME:]]
    return [opening, max(*passed, price), min(*passed, price), price, *activity]


def _price_on_path(corners: Sequence[tuple[int, int]], elapsed_ms: int) -> int:
    """The price on the line between the corners around `elapsed_ms`, rounded to a tick."""
    for (start_ms, start), (end_ms, end) in pairwise(corners):
        if elapsed_ms < end_ms:
            doubled_span = 2 * (end_ms - start_ms)
            doubled_rise = 2 * (end - start) * (elapsed_ms - start_ms)
            return start + (doubled_rise + doubled_span // 2) // doubled_span
    return corners[-1][1]
