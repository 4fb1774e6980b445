"""Rows and domain objects: what is stored comes back to the digit, and clashes are told apart."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from new_database import new_database

import ledger
from clock import ManualClock
from database import Database
from domain import (
    Coin,
    Decision,
    Entry,
    Exits,
    Fill,
    FillKind,
    Interval,
    Portfolio,
    Position,
    Reason,
    Side,
    Signal,
    TradingModel,
)
from errors import Conflict, Failure, LedgerMismatch, NotFound
from ledger import Account
from repositories import backtests, books, coins, cycles, models, pools
from repositories import settings as setting_rows
from repositories.books import Mark
from risk import Change

NOW_MS = 1_717_245_296_789
SIXTY_DIGITS = Decimal("98765432109876543210987654321098765432.1098765432109876543211")
assert len(SIXTY_DIGITS.as_tuple().digits) == 60
PEPE = Decimal("0.000000100500")
MODEL = TradingModel("Mine", "ma_cross", Decimal(10_000), Interval.H1, 60, "balanced")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", ManualClock(NOW_MS))
    yield database
    database.close()


@pytest.fixture
def connection(database: Database) -> sqlite3.Connection:
    return database.connection


@pytest.fixture
def model(connection: sqlite3.Connection) -> TradingModel:
    return models.add(connection, MODEL, NOW_MS)


def ids(connection: sqlite3.Connection) -> dict[str, int]:
    return {coin.symbol: coin.id for coin in coins.list_coins(connection)}


def amounts_in(connection: sqlite3.Connection) -> list[str]:
    """Every booked amount, as the text that it is stored as."""
    columns = {
        "trades": "quantity, price, leverage, fee, gross, pnl, cash_after, stop_loss, "
        "profit_target, trailing_stop_pct",
        "positions": "quantity, cost, margin, entry_fees, funding, stop_loss, profit_target, "
        "trailing_stop_pct, best_price, mark_price",
        "accounts": "cash, realized_pnl, fees_paid, funding_paid",
        "account_values": "total_value, cash, positions_value",
        "models": "initial_capital",
    }
    return [
        text
        for table, names in columns.items()
        for row in connection.execute(f"SELECT {names} FROM {table}")
        for text in row
        if text is not None
    ]


# ----------------------------------------------------------------------------------------- books


def test_an_account_and_its_positions_come_back_to_the_digit(
    connection: sqlite3.Connection, model: TradingModel
):
    long = Position(
        "BTC", Side.LONG, Decimal("1E-12"), SIXTY_DIGITS, ledger.EXACT.divide(SIXTY_DIGITS, Decimal(7)), Decimal("1E-24"),
        NOW_MS, Decimal("-1E-24"),
        Exits(Decimal("1E-12"), Decimal("1E+15"), Decimal("1.50")), SIXTY_DIGITS,
    )  # fmt: skip
    short = Position("PEPE", Side.SHORT, Decimal("5E+14"), PEPE, PEPE, Decimal(0), NOW_MS)
    account = Account(
        MODEL.initial_capital, SIXTY_DIGITS.copy_negate(), {"BTC": long, "PEPE": short},
        Decimal("-1E-24"), SIXTY_DIGITS, Decimal("0E-24"),
    )  # fmt: skip
    marks = {"PEPE": Mark(PEPE, NOW_MS)}
    books.store_account(connection, model.id, account, ids(connection), marks)
    loaded = books.load_account(connection, model.id)
    assert loaded == account
    digits = [loaded.cash.as_tuple(), loaded.positions["BTC"].margin.as_tuple()]
    assert [len(parts.digits) for parts in digits] == [60, 60]
    assert books.load_marks(connection, model.id) == marks
    assert not [text for text in amounts_in(connection) if "e" in text.lower()]


AMOUNTS = st.decimals(-(10**20), 10**20, allow_nan=False, places=24) | st.sampled_from(
    [Decimal("1E-24"), Decimal("-1E+19"), Decimal("0E-30"), PEPE, SIXTY_DIGITS]
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amounts=st.lists(AMOUNTS, min_size=9, max_size=9), kind=st.sampled_from(FillKind))
def test_any_trade_comes_back_to_the_digit(database: Database, amounts, kind: FillKind):
    with localcontext(ledger.EXACT):
        fill = Fill(
            kind, "PEPE", Side.SHORT, amounts[0], amounts[1], NOW_MS, amounts[2], amounts[3],
            Reason.FUNDING, Exits(amounts[4], None, amounts[5]),
        )  # fmt: skip
        entry = Entry(fill, amounts[6], amounts[7], amounts[8])
    try:
        with database.transaction() as connection:
            stored = models.add(connection, MODEL, NOW_MS)
            books.book(connection, stored.id, ids(connection), entry)
            (trade,) = books.all_entries(connection, stored.id)
            texts = amounts_in(connection)
            raise sqlite3.Warning("roll back")
    except sqlite3.Warning:
        pass
    assert trade.entry == entry
    assert not [text for text in texts if "e" in text.lower()]


def test_the_books_of_a_real_fill_follow_from_it(
    connection: sqlite3.Connection, model: TradingModel
):
    fill = Fill(
        FillKind.OPEN, "PEPE", Side.LONG, Decimal("98765432.1"), PEPE, NOW_MS, Decimal(3),
        Decimal("0.00992592592605"), exits=Exits(stop_loss=Decimal("0.0000001")),
    )  # fmt: skip
    account, entry = ledger.post(Account.opened_with(MODEL.initial_capital), fill)
    books.book(connection, model.id, ids(connection), entry)
    books.store_account(connection, model.id, account, ids(connection), {})
    assert books.load_account(connection, model.id) == account
    assert [trade.entry for trade in books.all_entries(connection, model.id)] == [entry]


def test_a_tick_changes_only_mark_and_best_price(
    connection: sqlite3.Connection, model: TradingModel
):
    position = Position("BTC", Side.LONG, *[Decimal(1)] * 3, Decimal(0), NOW_MS)
    account = Account.opened_with(Decimal(10))._replace(positions={"BTC": position})
    books.store_account(connection, model.id, account, ids(connection), {})
    assert books.load_marks(connection, model.id) == {}
    seen = position._replace(best_price=Decimal("7E+4"))
    books.store_watch(connection, model.id, seen, Mark(Decimal("6.9E+4"), NOW_MS))
    assert books.load_account(connection, model.id).positions == {"BTC": seen}
    assert books.load_marks(connection, model.id) == {"BTC": Mark(Decimal(69_000), NOW_MS)}
    assert not [text for text in amounts_in(connection) if "e" in text.lower()]


def test_a_closed_position_leaves_no_row(connection: sqlite3.Connection, model: TradingModel):
    position = Position("BTC", Side.LONG, *[Decimal(1)] * 3, Decimal(0), NOW_MS)
    account = Account.opened_with(Decimal(10))
    held = account._replace(positions={"BTC": position})
    books.store_account(connection, model.id, held, ids(connection), {})
    assert books.held_coins(connection) == {model.id: ["BTC"]}
    books.store_account(connection, model.id, account, ids(connection), {})
    assert books.held_coins(connection) == {}


def test_an_archived_model_holds_nothing_that_is_watched(
    connection: sqlite3.Connection, model: TradingModel
):
    position = Position("BTC", Side.LONG, *[Decimal(1)] * 3, Decimal(0), NOW_MS)
    held = Account.opened_with(Decimal(10))._replace(positions={"BTC": position})
    books.store_account(connection, model.id, held, ids(connection), {})
    models.archive(connection, model.id, NOW_MS)
    assert books.held_coins(connection) == {}


def test_a_model_without_an_account_is_a_mismatch(
    connection: sqlite3.Connection, model: TradingModel
):
    connection.execute("DELETE FROM accounts")
    with pytest.raises(LedgerMismatch, match=f"Model {model.id} has no account"):
        books.load_account(connection, model.id)


def test_trades_are_paged_back_newest_first(connection: sqlite3.Connection, model: TradingModel):
    other = models.add(connection, replace(MODEL, name="Other"), NOW_MS)
    for number in range(1, 7):
        coin = "BTC" if number % 2 else "ETH"
        fill = Fill(FillKind.OPEN, coin, Side.LONG, Decimal(number), Decimal(1), NOW_MS)
        entry = Entry(fill, Decimal(0), Decimal(0), Decimal(0))
        books.book(connection, (model if number < 6 else other).id, ids(connection), entry)

    def quantities(**question: Any) -> list[int]:
        trades = books.list_trades(connection, [model.id], **question)
        return [int(trade.entry.fill.quantity) for trade in trades]

    assert quantities() == [5, 4, 3, 2, 1]
    assert quantities(limit=2) == [5, 4]
    assert quantities(limit=2, before=4) == [3, 2]
    assert quantities(coin="BTC") == [5, 3, 1]
    assert quantities(coin="BTC", before=5, limit=1) == [3]
    assert quantities(coin="SOL") == []


def test_a_trade_says_why_its_trader_wanted_it(connection: sqlite3.Connection, model: TradingModel):
    cycle = cycles.begin(connection, model.id, None, NOW_MS)
    wanted = Decision(Signal.BUY_TO_ENTER, quantity=Decimal(1), justification="It's cheap. 便宜")
    record = cycles.add_decision(connection, cycle, 1, "BTC", wanted, NOW_MS)
    fill = Fill(
        FillKind.OPEN, "BTC", Side.LONG, Decimal(1), Decimal(1), NOW_MS, decision_id=record.id
    )
    books.book(connection, model.id, ids(connection), Entry(fill, *[Decimal(0)] * 3))
    (trade,) = books.list_trades(connection, [model.id])
    assert (trade.justification, trade.entry.fill.decision_id) == ("It's cheap. 便宜", record.id)


# -------------------------------------------------------------------------------- value curve


def record(connection: sqlite3.Connection, model: TradingModel, times: list[int]) -> None:
    for number, time_ms in enumerate(times):
        value = Decimal(number)
        portfolio = Portfolio(value, {}, Decimal(0), value, Decimal(0), Decimal(0))
        books.record_value(connection, model.id, portfolio, time_ms)


def thinned(connection: sqlite3.Connection, model: TradingModel, **question: Any) -> list[int]:
    return [v.time_ms for v in books.thinned_account_values(connection, model.id, **question)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=st.lists(st.integers(0, 5000), max_size=60), limit=st.integers(2, 40))
def test_thinning_keeps_first_and_last_and_never_gives_too_many(
    database: Database, times: list[int], limit: int
):
    try:
        with database.transaction() as connection:
            model = models.add(connection, MODEL, NOW_MS)
            record(connection, model, times)
            kept = thinned(connection, model, limit=limit)
            raise sqlite3.Warning("roll back")
    except sqlite3.Warning:
        pass
    assert len(kept) <= limit
    assert kept == sorted(set(kept))
    assert set(kept) <= set(times)
    if len(times) <= limit:
        assert kept == sorted(set(times))
    if times:
        assert (kept[0], kept[-1]) == (min(times), max(times))


def test_thinning_is_even_over_time(connection: sqlite3.Connection, model: TradingModel):
    record(connection, model, list(range(0, 10_001)))
    assert thinned(connection, model, limit=11) == list(range(0, 10_001, 1000))
    assert thinned(connection, model, limit=3, since_ms=8000) == [8000, 9000, 10_000]
    assert thinned(connection, model, limit=1) == [0, 10_000]
    assert thinned(connection, model, since_ms=10_001) == []


def test_of_two_values_of_one_moment_the_later_counts(
    connection: sqlite3.Connection, model: TradingModel
):
    record(connection, model, [7, 7, 5])
    values = books.thinned_account_values(connection, model.id)
    assert [(value.time_ms, int(value.total_value)) for value in values] == [(5, 2), (7, 1)]
    newest_first = books.account_values(connection, model.id)
    assert [int(value.total_value) for value in newest_first] == [1, 0, 2]
    at = books.value_at(connection, model.id, 8)
    assert at is not None
    assert int(at.total_value) == 1
    assert books.value_at(connection, model.id, 5) is None
    assert books.latest_value_time(connection) == 7


def test_a_database_without_values_has_no_latest_time(connection: sqlite3.Connection):
    assert books.latest_value_time(connection) is None


# ---------------------------------------------------------------------------------------- models


def test_a_model_comes_back_as_it_was_made(connection: sqlite3.Connection):
    made = models.add(
        connection,
        replace(
            MODEL, initial_capital=Decimal("1E+4"), params={"fast": 3, "名": [1.5, None]},
            prompt="Trade.", model_name="some-llm", enabled=False,
        ),
        NOW_MS,
    )  # fmt: skip
    assert models.get(connection, made.id) == made
    assert books.load_account(connection, made.id) == Account.opened_with(Decimal(10_000))
    changed = replace(made, interval=Interval.W1, initial_capital=Decimal("2E+4"), enabled=True)
    models.update(connection, changed, NOW_MS + 5)
    assert models.get(connection, made.id) == replace(changed, updated_at=NOW_MS + 5)
    assert not [text for text in amounts_in(connection) if "e" in text.lower()]


def test_a_name_is_free_once_its_model_is_archived(
    connection: sqlite3.Connection, model: TradingModel
):
    with pytest.raises(Conflict) as clash:
        models.add(connection, MODEL, NOW_MS)
    assert clash.value.code == "name_taken"
    other = models.add(connection, replace(MODEL, name="Other"), NOW_MS)
    with pytest.raises(Conflict, match="Mine"):
        models.update(connection, replace(other, name="Mine"), NOW_MS)
    models.archive(connection, model.id, NOW_MS)
    models.update(connection, replace(other, name="Mine"), NOW_MS)
    assert [found.name for found in models.list_models(connection)] == ["Mine"]
    assert len(models.list_models(connection, include_archived=True)) == 2
    assert models.get(connection, model.id).archived_at == NOW_MS
    for question in (lambda: models.get_current(connection, model.id),
                     lambda: models.get(connection, 99)):  # fmt: skip
        with pytest.raises(NotFound) as unknown:
            question()
        assert unknown.value.code == "unknown_model"


def test_an_unknown_provider_is_named(connection: sqlite3.Connection, model: TradingModel):
    for question in (
        lambda: models.add(connection, replace(MODEL, name="B", provider_id=9), NOW_MS),
        lambda: models.update(connection, replace(model, provider_id=9), NOW_MS),
    ):
        with pytest.raises(NotFound) as unknown:
            question()
        assert unknown.value.code == "unknown_provider"
    connection.execute(
        "INSERT INTO providers (id, name, api_url, created_at, updated_at) "
        "VALUES (9, 'P', 'http://x', 0, 0)"
    )
    models.update(connection, replace(model, provider_id=9), NOW_MS)
    assert models.provider_names(connection) == {9: "P"}


def test_what_cannot_be_is_not_taken_for_a_clash(connection: sqlite3.Connection):
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        models.add(connection, replace(MODEL, cycle_minutes=0), NOW_MS)


# ---------------------------------------------------------------------------------- coins, pools


def symbols(found: list[Coin]) -> list[str]:
    return [coin.symbol for coin in found]


def test_coins_are_found_by_symbol_venue_and_words(connection: sqlite3.Connection):
    known = coins.list_coins(connection)
    assert symbols(known)[:3] == ["BTC", "ETH", "BNB"]
    unranked = symbols([coin for coin in known if coin.market_cap_rank is None])
    assert symbols(known)[-len(unranked) :] == sorted(unranked)
    layer2 = coins.list_coins(connection, category="Layer2")
    assert {"ARB", "OP"} <= set(symbols(layer2))
    assert {coin.category for coin in layer2} == {"Layer2"}
    assert "BTC" in symbols(coins.list_coins(connection, search="iTcOi"))
    assert "DOGE" in symbols(coins.list_coins(connection, search="oge"))
    assert symbols(coins.list_coins(connection, search="%")) == []
    assert coins.get(connection, "btc") == coins.find(connection, "BTC")
    found = coins.find_by_venue_symbol(connection, "okx", "BTC-USDT")
    assert found == coins.find(connection, "BTC")
    assert coins.find_by_venue_symbol(connection, "binance", "NOSUCHUSDT") is None
    with pytest.raises(NotFound) as unknown:
        coins.get(connection, "NOSUCH")
    assert unknown.value.code == "unknown_coin"


def test_an_inactive_coin_is_in_no_pool(connection: sqlite3.Connection, model: TradingModel):
    pools.replace_members(connection, model.id, coins.list_coins(connection)[:2], NOW_MS)
    connection.execute("UPDATE coins SET is_active = 0 WHERE symbol = 'BTC'")
    assert symbols(pools.enterable(connection, model.id)) == ["ETH"]
    assert pools.symbols_of_all(connection) == {model.id: ["ETH"]}
    assert symbols(coins.list_coins(connection, is_active=False)) == ["BTC"]
    assert "BTC" in symbols(coins.list_coins(connection, is_active=None))
    assert coins.get(connection, "BTC").is_active is False


def test_a_pool_is_replaced_and_who_stays_keeps_its_weight(
    connection: sqlite3.Connection, model: TradingModel
):
    btc, eth, bnb, *_ = coins.list_coins(connection)
    pools.replace_members(connection, model.id, [eth, btc, eth], NOW_MS)
    assert symbols(pools.enterable(connection, model.id)) == ["BTC", "ETH"]
    connection.execute(
        "UPDATE model_coin_pools SET weight = 2.5, is_enabled = 0 WHERE coin_id = ?", (btc.id,)
    )
    assert symbols(pools.enterable(connection, model.id)) == ["ETH"]
    pools.replace_members(connection, model.id, [btc, bnb], NOW_MS + 1)
    assert pools.symbols_of_all(connection) == {model.id: ["BTC", "BNB"]}
    weights = connection.execute("SELECT weight, added_at FROM model_coin_pools ORDER BY coin_id")
    assert [tuple(row) for row in weights] == [(2.5, NOW_MS), (1.0, NOW_MS + 1)]
    pools.replace_members(connection, model.id, [], NOW_MS)
    assert pools.symbols_of_all(connection) == {}


# -------------------------------------------------------------------------------------- cycles


def test_a_scheduled_cycle_runs_once_a_model(connection: sqlite3.Connection, model: TradingModel):
    other = models.add(connection, replace(MODEL, name="Other"), NOW_MS)
    cycles.begin(connection, model.id, NOW_MS, NOW_MS + 1)
    with pytest.raises(Conflict) as done:
        cycles.begin(connection, model.id, NOW_MS, NOW_MS + 2)
    assert done.value.code == "cycle_done"
    cycles.begin(connection, other.id, NOW_MS, NOW_MS)
    cycles.begin(connection, model.id, NOW_MS + 60_000, NOW_MS)
    for _ in range(2):  # those asked for by hand have no turn
        cycles.begin(connection, model.id, None, NOW_MS)
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        cycles.begin(connection, 99, NOW_MS, NOW_MS)


def test_cycles_of_a_dead_process_are_interrupted_and_no_others(
    connection: sqlite3.Connection, model: TradingModel
):
    done = replace(
        cycles.begin(connection, model.id, 1, NOW_MS), status="done", finished_at=NOW_MS + 9,
        timings={"snapshot_ms": 1.5},
    )  # fmt: skip
    cycles.finish(connection, done)
    running = cycles.begin(connection, model.id, 2, NOW_MS + 10)
    assert cycles.last(connection, model.id) == replace(running, timings={})
    assert cycles.interrupt_running(connection, NOW_MS + 20) == 1
    assert cycles.interrupt_running(connection, NOW_MS + 30) == 0
    last = cycles.last(connection, model.id)
    assert last is not None
    assert (last.status, last.finished_at, last.error_code) == (
        "interrupted", NOW_MS + 20, "interrupted",
    )  # fmt: skip
    assert cycles.previous_start(connection, model.id) == NOW_MS  # of the one that was done
    with pytest.raises(Conflict):  # it is not run again: its market is gone
        cycles.begin(connection, model.id, 2, NOW_MS + 40)


def test_a_model_that_never_ran_has_no_cycles(connection: sqlite3.Connection, model: TradingModel):
    assert cycles.last(connection, model.id) is None
    assert cycles.previous_start(connection, model.id) is None
    assert cycles.last_of_all(connection) == {}


def test_a_decision_is_kept_in_its_own_words(connection: sqlite3.Connection, model: TradingModel):
    entry = Decision(
        Signal.BUY_TO_ENTER, weight=Decimal("2E-1"), leverage=Decimal("1E+1"),
        stop_loss=PEPE, confidence=0.75, justification="Aufwärts 📈", invalidation="<b>below</b>",
    )  # fmt: skip
    assert cycles.decision_words(entry) == {
        "signal": "buy_to_enter", "weight": "0.2", "leverage": "10", "stop_loss": "0.000000100500",
        "confidence": 0.75, "justification": "Aufwärts 📈", "invalidation": "<b>below</b>",
    }  # fmt: skip
    close = Decision(Signal.CLOSE_POSITION, quantity=Decimal("5E+14"))
    assert cycles.decision_words(close) == {
        "signal": "close_position", "quantity": "500000000000000",
    }  # fmt: skip
    assert cycles.decision_words(Decision(Signal.HOLD)) == {"signal": "hold"}

    cycle = cycles.begin(connection, model.id, None, NOW_MS)
    first = cycles.add_decision(connection, cycle, 1, "BTC", entry, NOW_MS)
    second = cycles.add_decision(connection, cycle, None, "NOSUCH", close, NOW_MS)
    assert (first.outcome, second.signal) == ("pending", "close_position")
    cut = {"leverage": Change(Decimal(10), Decimal(3), "max_leverage")}
    first = cycles.set_outcome(connection, first, "adjusted", "max_leverage", cut)
    assert first.detail == {"leverage": {"asked": "10", "allowed": "3", "limit": "max_leverage"}}
    second = cycles.set_outcome(connection, second, "refused", "no_price", {})
    assert cycles.list_decisions(connection, model.id) == [second, first]
    assert cycles.list_decisions(connection, model.id, limit=1, before=second.id) == [first]


# ------------------------------------------------------------------------------------ backtests

CONFIG = {"trader": "ma_cross", "coins": ["BTC"]}
REPORT = {"summary": {"final_value": 1.25}, "data": {"hash": "abc"}, "trades": [{"coin": "BTC"}]}


@pytest.fixture
def backtest_id(connection: sqlite3.Connection) -> int:
    return backtests.add(connection, CONFIG, "hash", None, NOW_MS)


def test_a_run_goes_from_the_queue_to_its_report(connection: sqlite3.Connection, backtest_id: int):
    queued = backtests.get(connection, backtest_id)
    assert (queued.status, queued.progress, queued.config) == ("queued", 0, CONFIG)
    assert backtests.start(connection, backtest_id, NOW_MS + 1)
    assert not backtests.start(connection, backtest_id, NOW_MS + 2)  # somebody else has it
    backtests.set_progress(connection, backtest_id, 0.5)
    found = CONFIG | {"sources": {"BTC": "okx"}}
    backtests.set_config(connection, backtest_id, found, "hash with its bars")
    running = backtests.get(connection, backtest_id)
    assert running.config == found
    assert (running.status, running.progress, running.started_at) == ("running", 0.5, NOW_MS + 1)
    assert backtests.find_done(connection, "hash with its bars") == []
    backtests.finish(connection, backtest_id, REPORT, NOW_MS + 3)
    done = backtests.get(connection, backtest_id, with_report=True)
    assert (done.status, done.progress, done.report) == ("done", 1, REPORT)
    assert (done.summary, done.data_hash, done.finished_at) == (
        REPORT["summary"], "abc", NOW_MS + 3,
    )  # fmt: skip
    listed = backtests.get(connection, backtest_id)
    assert listed.report is None
    assert backtests.find_done(connection, "hash with its bars") == [listed]
    assert backtests.list_backtests(connection, 10) == [listed]


def test_a_cancelled_run_stays_cancelled(connection: sqlite3.Connection, backtest_id: int):
    backtests.start(connection, backtest_id, NOW_MS)
    assert backtests.cancel(connection, backtest_id, NOW_MS + 1)
    assert not backtests.cancel(connection, backtest_id, NOW_MS + 2)
    cancelled = backtests.get(connection, backtest_id, with_report=True)
    backtests.finish(connection, backtest_id, REPORT, NOW_MS + 3)
    backtests.fail(connection, backtest_id, Failure("worker_died", "It died."), NOW_MS + 3)
    backtests.set_progress(connection, backtest_id, 0.9)
    backtests.requeue(connection, backtest_id)
    assert not backtests.start(connection, backtest_id, NOW_MS + 4)
    assert backtests.get(connection, backtest_id, with_report=True) == cancelled
    assert cancelled.status == "cancelled"


def test_a_run_cancelled_in_the_queue_is_never_started(
    connection: sqlite3.Connection, backtest_id: int
):
    assert backtests.cancel(connection, backtest_id, NOW_MS)
    assert not backtests.start(connection, backtest_id, NOW_MS)


def test_a_failed_run_says_why(connection: sqlite3.Connection, backtest_id: int):
    failure = Failure("no_data", "No candles.", {"coin": "BTC"})
    backtests.fail(connection, backtest_id, failure, NOW_MS)
    failed = backtests.get(connection, backtest_id)
    assert (failed.status, failed.error_code, failed.error) == ("failed", "no_data", "No candles.")
    assert failed.error_values == {"coin": "BTC"}
    assert not backtests.cancel(connection, backtest_id, NOW_MS)


def test_what_a_dead_process_left_is_queued_again(connection: sqlite3.Connection, backtest_id: int):
    queued = backtests.get(connection, backtest_id)
    running_id = backtests.add(connection, CONFIG, "hash", None, NOW_MS)
    backtests.start(connection, running_id, NOW_MS)
    backtests.set_progress(connection, running_id, 0.7)
    done_id = backtests.add(connection, CONFIG, "hash", None, NOW_MS)
    backtests.start(connection, done_id, NOW_MS)
    backtests.finish(connection, done_id, REPORT, NOW_MS)
    left = backtests.unfinished(connection)
    assert [record.id for record in left] == [backtest_id, running_id]
    for record in left:
        backtests.requeue(connection, record.id)
    assert backtests.get(connection, backtest_id) == queued
    again = backtests.get(connection, running_id)
    assert (again.status, again.progress, again.started_at) == ("queued", 0, None)
    assert backtests.start(connection, running_id, NOW_MS)
    assert backtests.status_of(connection, done_id) == "done"


def test_a_deleted_run_is_unknown(connection: sqlite3.Connection, backtest_id: int):
    backtests.delete(connection, backtest_id)
    assert backtests.status_of(connection, backtest_id) is None
    with pytest.raises(NotFound) as unknown:
        backtests.get(connection, backtest_id)
    assert unknown.value.code == "unknown_backtest"


# -------------------------------------------------------------------------------------- settings


def test_settings_are_values_by_name(connection: sqlite3.Connection):
    assert setting_rows.load(connection) == {}
    setting_rows.store(connection, {"fee": 0.001, "words": "é", "nothing": None})
    setting_rows.store(connection, {"fee": 0.002})
    assert setting_rows.load(connection) == {"fee": 0.002, "nothing": None, "words": "é"}
