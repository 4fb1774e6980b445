"""Passwords, sign-ins and tokens: what is kept of them, how long they count, how often one may try."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type
from flask import Flask
from flask.testing import FlaskClient
from new_database import new_database
from test_cli import run

import passwords
from access_tokens import Scope
from app import create_app
from audit_log import COMMAND_LINE, THIS_COMPUTER
from clock import ManualClock, SteadyClock
from config import Config
from domain import DAY_MS, MINUTE_MS
from errors import Forbidden, InvalidInput, NotFound, TooManyRequests, Unauthorized
from owner_access import HASHED_AT_ONCE, OwnerAccess
from owner_sessions import SIGN_IN
from repositories import audit
from routes import system
from routes.services import EXTENSION, Services
from routes.sign_in import local_page
from secret_box import SecretBox
from sign_in_attempts import (
    FREE_ATTEMPTS,
    FREE_ATTEMPTS_OF_ALL,
    LONGEST_WAIT_MS,
    LONGEST_WAIT_OF_ALL_MS,
    SignInAttempts,
)

PASSWORD = "correct horse battery"
HERE = "127.0.0.1"
NOW_MS = 1_800_000_000_000
pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def told() -> list[str]:
    """What was said to be a secret."""
    return []


@pytest.fixture
def access(tmp_path: Path, clock: ManualClock, told: list[str]) -> Iterator[OwnerAccess]:
    database = new_database(tmp_path / "trading.db", clock)
    yield OwnerAccess(
        database,
        SecretBox("", tmp_path / "secret.key"),
        session_days=7,
        open_here=True,
        on_secret=told.append,
        wall_clock=clock,
        steady_clock=clock,
    )
    database.close()


# ------------------------------------------------------------------------------------ passwords


def test_a_password_is_hashed_with_argon2id_and_as_much_work_as_the_rfc_says(
    quick_hashes: PasswordHasher,
):
    in_earnest = quick_hashes
    assert (in_earnest.type, in_earnest.memory_cost, in_earnest.time_cost) == (Type.ID, 65536, 3)
    hashed = passwords.hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$")
    assert passwords.hash_password(PASSWORD) != hashed
    assert passwords.password_fits(hashed, PASSWORD)
    assert not passwords.password_fits(hashed, PASSWORD + " ")


@pytest.mark.parametrize("password", ["", "elevenchars", "a" * 20, "ab" * 501])
def test_what_is_no_password_is_refused_and_changes_nothing(access: OwnerAccess, password: str):
    access.set_password(PASSWORD, COMMAND_LINE)
    with pytest.raises(InvalidInput):
        access.set_password(password, COMMAND_LINE)
    access.check_password(PASSWORD, HERE)


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$v=19$m=65536,t=3,p=4$a$b"])
def test_what_is_no_hash_lets_nobody_in(stored: str):
    assert not passwords.password_fits(stored, stored)


def test_neither_passwords_nor_sessions_nor_tokens_are_stored(
    access: OwnerAccess, tmp_path: Path, told: list[str]
):
    access.set_password(PASSWORD, COMMAND_LINE)
    sign_in = access.sign_in(PASSWORD, HERE)
    token = access.make_token("script", Scope.READ, None, THIS_COMPUTER).text
    assert told == [token]
    assert len(token) == 4 + 43
    for file in tmp_path.glob("trading.db*"):
        content = file.read_bytes()
        for secret in (PASSWORD, sign_in, token, token[4:]):
            assert secret.encode() not in content, file


# ------------------------------------------------------------------------------------- sign-ins


def test_a_sign_in_ends_when_its_days_are_over(access: OwnerAccess, clock: ManualClock):
    access.set_password(PASSWORD, COMMAND_LINE)
    sign_in = access.sign_in(PASSWORD, HERE)
    clock.set(NOW_MS + 7 * DAY_MS - 1)
    assert access.owner_at(sign_in) is not None
    clock.set(NOW_MS + 7 * DAY_MS)
    assert access.owner_at(sign_in) is None


def test_a_sign_in_ends_with_the_password_that_it_was_made_with(access: OwnerAccess):
    access.set_password(PASSWORD, COMMAND_LINE)
    sign_in, other = access.sign_in(PASSWORD, HERE), access.sign_in(PASSWORD, HERE)
    access.sign_out(other)
    assert access.owner_at(sign_in) is not None
    assert access.owner_at(other) is None
    access.set_password(PASSWORD + "2", COMMAND_LINE)
    assert access.owner_at(sign_in) is None
    access.remove_password(COMMAND_LINE)
    access.set_password(PASSWORD, COMMAND_LINE)
    assert access.owner_at(sign_in) is None


def test_without_a_password_the_owner_is_whoever_is_here(access: OwnerAccess):
    caller = access.owner_at(None)
    assert caller is not None
    assert caller.actor == THIS_COMPUTER
    assert access.may_go_on(caller)
    access.set_password(PASSWORD, COMMAND_LINE)
    assert access.owner_at(None) is None
    assert not access.may_go_on(caller)


def test_where_others_reach_it_nobody_is_the_owner_without_a_password(app_config: Config):
    """Also when the password is removed while it runs."""
    app = create_app(app_config.model_copy(update={"HOST": "0.0.0.0"}))
    services(app).database.upgrade()
    client = app.test_client()
    assert client.get("/api/models").status_code == 401
    assert "No password is set yet" in client.get("/login").text
    assert sign_in(client, "").status_code == 403
    services(app).database.close()


# ------------------------------------------------------------------------------------- attempts


def attempt(attempts: SignInAttempts, address: str = HERE) -> float:
    """Try; the seconds that one has to wait, 0 where the attempt was let through."""
    try:
        attempts.begin(address)
    except TooManyRequests as error:
        return error.retry_after
    return 0


def test_after_a_few_attempts_each_next_one_waits_twice_as_long(clock: ManualClock):
    attempts = SignInAttempts(clock)
    assert [attempt(attempts) for _ in range(FREE_ATTEMPTS)] == [0] * FREE_ATTEMPTS
    for seconds in (1, 2, 4, 8, 16):
        assert attempt(attempts) == seconds
        clock.set(clock.now_ms() + 1000 * seconds - 1)
        assert attempt(attempts) == 0.001  # and asking again makes it no longer
        clock.set(clock.now_ms() + 1)
        assert attempt(attempts) == 0
    for _ in range(20):
        clock.set(clock.now_ms() + LONGEST_WAIT_MS)
        assert attempt(attempts) == 0
    assert attempt(attempts) == LONGEST_WAIT_MS / 1000
    assert attempt(attempts, "10.0.0.9") == 0  # others are not kept waiting
    attempts.succeeded(HERE)
    assert attempt(attempts) == 0


def test_many_addresses_are_held_back_together_but_not_who_was_in_before(clock: ManualClock):
    attempts = SignInAttempts(clock)
    attempts.begin(HERE)
    attempts.succeeded(HERE)
    waits = [attempt(attempts, f"10.0.{n // 250}.{n % 250}") for n in range(FREE_ATTEMPTS_OF_ALL)]
    assert set(waits) == {0}
    assert attempt(attempts, "10.9.9.9") == 1
    assert attempt(attempts) == 0
    clock.set(NOW_MS + LONGEST_WAIT_OF_ALL_MS)
    assert attempt(attempts, "10.9.9.9") == 0


def test_one_network_of_ipv6_is_one_address(clock: ManualClock):
    attempts = SignInAttempts(clock)
    for n in range(FREE_ATTEMPTS):
        assert attempt(attempts, f"2001:db8::{n}") == 0
    assert attempt(attempts, "2001:db8::99") == 1
    assert attempt(attempts, "2001:db8:0:1::1") == 0


def test_a_wrong_password_waits_and_is_in_the_audit_log(access: OwnerAccess, tmp_path: Path):
    access.set_password(PASSWORD, COMMAND_LINE)
    for _ in range(FREE_ATTEMPTS):
        with pytest.raises(Forbidden, match="wrong"):
            access.sign_in("wrong password", "10.0.0.9")
    with pytest.raises(TooManyRequests):
        access.sign_in(PASSWORD, "10.0.0.9")  # the right one as well
    sign_in = access.sign_in(PASSWORD, HERE)
    access.sign_out(sign_in)
    with sqlite3.connect(tmp_path / "trading.db") as connection:
        connection.row_factory = sqlite3.Row
        rows = audit.newest(connection, 100)
    actions = [(row.actor, row.actor_name, row.action, row.object_type) for row in rows]
    failed = ("nobody", "10.0.0.9", "sign_in_failed", "session")
    assert actions == [
        ("owner", None, "sign_out", "session"),
        ("owner", None, "sign_in", "session"),
        *[failed] * FREE_ATTEMPTS,
        ("command_line", None, "add", "password"),
    ]
    assert rows[-1].changes == {"password": {"before": None, "after": "…"}}


def test_only_a_few_passwords_are_hashed_at_once(
    access: OwnerAccess, monkeypatch: pytest.MonkeyPatch
):
    """Each takes 64 MB."""
    running, most = 0, 0

    def slow(hashed: str, password: str) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return False

    monkeypatch.setattr(passwords, "password_fits", slow)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: access._fits("hash", "password"), range(8)))
    assert most == HASHED_AT_ONCE


# --------------------------------------------------------------------------------------- tokens


def test_a_token_counts_until_it_expires_or_is_revoked(access: OwnerAccess, clock: ManualClock):
    short = access.make_token("short", Scope.TRADE, 1, THIS_COMPUTER)
    long = access.make_token("long", Scope.READ, None, THIS_COMPUTER)
    caller = access.script_with(short.text)
    assert (caller.scope, caller.actor.name) == (Scope.TRADE, "short")
    clock.set(NOW_MS + DAY_MS)
    with pytest.raises(Unauthorized, match="expired"):
        access.script_with(short.text)
    assert not access.may_go_on(caller)
    caller = access.script_with(long.text)
    assert access.may_go_on(caller)
    access.revoke_token(long.token.id, THIS_COMPUTER)
    assert not access.may_go_on(caller)
    with pytest.raises(Unauthorized, match="revoked"):
        access.script_with(long.text)
    with pytest.raises(NotFound):
        access.revoke_token(long.token.id, THIS_COMPUTER)


def test_when_a_token_was_last_used_is_noted_to_the_minute(access: OwnerAccess, clock: ManualClock):
    text = access.make_token("script", Scope.READ, None, THIS_COMPUTER).text
    used = []
    for later_ms in (0, MINUTE_MS - 1, MINUTE_MS):
        clock.set(NOW_MS + later_ms)
        access.script_with(text)
        used.append(access.list_tokens()[0].last_used_ms)
    assert used == [NOW_MS, NOW_MS, NOW_MS + MINUTE_MS]


@pytest.mark.parametrize("near", ["{}x", "x{}", " {}", "{}\n", "act_", ""])
def test_nothing_but_the_token_is_the_token(access: OwnerAccess, near: str):
    text = access.make_token("script", Scope.READ, None, THIS_COMPUTER).text
    with pytest.raises(Unauthorized):
        access.script_with(near.format(text))


def test_a_scope_covers_those_before_it():
    covered = {one: [other for other in Scope if one.covers(other)] for one in Scope}
    assert covered == {
        Scope.READ: [Scope.READ],
        Scope.TRADE: [Scope.READ, Scope.TRADE],
        Scope.ADMIN: [Scope.READ, Scope.TRADE, Scope.ADMIN],
    }


# ------------------------------------------------------------------------- the pages and the API


@pytest.fixture
def owned(offline_app: Flask) -> Flask:
    """An app with a password."""
    services(offline_app).access.set_password(PASSWORD, COMMAND_LINE)
    return offline_app


def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def sign_in(client: FlaskClient, password: str = PASSWORD, page: str = "/models", **terms: str):
    return client.post(f"/login?next={page}", data={"password": password}, **terms)


def test_signing_in_leads_to_the_page_that_was_asked_for(owned: Flask):
    client = owned.test_client()
    form = client.get("/login?next=/models")
    assert form.status_code == 200
    assert "Set-Cookie" not in form.headers  # who has come by a link from elsewhere stays signed in
    answer = sign_in(client)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/models")
    assert client.get("/models").status_code == 200
    assert client.get("/models").headers["Cache-Control"] == "no-store"
    assert client.get("/login?next=/coins").headers["Location"] == "/coins"
    signed_in = client.get("/api/session").json
    assert (signed_in["signed_in"], signed_in["scope"]) == (True, "admin")


def test_the_cookie_is_for_tls_alone_where_there_is_tls(owned: Flask):
    plain = sign_in(owned.test_client()).headers["Set-Cookie"]
    assert "Secure" not in plain
    secure = sign_in(owned.test_client(), base_url="https://localhost").headers["Set-Cookie"]
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Expires="):
        assert part in secure.split("; ") or f" {part}" in secure


def test_a_cookie_that_was_tampered_with_is_none(owned: Flask):
    client = owned.test_client()
    sign_in(client)
    name = owned.config["SESSION_COOKIE_NAME"]
    cookie = client.get_cookie(name)
    assert cookie is not None
    content, rest = cookie.value.split(".", 1)
    for forged in (f"{content[:-2]}AA.{rest}", f"{content}.{rest[:-2]}AA", content):
        client.set_cookie(name, forged)
        assert client.get("/api/models").status_code == 401
    client.set_cookie(name, cookie.value)
    assert client.get("/api/models").status_code == 200


def test_signing_out_ends_a_copy_of_the_cookie_too(owned: Flask):
    client = owned.test_client()
    sign_in(client)
    name = owned.config["SESSION_COOKIE_NAME"]
    kept = client.get_cookie(name)
    assert kept is not None
    proof = client.get("/api/session").json["csrf_token"]
    assert FlaskClient(owned, owned.response_class).post("/logout").status_code == 401
    answer = client.post("/logout", data={"csrf_token": proof})
    assert (answer.status_code, client.get_cookie(name)) == (303, None)
    client.set_cookie(name, kept.value)
    assert client.get("/api/models").status_code == 401


def test_a_session_begins_anew_with_the_sign_in(owned: Flask):
    """What somebody planted before counts for nothing after."""
    services(owned).access.remove_password(COMMAND_LINE)
    client = owned.test_client()
    before = client.get("/api/session").json["csrf_token"]
    services(owned).access.set_password(PASSWORD, COMMAND_LINE)
    sign_in(client)
    assert client.get("/api/session").json["csrf_token"] != before


def test_a_wrong_password_says_so_and_too_many_say_when(owned: Flask):
    client = owned.test_client()
    for _ in range(FREE_ATTEMPTS):
        refused = sign_in(client, "wrong password")
        assert refused.status_code == 403
        assert "The password is wrong." in refused.text
    refused = sign_in(client)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert "Try again in 1 seconds." in refused.text
    assert client.get("/api/models").status_code == 401


@pytest.mark.parametrize(
    "page",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\/evil.example", "evil",
        "javascript:alert(1)", "/\n/evil.example", "/\t//evil.example", "", "/login", "/logout",
        "/login?next=/models", "http:/evil.example", "///evil.example",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(page: str):
    assert local_page(page) == "/"


@pytest.mark.parametrize("page", ["/", "/models/1?tab=trades", "/charts?coin=BTC&next=//x", "/币"])
def test_signing_in_leads_to_any_page_of_ours(page: str):
    assert local_page(page) == page


def test_the_password_is_changed_with_the_one_before(owned: Flask):
    one, other = owned.test_client(), owned.test_client()
    sign_in(one)
    sign_in(other)
    body = {"password": "another long one"}
    for current in ({}, {"current_password": "wrong password"}, {"current_password": None}):
        refused = one.put("/api/password", json=body | current)
        assert (refused.status_code, refused.json["code"]) == (403, "wrong_password")
    assert one.put("/api/password", json=body | {"current_password": PASSWORD}).status_code == 200
    assert one.get("/api/models").status_code == 200  # who has changed it stays signed in
    assert other.get("/api/models").status_code == 401
    assert sign_in(other).status_code == 403
    assert sign_in(other, "another long one").status_code == 303


def test_the_first_password_signs_its_browser_in(offline_app: Flask):
    client = offline_app.test_client()
    short = client.put("/api/password", json={"password": "too short"})
    assert (short.status_code, set(short.json["fields"])) == (400, {"password"})
    assert client.put("/api/password", json={"password": PASSWORD}).status_code == 200
    assert client.get("/api/session").json["signed_in"] is True
    assert offline_app.test_client().get("/api/models").status_code == 401


def test_a_token_is_told_once_and_its_use_is_seen(offline_app: Flask):
    client = offline_app.test_client()
    made = client.post("/api/tokens", json={"name": " ci ", "scope": "read", "days": 30}).json
    assert made["name"] == "ci"
    assert made["prefix"] == made["token"][:10]
    script = offline_app.test_client()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert script.get("/api/session", headers=headers).json == {
        "scope": "read", "token_name": "ci", "password_set": False, "signed_in": False,
        "csrf_token": None,
    }  # fmt: skip
    (listed,) = client.get("/api/tokens").json
    assert "token" not in listed
    assert listed["last_used_at"] is not None
    assert client.delete(f"/api/tokens/{made['id']}").status_code == 200
    assert client.get("/api/tokens").json == []
    assert client.delete(f"/api/tokens/{made['id']}").status_code == 404


def test_health_tells_who_is_not_signed_in_the_status_alone(owned: Flask):
    client = owned.test_client()
    assert client.get("/api/health").json == {"status": "ok"}
    sign_in(client)
    assert "database" in client.get("/api/health").json


def test_a_stream_ends_with_its_sign_in(owned: Flask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(system, "ALLOWED_LOOKED_AT_EVERY_SECONDS", 0.0)
    client = owned.test_client()
    assert client.get("/api/stream").status_code == 401
    sign_in(client)
    with client.get("/api/stream", buffered=False) as stream:
        lines = iter(stream.response)
        assert next(lines) == b"retry: 2000\n\n"
        events = services(owned).events
        events.publish("health", {"one": 1})
        assert b'"one": 1' in next(lines)
        services(owned).access.set_password("another long one", COMMAND_LINE)
        events.publish("health", {"two": 2})
        assert next(lines, None) is None


def test_without_the_apps_key_sessions_are_signed_with_the_processes(
    app_config: Config, offline_app: Flask
):
    """No key file is made for a page; and one that is made later is taken."""
    client = offline_app.test_client()
    client.get("/")
    assert not app_config.secret_key_file.exists()
    assert client.put("/api/settings", json={"slippage_bps": 1}).status_code == 200
    services(offline_app).access.set_password(PASSWORD, COMMAND_LINE)
    assert app_config.secret_key_file.exists()
    sign_in(client)
    with client.session_transaction() as session:
        assert services(offline_app).access.owner_at(session[SIGN_IN]) is not None


# --------------------------------------------------------------------------------- command line


def test_the_command_line_sets_and_removes_the_password(offline_app: Flask):
    runner = offline_app.test_cli_runner()
    set_password = ["user", "set-password"]
    done = runner.invoke(args=[*set_password, "--password-stdin"], input=f"{PASSWORD}\nmore\n")
    assert (done.exit_code, done.output) == (0, "The password has been set.\n")
    assert sign_in(offline_app.test_client()).status_code == 303
    typed = runner.invoke(args=set_password, input="another long one\nanother long one\n")
    assert typed.exit_code == 0
    assert "another long one" not in typed.output
    short = runner.invoke(args=[*set_password, "--password-stdin"], input="short\n")
    assert (short.exit_code, short.output) == (
        1, "Error: A password has at least 12 characters.\n",
    )  # fmt: skip
    assert runner.invoke(args=["user", "remove-password"], input="n\n").exit_code == 1
    assert services(offline_app).access.password_is_set()
    assert run(offline_app, "user", "remove-password", "--yes").exit_code == 0
    assert run(offline_app, "user", "remove-password", "--yes").output == (
        "Error: No password is set.\n"
    )


def test_the_command_line_makes_lists_and_revokes_tokens(offline_app: Flask):
    made = run(offline_app, "token", "create", "ci", "--scope", "trade", "--days", "30")
    token = made.stdout.strip()  # alone, so that a script can take it
    assert services(offline_app).access.script_with(token).scope is Scope.TRADE
    listed = run(offline_app, "token", "list").output
    assert f"1 trade {token[:10]}… ci: used 20" in listed
    assert token not in listed
    assert run(offline_app, "token", "revoke", 1).output == "The token ci has been revoked.\n"
    assert run(offline_app, "token", "list").output == "There are no tokens.\n"
    assert run(offline_app, "token", "revoke", 1).exit_code == 1


def test_the_first_command_makes_the_database(app_config: Config):
    app = create_app(app_config)
    assert run(app, "token", "create", "ci").exit_code == 0
    services(app).database.close()


def test_attempts_are_counted_by_a_clock_that_nobody_sets_back(offline_app: Flask):
    attempts = services(offline_app).access._attempts
    assert isinstance(attempts._clock, SteadyClock)
