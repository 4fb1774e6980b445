"""RSI: buys what comes back from having been sold too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from domain import KlineSeries
from indicators import WILDER_LENGTHS_TO_FORGET, relative_strength_index
from strategies.base import PositionParams, Signals, Strategy, crosses_above


class RsiParams(PositionParams):
    """Levels are on the RSI's scale of 0 to 100."""

    length: int = Field(14, ge=2, le=200, description="Bars that the indicator looks back")
    oversold: float = Field(30.0, ge=1, le=99, description="Buy where the RSI rises above this")
    overbought: float = Field(70.0, ge=1, le=99, description="Sell where the RSI falls below this")
    allow_short: bool = Field(False, description="Enter short where it sells")

    @model_validator(mode="after")
    def _levels_in_order(self) -> RsiParams:
        if self.oversold >= self.overbought:
            raise PydanticCustomError(
                "oversold_not_below_overbought", "oversold must be smaller than overbought"
            )
        return self


class Rsi(Strategy):
    """Long from where the RSI leaves the oversold zone to where it leaves the overbought one.

    With r Wilder's RSI of the closes: enters long at the close of a bar t with r[t] > oversold and
    r[t−1] ≤ oversold; closes where r[t] < overbought and r[t−1] ≥ overbought. When shorts are
    allowed it turns at each of the two.
    """

    key = "rsi"
    name = "RSI"
    description = (
        "Buys where the relative strength index rises out of the oversold zone, closes where it "
        "falls out of the overbought zone; may go short there."
    )
    Params = RsiParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.levels = cast(RsiParams, self.params)

    @property
    def history_bars(self) -> int:
        """Until Wilder's averages have forgotten their start."""
        return WILDER_LENGTHS_TO_FORGET * self.levels.length

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """Crosses of the RSI of closes with its two levels."""
        levels = self.levels
        rsi = relative_strength_index(klines.close, levels.length)
        buy = crosses_above(rsi, np.full(len(rsi), levels.oversold))
        sell = crosses_above(np.full(len(rsi), levels.overbought), rsi)
        none = Signals.none(len(klines)).enter_short
        return Signals(buy, sell if levels.allow_short else none, close=sell, close_short=buy)
