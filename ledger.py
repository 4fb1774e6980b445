"""One accounting for paper, live and backtest: isolated-margin, USDT-margined linear perpetuals.

Pure functions over immutable accounts; no I/O, no clock. `post` books one `Fill` and gives the
new account with the ledger's line for it; `replay` folds fills into an account again. Formulas
are those that Binance and OKX document for isolated-margin linear contracts.

Exactness. Quantities and prices are multiples of 1e-12, money of 1e-24 (so that q·p is exact),
and every operation runs with 60 digits, so that sums never round. A position books its cost Σ q·p and derives its
entry price from it; a partial close takes its share of cost and margin, the last close what is left.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_DOWN, Context, Decimal, getcontext, setcontext
from typing import NamedTuple, ParamSpec, TypeVar, cast

from domain import (
    NO_EXITS,
    Decision,
    Entry,
    Exits,
    Fill,
    FillKind,
    Portfolio,
    Position,
    Reason,
    Side,
)
from errors import OrderRefused

ZERO = Decimal(0)
ONE = Decimal(1)
MONEY_STEP = Decimal("1e-24")
QUANTITY_STEP = Decimal("1e-12")
PRICE_STEP = Decimal("1e-12")
LARGEST_AMOUNT = Decimal("1e20")
BASIS_POINT = Decimal("0.0001")
EXACT = Context(prec=60)
LONG = Side.LONG  # a member looked up through its class takes several times as long
_new = tuple.__new__  # makes a named tuple in a third of the time; every fill makes three

DEFAULT_MAINTENANCE_MARGIN_RATE = Decimal("0.005")
DEFAULT_LIQUIDATION_FEE_RATE = Decimal("0.005")

P = ParamSpec("P")
R = TypeVar("R")


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with the ledger's 60 digits, whatever the thread's decimal context is."""

    @functools.wraps(function)
    def with_exact_context(*args: P.args, **kwargs: P.kwargs) -> R:
        before = getcontext()
        if before is EXACT:
            return function(*args, **kwargs)
        setcontext(EXACT)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(before)

    return with_exact_context


def already_exact(function: Callable[P, R]) -> Callable[P, R]:
    """What `exact` has wrapped, for callers that run with the exact context themselves.

    A backtest sets the context once; setting it anew in every step would cost it a quarter.
    """
    return cast(Callable[P, R], function.__wrapped__)  # type: ignore[attr-defined]


class Account(NamedTuple):
    """Cash and positions of one trader, in quote currency.

    `cash + Σ margin == initial_capital + realized_pnl − entry fees − funding_paid`, where
    `realized_pnl` is Σ (gross − fee) of closes and `fees_paid` all fees of entries and closes.
    """

    initial_capital: Decimal
    cash: Decimal
    positions: Mapping[str, Position]
    realized_pnl: Decimal = ZERO
    fees_paid: Decimal = ZERO
    funding_paid: Decimal = ZERO

    @classmethod
    def opened_with(cls, initial_capital: Decimal) -> Account:
        """An account that has only its initial capital."""
        return cls(initial_capital, initial_capital, {})


# ------------------------------------------------------------------------------ prices and sizes


@exact
def trading_fee(quantity: Decimal, price: Decimal, fee_rate: Decimal) -> Decimal:
    """Fee of a trade: q·p·f."""
    return (quantity * price * fee_rate).quantize(MONEY_STEP, ROUND_DOWN)


@exact
def slipped_price(price: Decimal, buying: bool, slippage_bps: Decimal) -> Decimal:
    """`price` moved against the trader by `slippage_bps` basis points."""
    if not slippage_bps:
        return price.quantize(PRICE_STEP)
    direction = 1 if buying else -1
    return (price * (1 + direction * slippage_bps * BASIS_POINT)).quantize(PRICE_STEP)


