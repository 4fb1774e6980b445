"""Requests generated from the OpenAPI document: no server error, no answer outside the document."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from addresses import NOWHERE, sources_at
from conftest import SIMULATED_NOW_MS, running
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings

from app import create_app
from clock import ManualClock
from config import Config
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))
GENERATED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def offline_config(folder: Path) -> Config:
    return Config(
        DATABASE_PATH=folder / "fuzzed.db",
        **NOWHERE,
        TRADING_LOOP="off",
    )


@pytest.fixture(scope="module")
def fuzzed_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app on an exchange that never asks for fewer requests, with a model that has traded."""
    market = GeneratedMarket(seed=7)
    clock = ManualClock(SIMULATED_NOW_MS)
    with SimulatorServer(
        market, clock, weight_limit=10**9, okx_limit_factor=10**6, coingecko_limit=10**6
    ) as exchange:
        config = offline_config(tmp_path_factory.mktemp("fuzzed"))
        config = config.model_copy(update=sources_at(exchange.url) | {"LOCAL_PROVIDERS": "on"})
        for app in running(create_app(config, clock=clock, check_answers=True)):
            client = app.test_client()
            body = {"name": "Holder", "trader": "buy_and_hold", "risk": "off"}
            model_id = client.post("/api/models", json=body).json["id"]
            client.post(f"/api/models/{model_id}/execute", json={})
            add_model_that_asks(client, exchange.llm_url)
            yield app


def add_model_that_asks(client: FlaskClient, llm_url: str) -> None:
    """A model that has asked the exchange's language model once."""
    provider = {
        "name": "Simulated",
        "api_url": llm_url,
        "api_key": "k" * 20,
        "models": ["sim-bold"],
    }
    provider_id = client.post("/api/providers", json=provider).json["id"]
    terms = {"name": "Asker", "trader": "ai", "provider_id": provider_id, "model_name": "sim-bold"}
    model_id = client.post("/api/models", json=terms).json["id"]
    assert client.post(f"/api/models/{model_id}/execute", json={}).json["success"]


@pytest.fixture(scope="module")
def fuzzed_offline_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app without a source: a run that is asked for ends at once, for want of bars."""
    config = offline_config(tmp_path_factory.mktemp("offline"))
    yield from running(create_app(config, check_answers=True))


CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]


def fuzz(operation: Any) -> None:
    """Send generated requests, sound and unsound ones, and hold the answers to the document."""

    @GENERATED
    @given(case=operation.as_strategy())
    def every_case(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    every_case()


def operations(app: Flask) -> list[Any]:
    document = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    return [found.ok() for found in document.get_all_operations()]


def test_a_generated_request_gets_a_documented_answer(fuzzed_app: Flask, subtests: pytest.Subtests):
    # The stream never ends, and a run on a source would fetch whatever range is drawn.
    left_out = {"GET /api/stream", "POST /api/backtest/run"}
    fuzzed = 0
    for operation in operations(fuzzed_app):
        if operation.label not in left_out:
            with subtests.test(operation.label):
                fuzz(operation)
                fuzzed += 1
    assert fuzzed >= 25


def test_a_generated_backtest_gets_a_documented_answer(fuzzed_offline_app: Flask):
    (run,) = [o for o in operations(fuzzed_offline_app) if o.label == "POST /api/backtest/run"]
    fuzz(run)
