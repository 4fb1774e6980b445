"""A model's cycle, its exits and its books, on a market that the test sets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from market_source import FINEST
from trading_world import CLOSE, HOLD, START_MS, World, buy, opened_world, short

from audit_log import THIS_COMPUTER
from data_aggregator import MultiSourceDataAggregator
from domain import (
    Decision,
    FillKind,
    Instrument,
    Reason,
)
from errors import Conflict, SourceUnavailable
from paper_execution import ExecutionRules
from repositories import books, coins, cycles, pools
from risk_limits import RiskName, profile_named


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[World]:
    yield from opened_world(tmp_path)


# -------------------------------------------------------------------------------- the cycle


def test_a_cycle_books_its_fills_with_the_decisions_that_caused_them(desk: World):
    report = desk.cycle({"BTC": buy(leverage=Decimal(5), justification="it looks cheap")})
    assert report.cycle.status == "done"
    (trade,), (decision,) = report.trades, report.decisions
    assert decision.outcome == "executed"
    assert trade.entry.fill.decision_id == decision.id
    assert trade.justification == "it looks cheap"
    assert desk.account.cash == Decimal(10_000) - Decimal(200) - Decimal(1)
    (value,) = books.account_values(desk.database.connection, desk.model.id)
    assert value.total_value == Decimal(9_999)
    assert set(report.cycle.timings or {}) >= {"snapshot_ms", "decision_ms", "booking_ms"}


def test_a_trader_is_shown_one_snapshot_and_its_account(desk: World):
    desk.cycle({"BTC": buy()})
    desk.clock.set(START_MS + 60_000)
    desk.cycle({})
    assert set(desk.trader.shown) == {"BTC", "ETH"}
    btc = desk.trader.shown["BTC"]
    assert btc.price == 100
    assert len(btc.klines) == 3
    assert not btc.klines.last_is_open
    assert desk.trader.told is not None
    assert desk.trader.told.previous_time_ms == START_MS
    assert desk.trader.told.started_ms == desk.model.created_at
    assert desk.trader.told.total_return == pytest.approx(-0.01)


def test_closes_are_booked_before_opens_whatever_their_order(desk: World):
    desk.cycle({"BTC": buy(99)})
    report = desk.cycle({"ETH": buy(900), "BTC": CLOSE})  # without the close, cash would be short
    assert [(t.entry.fill.coin, t.entry.fill.kind) for t in report.trades] == [
        ("BTC", FillKind.CLOSE), ("ETH", FillKind.OPEN),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("coin", "decision", "reason"),
    [
        ("SOL", buy(), "not_in_pool"),
        ("GOLD", buy(), "unknown_coin"),
        ("GOLD", CLOSE, "unknown_coin"),
        ("BTC", CLOSE, "no_position"),
        ("BTC", buy(1_000_000), "insufficient_cash"),
        ("BTC", buy(leverage=Decimal(0)), "invalid_leverage"),
        ("BTC", buy(stop_loss=Decimal(101)), "stop_on_wrong_side"),
        ("BTC", buy(-1), "invalid_quantity"),
    ],
)
def test_a_refused_order_changes_nothing_and_says_why(
    desk: World, coin: str, decision: Decision, reason: str
):
    report = desk.cycle({coin: decision})
    assert report.cycle.status == "done"
    (record,) = report.decisions
    assert (record.outcome, record.reason) == ("refused", reason)
    assert not desk.trades()
    assert desk.account.cash == 10_000


def test_the_opposite_side_is_refused_while_a_position_is_open(desk: World):
    desk.cycle({"BTC": buy()})
    report = desk.cycle({"BTC": short()})
    assert report.decisions[0].reason == "opposite_position_open"


def test_a_coin_out_of_the_pool_can_be_closed_and_not_entered(desk: World):
    desk.cycle({"ETH": buy()})
    with desk.database.transaction() as connection:
        pools.replace_members(connection, desk.model.id, [coins.get(connection, "BTC")], START_MS)
    report = desk.cycle({"ETH": [CLOSE, buy()]})
    assert "ETH" in desk.trader.shown  # it is still priced
    assert [(r.outcome, r.reason) for r in report.decisions] == [
        ("executed", None), ("refused", "not_in_pool"),
    ]  # fmt: skip


def test_a_coin_without_a_price_is_not_shown_and_not_traded(desk: World):
    desk.source.lots = {"ETHUSDT": FINEST}  # it is listed
    del desk.source.quotes["ETHUSDT"]
    report = desk.cycle({"ETH": buy()})
    assert set(desk.trader.shown) == {"BTC"}
    assert report.decisions[0].reason == "no_price"


def test_when_no_source_answers_the_cycle_fails_with_its_reason_and_books_nothing(desk: World):
    desk.source.fail()
    report = desk.cycle({"BTC": buy()})
    assert (report.cycle.status, report.cycle.error_code) == ("failed", "source_unavailable")
    assert "cut it off" in (report.cycle.error or "")
    assert not desk.trades()
    stored = cycles.last(desk.database.connection, desk.model.id)
    assert stored is not None
    assert stored.error == report.cycle.error


def test_a_traders_own_mistake_is_its_cycles_failure_alone(desk: World):
    def stumble() -> None:
        raise ZeroDivisionError("in the strategy")

    desk.trader.before_answering = stumble
    report = desk.cycle({"BTC": buy()})
    assert (report.cycle.status, report.cycle.error_code) == ("failed", "trader_error")
    desk.trader.before_answering = lambda: None
    assert desk.cycle().cycle.status == "done"


def test_a_bar_that_a_failed_cycle_did_not_act_on_is_shown_again(desk: World):
    desk.cycle({})
    desk.clock.set(START_MS + 60_000)
    desk.source.fail()
    desk.cycle({})
    desk.source.failure = None
    desk.clock.set(START_MS + 90_000)
    desk.cycle({})
    assert desk.trader.told is not None
    assert desk.trader.told.previous_time_ms == START_MS


def test_orders_fill_at_the_price_of_the_fill_not_of_the_question(desk: World):
    def think_long() -> None:
        desk.clock.set(desk.clock.now_ms() + 45_000)
        desk.source.quotes["BTCUSDT"] = Decimal(103)

    desk.trader.before_answering = think_long
    report = desk.cycle({"BTC": buy()})
    assert report.trades[0].entry.fill.price == 103


def test_a_price_that_is_gone_when_deciding_is_over_refuses_the_order(desk: World):
    def think_until_the_source_is_gone() -> None:
        desk.clock.set(desk.clock.now_ms() + 45_000)
        desk.source.fail()

    desk.trader.before_answering = think_until_the_source_is_gone
    report = desk.cycle({"BTC": buy()})
    assert report.cycle.status == "failed"
    assert not desk.trades()


def test_a_second_cycle_at_the_same_time_is_refused(desk: World):
    def while_deciding() -> None:
        with pytest.raises(Conflict) as refused:
            desk.engine().execute_trading_cycle()
        assert refused.value.code == "cycle_running"

    desk.trader.before_answering = while_deciding
    assert desk.cycle({}).cycle.status == "done"


def test_a_scheduled_cycle_runs_once(desk: World):
    desk.engine().execute_trading_cycle(scheduled_at=START_MS)
    with pytest.raises(Conflict) as refused:
        desk.engine().execute_trading_cycle(scheduled_at=START_MS)
    assert refused.value.code == "cycle_done"


def test_quantities_are_rounded_to_the_venues_lots_and_minimum(desk: World):
    desk.source.lots = {"BTCUSDT": Instrument(Decimal("0.1"), Decimal(50))}
    report = desk.cycle({"BTC": [buy("1.2345"), buy("0.4")]})
    assert report.trades[0].entry.fill.quantity == Decimal("1.2")
    assert report.decisions[1].reason == "below_min_notional"


def test_without_the_venues_rules_nothing_is_entered_and_closing_goes_on(desk: World):
    desk.cycle({"ETH": buy()}, lot_rounding=False)

    def no_instruments() -> Any:
        raise SourceUnavailable("not now")

    desk.source.instruments = no_instruments  # type: ignore[method-assign]
    report = desk.cycle({"BTC": buy(), "ETH": CLOSE})
    assert {(r.coin, r.outcome, r.reason) for r in report.decisions} == {
        ("BTC", "refused", "instrument_unknown"), ("ETH", "executed", None),
    }  # fmt: skip


def test_a_coin_that_no_venue_trades_any_more_can_be_closed_and_not_entered(desk: World):
    desk.cycle({"ETH": buy()})
    desk.source.halted = {"ETHUSDT"}
    desk.clock.set(desk.clock.now_ms() + 2 * 3_600_000)  # what venues list is asked once an hour
    report = desk.cycle({"ETH": buy(), "BTC": buy()})
    assert {(r.coin, r.outcome, r.reason) for r in report.decisions} == {
        ("ETH", "refused", "not_trading"), ("BTC", "executed", None),
    }  # fmt: skip
    assert desk.cycle({"ETH": CLOSE}).decisions[0].outcome == "executed"


def test_the_weights_of_the_pool_scale_the_position_limit_and_are_told_to_the_trader(desk: World):
    connection = desk.database.connection
    eth = coins.get(connection, "ETH")
    pools.change(connection, desk.model.id, eth.id, {"weight": 0.25})
    rules = ExecutionRules(Decimal(0), risk=profile_named(RiskName.BALANCED))
    report = desk.cycle({"BTC": buy(1000), "ETH": buy(10_000)}, rules=rules)
    bought = {t.entry.fill.coin: t.entry.fill.quantity * t.entry.fill.price for t in report.trades}
    assert bought == {"BTC": Decimal(2500), "ETH": Decimal(625)}  # 25 % of equity, and a quarter
    assert {r.detail["quantity"]["limit"] for r in report.decisions} == {"max_position"}
    shares = {coin: seen.pool_share for coin, seen in desk.trader.shown.items()}
    assert shares == {"BTC": 0.8, "ETH": 0.2}


def test_holding_is_written_down(desk: World):
    report = desk.cycle({"BTC": HOLD})
    assert [record.outcome for record in report.decisions] == ["held"]


# -------------------------------------------------------------------------------- the exits


@pytest.mark.parametrize(
    ("decision", "price", "reason"),
    [
        (buy(stop_loss=Decimal(95)), "94.5", Reason.STOP_LOSS),
        (buy(profit_target=Decimal(110)), "110", Reason.PROFIT_TARGET),
        (short(stop_loss=Decimal(105)), "106", Reason.STOP_LOSS),
        (short(profit_target=Decimal(90)), "89", Reason.PROFIT_TARGET),
        (buy(leverage=Decimal(10)), "90", Reason.LIQUIDATION),
    ],
)
def test_a_tick_fires_the_exit_that_it_reaches(
    desk: World, decision: Decision, price: str, reason: Reason
):
    desk.cycle({"BTC": decision})
    assert desk.tick(BTC="100.5") == []
    (trade,) = desk.tick(BTC=price)
    assert trade.entry.fill.reason is reason
    assert trade.entry.fill.price == Decimal(price)
    assert not desk.account.positions


def test_a_trailing_stop_follows_the_best_price(desk: World):
    desk.cycle({"BTC": buy(trailing_stop_pct=Decimal(5))})
    for price in ("104", "110", "105"):
        assert desk.tick(BTC=price) == []
    (trade,) = desk.tick(BTC="104.4")  # 5 % under 110 is 104.5
    assert trade.entry.fill.reason is Reason.TRAILING_STOP


def test_exits_act_while_the_trader_is_still_thinking(desk: World):
    desk.cycle({"BTC": buy(stop_loss=Decimal(95))})

    def crash() -> None:
        assert len(desk.tick(BTC="90")) == 1

    desk.trader.before_answering = crash
    report = desk.cycle({"BTC": CLOSE})
    assert report.decisions[0].reason == "no_position"  # the stop was there first
    assert len(desk.trades()) == 2


def test_a_price_that_does_not_come_leaves_the_position_at_its_last_mark(desk: World):
    desk.cycle({"BTC": buy()})
    desk.tick(BTC="120")
    before = desk.engine().valued_account()
    desk.source.fail()
    desk.clock.set(desk.clock.now_ms() + 3_600_000)
    after = desk.engine().valued_account()
    assert after.portfolio.total_value == before.portfolio.total_value == Decimal(10_199)
    assert after.stale == {"BTC"}
    assert after.ages["BTC"] == 3600


def test_after_a_restart_the_stored_mark_is_used_until_a_price_comes(desk: World):
    desk.cycle({"BTC": buy()})
    desk.tick(BTC="120")
    desk.aggregator = MultiSourceDataAggregator(
        desk.database, {"binance": desk.source}, {"price": ["binance"], "klines": ["binance"]},
        desk.clock, wall_clock=desk.clock,
    )  # fmt: skip
    valued = desk.engine().valued_account()
    assert valued.portfolio.total_value == Decimal(10_199)
    assert valued.stale == {"BTC"}


def test_flatten_closes_everything_or_nothing(desk: World):
    desk.cycle({"BTC": buy(), "ETH": short()})
    del desk.source.quotes["ETHUSDT"]
    desk.clock.set(desk.clock.now_ms() + 60_000)
    with pytest.raises(SourceUnavailable, match="ETH"):
        desk.engine().flatten(THIS_COMPUTER)
    assert len(desk.account.positions) == 2
    desk.source.quotes["ETHUSDT"] = Decimal(9)
    closed = desk.engine().flatten(THIS_COMPUTER)
    assert {trade.entry.fill.reason for trade in closed} == {Reason.FLATTEN}
    assert not desk.account.positions


# ------------------------------------------------------------------------------- the events


def test_what_happens_is_told_to_whoever_listens(desk: World):
    listener = desk.events.listen(["trade", "cycle", "account_value"])
    desk.cycle({"BTC": buy()})
    told = [event.topic for event in iter(lambda: listener.next(0.01), None)]
    assert told == ["cycle", "trade", "account_value", "cycle"]
