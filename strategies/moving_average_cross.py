"""The yardstick: a fast moving average crossing a slow one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from domain import KlineSeries
from indicators import SPANS_TO_FORGET, exponential_moving_average, simple_moving_average
from strategies.base import PositionParams, Signals, Strategy, crosses_above


class MovingAverageCrossParams(PositionParams):
    """Lengths are in bars."""

    fast: int = Field(20, ge=1, le=1000, description="Bars of the fast average")
    slow: int = Field(50, ge=2, le=2000, description="Bars of the slow average")
    kind: Literal["sma", "ema"] = Field("sma", description="Simple or exponential average")
    allow_short: bool = Field(False, description="Enter short where the fast crosses below")

    @model_validator(mode="after")
    def _fast_is_faster(self) -> MovingAverageCrossParams:
        if self.fast >= self.slow:
            raise PydanticCustomError("fast_not_below_slow", "fast must be smaller than slow")
        return self


class MovingAverageCross(Strategy):
    """Long from where the fast average crosses above the slow one to where it crosses below."""

    key = "ma_cross"
    name = "Moving average cross"
    description = (
        "Buys where the fast average crosses above the slow one, closes where it crosses below; "
        "may go short there."
    )
    Params = MovingAverageCrossParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.lengths = cast(MovingAverageCrossParams, self.params)

    @property
    def history_bars(self) -> int:
        """The slow average and the bar before it; an EMA needs its start forgotten."""
        slow = self.lengths.slow
        return slow + 1 if self.lengths.kind == "sma" else SPANS_TO_FORGET * slow

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """Crosses of the averages of closes."""
        lengths = self.lengths
        average = simple_moving_average if lengths.kind == "sma" else exponential_moving_average
        fast = average(klines.close, lengths.fast)
        slow = average(klines.close, lengths.slow)
        above, below = crosses_above(fast, slow), crosses_above(slow, fast)
        enter_short = below if lengths.allow_short else Signals.none(len(klines)).enter_short
        return Signals(above, enter_short, below)
