"""What a run holds, valued at exact prices at a cost that hardly grows with the coins.

An entry that is sized as a share of equity needs the value of all that is held, to the last digit
and as `ledger.value` gives it. Prices are whole numbers of their coin's tick and quantities of the
ledger's step, so that their products are whole numbers as well, and summing those is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from operator import mul

import numpy as np

from domain import FloatArray, Portfolio, Position, TimeArray
from exits import exact_price
from ledger import MONEY_STEP, ZERO, Account

# In digits after the point: prices and quantities are multiples of 1e-12, their products of 1e-24.
PRICE_DIGITS = QUANTITY_DIGITS = 12
LARGEST_TICKS = 10**15  # up to so many ticks a float stands for one decimal alone
SAMPLE = 50

Ticks = Callable[[int], int]  # the whole number of ticks at a grid index


class Holdings:
    """The positions of a run. `prices`, shape (n,) each, are those that its orders fill at.

    `changed` is for its caller to write: what coins' positions are since the last valuation.
    """

    def __init__(self, prices: Mapping[str, FloatArray]):
        self.changed: dict[str, Position | None] = {}
        self._prices = prices
        self._ticks: dict[str, tuple[Ticks, int]] = {}
        self._positions: dict[str, Position] = {}
        self._quantities: dict[str, int] = {}  # signed, so that times ticks they are MONEY_STEPs
        self._ticks_of_held: dict[str, Ticks] = {}
        self._margin = ZERO
        self._cost = ZERO  # signed

    def valued(self, account: Account, at: int) -> Portfolio:
        """`ledger.value` of the account whose positions these are, at the prices of grid index
        `at`. Runs with the ledger's context."""
        if not account.positions:
            return Portfolio(account.cash, account.positions, ZERO, account.cash, ZERO, ZERO)
        self._bring_up_to_date()
        ticks = [ticks_at(at) for ticks_at in self._ticks_of_held.values()]
        worth = MONEY_STEP * sum(map(mul, self._quantities.values(), ticks))
        unrealized = worth - self._cost
        positions_value = self._margin + unrealized
        return Portfolio(
            account.cash,
            account.positions,
            positions_value,
            account.cash + positions_value,
            self._margin,
            unrealized,
            _MarksAt(self._prices, at, account.positions),
        )

    def _bring_up_to_date(self) -> None:
        for coin, position in self.changed.items():
            before = self._positions.pop(coin, None)
            if before is not None:
                self._margin -= before.margin
                self._cost -= before.side.sign * before.cost
                del self._quantities[coin], self._ticks_of_held[coin]
            if position is not None:
                self._positions[coin] = position
                self._margin += position.margin
                self._cost += position.side.sign * position.cost
                ticks, digits = self._ticks_of(coin)
                step = QUANTITY_DIGITS + PRICE_DIGITS - digits
                signed = position.side.sign * position.quantity
                self._quantities[coin] = int(signed.scaleb(step))
                self._ticks_of_held[coin] = ticks
        self.changed.clear()

    def _ticks_of(self, coin: str) -> tuple[Ticks, int]:
        if coin not in self._ticks:
            self._ticks[coin] = whole_ticks(self._prices[coin])
        return self._ticks[coin]


class _MarksAt(Mapping[str, Decimal]):
    """The exact prices of what is held at one grid index, each made when it is asked for."""

    def __init__(self, prices: Mapping[str, FloatArray], at: int, held: Mapping[str, Position]):
        self._prices = prices
        self._at = at
        self._held = held

    def __getitem__(self, coin: str) -> Decimal:
        if coin not in self._held:
            raise KeyError(coin)
        return exact_price(self._prices[coin].item(self._at))

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def whole_ticks(prices: FloatArray) -> tuple[Ticks, int]:
    """`exact_price` of prices as whole numbers of 10^−digits, and those digits."""
    known = np.nan_to_num(prices)  # before its first bar a coin is not held
    for digits in range(PRICE_DIGITS + 1):
        sample = known[:: max(len(known) // SAMPLE, 1)]
        ticks = None if _in_ticks(sample, digits) is None else _in_ticks(known, digits)
        if ticks is not None:
            return ticks.data.__getitem__, digits
    return lambda at: int(exact_price(prices.item(at)).scaleb(PRICE_DIGITS)), PRICE_DIGITS


def _in_ticks(prices: FloatArray, digits: int) -> TimeArray | None:
    """The prices as numbers of 10^−digits; None unless they all are the floats of such numbers."""
    ticks = np.rint(prices * 10.0**digits)
    if np.any(np.abs(ticks) >= LARGEST_TICKS) or np.any(ticks / 10.0**digits != prices):
        return None
    return ticks.astype(np.int64)
