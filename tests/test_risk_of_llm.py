"""A trader that asks for too much, as LLMs do: what is booked is within risk, and the log says why.

Each case goes through a whole cycle; what is asserted is read from the log's rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from trading_world import CLOSE, START_MS, World, buy, opened_world, short

from domain import DAY_MS, HOUR_MS, MINUTE_MS, Decision, PriceCondition, Signal
from domain import Comparison as Is
from errors import Conflict
from paper_execution import ExecutionRules
from repositories import books, coins, cycles, loss_watches, pools
from repositories.cycles import DecisionRecord
from risk_limits import limits_of

FREE_OF_FEES = Decimal(0)


def rules(risk: Any = "balanced", fee: Decimal = FREE_OF_FEES) -> ExecutionRules:
    return ExecutionRules(fee, risk=limits_of(risk))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """10,000 in cash; BTC at 100 and ETH at 10 in the pool."""
    yield from opened_world(tmp_path)


def said(world: World, coin: str, decision: Decision, risk: Any = "balanced") -> DecisionRecord:
    """What the log says of a decision."""
    world.cycle({coin: decision}, rules=rules(risk))
    return cycles.list_decisions(world.database.connection, world.model.id, limit=1)[0]


def everything(**terms: Any) -> Decision:
    """All of the equity, twice."""
    return Decision(Signal.BUY_TO_ENTER, weight=Decimal(2), **terms)


def detail(asked: str | None, allowed: str | None, limit: str) -> dict[str, str | None]:
    return {"asked": asked, "allowed": allowed, "limit": limit}


def test_leverage_of_a_thousand_is_cut_to_the_most(world: World):
    row = said(world, "BTC", buy(leverage=Decimal(1000)))
    assert (row.outcome, row.reason) == ("adjusted", "max_leverage")
    assert row.detail == {"leverage": detail("1000", "5", "max_leverage")}
    assert row.decision["leverage"] == "1000"  # as it was said
    assert world.account.positions["BTC"].leverage == 5


def test_all_the_equity_twice_is_cut_to_one_position_each(world: World):
    row = said(world, "BTC", everything())
    assert (row.outcome, row.reason) == ("adjusted", "max_position")
    quantity = {"asked": "200.000000000000", "allowed": "25.000000000000", "limit": "max_position"}
    assert row.detail == {"quantity": quantity}
    said(world, "BTC", everything())
    last = cycles.list_decisions(world.database.connection, world.model.id, limit=1)[0]
    assert (last.outcome, last.reason) == ("refused", "max_position")  # and no second time
    assert world.account.positions["BTC"].margin == 2500


def test_all_positions_together_are_limited(world: World):
    said(world, "BTC", everything(leverage=Decimal(5)))
    row = said(world, "ETH", everything(leverage=Decimal(5)))
    assert (row.outcome, row.detail["quantity"]["limit"]) == ("adjusted", "max_notional")
    held = world.account.positions
    notional = held["BTC"].cost + held["ETH"].cost
    assert notional == 20_000  # twice the equity


def test_what_is_lost_at_the_stop_is_limited(world: World):
    row = said(world, "BTC", everything(stop_loss=Decimal(50)))
    assert row.detail["quantity"]["limit"] == "max_risk"
    assert world.account.positions["BTC"].quantity * 50 == 300  # 3 % of the equity


def test_a_trailing_stop_is_a_stop(world: World):
    row = said(world, "BTC", everything(trailing_stop_pct=Decimal(50)))
    assert row.detail["quantity"]["limit"] == "max_risk"
    assert world.account.positions["BTC"].quantity * 50 == 300


def test_without_a_stop_the_margin_is_what_can_be_lost(world: World):
    said(world, "BTC", everything())
    assert world.account.positions["BTC"].margin == 2500


def test_the_weight_of_a_coin_scales_its_limit(world: World):
    connection = world.database.connection
    pools.change(connection, world.model.id, coins.get(connection, "ETH").id, {"weight": 0.5})
    said(world, "ETH", everything())
    assert world.account.positions["ETH"].margin == 1250


def test_one_position_too_many_is_refused(world: World):
    said(world, "BTC", buy(1), {"max_open_positions": 1})
    row = said(world, "ETH", buy(1), {"max_open_positions": 1})
    assert (row.outcome, row.reason) == ("refused", "max_open_positions")
    assert row.detail == {"open_positions": detail("2", "1", "max_open_positions")}


def test_too_little_confidence_is_refused(world: World):
    row = said(world, "BTC", buy(confidence=0.4), {"min_confidence": 0.6})
    assert (row.outcome, row.reason) == ("refused", "confidence_too_low")
    assert row.detail == {"confidence": detail("0.4", "0.6", "min_confidence")}


def test_a_confidence_that_is_no_number_is_too_little(world: World):
    row = said(world, "BTC", buy(confidence=float("nan")), {"min_confidence": 0.6})
    assert (row.outcome, row.reason) == ("refused", "confidence_too_low")


def test_a_coin_cools_down_after_a_close(world: World):
    risk = {"cool_down_minutes": 30}
    said(world, "BTC", buy(1), risk)
    said(world, "BTC", CLOSE, risk)
    world.clock.set(START_MS + 29 * MINUTE_MS)
    row = said(world, "BTC", buy(1), risk)
    assert (row.outcome, row.reason) == ("refused", "cool_down")
    assert row.detail == {"minutes_since_close": detail("29", "30", "cool_down_minutes")}
    assert said(world, "ETH", buy(1), risk).outcome == "executed"  # the others do not
    world.clock.set(START_MS + 30 * MINUTE_MS)
    assert said(world, "BTC", buy(1), risk).outcome == "executed"


def test_an_exit_cools_down_as_well_and_adding_to_a_position_does_not_wait(world: World):
    risk = {"cool_down_minutes": 30}
    said(world, "BTC", buy(2), risk)
    said(world, "BTC", Decision(Signal.CLOSE_POSITION, quantity=Decimal(1)), risk)
    assert said(world, "BTC", buy(1, stop_loss=Decimal(95)), risk).outcome == "executed"
    world.tick(BTC="90")
    assert said(world, "BTC", buy(1), risk).reason == "cool_down"


# ------------------------------------------------------------------------------- losses


def test_after_the_days_loss_nothing_is_entered_until_midnight_and_closes_go_on(world: World):
    said(world, "BTC", buy(20, leverage=Decimal(2)), {"max_position_pct": 100})
    said(world, "ETH", buy(1))
    world.clock.set(START_MS + MINUTE_MS)
    world.tick(BTC="49")  # −1,020: more than 10 %
    row = said(world, "ETH", buy(1))
    assert (row.outcome, row.reason) == ("refused", "daily_loss_limit")
    watch = loss_watches.get(world.database.connection, world.model.id)
    assert watch is not None
    midnight = START_MS - START_MS % DAY_MS + DAY_MS
    assert watch.paused_until == midnight
    world.tick(BTC="100")  # also where it comes back
    assert said(world, "ETH", buy(1)).reason == "daily_loss_limit"
    assert said(world, "ETH", CLOSE).outcome == "executed"
    world.clock.set(midnight - 1)
    assert said(world, "ETH", buy(1)).reason == "daily_loss_limit"
    world.clock.set(midnight + MINUTE_MS)
    assert said(world, "ETH", buy(1)).outcome == "executed"


def test_the_days_loss_is_noticed_between_cycles_too(world: World):
    said(world, "BTC", buy(20, leverage=Decimal(2)), {"max_position_pct": 100})
    world.tick(BTC="49")
    world.engine(rules=rules()).record_value()  # as the loop does every minute
    world.tick(BTC="100")
    assert said(world, "ETH", buy(1)).reason == "daily_loss_limit"


def test_after_the_largest_drawdown_the_model_is_stopped_until_a_person_resumes_it(world: World):
    risk = {"daily_loss_pct": 90, "max_drawdown_pct": 30, "max_position_pct": 100}
    said(world, "BTC", buy(50, leverage=Decimal(2)), risk)
    world.clock.set(START_MS + HOUR_MS)
    world.tick(BTC="140")  # 12,000
    said(world, "ETH", CLOSE, risk)
    world.tick(BTC="67")  # 8,350: 30.4 % below
    row = said(world, "ETH", buy(1), risk)
    assert (row.outcome, row.reason) == ("refused", "max_drawdown")
    world.clock.set(START_MS + 2 * DAY_MS)
    with pytest.raises(Conflict) as refused:
        world.cycle({"BTC": CLOSE}, rules=rules(risk))
    assert refused.value.code == "max_drawdown"
    assert len(world.tick(BTC="40")) == 1  # its exits are watched: this is the liquidation
    loss_watches.forget(world.database.connection, world.model.id)  # a person resumes it
    assert said(world, "ETH", buy(1), risk).outcome == "executed"


# ------------------------------------------------------------------------------- nonsense


@pytest.mark.parametrize(
    ("decision", "field", "reason"),
    [
        (buy(stop_loss=Decimal(-5)), "stop_loss", "invalid_stop_loss"),
        (buy(stop_loss=Decimal(0)), "stop_loss", "invalid_stop_loss"),
        (buy(stop_loss=Decimal(101)), "stop_loss", "stop_on_wrong_side"),
        (short(stop_loss=Decimal(99)), "stop_loss", "stop_on_wrong_side"),
        (buy(profit_target=Decimal(-1)), "profit_target", "invalid_profit_target"),
        (buy(profit_target=Decimal(99)), "profit_target", "target_on_wrong_side"),
        (short(profit_target=Decimal(101)), "profit_target", "target_on_wrong_side"),
        (buy(trailing_stop_pct=Decimal(100)), "trailing_stop_pct", "invalid_trailing_stop"),
        (buy(trailing_stop_pct=Decimal(-1)), "trailing_stop_pct", "invalid_trailing_stop"),
        (buy(leverage=Decimal(0)), "leverage", "invalid_leverage"),
        (buy(leverage=Decimal(-3)), "leverage", "invalid_leverage"),
        (buy(leverage=Decimal("NaN")), "leverage", "invalid_leverage"),
        (buy(-5), "quantity", "invalid_quantity"),
        (buy("NaN"), "quantity", "invalid_quantity"),
        (buy("Infinity"), "quantity", "invalid_quantity"),
        (buy("1e300"), "quantity", "invalid_quantity"),
        (buy(stop_loss=Decimal("NaN")), "stop_loss", "invalid_stop_loss"),
        (replace(everything(), weight=Decimal(-1)), "weight", "invalid_quantity"),
        (
            buy(invalidation_condition=PriceCondition(None, Is.BELOW, Decimal(120))),
            "invalidation", "invalidated_already",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_as_a_whole_and_the_log_says_what(
    world: World, decision: Decision, field: str, reason: str
):
    row = said(world, "BTC", decision)
    assert (row.outcome, row.reason) == ("refused", reason)
    assert (row.detail[field]["allowed"], row.detail[field]["limit"]) == (None, reason)
    assert not world.trades()


def test_an_entry_without_a_size_is_refused(world: World):
    row = said(world, "BTC", Decision(Signal.BUY_TO_ENTER))
    assert (row.outcome, row.reason) == ("refused", "invalid_quantity")


# ------------------------------------------------------------------------------- which coins


def test_a_coin_that_does_not_exist_is_refused(world: World):
    row = said(world, "MOON'; DROP TABLE trades; --", buy())
    assert (row.outcome, row.reason) == ("refused", "unknown_coin")


def test_a_coin_out_of_the_pool_is_refused(world: World):
    world.source.quotes["SOLUSDT"] = Decimal(10)
    assert said(world, "SOL", buy()).reason == "not_in_pool"


def test_a_coin_that_is_inactive_is_closed_and_not_entered(world: World):
    connection = world.database.connection
    said(world, "ETH", buy())
    coins.change(connection, coins.get(connection, "ETH").id, {"is_active": False}, START_MS)
    assert said(world, "ETH", buy()).reason == "not_in_pool"
    assert said(world, "ETH", CLOSE).outcome == "executed"


def stale(world: World, seconds: int) -> None:
    """From the next question on ETH's price stands still; `seconds` pass while a trader thinks."""

    def think() -> None:
        del world.source.quotes["ETHUSDT"]
        world.source.lots["ETHUSDT"] = world.lots
        world.clock.set(world.clock.now_ms() + seconds * 1000)

    world.trader.before_answering = think


