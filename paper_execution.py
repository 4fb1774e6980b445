"""From a decision to a booked fill: the one path that the live engine and the backtest share.

decision → size and risk at the fill's price → lot size and minimum notional → slippage and fee →
ledger. Pure: it is given prices and times. A refusal is a result with a stable reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

import ledger
from domain import (
    NO_EXITS,
    Decision,
    Decisions,
    Entry,
    Exits,
    Fill,
    FillKind,
    Instrument,
    Portfolio,
    Position,
    Reason,
    Side,
    Signal,
)
from errors import OrderRefused
from exits import ExitHit
from ledger import ONE, PRICE_STEP, ZERO, Account, already_exact
from risk import Changes, TrackRecord, judge_entry
from risk_limits import RiskProfile

_new = tuple.__new__  # makes a named tuple in a third of the time

# Everything here runs with the ledger's context.
_judge_entry = already_exact(judge_entry)
_post = already_exact(ledger.post)
_slipped_price = already_exact(ledger.slipped_price)
_trading_fee = already_exact(ledger.trading_fee)
_value = already_exact(ledger.value)

# What is left of an account after a loss of everything is not traded with.
SMALLEST_NOTIONAL = Decimal("0.000001")
NOTHING_LIVED_THROUGH = TrackRecord()
# Members looked up through their class take several times as long.
OPEN, CLOSE, SIGNAL, LONG = FillKind.OPEN, FillKind.CLOSE, Reason.SIGNAL, Side.LONG


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


class RefusedByRisk(OrderRefused):
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


def closes_first(pairs: list[tuple[str, Decision]]) -> list[tuple[str, Decision]]:
    """The same pairs, closes before everything else, otherwise in their order."""
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
    mark = marks[coin]
    changes: Changes = {}
    try:
        if decision.signal is Signal.CLOSE_POSITION:
            account, entry = closed(
                account, coin, decision, mark, rules, time_ms, instrument, decision_id
            )
        else:
            portfolio = _value(account, marks)
            account, entry, changes = entered(
                account, portfolio, coin, decision, mark, rules,
                time_ms, instrument, decision_id, record,
            )  # fmt: skip
    except OrderRefused as refusal:
        return account, refused(coin, decision, refusal)
    if not changes:
        return account, Outcome(coin, decision, "executed", entry=entry)
    (first, *_) = changes.values()
    return account, Outcome(coin, decision, "adjusted", first.limit, changes, entry)


def refused(coin: str, decision: Decision, refusal: OrderRefused) -> Outcome:
    """A refusal as a result."""
    changes = refusal.changes if isinstance(refusal, RefusedByRisk) else {}
    return Outcome(coin, decision, "refused", refusal.code, changes)


def entered(
    account: Account,
    portfolio: Portfolio,
    coin: str,
    decision: Decision,
    mark: Decimal,
    rules: ExecutionRules,
    time_ms: int,
    instrument: Instrument | None = None,
    decision_id: int | None = None,
    record: TrackRecord = NOTHING_LIVED_THROUGH,
) -> tuple[Account, Entry, Changes]:
    """What `execute` does with an entry; `portfolio` is the account valued at its marks.

    For callers within the ledger's context. Gives the account after it, the ledger's line and what
    risk changed. Raises OrderRefused.
    """
    side, fee_rate = decision.side, rules.fee_rate
    price = _slipped_price(mark, side is LONG, rules.slippage_bps)
    decision, wanted, changes, refusal = _judge_entry(
        rules.risk, coin, decision, price, portfolio, fee_rate, record
    )
    if refusal is not None:
        raise RefusedByRisk(refusal, changes)
    quantity = _on_venue_grid(wanted, price, instrument)
    fee = _trading_fee(quantity, price, fee_rate)
    leverage, exits = decision.leverage, _exits(decision)
    fill = _new(
        Fill,
        (OPEN, coin, side, quantity, price, time_ms, leverage, fee, SIGNAL, exits, decision_id),
    )
    after, entry = _post(account, fill)
    return after, entry, changes


def closed(
    account: Account,
    coin: str,
    decision: Decision,
    mark: Decimal,
    rules: ExecutionRules,
    time_ms: int,
    instrument: Instrument | None = None,
    decision_id: int | None = None,
) -> tuple[Account, Entry]:
    """What `execute` does with a close. For callers within the ledger's context; raises
    OrderRefused."""
    position = account.positions.get(coin)
    if position is None:
        raise OrderRefused(f"No position in {coin} is open.", code="no_position")
    quantity = position.quantity
    if decision.quantity is not None and decision.quantity < quantity:
        quantity = decision.quantity.quantize(ledger.QUANTITY_STEP, ROUND_DOWN)
        if instrument is not None:
            quantity = ledger.round_down_to_step(quantity, instrument.lot_size)
    price = _slipped_price(mark, position.side is not LONG, rules.slippage_bps)
    return _post(account, _close(position, quantity, price, rules, SIGNAL, time_ms, decision_id))


@ledger.exact
def execute_exit(
    account: Account, position: Position, hit: ExitHit, rules: ExecutionRules, time_ms: int
) -> tuple[Account, Entry]:
    """Close a whole position because an exit was reached.

    A liquidation fills at its price; every other exit is a market order and slips.
    """
    if hit.reason is Reason.LIQUIDATION:
        fill = ledger.liquidation_fill(position, hit.price, time_ms, rules.liquidation_fee_rate)
        return _post(account, fill)
    buying = position.side is not LONG
    price = _slipped_price(hit.price, buying, rules.slippage_bps)
    fill = _close(position, position.quantity, price, rules, hit.reason, time_ms)
    return _post(account, fill)


def _exits(decision: Decision) -> Exits:
    stop, target = decision.stop_loss, decision.profit_target
    trailing, condition = decision.trailing_stop_pct, decision.invalidation_condition
    if stop is None and target is None and trailing is None and condition is None:
        return NO_EXITS
    return Exits(stop, target, trailing, condition)


def _close(
    position: Position,
    quantity: Decimal,
    price: Decimal,
    rules: ExecutionRules,
    reason: Reason,
    time_ms: int,
    decision_id: int | None = None,
) -> Fill:
    coin, side, cost, margin = position.coin, position.side, position.cost, position.margin
    leverage = ONE if cost == margin else position.leverage.quantize(PRICE_STEP)
    fee = _trading_fee(quantity, price, rules.fee_rate)
    return _new(
        Fill,
        (CLOSE, coin, side, quantity, price, time_ms, leverage, fee, reason, NO_EXITS, decision_id),
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
