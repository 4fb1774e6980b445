"""Every route and page, asked by whoever may not: each is refused, and nothing changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest
from addresses import NOWHERE
from conftest import running
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from access_tokens import Scope
from app import create_app
from audit_log import COMMAND_LINE
from config import Config
from route_scopes import ADMIN, OPEN, READ, TRADE, documented_path, scope_needed
from routes.services import EXTENSION, Services
from security import CSRF_HEADER

PASSWORD = "correct horse battery"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
NEVER_ENDING = "/api/stream"


@dataclass(frozen=True)
class Operation:
    """A method of a route, and an address that leads to it."""

    method: str
    rule: str
    path: str

    @property
    def is_open(self) -> bool:
        return f"{self.method} {documented_path(self.rule)}" in OPEN

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def needs(self) -> Scope:
        return scope_needed(self.method, self.rule)

    @property
    def is_page(self) -> bool:
        return self.method == "GET" and not self.path.startswith(
            ("/api/", "/static/", "/messages/", "/metrics")
        )


def operations(app: Flask) -> list[Operation]:
    found = [
        Operation(method, rule.rule, re.sub(r"<[^>]+>", "1", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & METHODS
    ]
    return sorted(found, key=lambda one: (one.path, one.method))


@pytest.fixture(scope="module")
def app(quick_hashes: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An app with a password, a model and a provider. One for all: what is refused changes nothing."""
    path = tmp_path_factory.mktemp("app") / "trading.db"
    config = Config(DATABASE_PATH=path, **NOWHERE, TRADING_LOOP="off")
    for app in running(create_app(config, check_answers=True)):
        client = app.test_client()
        client.post("/api/providers", json={"name": "Here", "api_url": "https://example.com/v1"})
        client.post("/api/models", json={"name": "Holder", "trader": "buy_and_hold"})
        services(app).access.set_password(PASSWORD, COMMAND_LINE)
        yield app


@pytest.fixture
def app_without_password(app: Flask) -> Iterator[Flask]:
    """The same without one."""
    services(app).access.remove_password(COMMAND_LINE)
    yield app
    services(app).access.set_password(PASSWORD, COMMAND_LINE)


def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def bearer(app: Flask, scope: Scope, *, ended: str | None = None) -> dict[str, str]:
    """The header of a new token, which `ended` has made worthless."""
    made = services(app).access.make_token("script", scope, 1, COMMAND_LINE)
    if ended == "revoked":
        services(app).access.revoke_token(made.token.id, COMMAND_LINE)
    if ended == "expired":
        with services(app).database.transaction() as connection:
            ended_at = "UPDATE access_tokens SET expires_at = 1 WHERE id = ?"
            connection.execute(ended_at, (made.token.id,))
    return {"Authorization": f"Bearer {made.text}"}


def contents(app: Flask) -> list[str]:
    """All that is stored, but when a token was last used."""
    connection = services(app).database.connection
    with services(app).database.transaction():
        connection.execute("UPDATE access_tokens SET last_used_at = NULL")
    return list(connection.iterdump())


def ask(client: FlaskClient, one: Operation, **terms: object) -> TestResponse:
    """Asked with a body that is taken where the route takes an empty one."""
    body = {"json": {}} if one.writes else {}
    response = client.open(one.path, method=one.method, **body, **terms)
    response.close()
    return response


Refusal = tuple[int, str]
Refused = Callable[[Operation], bool]


def refused_everywhere(
    app: Flask,
    headers: Mapping[str, str],
    expected: Refusal,
    asked: Refused,
    client: FlaskClient | None = None,
) -> None:
    """Each operation that `asked` names is refused as `expected`, and nothing has changed."""
    client = client or FlaskClient(app, app.response_class)
    before, count = contents(app), 0
    for one in operations(app):
        if not asked(one):
            continue
        response = ask(client, one, headers=headers)
        told = (response.status_code, (response.get_json(silent=True) or {}).get("code"))
        assert told == expected, (one, response.text[:200])
        assert set(response.json) == {"error", "code"}
        count += 1
    assert contents(app) == before
    assert count > 20


def everything(one: Operation) -> bool:
    return True


def closed_writes(one: Operation) -> bool:
    return one.writes and not one.is_open


def what_is_closed(one: Operation) -> bool:
    return not one.is_open


def test_there_is_something_to_ask(app: Flask):
    """The document's operations are among those that are asked, and all kinds are there."""
    asked = {(one.method.lower(), documented_path(one.rule)) for one in operations(app)}
    paths = app.api_doc["paths"]  # type: ignore[attr-defined]
    documented = {(method, path) for path, methods in paths.items() for method in methods}
    assert documented <= asked
    assert len(documented) > 80
    assert {one.path for one in operations(app) if one.is_page} >= {"/", "/models", "/models/1"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example", "Origin": "http://localhost.evil.example"},
    ],
)
def test_by_another_name(app: Flask, headers: Mapping[str, str]):
    token = bearer(app, Scope.ADMIN)
    refused_everywhere(app, {**token, **headers}, (403, "wrong_host"), everything)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_by_a_page_of_another_site(app: Flask, headers: Mapping[str, str]):
    token = bearer(app, Scope.ADMIN)
    refused_everywhere(app, {**token, **headers}, (403, "wrong_origin"), everything)


def test_by_a_link_of_another_site_to_a_write(app: Flask):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    refused_everywhere(app, headers, (403, "wrong_origin"), lambda one: one.writes)


def test_without_a_token(app: Flask):
    refused_everywhere(app, {}, (401, "not_signed_in"), what_is_closed)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_an_unknown_token(app: Flask, scheme: str):
    headers = {"Authorization": f"{scheme} act_{'x' * 43}"}
    refused_everywhere(
        app, headers, (401, "token_unknown"), lambda one: not one.path.startswith("/static/")
    )


