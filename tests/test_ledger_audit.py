"""`ledger verify`: books that follow from their trades balance, and whatever was changed is named."""

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from new_database import new_database

import ledger
from clock import ManualClock
from database import Database
from domain import Exits, Fill, FillKind, Interval, Reason, Side, TradingModel
from ledger import Account
from ledger_audit import audit
from repositories import books, coins, models
from repositories.books import Mark

NOW_MS = 1_717_245_296_789
FILLS = (
    Fill(
        FillKind.OPEN, "BTC", Side.LONG, Decimal("0.3"), Decimal(7000), NOW_MS, Decimal(3),
        Decimal("2.1"), exits=Exits(stop_loss=Decimal(6000)),
    ),
    Fill(
        FillKind.OPEN, "PEPE", Side.SHORT, Decimal(10**8), Decimal("0.0000123"), NOW_MS,
        Decimal(2), Decimal("1.23"),
    ),
    Fill(
        FillKind.CLOSE, "BTC", Side.LONG, Decimal("0.1"), Decimal(7500), NOW_MS + 1,
        fee=Decimal("0.75"),
    ),
    Fill(
        FillKind.FUNDING, "PEPE", Side.SHORT, Decimal(10**8), Decimal("0.0000125"), NOW_MS + 2,
        fee=Decimal("-0.125"), reason=Reason.FUNDING,
    ),
)  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", ManualClock(NOW_MS))
    yield database
    database.close()


@pytest.fixture
def model(database: Database) -> TradingModel:
    """A model whose account has lived through FILLS: its trades are 1 to 4."""
    connection = database.connection
    terms = TradingModel("Mine", "random", Decimal(10_000), Interval.H1, 60, "off")
    model = models.add(connection, terms, NOW_MS)
    ids = {coin.symbol: coin.id for coin in coins.list_coins(connection)}
    account = Account.opened_with(terms.initial_capital)
    for fill in FILLS:
        account, entry = ledger.post(account, fill)
        books.book(connection, model.id, ids, entry)
    books.store_account(connection, model.id, account, ids, {})
    return model


def differences(database: Database, model: TradingModel) -> tuple[str, ...]:
    return audit(database.connection, models.get(database.connection, model.id)).differences


def test_books_that_follow_from_their_trades_balance(database: Database, model: TradingModel):
    result = audit(database.connection, model)
    assert (result.trades, result.differences) == (4, ())


def test_a_model_that_never_traded_balances(database: Database):
    terms = TradingModel("Idle", "random", Decimal("1E+4"), Interval.H1, 60, "off")
    idle = models.add(database.connection, terms, NOW_MS)
    assert differences(database, idle) == ()


def test_what_ticks_change_of_a_position_is_no_difference(database: Database, model: TradingModel):
    connection = database.connection
    held = books.load_account(connection, model.id).positions["BTC"]
    books.store_watch(connection, model.id, held, Mark(Decimal(7600), NOW_MS + 9))
    connection.execute("UPDATE positions SET best_price = '7777'")
    assert differences(database, model) == ()


@pytest.mark.parametrize(
    ("tampering", "named"),
    [
        ("UPDATE trades SET price = '7000.000000000001' WHERE id = 1", "trade 1: cash_after is"),
        ("UPDATE trades SET quantity = '0.4' WHERE id = 1", "trade 1: cash_after is"),
        ("UPDATE trades SET fee = '2.09' WHERE id = 1", "trade 1: cash_after is"),
        ("UPDATE trades SET leverage = '2' WHERE id = 1", "trade 1: cash_after is"),
        ("UPDATE trades SET pnl = '50' WHERE id = 3", "trade 3: pnl is 50, its replay gives"),
        ("UPDATE trades SET gross = '51' WHERE id = 3", "trade 3: gross is 51"),
        ("UPDATE trades SET cash_after = '1' WHERE id = 2", "trade 2: cash_after is 1"),
        ("UPDATE trades SET side = 'short' WHERE id = 3", "trade 3 cannot be booked"),
        ("UPDATE trades SET quantity = '0.31' WHERE id = 3", "trade 3 cannot be booked"),
        ("UPDATE trades SET price = '-7' WHERE id = 1", "trade 1 cannot be booked"),
        ("UPDATE trades SET price = 'NaN' WHERE id = 1", "trade 1 cannot be booked"),
        ("UPDATE trades SET price = 'much' WHERE id = 2", "Trade 2 cannot be read"),
        ("UPDATE trades SET reason = 'whim' WHERE id = 2", "Trade 2 cannot be read"),
        ("UPDATE trades SET stop_loss = '1' WHERE id = 1", "position in BTC is"),
        ("DELETE FROM trades WHERE id = 1", "trade 2: cash_after is"),
        ("DELETE FROM trades WHERE id = 4", "cash is"),
        ("UPDATE accounts SET cash = '1e9'", "cash is 1"),
        ("UPDATE accounts SET realized_pnl = '49.26'", "realized_pnl is 49.26"),
        ("UPDATE accounts SET fees_paid = '0'", "fees_paid is 0, the trades give 4.08"),
        ("UPDATE accounts SET funding_paid = '0'", "funding_paid is 0, the trades give -0.125"),
        ("UPDATE accounts SET cash = 'lots'", "The account of model 1 cannot be read"),
        ("DELETE FROM accounts", "Model 1 has no account"),
        ("UPDATE positions SET quantity = '9' WHERE coin = 'BTC'", "position in BTC is"),
        ("UPDATE positions SET margin = 'x' WHERE coin = 'BTC'", "The account of model 1 cannot"),
        ("UPDATE positions SET stop_loss = '5999' WHERE coin = 'BTC'", "position in BTC is"),
        ("DELETE FROM positions WHERE coin = 'PEPE'", "position in PEPE is None"),
        ("UPDATE models SET initial_capital = '10001'", "trade 1: cash_after is"),
    ],
)
def test_what_was_changed_is_named(
    database: Database, model: TradingModel, tampering: str, named: str
):
    changed = database.connection.execute(tampering)
    assert changed.rowcount == 1
    found = differences(database, model)
    assert found
    assert found[0].startswith(named), found


def test_a_trade_that_was_added_is_named(database: Database, model: TradingModel):
    connection: sqlite3.Connection = database.connection
    columns = [row["name"] for row in connection.execute("PRAGMA table_info(trades)")][1:]
    names = ", ".join(columns)
    connection.execute(f"INSERT INTO trades ({names}) SELECT {names} FROM trades WHERE id = 2")
    assert differences(database, model)[0].startswith("trade 5: cash_after is")
