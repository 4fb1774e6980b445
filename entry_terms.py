"""What a model's entries are held to in one cycle, before risk and ledger see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from domain import Instrument
from ledger import ONE
from paper_execution import ExecutionRules
from risk import position_scales, scaled


@dataclass(frozen=True, slots=True)
class EntryTerms:
    """What entries are held to in one cycle: which coins, how large, on which grid.

    `shares` are the pool's normalised weights; `instruments` None where no venue told its rules;
    `halted` coins trade on none of their venues any more.
    """

    shares: Mapping[str, float]
    instruments: Mapping[str, Instrument] | None
    halted: frozenset[str]

    def refusal(self, coin: str) -> str | None:
        """Why a coin may not be entered; closing it is always allowed."""
        if coin not in self.shares:
            return "not_in_pool"
        if coin in self.halted:
            return "not_trading"
        return "instrument_unknown" if self.instruments is None else None

    def instrument(self, coin: str) -> Instrument | None:
        """The venue's rules for a coin, where they are known."""
        return None if self.instruments is None else self.instruments.get(coin)

    def rules(self, coin: str, rules: ExecutionRules) -> ExecutionRules:
        """`rules` with the position limit scaled by the coin's weight over the heaviest."""
        scale = position_scales(self.shares).get(coin, ONE)
        return replace(rules, risk=scaled(rules.risk, scale))
