"""Limits that every entry passes before it is filled: pure, per model, with three profiles.

An entry beyond a limit is cut to it, or refused where cutting makes no sense; what was changed
and why is part of the verdict. Closing is never limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

import ledger
from domain import Decision, Portfolio
from ledger import ONE, QUANTITY_STEP, ZERO


class RiskName(StrEnum):
    """The risk profiles by name; OFF takes decisions as they are."""

    OFF = "off"
    CONSERVATIVE = "conservative"
    BALANCED = "balanced"
    AGGRESSIVE = "aggressive"


@dataclass(frozen=True, slots=True)
class RiskProfile:
    """Limits of one model; shares are of its equity at the moment of the fill."""

    max_leverage: Decimal
    max_open_positions: int
    max_position_share: Decimal  # margin of one position
    max_notional_share: Decimal  # Σ quantity · price over all positions
    max_risk_share: Decimal  # distance to the stop × quantity, where there is a stop
    min_confidence: float


PROFILES: Mapping[RiskName, RiskProfile] = {
    RiskName.CONSERVATIVE: RiskProfile(
        Decimal(2), 3, Decimal("0.15"), Decimal(1), Decimal("0.015"), 0.0
    ),
    RiskName.BALANCED: RiskProfile(
        Decimal(5), 5, Decimal("0.25"), Decimal(2), Decimal("0.03"), 0.0
    ),
    RiskName.AGGRESSIVE: RiskProfile(
        Decimal(10), 10, Decimal("0.5"), Decimal(4), Decimal("0.06"), 0.0
    ),
}


def profile_named(name: RiskName) -> RiskProfile | None:
    """The limits of a profile; None for OFF."""
    return PROFILES.get(name)


def position_scales(weights: Mapping[str, float]) -> dict[str, Decimal]:
    """Each coin's weight over the heaviest one's: what its largest position is scaled by."""
    heaviest = max(weights.values(), default=0.0)
    return {
        coin: Decimal(repr(round(weight / heaviest, 12)))
        for coin, weight in weights.items()
        if heaviest > 0
    }


def scaled(profile: RiskProfile | None, scale: Decimal) -> RiskProfile | None:
    """`profile` for a coin whose position may be `scale` (0 to 1) of the largest one."""
    if profile is None or scale == ONE:
        return profile
    return replace(profile, max_position_share=profile.max_position_share * scale)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What risk makes of an entry: the decision and quantity to fill, or why it is refused."""

    decision: Decision
    quantity: Decimal
    changes: tuple[str, ...] = ()
    refusal: str | None = None


@ledger.exact
def judge_entry(
    profile: RiskProfile | None,
    coin: str,
    decision: Decision,
    price: Decimal,
    portfolio: Portfolio,
    fee_rate: Decimal,
) -> Verdict:
    """Resolve an entry's size at `price` and hold it to `profile`."""
    refusal = _nonsense(decision, price)
    if refusal is None and profile is not None:
        refusal = _refusal(profile, coin, decision, portfolio)
    if refusal is not None:
        return Verdict(decision, ZERO, refusal=refusal)
    changes: list[str] = []
    if profile is not None and decision.leverage > profile.max_leverage:
        changes.append("max_leverage")
        decision = replace(decision, leverage=profile.max_leverage)
    quantity = ledger.entry_quantity(decision, price, portfolio.total_value, fee_rate)
    limits = _largest_quantities(profile, coin, decision, price, portfolio) if profile else {}
    for limit, most in limits.items():
        if quantity > most:
            changes.append(limit)
            quantity = max(most, ZERO).quantize(QUANTITY_STEP, rounding=ROUND_DOWN)
            if not quantity:
                return Verdict(decision, ZERO, tuple(changes), refusal=limit)
    if decision.weight is not None:
        affordable = _affordable_quantity(decision, price, portfolio.cash, fee_rate)
        if affordable < quantity <= 2 * affordable:
            changes.append("available_cash")
            quantity = affordable
    return Verdict(decision, quantity, tuple(changes))


def _affordable_quantity(
    decision: Decision, price: Decimal, cash: Decimal, fee_rate: Decimal
) -> Decimal:
    """What all of the cash would buy.

    A share of the equity can be more than the cash that is left, when the other positions have
    grown. Down to half of what it asks for such an entry is cut to the cash; below, the ledger
    refuses it, so that no crumbs are bought.
    """
    return ledger.entry_quantity(replace(decision, weight=ONE), price, cash, fee_rate)


def _nonsense(decision: Decision, price: Decimal) -> str | None:
    """A stop or target on the wrong side of the price would close at once: no order."""
    side = decision.side
    if side is None:
        return "not_an_entry"
    if decision.leverage < ONE:
        return "invalid_leverage"
    if decision.stop_loss is not None and side.sign * (price - decision.stop_loss) <= 0:
        return "stop_on_wrong_side"
    if decision.profit_target is not None and side.sign * (decision.profit_target - price) <= 0:
        return "target_on_wrong_side"
    return None


def _refusal(
    profile: RiskProfile, coin: str, decision: Decision, portfolio: Portfolio
) -> str | None:
    if decision.confidence is not None and decision.confidence < profile.min_confidence:
        return "confidence_too_low"
    if coin not in portfolio.positions and (len(portfolio.positions) >= profile.max_open_positions):
        return "max_open_positions"
    return None


def _largest_quantities(
    profile: RiskProfile, coin: str, decision: Decision, price: Decimal, portfolio: Portfolio
) -> dict[str, Decimal]:
    """The most that each limit lets this entry add, in coin units."""
    equity = portfolio.total_value
    held = portfolio.positions.get(coin)
    margin_left = profile.max_position_share * equity - (held.margin if held else ZERO)
    notional = sum(
        (
            p.quantity * portfolio.marks.get(c, p.entry_price)
            for c, p in portfolio.positions.items()
        ),
        ZERO,
    )
    limits = {
        "max_position": margin_left * decision.leverage / price,
        "max_notional": (profile.max_notional_share * equity - notional) / price,
    }
    if decision.stop_loss is not None:
        distance = abs(price - decision.stop_loss)
        limits["max_risk"] = profile.max_risk_share * equity / distance
    return limits
