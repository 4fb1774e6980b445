"""LLM runs in backtests, over the REST API and the simulated provider: recorded, capped, replayed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from addresses import sources_at
from conftest import running
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from config import Config
from exchange_simulator.llm_answers import STEADY
from exchange_simulator.server import SimulatorServer
from repositories import backtests, conversations, llm_answers
from repositories.llm_answers import PaidCalls
from routes.services import EXTENSION, Services

KEY = "sk-planted-0123456789abcdefghij"
PRICES = {STEADY: {"input": 1, "output": 4}}
DAY = {"start_date": "2024-05-28", "end_date": "2024-05-28"}
CALLS = 12  # of a day of hours, with a decision every second


def house(folder: Path, simulator: SimulatorServer) -> Iterator[Flask]:
    config = Config(
        DATABASE_PATH=folder / "trading.db", TRADING_LOOP="off", LOCAL_PROVIDERS="on",
        STREAMS="off", **sources_at(simulator.url),
    )  # fmt: skip
    yield from running(create_app(config, clock=simulator.clock, check_answers=True))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorServer) -> Iterator[Flask]:
    yield from house(tmp_path_factory.mktemp("llm"), simulator)


@pytest.fixture
def services(app: Flask, simulator: SimulatorServer) -> Services:
    """The app's; nothing is recorded, stored or asked yet, and the provider is well."""
    simulator.faults.clear()
    simulator.llm.script.clear()
    simulator.llm.asked.clear()
    found: Services = app.extensions[EXTENSION]
    with found.database.transaction() as connection:
        for table in ("backtests", "llm_answers", "models", "providers"):
            connection.execute(f"DELETE FROM {table}")
    return found


@pytest.fixture
def client(app: Flask, services: Services) -> FlaskClient:
    return app.test_client()


def provider(client: FlaskClient, simulator: SimulatorServer, **more: Any) -> int:
    body = {
        "name": "Simulated", "api_url": simulator.llm_url, "api_key": KEY, "prices": PRICES,
        "models": [STEADY],
    }  # fmt: skip
    answer = client.post("/api/providers", json=body | more)
    assert answer.status_code == 201, answer.json
    return int(answer.json["id"])


def terms(provider_id: int, **more: Any) -> dict[str, Any]:
    return {
        "trader": "ai", "provider_id": provider_id, "model_name": STEADY, "coins": ["BTC", "ETH"],
        "params": {"history_bars": 12, "retries": 0}, "interval": "1h", "decide_every": 2,
        "risk": "balanced", "wait": True, **DAY, **more,
    }  # fmt: skip


def ask(client: FlaskClient, body: dict[str, Any]) -> Any:
    return client.post("/api/backtest/run", json=body)


def done(client: FlaskClient, body: dict[str, Any]) -> Any:
    answer = ask(client, body)
    assert answer.status_code == 200, answer.json
    return answer.json


def asked(simulator: SimulatorServer) -> int:
    return len(simulator.llm.asked)


def forget_runs(services: Services) -> None:
    """So that the same run is made again, not answered from the store."""
    with services.database.transaction() as connection:
        for row in backtests.list_backtests(connection, 100):
            backtests.delete(connection, row.id)


def paid(services: Services, backtest_id: int) -> PaidCalls:
    return llm_answers.paid(services.database.connection, backtest_id)


# ------------------------------------------------------------------------------------- replay


