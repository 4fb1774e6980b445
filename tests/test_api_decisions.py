"""Models that ask an LLM over the REST API: their terms, the prompt, and the log of decisions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from addresses import sources_at
from conftest import SIMULATED_NOW_MS, running
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from config import Config
from exchange_simulator.llm_answers import SimulatedAnswer
from exchange_simulator.server import SimulatorServer
from repositories import conversations
from routes.services import EXTENSION, Services

KEY = "planted-key-0123456789-zzzz"
ASKED_TOO_MUCH = {
    "coin": "BTC", "signal": "buy_to_enter", "weight": 0.9, "leverage": 40, "confidence": 0.8,
    "justification": "<b>All in</b>",
}  # fmt: skip


@pytest.fixture
def house(app_config: Config, simulator: SimulatorServer) -> Iterator[Flask]:
    """The app on the simulated exchange, with its providers allowed on this computer."""
    config = app_config.model_copy(
        update=sources_at(simulator.url) | {"LOCAL_PROVIDERS": "on", "LOG_LEVEL": "DEBUG"}
    )
    yield from running(create_app(config, clock=simulator.clock, check_answers=True))
    simulator.llm.script.clear()
    simulator.faults.clear()


@pytest.fixture
def client(house: Flask) -> FlaskClient:
    return house.test_client()


@pytest.fixture
def provider_id(client: FlaskClient, simulator: SimulatorServer) -> int:
    asked = {"api_url": simulator.llm_url, "api_key": KEY}
    names = client.post("/api/providers/models", json=asked).json["models"]
    prices = {names[0]: {"input": 1, "output": 2}}
    body = {"name": "Simulated", "models": names, "prices": prices} | asked
    return int(client.post("/api/providers", json=body).json["id"])


def add(client: FlaskClient, provider_id: int, **terms: Any) -> int:
    body = {
        "name": "Thinker", "trader": "ai", "provider_id": provider_id, "model_name": "sim-steady",
        "prompt": "Only trade what you understand.", "coins": ["BTC", "PEPE"],
    }  # fmt: skip
    response = client.post("/api/models", json=body | terms)
    assert response.status_code == 201, response.json
    return int(response.json["id"])


def run(client: FlaskClient, model_id: int) -> Any:
    return client.post(f"/api/models/{model_id}/execute", json={}).json


def says(simulator: SimulatorServer, *decisions: Any, reasoning: str | None = None) -> str:
    text = json.dumps({"decisions": decisions})
    simulator.llm.say(SimulatedAnswer(text, reasoning=reasoning))
    return text


# ------------------------------------------------------------------------------------- terms


def test_the_llm_is_a_trader_with_a_schema_of_its_own(client: FlaskClient):
    first, *rules = client.get("/api/traders").json
    assert first["key"] == "ai"
    assert {"language", "advice", "daily_calls"} <= set(first["params_schema"]["properties"])
    assert {"buy_and_hold", "ma_cross"} <= {rule["key"] for rule in rules}


@pytest.mark.parametrize(
    ("terms", "status", "field"),
    [
        ({"provider_id": None}, 400, "provider_id"),
        ({"model_name": None}, 400, "model_name"),
        ({"provider_id": 99}, 404, None),
        ({"params": {"language": "fr"}}, 400, "params.language"),
        ({"params": {"daily_calls": -1}}, 400, "params.daily_calls"),
        ({"params": {"surprise": 1}}, 400, "params.surprise"),
        ({"risk": {"profile": "balanced", "max_leverage": 0}}, 400, "risk"),
        ({"risk": {"surprise": 1}}, 400, "risk"),
        ({"risk": "{}"}, 400, "risk"),
        ({"risk": 7}, 400, "risk"),
    ],
)
def test_terms_that_cannot_be_are_refused(
    client: FlaskClient, provider_id: int, terms: dict[str, Any], status: int, field: str | None
):
    body = {
        "name": "Thinker", "trader": "ai", "provider_id": provider_id, "model_name": "sim-steady",
    }  # fmt: skip
    response = client.post("/api/models", json=body | terms)
    assert response.status_code == status, response.json
    if field is not None:
        assert field in response.json["fields"]
    assert client.get("/api/models").json == []


def test_a_model_says_what_it_is_held_to_and_what_it_has_used(
    client: FlaskClient, provider_id: int
):
    risk = {"profile": "conservative", "max_leverage": 3, "daily_loss_pct": 4.5}
    params = {"daily_calls": 7, "daily_cost": 0.5}
    model_id = add(client, provider_id, risk=risk, params=params)
    run(client, model_id)
    model = client.get(f"/api/models/{model_id}").json
    assert (model["trader_name"], model["provider_name"]) == ("Language model", "Simulated")
    assert model["risk"] == risk
    budget = model["budget"]
    assert (budget["calls"], budget["daily_calls"], budget["daily_cost"]) == (1, 7, 0.5)
    assert budget["tokens"] > 500
    assert 0 < budget["cost"] < 0.5
    (provider,) = client.get("/api/providers").json
    assert provider["used_by"] == 1
    (standing,) = client.get("/api/leaderboard").json
    account = client.get(f"/api/models/{model_id}/portfolio").json["portfolio"]
    everything = client.get("/api/aggregated/portfolio").json["portfolio"]
    costs = {row["token_cost"] for row in (standing, account, everything)}
    assert costs == {budget["cost"]}


# ------------------------------------------------------------------------------------- prompt


def test_the_preview_is_exactly_what_is_sent(
    client: FlaskClient, provider_id: int, simulator: SimulatorServer
):
    model_id = add(client, provider_id)
    preview = client.get(f"/api/models/{model_id}/prompt").json
    assert preview["estimated_tokens"] > 500
    assert "Only trade what you understand." in preview["messages"][0]["content"]
    simulator.llm.asked.clear()
    run(client, model_id)
    sent = simulator.llm.asked[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user"]
    assert sent[0] == preview["messages"][0]
    ages = ("old", "age")  # prices are asked for afresh
    told, shown = (
        [line for line in text["content"].splitlines() if not any(age in line for age in ages)]
        for text in (sent[1], preview["messages"][1])
    )
    assert told == shown
    assert KEY not in json.dumps(preview)


def test_terms_that_are_being_edited_are_previewed_and_not_stored(
    client: FlaskClient, provider_id: int, simulator: SimulatorServer
):
    terms = {
        "prompt": "My own words.", "params": {"language": "zh"}, "coins": ["BTC"],
        "interval": "15m", "initial_capital": 500, "risk": {"max_leverage": 2},
    }  # fmt: skip
    simulator.llm.asked.clear()
    fresh = client.post("/api/models/preview", json=terms).json
    text = "\n".join(message["content"] for message in fresh["messages"])
    assert "My own words." in text
    assert "BTC «Bitcoin»" in text
    assert "500" in text
    assert "角色" in text
    model_id = add(client, provider_id)
    edited = client.post("/api/models/preview", json=terms | {"model_id": model_id}).json
    assert edited["messages"][0] == fresh["messages"][0]
    assert client.get(f"/api/models/{model_id}").json["prompt"] != "My own words."
    assert list(simulator.llm.asked) == []


def test_a_preview_that_cannot_be_is_refused(client: FlaskClient, provider_id: int):
    bad = client.post("/api/models/preview", json={"params": {"language": "fr"}})
    assert (bad.status_code, "params.language" in bad.json["fields"]) == (400, True)
    assert client.post("/api/models/preview", json={"model_id": 99}).status_code == 404
    rule = {"name": "Rule", "trader": "buy_and_hold"}
    rule_id = client.post("/api/models", json=rule).json["id"]
    response = client.get(f"/api/models/{rule_id}/prompt")
    assert (response.status_code, response.json["code"]) == (400, "no_llm")


# --------------------------------------------------------------------------------------- log


def test_a_decision_is_read_with_all_its_parts(
    client: FlaskClient, provider_id: int, simulator: SimulatorServer
):
    model_id = add(client, provider_id)
    answer = says(simulator, ASKED_TOO_MUCH, reasoning="First the trend.")
    assert run(client, model_id)["success"]
    (row,) = client.get(f"/api/models/{model_id}/conversations").json
    assert (row["coin"], row["signal"], row["outcome"]) == ("BTC", "buy_to_enter", "adjusted")
    assert row["prompt"].startswith("# ")
    assert "Only trade what you understand." in row["system_prompt"]
    assert (row["answer"], row["reasoning"]) == (answer, "First the trend.")
    assert row["decision"]["leverage"] == "40"
    leverage = row["detail"]["leverage"]
    assert (leverage["asked"], leverage["allowed"]) == (40.0, 5.0)
    assert leverage["limit"] == "max_leverage"
    assert row["input_tokens"] > 500
    assert row["output_tokens"] > 0
    assert row["cost"] == pytest.approx((row["input_tokens"] + 2 * row["output_tokens"]) / 1e6)
    assert row["latency_ms"] >= 0
    (fill,) = row["executions"]
    assert (fill["coin"], fill["decision_id"], fill["leverage"]) == ("BTC", row["id"], 5.0)
    lean = client.get(f"/api/models/{model_id}/conversations?texts=0").json[0]
    assert (lean["prompt"], lean["answer"], lean["call_id"]) == (None, None, row["call_id"])

    cycle = client.get(f"/api/models/{model_id}/cycles/{row['cycle_id']}").json
    assert [call["id"] for call in cycle["calls"]] == [row["call_id"]]
    assert cycle["calls"][0]["answer"] == answer
    assert [decision["id"] for decision in cycle["decisions"]] == [row["id"]]
    assert cycle["executions"] == row["executions"]
    (call,) = client.get(f"/api/models/{model_id}/calls").json
    assert (call["status"], call["provider"], call["attempt"]) == ("ok", "Simulated", 1)
    assert "prompt" not in call
    assert client.get(f"/api/models/{model_id}/calls/{call['id']}").json == cycle["calls"][0]
    assert client.get(f"/api/models/{model_id}/calls?before={call['id']}").json == []


def test_an_answer_that_cannot_be_read_is_in_the_log(
    client: FlaskClient, provider_id: int, simulator: SimulatorServer
):
    model_id = add(client, provider_id)
    simulator.llm.say("Buy BTC, I would say.", "Still no JSON.")
    result = run(client, model_id)
    assert (result["success"], result["code"]) == (False, "parse_error")
    repair, first = client.get(f"/api/models/{model_id}/calls").json
    assert (first["status"], repair["status"]) == ("parse_error", "parse_error")
    assert (first["purpose"], repair["purpose"]) == ("decide", "repair")
    told = client.get(f"/api/models/{model_id}/cycles/{first['cycle_id']}").json
    assert told["decisions"] == []
    assert told["calls"][0]["answer"] == "Buy BTC, I would say."
    assert "*" in told["calls"][0]["parse_errors"]


def test_another_models_log_is_not_shown(client: FlaskClient, provider_id: int):
    model_id = add(client, provider_id)
    run(client, model_id)
    other = add(client, provider_id, name="Other")
    (call,) = client.get(f"/api/models/{model_id}/calls").json
    for path in (f"calls/{call['id']}", f"cycles/{call['cycle_id']}", "calls/99", "cycles/99"):
        assert client.get(f"/api/models/{other}/{path}").status_code == 404
    assert client.get("/api/models/99/calls").status_code == 404


def test_while_all_trading_is_stopped_no_llm_is_called(
    client: FlaskClient, provider_id: int, simulator: SimulatorServer
):
    model_id = add(client, provider_id)
    simulator.llm.asked.clear()
    client.post("/api/trading/stop-all", json={})
    response = client.post(f"/api/providers/{provider_id}/test", json={})
    assert (response.status_code, response.json["code"]) == (409, "trading_halted")
    assert client.post(f"/api/models/{model_id}/execute", json={}).status_code == 409
    assert list(simulator.llm.asked) == []
    client.post("/api/trading/resume", json={})
    assert client.post(f"/api/providers/{provider_id}/test", json={}).json["ok"] is True


# --------------------------------------------------------------------------------------- keys


def test_a_planted_key_is_nowhere(
    house: Flask,
    client: FlaskClient,
    provider_id: int,
    simulator: SimulatorServer,
    caplog: pytest.LogCaptureFixture,
):
    """Every route and page after everything was done, good and bad; the log; the database."""
    services: Services = house.extensions[EXTENSION]
    for handler in (caplog.handler, *logging.getLogger().handlers):
        if services.redactor not in handler.filters:
            handler.addFilter(services.redactor)  # as on the handlers of a process of its own
    with caplog.at_level(logging.DEBUG):
        for library in ("httpx2", "httpcore2", "openai"):
            caplog.set_level(logging.DEBUG, logger=library)
        model_id = add(client, provider_id)
        said = [
            client.post(f"/api/providers/{provider_id}/test", json={}),
            client.post("/api/providers/models", json={"provider_id": provider_id}),
            client.post(f"/api/models/{model_id}/execute", json={}),
        ]
        says(simulator, ASKED_TOO_MUCH | {"justification": f"My key is {KEY}"})
        said.append(client.post(f"/api/models/{model_id}/execute", json={}))
        for fault in ("401", "500", "garbage"):
            simulator.faults.switch_on("llm", fault, channel="rest")
            said += [
                client.post(f"/api/providers/{provider_id}/test", json={}),
                client.post("/api/providers/models", json={"provider_id": provider_id}),
                client.post(f"/api/models/{model_id}/execute", json={}),
            ]
            simulator.faults.clear()
        said += [client.put(f"/api/providers/{provider_id}", json={"name": "Simulated"})]
        said += [client.get(path) for path in readable_paths(client, model_id)]
    texts = {response.request.path: response.text for response in said}
    assert len(texts) >= 35
    assert [path for path, text in texts.items() if KEY in text or KEY[:-4] in text] == []
    assert simulator.llm.asked[-1].key == KEY  # it was used all the same
    assert "DEBUG" in caplog.text
    assert KEY not in caplog.text
    assert KEY not in json.dumps([q.body for q in simulator.llm.asked])
    calls = conversations.list_conversations(services.database.connection, model_id, limit=100)
    assert len(calls) > 3  # their texts are compressed in the file
    assert KEY not in repr(calls)
    for file in files_of(services.config.DATABASE_PATH):
        assert KEY.encode() not in file.read_bytes(), file.name


def readable_paths(client: FlaskClient, model_id: int) -> list[str]:
    """Every path that can be read, filled in with what there is, but for the endless stream."""
    document = client.get("/api/openapi.json").json
    cycle = client.get(f"/api/models/{model_id}/calls").json[0]
    filled = {
        "model_id": model_id, "cycle_id": cycle["cycle_id"], "call_id": cycle["id"], "coin_id": 1,
        "symbol": "BTC", "backtest_id": 1, "group_id": 1, "sweep_id": 1, "name": "none",
        "decision_id": 1, "trade_id": 1,
    }  # fmt: skip
    api = [path for path, verbs in document["paths"].items() if "get" in verbs]
    pages = [
        "/", "/models", "/models/{model_id}", "/models/{model_id}/coins", "/charts", "/coins",
        "/backtest", "/data", "/settings", "/api/openapi.json", "/messages/1/zh.json",
    ]  # fmt: skip
    return [path.format(**filled) for path in [*api, *pages] if path != "/api/stream"]


def files_of(database: Path) -> list[Path]:
    """The database with its write-ahead log and copies."""
    found = sorted(database.parent.glob(f"{database.stem}*"))
    assert database in found
    return found


def test_the_clock_of_these_tests_is_the_markets(house: Flask):
    assert house.extensions[EXTENSION].clock.now_ms() == SIMULATED_NOW_MS
