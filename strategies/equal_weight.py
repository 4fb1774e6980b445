"""Equal weight: every coin in equal parts, put right again every so often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from pydantic import Field

import ledger
from domain import (
    AccountInfo,
    Decision,
    Decisions,
    MarketState,
    Portfolio,
    Side,
    Signal,
)
from ledger import ONE, ZERO
from ledger import QUANTITY_STEP as STEP
from strategies.base import PositionParams, RuleTrader, is_due, seen_before


class EqualWeightParams(PositionParams):
    """How often to put the parts right, and what is right enough."""

    rebalance_bars: int = Field(
        24, ge=1, le=10_000, description="Bars from one rebalancing to the next"
    )
    tolerance: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Leave parts that are all off by no more than this share of them",
    )


class EqualWeight(RuleTrader):
    """Holds every coin of the pool long, in equal parts.

    A coin's part is `weight` × total value × `leverage` / coins, valued at the closes. A coin that
    is not held is bought at once, for its part. On whole multiples of `rebalance_bars` bars since
    1970 (with 24 hourly bars: at midnight UTC), if any position is off its part by more than
    `tolerance` of it, each that is worth more is closed by what is too much and each that is worth
    less is added to.
    """

    key = "equal_weight"
    name = "Equal weight"
    description = (
        "Holds every coin of the pool in equal parts: sells what has outgrown its part, adds to "
        "what has fallen behind."
    )
    Params = EqualWeightParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.plan = cast(EqualWeightParams, self.params)

    @property
    def history_bars(self) -> int:
        """The last bar, and the one before it to tell whether a bar is missing between."""
        return 2

    @ledger.exact
    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """What brings every coin to its part; closed bars alone decide, not the price since."""
        previous_ms = account_info.previous_time_ms
        closes = {
            coin: Decimal(repr(float(market.klines.close[-1])))
            for coin, market in market_state.items()
            if len(market.klines)
        }
        decisions: dict[str, Sequence[Decision]] = {}
        due: dict[str, Decimal] = {}
        for coin in self.coins:
            if coin not in closes or seen_before(market_state[coin].klines, previous_ms):
                continue
            position = portfolio.positions.get(coin)
            if position is None:
                decisions[coin] = [self.entry(Side.LONG)]
            elif position.side is Side.SHORT:
                decisions[coin] = [self._close(), self.entry(Side.LONG)]
            elif is_due(market_state[coin].klines, self.plan.rebalance_bars, previous_ms):
                due[coin] = position.quantity * closes[coin]
        return decisions | self._put_right(due, closes, _total_value(portfolio, closes))

    def _put_right(
        self, values: Mapping[str, Decimal], closes: Mapping[str, Decimal], total: Decimal
    ) -> dict[str, Sequence[Decision]]:
        """Partial closes and additions, if any of the `values` is off; the largest addition last.

        It is the one that is cut to the cash that fees and moves up to the fill have left.
        """
        entry = self.entry(Side.LONG)
        assert entry.weight is not None  # an entry of one's own is sized by weight
        part = entry.weight * total * entry.leverage
        excess = {coin: value - part for coin, value in values.items()}
        off = max(map(abs, excess.values()), default=ZERO)
        if total <= 0 or off <= part * Decimal(repr(self.plan.tolerance)):
            return {}
        decisions: dict[str, Sequence[Decision]] = {}
        for coin in sorted(excess, key=lambda coin: excess[coin], reverse=True):
            if excess[coin] > 0:
                decisions[coin] = [self._close((excess[coin] / closes[coin]).quantize(STEP))]
            elif excess[coin] < 0:
                missing = (-excess[coin] / entry.leverage / total).quantize(STEP)
                decisions[coin] = [replace(entry, weight=min(missing, ONE))]
        return decisions

    def _close(self, quantity: Decimal | None = None) -> Decision:
        return Decision(Signal.CLOSE_POSITION, quantity=quantity, justification=self.name)


def _total_value(portfolio: Portfolio, closes: Mapping[str, Decimal]) -> Decimal:
    """The account at the closes; a coin without one at its mark."""
    total = portfolio.cash
    for coin, position in portfolio.positions.items():
        mark = closes.get(coin, portfolio.marks.get(coin, position.entry_price))
        total += ledger.position_value(position, mark)
    return total
