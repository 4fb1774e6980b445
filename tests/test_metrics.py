"""What Prometheus is told: parsed as it parses it, true, and with labels of which there are few."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from audit_log import THIS_COMPUTER
from config import Config
from domain import LLMProvider, TokenPrices
from exchange_simulator.server import SimulatorServer
from llm_client import CallOutcome
from llm_usage import Usage
from metrics import Metrics
from routes.services import EXTENSION, Services

HOLDER = {"name": "Holder", "trader": "buy_and_hold", "coins": ["BTC"], "risk": "off"}
Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Every figure by its name and labels; each is there once."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def asked(client: FlaskClient) -> Samples:
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain; version=")
    return samples(response.text)


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_it_tells_of_what_has_been_done(app: Flask, simulator: SimulatorServer):
    client = app.test_client()
    model_id = client.post("/api/models", json=HOLDER).json["id"]
    client.post(f"/api/models/{model_id}/execute", json={})
    client.get("/api/models/99")
    client.get("/nowhere")
    client.post(f"/api/models/{model_id}/flatten", json={})
    app.extensions[EXTENSION].desk.halt.stop_all(THIS_COMPUTER)
    found, model = asked(client), {"model_id": str(model_id), "model": "Holder"}
    route = {"method": "GET", "route": "/api/models/{model_id}"}
    assert value(found, "http_requests_total", **route, status="404") == 1
    assert value(found, "http_requests_total", method="GET", route="none", status="404") == 1
    assert value(found, "http_request_seconds_count", **route) == 1
    assert value(found, "trading_cycles_total", status="done") == 1
    assert 0 < value(found, "trading_cycle_seconds_sum", status="done") < 60
    assert value(found, "trading_fills_total", kind="open", reason="signal") == 1
    assert value(found, "trading_fills_total", kind="close", reason="flatten") == 1
    assert 9_000 < value(found, "trading_equity", **model) < 10_000
    assert value(found, "trading_open_positions", **model) == 0
    assert value(found, "trading_halted") == 1
    assert value(found, "trading_loop_held") == 0
    assert value(found, "source_up", source="binance") == 1
    states = [dict(labels) for name, labels in found if name == "source_state"]
    assert sorted(row["source"] for row in states) == ["binance", "coingecko", "okx"]
    assert value(found, "source_price_age_seconds", source="binance") >= 0
    assert 0 < value(found, "source_latency_seconds", source="binance", quantile="0.99") < 5
    budgets = [labels for name, labels in found if name == "source_budget_used_ratio"]
    assert {dict(labels)["source"] for labels in budgets} >= {"binance", "okx"}
    assert sum(value(found, "database_bytes", file=file) for file in ("database", "wal")) > 100_000
    assert value(found, "queue_length", queue="backtests") == 0
    assert value(found, "process_resident_memory_bytes") > 1e7


def test_calls_of_llms_are_counted_with_tokens_cost_and_budget(
    app_config: Config, simulator: SimulatorServer
):
    config = app_config.model_copy(
        update={"BINANCE_API_URL": simulator.url, "LOCAL_PROVIDERS": "on"}
    )
    app = create_app(config, clock=simulator.clock)
    services: Services = app.extensions[EXTENSION]
    services.database.upgrade()
    client = app.test_client()
    provider = {
        "name": "Simulated", "api_url": simulator.llm_url, "api_key": "k" * 20,
        "models": ["sim-steady"], "prices": {"sim-steady": {"input": 1, "output": 2}},
    }  # fmt: skip
    provider_id = client.post("/api/providers", json=provider).json["id"]
    terms = {
        "name": "Asks", "trader": "ai", "provider_id": provider_id, "model_name": "sim-steady",
        "coins": ["BTC"], "params": {"daily_calls": 4, "daily_tokens": None, "daily_cost": None},
    }  # fmt: skip
    model_id = client.post("/api/models", json=terms).json["id"]
    client.post(f"/api/models/{model_id}/execute", json={})
    simulator.faults.switch_on("llm", "401", channel="rest")
    client.post(f"/api/models/{model_id}/execute", json={})
    simulator.faults.clear()
    found = asked(client)
    services.database.close()
    assert value(found, "llm_calls_total", provider="Simulated", outcome="ok") == 1
    assert value(found, "llm_calls_total", provider="Simulated", outcome="llm_unauthorized") == 1
    assert value(found, "llm_call_seconds_count", provider="Simulated") == 2
    tokens = {
        kind: value(found, "llm_tokens_total", provider="Simulated", kind=kind)
        for kind in ("input", "output")
    }
    cost = value(found, "llm_cost_dollars_total", provider="Simulated")
    assert cost == pytest.approx((tokens["input"] + 2 * tokens["output"]) / 1e6)
    budget = {"model_id": str(model_id), "model": "Asks", "limit": "calls"}
    assert value(found, "llm_budget_used_ratio", **budget) == 0.5
    assert ("llm_budget_used_ratio", frozenset({**budget, "limit": "cost"}.items())) not in found
    assert value(found, "trading_cycles_total", status="failed") == 1


def test_callers_make_up_no_labels(offline_app: Flask):
    client = offline_app.test_client()
    for number in range(5):
        client.get(f"/api/coins/{number}?q={number}")
        client.get(f"/nowhere/{number}")
        client.get(f"/api/klines/COIN{number}?interval=1h")
        client.open("/api/coins", method=f"MADEUP{number}")
    found = asked(client)
    requests = [dict(labels) for name, labels in found if name == "http_requests_total"]
    assert {row["route"] for row in requests} == {
        "/api/coins/{coin_id}", "/api/klines/{symbol}", "none", "/api/session",
    }  # fmt: skip
    assert {row["method"] for row in requests} == {"GET", "other"}
    assert not any("COIN" in str(labels) for _, labels in found)


def test_nothing_is_shared_by_two_apps(offline_app: Flask, app_config: Config):
    offline_app.test_client().get("/nowhere")
    other = create_app(app_config)
    found = asked(other.test_client())
    other.extensions[EXTENSION].database.close()
    assert not any(name == "http_requests_total" for name, _ in found)


def test_with_a_password_it_is_for_who_may_read(offline_app: Flask):
    services: Services = offline_app.extensions[EXTENSION]
    services.access.set_password("a long password", THIS_COMPUTER)
    reader = services.access.make_token("reader", "read", None, THIS_COMPUTER)
    client = offline_app.test_client()
    refused = client.get("/metrics")
    assert (refused.status_code, refused.json["code"]) == (401, "not_signed_in")
    headers = {"Authorization": f"Bearer {reader.text}"}
    assert client.get("/metrics", headers=headers).status_code == 200


def test_a_call_without_known_prices_costs_nothing_known():
    metrics = Metrics()
    provider = LLMProvider(1, "One", "https://one.example", "", (), {"m": TokenPrices()})
    metrics.count_call(CallOutcome(provider.name, "ok", 1.5, Usage(10, 5)))
    metrics.count_call(CallOutcome(provider.name, "ok", 0.5, Usage(1, 1), Decimal("0.25")))
    found = samples(metrics.text().decode())
    assert value(found, "llm_tokens_total", provider="One", kind="input") == 11
    assert value(found, "llm_cost_dollars_total", provider="One") == 0.25
