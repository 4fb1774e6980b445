"""Searches over the REST API: asked for, watched, cancelled, gone on with after a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from addresses import NOWHERE, sources_at
from conftest import running
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from config import Config
from exchange_simulator.server import SimulatorServer
from repositories import backtests, sweeps
from routes.services import EXTENSION, Services

RUN = {
    "trader": "ma_cross", "coins": ["btc"], "start_date": "2024-05-01", "end_date": "2024-05-20",
    "slippage_bps": 0,
}  # fmt: skip
RANGES = {"fast": {"low": 3, "high": 9, "step": 3}, "slow": {"values": [6, 20]}}
UNFINISHED = ("queued", "running")


@pytest.fixture(scope="module")
def app(simulator: SimulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    config = Config(
        DATABASE_PATH=tmp_path_factory.mktemp("sweeps") / "trading.db",
        **NOWHERE | sources_at(simulator.url),
        TRADING_LOOP="off",
        SWEEP_WORKERS=1,
    )
    yield from running(create_app(config, clock=simulator.clock, check_answers=True))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def finished(client: FlaskClient, address: str) -> Any:
    ends = time.monotonic() + 60
    while (answer := client.get(address).json)["status"] in UNFINISHED:
        assert time.monotonic() < ends
        time.sleep(0.05)
    return answer


def test_a_search_is_asked_for_and_read(client: FlaskClient):
    terms = {"run": RUN, "ranges": RANGES, "fit_days": 8, "score_days": 6}
    accepted = client.post("/api/backtests/sweep", json=terms)
    assert accepted.status_code == 202, accepted.json
    assert (accepted.json["tries"], accepted.json["skipped"]) == (4, 2)
    done = finished(client, accepted.json["status_url"])
    assert done["status"] == "done", done
    result = done["result"]
    assert [tuple(row["params"].values()) for row in result["rows"]] == [
        (3, 6), (3, 20), (6, 20), (9, 20)
    ]  # fmt: skip
    assert len(result["walk_forward"]["windows"]) == 2
    assert done["config"]["run"]["coins"] == ["BTC"]
    # The best row is a backtest that anyone can run.
    best = result["rows"][result["best"]]
    report = client.post(
        "/api/backtest/run", json={**RUN, "params": best["params"], "wait": True}
    ).json["report"]
    assert report["summary"]["return_percentage"] == pytest.approx(best["return_percentage"])
    listed = client.get("/api/backtests/sweeps").json
    assert listed[0]["id"] == done["id"]
    assert "result" not in listed[0]
    assert client.delete(accepted.json["status_url"]).status_code == 200
    assert client.get(accepted.json["status_url"]).status_code == 404


def test_the_decisions_of_a_finished_run_are_searched_under_other_terms(
    client: FlaskClient, services: Services
):
    bought = {"coin": "BTC", "signal": "buy_to_enter", "weight": 0.5, "time": "2024-05-02"}
    script = [bought, {"coin": "BTC", "signal": "close_position", "time": "2024-05-10"}]
    run = {**RUN, "trader": "scripted", "decisions": script, "wait": True}
    first = client.post("/api/backtest/run", json=run).json
    ranges = {"trade_fee_rate": {"values": [0, 0.002]}, "stop_loss_pct": {"values": [0, 2]}}
    accepted = client.post(
        "/api/backtests/sweep", json={"backtest_id": first["id"], "ranges": ranges}
    )
    assert accepted.status_code == 202, accepted.json
    rows = finished(client, accepted.json["status_url"])["result"]["rows"]
    assert len(rows) == 4
    assert rows[0]["return_percentage"] > rows[2]["return_percentage"]  # without fees
    ruled = client.post("/api/backtest/run", json={**RUN, "wait": True}).json
    refused = client.post(
        "/api/backtests/sweep", json={"backtest_id": ruled["id"], "ranges": ranges}
    )
    assert (refused.status_code, refused.json["code"]) == (409, "no_decisions")


def test_what_an_llm_decided_is_searched_without_asking_it_again(
    client: FlaskClient, services: Services
):
    """A finished run of an LLM keeps its decisions as a script in its report."""
    first = client.post("/api/backtest/run", json={**RUN, "wait": True}).json
    connection = services.database.connection
    record = backtests.get(connection, first["id"], with_report=True)
    decisions = [
        {"coin": "BTC", "signal": "buy_to_enter", "weight": "0.5", "time": "2024-05-02T00:00:00Z"}
    ]
    with services.database.transaction() as transaction:
        recorded = backtests.add(
            transaction, {**record.config, "trader": "ai", "params": {}}, "of its own", None, 1
        )
        backtests.start(transaction, recorded, 1)
        report = {**(record.report or {}), "decisions": decisions}
        backtests.finish(transaction, recorded, report, 1)
    accepted = client.post(
        "/api/backtests/sweep",
        json={"backtest_id": recorded, "ranges": {"slippage_bps": {"values": [0, 50]}}},
    )
    done = finished(client, accepted.json["status_url"])
    assert done["config"]["run"]["trader"] == "scripted"
    free, dear = done["result"]["rows"]
    assert free["return_percentage"] > dear["return_percentage"]


@pytest.mark.parametrize(
    ("changed", "status", "field"),
    [
        ({"ranges": {"tempo": {"values": [1]}}}, 400, "ranges.tempo"),
        ({"ranges": {"fast": {"values": [60]}}}, 400, "params"),
        ({"ranges": {}}, 400, "ranges"),
        ({"run": {**RUN, "coins": ["MOON"]}}, 404, None),
        ({"run": {**RUN, "end_date": "2024-04-01"}}, 400, "run.end_date"),
        ({"fit_days": 30}, 400, None),
        ({"fit_days": 30, "score_days": 5}, 400, "fit_days"),
        ({"run": None, "backtest_id": 9999}, 404, None),
    ],
)
def test_what_cannot_be_searched_is_refused(
    client: FlaskClient, changed: dict[str, Any], status: int, field: str | None
):
    answer = client.post("/api/backtests/sweep", json={"run": RUN, "ranges": RANGES} | changed)
    assert answer.status_code == status, answer.json
    if field is not None:
        assert any(name.startswith(field) for name in answer.json["fields"]), answer.json


def test_a_search_without_candles_fails_with_its_reason(client: FlaskClient):
    run = {**RUN, "start_date": "2030-01-01", "end_date": "2030-01-02"}
    accepted = client.post("/api/backtests/sweep", json={"run": run, "ranges": RANGES})
    failed = finished(client, accepted.json["status_url"])
    assert (failed["status"], failed["code"]) == ("failed", "no_data")
    assert failed["result"] is None


def test_searches_are_cancelled_and_what_was_left_is_gone_on_with(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as held:
        held.setattr(services.sweeps, "_start", lambda sweep_id: None)
        terms = {"run": RUN, "ranges": RANGES}
        unwanted, left = (client.post("/api/backtests/sweep", json=terms).json for _ in range(2))
    address = unwanted["status_url"]
    assert client.post(f"{address}/cancel", json={}).status_code == 200
    again = client.post(f"{address}/cancel", json={})
    assert (again.status_code, again.json["code"]) == (409, "sweep_ended")
    with services.database.transaction() as connection:
        assert sweeps.start(connection, left["id"], 1)  # as a process does that then dies
    services.sweeps.resume()
    assert finished(client, left["status_url"])["status"] == "done"
    assert client.get(address).json["status"] == "cancelled"


def test_a_running_search_is_cancelled(client: FlaskClient, services: Services):
    many = {"fast": {"low": 2, "high": 50}, "slow": {"low": 51, "high": 150}}
    accepted = client.post("/api/backtests/sweep", json={"run": RUN, "ranges": many}).json
    ends = time.monotonic() + 60
    while client.get(accepted["status_url"]).json["progress"] == 0:
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert client.post(f"{accepted['status_url']}/cancel", json={}).status_code == 200
    services.sweeps.wait(accepted["id"])
    assert client.get(accepted["status_url"]).json["status"] == "cancelled"
