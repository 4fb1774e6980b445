"""From a decision to a booked fill: the one path that the live engine and the backtest share.

decision → size and risk at the fill's price → lot size and minimum notional → slippage and fee →
ledger. Pure: it is given prices and times. A refusal is a result with a stable reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

import ledger
from domain import (
    Decision,
    Decisions,
    Entry,
    Exits,
    Fill,
    FillKind,
    Instrument,
    Position,
    Reason,
    Side,
    Signal,
)
from errors import OrderRefused
from exits import ExitHit
from ledger import ZERO, Account
from risk import Change, Changes, TrackRecord, judge_entry
from risk_limits import RiskProfile

# What is left of an account after a loss of everything is not traded with.
SMALLEST_NOTIONAL = Decimal("0.000001")
NOTHING_LIVED_THROUGH = TrackRecord()


@dataclass(frozen=True, slots=True)
class ExecutionRules:
    """What an order costs and what holds it back."""

    fee_rate: Decimal
    slippage_bps: Decimal = ZERO
    risk: RiskProfile | None = None
    maintenance_margin_rate: Decimal | None = ledger.DEFAULT_MAINTENANCE_MARGIN_RATE
    liquidation_fee_rate: Decimal = ledger.DEFAULT_LIQUIDATION_FEE_RATE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one decision, why, and what risk changed of it, by the decision's field."""

    coin: str
    decision: Decision
    status: str  # "executed", "adjusted" (executed, but not as asked), "held", "refused"
    reason: str | None = None
    changes: Changes = field(default_factory=dict)
    entry: Entry | None = None


class _Refused(OrderRefused):
    """Risk's refusal, with what it is about."""

    def __init__(self, reason: str, changes: Changes):
        super().__init__("Risk refuses this entry.", code=reason)
        self.changes = changes


def in_order(decisions: Decisions) -> list[tuple[str, Decision]]:
    """Decisions as (coin, decision) pairs, closes before everything else."""
    pairs = [
        (coin, decision)
        for coin, answer in decisions.items()
        for decision in (answer if isinstance(answer, Sequence) else (answer,))
    ]
    return closes_first(pairs)


def closes_first(pairs: Iterable[tuple[str, Decision]]) -> list[tuple[str, Decision]]:
    """The same pairs, closes before everything else, otherwise in their order."""
    pairs = list(pairs)
    if len(pairs) < 2:
        return pairs
    return sorted(pairs, key=lambda pair: pair[1].signal is not Signal.CLOSE_POSITION)


@ledger.exact
def execute(
    account: Account,
    coin: str,
    decision: Decision,
    marks: Mapping[str, Decimal],
    rules: ExecutionRules,
    time_ms: int,
    instrument: Instrument | None = None,
    decision_id: int | None = None,
    record: TrackRecord = NOTHING_LIVED_THROUGH,
) -> tuple[Account, Outcome]:
    """Carry out one decision at the coin's mark; the account comes back unchanged if refused.

    `record` is what the account's limits ask of its past.
    """
    if decision.signal is Signal.HOLD:
        return account, Outcome(coin, decision, "held")
    if coin not in marks:
        return account, Outcome(coin, decision, "refused", "no_price")
    try:
        if decision.signal is Signal.CLOSE_POSITION:
            fill = _closing_fill(
                account, coin, decision, marks[coin], rules, instrument, time_ms, decision_id
            )
            changes: dict[str, Change] = {}
        else:
            fill, changes = _opening_fill(
                account, coin, decision, marks, rules, instrument, time_ms, decision_id, record
            )
        account, entry = ledger.post(account, fill)
    except _Refused as refusal:
        return account, Outcome(coin, decision, "refused", refusal.code, refusal.changes)
    except OrderRefused as refusal:
        return account, Outcome(coin, decision, "refused", refusal.code)
    if not changes:
        return account, Outcome(coin, decision, "executed", entry=entry)
    (first, *_) = changes.values()
    return account, Outcome(coin, decision, "adjusted", first.limit, changes, entry)


