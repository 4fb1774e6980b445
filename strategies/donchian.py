"""Donchian channels: buys new highs, as the turtles did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from domain import FloatArray, KlineSeries
from indicators import highest, lowest
from strategies.base import PositionParams, Signals, Strategy


class DonchianParams(PositionParams):
    """Lengths are in bars, the bar that breaks out not counted."""

    entry: int = Field(
        20, ge=2, le=2000, title="Entry channel", description="Buy above the high of so many bars"
    )
    exit: int = Field(
        10, ge=2, le=2000, title="Exit channel", description="Close below the low of so many bars"
    )
    allow_short: bool = Field(False, description="Enter short below the low of the entry's bars")

    @model_validator(mode="after")
    def _exit_is_no_longer(self) -> DonchianParams:
        if self.exit > self.entry:
            raise PydanticCustomError("exit_above_entry", "exit must not be larger than entry")
        return self


class Donchian(Strategy):
    """Long from a close above the channel of the bars before to one below their shorter channel.

    Enters long at the close of a bar that closes above the highest high of the `entry` bars before
    it; closes at one that closes below the lowest low of the `exit` bars before it. When shorts are
    allowed, the same upside down.
    """

    key = "donchian"
    name = "Donchian breakout"
    description = (
        "Buys a close above the highest high of the bars before, closes below the lowest low of "
        "fewer bars; may go short the same way."
    )
    Params = DonchianParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.lengths = cast(DonchianParams, self.params)

    @property
    def history_bars(self) -> int:
        """The channel and the bar that may break out of it."""
        return self.lengths.entry + 1

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """Closes beyond the channels of the bars before."""
        close, lengths = klines.close, self.lengths
        below = close < _before(lowest(klines.low, lengths.entry))
        none = Signals.none(len(klines)).enter_short
        return Signals(
            enter_long=close > _before(highest(klines.high, lengths.entry)),
            enter_short=below if lengths.allow_short else none,
            close=close < _before(lowest(klines.low, lengths.exit)),
            close_short=close > _before(highest(klines.high, lengths.exit)),
        )


def _before(values: FloatArray) -> FloatArray:
    """What stood at the bar before; NaN, which nothing is beyond, at the first."""
    shifted = np.full(len(values), np.nan)
    shifted[1:] = values[:-1]
    return shifted
