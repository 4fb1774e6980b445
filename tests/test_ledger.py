"""The ledger by example: golden vectors, every rule, every refusal."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest

import ledger
from domain import Decision, Exits, Fill, FillKind, Position, Reason, Side, Signal
from errors import OrderRefused
from ledger import Account

CAPITAL = Decimal(10_000)
NO_SLIPPAGE = Decimal(0)


def opening(
    side: Side = Side.LONG,
    quantity: str = "500",
    price: str = "100",
    leverage: str = "10",
    fee_rate: str = "0.001",
    slippage_bps: str = "0",
    coin: str = "BTC",
    time_ms: int = 0,
    exits: Exits = Exits(),  # noqa: B008 - immutable
) -> Fill:
    paid = ledger.slipped_price(Decimal(price), side is Side.LONG, Decimal(slippage_bps))
    fee = ledger.trading_fee(Decimal(quantity), paid, Decimal(fee_rate))
    return Fill(
        FillKind.OPEN,
        coin,
        side,
        Decimal(quantity),
        paid,
        time_ms,
        leverage=Decimal(leverage),
        fee=fee,
        exits=exits,
    )


def closing(
    side: Side = Side.LONG,
    quantity: str = "500",
    price: str = "100",
    fee_rate: str = "0.001",
    slippage_bps: str = "0",
) -> Fill:
    got = ledger.slipped_price(Decimal(price), side is Side.SHORT, Decimal(slippage_bps))
    fee = ledger.trading_fee(Decimal(quantity), got, Decimal(fee_rate))
    return Fill(FillKind.CLOSE, "BTC", side, Decimal(quantity), got, 1, fee=fee)


def booked(*fills: Fill, capital: Decimal = CAPITAL) -> Account:
    return ledger.replay(capital, fills)


def total_at(account: Account, mark: str) -> Decimal:
    return ledger.value(account, dict.fromkeys(account.positions, Decimal(mark))).total_value


def position_of(fill: Fill) -> Position:
    return booked(fill).positions[fill.coin]


GOLDEN = {
    # id: (opening, mark, cash, total after opening, closing, cash after closing)
    "A": (opening(), "100", "4950", "9950", closing(price="100"), "9900"),
    "B": (opening(), "100", "4950", "9950", closing(price="90"), "4905"),
    "C": (
        opening(Side.SHORT),
        "100",
        "4950",
        "9950",
        closing(Side.SHORT, price="110"),
        "4895",
    ),
    "D": (
        opening(Side.SHORT, "100", "100", "5", "0.0005", "2"),
        "100",
        "7995.401",
        "9993.001",
        closing(Side.SHORT, "100", "80", "0.0005", "2"),
        "11987.4002",
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_vectors_to_the_digit(case: str) -> None:
    first, mark, cash, total, last, cash_after = GOLDEN[case]
    account = booked(first)
    assert account.cash == Decimal(cash)
    assert total_at(account, mark) == Decimal(total)
    account, _ = ledger.post(account, last)
    assert account.cash == Decimal(cash_after)
    assert account.positions == {}
    assert total_at(account, mark) == account.cash


def test_golden_vector_e_with_three_fundings() -> None:
    account = booked(opening(Side.LONG, "100", "100", "5", "0.0005"))
    assert (account.cash, total_at(account, "100")) == (Decimal(7995), Decimal(9995))
    for time_ms in range(3):
        position = account.positions["BTC"]
        funding = ledger.funding_fill(position, Decimal(100), Decimal("0.0001"), time_ms)
        account, _ = ledger.post(account, funding)
    account, entry = ledger.post(account, closing(Side.LONG, "100", "101", "0.0005"))
    assert account.cash == Decimal("10086.95")
    assert account.funding_paid == Decimal(3)
    assert entry.pnl == account.cash - CAPITAL


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (opening(Side.LONG, leverage="10"), "90.452261"),
        (opening(Side.SHORT, leverage="10"), "109.452736"),
        (opening(Side.LONG, leverage="20"), "95.477386"),
    ],
)
def test_liquidation_prices(fill: Fill, expected: str) -> None:
    price = ledger.liquidation_price(position_of(fill), Decimal("0.005"))
    assert price is not None
    assert str(price)[: len(expected)] == expected
    # At that price the position holds exactly its maintenance margin.
    position = position_of(fill)
    left = ledger.position_value(position, price)
    assert left == pytest.approx(position.quantity * price * Decimal("0.005"), abs=Decimal("1e-7"))


def test_an_unlevered_long_has_no_liquidation_price() -> None:
    assert ledger.liquidation_price(position_of(opening(quantity="50", leverage="1"))) is None


class TestOpen:
    def test_takes_margin_and_fee_from_cash(self) -> None:
        account, entry = ledger.post(Account.opened_with(CAPITAL), opening())
        position = account.positions["BTC"]
        assert account.cash == CAPITAL - 5000 - 50
        assert (position.margin, position.cost, position.entry_fees) == (5000, 50_000, 50)
        assert (position.entry_price, position.leverage) == (100, 10)
        assert (entry.gross, entry.pnl, entry.cash_after) == (0, 0, account.cash)
        assert account.fees_paid == 50

    def test_refused_without_the_cash_for_margin_and_fee(self) -> None:
        exactly = opening(quantity="99.9000999000", leverage="1")
        needed = ledger.trading_fee(exactly.quantity, exactly.price, Decimal("1.001"))
        assert booked(exactly, capital=needed).cash == 0
        with pytest.raises(OrderRefused) as refusal:
            booked(exactly, capital=needed - ledger.MONEY_STEP)
        assert refusal.value.code == "insufficient_cash"

    def test_marked_at_the_entry_it_is_worth_its_margin(self) -> None:
        account = booked(opening())
        portfolio = ledger.value(account, {"BTC": Decimal(100)})
        assert portfolio.positions_value == portfolio.margin_used == 5000
        assert portfolio.unrealized_pnl == 0
        assert portfolio.total_value == portfolio.cash + portfolio.positions_value


class TestAdd:
    def test_accumulates_at_the_weighted_price(self) -> None:
        account = booked(
            opening(quantity="100", price="100", leverage="10", fee_rate="0"),
            opening(quantity="300", price="120", leverage="5", fee_rate="0"),
        )
        position = account.positions["BTC"]
        assert position.quantity == 400
        assert position.entry_price == 115
        assert position.margin == 1000 + 7200
        assert position.leverage == Decimal(46_000) / 8200
        assert account.cash == CAPITAL - 8200

    def test_cost_is_exact_where_the_entry_price_is_not(self) -> None:
        account = booked(
            opening(quantity="1", price="100", fee_rate="0"),
            opening(quantity="2", price="100.000000000001", fee_rate="0"),
        )
        position = account.positions["BTC"]
        assert position.cost == Decimal("300.000000000002")
        with localcontext(prec=28):
            assert position.entry_price * 3 != position.cost

    def test_newer_exits_replace_those_they_name(self) -> None:
        account = booked(
            opening(quantity="1", exits=Exits(Decimal(90), Decimal(120))),
            opening(quantity="1", exits=Exits(stop_loss=Decimal(95))),
            opening(quantity="1"),
        )
        assert account.positions["BTC"].exits == Exits(Decimal(95), Decimal(120))

    def test_keeps_the_time_and_best_price_of_the_first_entry(self) -> None:
        account = booked(opening(quantity="1"), opening(quantity="1", price="110", time_ms=5))
        position = account.positions["BTC"]
        assert (position.opened_at, position.best_price) == (0, 100)

    def test_other_coins_are_positions_of_their_own(self) -> None:
        account = booked(opening(quantity="1"), opening(Side.SHORT, quantity="1", coin="ETH"))
        assert set(account.positions) == {"BTC", "ETH"}


class TestClose:
    def test_gives_back_margin_and_profit_less_the_fee(self) -> None:
        account, entry = ledger.post(booked(opening()), closing(price="104"))
        assert entry.gross == 2000
        assert account.cash == 4950 + 5000 + 2000 - 52
        assert entry.pnl == 2000 - 50 - 52
        assert account.realized_pnl == 2000 - 52
        assert account.fees_paid == 102

    def test_a_share_takes_its_share(self) -> None:
        account, entry = ledger.post(booked(opening()), closing(quantity="125", price="104"))
        position = account.positions["BTC"]
        assert (position.quantity, position.margin) == (375, 3750)
        assert (position.cost, position.entry_fees) == (37_500, Decimal("37.5"))
        assert entry.gross == 500
        assert entry.pnl == 500 - Decimal("12.5") - 13
        assert account.cash == 4950 + 1250 + 500 - 13

    def test_thirds_leave_nothing_behind(self) -> None:
        account = booked(opening(quantity="1", price="100", leverage="3", fee_rate="0"))
        profit = Decimal(0)
        for quantity in ("0.333333333333", "0.333333333333", "0.333333333334"):
            account, entry = ledger.post(
                account, closing(quantity=quantity, price="107", fee_rate="0")
            )
            profit += entry.pnl
        assert account.positions == {}
        assert account.cash == CAPITAL + 7
        assert profit == 7

    def test_a_loss_is_capped_at_the_margin(self) -> None:
        account, entry = ledger.post(booked(opening()), closing(price="80", fee_rate="0"))
        assert entry.gross == -5000
        assert account.cash == 4950

    def test_its_fee_is_never_more_than_there_is(self) -> None:
        all_in = opening(quantity="1000", leverage="10", fee_rate="0")
        account, entry = ledger.post(booked(all_in), closing(quantity="1000", price="90"))
        assert account.cash == 0
        assert entry.fill.fee == 0

    def test_a_short_earns_when_the_price_falls(self) -> None:
        account, entry = ledger.post(
            booked(opening(Side.SHORT, fee_rate="0")),
            closing(Side.SHORT, price="98", fee_rate="0"),
        )
        assert entry.gross == 1000
        assert account.cash == CAPITAL + 1000


class TestFunding:
    def funding(self, account: Account, rate: str, mark: str = "100") -> Fill:
        return ledger.funding_fill(account.positions["BTC"], Decimal(mark), Decimal(rate), 1)

    def test_a_long_pays_a_positive_rate_and_a_short_receives_it(self) -> None:
        for side, change in ((Side.LONG, -5), (Side.SHORT, 5)):
            account = booked(opening(side, fee_rate="0"))
            after, entry = ledger.post(account, self.funding(account, "0.0001"))
            assert after.cash - account.cash == change
            assert after.positions["BTC"].funding == -change
            assert entry.fill.fee == -change

    def test_what_cash_cannot_pay_comes_out_of_the_margin(self) -> None:
        account = booked(opening(quantity="990", leverage="10", fee_rate="0"))
        assert account.cash == 100
        before = ledger.liquidation_price(account.positions["BTC"])
        after, entry = ledger.post(account, self.funding(account, "0.01"))
        assert entry.fill.fee == 990
        assert (after.cash, after.positions["BTC"].margin) == (0, 9900 - 890)
        now = ledger.liquidation_price(after.positions["BTC"])
        assert before is not None
        assert now is not None
        assert now > before

    def test_never_takes_more_than_there_is(self) -> None:
        account = booked(opening(quantity="1000", leverage="10", fee_rate="0"))
        after, entry = ledger.post(account, self.funding(account, "0.5"))
        assert entry.fill.fee == 10_000
        assert (after.cash, after.positions["BTC"].margin) == (0, 0)
        assert after.positions["BTC"].leverage == 0

    def test_is_part_of_the_round_trip(self) -> None:
        account = booked(opening(fee_rate="0"))
        account, _ = ledger.post(account, self.funding(account, "0.001"))
        account, half = ledger.post(account, closing(quantity="250", fee_rate="0"))
        account, rest = ledger.post(account, closing(quantity="250", fee_rate="0"))
        assert (half.pnl, rest.pnl) == (-25, -25)
        assert account.cash == CAPITAL - 50


class TestLiquidation:
    def test_at_its_price_the_margin_is_gone_but_for_the_maintenance(self) -> None:
        account = booked(opening(fee_rate="0"))
        position = account.positions["BTC"]
        price = ledger.liquidation_price(position)
        assert price is not None
        fill = ledger.liquidation_fill(position, price, 1)
        after, entry = ledger.post(account, fill)
        # The fee of 0.5 % takes what 0.5 % of maintenance margin has left (to the price's step).
        assert after.cash == pytest.approx(5000, abs=Decimal("1e-7"))
        assert after.positions == {}
        assert entry.fill.reason is Reason.LIQUIDATION

    def test_through_a_gap_the_loss_is_the_margin_and_no_more(self) -> None:
        account = booked(opening(fee_rate="0"))
        fill = ledger.liquidation_fill(account.positions["BTC"], Decimal(70), 1)
        after, entry = ledger.post(account, fill)
        assert after.cash == 5000
        assert entry.gross == -5000
        assert entry.fill.fee == 0
        assert fill.fee > 0

    def test_its_fee_is_charged_where_margin_is_left(self) -> None:
        account = booked(opening(fee_rate="0"))
        fill = ledger.liquidation_fill(
            account.positions["BTC"], Decimal(95), 1, fee_rate=Decimal("0.01")
        )
        after, entry = ledger.post(account, fill)
        assert entry.fill.fee == 475
        assert after.cash == 5000 + 2500 - 475


class TestValuation:
    def test_a_missing_mark_counts_at_the_entry_price(self) -> None:
        account = booked(opening(fee_rate="0"))
        assert ledger.value(account, {}).total_value == CAPITAL

    def test_unrealized_profit_of_both_sides(self) -> None:
        long, short = (position_of(opening(side)) for side in (Side.LONG, Side.SHORT))
        assert ledger.unrealized_pnl(long, Decimal(101)) == 500
        assert ledger.unrealized_pnl(short, Decimal(101)) == -500
        assert ledger.position_value(short, Decimal(101)) == 4500


REFUSALS = [
    (opening(Side.SHORT), "opposite_position_open"),
    (opening(leverage="0.5"), "invalid_leverage"),
    (opening(leverage="NaN"), "invalid_leverage"),
    (opening(quantity="5000"), "insufficient_cash"),
    (opening()._replace(quantity=Decimal(0)), "invalid_quantity"),
    (opening()._replace(quantity=Decimal(-1)), "invalid_quantity"),
    (opening()._replace(quantity=Decimal("NaN")), "invalid_quantity"),
    (opening()._replace(quantity=Decimal("1e20")), "invalid_quantity"),
    (opening()._replace(quantity=Decimal("1e15"), price=Decimal("1e6")), "invalid_quantity"),
    (opening()._replace(price=Decimal(0)), "invalid_price"),
    (opening()._replace(price=Decimal("Infinity")), "invalid_price"),
    (opening()._replace(fee=Decimal(-1)), "invalid_fee"),
    (opening()._replace(fee=Decimal("NaN")), "invalid_fee"),
    (closing(Side.SHORT), "no_position"),
    (closing()._replace(coin="ETH"), "no_position"),
    (closing(quantity="500.000000000001"), "invalid_quantity"),
    (closing()._replace(kind=FillKind.FUNDING, coin="ETH"), "no_position"),
]


@pytest.mark.parametrize(("fill", "code"), REFUSALS)
def test_a_refusal_has_its_reason_and_changes_nothing(fill: Fill, code: str) -> None:
    account = booked(opening(quantity="500", fee_rate="0"))
    before = account._replace(positions=dict(account.positions))
    with pytest.raises(OrderRefused) as refusal:
        ledger.post(account, fill)
    assert refusal.value.code == code
    assert account == before


class TestSizes:
    def quantity(self, total: str = "10000", fee_rate: str = "0.001", **sizes: str) -> Decimal:
        numbers = {name: Decimal(text) for name, text in sizes.items()}
        decision = Decision(Signal.BUY_TO_ENTER, **numbers)  # type: ignore[arg-type]
        return ledger.entry_quantity(decision, Decimal(3), Decimal(total), Decimal(fee_rate))

    def test_quantity_and_notional(self) -> None:
        assert self.quantity(quantity="1.5") == Decimal("1.5")
        assert self.quantity(notional="100") == Decimal("33.333333333333")

    def test_all_in_is_all_in_and_never_short_of_cash(self) -> None:
        for leverage in ("1", "3", "7.5", "125"):
            quantity = self.quantity(weight="1", leverage=leverage)
            fill = opening(quantity=str(quantity), price="3", leverage=leverage)
            left = booked(fill).cash
            assert 0 <= left < Decimal("1e-8")

    def test_no_size_is_nothing(self) -> None:
        assert self.quantity() == 0

    def test_lots_round_down(self) -> None:
        assert ledger.round_down_to_step(Decimal("1.2399"), Decimal("0.01")) == Decimal("1.23")
        assert ledger.round_down_to_step(Decimal("1.2399"), Decimal(0)) == Decimal("1.2399")

    def test_slippage_is_against_the_trader(self) -> None:
        assert ledger.slipped_price(Decimal(100), True, Decimal(2)) == Decimal("100.02")
        assert ledger.slipped_price(Decimal(100), False, Decimal(2)) == Decimal("99.98")


def test_books_are_the_same_whatever_the_threads_decimal_context() -> None:
    fills = [
        opening(quantity="0.333333333333", price="57953.860000000001"),
        closing(quantity="0.123456789012", price="61234.567890123456"),
        closing(quantity="0.209876544321", price="59999.999999999999"),
    ]
    usual = booked(*fills, capital=Decimal(100_000))
    with localcontext(prec=6):
        narrow = booked(*fills, capital=Decimal(100_000))
    assert narrow == usual
