"""Dollar-cost averaging: the same amount every so often, whatever the price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from pydantic import Field

from domain import AccountInfo, Decision, Decisions, MarketState, Portfolio, Signal
from ledger import EXACT
from strategies.base import RuleTrader, StrategyParams, is_due


class DcaParams(StrategyParams):
    """How much, how often."""

    share: float = Field(
        0.02,
        gt=0,
        le=1,
        description="Share of the initial capital to spend each time, split equally among the coins",
    )
    every_bars: int = Field(24, ge=1, le=10_000, description="Bars from one purchase to the next")
    leverage: float = Field(1.0, ge=1, le=125, description="Leverage of every entry")


class DollarCostAveraging(RuleTrader):
    """Buys every coin for a fixed amount every `every_bars` bars and never sells.

    The amount, in margin, is `share` × initial capital / coins; at leverage 1 it is what is bought.
    It buys at the first bar it sees and then on whole multiples of `every_bars` bars since 1970
    (with 24 hourly bars: at midnight UTC). A purchase that the cash does not cover is left out.
    """

    key = "dca"
    name = "Dollar-cost averaging"
    description = "Buys for the same amount at regular times and never sells."
    Params = DcaParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        super().__init__(coins, params)
        self.plan = cast(DcaParams, self.params)

    @property
    def history_bars(self) -> int:
        """The last bar, and the one before it to tell whether a bar is missing between."""
        return 2

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """An entry for every coin whose turn it is, as far as the cash reaches."""
        share = Decimal(repr(self.plan.share))
        leverage = Decimal(repr(self.plan.leverage))
        amount = EXACT.divide(share * account_info.initial_capital, Decimal(len(self.coins) or 1))
        cash = portfolio.cash
        decisions: dict[str, Decision] = {}
        for coin in self.coins:
            market = market_state.get(coin)
            if market is None or not len(market.klines) or cash < amount:
                continue
            if is_due(market.klines, self.plan.every_bars, account_info.previous_time_ms):
                cash -= amount
                decisions[coin] = Decision(
                    Signal.BUY_TO_ENTER,
                    notional=EXACT.multiply(amount, leverage),
                    leverage=leverage,
                    justification=self.name,
                )
        return decisions
