"""The account's value at every bar's close, as arrays that are painted in stretches.

Between two fills an account stands still and only prices move, so that a run notes each standing
account once; cost follows fills, and numpy does the bars.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from backtest_market import Grid
from domain import FloatArray, Position, Side
from ledger import Account

Numbers = tuple[float, float]
NOTHING: Numbers = (0.0, 0.0)


@dataclass(slots=True)
class _Stretches:
    """Stretches of bars, each with two numbers that hold from its first bar to the next one's."""

    standing: Numbers = NOTHING  # what holds where no stretch begins
    first_bars: list[int] = field(default_factory=list)
    numbers: list[Numbers] = field(default_factory=list)

    def note(self, first_bar: int, numbers: Numbers) -> None:
        """Other numbers hold from a bar on."""
        self.first_bars.append(first_bar)
        self.numbers.append(numbers)

    def paint(self, first: int, until: int) -> tuple[FloatArray, FloatArray]:
        """Both numbers at the bars first ≤ i < until; what begins there is then forgotten."""
        lengths = np.diff(np.array([first, *self.first_bars, until]))
        rows = np.array([self.standing, *self.numbers])
        if self.numbers:
            self.standing = self.numbers[-1]
            self.first_bars, self.numbers = [], []
        return np.repeat(rows[:, 0], lengths), np.repeat(rows[:, 1], lengths)


class AccountCurve:
    """Cash and value of positions at the closes of a grid's bars, from the accounts that stood.

    `cash` and `positions_value`, shape (n,), are right up to where they were last painted.
    """

    def __init__(self, grid: Grid):
        self.cash = np.zeros(len(grid))
        self.positions_value = np.zeros(len(grid))
        self.bars_in_position = 0
        self._grid = grid
        self._cash = _Stretches()
        self._positions: defaultdict[str, _Stretches] = defaultdict(_Stretches)
        self._painted = self._until = grid.first
        self._standing: Account | None = None
        self._changed: dict[
            str, None
        ] = {}  # coins in their order, since the account that stood last

    def changes(self, account: Account, coin: str, at: int) -> None:
        """`account` stood up to the close before `at`; what it holds of `coin` then changes."""
        self.stood(account, at)
        self._changed[coin] = None

    def stood(self, account: Account, until: int) -> None:
        """`account` stood at the closes from where the one before ended up to bar `until`."""
        first = self._until
        if first == until:
            return
        if account.positions:
            self.bars_in_position += until - first
        self._until = until
        if account is self._standing:
            return
        self._standing = account
        self._cash.note(first, (float(account.cash), 0.0))
        for coin in self._changed:
            self._positions[coin].note(first, _value_of(account.positions.get(coin)))
        self._changed.clear()

    def paint(self) -> None:
        """Bring the arrays up to the last bar that an account stood at."""
        first, until = self._painted, self._until
        if first == until:
            return
        self.cash[first:until], _ = self._cash.paint(first, until)
        values = self.positions_value[first:until]
        for coin, stretches in self._positions.items():
            if not stretches.numbers and stretches.standing is NOTHING:
                continue
            offset, signed_quantity = stretches.paint(first, until)
            closes = self._grid.coins[coin].close[first:until]
            held = signed_quantity != 0.0  # before its first bar a coin has no close
            values += offset + signed_quantity * np.where(held, closes, 0.0)
        self._painted = until


def _value_of(position: Position | None) -> Numbers:
    """What a position is worth, as an amount and a number of coins to be valued at their price."""
    if position is None:
        return NOTHING
    margin, cost, quantity = position.margin, position.cost, float(position.quantity)
    if position.side is Side.SHORT:
        return float(margin) + float(cost), -quantity
    return 0.0 if margin == cost else float(margin) - float(cost), quantity
