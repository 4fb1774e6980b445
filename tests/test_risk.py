"""Every limit of a risk profile, cut or refused with its reason."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

import pytest

import ledger
from domain import Decision, Fill, FillKind, Portfolio, Side, Signal
from ledger import Account
from paper_execution import NOTHING_LIVED_THROUGH
from risk import TrackRecord, Verdict, judge_entry
from risk_limits import PROFILES, RiskName, RiskProfile, profile_named

BALANCED = PROFILES[RiskName.BALANCED]
PRICE = Decimal(100)
MARKS = {"BTC": PRICE, "ETH": PRICE, "SOL": PRICE}


def portfolio(*held: tuple[str, str, str]) -> Portfolio:
    """10,000 in equity with positions (coin, quantity, leverage) bought at 100."""
    account = Account.opened_with(Decimal(10_000))
    for coin, quantity, leverage in held:
        fill = Fill(FillKind.OPEN, coin, Side.LONG, Decimal(quantity), PRICE, 0, Decimal(leverage))
        account, _ = ledger.post(account, fill)
    return ledger.value(account, MARKS)


def buy(**terms: str | float) -> Decision:
    exact = {
        name: value if isinstance(value, float) else Decimal(value) for name, value in terms.items()
    }
    return Decision(Signal.BUY_TO_ENTER, **exact)  # type: ignore[arg-type]


def judged(
    decision: Decision,
    profile: RiskProfile | None = BALANCED,
    held: Portfolio | None = None,
    coin: str = "BTC",
    record: TrackRecord = NOTHING_LIVED_THROUGH,
) -> Verdict:
    return judge_entry(
        profile, coin, decision, PRICE, held or portfolio(), Decimal("0.001"), record
    )


def limits(verdict: Verdict) -> tuple[str, ...]:
    """Which limits changed it."""
    return tuple(change.limit for change in verdict.changes.values())


def test_within_the_limits_nothing_changes() -> None:
    decision = buy(quantity="5", leverage="2", stop_loss="98")
    assert judged(decision) == Verdict(decision, Decimal(5))


@pytest.mark.parametrize(
    ("decision", "quantity", "changes"),
    [
        (buy(quantity="30"), 25, ("max_position",)),  # 25 % of 10,000 at 100
        (buy(quantity="400", leverage="3"), 75, ("max_position",)),
        (buy(quantity="50", leverage="20"), 50, ("max_leverage",)),
        (buy(quantity="900", leverage="20"), 125, ("max_leverage", "max_position")),
        (buy(quantity="20", stop_loss="80"), 15, ("max_risk",)),  # 300 / 20 a coin
        (buy(weight="1"), 25, ("max_position",)),
    ],
)
def test_beyond_a_limit_is_cut_to_it(
    decision: Decision, quantity: int, changes: tuple[str, ...]
) -> None:
    verdict = judged(decision)
    assert verdict.refusal is None
    assert (verdict.quantity, limits(verdict)) == (quantity, changes)
    assert verdict.decision.leverage <= BALANCED.max_leverage


def test_all_notional_together_is_limited() -> None:
    held = portfolio(("ETH", "100", "10"), ("SOL", "95", "10"))  # 19,500 of at most 20,000
    verdict = judged(buy(quantity="20", leverage="5"), held=held)
    assert (verdict.quantity, limits(verdict)) == (5, ("max_notional",))


def test_what_is_held_counts_against_the_position_limit() -> None:
    held = portfolio(("BTC", "20", "1"))
    assert judged(buy(quantity="10"), held=held).quantity == 5


def test_with_nothing_left_it_is_refused_with_the_limits_name() -> None:
    full = portfolio(("BTC", "25", "1"))
    assert judged(buy(quantity="1"), held=full).refusal == "max_position"
    spent = portfolio(("ETH", "100", "10"), ("SOL", "100", "10"))
    assert judged(buy(quantity="1"), held=spent).refusal == "max_notional"


def test_a_new_coin_beyond_the_number_of_positions_is_refused() -> None:
    profile = replace(BALANCED, max_open_positions=1)
    held = portfolio(("ETH", "1", "1"))
    assert judged(buy(quantity="1"), profile, held).refusal == "max_open_positions"
    assert judged(buy(quantity="1"), profile, held, coin="ETH").refusal is None


def test_confidence_below_the_least_is_refused() -> None:
    profile = replace(BALANCED, min_confidence=0.6)
    assert judged(buy(quantity="1", confidence=0.5), profile).refusal == "confidence_too_low"
    assert judged(buy(quantity="1", confidence=0.6), profile).refusal is None
    assert judged(buy(quantity="1"), profile).refusal is None


@pytest.mark.parametrize("profile", [BALANCED, None])
@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (buy(quantity="1", stop_loss="100"), "stop_on_wrong_side"),
        (buy(quantity="1", profit_target="100"), "target_on_wrong_side"),
        (buy(quantity="1", leverage="0.9"), "invalid_leverage"),
        (
            replace(buy(quantity="1", stop_loss="99"), signal=Signal.SELL_TO_ENTER),
            "stop_on_wrong_side",
        ),
        (
            replace(buy(quantity="1", profit_target="101"), signal=Signal.SELL_TO_ENTER),
            "target_on_wrong_side",
        ),
        (Decision(Signal.HOLD), "not_an_entry"),
    ],
)
def test_nonsense_is_refused_under_any_profile(
    decision: Decision, reason: str, profile: RiskProfile | None
) -> None:
    assert judged(decision, profile).refusal == reason


def test_off_takes_decisions_as_they_are() -> None:
    assert profile_named(RiskName.OFF) is None
    decision = buy(quantity="9000", leverage="100")
    assert judged(decision, None) == Verdict(decision, Decimal(9000))


class TestWeightsAndCash:
    """ETH has doubled: equity is 15,000 with 5,000 in cash."""

    def grown(self) -> Portfolio:
        held = portfolio(("ETH", "50", "1"))
        account = Account(Decimal(10_000), held.cash, held.positions)
        return ledger.value(account, {"ETH": Decimal(200), "BTC": PRICE})

    def test_a_share_beyond_the_cash_is_cut_to_it(self) -> None:
        verdict = judged(buy(weight="0.5"), None, self.grown())
        assert limits(verdict) == ("available_cash",)
        assert verdict.quantity * PRICE * Decimal("1.001") == pytest.approx(
            Decimal(5000), abs=Decimal("1e-9")
        )

    def test_but_not_to_less_than_half_of_it(self) -> None:
        verdict = judged(buy(weight="0.7"), None, self.grown())
        assert not verdict.changes
        assert verdict.quantity * PRICE > 10_000  # which the ledger will refuse

    def test_other_sizes_are_never_cut_to_the_cash(self) -> None:
        assert judged(buy(quantity="60"), None, self.grown()) == Verdict(
            buy(quantity="60"), Decimal(60)
        )


def test_profiles_grow_from_conservative_to_aggressive() -> None:
    first, second, third = (
        PROFILES[name] for name in (RiskName.CONSERVATIVE, RiskName.BALANCED, RiskName.AGGRESSIVE)
    )
    for limit in ("max_leverage", "max_position_share", "max_notional_share", "max_risk_share"):
        assert getattr(first, limit) < getattr(second, limit) < getattr(third, limit)


def test_the_cheapest_coin_and_the_richest_account_are_within_its_digits() -> None:
    account = Account.opened_with(Decimal(10) ** 12)
    rich = ledger.value(account, {})
    with localcontext(prec=28):
        verdict = judge_entry(
            BALANCED,
            "PEPE",
            buy(weight="1"),
            Decimal("0.00000001"),
            rich,
            Decimal("0.001"),
            NOTHING_LIVED_THROUGH,
        )
    assert verdict.quantity == Decimal("0.25") * 10**20
