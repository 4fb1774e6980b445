"""The account's value at every bar's close, as arrays that are painted in stretches.

Between two fills an account stands still and only prices move, so that a run notes each change of
its account once; cost follows fills, and numpy does the bars.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from backtest_market import Grid
from domain import FloatArray, Position, Side
from ledger import Account

LONG = Side.LONG


@dataclass(slots=True)
class _Held:
    """A coin's position: what stands where it was last painted, and its changes since, by bar.

    It is worth `amount` and `quantity` (signed) at the coin's price.
    """

    amount: float = 0.0
    quantity: float = 0.0
    bars: list[int] = field(default_factory=list)
    positions: list[Position | None] = field(default_factory=list)


class AccountCurve:
    """Cash and value of positions at the closes of a grid's bars, from the accounts that stood.

    `cash` and `positions_value`, shape (n,), are right up to where they were last painted;
    `cash_after` is the cash after every change.
    """

    def __init__(self, grid: Grid, initial_capital: float):
        self.cash = np.zeros(len(grid))
        self.positions_value = np.zeros(len(grid))
        self.bars_in_position = 0
        self.cash_after: list[float] = []
        self._grid = grid
        self._standing_cash = initial_capital
        self._bars: list[int] = []  # of the changes that are not painted yet
        self._held: defaultdict[str, _Held] = defaultdict(_Held)
        self._painted = self._changed_at = grid.first
        self._in_position = False

    def change(self, account: Account, coin: str, position: Position | None, at: int) -> None:
        """`account` stands at the closes from the bar `at` on; its cash is new, and `position`."""
        if self._in_position:
            self.bars_in_position += at - self._changed_at
        self._changed_at = at
        self._in_position = bool(account.positions)
        self._bars.append(at)
        self.cash_after.append(float(account.cash))
        held = self._held[coin]
        held.bars.append(at)
        held.positions.append(position)

    def paint(self, until: int) -> None:
        """Bring the arrays up to the bar `until`, which no change may lie behind."""
        if self._in_position:
            self.bars_in_position += until - self._changed_at
        first, self._painted, self._changed_at = self._painted, until, until
        if first == until:
            return
        changes = len(self._bars)
        amounts = [self._standing_cash, *self.cash_after[len(self.cash_after) - changes :]]
        self.cash[first:until] = _steps(first, self._bars, until, amounts)
        self._standing_cash = amounts[-1]
        self._bars.clear()
        for coin, held in self._held.items():
            if held.bars or held.amount or held.quantity:
                self._paint_position(coin, held, first, until)

    def _paint_position(self, coin: str, held: _Held, first: int, until: int) -> None:
        worths = [_worth_of(position) for position in held.positions]
        amounts = [held.amount, *(amount for amount, _ in worths)]
        quantities = [held.quantity, *(quantity for _, quantity in worths)]
        values = self.positions_value[first:until]
        if any(amounts):
            values += _steps(first, held.bars, until, amounts)
        worth = _steps(first, held.bars, until, quantities)
        closes = self._grid.coins[coin].close[first:until]
        # Before its first bar a coin has no close, and is not held.
        values += np.multiply(worth, closes, out=worth, where=worth != 0.0)
        held.amount, held.quantity = amounts[-1], quantities[-1]
        held.bars.clear()
        held.positions.clear()


def _steps(first: int, bars: list[int], until: int, numbers: list[float]) -> FloatArray:
    """The first number from the bar `first` on, each other one from its bar in `bars` on."""
    return np.repeat(np.array(numbers), np.diff(np.array([first, *bars, until])))


def _worth_of(position: Position | None) -> tuple[float, float]:
    """What a position is worth, as an amount and a number of coins to be valued at their price."""
    if position is None:
        return 0.0, 0.0
    margin, cost, quantity = position.margin, position.cost, float(position.quantity)
    if position.side is not LONG:
        return float(margin) + float(cost), -quantity
    return 0.0 if margin == cost else float(margin) - float(cost), quantity
