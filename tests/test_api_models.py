"""Models over the REST API: made, changed, traded by hand, archived; on the simulated exchange."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from domain import HOUR_MS
from loss_limits import LossWatch
from repositories import loss_watches
from routes.services import EXTENSION
from timestamps import iso_utc


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def add(client: FlaskClient, **terms: Any) -> int:
    body = {"name": "Holder", "trader": "buy_and_hold", "coins": ["BTC", "PEPE"], "risk": "off"}
    response = client.post("/api/models", json=body | terms)
    assert response.status_code == 201, response.json
    return int(response.json["id"])


def test_a_new_model_stands_in_the_list_with_the_defaults(client: FlaskClient):
    model_id = add(client, name="  Crosser ", trader="ma_cross", coins=None, risk="balanced")
    (model,) = client.get("/api/models").json
    assert model == client.get(f"/api/models/{model_id}").json
    assert model["name"] == "Crosser"
    assert model["trader_name"] == "Moving average cross"
    assert set(model["coins"]) == {"BTC", "ETH", "SOL", "BNB", "XRP", "DOGE"}
    assert (model["interval"], model["cycle_minutes"]) == ("1h", 60)
    assert (model["initial_capital"], model["total_value"]) == (10_000, 10_000)
    assert (model["enabled"], model["open_positions"], model["last_cycle"]) == (True, 0, None)


def test_a_cycle_by_hand_trades_and_everything_shows_it(client: FlaskClient):
    model_id = add(client)
    result = client.post(f"/api/models/{model_id}/execute", json={}).json
    assert result["success"]
    assert {row["coin"] for row in result["executions"]} == {"BTC", "PEPE"}
    assert all(row["outcome"] in ("executed", "adjusted") for row in result["decisions"])
    account = client.get(f"/api/models/{model_id}/portfolio").json
    portfolio = account["portfolio"]
    now = {key: portfolio[key] for key in ("positions", "today_pnl", "token_cost")}
    assert portfolio == result["portfolio"] | now
    assert portfolio["today_pnl"] == pytest.approx(portfolio["total_value"] - 10_000)
    assert portfolio["total_value"] == pytest.approx(
        portfolio["cash"] + portfolio["positions_value"], abs=1e-9
    )
    assert portfolio["fees_paid"] > 0
    assert [p["coin"] for p in portfolio["positions"]] == ["BTC", "PEPE"]
    assert len(account["account_value_history"]) == 1
    trades = client.get(f"/api/models/{model_id}/trades").json
    assert [row["id"] for row in trades] == sorted((r["id"] for r in trades), reverse=True)
    assert trades[0]["justification"] == "Buy and hold"
    assert len(client.get(f"/api/models/{model_id}/trades?coin=PEPE&limit=5").json) == 1
    of_all_models = client.get("/api/trades?limit=1").json
    assert of_all_models == [trades[0] | {"model_name": "Holder"}]
    older = client.get(f"/api/models/{model_id}/trades?before={trades[0]['id']}").json
    assert older == trades[1:]
    decisions = client.get(f"/api/models/{model_id}/conversations").json
    assert {row["id"] for row in decisions} == {row["decision_id"] for row in trades}
    everything = client.get("/api/aggregated/portfolio").json
    assert everything["model_count"] == 1
    assert everything["portfolio"]["total_value"] == portfolio["total_value"]
    assert everything["portfolio"]["positions"][0]["model_name"] == "Holder"
    (curve,) = client.get("/api/models/chart-data").json
    assert curve["data"][-1]["value"] == pytest.approx(portfolio["total_value"])
    (standing,) = client.get("/api/leaderboard").json
    assert (standing["rank"], standing["trades"], standing["win_rate"]) == (1, 0, None)


def test_the_list_of_models_leaves_long_parameters_out(client: FlaskClient):
    script = [{"time": "2024-01-01T00:00:00Z", "coin": "BTC", "signal": "hold"} for _ in range(60)]
    model_id = add(client, trader="scripted", params={"decisions": script})
    (listed,) = client.get("/api/models").json
    assert listed["params"] == {}
    assert len(client.get(f"/api/models/{model_id}").json["params"]["decisions"]) == 60


def test_trades_come_as_csv_too(client: FlaskClient):
    model_id = add(client)
    client.post(f"/api/models/{model_id}/execute", json={})
    response = client.get(f"/api/models/{model_id}/trades?format=csv")
    assert response.mimetype == "text/csv"
    header, *rows = response.text.splitlines()
    assert header.startswith("id,timestamp,coin,signal,side,quantity,price")
    assert len(rows) == 2


def test_what_a_change_names_changes_and_the_rest_stays(client: FlaskClient):
    model_id = add(client)
    before = client.get(f"/api/models/{model_id}").json
    response = client.put(f"/api/models/{model_id}", json={"name": "Renamed", "coins": ["eth"]})
    assert response.status_code == 200
    after = client.get(f"/api/models/{model_id}").json
    assert after == before | {
        "name": "Renamed", "coins": ["ETH"], "updated_at": after["updated_at"],
    }  # fmt: skip


def test_pause_and_resume(client: FlaskClient):
    model_id = add(client)
    for action, enabled in (("pause", False), ("resume", True)):
        assert client.post(f"/api/models/{model_id}/{action}", json={}).status_code == 200
        assert client.get(f"/api/models/{model_id}").json["enabled"] is enabled


def test_flatten_closes_what_is_open(client: FlaskClient):
    model_id = add(client)
    client.post(f"/api/models/{model_id}/execute", json={})
    assert client.post(f"/api/models/{model_id}/flatten", json={}).status_code == 200
    portfolio = client.get(f"/api/models/{model_id}/portfolio").json["portfolio"]
    assert portfolio["positions"] == []
    assert portfolio["cash"] == portfolio["total_value"] < 10_000
    trades = client.get(f"/api/models/{model_id}/trades").json
    assert {row["reason"] for row in trades[:2]} == {"flatten"}


def test_an_archived_model_is_gone_from_the_list_and_its_history_stays(client: FlaskClient):
    model_id = add(client)
    client.post(f"/api/models/{model_id}/execute", json={})
    assert client.delete(f"/api/models/{model_id}").status_code == 200
    assert client.get("/api/models").json == []
    assert client.get(f"/api/models/{model_id}").status_code == 404
    assert client.post(f"/api/models/{model_id}/execute", json={}).status_code == 404
    assert len(client.get(f"/api/models/{model_id}/trades").json) == 2
    assert add(client) != model_id  # its name is free again


def test_a_running_cycle_is_a_conflict(app: Flask, client: FlaskClient):
    model_id = add(client)
    engine = app.extensions[EXTENSION].desk.engine(model_id)
    with engine._lock:
        response = client.post(f"/api/models/{model_id}/execute", json={})
    assert (response.status_code, response.json["code"]) == (409, "cycle_running")


@pytest.mark.parametrize(
    ("terms", "status", "code", "field"),
    [
        ({"name": ""}, 400, "invalid_input", "name"),
        ({"name": "x" * 101}, 400, "invalid_input", "name"),
        ({"trader": "oracle"}, 400, "unknown_trader", "trader"),
        ({"params": {"weight": 7}}, 400, "invalid_input", "params.weight"),
        ({"params": {"leverage": "10x"}}, 400, "invalid_input", "params.leverage"),
        ({"coins": ["GOLD"]}, 404, "unknown_coin", None),
        ({"initial_capital": 0}, 400, "invalid_input", "initial_capital"),
        ({"cycle_minutes": 0}, 400, "invalid_input", "cycle_minutes"),
        ({"interval": "2d"}, 400, "invalid_input", "interval"),
        ({"risk": "reckless"}, 400, "invalid_input", "risk"),
        ({"provider_id": 12}, 404, "unknown_provider", None),
        ({"surprise": True}, 400, "invalid_input", "surprise"),
    ],
)
def test_a_model_that_cannot_be_is_refused_and_not_made(
    client: FlaskClient, terms: dict[str, Any], status: int, code: str, field: str | None
):
    body = {"name": "Holder", "trader": "buy_and_hold", "coins": ["BTC"]} | terms
    response = client.post("/api/models", json=body)
    assert (response.status_code, response.json["code"]) == (status, code), response.json
    if field is not None:
        assert field in response.json["fields"]
    assert client.get("/api/models").json == []


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "\x00", "\u202eevil", "x" * 101])
def test_a_name_can_be_shown_in_one_line(client: FlaskClient, name: str):
    response = client.post("/api/models", json={"name": name, "trader": "random"})
    assert (response.status_code, list(response.json["fields"])) == (400, ["name"])


def test_a_name_belongs_to_one_model(client: FlaskClient):
    add(client)
    other = add(client, name="Other")
    again = client.post("/api/models", json={"name": "Holder", "trader": "random"})
    assert (again.status_code, again.json["code"]) == (409, "name_taken")
    renamed = client.put(f"/api/models/{other}", json={"name": "Holder"})
    assert (renamed.status_code, renamed.json["code"]) == (409, "name_taken")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/models/99", 404),
        ("get", "/api/models/99/portfolio", 404),
        ("get", "/api/models/99/trades", 404),
        ("get", "/api/models/99/conversations", 404),
        ("post", "/api/models/99/execute", 404),
        ("get", "/api/models/99999999999999999999/trades", 400),
        ("get", "/api/models/x", 404),
    ],
)
def test_an_unknown_model_is_said_to_be_unknown(
    client: FlaskClient, method: str, path: str, status: int
):
    terms = {"json": {}} if method == "post" else {}
    response = client.open(path, method=method.upper(), **terms)
    assert response.status_code == status
    assert set(response.json) >= {"error", "code"}


# --------------------------------------------------------------------------------- replicas, losses


def test_replicas_stand_beside_their_first_one_and_follow_it(client: FlaskClient):
    model_id = add(client, replicas=3)
    first, second, third = client.get("/api/models").json
    assert [row["name"] for row in (first, second, third)] == ["Holder", "Holder #2", "Holder #3"]
    assert [row["replica_of"] for row in (first, second, third)] == [None, model_id, model_id]
    assert {row["replicas"] for row in (first, second, third)} == {3}
    assert second["coins"] == first["coins"]
    assert second == client.get(f"/api/models/{second['id']}").json
    standings = client.get("/api/leaderboard").json
    assert {row["model_name"] for row in standings} == {"Holder", "Holder #2", "Holder #3"}
    assert {row["token_cost"] for row in standings} == {0}

    changed = client.put(f"/api/models/{second['id']}", json={"interval": "4h"})
    assert (changed.status_code, changed.json["code"]) == (409, "is_replica")
    client.put(f"/api/models/{model_id}", json={"interval": "4h", "replicas": 2})
    assert [row["interval"] for row in client.get("/api/models").json] == ["4h", "4h"]
    client.delete(f"/api/models/{model_id}")
    assert client.get("/api/models").json == []


@pytest.mark.parametrize("replicas", [0, 21, "many"])
def test_a_number_of_replicas_that_cannot_be_is_refused(client: FlaskClient, replicas: Any):
    body = {"name": "Holder", "trader": "buy_and_hold", "replicas": replicas}
    response = client.post("/api/models", json=body)
    assert response.status_code == 400
    assert "replicas" in response.json["fields"]
    assert client.get("/api/models").json == []


def test_what_keeps_a_model_from_trading_is_said_until_it_is_resumed(
    app: Flask, client: FlaskClient
):
    services = app.extensions[EXTENSION]
    model_id, now_ms = add(client), services.clock.now_ms()
    watch = LossWatch(0, Decimal(10_000), Decimal(10_000), paused_until=now_ms + HOUR_MS)
    with services.database.transaction() as connection:
        loss_watches.store(connection, model_id, watch)
    model = client.get(f"/api/models/{model_id}").json
    assert model["paused_until"] == iso_utc(now_ms + HOUR_MS)
    stopped = replace(watch, paused_until=now_ms, stopped_reason="max_drawdown", stopped_at=now_ms)
    with services.database.transaction() as connection:
        loss_watches.store(connection, model_id, stopped)
    (model,) = client.get("/api/models").json
    assert (model["paused_until"], model["stopped_reason"]) == (None, "max_drawdown")
    client.post(f"/api/models/{model_id}/resume", json={})
    model = client.get(f"/api/models/{model_id}").json
    assert (model["paused_until"], model["stopped_reason"]) == (None, None)


def test_own_limits_take_the_place_of_the_profiles(client: FlaskClient):
    model_id = add(client, risk={"profile": "aggressive", "max_leverage": 2.5})
    risk = client.get(f"/api/models/{model_id}").json["risk"]
    assert risk == {"profile": "aggressive", "max_leverage": 2.5}
    client.put(f"/api/models/{model_id}", json={"risk": "balanced"})
    assert client.get(f"/api/models/{model_id}").json["risk"] == "balanced"
