"""Replicas: accounts of their own, everything else as their first one has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from new_database import new_database

from audit_log import THE_APP
from clock import ManualClock
from database import Database
from domain import Interval, TradingModel
from errors import Conflict, InvalidInput, NotFound
from model_replicas import set_replicas
from repositories import books, coins, models, pools

NOW_MS = 1_717_245_296_789
MODEL = TradingModel("One", "buy_and_hold", Decimal(5_000), Interval.H1, 60, "balanced")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", ManualClock(NOW_MS))
    yield database
    database.close()


@pytest.fixture
def model(database: Database) -> TradingModel:
    with database.transaction() as connection:
        model = models.add(connection, MODEL, NOW_MS)
        pools.replace_members(connection, model.id, [coins.get(connection, "BTC")], NOW_MS)
    return model


def names(database: Database) -> list[str]:
    return [model.name for model in models.list_models(database.connection)]


def test_each_has_an_account_of_its_own(database: Database, model: TradingModel):
    group = set_replicas(database, model.id, 3, NOW_MS, THE_APP)
    assert [(m.name, m.replica_of, m.replica_number) for m in group] == [
        ("One", None, 1), ("One #2", model.id, 2), ("One #3", model.id, 3),
    ]  # fmt: skip
    for one in group:
        account = books.load_account(database.connection, one.id)
        assert (account.cash, account.initial_capital) == (5_000, 5_000)
    assert len({one.id for one in group}) == 3


def test_they_follow_their_first_ones_terms_name_and_pool(database: Database, model: TradingModel):
    _, second = set_replicas(database, model.id, 2, NOW_MS, THE_APP)
    connection = database.connection
    changed = replace(model, name="Two", risk="aggressive", cycle_minutes=5, enabled=False)
    models.update(connection, changed, NOW_MS)
    pools.replace_members(connection, model.id, [coins.get(connection, "ETH")], NOW_MS)
    now = models.get(connection, second.id)
    assert (now.name, now.risk, now.cycle_minutes, now.enabled) == (
        "Two #2",
        "aggressive",
        5,
        False,
    )
    assert [coin.symbol for coin in pools.enterable(connection, second.id)] == ["ETH"]
    assert pools.symbols_of_all(connection) == {model.id: ["ETH"], second.id: ["ETH"]}


def test_they_are_not_changed_by_themselves(database: Database, model: TradingModel):
    _, second = set_replicas(database, model.id, 2, NOW_MS, THE_APP)
    with pytest.raises(Conflict) as refused:
        models.update(database.connection, replace(second, risk="off"), NOW_MS)
    assert refused.value.code == "is_replica"
    with pytest.raises(InvalidInput):
        set_replicas(database, second.id, 2, NOW_MS, THE_APP)


def test_fewer_archives_what_is_too_many_and_more_begins_anew(
    database: Database, model: TradingModel
):
    group = set_replicas(database, model.id, 3, NOW_MS, THE_APP)
    set_replicas(database, model.id, 1, NOW_MS, THE_APP)
    assert names(database) == ["One"]
    assert models.get(database.connection, group[2].id).archived_at == NOW_MS
    again = set_replicas(database, model.id, 2, NOW_MS, THE_APP)
    assert names(database) == ["One", "One #2"]
    assert again[1].id not in {one.id for one in group}


def test_they_are_archived_with_their_first_one(database: Database, model: TradingModel):
    set_replicas(database, model.id, 3, NOW_MS, THE_APP)
    models.archive(database.connection, model.id, NOW_MS)
    assert names(database) == []


def test_they_are_listed_after_their_first_one(database: Database, model: TradingModel):
    models.add(database.connection, replace(MODEL, name="Later"), NOW_MS)
    set_replicas(database, model.id, 2, NOW_MS, THE_APP)
    assert names(database) == ["One", "One #2", "Later"]


@pytest.mark.parametrize("replicas", [0, 21])
def test_how_many_is_limited(database: Database, model: TradingModel, replicas: int):
    with pytest.raises(InvalidInput) as refused:
        set_replicas(database, model.id, replicas, NOW_MS, THE_APP)
    assert refused.value.fields == {"replicas": "1 to 20"}
    with pytest.raises(NotFound):
        set_replicas(database, 99, 2, NOW_MS, THE_APP)
    assert names(database) == ["One"]


def test_a_name_that_is_taken_makes_none(database: Database, model: TradingModel):
    models.add(database.connection, replace(MODEL, name="One #3"), NOW_MS)
    with pytest.raises(Conflict) as refused:
        set_replicas(database, model.id, 3, NOW_MS, THE_APP)
    assert refused.value.code == "name_taken"
    assert names(database) == ["One", "One #3"]