@exact
def entry_quantity(
    decision: Decision, price: Decimal, total_value: Decimal, fee_rate: Decimal
) -> Decimal:
    """The quantity that an entry's `quantity`, `notional` or `weight` means at a fill price.

    A weight w is the share of equity that margin and fee take together:
    N = w·total_value / (1/L + f), so that w = 1 at 1× is all in and never short of cash.
    Rounded down to 1e-12; zero where the size comes to nothing.
    """
    if decision.quantity is not None:
        return decision.quantity.quantize(QUANTITY_STEP, ROUND_DOWN)
    if decision.notional is not None:
        notional = decision.notional
    elif decision.weight is not None:
        leverage = decision.leverage
        notional = decision.weight * total_value * leverage / (1 + fee_rate * leverage)
    else:
        return ZERO
    return (notional / price).quantize(QUANTITY_STEP, ROUND_DOWN)


@exact
def round_down_to_step(quantity: Decimal, step: Decimal) -> Decimal:
    """`quantity` rounded down to a multiple of the venue's lot size `step`."""
    return (quantity // step) * step if step > 0 else quantity


# ------------------------------------------------------------------------------------- valuation


@exact
def unrealized_pnl(position: Position, mark: Decimal) -> Decimal:
    """s·q·(m − e), as s·(q·m − cost) so that it is exactly zero at the entry price."""
    return _unrealized(position.side, position.quantity, mark, position.cost)


@exact
def position_value(position: Position, mark: Decimal) -> Decimal:
    """Margin plus unrealised profit."""
    return position.margin + unrealized_pnl(position, mark)


@exact
def value(account: Account, marks: Mapping[str, Decimal]) -> Portfolio:
    """The account at `marks`; a position without one is valued at its entry price.

    Callers carry the last good mark, so that a missing price never moves `total_value`.
    """
    unrealized = margin_used = ZERO
    for coin, position in account.positions.items():
        margin_used += position.margin
        if coin in marks:
            gain = (position.quantity * marks[coin]).quantize(MONEY_STEP) - position.cost
            unrealized += gain if position.side is LONG else -gain
    positions_value = margin_used + unrealized
    return Portfolio(
        account.cash,
        account.positions,
        positions_value,
        account.cash + positions_value,
        margin_used,
        unrealized,
        marks,
    )


@exact
def liquidation_price(
    position: Position, maintenance_margin_rate: Decimal = DEFAULT_MAINTENANCE_MARGIN_RATE
) -> Decimal | None:
    """The mark at which M + s·q·(m − e) = r·q·m; None where no positive price does.

    Long: (cost − M) / (q·(1 − r)); short: (cost + M) / (q·(1 + r)). With M = cost/L these are
    e·(1 − 1/L)/(1 − r) and e·(1 + 1/L)/(1 + r).
    """
    sign = 1 if position.side is LONG else -1
    owed = position.cost - sign * position.margin
    if owed <= ZERO:
        return None
    price = owed / (position.quantity * (1 - sign * maintenance_margin_rate))
    rounded = price.quantize(PRICE_STEP)
    return rounded if rounded > 0 else None


# ----------------------------------------------------------------------------------------- fills


@exact
def liquidation_fill(
    position: Position,
    price: Decimal,
    time_ms: int,
    fee_rate: Decimal = DEFAULT_LIQUIDATION_FEE_RATE,
) -> Fill:
    """The forced close of a whole position at `price`."""
    return Fill(
        FillKind.LIQUIDATION,
        position.coin,
        position.side,
        position.quantity,
        price,
        time_ms,
        leverage=position.leverage.quantize(PRICE_STEP),
        fee=trading_fee(position.quantity, price, fee_rate),
        reason=Reason.LIQUIDATION,
    )


@exact
def funding_fill(position: Position, mark: Decimal, rate: Decimal, time_ms: int) -> Fill:
    """A funding settlement: the position pays s·q·m·rate (receives, where negative)."""
    return Fill(
        FillKind.FUNDING,
        position.coin,
        position.side,
        position.quantity,
        mark,
        time_ms,
        leverage=position.leverage.quantize(PRICE_STEP),
        fee=_money(position.side.sign * position.quantity * mark * rate),
        reason=Reason.FUNDING,
    )


# --------------------------------------------------------------------------------------- posting


@exact
def post(account: Account, fill: Fill) -> tuple[Account, Entry]:
    """Book `fill`: the account after it, and the ledger's line.

    Raises OrderRefused (insufficient_cash, opposite_position_open, no_position,
    invalid_quantity, invalid_price, invalid_leverage, invalid_fee); the account given is never changed.
    """
    _check_amounts(fill)
    return _POSTINGS[fill.kind](account, fill)


def replay(initial_capital: Decimal, fills: Iterable[Fill]) -> Account:
    """The account that `fills` lead to from `initial_capital`."""
    account = Account.opened_with(initial_capital)
    for fill in fills:
        account, _ = post(account, fill)
    return account


def _check_amounts(fill: Fill) -> None:
    kind, _, _, quantity, price, _, _, fee, _, _, _ = fill
    if not quantity.is_finite() or not ZERO < quantity < LARGEST_AMOUNT:
        raise OrderRefused("The quantity must be a positive number.", code="invalid_quantity")
    if not price.is_finite() or not ZERO < price < LARGEST_AMOUNT:
        raise OrderRefused("The price must be a positive number.", code="invalid_price")
    if not fee.is_finite() or (fee < ZERO and kind is not FillKind.FUNDING):
        raise OrderRefused("The fee must be a number, not negative.", code="invalid_fee")
    if not quantity * price < LARGEST_AMOUNT:
        raise OrderRefused("The order's value is out of all proportion.", code="invalid_quantity")


def _post_open(account: Account, fill: Fill) -> tuple[Account, Entry]:
    initial_capital, cash, positions, realized_pnl, fees_paid, funding_paid = account
    _, coin, side, quantity, price, _, leverage, fee, _, _, _ = fill
    held = positions.get(coin)
    if held is not None and held.side is not side:
        raise OrderRefused(
            f"A {held.side} position in {coin} is open: close it first.",
            code="opposite_position_open",
        )
    if not leverage.is_finite() or not ONE <= leverage < LARGEST_AMOUNT:
        raise OrderRefused("The leverage must be at least 1.", code="invalid_leverage")
    cost = (quantity * price).quantize(MONEY_STEP)
    margin = cost if leverage == ONE else (cost / leverage).quantize(MONEY_STEP, ROUND_DOWN)
    needed = margin + fee
    if cash < needed:
        raise OrderRefused(
            f"Opening this takes {needed:.2f} of margin and fee; cash is {cash:.2f}.",
            code="insufficient_cash",
            values={"needed": float(needed), "cash": float(account.cash)},
        )
    position = _opened(fill, cost, margin) if held is None else _added(held, fill, cost, margin)
    left = cash - needed
    positions = {**positions, coin: position}
    after = _new(
        Account,
        (initial_capital, left, positions, realized_pnl, fees_paid + fee, funding_paid),
    )
    return after, _new(Entry, (fill, ZERO, ZERO, left))


def _opened(fill: Fill, cost: Decimal, margin: Decimal) -> Position:
    _, coin, side, quantity, price, time_ms, _, fee, _, exits, _ = fill
    return _new(
        Position, (coin, side, quantity, cost, margin, fee, time_ms, ZERO, exits, price)
    )  # its best price so far is its first


def _added(held: Position, fill: Fill, cost: Decimal, margin: Decimal) -> Position:
    return held._replace(
        quantity=held.quantity + fill.quantity,
        cost=held.cost + cost,
        margin=held.margin + margin,
        entry_fees=held.entry_fees + fill.fee,
        exits=_merged_exits(held.exits, fill.exits),
    )


def _merged_exits(held: Exits, new: Exits) -> Exits:
    """A newer exit replaces the one it names and leaves the others."""
    if new == NO_EXITS:
        return held
    return Exits(
        new.stop_loss if new.stop_loss is not None else held.stop_loss,
        new.profit_target if new.profit_target is not None else held.profit_target,
        new.trailing_stop_pct if new.trailing_stop_pct is not None else held.trailing_stop_pct,
        new.invalidation if new.invalidation is not None else held.invalidation,
    )


def _post_close(account: Account, fill: Fill) -> tuple[Account, Entry]:
    """Close a share of a position: an isolated position never loses more than its margin."""
    initial_capital, cash, positions, realized_pnl, fees_paid, funding_paid = account
    kind, coin, side, quantity, price, _, _, fee, _, _, _ = fill
    held = positions.get(coin)
    if held is None or held.side is not side:
        raise OrderRefused(f"There is no {side} position in {coin}.", code="no_position")
    if quantity > held.quantity:
        raise OrderRefused(f"Only {held.quantity} of {coin} are open.", code="invalid_quantity")
    left, (cost, margin, entry_fees, funding) = _without_share(held, quantity)
    gross = max(_unrealized(side, quantity, price, cost), -margin)
    returned = margin + gross
    # A liquidation's fee takes what is left of the margin at most, a close's what cash has too.
    payable = returned if kind is FillKind.LIQUIDATION else returned + cash
    if fee > payable:
        fee = payable
        fill = fill._replace(fee=fee)
    cash += returned - fee
    after = _new(
        Account,
        (
            initial_capital,
            cash,
            _with_position(positions, coin, left),
            realized_pnl + gross - fee,
            fees_paid + fee,
            funding_paid,
        ),
    )
    return after, _new(Entry, (fill, gross, gross - fee - entry_fees - funding, cash))


_Shares = tuple[Decimal, Decimal, Decimal, Decimal]


def _without_share(held: Position, quantity: Decimal) -> tuple[Position | None, _Shares]:
    """What is left of a position without `quantity`, and what that had of its cost, margin, entry
    fees and funding: all of them where it is the last."""
    amounts = (held.cost, held.margin, held.entry_fees, held.funding)
    if quantity == held.quantity:
        return None, amounts
    cost, margin, fees, funding = (_money_down(a * quantity / held.quantity) for a in amounts)
    left = held._replace(
        quantity=held.quantity - quantity,
        cost=held.cost - cost,
        margin=held.margin - margin,
        entry_fees=held.entry_fees - fees,
        funding=held.funding - funding,
    )
    return left, (cost, margin, fees, funding)


def _with_position(
    positions: Mapping[str, Position], coin: str, position: Position | None
) -> dict[str, Position]:
    """The same positions but for one coin's, which is none where `position` is None."""
    others = dict(positions)
    if position is None:
        del others[coin]
    else:
        others[coin] = position
    return others


def _post_funding(account: Account, fill: Fill) -> tuple[Account, Entry]:
    """Pay funding from cash; what cash cannot pay comes out of the position's margin."""
    held = account.positions.get(fill.coin)
    if held is None or held.side is not fill.side:
        raise OrderRefused(f"There is no {fill.side} position in {fill.coin}.", code="no_position")
    paid = min(fill.fee, account.cash + held.margin)
    from_cash = min(paid, account.cash)
    position = held._replace(margin=held.margin - (paid - from_cash), funding=held.funding + paid)
    after = account._replace(
        cash=account.cash - from_cash,
        positions=_with_position(account.positions, fill.coin, position),
        funding_paid=account.funding_paid + paid,
    )
    booked = fill if paid == fill.fee else fill._replace(fee=paid)
    return after, Entry(booked, ZERO, ZERO, after.cash)


_POSTINGS: dict[FillKind, Callable[[Account, Fill], tuple[Account, Entry]]] = {
    FillKind.OPEN: _post_open,
    FillKind.CLOSE: _post_close,
    FillKind.LIQUIDATION: _post_close,
    FillKind.FUNDING: _post_funding,
}


def _unrealized(side: Side, quantity: Decimal, mark: Decimal, cost: Decimal) -> Decimal:
    gain = (quantity * mark).quantize(MONEY_STEP) - cost
    return gain if side is LONG else -gain


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(MONEY_STEP)


def _money_down(amount: Decimal) -> Decimal:
    """Rounded towards zero, so that margin and fee of a sized order never exceed its share."""
    return amount.quantize(MONEY_STEP, ROUND_DOWN)
