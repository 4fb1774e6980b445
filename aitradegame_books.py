"""AITradeGame's books beside ours: its trades are posted to the ledger and both are compared.

That app keeps no cash. It reckons `cash = initial capital + Σ pnl − Σ quantity·entry/leverage of
its positions`, where the pnl of an entry is 0 (its fee is never paid), that of a close is gross
minus the close's fee, whatever the loss, and an entry into an open position replaces it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import ledger
from aitradegame_rows import OldPosition, OldTrade
from domain import Entry, Fill, FillKind, Position
from errors import OrderRefused
from ledger import ZERO, Account

SAME_SHARE = Decimal("1e-9")  # what floats may differ by
SAME_MONEY = Decimal("1e-6")

REFUSALS: Mapping[str, str] = {
    "insufficient_cash": "cash does not cover its margin and fee",
    "opposite_position_open": "a position of the other side is open in its coin",
    "no_position": "no such position is open",
    "invalid_quantity": "more than is open would be closed, or its value is out of all proportion",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one old trade: the ledger's line, or why there is none.

    `adjusted` says that a close closed another quantity than its row names, `capped` that it lost
    all of its margin.
    """

    trade: OldTrade
    entry: Entry | None
    refusal: str | None = None
    adjusted: bool = False
    capped: bool = False


@dataclass(frozen=True, slots=True)
class NoTrade:
    """A row of trades that is none, whose pnl its app counts all the same."""

    id: object
    pnl: Decimal


@dataclass(slots=True)
class Difference:
    """A way in which the old books do not add up: where first, how often, how much cash in all."""

    first_trade_id: object
    first_time_ms: int | None
    count: int = 0
    amount: Decimal = ZERO


@dataclass(slots=True)
class Replay:
    """The trades of one model posted to the ledger, one after the other."""

    account: Account
    steps: list[Step] = field(default_factory=list)

    def post(self, trade: OldTrade) -> Step:
        """Post one trade as it is; a refusal changes nothing."""
        held = self.account.positions.get(trade.coin)
        fill = self._fill(trade, held)
        try:
            self.account, entry = ledger.post(self.account, fill)
        except OrderRefused as refusal:
            step = Step(trade, None, REFUSALS.get(refusal.code, refusal.message))
        else:
            step = Step(
                trade,
                entry,
                adjusted=not _same_share(fill.quantity, trade.quantity),
                capped=held is not None and _lost_all_margin(held, entry),
            )
        self.steps.append(step)
        return step

    @staticmethod
    @ledger.exact
    def _fill(trade: OldTrade, held: Position | None) -> Fill:
        fill = Fill(
            trade.kind, trade.coin, trade.side, trade.quantity, trade.price, trade.time_ms,
            trade.leverage, trade.fee,
        )  # fmt: skip
        if trade.kind is FillKind.OPEN or held is None or held.side is not trade.side:
            return fill
        if not trade.whole and not _same_share(held.quantity, trade.quantity):
            return fill
        fee = (trade.fee * held.quantity / trade.quantity).quantize(ledger.MONEY_STEP)
        return fill._replace(quantity=held.quantity, fee=fee)


class OldBooks:
    """The same trades by that app's rule; `accumulates` is the one of versions that add to
    a position where the others replace it."""

    def __init__(self, initial_capital: Decimal, *, accumulates: bool):
        self.positions: dict[tuple[str, str], OldPosition] = {}
        self._accumulates = accumulates
        self._realized = initial_capital
        self._margins: dict[tuple[str, str], Decimal] = {}
        self._margin = ZERO

    @property
    def cash(self) -> Decimal:
        """What that app would show."""
        return self._realized - self._margin

    def book_profit(self, pnl: Decimal) -> None:
        """Add a row's pnl: all that a row which is no trade does."""
        self._realized += pnl

    def book(self, trade: OldTrade) -> bool:
        """Book a trade; whether a position was lost by it."""
        self.book_profit(trade.pnl)
        key = (trade.coin, trade.side)
        held = self.positions.get(key)
        if trade.kind is FillKind.OPEN:
            adds = held is not None and (self._accumulates or trade.adds)
            self._set(key, _sum_of(held, trade) if held and adds else _opened(trade))
            return held is not None and not adds
        if held is not None:
            left = ZERO if trade.whole else held.quantity - trade.quantity
            self._set(key, replace(held, quantity=left) if left > 0 else None)
        return False

    def _set(self, key: tuple[str, str], position: OldPosition | None) -> None:
        self._margin -= self._margins.pop(key, ZERO)
        self.positions.pop(key, None)
        if position is not None:
            self.positions[key] = position
            self._margins[key] = position.margin
            self._margin += position.margin


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model's old books and ours. Totals value positions at their entry prices."""

    old_cash: Decimal
    old_total: Decimal
    cash: Decimal
    total: Decimal
    differences: Mapping[str, Difference]
    wrong_positions: Mapping[str, str]  # old positions that the replay does not give, and why
    other_positions: tuple[str, ...]  # positions of the replay that the old file does not list