@ledger.exact
def execute_exit(
    account: Account, position: Position, hit: ExitHit, rules: ExecutionRules, time_ms: int
) -> tuple[Account, Entry]:
    """Close a whole position because an exit was reached.

    A liquidation fills at its price; every other exit is a market order and slips.
    """
    if hit.reason is Reason.LIQUIDATION:
        fill = ledger.liquidation_fill(position, hit.price, time_ms, rules.liquidation_fee_rate)
        return ledger.post(account, fill)
    buying = position.side is Side.SHORT
    price = ledger.slipped_price(hit.price, buying, rules.slippage_bps)
    fill = _close(position, position.quantity, price, rules, hit.reason, time_ms)
    return ledger.post(account, fill)


def _opening_fill(
    account: Account,
    coin: str,
    decision: Decision,
    marks: Mapping[str, Decimal],
    rules: ExecutionRules,
    instrument: Instrument | None,
    time_ms: int,
    decision_id: int | None,
    record: TrackRecord,
) -> tuple[Fill, dict[str, Change]]:
    side = decision.side
    assert side is not None  # execute() has told entries from closes and holds
    price = ledger.slipped_price(marks[coin], side is Side.LONG, rules.slippage_bps)
    portfolio = ledger.value(account, marks)
    verdict = judge_entry(rules.risk, coin, decision, price, portfolio, rules.fee_rate, record)
    if verdict.refusal is not None:
        raise _Refused(verdict.refusal, verdict.changes)
    quantity = _on_venue_grid(verdict.quantity, price, instrument)
    decision = verdict.decision
    fill = Fill(
        FillKind.OPEN,
        coin,
        side,
        quantity,
        price,
        time_ms,
        leverage=decision.leverage,
        fee=ledger.trading_fee(quantity, price, rules.fee_rate),
        exits=_exits(decision),
        decision_id=decision_id,
    )
    return fill, dict(verdict.changes)


def _exits(decision: Decision) -> Exits:
    return Exits(
        decision.stop_loss,
        decision.profit_target,
        decision.trailing_stop_pct,
        decision.invalidation_condition,
    )


def _closing_fill(
    account: Account,
    coin: str,
    decision: Decision,
    mark: Decimal,
    rules: ExecutionRules,
    instrument: Instrument | None,
    time_ms: int,
    decision_id: int | None,
) -> Fill:
    position = account.positions.get(coin)
    if position is None:
        raise OrderRefused(f"No position in {coin} is open.", code="no_position")
    quantity = position.quantity
    if decision.quantity is not None and decision.quantity < quantity:
        quantity = decision.quantity.quantize(ledger.QUANTITY_STEP, rounding=ROUND_DOWN)
        if instrument is not None:
            quantity = ledger.round_down_to_step(quantity, instrument.lot_size)
    price = ledger.slipped_price(mark, position.side is Side.SHORT, rules.slippage_bps)
    return _close(position, quantity, price, rules, Reason.SIGNAL, time_ms, decision_id)


def _close(
    position: Position,
    quantity: Decimal,
    price: Decimal,
    rules: ExecutionRules,
    reason: Reason,
    time_ms: int,
    decision_id: int | None = None,
) -> Fill:
    return Fill(
        FillKind.CLOSE,
        position.coin,
        position.side,
        quantity,
        price,
        time_ms,
        leverage=position.leverage.quantize(ledger.PRICE_STEP),
        fee=ledger.trading_fee(quantity, price, rules.fee_rate),
        reason=reason,
        decision_id=decision_id,
    )


def _on_venue_grid(quantity: Decimal, price: Decimal, instrument: Instrument | None) -> Decimal:
    """Rounded down to the lot size; refused under the minimum notional or at nothing."""
    if instrument is not None and quantity > 0:
        quantity = ledger.round_down_to_step(quantity, instrument.lot_size)
        if quantity * price < instrument.min_notional:
            raise OrderRefused("The order is under the venue's minimum.", code="below_min_notional")
    if quantity * price < SMALLEST_NOTIONAL:
        raise OrderRefused("The order's size comes to nothing.", code="invalid_quantity")
    return quantity
