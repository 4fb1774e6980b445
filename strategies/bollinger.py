"""Bollinger bands: buys a fall that has gone far, sells at the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import Field

from domain import KlineSeries
from indicators import bollinger_bands
from strategies.base import PositionParams, Signals, Strategy, crosses_above


class BollingerParams(PositionParams):
    """The bands are so many standard deviations around the mean of so many closes."""

    length: int = Field(20, ge=2, le=500, description="Bars of the mean and its bands")
    width: float = Field(2.0, ge=1, le=10, description="Standard deviations from mean to band")
    allow_short: bool = Field(False, description="Enter short where it falls back below the upper")


class Bollinger(Strategy):
    """Long from where the close comes back above the lower band to where it passes the mean.

    Enters long at the close of a bar t with close[t] > lower[t], close[t−1] ≤ lower[t−1] and
    close[t] < mean[t]; closes where close[t] > mean[t] and close[t−1] ≤ mean[t−1]. When shorts
    are allowed, the same upside down: in at the upper band, out where it passes below the mean.
    """

    key = "bollinger"
    name = "Bollinger bands"
    description = (
        "Buys where the price comes back above the lower band, closes at the mean; may go short "
        "at the upper band."
    )
    Params = BollingerParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.band = cast(BollingerParams, self.params)

    @property
    def history_bars(self) -> int:
        """The bands of the last bar and of the one before."""
        return self.band.length + 1

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """Crosses of the closes with their bands and mean."""
        close = klines.close
        lower, mean, upper = bollinger_bands(close, self.band.length, self.band.width)
        buy = crosses_above(close, lower) & (close < mean)
        sell = crosses_above(upper, close) & (close > mean)
        none = Signals.none(len(klines)).enter_short
        return Signals(
            buy,
            sell if self.band.allow_short else none,
            close=crosses_above(close, mean),
            close_short=crosses_above(mean, close),
        )
