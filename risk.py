"""Limits that every entry passes before it is filled: pure, per model.

An entry beyond a limit is cut to it, or refused where cutting makes no sense; what was asked, what
is allowed and which limit says so are part of the verdict. Closing is never limited.

Without a stop the loss that an entry risks is bounded by its margin (positions are isolated), and
that is what the limit of one position holds; the limit of the loss at the stop is for entries that
name one. An entry whose stop, target or size makes no sense is refused as a whole: what is wrong
in one number is not believed in the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from types import MappingProxyType
from typing import NamedTuple

import ledger
from domain import MINUTE_MS, Decision, Portfolio
from ledger import LARGEST_AMOUNT, ONE, QUANTITY_STEP, ZERO
from risk_limits import RiskProfile

_SIZES = ("quantity", "notional", "weight")

_entry_quantity = ledger.already_exact(ledger.entry_quantity)


def position_scales(weights: Mapping[str, float]) -> dict[str, Decimal]:
    """Each coin's weight over the heaviest one's: what its largest position is scaled by."""
    heaviest = max(weights.values(), default=0.0)
    return {
        coin: _position_scale(weight, heaviest) for coin, weight in weights.items() if heaviest > 0
    }


def position_scale(weights: Mapping[str, float], coin: str) -> Decimal:
    """The same for one coin; 1 for one that has no weight."""
    heaviest = max(weights.values(), default=0.0)
    return _position_scale(weights[coin], heaviest) if coin in weights and heaviest > 0 else ONE


def _position_scale(weight: float, heaviest: float) -> Decimal:
    return Decimal(repr(round(weight / heaviest, 12)))


def scaled(profile: RiskProfile | None, scale: Decimal) -> RiskProfile | None:
    """`profile` for a coin whose position may be `scale` (0 to 1) of the largest one."""
    if profile is None or scale == ONE:
        return profile
    return replace(profile, max_position_share=profile.max_position_share * scale)


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What an account has lived through, as far as limits ask.

    `closed_at` is when each coin was last closed; `loss_limit` the limit of loss that holds now.
    """

    time_ms: int = 0
    closed_at: Mapping[str, int] = field(default_factory=dict)
    loss_limit: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What risk made of one number of a decision: `allowed` None where nothing is."""

    asked: Decimal | None
    allowed: Decimal | None
    limit: str


Changes = Mapping[str, Change]
NO_CHANGES: Changes = MappingProxyType({})


class Verdict(NamedTuple):
    """What risk makes of an entry: the decision and quantity to fill, or why it is refused.

    `changes` are by the decision's field, and say what a refusal is about as well.
    """

    decision: Decision
    quantity: Decimal
    changes: Changes = NO_CHANGES
    refusal: str | None = None


@ledger.exact
def judge_entry(
    profile: RiskProfile | None,
    coin: str,
    decision: Decision,
    price: Decimal,
    portfolio: Portfolio,
    fee_rate: Decimal,
    record: TrackRecord,
) -> Verdict:
    """Resolve an entry's size at `price` and hold it to `profile`."""
    refusal = _nonsense(decision, price)
    if refusal is None and profile is not None:
        refusal = _refusal(profile, coin, decision, portfolio, record)
    if refusal is not None:
        reason, changes = refusal
        return Verdict(decision, ZERO, changes, refusal=reason)
    cuts: dict[str, Change] = {}
    if profile is not None and decision.leverage > profile.max_leverage:
        cuts["leverage"] = Change(decision.leverage, profile.max_leverage, "max_leverage")
        decision = replace(decision, leverage=profile.max_leverage)
    asked = _entry_quantity(decision, price, portfolio.total_value, fee_rate)
    limit, allowed = _cut_quantity(profile, coin, decision, price, portfolio, fee_rate, asked)
    if limit is not None:
        cuts["quantity"] = Change(asked, allowed, limit)
        if not allowed:
            return Verdict(decision, ZERO, cuts, refusal=limit)
    return Verdict(decision, allowed, cuts)


