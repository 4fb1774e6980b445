"""Coins, groups and pools over the REST API, on the simulated exchange."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from routes.services import EXTENSION


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def coin(client: FlaskClient, symbol: str) -> Any:
    found = [row for row in client.get("/api/coins?is_active=all").json if row["symbol"] == symbol]
    assert len(found) == 1
    return found[0]


def add_model(client: FlaskClient, name: str = "Holder", **terms: Any) -> int:
    body = {"name": name, "trader": "buy_and_hold", "coins": ["BTC"], "risk": "off"} | terms
    return int(client.post("/api/models", json=body).json["id"])


# ------------------------------------------------------------------------------------ coins


def test_the_first_start_knows_at_least_a_hundred_coins_by_rank(client: FlaskClient):
    rows = client.get("/api/coins").json
    assert len(rows) >= 100
    assert {"Layer1", "Layer2", "DeFi", "Meme", "Exchange", "Payment", "Stablecoins"} <= set(
        client.get("/api/coins/categories").json
    )
    assert len({row["symbol"] for row in rows}) == len(rows)
    assert coin(client, "LEO")["okx_symbol"] is None
    assert coin(client, "BTC")["okx_symbol"] == "BTC-USDT"


def test_a_coin_is_added_changed_and_deactivated(client: FlaskClient):
    added = client.post(
        "/api/coins",
        json={"symbol": " new ", "name": "New coin", "binance_symbol": "newusdt", "notes": ""},
    )
    assert (added.status_code, added.json["reactivated"]) == (201, False)
    coin_id = added.json["id"]
    stored = client.get(f"/api/coins/{coin_id}").json
    assert (stored["symbol"], stored["binance_symbol"]) == ("NEW", "NEWUSDT")
    assert (stored["notes"], stored["category"], stored["is_active"]) == (None, None, True)
    client.put(f"/api/coins/{coin_id}", json={"category": "DeFi", "market_cap_rank": 77})
    changed = client.get(f"/api/coins/{coin_id}").json
    assert changed == stored | {
        "category": "DeFi", "market_cap_rank": 77, "updated_at": changed["updated_at"],
    }  # fmt: skip
    assert client.delete(f"/api/coins/{coin_id}").status_code == 200
    assert coin_id not in [row["id"] for row in client.get("/api/coins").json]
    assert [row["id"] for row in client.get("/api/coins?is_active=0").json] == [coin_id]


def test_a_deactivated_symbol_comes_back_with_what_is_given(client: FlaskClient):
    before = coin(client, "PEPE")
    client.delete(f"/api/coins/{before['id']}")
    again = client.post("/api/coins", json={"symbol": "PEPE", "name": "Pepe the frog"})
    assert (again.status_code, again.json) == (
        201,
        {"id": before["id"], "message": "PEPE is active again.", "reactivated": True},
    )
    after = coin(client, "PEPE")
    assert after == before | {"name": "Pepe the frog", "updated_at": after["updated_at"]}


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"symbol": "BTC", "name": "Again"}, 409, "symbol_taken", None),
        ({"symbol": "btc", "name": "Again"}, 409, "symbol_taken", None),
        ({"name": "Nameless"}, 400, "invalid_input", "symbol"),
        ({"symbol": "", "name": "Empty"}, 400, "invalid_input", "symbol"),
        ({"symbol": "A B", "name": "Space"}, 400, "invalid_input", "symbol"),
        ({"symbol": "X" * 21, "name": "Long"}, 400, "invalid_input", "symbol"),
        ({"symbol": "NEW", "name": " "}, 400, "invalid_input", "name"),
        ({"symbol": "NEW", "name": "N", "okx_symbol": "NEWUSDT"}, 400, "invalid_input",
         "okx_symbol"),
        ({"symbol": "NEW", "name": "N", "market_cap_rank": 0}, 400, "invalid_input",
         "market_cap_rank"),
        ({"symbol": "NEW", "name": "N", "coingecko_id": "a/b"}, 400, "invalid_input",
         "coingecko_id"),
        ({"symbol": "NEW", "name": "N", "colour": "red"}, 400, "invalid_input", "colour"),
    ],
)  # fmt: skip
def test_a_coin_that_cannot_be_is_refused_and_not_added(
    client: FlaskClient, body: Any, status: int, code: str, field: str | None
):
    before = client.get("/api/coins?is_active=all").json
    response = client.post("/api/coins", json=body)
    assert (response.status_code, response.json["code"]) == (status, code)
    if field is not None:
        assert field in response.json["fields"]
    assert client.get("/api/coins?is_active=all").json == before


def test_a_symbol_cannot_be_changed_to_a_taken_one(client: FlaskClient):
    response = client.put(f"/api/coins/{coin(client, 'ETH')['id']}", json={"symbol": "BTC"})
    assert (response.status_code, response.json["code"]) == (409, "symbol_taken")
    assert coin(client, "ETH")["symbol"] == "ETH"


def test_a_name_is_text_whatever_it_looks_like(client: FlaskClient):
    name = "<img src=x onerror=alert(1)>"
    coin_id = client.post("/api/coins", json={"symbol": "XSS", "name": name}).json["id"]
    assert client.get(f"/api/coins/{coin_id}").json["name"] == name


def test_a_hundred_coins_are_added_in_one_step_or_none(client: FlaskClient):
    rows = [{"symbol": f"C{n}", "name": f"Coin {n}"} for n in range(100)]
    result = client.post("/api/coins/bulk", json={"coins": [*rows, {"symbol": "BTC", "name": "B"}]})
    assert result.status_code == 201
    assert (result.json["added"], result.json["reactivated"]) == (100, 0)
    assert result.json["skipped"] == [{"symbol": "BTC", "reason": "symbol_taken"}]
    wrong = client.post(
        "/api/coins/bulk", json={"coins": [{"symbol": "D1", "name": "D"}, {"symbol": "D 2"}]}
    )
    assert wrong.status_code == 400
    assert set(wrong.json["fields"]) == {"coins.1.symbol", "coins.1.name"}
    assert "D1" not in [row["symbol"] for row in client.get("/api/coins").json]


# ------------------------------------------------------------------------------------ groups


def group(client: FlaskClient, name: str) -> Any:
    return next(row for row in client.get("/api/coin-groups").json if row["name"] == name)


def symbols(rows: Any) -> list[str]:
    return [row["symbol"] for row in rows]


def test_the_first_start_has_the_groups_with_members(client: FlaskClient):
    rows = {row["name"]: row for row in client.get("/api/coin-groups").json}
    assert set(rows) == {"Top10", "DeFi", "Layer1", "Layer2", "Meme", "Stablecoins"}
    assert len(rows["Top10"]["coins"]) == 10
    assert rows["Top10"]["follows_rank"] == 10
    assert {"PEPE", "DOGE", "SHIB"} <= set(symbols(rows["Meme"]["coins"]))


def test_a_group_keeps_the_order_of_its_members(client: FlaskClient):
    ids = [coin(client, symbol)["id"] for symbol in ("ETH", "BTC", "PEPE")]
    added = client.post("/api/coin-groups", json={"name": "Mine", "coin_ids": ids})
    assert added.status_code == 201
    assert symbols(group(client, "Mine")["coins"]) == ["ETH", "BTC", "PEPE"]
    path = f"/api/coin-groups/{added.json['id']}"
    client.put(path, json={"coin_ids": list(reversed(ids))})
    client.put(path, json={"description": "in my order"})
    mine = group(client, "Mine")
    assert symbols(mine["coins"]) == ["PEPE", "BTC", "ETH"]
    assert mine["description"] == "in my order"
    assert symbols(client.get(f"/api/coins?group={mine['id']}").json) == ["BTC", "ETH", "PEPE"]
    assert client.delete(path).status_code == 200
    assert client.delete(path).status_code == 404
    assert coin(client, "PEPE")["is_active"]


def test_groups_that_clash_or_cannot_be_are_refused(client: FlaskClient):
    before = client.get("/api/coin-groups").json
    taken = client.post("/api/coin-groups", json={"name": "DeFi"})
    assert (taken.status_code, taken.json["code"]) == (409, "name_taken")
    meme = group(client, "Meme")["id"]
    renamed = client.put(f"/api/coin-groups/{meme}", json={"name": "DeFi"})
    assert (renamed.status_code, renamed.json["code"]) == (409, "name_taken")
    unknown = client.post("/api/coin-groups", json={"name": "New", "coin_ids": [1, 99999]})
    assert (unknown.status_code, unknown.json["code"]) == (400, "unknown_coin")
    assert client.post("/api/coin-groups", json={"name": ""}).status_code == 400
    assert client.put("/api/coin-groups/999", json={"name": "x"}).status_code == 404
    assert client.get("/api/coin-groups").json == before


# ------------------------------------------------------------------------------------ pools


def pool(client: FlaskClient, model_id: int) -> dict[str, Any]:
    return {row["symbol"]: row for row in client.get(f"/api/models/{model_id}/coins").json}


def test_coins_are_put_into_a_pool_weighed_and_taken_out(client: FlaskClient):
    model_id = add_model(client)
    eth, sol = (coin(client, symbol)["id"] for symbol in ("ETH", "SOL"))
    path = f"/api/models/{model_id}/coins"
    assert client.post(path, json={"coin_id": eth, "weight": 2}).json["added"] == 1
    assert client.post(path, json={"coin_ids": [eth, sol]}).json["added"] == 1
    again = client.post(path, json={"coin_id": eth})
    assert (again.status_code, again.json["code"]) == (409, "already_in_pool")
    shares = {symbol: row["share"] for symbol, row in pool(client, model_id).items()}
    assert shares == {"BTC": 0.25, "ETH": 0.5, "SOL": 0.25}
    client.put(f"{path}/{sol}", json={"is_enabled": False})
    rows = pool(client, model_id)
    assert (rows["SOL"]["share"], rows["SOL"]["close_only_reason"]) == (0, "disabled_in_pool")
    assert rows["ETH"]["share"] == pytest.approx(2 / 3)
    assert client.get(f"/api/models/{model_id}").json["coins"] == ["BTC", "ETH"]
    assert client.delete(f"{path}/{sol}").status_code == 200
    gone = client.delete(f"{path}/{sol}")
    assert (gone.status_code, gone.json["code"]) == (404, "not_in_pool")


def test_add_group_says_what_it_really_added(client: FlaskClient):
    model_id = add_model(client, coins=["DOGE"])
    meme = group(client, "Meme")
    client.delete(f"/api/coins/{coin(client, 'SHIB')['id']}")
    path = f"/api/models/{model_id}/add-group/{meme['id']}"
    assert client.post(path, json={}).json["added"] == len(meme["coins"]) - 2  # DOGE, SHIB
    assert client.post(path, json={}).json["added"] == 0
    assert "SHIB" not in pool(client, model_id)
    assert client.post(f"/api/models/{model_id}/add-group/999", json={}).status_code == 404
    assert client.post(f"/api/models/999/add-group/{meme['id']}", json={}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"coin_id": 1, "coin_ids": [1]}, 400),
        ({"coin_id": 99999}, 404),
        ({"coin_ids": [1, 99999]}, 404),
        ({"coin_id": 2, "weight": 0}, 400),
        ({"coin_id": 2, "weight": -1}, 400),
        ({"coin_id": 2, "weight": "NaN"}, 400),
    ],
)
def test_what_cannot_be_put_into_a_pool_leaves_it_as_it_was(
    client: FlaskClient, body: Any, status: int
):
    model_id = add_model(client)
    before = pool(client, model_id)
    assert client.post(f"/api/models/{model_id}/coins", json=body).status_code == status
    assert pool(client, model_id) == before


def test_a_held_coin_that_leaves_the_pool_is_priced_and_closed_and_not_entered(
    app: Flask, client: FlaskClient
):
    model_id = add_model(client, coins=["BTC", "ETH"])
    client.post(f"/api/models/{model_id}/execute", json={})
    eth = coin(client, "ETH")["id"]
    client.delete(f"/api/models/{model_id}/coins/{eth}")
    client.delete(f"/api/coins/{eth}")
    row = pool(client, model_id)["ETH"]
    assert (row["in_pool"], row["has_position"], row["close_only"]) == (False, True, True)
    assert row["close_only_reason"] == "not_in_pool"
    in_use = app.extensions[EXTENSION].prices._coins_in_use()
    assert "ETH" in in_use
    assert client.post(f"/api/models/{model_id}/flatten", json={}).status_code == 200
    again = client.post(f"/api/models/{model_id}/execute", json={}).json
    assert "ETH" not in [trade["coin"] for trade in again["executions"]]


def test_pepe_and_arb_added_to_one_pool_are_traded_by_that_model_and_no_other(
    client: FlaskClient,
):
    first, second = add_model(client, "First"), add_model(client, "Second")
    ids = [coin(client, symbol)["id"] for symbol in ("PEPE", "ARB")]
    client.post(f"/api/models/{first}/coins", json={"coin_ids": ids})
    for model_id in (first, second):
        assert client.post(f"/api/models/{model_id}/execute", json={}).json["success"]
    traded = {
        model_id: {row["coin"] for row in client.get(f"/api/models/{model_id}/trades").json}
        for model_id in (first, second)
    }
    assert traded == {first: {"BTC", "PEPE", "ARB"}, second: {"BTC"}}


# -------------------------------------------------------------------- asked of the sources


def test_check_says_what_each_source_says(client: FlaskClient):
    answer = client.post(f"/api/coins/{coin(client, 'BTC')['id']}/check", json={}).json
    assert {source: row["ok"] for source, row in answer.items()} == {
        "binance": True, "okx": True, "coingecko": True,
    }  # fmt: skip
    prices = [row["price"] for row in answer.values()]
    assert max(prices) / min(prices) < 1.01
    nowhere = client.post("/api/coins", json={"symbol": "NIL", "name": "Nil"}).json["id"]
    answer = client.post(f"/api/coins/{nowhere}/check", json={}).json
    assert {row["ok"] for row in answer.values()} == {False}
    assert all("no symbol" in row["error"] for row in answer.values())


def test_a_coin_is_found_by_name_with_its_pairs_on_the_venues(client: FlaskClient):
    found = client.post("/api/coins/discover", json={"query": "pepe"}).json
    pepe = next(row for row in found if row["symbol"] == "PEPE")
    assert (pepe["coingecko_id"], pepe["binance_symbol"], pepe["okx_symbol"]) == (
        "pepe", "PEPEUSDT", "PEPE-USDT",
    )  # fmt: skip
    assert pepe["known"] is True
    assert pepe["coin_id"] == coin(client, "PEPE")["id"]


def test_the_hundred_largest_are_found_and_added_in_one_step(client: FlaskClient):
    found = client.post("/api/coins/discover", json={"top": 100}).json
    assert len(found) >= 95  # of two coins with one symbol the larger is offered
    ranks = [row["market_cap_rank"] for row in found]
    assert ranks == sorted(ranks)
    fields = (
        "symbol", "name", "coingecko_id", "market_cap_rank", "binance_symbol", "okx_symbol",
    )  # fmt: skip
    rows = [{name: row[name] for name in fields} for row in found]
    result = client.post("/api/coins/bulk", json={"coins": rows}).json
    assert result["added"] + len(result["skipped"]) == len(rows)
    known = {row["symbol"] for row in client.get("/api/coins").json}
    assert {row["symbol"] for row in found} <= known


def test_the_ranking_is_refreshed_and_top10_follows_it(app: Flask, client: FlaskClient):
    ranked = app.extensions[EXTENSION].discovery.refresh_ranks()
    assert ranked >= 90
    rows = client.get("/api/coins").json
    assert [row["market_cap_rank"] for row in rows[:2]] == [1, 2]
    top = [row["symbol"] for row in group(client, "Top10")["coins"]]
    assert top == [row["symbol"] for row in rows[:10]]


def test_coins_say_on_which_venues_they_trade(app: Flask, client: FlaskClient):
    assert coin(client, "BTC")["trading"] == {"binance": None, "okx": None}  # not asked yet
    app.extensions[EXTENSION].data_aggregator.venues.refresh()
    assert coin(client, "BTC")["trading"] == {"binance": True, "okx": True}
    assert coin(client, "LEO")["trading"] == {"binance": None, "okx": None}


def test_without_sources_discovery_says_so(offline_app: Flask):
    response = offline_app.test_client().post("/api/coins/discover", json={"query": "pepe"})
    assert (response.status_code, response.json["code"]) == (503, "source_unavailable")


@pytest.mark.parametrize("body", [{}, {"query": ""}, {"top": 0}, {"top": 10, "query": "x"}])
def test_discovery_needs_exactly_one_question(client: FlaskClient, body: Any):
    assert client.post("/api/coins/discover", json=body).status_code == 400
