"""The monkey: enters and closes at random, the same for the same seed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import Field

from domain import FloatArray, KlineSeries, TimeArray
from strategies.base import PositionParams, Signals, Strategy


class RandomTraderParams(PositionParams):
    """Chances are per bar and coin."""

    seed: int = Field(1, ge=0, le=2**32 - 1, description="The same seed gives the same decisions")
    enter_chance: float = Field(0.05, ge=0, le=1, description="Chance of an entry while flat")
    close_chance: float = Field(0.05, ge=0, le=1, description="Chance of a close while in position")
    allow_short: bool = Field(False, description="Half of the entries are short")


class RandomTrader(Strategy):
    """Draws for every bar from a hash of (seed, coin, open time), so that any window agrees."""

    key = "random"
    name = "Random (monkey)"
    description = "Enters and closes at random: what luck alone would have made."
    Params = RandomTraderParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.chances = cast(RandomTraderParams, self.params)

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """Entries and closes by three independent draws a bar."""
        chances = self.chances
        enter = self._draw(coin, "enter", klines.open_time) < chances.enter_chance
        close = self._draw(coin, "close", klines.open_time) < chances.close_chance
        if not chances.allow_short:
            return Signals(enter & ~close, Signals.none(len(klines)).enter_short, close)
        short = self._draw(coin, "side", klines.open_time) < 0.5
        return Signals(enter & ~close & ~short, enter & ~close & short, close)

    def _draw(self, coin: str, purpose: str, open_time: TimeArray) -> FloatArray:
        """Uniform numbers in [0, 1), one a bar."""
        stream = zlib.crc32(f"{self.chances.seed}/{coin}/{purpose}".encode())
        mixed = _splitmix64(open_time.astype(np.uint64) ^ np.uint64(stream << 20))
        return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def _splitmix64(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014); overflow wraps, as it should."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
