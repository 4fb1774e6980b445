"""Whatever comes in, an error is one shape: JSON for programs, a page for browsers that want one."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from errors import OrderRefused, SourceRateLimited, TradingSystemError
from routes.json_errors import ExactJSONProvider
from routes.services import EXTENSION

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
MODEL = {"name": "M", "trader": "buy_and_hold", "coins": ["BTC"]}


@pytest.fixture
def client(offline_app: Flask) -> FlaskClient:
    return offline_app.test_client()


def post(client: FlaskClient, body: str | bytes, kind: str | None = "application/json") -> Any:
    return client.post("/api/models", data=body, content_type=kind)


def assert_error(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The one shape of errors; its body."""
    assert response.status_code == status, response.text[:300]
    assert response.mimetype == "application/json"
    body = json.loads(response.data.decode("utf-8"))
    assert body["code"] == code
    assert body["error"]
    assert body["error"][0].isupper()
    assert body["error"].endswith((".", "?"))
    assert set(body) <= {"error", "code", "values", "fields", "reasons"}
    assert ("fields" in body) <= (status == 400)
    assert set(body.get("reasons", {})) <= set(body.get("fields", {}))
    return dict(body)


def model_count(app: Flask) -> int:
    connection = app.extensions[EXTENSION].database.connection
    return int(connection.execute("SELECT COUNT(*) FROM models").fetchone()[0])


# ---------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"1", b'"text"', b"true", b"{", b"{'a': 1}", b'{"name": }', b"\xff\xfe",
        b'{"name": "\xed\xa0\x80"}', b'{"name": "\xff"}', b"\x00", b"{}{}", b"NaN",
        b'"' + json.dumps(json.dumps(MODEL)).encode()[1:],
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(
    client: FlaskClient, offline_app: Flask, body: bytes
):
    said = assert_error(post(client, body), 400, "invalid_input")
    assert said["fields"] == {"body": "The body must be a JSON object, sent as application/json."}
    assert model_count(offline_app) == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize(
    "body",
    [
        '{"name": "M", "trader": "buy_and_hold", "coins": ["BTC"], "initial_capital": %s}',
        '{"name": "M", "trader": "buy_and_hold", "coins": ["BTC"], "params": {"weight": %s}}',
        '{"name": "M", "trader": "random", "coins": ["BTC"], "params": {"unknown": %s}}',
    ],
)
def test_what_json_has_no_number_for_is_refused(
    client: FlaskClient, offline_app: Flask, body: str, number: str
):
    assert_error(post(client, body % number), 400, "invalid_input")
    # A text with an object in it is no object either.
    assert_error(post(client, json.dumps(body % number)), 400, "invalid_input")
    assert model_count(offline_app) == 0


@pytest.mark.parametrize("depth", [50, 200, 500, 900, 960, 1000, 1100, 5000, 100_000])
@pytest.mark.parametrize("text", ["1", '"\\u00e9"', '"\\ud83d\\ude00"'])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_refused_at_any_depth(
    client: FlaskClient, offline_app: Flask, depth: int, text: str, opening: str
):
    closing = "]" if opening == "[" else "}"
    nested = opening * depth + text + closing * depth
    body = json.dumps(MODEL)[:-1] + f', "params": {{"weight": {nested}}}}}'
    assert_error(post(client, body), 400, "invalid_input")
    assert_error(post(client, nested), 400, "invalid_input")
    assert model_count(offline_app) == 0


@pytest.mark.parametrize(
    "name", [r"\ud800", r"a\udfffb", r"\ude00\ud83d", r"\uD83D", r"\ud83d\ud83d\ude00"]
)
def test_half_a_character_is_refused(client: FlaskClient, offline_app: Flask, name: str):
    for body in ('{"name": "X"}', '{"X": 1}', '{"a": {"b": ["X"]}}'):
        assert_error(post(client, body.replace("X", name)), 400, "invalid_input")
    assert model_count(offline_app) == 0


def test_whole_characters_come_back_as_they_were_sent(client: FlaskClient):
    name = "Händler 📈 交易 \\u00e9"
    sent = json.dumps({**MODEL, "name": name})  # escaped
    model_id = post(client, sent).json["id"]
    answer = client.get(f"/api/models/{model_id}")
    assert answer.json["name"] == name
    assert "交易".encode() in answer.data  # as UTF-8, not escaped


def test_half_a_character_in_its_own_bytes_is_refused(client: FlaskClient, offline_app: Flask):
    body = b'{"name": "M", "trader": "random", "coins": ["BTC"], "params": {"a": "\xed\xa0\x80"}}'
    said = assert_error(post(client, body), 400, "invalid_input")
    assert list(said["fields"]) == ["body"]
    assert model_count(offline_app) == 0


def test_huge_numbers_are_refused(client: FlaskClient):
    for digits in (30, 400, 5000, 100_000):
        body = '{"name": "M", "trader": "random", "cycle_minutes": %s}' % ("9" * digits)
        assert_error(post(client, body), 400, "invalid_input")
        query = client.get(f"/api/klines/BTC?limit={'9' * min(digits, 5000)}")
        assert query.status_code in (400, 503)
        found = client.get(f"/api/models/{'9' * min(digits, 5000)}")
        assert found.status_code in (400, 404)


