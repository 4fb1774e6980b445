"""From a decision to a booked fill, by example."""

from __future__ import annotations

from decimal import Decimal

import pytest

import ledger
from domain import Decision, Exits, Instrument, Reason, Side, Signal
from exits import ExitHit
from ledger import Account
from paper_execution import ExecutionRules, Outcome, execute, execute_exit, in_order
from risk_limits import PROFILES, RiskName

RULES = ExecutionRules(Decimal("0.001"))
MARKS = {"BTC": Decimal(100), "ETH": Decimal(10)}
FRESH = Account.opened_with(Decimal(10_000))
LOTS = Instrument(lot_size=Decimal("0.01"), min_notional=Decimal(10))


def decision(signal: Signal, **terms: str) -> Decision:
    return Decision(signal, **{name: Decimal(text) for name, text in terms.items()})  # type: ignore[arg-type]


def buy(**terms: str) -> Decision:
    return decision(Signal.BUY_TO_ENTER, **terms)


def short(**terms: str) -> Decision:
    return decision(Signal.SELL_TO_ENTER, **terms)


def close(**terms: str) -> Decision:
    return decision(Signal.CLOSE_POSITION, **terms)


def carried_out(
    *decisions: Decision,
    rules: ExecutionRules = RULES,
    instrument: Instrument | None = None,
    mark: str = "100",
) -> tuple[Account, Outcome]:
    """The account after all of them, and the last one's outcome."""
    account = FRESH
    for time_ms, wanted in enumerate(decisions):
        account, outcome = execute(
            account, "BTC", wanted, {"BTC": Decimal(mark)}, rules, time_ms, instrument, 7
        )
    return account, outcome


class TestEntries:
    def test_is_filled_at_the_mark_with_its_fee(self) -> None:
        account, outcome = carried_out(buy(quantity="5", leverage="2", stop_loss="90"))
        assert outcome.status in ("executed", "adjusted")
        assert outcome.entry is not None
        fill = outcome.entry.fill
        assert (fill.price, fill.fee, fill.leverage) == (100, Decimal("0.5"), 2)
        assert (fill.side, fill.reason, fill.decision_id) == (Side.LONG, Reason.SIGNAL, 7)
        assert account.positions["BTC"].exits == Exits(stop_loss=Decimal(90))
        assert account.cash == 10_000 - 250 - Decimal("0.5")

    def test_slips_against_the_trader_on_both_sides(self) -> None:
        rules = ExecutionRules(Decimal(0), slippage_bps=Decimal(10))
        prices = []
        for wanted in (buy(quantity="1"), short(quantity="1")):
            account, opened = carried_out(wanted, rules=rules)
            _, closed = execute(account, "BTC", close(), MARKS, rules, 1)
            assert opened.entry is not None
            assert closed.entry is not None
            prices.append((opened.entry.fill.price, closed.entry.fill.price))
        assert prices == [
            (Decimal("100.1"), Decimal("99.9")),
            (Decimal("99.9"), Decimal("100.1")),
        ]

    def test_all_in_leaves_nothing_and_is_not_refused(self) -> None:
        for leverage in ("1", "10"):
            account, outcome = carried_out(buy(weight="1", leverage=leverage))
            assert outcome.status in ("executed", "adjusted")
            assert account.cash < Decimal("1e-8")

    def test_is_rounded_down_to_lots(self) -> None:
        account, _ = carried_out(buy(quantity="1.2399"), instrument=LOTS)
        assert account.positions["BTC"].quantity == Decimal("1.23")

    def test_what_risk_changes_is_told(self) -> None:
        rules = ExecutionRules(Decimal("0.001"), risk=PROFILES[RiskName.BALANCED])
        account, outcome = carried_out(buy(weight="1", leverage="9"), rules=rules)
        assert outcome.status in ("executed", "adjusted")
        assert [c.limit for c in outcome.changes.values()] == ["max_leverage", "max_position"]
        assert account.positions["BTC"].margin == 2500

    def test_hold_is_held(self) -> None:
        assert carried_out(Decision(Signal.HOLD))[1].status == "held"