def _cut_quantity(
    profile: RiskProfile | None,
    coin: str,
    decision: Decision,
    price: Decimal,
    portfolio: Portfolio,
    fee_rate: Decimal,
    asked: Decimal,
) -> tuple[str | None, Decimal]:
    """The tightest limit that `asked` is beyond, and what it leaves of it."""
    limit, quantity = None, asked
    if profile is not None:
        limits = _largest_quantities(profile, coin, decision, price, portfolio)
        for name, most in limits.items():
            if quantity > most:
                limit = name
                quantity = max(most, ZERO).quantize(QUANTITY_STEP, ROUND_DOWN)
    if decision.weight is not None and decision.weight * portfolio.total_value > portfolio.cash:
        affordable = _affordable_quantity(decision, price, portfolio.cash, fee_rate)
        if affordable < quantity <= 2 * affordable:
            return "available_cash", affordable
    return limit, quantity


def _affordable_quantity(
    decision: Decision, price: Decimal, cash: Decimal, fee_rate: Decimal
) -> Decimal:
    """What all of the cash would buy.

    A share of the equity can be more than the cash that is left, when the other positions have
    grown. Down to half of what it asks for such an entry is cut to the cash; below, the ledger
    refuses it, so that no crumbs are bought.
    """
    return _entry_quantity(replace(decision, weight=ONE), price, cash, fee_rate)


_Refusal = tuple[str, dict[str, Change]]


def _nonsense(decision: Decision, price: Decimal) -> _Refusal | None:
    """What no profile lets through; a stop on the wrong side would close at once."""
    side = decision.side
    if side is None:
        return "not_an_entry", {}
    for name in _SIZES:
        size = getattr(decision, name)
        if size is not None and not (size.is_finite() and ZERO < size < LARGEST_AMOUNT):
            return _refused(name, size, "invalid_quantity")
    leverage, trailing = decision.leverage, decision.trailing_stop_pct
    if not leverage.is_finite() or leverage < ONE:
        return _refused("leverage", leverage, "invalid_leverage")
    if trailing is not None and not (trailing.is_finite() and ZERO < trailing < 100):
        return _refused("trailing_stop_pct", trailing, "invalid_trailing_stop")
    for name, level, wrong_side, sign in (
        ("stop_loss", decision.stop_loss, "stop_on_wrong_side", 1),
        ("profit_target", decision.profit_target, "target_on_wrong_side", -1),
    ):
        if level is None:
            continue
        if not (level.is_finite() and ZERO < level < LARGEST_AMOUNT):
            return _refused(name, level, f"invalid_{name}")
        if side.sign * sign * (price - level) <= 0:
            return _refused(name, level, wrong_side)
    condition = decision.invalidation_condition
    if condition is not None and condition.interval is None and condition.holds(price):
        return _refused("invalidation", condition.level, "invalidated_already")
    return None


def _refused(name: str, asked: Decimal, reason: str) -> _Refusal:
    return reason, {name: Change(asked, None, reason)}


def _refusal(
    profile: RiskProfile,
    coin: str,
    decision: Decision,
    portfolio: Portfolio,
    record: TrackRecord,
) -> _Refusal | None:
    """What cannot be cut: it may be entered, or not."""
    if record.loss_limit is not None:
        return record.loss_limit, {}
    if decision.confidence is not None and not decision.confidence >= profile.min_confidence:
        asked, least = (Decimal(repr(n)) for n in (decision.confidence, profile.min_confidence))
        change = Change(asked, least, "min_confidence")
        return "confidence_too_low", {"confidence": change}
    if coin in portfolio.positions:
        return None
    if len(portfolio.positions) >= profile.max_open_positions:
        most = Decimal(profile.max_open_positions)
        change = Change(Decimal(len(portfolio.positions) + 1), most, "max_open_positions")
        return "max_open_positions", {"open_positions": change}
    closed_at = record.closed_at.get(coin, record.time_ms + 1)
    cool_down_ms = profile.cool_down_minutes * MINUTE_MS
    if 0 <= record.time_ms - closed_at < cool_down_ms:  # not where the clock was set back since
        minutes = Decimal(record.time_ms - closed_at) / MINUTE_MS
        least = Decimal(profile.cool_down_minutes)
        return "cool_down", {"minutes_since_close": Change(minutes, least, "cool_down_minutes")}
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
    distance = _distance_to_stop(decision, price)
    if distance is not None:
        limits["max_risk"] = profile.max_risk_share * equity / distance
    return limits


def _distance_to_stop(decision: Decision, price: Decimal) -> Decimal | None:
    """How far the price may go against the entry before the nearer of its stops is reached."""
    distances = []
    if decision.stop_loss is not None:
        distances.append(abs(price - decision.stop_loss))
    if decision.trailing_stop_pct is not None:
        distances.append(price * decision.trailing_stop_pct / 100)
    return min(distances, default=None)