@ledger.exact
def compare(
    initial_capital: Decimal,
    rows: Iterable[Step | NoTrade],
    account: Account,
    positions: Iterable[OldPosition],
) -> Comparison:
    """Both books of one model. `rows` are its trades in order, as far as they are any."""
    rows, listed = list(rows), list(positions)
    profits = (row.pnl if isinstance(row, NoTrade) else row.trade.pnl for row in rows)
    old_total = initial_capital + sum(profits, ZERO)
    margin = sum((position.margin for position in account.positions.values()), ZERO)
    wrong, other = _compare_positions(listed, account)
    return Comparison(
        old_cash=old_total - sum((position.margin for position in listed), ZERO),
        old_total=old_total,
        cash=account.cash,
        total=account.cash + margin,
        differences=_differences(initial_capital, rows, listed),
        wrong_positions=wrong,
        other_positions=other,
    )


def describe(position: OldPosition | Position) -> str:
    """A position in words."""
    return (
        f"{position.side} {_short(position.quantity)} {position.coin} at "
        f"{_short(position.entry_price)}, {_short(position.leverage)}×"
    )


# ------------------------------------------------------------------------------- differences


def _differences(
    initial_capital: Decimal, rows: list[Step | NoTrade], listed: list[OldPosition]
) -> dict[str, Difference]:
    """By what the two part, under the rule of the version whose positions the file lists."""
    replacing, replacing_positions = _fold(initial_capital, rows, accumulates=False)
    if _are(replacing_positions, listed):
        return replacing
    adding, adding_positions = _fold(initial_capital, rows, accumulates=True)
    return adding if _are(adding_positions, listed) else replacing


@ledger.exact
def _fold(
    initial_capital: Decimal, rows: list[Step | NoTrade], *, accumulates: bool
) -> tuple[dict[str, Difference], list[OldPosition]]:
    old = OldBooks(initial_capital, accumulates=accumulates)
    cash = initial_capital
    found: dict[str, Difference] = {}

    def note(cause: str, row_id: object, time_ms: int | None, amount: Decimal) -> None:
        difference = found.setdefault(cause, Difference(row_id, time_ms))
        difference.count += 1
        difference.amount += amount

    for row in rows:
        if isinstance(row, NoTrade):
            old.book_profit(row.pnl)
            if row.pnl:
                note("it counts the profit of rows that are no trades", row.id, None, row.pnl)
            continue
        before_old, before = old.cash, cash
        lost = old.book(row.trade)
        cash = row.entry.cash_after if row.entry is not None else cash
        gap = (old.cash - before_old) - (cash - before)
        if lost or abs(gap) > SAME_MONEY + SAME_SHARE * abs(cash):
            note(_cause(row, lost, gap), row.trade.id, row.trade.time_ms, gap)
    return found, list(old.positions.values())


def _cause(step: Step, lost: bool, gap: Decimal) -> str:
    trade = step.trade
    if step.entry is None:
        return "its books hold trades that could not be taken"
    if lost:
        return "an entry replaced the open position, which vanished from its books"
    if trade.kind is FillKind.OPEN:
        if abs(gap - trade.fee) <= SAME_MONEY:
            return "it did not pay the fee of entries"
        return "an entry's margin differs"
    if step.adjusted:
        return "it closed less or more than was open"
    if step.capped:
        return "a position lost more than its margin"
    return "it recorded a profit that its prices do not give"


def _lost_all_margin(held: Position, entry: Entry) -> bool:
    if entry.fill.kind is FillKind.OPEN:
        return False
    margin = held.margin * entry.fill.quantity / held.quantity
    return entry.gross < 0 and _same_share(-entry.gross, margin)


def _compare_positions(
    listed: list[OldPosition], account: Account
) -> tuple[dict[str, str], tuple[str, ...]]:
    wrong = {}
    given = dict(account.positions)
    for old in listed:
        ours = account.positions.get(old.coin)
        if ours is None or ours.side is not old.side:
            wrong[describe(old)] = "its trades do not give it"
            continue
        given.pop(old.coin, None)
        if not _same_share(ours.quantity, old.quantity) or not _same_share(
            ours.entry_price, old.entry_price
        ):
            wrong[describe(old)] = f"its trades give {describe(ours)}"
    return wrong, tuple(describe(position) for position in given.values())


def _are(positions: list[OldPosition], listed: list[OldPosition]) -> bool:
    theirs = {(position.coin, position.side): position for position in listed}
    return len(positions) == len(theirs) and all(
        (position.coin, position.side) in theirs
        and _same_share(position.quantity, theirs[position.coin, position.side].quantity)
        for position in positions
    )


def _opened(trade: OldTrade) -> OldPosition:
    return OldPosition(trade.coin, trade.side, trade.quantity, trade.price, trade.leverage)


def _sum_of(held: OldPosition, trade: OldTrade) -> OldPosition:
    quantity = held.quantity + trade.quantity
    cost = held.quantity * held.entry_price + trade.quantity * trade.price
    return replace(held, quantity=quantity, entry_price=cost / quantity, leverage=trade.leverage)


def _same_share(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= SAME_SHARE * max(abs(one), abs(other))


def _short(number: Decimal) -> str:
    """At most 12 digits, without zeros at the end."""
    return f"{float(number):.12g}"
