"""The ledger's seven invariants under any sequence of events, by Hypothesis.

`LEDGER_RUNS=1000 pytest tests/test_ledger_invariants.py` makes the long search: that many runs
of 50 steps each.
"""

from __future__ import annotations

import os
from decimal import Decimal

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import ledger
from domain import Entry, Fill, FillKind, Position, Reason, Side
from errors import OrderRefused
from ledger import ZERO, Account

RUNS = int(os.environ.get("LEDGER_RUNS", "100"))
COINS = ("BTC", "ETH", "DOGE")
RATE = ledger.DEFAULT_MAINTENANCE_MARGIN_RATE


def decimals(low: str, high: str, places: int = 12) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places)


coins = st.sampled_from(COINS)
sides = st.sampled_from(Side)
prices = decimals("0.0001", "100000")
quantities = decimals("0.0001", "1000")
leverages = decimals("1", "125", 2)
fee_rates = st.sampled_from([ZERO, Decimal("0.0005"), Decimal("0.001"), Decimal("0.0137")])


class LedgerMachine(RuleBasedStateMachine):
    """Opens, adds, closes, fundings and moves of the marks; liquidated where they reach."""

    @initialize(capital=decimals("1", "1000000", 2))
    def start(self, capital: Decimal) -> None:
        self.account = Account.opened_with(capital)
        self.marks = {coin: Decimal(100) for coin in COINS}
        self.entries: list[Entry] = []
        self.time_ms = 0

    def total(self) -> Decimal:
        return ledger.value(self.account, self.marks).total_value

    def post(self, fill: Fill) -> Entry | None:
        """Book; a refusal must leave everything as it was (invariant 7)."""
        self.time_ms += 1
        fill = fill._replace(time_ms=self.time_ms)
        before = self.account._replace(positions=dict(self.account.positions))
        try:
            self.account, entry = ledger.post(self.account, fill)
        except OrderRefused:
            assert self.account == before
            return None
        self.entries.append(entry)
        event(f"booked {entry.fill.kind}")
        return entry

    def liquidate(self, coin: str, at_mark: bool) -> None:
        """Close what the coin's mark has reached, at the mark (a gap) or at p*."""
        position = self.account.positions.get(coin)
        price = None if position is None else ledger.liquidation_price(position, RATE)
        if position is None or price is None:
            return
        if position.side.sign * (self.marks[coin] - price) <= 0:
            entry = self.post(
                ledger.liquidation_fill(position, self.marks[coin] if at_mark else price, 0)
            )
            assert entry is not None
            assert -entry.gross <= position.margin

    @rule(
        coin=coins,
        side=sides,
        share=decimals("0.01", "1.1", 4),
        leverage=leverages,
        fee_rate=fee_rates,
    )
    @ledger.exact
    def open_at_the_mark(
        self, coin: str, side: Side, share: Decimal, leverage: Decimal, fee_rate: Decimal
    ) -> None:
        price = self.marks[coin]
        quantity = (self.account.cash * share * leverage / price).quantize(ledger.QUANTITY_STEP)
        before = self.total()
        entry = self.post(
            Fill(
                FillKind.OPEN,
                coin,
                side,
                quantity,
                price,
                0,
                leverage=leverage,
                fee=ledger.trading_fee(max(quantity, ZERO), price, fee_rate),
            )
        )
        if entry is not None:  # invariant 1, and with a fee exactly the fee
            assert self.total() == before - entry.fill.fee
        self.liquidate(coin, at_mark=True)  # 125× with 0.5 % maintenance may start below it

    @rule(coin=coins, share=decimals("0", "1.2", 4), fee_rate=fee_rates)
    @ledger.exact
    def close_at_the_mark(self, coin: str, share: Decimal, fee_rate: Decimal) -> None:
        position = self.account.positions.get(coin)
        held = position.quantity if position is not None else Decimal(1)
        side = position.side if position is not None else Side.LONG
        quantity = (held * share).quantize(ledger.QUANTITY_STEP)
        fee = ledger.trading_fee(quantity, self.marks[coin], fee_rate)
        before = self.total()
        entry = self.post(Fill(FillKind.CLOSE, coin, side, quantity, self.marks[coin], 0, fee=fee))
        if entry is not None:
            assert self.total() == before - entry.fill.fee
        self.liquidate(coin, at_mark=True)

    @rule(coin=coins, mark=prices, at_mark=st.booleans())
    @ledger.exact
    def jump(self, coin: str, mark: Decimal, at_mark: bool) -> None:
        self.marks[coin] = mark
        self.liquidate(coin, at_mark)

    @rule(coin=coins, change=decimals("0.9", "1.1", 4), at_mark=st.booleans())
    @ledger.exact
    def move(self, coin: str, change: Decimal, at_mark: bool) -> None:
        self.marks[coin] = (self.marks[coin] * change).quantize(ledger.PRICE_STEP)
        self.liquidate(coin, at_mark)

    @rule(choice=st.integers(0, 2), rate=decimals("-0.05", "0.05", 6))
    @ledger.exact
    def fund(self, choice: int, rate: Decimal) -> None:
        held = sorted(self.account.positions)
        if not held:
            return
        coin = held[choice % len(held)]
        before = self.total()
        entry = self.post(
            ledger.funding_fill(self.account.positions[coin], self.marks[coin], rate, 0)
        )
        assert entry is not None
        assert self.total() == before - entry.fill.fee
        self.liquidate(coin, at_mark=True)

    @invariant()
    @ledger.exact
    def nothing_is_below_zero(self) -> None:
        assert self.account.cash >= 0
        assert self.total() >= 0
        assert all(p.margin >= 0 and p.quantity > 0 for p in self.account.positions.values())

    @invariant()
    @ledger.exact
    def cash_is_the_sum_of_what_was_booked(self) -> None:
        gross = sum((entry.gross for entry in self.entries), ZERO)
        paid = sum((entry.fill.fee for entry in self.entries), ZERO)  # fees and fundings
        margin = sum((p.margin for p in self.account.positions.values()), ZERO)
        assert self.account.cash + margin == self.account.initial_capital + gross - paid
        assert self.account.fees_paid + self.account.funding_paid == paid

    @invariant()
    @ledger.exact
    def profits_of_trips_add_up(self) -> None:
        booked = sum((entry.pnl for entry in self.entries), ZERO)
        still_open = sum((p.entry_fees + p.funding for p in self.account.positions.values()), ZERO)
        margin = sum((p.margin for p in self.account.positions.values()), ZERO)
        assert self.account.cash + margin == self.account.initial_capital + booked - still_open

    @invariant()
    @ledger.exact
    def a_replay_gives_the_same_books(self) -> None:
        fills = [entry.fill for entry in self.entries]
        assert ledger.replay(self.account.initial_capital, fills) == self.account

    @invariant()
    @ledger.exact
    def an_unpriced_coin_counts_what_it_counted(self) -> None:
        for coin, position in self.account.positions.items():
            marks = {name: mark for name, mark in self.marks.items() if name != coin}
            unpriced = ledger.value(self.account, marks)
            own = ledger.unrealized_pnl(position, self.marks[coin])
            assert unpriced.total_value == self.total() - own


