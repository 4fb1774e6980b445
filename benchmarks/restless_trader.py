"""A trader that never sits still, so that a wrong price has every chance to be booked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast

from domain import AccountInfo, Decision, Decisions, MarketState, Portfolio, Signal
from strategies import RuleTrader, registry
from strategies.base import StrategyParams


class RestlessTrader(RuleTrader):
    """Enters every coin that it does not hold and closes every coin that it holds, each time."""

    key = "restless"
    name = "Restless"
    description = "Enters and closes everything at every cycle."
    Params = StrategyParams

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """One decision for every coin that it is shown."""
        weight = Decimal(1) / Decimal(2 * max(len(self.coins), 1))
        return {
            coin: Decision(Signal.CLOSE_POSITION)
            if coin in portfolio.positions
            else Decision(Signal.BUY_TO_ENTER, weight=weight)
            for coin in market_state
        }


@contextmanager
def known() -> Iterator[None]:
    """Models of this process may name it as their trader meanwhile."""
    traders = cast(dict[str, Any], registry())
    traders[RestlessTrader.key] = RestlessTrader
    try:
        yield
    finally:
        del traders[RestlessTrader.key]
