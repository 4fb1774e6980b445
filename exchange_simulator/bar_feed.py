"""The bars of one series as a stream has them: each exactly once as closed, and the open one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exchange_simulator.bars import Bars

BARS_A_BEAT = 1000

# Bars from an open time on (at most so many), as they are seen at a moment.
BarsSince = Callable[[int, int, int], Bars]


class BarFeed:
    """A `Feed` whose position is the open time of the first bar that has not been sent as closed.

    `seen` is the moment at which the venue sees the market. `write` makes the message of one bar:
    its open time, its nine columns, whether it has closed, and the moment.
    """

    def __init__(
        self,
        seen: Callable[[int], int],
        floor: Callable[[int], int],
        end: Callable[[int], int],
        bars_since: BarsSince,
        write: Callable[[int, list[int], bool, int], str],
    ):
        self._seen = seen
        self._floor = floor
        self._end = end
        self._bars_since = bars_since
        self._write = write

    def start(self, now_ms: int) -> int:
        """The bar that is open now is the first."""
        return self._floor(self._seen(now_ms))

    def due(self, position: int, now_ms: int) -> tuple[list[str], int]:
        """Every bar that has closed since `position`, and the open one; long arrears in parts."""
        texts, seen_ms = [], self._seen(now_ms)
        for open_ms, column in _each(self._bars_since(position, BARS_A_BEAT, seen_ms)):
            has_closed = self._end(open_ms) <= seen_ms
            texts.append(self._write(open_ms, column, has_closed, now_ms))
            position = self._end(open_ms) if has_closed else open_ms
        return texts, position


def _each(bars: Bars) -> Iterator[tuple[int, list[int]]]:
    return zip(bars.open_time.tolist(), bars.columns.T.tolist(), strict=True)
