"""MACD: follows the momentum of two exponential averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from domain import KlineSeries
from indicators import SPANS_TO_FORGET, macd
from strategies.base import PositionParams, Signals, Strategy, crosses_above


class MacdParams(PositionParams):
    """Lengths are in bars."""

    fast: int = Field(12, ge=2, le=500, description="Bars of the fast average")
    slow: int = Field(26, ge=3, le=500, description="Bars of the slow average")
    signal: int = Field(9, ge=2, le=200, title="Signal line", description="Bars of the signal line")
    allow_short: bool = Field(False, description="Enter short where it sells")

    @model_validator(mode="after")
    def _fast_is_faster(self) -> MacdParams:
        if self.fast >= self.slow:
            raise PydanticCustomError("fast_not_below_slow", "fast must be smaller than slow")
        return self


class MacdCross(Strategy):
    """Long from where the MACD line crosses above its signal line to where it crosses below.

    The line is EMA(fast) − EMA(slow) of the closes, the signal line the line's EMA, h the line
    less the signal line: enters long at the close of a bar t with h[t] > 0 and h[t−1] ≤ 0; closes
    where h[t] < 0 and h[t−1] ≥ 0, and enters short there when allowed.
    """

    key = "macd"
    name = "MACD"
    description = (
        "Buys where the MACD line crosses above its signal line, closes where it crosses below; "
        "may go short there."
    )
    Params = MacdParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.lengths = cast(MacdParams, self.params)

    @property
    def history_bars(self) -> int:
        """Until the averages, and then the average of their distance, have forgotten their start."""
        return SPANS_TO_FORGET * (self.lengths.slow + self.lengths.signal)

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """Crosses of the histogram with zero."""
        lengths = self.lengths
        histogram = macd(klines.close, lengths.fast, lengths.slow, lengths.signal).histogram
        zero = np.zeros(len(histogram))
        buy, sell = crosses_above(histogram, zero), crosses_above(zero, histogram)
        none = Signals.none(len(klines)).enter_short
        return Signals(buy, sell if lengths.allow_short else none, close=sell, close_short=buy)
