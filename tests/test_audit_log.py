"""The audit log: every change of what is set up has its row, true, masked, and there for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import audit_log
from audit_log import COMMAND_LINE, THE_APP, THIS_COMPUTER, Action, Audited
from database import Database
from repositories import audit
from repositories.audit import AuditRow
from routes.services import EXTENSION

KEY = "sk-planted-0123456789abcdef"
PROVIDER = {"name": "Here", "api_url": "https://example.com/v1", "api_key": KEY, "models": ["m"]}
HOLDER = {"name": "Holder", "trader": "buy_and_hold", "coins": ["BTC"], "risk": "off"}

# Every write of the API that changes what is set up, in an order in which it succeeds, with a body
# and the row that it leaves. `{braces}` are filled from the ids of what was added before.
AUDITED: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("PUT /api/settings", {"slippage_bps": 3}, "change settings"),
    ("PUT /api/notifications", {"events": ["kill_switch"]}, "change notifications"),
    ("POST /api/coins", {"symbol": "NEW", "name": "New"}, "add coin NEW"),
    ("PUT /api/coins/{coin_id}", {"notes": "new"}, "change coin NEW"),
    ("DELETE /api/coins/{coin_id}", {}, "change coin NEW"),
    ("POST /api/coins/bulk", {"coins": [{"symbol": "TWO", "name": "Two"}]}, "add coin TWO"),
    ("POST /api/coin-groups", {"name": "Few", "coin_ids": [2, 3]}, "add coin_group Few"),
    ("PUT /api/coin-groups/{group_id}", {"coin_ids": [3]}, "change coin_group Few"),
    ("POST /api/providers", PROVIDER, "add provider Here"),
    ("PUT /api/providers/{provider_id}", {"api_key": KEY + "2"}, "change provider Here"),
    ("POST /api/models", HOLDER, "add model Holder"),
    ("PUT /api/models/{model_id}", {"cycle_minutes": 5}, "change model Holder"),
    ("POST /api/models/{model_id}/coins", {"coin_ids": [2]}, "change pool Holder"),
    ("PUT /api/models/{model_id}/coins/2", {"weight": 2}, "change pool Holder"),
    ("DELETE /api/models/{model_id}/coins/2", {}, "change pool Holder"),
    ("POST /api/models/{model_id}/add-group/{group_id}", {}, "change pool Holder"),
    ("POST /api/models/{model_id}/execute", {}, "run model Holder"),
    ("POST /api/models/{model_id}/flatten", {}, "flatten model Holder"),
    ("POST /api/models/{model_id}/pause", {}, "pause model Holder"),
    ("POST /api/models/{model_id}/resume", {}, "resume model Holder"),
    ("DELETE /api/models/{model_id}", {}, "archive model Holder"),
    ("DELETE /api/coin-groups/{group_id}", {}, "delete coin_group Few"),
    ("DELETE /api/providers/{provider_id}", {}, "delete provider Here"),
    ("POST /api/trading/stop-all", {}, "stop trading"),
    ("POST /api/trading/resume", {}, "resume trading"),
    ("POST /api/backups", {}, "back_up database"),
    ("POST /api/tokens", {"name": "ci", "scope": "read"}, "add token ci"),
    ("DELETE /api/tokens/{token_id}", {}, "revoke token ci"),
    ("PUT /api/password", {"password": "correct horse battery"}, "add password"),
)

# The other writes of the API, and why they have none.
NOT_AUDITED = {
    "POST /api/coins/discover": "asks the sources",
    "POST /api/coins/{coin_id}/check": "asks the sources",
    "POST /api/providers/models": "asks a provider",
    "POST /api/providers/{provider_id}/test": "asks a provider; the call itself is on record",
    "POST /api/notifications/test": "sends a message",
    "POST /api/models/preview": "shows a prompt",
    "POST /api/backtest/estimate": "shows what a run will cost",
    "POST /api/backtest/run": "a run has its own record",
    "POST /api/backtests/{backtest_id}/cancel": "a run has its own record",
    "DELETE /api/backtests/{backtest_id}": "results, which can be had again",
    "POST /api/backtests/sweep": "a search has its own record",
    "POST /api/backtests/sweeps/{sweep_id}/cancel": "a search has its own record",
    "DELETE /api/backtests/sweeps/{sweep_id}": "results, which can be had again",
    "POST /api/data/sync": "candles, which a job has on record",
    "POST /api/data/import": "candles, which a job has on record",
    "POST /api/data/jobs/{job_id}/cancel": "a job has its own record",
}
PLACE = {"/models/{model_id}/coins/2": "/models/{model_id}/coins/{coin_id}"}


def rows(app: Flask, limit: int = 1000) -> list[AuditRow]:
    return audit.newest(app.extensions[EXTENSION].database.connection, limit)


def words(row: AuditRow) -> str:
    named = row.object_name if row.object_type != Audited.DATABASE else None
    return " ".join(filter(None, (row.action, row.object_type, named)))


def writes(client: FlaskClient) -> set[str]:
    """Every operation of the OpenAPI document that is no mere reading."""
    paths = client.get("/api/openapi.json").json["paths"]
    return {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if method in ("post", "put", "patch", "delete")
    }


def in_document(label: str) -> str:
    """A step's label as the document has it."""
    for filled, place in PLACE.items():
        label = label.replace(filled, place)
    return label


def test_every_write_of_the_api_is_audited_or_said_not_to_be(offline_app: Flask):
    audited = {in_document(label) for label, _, _ in AUDITED}
    assert audited.isdisjoint(NOT_AUDITED)
    assert writes(offline_app.test_client()) == audited | NOT_AUDITED.keys()


