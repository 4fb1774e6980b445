"""Buy once, hold to the end: the benchmark that every trader has to beat."""

from __future__ import annotations

import numpy as np

from domain import KlineSeries
from strategies.base import Signals, Strategy


class BuyAndHold(Strategy):
    """Enters long at the first bar it sees and never sells."""

    key = "buy_and_hold"
    name = "Buy and hold"
    description = "Buys every coin of the pool in equal parts at once and never sells."

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """An entry on every bar: only the first finds no position."""
        none = Signals.none(len(klines))
        return Signals(np.ones(len(klines), dtype=np.bool_), none.enter_short, none.close)