def test_with_an_expired_token(app: Flask):
    headers = bearer(app, Scope.ADMIN, ended="expired")
    refused_everywhere(app, headers, (401, "token_expired"), what_is_closed)


def test_with_a_revoked_token(app: Flask):
    headers = bearer(app, Scope.ADMIN, ended="revoked")
    refused_everywhere(app, headers, (401, "token_unknown"), what_is_closed)


@pytest.mark.parametrize("scope", [Scope.READ, Scope.TRADE])
def test_with_a_token_of_too_small_a_scope(app: Flask, scope: Scope):
    headers = bearer(app, scope)
    refused_everywhere(
        app, headers, (403, "scope_too_small"),
        lambda one: not one.is_open and not scope.covers(one.needs),
    )  # fmt: skip


def test_with_a_token_in_the_address(app: Flask):
    """Addresses are written into logs and histories; a token there is none."""
    text = bearer(app, Scope.ADMIN)["Authorization"].split()[1]
    client = FlaskClient(app, app.response_class)
    for name in ("token", "access_token", "authorization"):
        asked = client.get("/api/models", query_string={name: text})
        assert (asked.status_code, asked.json["code"]) == (401, "not_signed_in")


@pytest.mark.parametrize("proof", [None, "é"])
def test_by_a_browser_that_proves_nothing(app: Flask, proof: str | None):
    client = signed_in(app)
    client.get("/")
    headers = {} if proof is None else {CSRF_HEADER: proof}
    refused_everywhere(app, headers, (403, "csrf_missing"), closed_writes, client)


def test_by_a_browser_with_the_proof_of_another(app: Flask):
    stolen = signed_in(app).get("/api/session").json["csrf_token"]
    refused_everywhere(
        app, {CSRF_HEADER: stolen}, (403, "csrf_missing"), closed_writes, signed_in(app)
    )


def test_without_a_password_a_write_needs_a_proof_all_the_same(app_without_password: Flask):
    refused_everywhere(app_without_password, {}, (403, "csrf_missing"), closed_writes)


def test_without_a_password_by_another_computer(app_without_password: Flask):
    """Whatever the server is made to listen on, by whatever name it is asked."""
    app = app_without_password
    client = FlaskClient(app, app.response_class)
    client.environ_base["REMOTE_ADDR"] = "192.168.1.9"
    refused_everywhere(app, {}, (401, "not_signed_in"), what_is_closed, client)


def test_a_page_leads_to_the_sign_in_and_back(app: Flask):
    client = FlaskClient(app, app.response_class)
    pages = [one for one in operations(app) if one.is_page and not one.is_open]
    assert len(pages) > 10
    for page in pages:
        asked = client.get(f"{page.path}?a=1", headers={"Accept": "text/html"})
        assert asked.status_code == 302
        assert asked.headers["Location"] == f"/login?next={page.path}?a%3D1"
    assert client.get("/api/docs", headers={"Accept": "text/html"}).status_code == 302


def test_who_may_is_not_refused(app: Flask):
    """So that the refusals above are not those of everybody: each read, and one write a scope."""
    client, read = FlaskClient(app, app.response_class), bearer(app, Scope.READ)
    for one in operations(app):
        if not one.writes and one.needs is Scope.READ and one.path != NEVER_ENDING:
            response = ask(client, one, headers=read)
            assert response.status_code not in (401, 403), one
    page = signed_in(app)
    proof = {CSRF_HEADER: page.get("/api/session").json["csrf_token"]}
    for asked_by, headers, path in (
        (client, read, "/api/models/preview"),
        (client, bearer(app, Scope.TRADE), "/api/trading/stop-all"),
        (client, bearer(app, Scope.ADMIN), "/api/trading/resume"),
        (page, proof, "/api/trading/stop-all"),
        (page, proof, "/api/trading/resume"),
    ):
        response = asked_by.post(path, json={}, headers=headers)
        assert response.status_code not in (401, 403), (path, response.json)


def signed_in(app: Flask) -> FlaskClient:
    """A browser that has signed in."""
    client = FlaskClient(app, app.response_class)
    assert client.post("/login", data={"password": PASSWORD}).status_code == 303
    return client


# ---------------------------------------------------------------------------------- the scopes


def test_what_has_a_scope_of_its_own_is_there(app: Flask):
    named = {f"{one.method} {documented_path(one.rule)}" for one in operations(app)}
    assert named >= READ | TRADE | ADMIN | OPEN
    assert not READ & TRADE


def test_a_write_that_nobody_has_thought_about_needs_admin(app: Flask):
    assert scope_needed("POST", "/api/anything/<int:new>") is Scope.ADMIN
    assert scope_needed("DELETE", None) is Scope.ADMIN
    assert scope_needed("PATCH", "/api/models/<int:model_id>/execute") is Scope.ADMIN
    for written in ("/api/providers", "/api/models", "/api/tokens", "/api/trading/resume"):
        assert scope_needed("POST", written) is Scope.ADMIN
    assert scope_needed("HEAD", "/api/tokens") is Scope.ADMIN


def test_the_document_tells_what_each_operation_needs(app: Flask):
    document = app.api_doc  # type: ignore[attr-defined]
    assert set(document["components"]["securitySchemes"]) == {"token", "session", "csrf"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if f"{method.upper()} {path}" in OPEN:
                assert {} in operation["security"]
                continue
            needed = scope_needed(method.upper(), path)
            by_token, by_browser = operation["security"]
            assert by_token == {"token": [needed]}
            assert ("csrf" in by_browser) is (method != "get")
            assert f"`{needed}`" in operation["description"]