def test_a_second_run_calls_nobody_costs_nothing_and_says_the_same_bytes(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    body = terms(provider(client, simulator))
    first = done(client, body)
    assert asked(simulator) == CALLS
    spent = paid(services, first["id"])
    assert spent.calls == CALLS
    assert float(spent.cost) == pytest.approx(first["report"]["llm"]["cost"]) != 0
    forget_runs(services)
    second = done(client, body)
    assert asked(simulator) == CALLS
    assert paid(services, second["id"]) == PaidCalls()
    assert json.dumps(second["report"]) == json.dumps(first["report"])
    assert first["report"]["llm"]["answers"] == CALLS
    assert first["report"]["fills"]  # or nothing would be compared


def test_only_recorded_answers_stop_at_the_first_that_is_missing(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    body = terms(provider(client, simulator))
    refused = ask(client, body | {"replay": "only"})
    assert (refused.status_code, refused.json["code"]) == (409, "answer_missing")
    assert "BTC, ETH at 2024-05-28T01:00:00Z" in refused.json["error"]
    assert asked(simulator) == 0
    done(client, body)
    forget_runs(services)
    connection = services.database.connection
    (newest_hash,) = connection.execute(
        "SELECT hash FROM llm_answers ORDER BY id DESC LIMIT 1"
    ).fetchone()
    connection.execute("DELETE FROM llm_answers WHERE hash = ?", (newest_hash,))
    stopped = ask(client, body | {"replay": "only"})
    assert stopped.json["code"] == "answer_missing"
    assert newest_hash in stopped.json["error"]
    assert "2024-05-28T23:00:00Z" in stopped.json["error"]
    assert asked(simulator) == CALLS


def test_asked_anew_a_run_keeps_its_own_answers_and_others_use_them_next(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    body = terms(provider(client, simulator), decide_every=24)
    done(client, body)
    forget_runs(services)
    simulator.llm.say('{"decisions": [{"coin": "BTC", "signal": "buy_to_enter", "weight": 0.2}]}')
    anew = done(client, body | {"replay": "off"})
    assert asked(simulator) == 2
    forget_runs(services)
    assert done(client, body)["report"] == anew["report"]
    assert asked(simulator) == 2


def test_other_terms_of_the_question_are_another_question(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    body = terms(provider(client, simulator), decide_every=24)
    done(client, body)
    done(client, body | {"params": body["params"] | {"temperature": 0.5}})
    assert asked(simulator) == 2
    done(client, body | {"params": body["params"] | {"retries": 1}})  # not sent, no other question
    assert asked(simulator) == 2


# ---------------------------------------------------------------------------------------- caps


def test_a_cap_on_calls_stops_a_run_and_a_higher_one_goes_on_from_there(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    body = terms(provider(client, simulator))
    stopped = ask(client, body | {"max_calls": 5})
    assert (stopped.status_code, stopped.json["code"]) == (409, "run_cap")
    assert "5 of 5 calls" in stopped.json["error"]
    assert asked(simulator) == 5
    finished = done(client, body | {"max_calls": CALLS - 5})
    assert asked(simulator) == CALLS  # five were recorded, and cost this run nothing
    assert paid(services, finished["id"]).calls == CALLS - 5


def test_a_cap_in_money_is_never_exceeded(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    body = terms(provider(client, simulator))
    stopped = ask(client, body | {"max_cost": 0.03})
    assert stopped.json["code"] == "run_cap"
    (run,) = client.get("/api/backtests").json
    spent = paid(services, run["id"])
    assert 0 < spent.calls < CALLS
    assert spent.cost <= Decimal("0.03")


def test_a_cap_in_money_needs_prices(client: FlaskClient, simulator: SimulatorServer):
    refused = ask(client, terms(provider(client, simulator, prices={}), max_cost=1))
    assert refused.status_code == 400
    assert list(refused.json["fields"]) == ["max_cost"]
    assert client.get("/api/backtests").json == []


def test_live_budgets_are_not_touched(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    model = {
        "name": "Live", "trader": "ai", "provider_id": provider(client, simulator),
        "model_name": STEADY, "coins": ["BTC"], "interval": "1h",
        "params": {"daily_calls": 0, "retries": 0}, "initial_capital": 10_000, "enabled": False,
    }  # fmt: skip
    created = client.post("/api/models", json=model)
    assert created.status_code == 201, created.json
    body = {"model_id": created.json["id"], "interval": "1h", "decide_every": 12, "wait": True}
    run = done(client, body | DAY)
    assert run["model_id"] == created.json["id"]
    assert asked(simulator) == 2  # though the model itself may not call at all
    connection = services.database.connection
    assert conversations.list_conversations(connection, created.json["id"]) == []


# ------------------------------------------------------------------------------------ failures


def test_a_provider_that_fails_stops_the_run_which_goes_on_where_it_was(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    body = terms(provider(client, simulator), decide_every=12)
    simulator.llm.say("no JSON at all")  # is sent back once, which the fault then hits
    simulator.faults.switch_on("llm", "401")
    stopped = ask(client, body)
    assert (stopped.status_code, stopped.json["code"]) == (503, "llm_unauthorized")
    assert "2024-05-28T01:00:00Z" in stopped.json["error"]
    assert KEY not in json.dumps(stopped.json)
    simulator.faults.clear()
    report = done(client, body)["report"]
    assert report["llm"]["repaired"] == 1
    assert report["llm"]["answers"] == asked(simulator) == 3


def test_what_cannot_be_read_twice_is_no_trade_and_is_said(
    client: FlaskClient, simulator: SimulatorServer
):
    simulator.llm.say("Buy.", "Buy!")
    report = done(client, terms(provider(client, simulator), decide_every=24))["report"]
    assert (report["llm"]["unusable"], report["llm"]["repaired"]) == (1, 1)
    assert report["fills"] == []
    assert any("could not be used" in warning["message"] for warning in report["warnings"])


def test_a_cancelled_run_stops_asking(client: FlaskClient, simulator: SimulatorServer):
    fault = simulator.faults.switch_on("llm", "slow", seconds=0.3)
    accepted = ask(client, terms(provider(client, simulator), decide_every=1) | {"wait": False})
    address = accepted.json["status_url"]
    for _ in range(600):
        if asked(simulator):
            break
        client.application.extensions[EXTENSION].backtests._ended.wait(0.05)
    assert client.post(f"{address}/cancel", json={}).status_code == 200
    client.application.extensions[EXTENSION].backtests.wait(accepted.json["id"])
    after = asked(simulator)
    simulator.faults.switch_off(fault)
    assert after <= 3
    assert client.get(address).json["status"] == "cancelled"


# ------------------------------------------------------------------------------------- the key


def test_the_key_is_in_no_row_no_report_and_no_log(
    client: FlaskClient, services: Services, simulator: SimulatorServer,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path,
):  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        run = done(client, terms(provider(client, simulator), decide_every=24))
    assert simulator.llm.asked[-1].key == KEY
    assert KEY not in json.dumps(run)
    assert KEY not in caplog.text
    assert KEY not in "".join(capfd.readouterr())
    copy = services.database.backup(tmp_path / "copy.db")
    assert KEY.encode() not in copy.read_bytes()
    assert KEY not in repr(services.backtests._llm_access)


# ----------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"provider_id": None}, "body"),
        ({"model_name": ""}, "model_name"),
        ({"replay": "sometimes"}, "replay"),
        ({"max_cost": -1}, "max_cost"),
        ({"max_calls": 1.5}, "max_calls"),
        ({"params": {"temperature": 9}}, "params.temperature"),
        ({"params": {"other_intervals": ["5m"]}}, "params"),
        ({"trader": "rsi", "params": {}}, "body"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_stored(
    client: FlaskClient, simulator: SimulatorServer, change: dict[str, Any], field: str
):
    refused = ask(client, terms(provider(client, simulator)) | change)
    assert refused.status_code == 400, refused.json
    assert field in refused.json["fields"], refused.json
    assert client.get("/api/backtests").json == []
    assert asked(simulator) == 0


def test_an_unknown_provider_and_llm_terms_of_a_rule_are_refused(client: FlaskClient):
    assert ask(client, terms(99)).json["code"] == "unknown_provider"
    rule = {"trader": "rsi", "coins": ["BTC"], **DAY, "blind": True, "max_calls": 1}
    refused = ask(client, rule)
    assert (refused.status_code, set(refused.json["fields"])) == (400, {"blind", "max_calls"})


# ------------------------------------------------------------------------------------ estimate


def test_the_estimate_is_near_what_the_run_then_costs(
    client: FlaskClient, services: Services, simulator: SimulatorServer
):
    body = terms(provider(client, simulator))
    done(client, body | {"end_date": "2024-05-28"})
    forget_runs(services)
    services.database.connection.execute("DELETE FROM llm_answers WHERE id % 2 = 0")
    guess = client.post("/api/backtest/estimate", json=body).json
    assert (guess["calls"], guess["from_candles"], guess["replayed_whole"]) == (CALLS, True, True)
    assert guess["recorded_already"] == 1  # the second is missing
    assert guess["cost_still_to_pay"] == pytest.approx(guess["cost"] * 11 / 12)
    llm = done(client, body)["report"]["llm"]
    assert guess["prompt_tokens"] == pytest.approx(llm["prompt_tokens"], rel=0.5)
    assert guess["completion_tokens"] == pytest.approx(llm["completion_tokens"], rel=0.25)
    after = client.post("/api/backtest/estimate", json=body).json
    assert (after["recorded_already"], after["cost_still_to_pay"]) == (CALLS, 0)


def test_an_estimate_asks_nobody_and_needs_neither_candles_nor_prices(
    client: FlaskClient, simulator: SimulatorServer
):
    body = terms(provider(client, simulator, prices={}), coins=["SOL"], interval="4h")
    guess = client.post("/api/backtest/estimate", json=body).json
    assert (guess["calls"], guess["from_candles"]) == (3, False)
    assert guess["prompt_tokens"] > 1000
    assert guess["cost"] is guess["cost_still_to_pay"] is None
    assert asked(simulator) == 0
    assert client.get("/api/backtests").json == []


def test_only_llms_have_an_estimate(client: FlaskClient):
    rule = {"trader": "rsi", "coins": ["BTC"], **DAY}
    assert client.post("/api/backtest/estimate", json=rule).json["code"] == "no_llm"


# ----------------------------------------------------------------------------------- knowledge


def test_bars_that_the_model_may_remember_are_reported_apart(
    client: FlaskClient, simulator: SimulatorServer
):
    cutoffs = {STEADY: "2024-05-28"}
    body = terms(provider(client, simulator, knowledge_cutoffs=cutoffs), end_date="2024-05-29")
    report = done(client, body)["report"]
    knowledge, summary = report["knowledge"], report["summary"]
    assert (knowledge["cutoff"], knowledge["ends"]) == ("2024-05-28", "2024-05-29T00:00:00Z")
    inside, outside = knowledge["inside"], knowledge["outside"]
    assert (inside["bars"], outside["bars"]) == (24, 24)
    assert (inside["end"], outside["start"]) == ("2024-05-29T00:00:00Z",) * 2
    together = (1 + inside["return_percentage"] / 100) * (1 + outside["return_percentage"] / 100)
    assert (together - 1) * 100 == pytest.approx(summary["return_percentage"])
    assert inside["total_trades"] + outside["total_trades"] == summary["total_trades"]
    assert any("is no evidence" in warning["message"] for warning in report["warnings"])


def test_without_a_cutoff_all_may_be_remembered_and_after_it_nothing(
    client: FlaskClient, simulator: SimulatorServer
):
    unknown = terms(provider(client, simulator), decide_every=24)
    report = done(client, unknown)["report"]
    assert report["knowledge"]["inside"] is report["knowledge"]["outside"] is None
    assert any("not known until when" in warning["message"] for warning in report["warnings"])
    long_ago = provider(client, simulator, name="Old", knowledge_cutoffs={STEADY: "2023-02"})
    report = done(client, terms(long_ago, decide_every=24))["report"]
    assert report["knowledge"]["ends"] == "2023-03-01T00:00:00Z"
    assert report["knowledge"]["inside"] is None
    assert report["knowledge"]["outside"]["bars"] == 24
    assert not any("evidence" in warning["message"] for warning in report["warnings"])


# --------------------------------------------------------------------------- decisions, tokens


def test_its_decisions_can_be_replayed_on_other_terms_without_a_call(
    client: FlaskClient, simulator: SimulatorServer
):
    body = terms(provider(client, simulator))
    first = done(client, body)["report"]
    assert first["decisions"]
    script = {
        "trader": "scripted", "coins": body["coins"], "interval": "1h", "risk": "balanced",
        "decisions": first["decisions"], "wait": True, **DAY,
    }  # fmt: skip
    assert done(client, script)["report"]["fills"] == first["fills"]
    calls = asked(simulator)
    dearer = done(client, script | {"trade_fee_rate": 0.01})["report"]
    assert dearer["summary"]["total_fees"] > first["summary"]["total_fees"]
    assert asked(simulator) == calls


def test_the_return_is_also_told_net_of_tokens(client: FlaskClient, simulator: SimulatorServer):
    summary = done(client, terms(provider(client, simulator)))["report"]["summary"]
    net = (summary["final_value"] - summary["token_cost"]) / summary["initial_capital"] - 1
    assert summary["token_cost"] > 0
    assert summary["return_net_of_tokens_percentage"] == pytest.approx(net * 100)


def test_what_it_is_shown_is_what_it_would_be_shown_live(
    client: FlaskClient, simulator: SimulatorServer
):
    params = {"history_bars": 3, "retries": 0, "other_intervals": ["4h"]}
    done(client, terms(provider(client, simulator), params=params, blind=False))
    first, *_, last = [ask.body["messages"][1]["content"] for ask in simulator.llm.asked]
    assert "BTC 4h" in first
    assert "2024-05-28 23:00 UTC" in last
    assert "every 120 minutes" in simulator.llm.asked[0].body["messages"][0]["content"]
    assert "share" in first.lower()
    change = [line for line in first.splitlines() if line.startswith("BTC") and "price" in line]
    assert "?" not in change[0].split("tick")[0]


# ----------------------------------------------------------------------- on another machine


def command(app: Flask, *words: object) -> str:
    result = app.test_cli_runner().invoke(args=["backtest", "answers", *map(str, words)])
    assert result.exit_code == 0, result.output
    return str(result.output)


@pytest.mark.parametrize("blind", [False, True])
def test_another_machine_replays_a_run_from_its_file_to_the_byte(
    app: Flask, client: FlaskClient, simulator: SimulatorServer, tmp_path: Path, blind: bool
):
    first = done(client, terms(provider(client, simulator), blind=blind))
    file, calls = tmp_path / "answers.jsonl", asked(simulator)
    assert f"{CALLS} answers" in command(app, "export", first["id"], "--to", file)
    assert KEY not in file.read_text("utf-8")
    for elsewhere in house(tmp_path / "elsewhere", simulator):  # which has no provider at all
        said = command(elsewhere, "import", file, "--run")
        assert f"{CALLS} answers are new, 0 were" in said
        there = elsewhere.test_client()
        (run,) = there.get("/api/backtests").json
        second = there.get(f"/api/backtests/{run['id']}").json
        assert json.dumps(second["report"]) == json.dumps(first["report"])
        assert f"0 answers are new, {CALLS} were" in command(elsewhere, "import", file)
        assert there.get(f"/api/backtests/{run['id']}/paid").json["calls"] == 0
    assert asked(simulator) == calls
    assert first["report"]["fills"]


def damaged(lines: list[str], what: str) -> list[str]:
    row = json.loads(lines[2])
    if what == "other words":
        row["question"]["messages"][0]["content"] += "!"
    elif what == "negative cost":
        row["cost"] = "-1"
    elif what == "not finite":
        row["cost"] = "NaN"
    elif what == "fewer fields":
        del row["answer"]["text"]
    elif what == "cut off":
        return [*lines[:2], lines[2][: len(lines[2]) // 2]]
    elif what == "no head":
        return lines[1:]
    return [*lines[:2], json.dumps(row) + "\n", *lines[3:]]


@pytest.mark.parametrize(
    "what", ["other words", "negative cost", "not finite", "fewer fields", "cut off", "no head"]
)
def test_a_damaged_file_is_not_taken_at_all(
    app: Flask, client: FlaskClient, services: Services, simulator: SimulatorServer,
    tmp_path: Path, what: str,
):  # fmt: skip
    first = done(client, terms(provider(client, simulator), decide_every=8))
    file = tmp_path / "answers.jsonl"
    command(app, "export", first["id"], "--to", file)
    forget_runs(services)
    services.database.connection.execute("DELETE FROM llm_answers")
    lines = damaged(file.read_text("utf-8").splitlines(keepends=True), what)
    file.write_text("".join(lines), "utf-8")
    result = app.test_cli_runner().invoke(args=["backtest", "answers", "import", str(file)])
    assert (result.exit_code, "Error:" in result.output) == (1, True)
    (count,) = services.database.connection.execute("SELECT COUNT(*) FROM llm_answers").fetchone()
    assert count == 0


def test_a_rule_has_no_answers_to_export(app: Flask, client: FlaskClient):
    run = done(client, {"trader": "rsi", "coins": ["BTC"], "wait": True, **DAY})
    words = ["backtest", "answers", "export", str(run["id"])]
    result = app.test_cli_runner().invoke(args=words)
    assert result.exit_code == 1
    assert "asked no language model" in result.output
