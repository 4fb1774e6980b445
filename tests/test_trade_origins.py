"""From a number to where it comes from: a position's first trade, a trade's decision and model."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient

import ledger
from domain import Decision, Fill, FillKind, Interval, Reason, Side, Signal, TradingModel
from ledger import Account
from repositories import books, coins, cycles, models
from routes.services import EXTENSION

DAY_MS = 86_400_000
OPEN, CLOSE, FUNDING = FillKind.OPEN, FillKind.CLOSE, FillKind.FUNDING
#: A position that grows and shrinks until nothing is left, then one that is held, beside another coin's.
FILLS = [
    (OPEN, "BTC", "0.1"), (OPEN, "ETH", "1"), (OPEN, "BTC", "0.2"), (FUNDING, "BTC", "0.3"),
    (CLOSE, "BTC", "0.05"), (CLOSE, "BTC", "0.25"), (OPEN, "BTC", "0.07"), (OPEN, "BTC", "0.01"),
]  # fmt: skip


@pytest.fixture
def trades(offline_app: Flask) -> list[int]:
    """The ids of trades as FILLS says, of which the first carries out a decision."""
    app = offline_app.extensions[EXTENSION]
    terms = {"fast": 2, "slow": 5}
    mine = TradingModel("Mine", "ma_cross", Decimal(10_000), Interval.H1, 60, "off", terms)
    buy = Decision(Signal.BUY_TO_ENTER, weight=Decimal("0.1"), justification="MA cross")
    with app.database.transaction() as connection:
        model = models.add(connection, mine, 0)
        coin_ids = {coin.symbol: coin.id for coin in coins.list_coins(connection)}
        cycle = cycles.begin(connection, model.id, None, DAY_MS)
        decided = cycles.add_decision(connection, cycle, coin_ids["BTC"], "BTC", buy, DAY_MS)
        cycles.set_outcome(connection, decided, "executed", None, {})
        account, ids = Account(Decimal(10_000), Decimal(10_000), {}), []
        for place, (kind, coin, quantity) in enumerate(FILLS):
            fill = Fill(
                kind, coin, Side.LONG, Decimal(quantity), Decimal(1000), DAY_MS + place,
                Decimal(1), Decimal("0.1"), Reason.FUNDING if kind is FUNDING else Reason.SIGNAL,
                decision_id=None if place else decided.id,
            )  # fmt: skip
            account, entry = ledger.post(account, fill)
            ids.append(books.book(connection, model.id, coin_ids, entry))
        books.store_account(connection, model.id, account, coin_ids, {})
    return ids


def position_of(client: FlaskClient, trade_id: int) -> Sequence[int]:
    return [trade["id"] for trade in client.get(f"/api/trades/{trade_id}").json["position"]]


def test_a_trade_tells_its_whole_position(offline_app: Flask, trades: list[int]):
    client = offline_app.test_client()
    first = [trades[place] for place in (0, 2, 3, 4, 5)]
    for trade_id in first:
        assert position_of(client, trade_id) == first
    assert position_of(client, trades[1]) == [trades[1]]
    assert position_of(client, trades[6]) == position_of(client, trades[7]) == trades[6:]


def test_a_trade_leads_to_its_decision_and_its_model(offline_app: Flask, trades: list[int]):
    client = offline_app.test_client()
    origin = client.get(f"/api/trades/{trades[0]}").json
    assert origin["model"]["trader_name"] == "Moving average cross"
    assert origin["model"]["params"] == {"fast": 2, "slow": 5}
    decision = origin["decision"]
    assert decision["justification"] == "MA cross"
    cycle = client.get(f"/api/decisions/{decision['id']}").json
    assert [row["id"] for row in cycle["decisions"]] == [decision["id"]]
    assert [row["id"] for row in cycle["executions"]] == [trades[0]]
    assert cycle["model"] == origin["model"]
    assert client.get(f"/api/trades/{trades[1]}").json["decision"] is None


def test_a_position_names_the_trade_that_opened_it(offline_app: Flask, trades: list[int]):
    positions = offline_app.test_client().get("/api/models/1/portfolio").json["portfolio"]
    opened = {row["coin"]: row["opened_by"] for row in positions["positions"]}
    assert opened == {"BTC": trades[6], "ETH": trades[1]}


def test_an_archived_model_still_answers_for_its_trades(offline_app: Flask, trades: list[int]):
    client = offline_app.test_client()
    assert client.delete("/api/models/1").status_code == 200
    assert client.get(f"/api/trades/{trades[0]}").json["model"]["archived"] is True


@pytest.mark.parametrize(
    ("path", "code"), [("trades", "unknown_trade"), ("decisions", "unknown_decision")]
)
def test_what_is_not_there_is_an_error(offline_app: Flask, path: str, code: str):
    answer = offline_app.test_client().get(f"/api/{path}/77")
    assert (answer.status_code, answer.json["code"]) == (404, code)
