"""Requests generated from the OpenAPI document: no server error, no answer outside the document.

`FUZZ_REQUESTS=10000 pytest tests/test_openapi.py` is the long form, a part of `make fuzz`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from addresses import NOWHERE, sources_at
from conftest import SIMULATED_NOW_MS, running
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings

from access_tokens import Scope
from app import create_app
from audit_log import COMMAND_LINE
from clock import ManualClock
from config import Config
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from routes.services import EXTENSION, Services

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "0"))
EXAMPLES = 15  # of each operation, unless a number of requests is wanted


def offline_config(folder: Path) -> Config:
    return Config(
        DATABASE_PATH=folder / "fuzzed.db",
        **NOWHERE,
        TRADING_LOOP="off",
    )


@pytest.fixture(scope="module")
def fuzzed_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app on an exchange that never asks for fewer requests, with a model that has traded.

    Nor does the app hold itself back: a budget that is used up is a 503, and no fault.
    """
    market = GeneratedMarket(seed=7)
    clock = ManualClock(SIMULATED_NOW_MS)
    with SimulatorServer(
        market, clock, weight_limit=10**9, okx_limit_factor=10**6, coingecko_limit=10**6
    ) as exchange:
        config = offline_config(tmp_path_factory.mktemp("fuzzed"))
        limits = ("BINANCE_RATE_LIMIT", "OKX_RATE_LIMIT", "COINGECKO_RATE_LIMIT")
        unlimited = sources_at(exchange.url) | dict.fromkeys(limits, 10**9)
        config = config.model_copy(update=unlimited | {"LOCAL_PROVIDERS": "on"})
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


def fuzz(operation: Any, examples: int, token: str, statuses: Counter[int]) -> None:
    """Send generated requests, sound and unsound ones, and hold the answers to the document.

    `statuses` counts the answers of each.
    """
    sender = {"Authorization": f"Bearer {token}"}

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def every_case(case: schemathesis.Case) -> None:
        answer = case.call(headers=sender)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS, headers=sender)

    every_case()


def admin_token(app: Flask) -> str:
    """A token that may do everything; a new one, since requests may revoke any."""
    services: Services = app.extensions[EXTENSION]
    return services.access.make_token("fuzz", Scope.ADMIN, None, COMMAND_LINE).text


def operations(app: Flask) -> list[Any]:
    sender = {"Authorization": f"Bearer {admin_token(app)}"}
    document = schemathesis.openapi.from_wsgi("/api/openapi.json", app, headers=sender)
    return [found.ok() for found in document.get_all_operations()]


# The stream never ends, and a run on a source would fetch whatever range is drawn.
LEFT_OUT = {"GET /api/stream", "POST /api/backtest/run"}


@pytest.mark.timeout(max(300, REQUESTS))
def test_a_generated_request_gets_a_documented_answer(
    fuzzed_app: Flask,
    subtests: pytest.Subtests,
    record_property: Callable[[str, object], None],
):
    wanted = [found for found in operations(fuzzed_app) if found.label not in LEFT_OUT]
    assert len(wanted) >= 25
    # Half as many again: of what takes no parameter there is one request.
    examples = max(EXAMPLES, 3 * REQUESTS // (2 * len(wanted)))
    statuses: Counter[int] = Counter()
    sound = 0
    for operation in wanted:
        with subtests.test(operation.label):
            fuzz(operation, examples, admin_token(fuzzed_app), statuses)
            sound += 1
    failures = sum(statuses[code] for code in statuses if code >= 500)
    record_property("operations", len(wanted))
    record_property("requests", statuses.total())
    record_property("answers ≥ 500", failures)
    record_property("operations with an answer outside the document", len(wanted) - sound)
    assert statuses.total() >= REQUESTS
    assert statuses[200] + statuses[201] > statuses.total() / 10  # what is sound is answered
    assert statuses[401] + statuses[403] < statuses.total() / 10  # and hardly anything turned away


def test_a_generated_backtest_gets_a_documented_answer(fuzzed_offline_app: Flask):
    (run,) = [o for o in operations(fuzzed_offline_app) if o.label == "POST /api/backtest/run"]
    fuzz(run, EXAMPLES, admin_token(fuzzed_offline_app), Counter())
