"""OKX's bars: their names, when they open, and how they are made of a market's.

Up to four hours the names say the length. From six hours on a plain name (`1D`) opens by the
clock of Hong Kong, UTC+8, and one that ends in `utc` (`1Dutc`) by UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from domain import DAY_MS, FIRST_MONDAY_MS, HOUR_MS, MINUTE_MS, WEEK_MS
from exchange_simulator.bars import Bars, aggregate
from exchange_simulator.market import Market

HONG_KONG_MS = 8 * HOUR_MS


@dataclass(frozen=True, slots=True)
class BarLength:
    """A kind of bar: its length, and a moment at which one opens.

    `interval` is the market's own name for it; a kind that opens by Hong Kong's clock has none.
    """

    milliseconds: int
    origin_ms: int
    interval: str | None

    def floor(self, time_ms: int) -> int:
        """The open time of the bar that holds `time_ms`."""
        return time_ms - (time_ms - self.origin_ms) % self.milliseconds


def last_bars(
    market: Market, symbol: str, bar: BarLength, end_ms: int, count: int, now_ms: int
) -> Bars:
    """The last `count` bars with open_time ≤ end_ms, ascending. Raises like `Market.bars_until`."""
    if bar.interval is not None:
        return market.bars_until(symbol, bar.interval, end_ms, count, now_ms)
    last = bar.floor(min(end_ms, now_ms))
    opens = last - np.arange(count - 1, -1, -1, dtype=np.int64) * bar.milliseconds
    hours = count * bar.milliseconds // HOUR_MS
    end_ms = last + bar.milliseconds - 1
    return aggregate(market.bars_from(symbol, "1h", int(opens[0]), end_ms, hours, now_ms), opens)


def bars_since(
    market: Market, symbol: str, bar: BarLength, start_ms: int, count: int, now_ms: int
) -> Bars:
    """The first `count` bars with open_time ≥ start_ms, an open time, up to the open one."""
    if bar.interval is not None:
        return market.bars_from(symbol, bar.interval, start_ms, now_ms, count, now_ms)
    bars = (bar.floor(now_ms) - start_ms) // bar.milliseconds + 1
    if bars < 1:
        return Bars.empty()
    last_ms = start_ms + (min(bars, count) - 1) * bar.milliseconds
    return last_bars(market, symbol, bar, last_ms, min(bars, count), now_ms)


def _lengths() -> dict[str, BarLength]:
    lengths = {}
    for minutes in (1, 3, 5, 15, 30):
        lengths[f"{minutes}m"] = BarLength(minutes * MINUTE_MS, 0, f"{minutes}m")
    for hours in (1, 2, 4):
        lengths[f"{hours}H"] = BarLength(hours * HOUR_MS, 0, f"{hours}h")
    for name, length_ms, origin_ms, interval in (
        ("6H", 6 * HOUR_MS, 0, "6h"),
        ("12H", 12 * HOUR_MS, 0, "12h"),
        ("1D", DAY_MS, 0, "1d"),
        ("1W", WEEK_MS, FIRST_MONDAY_MS, "1w"),
    ):
        lengths[name] = BarLength(length_ms, origin_ms - HONG_KONG_MS, None)
        lengths[f"{name}utc"] = BarLength(length_ms, origin_ms, interval)
    return lengths


BAR_LENGTHS = _lengths()
