"""What every market of the simulator can answer, and the words for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np

from domain import DAY_MS
from exchange_simulator.bars import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    QUOTE_VOLUME,
    TRADES,
    VOLUME,
    Bars,
)

QUOTE_DECIMALS = 4
NOT_A_NUMBER = int(np.iinfo(np.int64).min)  # a price that is none, in ticks


def fixed_point_text(units: int, decimals: int, places: int = 8) -> str:
    """`units` of 10^-`decimals` as exact decimal text with `places` digits after the point."""
    if units < 0:
        return "NaN" if units == NOT_A_NUMBER else "-" + fixed_point_text(-units, decimals, places)
    digits = str(units * 10 ** (places - decimals)).zfill(places + 1)
    return f"{digits[:-places]}.{digits[-places:]}"


@dataclass(frozen=True, slots=True)
class Listing:
    """A pair that is traded: its grid of prices and quantities, and since when.

    A tick is 10^-`price_decimals` of the quote asset, a lot 10^-`quantity_decimals` of the base.
    """

    base: str
    name: str
    price_decimals: int
    quantity_decimals: int
    listed_ms: int
    delisted_ms: int | None = None
    quote: str = "USDT"
    min_notional: Decimal = Decimal(5)

    @property
    def symbol(self) -> str:
        """The pair by Binance's name."""
        return self.base + self.quote

    def is_trading(self, now_ms: int) -> bool:
        """Whether it is listed at `now_ms` and not delisted yet."""
        return self.listed_ms <= now_ms and (self.delisted_ms is None or now_ms < self.delisted_ms)

    def price_text(self, ticks: int) -> str:
        """A price with 8 decimals."""
        return fixed_point_text(ticks, self.price_decimals)

    def price_float(self, ticks: int) -> float:
        """A price as the nearest float."""
        return math.nan if ticks == NOT_A_NUMBER else ticks / 10**self.price_decimals

    def quantity_text(self, lots: int) -> str:
        """A quantity with 8 decimals."""
        return fixed_point_text(lots, self.quantity_decimals)


@dataclass(frozen=True, slots=True)
class RollingDay:
    """The 24 hours up to now of one pair: prices in ticks, volume in lots."""

    open_time: int
    close_time: int
    open: int
    high: int
    low: int
    last: int
    volume: int
    quote_volume: int  # in 10^-QUOTE_DECIMALS of the quote asset
    trades: int


class Market(Protocol):
    """A market as it can be seen at a moment: never a price from after `now_ms`."""

    @property
    def kind(self) -> str:
        """`generated` or `replayed`."""

    def listings(self, now_ms: int) -> Mapping[str, Listing]:
        """The pairs that have been listed by `now_ms`, by symbol."""

    def bars_from(
        self, symbol: str, interval: str, start_ms: int, end_ms: int, limit: int, now_ms: int
    ) -> Bars:
        """The first `limit` bars with start_ms ≤ open_time ≤ end_ms.

        Raises UnsupportedInterval; KeyError for a symbol that the market does not have.
        """

    def bars_until(self, symbol: str, interval: str, end_ms: int, limit: int, now_ms: int) -> Bars:
        """The last `limit` bars with open_time ≤ end_ms. Raises like `bars_from`."""

    def price(self, symbol: str, now_ms: int) -> int:
        """The last price in ticks, of a pair that has been listed by now."""

    def rolling_day(self, symbol: str, now_ms: int) -> RollingDay:
        """The last 24 hours of a pair that has been listed by now."""


def summarise_day(bars: Bars, last_price: int, now_ms: int) -> RollingDay:
    """24-hour figures of the small `bars` that were seen in them.

    Without any (an outage, a delisted pair) the last price stands still and nothing was traded.
    """
    if not len(bars):
        prices = (last_price, last_price, last_price)
    else:
        prices = (
            int(bars.columns[OPEN, 0]),
            int(bars.columns[HIGH].max()),
            int(bars.columns[LOW].min()),
        )
        last_price = int(bars.columns[CLOSE, -1])
    totals = np.sum(bars.columns, axis=1)
    return RollingDay(
        now_ms - DAY_MS,
        now_ms,
        *prices,
        last_price,
        int(totals[VOLUME]),
        int(totals[QUOTE_VOLUME]),
        int(totals[TRADES]),
    )
