"""Health, version, settings, the event stream, the pages and the documentation of the API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Config
from routes.services import EXTENSION, Services


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def test_health_and_version(client: FlaskClient):
    assert client.get("/api/version").json == {"version": "0.1.0"}
    health = client.get("/api/health").json
    assert (health["status"], health["market"]) == ("ok", "live")
    assert health["database"] == {"ok": True}
    assert health["scheduler"] == {"running": False, "next_cycle": None}
    assert health["sources"][0]["state"] == "unused"
    client.get("/api/market/prices?coins=BTC")
    health = client.get("/api/health").json
    assert (health["sources"][0]["state"], health["prices"]["source"]) == ("up", "binance")


def test_health_is_degraded_when_the_source_is_gone(offline_app: Flask):
    client = offline_app.test_client()
    client.get("/api/market/prices?coins=BTC")
    sources = {row["name"]: row for row in client.get("/api/health").json["sources"]}
    assert {row["state"] for row in sources.values()} == {"down"}
    assert "Binance" in sources["binance"]["last_error"]


def test_settings_change_by_name_and_within_bounds(client: FlaskClient):
    before = client.get("/api/settings").json
    after = client.put("/api/settings", json={"trading_fee_rate": 0.0004}).json
    assert after == before | {"trading_fee_rate": 0.0004}
    assert client.get("/api/settings").json == after
    for wrong in ({"trading_fee_rate": 2}, {"trading_fee_rate": None}, {"colour": "red"}):
        assert client.put("/api/settings", json=wrong).status_code == 400
    assert client.get("/api/settings").json == after


# ---------------------------------------------------------------------------------- stream


def events(chunks: Iterator[bytes], count: int) -> list[dict[str, Any]]:
    """The next `count` events of a stream."""
    found: list[dict[str, Any]] = []
    for chunk in chunks:
        lines = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line)
        if "event" in lines:
            found.append(
                {"id": int(lines["id"]), "topic": lines["event"], **json.loads(lines["data"])}
            )
        if len(found) == count:
            break
    return found


def test_the_stream_tells_of_trades_as_they_are_booked(app: Flask, client: FlaskClient):
    body = {"name": "Holder", "trader": "buy_and_hold", "coins": ["BTC"], "risk": "off"}
    model_id = client.post("/api/models", json=body).json["id"]
    stream = client.get("/api/stream?topics=trade,account_value,cycle")
    assert stream.mimetype == "text/event-stream"
    trading = threading.Thread(
        target=lambda: app.test_client().post(f"/api/models/{model_id}/execute", json={})
    )
    trading.start()
    running, trade, value, done = events(iter(stream.response), 4)
    trading.join()
    stream.close()
    assert (running["topic"], running["status"]) == ("cycle", "running")
    assert (trade["topic"], trade["coin"], trade["model_name"]) == ("trade", "BTC", "Holder")
    assert value["total_value"] == pytest.approx(value["cash"] + value["positions_value"])
    assert (done["topic"], done["status"]) == ("cycle", "done")


def test_who_comes_back_with_the_last_id_gets_what_was_missed(app: Flask, client: FlaskClient):
    for price in range(3):
        services(app).events.publish("price", {"prices": {}, "number": price})
    stream = client.get("/api/stream?topics=price", headers={"Last-Event-ID": "1"})
    assert [event["id"] for event in events(iter(stream.response), 2)] == [2, 3]
    stream.close()


def test_places_on_the_stream_are_limited_and_given_back(app: Flask, app_config: Config):
    client = app.test_client()
    open_streams = [client.get("/api/stream") for _ in range(app_config.STREAM_CONNECTIONS)]
    refused = client.get("/api/stream")
    assert (refused.status_code, refused.json["code"]) == (429, "too_many")
    assert int(refused.headers["Retry-After"]) > 0
    for stream in open_streams:
        stream.close()
    again = client.get("/api/stream")
    assert again.status_code == 200
    again.close()
    assert services(app).events.listener_count == 0


def test_a_topic_that_does_not_exist_is_refused(client: FlaskClient):
    response = client.get("/api/stream?topics=price,gossip")
    assert (response.status_code, response.json["code"]) == (400, "invalid_input")


# ----------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("path", ["/", "/charts", "/backtest", "/models"])
@pytest.mark.parametrize(("locale", "tag"), [("en", "en"), ("zh", "zh")])
def test_a_page_comes_in_the_readers_language(
    client: FlaskClient, path: str, locale: str, tag: str
):
    response = client.get(path, headers={"Accept-Language": locale})
    assert response.status_code == 200
    assert f'<html lang="{tag}' in response.text
    client.set_cookie("locale", "zh")
    assert '<html lang="zh' in client.get(path, headers={"Accept-Language": "en"}).text


def test_no_page_has_script_or_style_in_its_markup(client: FlaskClient):
    for path in ("/", "/charts", "/backtest", "/models", "/nowhere"):
        text = client.get(path, headers={"Accept": "text/html"}).text
        assert "<script>" not in text
        assert " style=" not in text
        assert " onclick=" not in text


def test_a_page_that_does_not_exist_is_a_page_and_an_address_of_the_api_is_json(
    client: FlaskClient,
):
    page = client.get("/nowhere", headers={"Accept": "text/html"})
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert client.get("/api/nowhere").json["code"] == "not_found"
    for path in ("/models/99", "/backtest/99", f"/models/{2**63}", f"/models/{2**63}/coins"):
        assert client.get(path, headers={"Accept": "text/html"}).status_code == 404


# ----------------------------------------------------------------------- documentation


def test_the_openapi_document_names_every_route_of_the_api(app: Flask, client: FlaskClient):
    document = client.get("/api/openapi.json").json
    assert document["openapi"].startswith("3.1")
    documented = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    undocumented = {"/api/openapi.json", "/api/docs"}
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/") or rule.endpoint.split(".")[0] not in (
            "coins", "models", "trading", "market", "backtests", "settings", "system",
        ):  # fmt: skip
            continue
        path = rule.rule.replace("<int:", "{").replace("<", "{").replace(">", "}")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert (method, path) in documented or rule.rule in undocumented


def test_the_documentation_can_be_browsed_without_foreign_or_inline_script(client: FlaskClient):
    response = client.get("/api/docs", follow_redirects=True)
    assert response.status_code == 200
    assert 'src="https://' not in response.text
    assert "<script>" not in response.text
