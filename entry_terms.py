"""What a model's entries are held to in one cycle, before risk and ledger see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from domain import Decision, Instrument
from paper_execution import ExecutionRules
from risk import position_scale, scaled


@dataclass(frozen=True, slots=True)
class EntryTerms:
    """What entries are held to in one cycle: which coins, how large, on which grid.

    `shares` are the pool's normalised weights; `instruments` None where no venue told its rules;
    `halted` coins trade on none of their venues any more; `stale` ones have no fresh price;
    `coin_ids` are the ids of the coins that there are.
    """

    shares: Mapping[str, float]
    instruments: Mapping[str, Instrument] | None
    halted: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()
    coin_ids: Mapping[str, int] = field(default_factory=dict)

    def refusal(self, coin: str, decision: Decision, has_price: bool) -> str | None:
        """Why an order may not go to the ledger at all; one that closes asks for a price alone."""
        if coin not in self.coin_ids:
            return "unknown_coin"
        if decision.side is not None:
            if coin not in self.shares:
                return "not_in_pool"
            if coin in self.halted:
                return "not_trading"
            if self.instruments is None:
                return "instrument_unknown"
            if coin in self.stale:
                return "stale_price"
        return None if has_price else "no_price"

    def instrument(self, coin: str) -> Instrument | None:
        """The venue's rules for a coin, where they are known."""
        return None if self.instruments is None else self.instruments.get(coin)

    def rules(self, coin: str, rules: ExecutionRules) -> ExecutionRules:
        """`rules` with the position limit scaled by the coin's weight over the heaviest."""
        return replace(rules, risk=scaled(rules.risk, position_scale(self.shares, coin)))