class TestCloses:
    def test_of_everything_or_of_a_part(self) -> None:
        account, _ = carried_out(buy(quantity="5"), close(quantity="2"))
        assert account.positions["BTC"].quantity == 3
        account, _ = carried_out(buy(quantity="5"), close())
        assert account.positions == {}

    def test_more_than_is_held_closes_what_is_held(self) -> None:
        assert carried_out(buy(quantity="5"), close(quantity="50"))[0].positions == {}

    def test_a_part_is_rounded_to_lots_and_to_the_ledgers_step(self) -> None:
        account, _ = carried_out(
            buy(quantity="5"), close(quantity="1.0000000000009999"), instrument=None
        )
        assert account.positions["BTC"].quantity == 4
        account, _ = carried_out(buy(quantity="5"), close(quantity="1.239"), instrument=LOTS)
        assert account.positions["BTC"].quantity == Decimal("3.77")

    def test_with_hardly_any_margin_left(self) -> None:
        account, _ = carried_out(buy(quantity="990", leverage="10"))
        position = account.positions["BTC"]
        left = account.cash + position.margin - ledger.MONEY_STEP
        rate = left / (position.quantity * 100)
        account, _ = ledger.post(account, ledger.funding_fill(position, Decimal(100), rate, 1))
        assert account.positions["BTC"].leverage > Decimal("1e15")
        account, outcome = execute(account, "BTC", close(), MARKS, RULES, 2)
        assert outcome.status in ("executed", "adjusted")
        assert account.cash >= 0


@pytest.mark.parametrize(
    ("decisions", "instrument", "reason"),
    [
        ([close()], None, "no_position"),
        ([buy(quantity="1"), short(quantity="1")], None, "opposite_position_open"),
        ([buy(quantity="101")], None, "insufficient_cash"),
        ([buy()], None, "invalid_quantity"),
        ([buy(quantity="1e-13")], None, "invalid_quantity"),
        ([buy(quantity="0.000000009999")], None, "invalid_quantity"),
        ([buy(quantity="0.099")], LOTS, "below_min_notional"),
        ([buy(quantity="1", leverage="0.5")], None, "invalid_leverage"),
        ([buy(quantity="1", stop_loss="101")], None, "stop_on_wrong_side"),
        ([buy(quantity="1"), close(quantity="0.001")], LOTS, "invalid_quantity"),
    ],
)
def test_a_refusal_is_a_result_and_changes_nothing(
    decisions: list[Decision], instrument: Instrument | None, reason: str
) -> None:
    account = FRESH
    for wanted in decisions[:-1]:
        account, _ = execute(account, "BTC", wanted, MARKS, RULES, 0, instrument)
    after, outcome = execute(account, "BTC", decisions[-1], MARKS, RULES, 1, instrument)
    assert (outcome.status, outcome.reason, outcome.entry) == ("refused", reason, None)
    assert after is account


def test_an_unpriced_coin_is_refused() -> None:
    after, outcome = execute(FRESH, "LUNA", buy(quantity="1"), MARKS, RULES, 0)
    assert (outcome.status, outcome.reason) == ("refused", "no_price")
    assert after is FRESH


class TestExits:
    def test_stops_slip_and_pay_the_fee(self) -> None:
        rules = ExecutionRules(Decimal("0.001"), slippage_bps=Decimal(10))
        account, _ = carried_out(buy(quantity="5"), rules=rules)
        hit = ExitHit(Reason.STOP_LOSS, Decimal(90))
        after, entry = execute_exit(account, account.positions["BTC"], hit, rules, 9)
        assert after.positions == {}
        assert (entry.fill.price, entry.fill.time_ms) == (Decimal("89.91"), 9)
        assert entry.fill.fee == Decimal("0.44955")
        assert entry.fill.reason is Reason.STOP_LOSS

    def test_a_liquidation_fills_at_its_price_and_pays_its_own_fee(self) -> None:
        rules = ExecutionRules(Decimal("0.001"), slippage_bps=Decimal(10))
        account, _ = carried_out(buy(quantity="50", leverage="10"), rules=rules)
        hit = ExitHit(Reason.LIQUIDATION, Decimal(95))
        _, entry = execute_exit(account, account.positions["BTC"], hit, rules, 9)
        assert entry.fill.price == 95
        assert entry.fill.fee == 50 * 95 * Decimal("0.005")


def test_closes_come_before_everything_else() -> None:
    turn = [close(), short(quantity="1")]
    decisions = {
        "ETH": buy(quantity="1"),
        "BTC": turn,
        "SOL": close(),
        "XRP": Decision(Signal.HOLD),
    }
    ordered = [(coin, wanted.signal) for coin, wanted in in_order(decisions)]
    assert ordered == [
        ("BTC", Signal.CLOSE_POSITION),
        ("SOL", Signal.CLOSE_POSITION),
        ("ETH", Signal.BUY_TO_ENTER),
        ("BTC", Signal.SELL_TO_ENTER),
        ("XRP", Signal.HOLD),
    ]
