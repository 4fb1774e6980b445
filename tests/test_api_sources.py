"""GET /api/sources and /api/data-alerts: what a reader learns of the sources."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from data_findings import Finding
from routes.services import EXTENSION, Services

JUMP = {"price": 130.0, "before": 100.0, "percent": 30.0}


def by_name(client: FlaskClient) -> dict[str, dict[str, Any]]:
    answer = client.get("/api/sources")
    assert answer.status_code == 200, answer.json
    return {source["name"]: source for source in answer.json}


def test_sources_that_were_never_asked_are_unused(app: Flask):
    sources = by_name(app.test_client())
    assert list(sources) == ["binance", "okx", "coingecko"]
    assert sources["binance"]["kinds"] == {"price": 1, "klines": 1, "depth": 1}
    assert sources["coingecko"]["kinds"] == {"price": 3}
    for source in sources.values():
        assert (source["state"], source["breaker"]) == ("unused", "closed")
        assert (source["last_success"], source["last_error"], source["latency_ms"]) == (None,) * 3


def test_a_source_that_has_answered_shows_its_latency_and_its_budget(app: Flask):
    client = app.test_client()
    assert client.get("/api/klines/BTC?limit=3").status_code == 200
    binance = by_name(client)["binance"]
    assert (binance["state"], binance["error_rate"]) == ("up", 0)
    assert 0 < binance["latency_ms"]["p50"] <= binance["latency_ms"]["p99"]
    (budget,) = binance["budgets"]
    assert (budget["name"], budget["limit"], budget["window_seconds"]) == ("weight", 5400, 60)
    assert budget["used"] >= 2
    assert binance["last_success"].endswith("Z")


def test_a_source_that_is_down_says_when_it_is_asked_again(offline_app: Flask):
    client = offline_app.test_client()
    for _ in range(3):
        assert client.get("/api/klines/BTC?limit=3").status_code == 503
    binance = by_name(client)["binance"]
    assert (binance["state"], binance["breaker"], binance["error_rate"]) == ("down", "open", 1)
    assert "cannot be reached" in binance["last_error"]
    assert binance["last_error_code"] == "source_unavailable"
    assert binance["retry_at"] > binance["last_error_at"]
    alerts = client.get("/api/data-alerts").json
    assert {(alert["kind"], alert["source"]) for alert in alerts} == {
        ("source_down", "binance"), ("source_down", "okx"),
    }  # fmt: skip
    assert {alert["values"]["reason"] for alert in alerts} == {"source_unavailable"}


def test_alerts_come_newest_first_and_the_same_one_once(offline_app: Flask):
    client = offline_app.test_client()
    assert client.get("/api/data-alerts").json == []
    services: Services = offline_app.extensions[EXTENSION]
    found = [Finding("jump_held", "binance", coin, JUMP) for coin in ("BTC", "ETH", "BTC")]
    services.data_aggregator.alerts.tell(found)
    alerts = client.get("/api/data-alerts").json
    assert [(alert["coin"], alert["kind"]) for alert in alerts] == [
        ("ETH", "jump"),
        ("BTC", "jump"),
    ]
    assert (alerts[0]["code"], alerts[0]["values"]) == ("jump_held", JUMP)
    assert alerts[0]["message"] == (
        "Binance: ETH jumped by +30.0 %, from 100.0 to 130.0; it is held back until a second look."
    )
    assert [a["coin"] for a in client.get("/api/data-alerts?limit=1").json] == ["ETH"]
    older = client.get(f"/api/data-alerts?before={alerts[0]['id']}").json
    assert [alert["coin"] for alert in older] == ["BTC"]
    for question in ("limit=0", "before=0", f"before={10**30}", "before=x"):
        assert client.get(f"/api/data-alerts?{question}").status_code == 400, question


def test_an_alert_of_an_earlier_version_has_its_sentence_alone(offline_app: Flask):
    services: Services = offline_app.extensions[EXTENSION]
    with services.database.transaction() as connection:
        connection.execute(
            "INSERT INTO data_alerts (time_ms, kind, source, message) VALUES (1, 'gap', 'okx', 'A')"
        )
    (alert,) = offline_app.test_client().get("/api/data-alerts").json
    assert (alert["message"], alert["code"], alert["values"]) == ("A", None, {})


def test_what_is_wrong_with_every_coin_is_told_by_some(offline_app: Flask):
    services: Services = offline_app.extensions[EXTENSION]
    services.data_aggregator.alerts.tell(
        Finding("jump_held", "okx", f"COIN{number}", JUMP) for number in range(100)
    )
    assert len(offline_app.test_client().get("/api/data-alerts").json) == 20