@pytest.mark.parametrize(
    ("seconds", "entry", "close"),
    [
        (4, ("executed", None), ("executed", None)),
        (30, ("refused", "stale_price"), ("executed", None)),
        (61, ("refused", "stale_price"), ("refused", "no_price")),
    ],
)
@pytest.mark.parametrize("closing", [False, True])
def test_a_price_that_is_stale_lets_close_for_a_minute_and_enter_no_more(
    world: World, seconds: int, entry: Any, close: Any, closing: bool
):
    said(world, "ETH", buy())
    stale(world, seconds)
    row = said(world, "ETH", CLOSE if closing else buy())
    assert (row.outcome, row.reason) == (close if closing else entry)


def test_a_coin_whose_price_was_never_seen_is_refused(world: World):
    del world.source.quotes["ETHUSDT"]
    world.source.lots["ETHUSDT"] = world.lots
    assert said(world, "ETH", buy()).reason == "no_price"


def test_whatever_is_asked_at_once_the_books_stay_within_risk(world: World):
    """All of it in one answer, as a model does that was told to get rich."""
    world.cycle(
        {
            "BTC": [everything(leverage=Decimal(1000)) for _ in range(5)],
            "ETH": [everything(leverage=Decimal(125)) for _ in range(5)],
            "SOL": everything(),
            "": everything(),
        },
        rules=rules(),
    )
    portfolio = world.engine().valued_account().portfolio
    notional = sum(position.cost for position in portfolio.positions.values())
    assert notional <= 2 * portfolio.total_value
    assert all(p.margin <= portfolio.total_value / 4 for p in portfolio.positions.values())
    assert all(p.leverage <= 5 for p in portfolio.positions.values())
    rows = cycles.list_decisions(world.database.connection, world.model.id)
    assert len(rows) == 12
    assert {row.outcome for row in rows} == {"adjusted", "refused"}
    assert len(books.all_entries(world.database.connection, world.model.id)) == 2
