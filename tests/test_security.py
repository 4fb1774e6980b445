"""Who may call, and what every answer tells the browser."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Config
from host_names import HostNames
from security import CONTENT_SECURITY_POLICY, SECURITY_HEADERS

SETTINGS = {"slippage_bps": 1.5}


@pytest.fixture
def client(offline_app: Flask) -> FlaskClient:
    return offline_app.test_client()


def answer(client: FlaskClient, method: str = "GET", path: str = "/api/version", **terms: Any):
    response = client.open(path, method=method, **terms)
    return response.status_code, (response.get_json(silent=True) or {}).get("code")


# ------------------------------------------------------------------------------------------ Host


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:5000", "localhost", "localhost:5000", "LOCALHOST:1", "[::1]:5000"],
)
def test_the_loopback_is_served_by_its_names(client: FlaskClient, host: str):
    assert answer(client, headers={"Host": host}) == (200, None)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example",
        "127.0.0.1@evil.example", "evil.example#127.0.0.1", "evil.example/localhost", "0.0.0.0",
        "192.168.1.7:5000", "127.0.0.2", "[::2]", "[::1", "[", "localhost.", "localhost,evil.example",
        "loc alhost", "127.1", "2130706433",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/version", "/", "/static/1/favicon.svg", "/nothing"])
def test_any_other_name_is_refused_everywhere(client: FlaskClient, host: str, path: str):
    """A page whose name was made to point at this machine must not read or write anything."""
    status, code = answer(client, path=path, headers={"Host": host})
    assert (status, code) == (403, "wrong_host")


@pytest.mark.parametrize(
    ("host", "besides", "served", "not_served"),
    [
        (
            "0.0.0.0", (), ["192.168.1.7", "10.0.0.1:5000", "[2001:db8::1]", "localhost"],
            ["evil.example", "127.1", "2130706433", "192.168.1.7.evil.example", "", "[::1"],
        ),
        ("192.168.1.7", (), ["192.168.1.7:5000"], ["192.168.1.8", "localhost", "127.0.0.1"]),
        (
            "127.0.0.1", ("Trading.example",), ["trading.example", "localhost", "trading.example:1"],
            ["example", "a.trading.example", "trading.example.evil.example", "192.168.1.7"],
        ),
    ],
)  # fmt: skip
def test_an_app_is_served_by_its_own_names_alone(
    host: str, besides: tuple[str, ...], served: list[str], not_served: list[str]
):
    names = HostNames(host, besides)
    assert [asked for asked in served if not names.serve(asked)] == []
    assert [asked for asked in not_served if names.serve(asked)] == []


def test_what_a_proxy_says_changes_nothing(client: FlaskClient):
    for headers in (
        {"Host": "evil.example", "X-Forwarded-Host": "localhost"},
        {"Host": "evil.example", "Forwarded": "host=localhost"},
    ):
        assert answer(client, headers=headers) == (403, "wrong_host")


# ---------------------------------------------------------------------------------------- Origin


def put(client: FlaskClient, **headers: str) -> tuple[int, str | None]:
    return answer(client, "PUT", "/api/settings", json=SETTINGS, headers=headers)


def test_our_own_pages_may_write(client: FlaskClient):
    assert put(client) == (200, None)
    own = {"Host": "localhost:5000", "Origin": "http://localhost:5000"}
    assert put(client, **own) == (200, None)
    assert put(client, **own, **{"Sec-Fetch-Site": "same-origin"}) == (200, None)
    assert put(client, **{"Sec-Fetch-Site": "none"}) == (200, None)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "null", "", "http://localhost:5001", "https://localhost:5000",
        "http://127.0.0.1:5000", "http://localhost:5000.evil.example", "localhost:5000", "file://",
    ],
)  # fmt: skip
def test_pages_of_other_origins_may_neither_write_nor_read(client: FlaskClient, origin: str):
    headers = {"Host": "localhost:5000", "Origin": origin}
    assert put(client, **headers) == (403, "wrong_origin")
    assert answer(client, headers=headers) == (403, "wrong_origin")
    assert "Access-Control-Allow-Origin" not in client.get("/api/version", headers=headers).headers
    assert client.get("/api/settings").json["slippage_bps"] == 0


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything new"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_writes_on_behalf_of_other_sites_are_refused(client: FlaskClient, site: str, method: str):
    headers = {"Sec-Fetch-Site": site}
    assert answer(client, method, "/api/models/1", json={}, headers=headers) == (
        403, "wrong_origin",
    )  # fmt: skip


def test_a_link_from_another_site_opens_the_page(client: FlaskClient):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_what_a_foreign_form_can_send_is_not_taken(client: FlaskClient, kind: str | None):
    """Even by a browser that names no origin: a write takes JSON alone."""
    body = b'{"slippage_bps": 9}'
    response = client.put("/api/settings", data=body, content_type=kind)
    assert response.status_code in (400, 415)
    assert client.get("/api/settings").json["slippage_bps"] == 0


# --------------------------------------------------------------------------------------- headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/api/version", 200),
        ("HEAD", "/api/version", 200),
        ("OPTIONS", "/api/version", 200),
        ("GET", "/static/1/favicon.svg", 200),
        ("GET", "/messages/1/zh.json", 200),
        ("GET", "/api/openapi.json", 200),
        ("GET", "/nothing", 404),
        ("GET", "/api/models/999", 404),
        ("GET", "/static/1/nothing.js", 404),
        ("DELETE", "/api/version", 405),
        ("PUT", "/api/settings", 400),
        ("GET", "/api/klines/BTC", 503),
        ("GET", "/api//version", 308),
    ],
)
def test_every_kind_of_answer_has_the_headers(
    client: FlaskClient, method: str, path: str, status: int
):
    response = client.open(path, method=method)
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "Access-Control-Allow-Origin" not in response.headers
    response.close()


def test_a_refused_request_and_a_bug_have_the_headers_too(app_config: Config, offline_app: Flask):
    refused = offline_app.test_client().get("/", headers={"Host": "evil.example"})
    offline_app.view_functions["pages.charts"] = lambda: 1 / 0
    offline_app.testing = False
    bug = offline_app.test_client().get("/charts")
    assert (refused.status_code, bug.status_code) == (403, 500)
    for response in (refused, bug):
        assert {name: response.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert b"ZeroDivision" not in response.data


def test_answers_of_the_api_are_not_kept(client: FlaskClient):
    assert client.get("/api/version").headers["Cache-Control"] == "no-store"
    assert client.get("/api/nothing").headers["Cache-Control"] == "no-store"
    assert "no-store" not in client.get("/static/1/favicon.svg").headers.get("Cache-Control", "")


def test_no_type_is_guessed_and_nothing_told_to_other_sites():
    assert SECURITY_HEADERS["X-Content-Type-Options"] == "nosniff"
    assert SECURITY_HEADERS["Referrer-Policy"] == "same-origin"
    for name in ("Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy"):
        assert SECURITY_HEADERS[name] == "same-origin"


def test_the_policy_allows_no_inline_script_and_no_frame():
    policy = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("path", ["/", "/charts", "/backtest", "/models", "/nothing", "/api/docs"])
def test_no_page_has_a_script_or_style_of_its_own(client: FlaskClient, path: str):
    page = client.get(path, headers={"Accept": "text/html"}, follow_redirects=True).text
    assert "<html" in page
    assert "<style" not in page
    assert " style=" not in page
    assert " onclick=" not in page
    assert all("src=" in tag.split(">")[0] for tag in page.split("<script")[1:])


def test_the_session_is_for_our_own_requests_alone(client: FlaskClient):
    assert "Set-Cookie" not in client.get("/api/version").headers
    cookie = client.get("/").headers["Set-Cookie"]
    assert cookie.startswith("session_5000=")
    assert cookie.split("; ")[1:] == ["HttpOnly", "Path=/", "SameSite=Strict"]
