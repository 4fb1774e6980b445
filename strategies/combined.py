"""A vote: acts where enough of the other strategies agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from domain import BoolArray, KlineSeries, Side
from strategies.base import PositionParams, Signals, Strategy
from strategies.bollinger import Bollinger
from strategies.donchian import Donchian
from strategies.macd import MacdCross
from strategies.moving_average_cross import MovingAverageCross
from strategies.rsi import Rsi

MEMBERS: tuple[type[Strategy], ...] = (MovingAverageCross, MacdCross, Rsi, Bollinger, Donchian)


class CombinedParams(PositionParams):
    """Who votes, each with its own default parameters, and what a majority is."""

    ma_cross: bool = Field(True, title=MovingAverageCross.name, description="Has a vote")
    macd: bool = Field(True, title=MacdCross.name, description="Has a vote")
    rsi: bool = Field(True, title=Rsi.name, description="Has a vote")
    bollinger: bool = Field(False, title=Bollinger.name, description="Has a vote")
    donchian: bool = Field(False, title=Donchian.name, description="Has a vote")
    votes: int = Field(2, ge=1, le=len(MEMBERS), description="How many of them must agree")
    window: int = Field(24, ge=1, le=1000, description="Bars for which a signal counts as a vote")
    allow_short: bool = Field(False, description="They may vote to go short")

    @model_validator(mode="after")
    def _enough_voters(self) -> CombinedParams:
        if self.votes > len(self.voters()):
            raise PydanticCustomError(
                "too_many_votes", "votes must not be more than there are strategies with a vote"
            )
        return self

    def voters(self) -> list[type[Strategy]]:
        """The strategies that have a vote."""
        return [member for member in MEMBERS if getattr(self, member.key)]


class _Votes(NamedTuple):
    """How many vote for and against a side, as truth of having enough, shape (n,)."""

    enough_for: BoolArray
    enough_against: BoolArray


class Combined(Strategy):
    """Holds a side while enough of its members say so.

    A member votes for long from the bar at which it enters long, and against it from the one at
    which it closes or enters short, for `window` bars or until it says otherwise; the same with
    sides exchanged for short. Enters a side where at least `votes` are for it, closes where at
    least `votes` are against it; where both have enough it does neither.
    """

    key = "combined"
    name = "Combined vote"
    description = "Enters where enough of several strategies agree, closes where as many disagree."
    Params = CombinedParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.rules = cast(CombinedParams, self.params)
        terms = {"allow_short": self.rules.allow_short}
        self.members = [member(coins, terms) for member in self.rules.voters()]

    @property
    def history_bars(self) -> int:
        """What the members need at the oldest bar whose signal still counts."""
        return max(member.history_bars for member in self.members) + self.rules.window - 1

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """Where the votes are enough."""
        said = [member.signals(coin, klines) for member in self.members]
        long, short = self._count(said, Side.LONG), self._count(said, Side.SHORT)
        return Signals(
            enter_long=long.enough_for & ~long.enough_against,
            enter_short=short.enough_for & ~short.enough_against,
            close=long.enough_against & ~long.enough_for,
            close_short=short.enough_against & ~short.enough_for,
        )

    def _count(self, said: Sequence[Signals], side: Side) -> _Votes:
        bars = len(said[0].close)
        for_it, against = np.zeros(bars, dtype=np.int64), np.zeros(bars, dtype=np.int64)
        for signals in said:
            enter, other = signals.enter_long, signals.enter_short
            if side is Side.SHORT:
                enter, other = other, enter
            entered, left = _bars_since(enter), _bars_since(signals.closes(side) | other)
            for_it += (entered < self.rules.window) & (entered <= left)
            against += (left < self.rules.window) & (left < entered)
        return _Votes(for_it >= self.rules.votes, against >= self.rules.votes)


def _bars_since(happened: BoolArray) -> npt.NDArray[np.int64]:
    """How many bars ago it last happened (0: at this one); a lifetime where it has not."""
    bars = np.arange(len(happened))
    never = -(2**40)
    return bars - np.maximum.accumulate(np.where(happened, bars, never))
