"""Providers of language models over the REST API: added, asked, tested, changed, deleted."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import running
from flask import Flask
from flask.testing import FlaskClient
from scripted_venue import ScriptedVenue

import provider_questions
from app import create_app
from config import Config
from repositories import providers
from routes.services import EXTENSION, Services

KEY = "sk-planted-0123456789abcdef"
COMPLETION = {"choices": [{"message": {"role": "assistant", "content": "OK"}}]}


@pytest.fixture
def house(app_config: Config) -> Iterator[Flask]:
    """An app whose providers may be on this computer."""
    config = app_config.model_copy(update={"LOCAL_PROVIDERS": "on"})
    yield from running(create_app(config, check_answers=True))


@pytest.fixture
def client(house: Flask) -> FlaskClient:
    return house.test_client()


def add(client: FlaskClient, **terms: Any) -> int:
    body = {"name": "Home", "api_url": "http://127.0.0.1:9/v1", "api_key": KEY}
    response = client.post("/api/providers", json=body | terms)
    assert response.status_code == 201, response.json
    return int(response.json["id"])


def only(client: FlaskClient) -> dict[str, Any]:
    (provider,) = client.get("/api/providers").json
    return dict(provider)


def test_a_new_provider_stands_in_the_list_without_its_key(client: FlaskClient):
    prices = {"large": {"input": 0.27, "output": 1.1}, "free": {"input": 0, "output": 0}}
    provider_id = add(
        client,
        name=" Home ",
        api_url="http://127.0.0.1:9/v1/",
        models=["large", "free", "large"],
        prices=prices,
        knowledge_cutoffs={"large": "2025-07"},
    )
    provider = only(client)
    assert provider == {
        "id": provider_id,
        "name": "Home",
        "api_url": "http://127.0.0.1:9/v1",
        "api_key_set": True,
        "api_key_last_four": KEY[-4:],
        "api_key_error": None,
        "models": ["large", "free"],
        "prices": {name: price | {"cached": None} for name, price in prices.items()},
        "knowledge_cutoffs": {"large": "2025-07"},
        "used_by": 0,
        "created_at": provider["created_at"],
        "updated_at": provider["updated_at"],
    }


def test_what_is_stored_can_be_called_with(house: Flask, client: FlaskClient):
    provider_id = add(client, prices={"m": {"input": "0.1", "cached": "0.025"}})
    services: Services = house.extensions[EXTENSION]
    provider = providers.provider_for_calls(services.database, services.secrets, provider_id)
    assert (provider.api_key, KEY in repr(provider)) == (KEY, False)
    assert str(provider.prices["m"].cached) == "0.025"
    assert provider.prices["m"].output is None
    add(client, name="Open", api_key=None)
    open_one = providers.provider_for_calls(services.database, services.secrets, provider_id + 1)
    assert open_one.api_key == ""


def test_the_end_of_a_short_key_is_not_shown(client: FlaskClient):
    add(client, api_key="tiny-key")
    assert (only(client)["api_key_set"], only(client)["api_key_last_four"]) == (True, None)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"api_url": "ftp://example.com"}, "api_url"),
        ({"api_url": "http://169.254.169.254/latest"}, "api_url"),
        ({"api_url": "https://me:secret@example.com"}, "api_url"),
        ({"api_key": "schlüssel"}, "api_key"),
        ({"api_key": "two\nlines"}, "api_key"),
        ({"models": ["x" * 201]}, "models.0"),
        ({"prices": {"m": {"input": -1}}}, "prices.m.input"),
        ({"prices": {"m": {"input": "NaN"}}}, "prices.m.input"),
        ({"prices": {"m": {"price": 1}}}, "prices.m.price"),
        ({"knowledge_cutoffs": {"m": "2025-13"}}, "knowledge_cutoffs.m"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_provider_that_cannot_be_is_refused(
    client: FlaskClient, terms: dict[str, Any], field: str
):
    body = {"name": "Home", "api_url": "https://example.com/v1"} | terms
    response = client.post("/api/providers", json=body)
    assert response.status_code == 400
    assert field in response.json["fields"]
    assert client.get("/api/providers").json == []


def test_this_computer_is_refused_unless_that_is_allowed(offline_app: Flask):
    client = offline_app.test_client()
    body = {"name": "Home", "api_url": "http://localhost:11434/v1"}
    response = client.post("/api/providers", json=body)
    assert (response.status_code, response.json["code"]) == (400, "address_refused")
    response = client.post("/api/providers/models", json={"api_url": "http://127.0.0.1:1/v1"})
    assert (response.status_code, response.json["code"]) == (400, "address_refused")


def test_a_name_belongs_to_one_provider(client: FlaskClient):
    add(client)
    other = add(client, name="Other")
    again = client.post("/api/providers", json={"name": "Home", "api_url": "https://example.com"})
    assert (again.status_code, again.json["code"]) == (409, "name_taken")
    renamed = client.put(f"/api/providers/{other}", json={"name": "Home"})
    assert (renamed.status_code, renamed.json["code"]) == (409, "name_taken")


def test_what_a_change_names_changes_and_the_rest_stays(client: FlaskClient):
    provider_id = add(client, models=["m"])
    before = only(client)
    changes = {"name": "House", "api_url": "http://127.0.0.1:9/v2"}
    assert client.put(f"/api/providers/{provider_id}", json=changes).status_code == 200
    assert only(client) == before | changes | {"updated_at": only(client)["updated_at"]}
    other_key = "sk-another-0123456789wxyz"
    client.put(f"/api/providers/{provider_id}", json={"api_key": other_key})
    assert only(client)["api_key_last_four"] == "wxyz"
    client.put(f"/api/providers/{provider_id}", json={"api_key": None})
    assert only(client)["api_key_set"] is False
    refused = client.put(f"/api/providers/{provider_id}", json={"name": None})
    assert refused.status_code == 400


def test_a_stored_key_goes_to_no_other_host(client: FlaskClient, venue: ScriptedVenue):
    provider_id = add(client)
    moved = client.put(f"/api/providers/{provider_id}", json={"api_url": f"{venue.url}/v1"})
    assert moved.status_code == 400
    assert set(moved.json["fields"]) == {"api_key"}
    changes = {"api_url": f"{venue.url}/v1", "api_key": "sk-for-the-new-host-123"}
    assert client.put(f"/api/providers/{provider_id}", json=changes).status_code == 200
    both = {"provider_id": provider_id, "api_url": venue.url}
    assert client.post("/api/providers/models", json=both).status_code == 400


def test_a_provider_in_use_cannot_be_deleted(client: FlaskClient):
    provider_id = add(client)
    model = {"name": "Holder", "trader": "buy_and_hold", "provider_id": provider_id}
    model_id = client.post("/api/models", json=model | {"enabled": False}).json["id"]
    assert only(client)["used_by"] == 1
    response = client.delete(f"/api/providers/{provider_id}")
    assert (response.status_code, response.json["code"]) == (409, "provider_in_use")
    assert "Holder" in response.json["error"]
    client.delete(f"/api/models/{model_id}")
    assert client.delete(f"/api/providers/{provider_id}").status_code == 200
    assert client.get("/api/providers").json == []
    assert client.delete(f"/api/providers/{provider_id}").status_code == 404


# ---------------------------------------------------------------------------------- its models


def models_of(client: FlaskClient, venue: ScriptedVenue) -> Any:
    return client.post("/api/providers/models", json={"api_url": f"{venue.url}/v1", "api_key": KEY})


def test_its_models_are_asked_for_with_its_key(client: FlaskClient, venue: ScriptedVenue):
    venue.says({"object": "list", "data": [{"id": "b"}, {"id": " a "}, {"id": "b"}]})
    assert models_of(client, venue).json == {"models": ["b", "a"]}
    assert venue.paths == ["/v1/models"]
    assert venue.sent_headers[0]["Authorization"] == f"Bearer {KEY}"
    provider_id = add(client, api_url=f"{venue.url}/v1")
    asked = client.post("/api/providers/models", json={"provider_id": provider_id})
    assert asked.json == {"models": ["b", "a"]}
    assert venue.sent_headers[1]["Authorization"] == f"Bearer {KEY}"
    assert client.post("/api/providers/models", json={"provider_id": 99}).status_code == 404


def test_no_key_no_header(client: FlaskClient, venue: ScriptedVenue):
    venue.says([{"id": "local"}])
    answer = client.post("/api/providers/models", json={"api_url": venue.url})
    assert answer.json == {"models": ["local"]}
    assert "Authorization" not in venue.sent_headers[0]


def test_names_that_cannot_be_are_left_out_and_their_number_is_bounded(
    client: FlaskClient, venue: ScriptedVenue
):
    odd: list[Any] = [None, 7, {"id": 7}, {"id": "x" * 201}, {"id": "a\u202eb"}, {"id": ""}, {}]
    venue.says({"data": [*odd, {"id": "<b>bold</b>"}, *({"id": f"m{n}"} for n in range(3000))]})
    names = models_of(client, venue).json["models"]
    assert names[:2] == ["<b>bold</b>", "m0"]
    assert len(names) <= provider_questions.MOST_MODELS


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"error": {"message": f"Bad key {KEY}\n<b>"}}, 401, "source_refused", "401: Bad key … <b>"),
        (b"<html>", 404, "source_refused", "404."),
        ({"error": "x" * 5000}, 500, "source_unavailable", "500: xxx"),
        ({"error": {"message": "slow down"}}, 429, "source_rate_limited", "429: slow down"),
        (b"", 302, "source_refused", "another address"),
        (b"no json", 200, "source_bad_answer", "no JSON"),
        (b"[" * 100_000, 200, "source_bad_answer", "no JSON"),
        ({"data": {}}, 200, "source_bad_answer", "is none"),
        (b"9" * 4_000_001, 200, "source_unavailable", "too large"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_without_the_key(
    client: FlaskClient, venue: ScriptedVenue, body: Any, status: int, code: str, said: str
):
    venue.says(body, status, Location="http://127.0.0.1:9/")
    response = models_of(client, venue)
    assert (response.status_code, response.json["code"]) == (503, code)
    assert said in response.json["error"]
    assert len(response.json["error"]) < 400
    assert KEY not in response.text


def test_a_provider_that_is_not_there_is_said_not_to_be(client: FlaskClient):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        response = client.post("/api/providers/models", json={"api_url": address})
    assert (response.status_code, response.json["code"]) == (503, "source_unavailable")


def test_a_provider_that_does_not_answer_is_not_waited_for(
    client: FlaskClient, venue: ScriptedVenue, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(provider_questions, "LISTING_SECONDS", 0.05)
    venue.delay = 0.3
    assert "in time" in models_of(client, venue).json["error"]


# ---------------------------------------------------------------------------------- its test


def test_a_test_is_one_tiny_completion(client: FlaskClient, venue: ScriptedVenue):
    venue.says(COMPLETION)
    provider_id = add(client, api_url=f"{venue.url}/v1", models=["first", "second"])
    result = client.post(f"/api/providers/{provider_id}/test", json={}).json
    assert (result["ok"], result["model"], "error" in result) == (True, "first", False)
    assert 0 <= result["latency_ms"] < 5000
    assert venue.paths == ["/v1/chat/completions"]
    assert venue.sent_bodies[0]["max_tokens"] <= 16
    other = client.post(f"/api/providers/{provider_id}/test", json={"model": "second"})
    assert (other.json["model"], venue.sent_bodies[1]["model"]) == ("second", "second")


def test_a_failed_test_says_why_without_the_key(client: FlaskClient, venue: ScriptedVenue):
    venue.says({"error": {"message": f"no such key: {KEY}"}}, 401)
    provider_id = add(client, api_url=f"{venue.url}/v1", models=["m"])
    response = client.post(f"/api/providers/{provider_id}/test", json={})
    assert response.json["ok"] is False
    assert response.json["error"] == "The provider answers 401: no such key: …"
    venue.says({"choices": []})
    assert client.post(f"/api/providers/{provider_id}/test", json={}).json["ok"] is False


def test_a_model_that_calls_the_limit_otherwise_is_asked_again(
    client: FlaskClient, venue: ScriptedVenue
):
    venue.says({"error": {"message": "Use 'max_completion_tokens' instead."}}, 400)
    provider_id = add(client, api_url=f"{venue.url}/v1", models=["m"])
    client.post(f"/api/providers/{provider_id}/test", json={})
    assert [set(body) - {"model", "messages"} for body in venue.sent_bodies] == [
        {"max_tokens"},
        {"max_completion_tokens"},
    ]


def test_without_a_model_there_is_nothing_to_test(client: FlaskClient):
    provider_id = add(client)
    response = client.post(f"/api/providers/{provider_id}/test", json={})
    assert (response.status_code, response.json["code"]) == (409, "no_models")


def test_a_key_that_cannot_be_opened_is_said_and_the_rest_works(house: Flask, client: FlaskClient):
    provider_id = add(client, models=["m"])
    config = house.extensions[EXTENSION].config
    config.secret_key_file.unlink()
    for other in running(create_app(config, check_answers=True)):
        client = other.test_client()
        provider = only(client)
        assert (provider["api_key_set"], provider["api_key_last_four"]) == (True, None)
        assert "missing" in provider["api_key_error"]
        response = client.post(f"/api/providers/{provider_id}/test", json={})
        assert (response.status_code, response.json["code"]) == (503, "secret_unreadable")
        client.put(f"/api/providers/{provider_id}", json={"api_key": KEY})
        assert only(client)["api_key_error"] is None


def test_keys_in_plain_text_are_sealed_and_gone_from_the_file(house: Flask):
    services: Services = house.extensions[EXTENSION]
    database = services.database
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO providers (name, api_url, api_key, created_at, updated_at) "
            "VALUES ('Old', 'https://example.com/v1', ?, 0, 0)",
            (KEY,),
        )
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert KEY.encode() in database.path.read_bytes()
    assert providers.seal_plain_keys(database, services.secrets) == 1
    assert providers.seal_plain_keys(database, services.secrets) == 0
    files = sorted(database.path.parent.glob(f"{database.path.name}*"))
    assert len(files) >= 1
    for file in files:
        assert KEY.encode() not in file.read_bytes(), file
    provider = providers.provider_for_calls(database, services.secrets, 1)
    assert provider.api_key == KEY
    assert json.dumps(only(house.test_client())).find(KEY) == -1