def test_every_successful_change_has_its_row(app: Flask):
    client, ids = app.test_client(), {}
    for label, body, expected in AUDITED:
        method, path = label.split()
        before = len(rows(app))
        response = client.open(path.format(**ids), method=method, json=body)
        assert response.status_code < 300, (label, response.json)
        (row,) = rows(app)[: len(rows(app)) - before]
        assert words(row) == expected, label
        assert row.actor == "local", label
        kind = {"coins": "coin_id", "coin-groups": "group_id", "providers": "provider_id",
                "models": "model_id", "tokens": "token_id"}.get(path.removeprefix("/api/"))  # fmt: skip
        if method == "POST" and kind is not None:
            ids[kind] = response.json["id"]
            assert row.object_id == response.json["id"]


def test_a_row_tells_before_and_after_of_what_has_changed_and_nothing_else(app: Flask):
    client = app.test_client()
    model_id = client.post("/api/models", json=HOLDER).json["id"]
    client.put(
        f"/api/models/{model_id}",
        json={"risk": "conservative", "coins": ["ETH"], "prompt": "Hold.", "name": "Holder"},
    )
    changed, added = rows(app)
    assert changed.changes == {
        "risk": {"before": "off", "after": "conservative"},
        "coins": {"before": ["BTC"], "after": ["ETH"]},
        "prompt": {"before": None, "after": "Hold."},
    }
    assert added.changes["initial_capital"] == {"before": None, "after": "10000"}
    assert added.changes["enabled"] == {"before": None, "after": True}
    client.put(f"/api/models/{model_id}", json={"risk": "conservative"})  # as it is already
    assert len(rows(app)) == 2


def test_keys_are_masked(offline_app: Flask):
    client = offline_app.test_client()
    provider_id = client.post("/api/providers", json=PROVIDER).json["id"]
    client.put(f"/api/providers/{provider_id}", json={"api_key": KEY + "-another"})
    client.put(f"/api/providers/{provider_id}", json={"api_key": None})
    forgotten, changed, added = rows(offline_app)
    assert added.changes["api_key"] == {"before": None, "after": "…"}
    assert changed.changes == {"api_key": {"before": "…", "after": "…"}}
    assert forgotten.changes == {"api_key": {"before": "…", "after": None}}
    assert KEY not in client.get("/api/audit").text


def test_what_does_not_happen_leaves_no_row(offline_app: Flask):
    client = offline_app.test_client()
    assert client.post("/api/coins", json={"symbol": "BTC", "name": "Taken"}).status_code == 409
    assert client.put("/api/settings", json={"slippage_bps": -1}).status_code == 400
    assert client.post("/api/models/99/pause", json={}).status_code == 404
    database: Database = offline_app.extensions[EXTENSION].database

    def fail_late() -> None:
        with database.transaction() as connection:
            audit_log.record(connection, THE_APP, Action.ADD, Audited.COIN)
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail_late()
    assert rows(offline_app) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "REPLACE INTO audit_log SELECT * FROM audit_log",
    ],
)
def test_rows_stay_as_they_are(offline_app: Flask, sql: str):
    offline_app.test_client().put("/api/settings", json={"slippage_bps": 3})
    written = rows(offline_app)
    with pytest.raises(sqlite3.IntegrityError, match="the audit log is not"):
        offline_app.extensions[EXTENSION].database.connection.execute(sql)
    assert rows(offline_app) == written


def test_the_command_line_and_the_app_itself_are_told_apart(offline_app: Flask):
    shell = offline_app.test_cli_runner()
    assert shell.invoke(args=["trading", "stop"]).exit_code == 0
    assert shell.invoke(args=["trading", "stop"]).exit_code == 0  # it is stopped already
    assert shell.invoke(args=["trading", "resume"]).exit_code == 0
    assert [(row.actor, words(row)) for row in rows(offline_app)] == [
        ("command_line", "resume trading"), ("command_line", "stop trading"),
    ]  # fmt: skip
    backups = offline_app.extensions[EXTENSION].backups
    assert backups.make_if_due() is not None
    assert (rows(offline_app)[0].actor, words(rows(offline_app)[0])) == ("app", "back_up database")
    listed = shell.invoke(args=["audit", "list", "--object", "trading", "--action", "stop"])
    assert listed.exit_code == 0
    assert listed.output.split(" ", 2)[2] == "the command line: stop trading\n"


def test_the_list_is_paged_and_filtered(offline_app: Flask):
    client = offline_app.test_client()
    coin_id = client.post("/api/coins", json={"symbol": "NEW", "name": "New"}).json["id"]
    for notes in ("one", "two", "three"):
        client.put(f"/api/coins/{coin_id}", json={"notes": notes})
    client.put("/api/settings", json={"slippage_bps": 3})
    newest = client.get("/api/audit?limit=2").json
    assert [row["object_type"] for row in newest] == ["settings", "coin"]
    older = client.get(f"/api/audit?before={newest[-1]['id']}").json
    assert [row["changes"]["notes"]["after"] for row in older[:2]] == ["two", "one"]
    of_coin = client.get(f"/api/audit?object_type=coin&object_id={coin_id}&action=change").json
    assert len(of_coin) == 3
    assert of_coin[0]["timestamp"].endswith("Z")
    assert client.get("/api/audit?actor=token").json == []
    assert client.get("/api/audit?actor=anybody").status_code == 400


def test_who_and_amounts_in_words():
    assert str(THIS_COMPUTER) == "this computer"
    assert str(COMMAND_LINE) == "the command line"
    changed = audit_log.changed_fields({"a": Decimal("1E+3")}, {"a": Decimal("0.10")})
    assert changed == {"a": {"before": "1000", "after": "0.10"}}