def test_two_megabytes_are_too_large(client: FlaskClient, offline_app: Flask):
    body = json.dumps({**MODEL, "prompt": "x" * 2_000_000})
    said = assert_error(post(client, body), 413, "too_large")
    assert "1 MB" in said["error"]
    assert model_count(offline_app) == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/html", "application/x-www-form-urlencoded", "image/png", "", None]
)
def test_a_body_of_another_kind_is_refused(
    client: FlaskClient, offline_app: Flask, kind: str | None
):
    said = assert_error(post(client, json.dumps(MODEL), kind), 400, "invalid_input")
    assert "application/json" in said["error"]
    assert model_count(offline_app) == 0


def test_each_field_is_told_why(client: FlaskClient):
    body = json.dumps({"name": "", "trader": 5, "initial_capital": -1, "colour": "red"})
    said = assert_error(post(client, body), 400, "invalid_input")
    assert {"name", "trader", "initial_capital", "colour"} <= set(said["fields"])
    said = assert_error(client.get("/api/klines/BTC?limit=abc"), 400, "invalid_input")
    assert list(said["fields"]) == ["limit"]


def test_an_answer_never_holds_what_json_does_not_know(offline_app: Flask):
    with offline_app.app_context(), pytest.raises(ValueError, match="not JSON compliant"):
        offline_app.json.dumps({"price": float("nan")})
    assert isinstance(offline_app.json, ExactJSONProvider)
    assert offline_app.json.dumps({"z": "é", "a": 1}) == '{"z": "é", "a": 1}'


# ------------------------------------------------------------------------- paths and methods


def test_an_unknown_path_is_not_found(client: FlaskClient):
    for path in ("/api/nothing", "/api/models/abc", "/api/models/-1", "/static/1/no.js"):
        for accept in (BROWSER, "application/json", "*/*"):
            response = client.get(path, headers={"Accept": accept})
            assert_error(response, 404, "not_found")
    assert_error(client.get("/messages/1/xx.json", headers={"Accept": BROWSER}), 404, "not_found")


def test_a_wrong_method_says_which_are_right(client: FlaskClient):
    response = client.delete("/api/models")
    assert_error(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "", "application/json, text/plain, */*", "text/plain"]
)
def test_a_program_is_never_given_a_page(client: FlaskClient, accept: str):
    assert_error(client.get("/nothing", headers={"Accept": accept}), 404, "not_found")
    assert_error(client.post("/nothing", headers={"Accept": BROWSER}), 404, "not_found")


def test_a_program_that_names_nothing_is_never_given_a_page(client: FlaskClient):
    assert_error(client.get("/nothing"), 404, "not_found")


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/models/99", 404)])
def test_a_browser_that_asks_for_a_page_is_given_one(client: FlaskClient, path: str, status: int):
    response = client.get(path, headers={"Accept": BROWSER})
    assert (response.status_code, response.mimetype) == (status, "text/html")
    assert "<html" in response.text
    assert "Traceback" not in response.text


# --------------------------------------------------------------------------- errors of the app


def failing(app: Flask, error: Exception) -> FlaskClient:
    """A client of the app whose /charts and /api/version fail so."""

    def fail(**_: object) -> None:
        raise error

    app.view_functions["pages.charts"] = fail
    app.view_functions["system.get_version"] = fail
    app.testing = False
    return app.test_client()


def test_a_bug_tells_the_caller_nothing_and_the_log_everything(
    offline_app: Flask, caplog: pytest.LogCaptureFixture
):
    client = failing(offline_app, RuntimeError("the secret reason"))
    said = assert_error(client.get("/api/version"), 500, "internal_error")
    assert "secret" not in said["error"]
    assert "the secret reason" in caplog.text
    page = client.get("/charts", headers={"Accept": BROWSER})
    assert (page.status_code, page.mimetype) == (500, "text/html")
    assert "secret" not in page.text


def test_an_error_of_the_app_is_its_sentence_and_its_code(offline_app: Flask):
    client = failing(offline_app, OrderRefused("No <b>cash</b>.", code="insufficient_cash"))
    said = assert_error(client.get("/api/version"), 409, "insufficient_cash")
    assert said["error"] == "No <b>cash</b>."
    page = client.get("/charts", headers={"Accept": BROWSER})
    assert page.status_code == 409
    assert "No &lt;b&gt;cash&lt;/b&gt;." in page.text


def test_when_to_come_back_is_told(offline_app: Flask):
    client = failing(offline_app, SourceRateLimited("Binance asks for silence.", retry_after=1.2))
    response = client.get("/api/version")
    assert_error(response, 503, "source_rate_limited")
    assert response.headers["Retry-After"] == "2"
    response = failing(offline_app, SourceRateLimited("Binance asks for silence.")).get("/charts")
    assert "Retry-After" not in response.headers


def test_fields_belong_to_bad_requests_alone(offline_app: Flask):
    client = failing(offline_app, TradingSystemError("It broke.", fields={"name": "why"}))
    assert "fields" not in assert_error(client.get("/api/version"), 500, "internal_error")