LedgerMachine.TestCase.settings = settings(max_examples=RUNS, stateful_step_count=50, deadline=None)
TestLedger = pytest.mark.timeout(3600 if RUNS > 500 else 120)(LedgerMachine.TestCase)


@given(
    quantity=quantities,
    entry=decimals("50", "1000"),
    change=decimals("-0.9", "0.9", 4),
    leverage=leverages,
    share=decimals("0.001", "1", 3),
)
@settings(max_examples=200, deadline=None)
@ledger.exact
def test_long_and_short_are_mirror_images(
    quantity: Decimal, entry: Decimal, change: Decimal, leverage: Decimal, share: Decimal
) -> None:
    """A long closed at p makes what a short closed at 2e − p makes."""
    price = (entry * (1 + change)).quantize(ledger.PRICE_STEP)
    part = max((quantity * share).quantize(ledger.QUANTITY_STEP), ledger.QUANTITY_STEP)
    results = []
    for side, exit_price in ((Side.LONG, price), (Side.SHORT, 2 * entry - price)):
        account = Account.opened_with(Decimal(10_000_000))
        account, _ = ledger.post(
            account, Fill(FillKind.OPEN, "BTC", side, quantity, entry, 0, leverage)
        )
        account, closed = ledger.post(
            account, Fill(FillKind.CLOSE, "BTC", side, part, exit_price, 1)
        )
        results.append((account.cash, closed.gross, closed.pnl))
    assert results[0] == results[1]


@given(entry=prices, quantity=quantities, leverage=leverages, side=sides)
@settings(max_examples=200, deadline=None)
@ledger.exact
def test_the_liquidation_price_is_where_the_margin_meets_its_maintenance(
    entry: Decimal, quantity: Decimal, leverage: Decimal, side: Side
) -> None:
    account = Account.opened_with(Decimal("1e12"))
    account, _ = ledger.post(
        account, Fill(FillKind.OPEN, "BTC", side, quantity, entry, 0, leverage)
    )
    position: Position = account.positions["BTC"]
    price = ledger.liquidation_price(position, RATE)
    if price is None:
        assert side is Side.LONG
        assert leverage == 1
        return
    one = Decimal(1)
    expected = entry * (one - side.sign / leverage) / (one - side.sign * RATE)
    assert price == pytest.approx(expected, abs=Decimal("1e-11"), rel=Decimal("1e-20"))
    fill = ledger.liquidation_fill(position, price, 1)
    after, booked = ledger.post(account, fill)
    assert booked.fill.reason is Reason.LIQUIDATION
    assert after.cash >= account.cash
