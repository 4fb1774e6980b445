"""The owner is told what was chosen: once, with patience, nowhere that may not be, without a secret."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import running
from flask import Flask
from flask.testing import FlaskClient

import audit_log
import notification_watch
import notifications
from app import create_app
from audit_log import COMMAND_LINE, THE_APP, Action, Audited
from config import Config
from domain import FillKind, Interval, Reason, Side, TradingModel
from health_report import Reason as HealthReason
from notification_watch import NotificationWatch
from notifications import Event
from repositories import models
from repositories.cycles import Cycle
from routes.services import EXTENSION, Services
from source_health import SourceHealth

KEY = "planted-0123456789abcdef"


@dataclass
class Webhook:
    """Takes messages and answers what it is told to, 200 when that is used up."""

    statuses: list[int] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/{KEY}?sig={KEY}"

    def wait(self, count: int, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while len(self.messages) < count:
            assert time.monotonic() < end, self.messages
            time.sleep(0.01)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    taken = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.paths.append(self.path)
            taken.messages.append(json.loads(body))
            self.send_response(taken.statuses.pop(0) if taken.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield taken
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def house(app_config: Config) -> Iterator[Flask]:
    """An app that may call webhooks on this computer."""
    config = app_config.model_copy(update={"LOCAL_PROVIDERS": "on"})
    for app in running(create_app(config, check_answers=True)):
        yield app
        services_of(app).notifier.stop()


def services_of(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


@pytest.fixture
def client(house: Flask) -> FlaskClient:
    return house.test_client()


# ---------------------------------------------------------------------------------- settings


def test_the_address_goes_in_and_a_message_comes_out(client: FlaskClient, webhook: Webhook):
    assert client.get("/api/notifications").json == {
        "address_set": False, "host": None, "events": list(Event), "all_events": list(Event),
    }  # fmt: skip
    refused = client.post("/api/notifications/test", json={})
    assert (refused.status_code, refused.json["code"]) == (409, "no_address")
    body = {"address": webhook.address, "events": ["liquidation", "kill_switch"]}
    changed = client.put("/api/notifications", json=body)
    assert changed.json["events"] == ["kill_switch", "liquidation"]
    assert (changed.json["address_set"], changed.json["host"]) == (True, "127.0.0.1")
    sent = client.post("/api/notifications/test", json={})
    assert sent.json == {"ok": True, "error": None, "code": None}
    (message,) = webhook.messages
    assert webhook.paths == [f"/hooks/{KEY}?sig={KEY}"]
    assert (message["event"], message["text"]) == ("test", message["content"])
    assert message["time"].endswith("Z")
    for said in (changed, sent, client.get("/api/notifications"), client.get("/api/audit")):
        assert KEY not in said.text
    assert client.put("/api/notifications", json={"address": ""}).json["address_set"] is False


def test_the_address_is_sealed_in_the_file(house: Flask, client: FlaskClient, webhook: Webhook):
    client.put("/api/notifications", json={"address": webhook.address})
    path: Path = services_of(house).config.DATABASE_PATH
    for file in path.parent.glob(f"{path.name}*"):
        assert KEY.encode() not in file.read_bytes()


def test_a_webhook_that_refuses_is_told_of(client: FlaskClient, webhook: Webhook):
    client.put("/api/notifications", json={"address": webhook.address})
    webhook.statuses = [404]
    answer = client.post("/api/notifications/test", json={}).json
    assert answer == {
        "ok": False, "error": "The webhook answers 404.", "code": "webhook_refused",
    }  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:9/hook",
        "http://10.0.0.1/hook?sig=1",
        "ftp://example.com/hook",
        "https://user:word@example.com/hook",
    ],
)
def test_what_may_not_be_asked_is_no_address(offline_app: Flask, address: str):
    """Without LOCAL_PROVIDERS nothing in the house either."""
    refused = offline_app.test_client().put("/api/notifications", json={"address": address})
    assert (refused.status_code, list(refused.json["fields"])) == (400, ["address"])


# ----------------------------------------------------------------------------------- sending


def test_it_is_tried_again_after_an_error_and_not_after_a_refusal(
    house: Flask, client: FlaskClient, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(notifications, "PAUSES_SECONDS", (0.01, 0.01))
    client.put("/api/notifications", json={"address": webhook.address})
    notifier = services_of(house).notifier
    webhook.statuses = [500, 429, 200, 403, 200]
    notifier.start()
    notifier.tell(Event.KILL_SWITCH, "one")
    notifier.tell(Event.KILL_SWITCH, "two")
    notifier.tell(Event.KILL_SWITCH, "three")
    webhook.wait(5)
    assert [message["text"] for message in webhook.messages] == [
        "one", "one", "one", "two", "three",
    ]  # fmt: skip


def test_only_what_was_chosen_is_sent_without_secrets_and_nobody_waits(
    house: Flask, client: FlaskClient, webhook: Webhook
):
    client.put("/api/notifications", json={"address": webhook.address, "events": ["kill_switch"]})
    services = services_of(house)
    services.redactor.learn("a-secret-of-ours")
    services.notifier.tell(Event.LIQUIDATION, "not chosen")
    for number in range(2 * notifications.MOST_WAITING):  # none is sent yet
        services.notifier.tell(Event.KILL_SWITCH, f"{number} a-secret-of-ours")
    assert services.notifier._waiting.qsize() == notifications.MOST_WAITING
    services.notifier.start()
    webhook.wait(2)
    assert [message["text"] for message in webhook.messages[:2]] == ["0 …", "1 …"]


# ---------------------------------------------------------------------------------- noticing


class Told:
    """A notifier that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Event, str]] = []

    def tell(self, event: Event, text: str) -> None:
        self.told.append((event, text))

    def take(self) -> list[tuple[Event, str]]:
        told, self.told = self.told, []
        return told


@dataclass
class Scene:
    """A watch over an app's database, and what stands around it as a test sets it."""

    services: Services
    told: Told = field(default_factory=Told)
    sources: list[SourceHealth] = field(default_factory=list)
    reasons: list[HealthReason] = field(default_factory=list)
    lease: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(mine=True))

    def watch(self) -> NotificationWatch:
        around: Any = SimpleNamespace(health=lambda: self.sources, reasons=lambda: self.reasons)
        return NotificationWatch(
            self.services.database, around, self.lease, around, self.services.events, self.told,
        )  # type: ignore[arg-type]  # fmt: skip


@pytest.fixture
def scene(offline_app: Flask) -> Scene:
    return Scene(services_of(offline_app))


def test_what_the_audit_log_brings_is_told_once_also_of_other_processes(scene: Scene):
    halt, database = scene.services.desk.halt, scene.services.database
    halt.stop_all(COMMAND_LINE)  # before this process was there to tell
    watch = scene.watch()
    watch.look()
    assert scene.told.take() == []
    halt.resume(COMMAND_LINE)
    with database.transaction() as connection:
        audit_log.record(connection, THE_APP, Action.STOP, Audited.MODEL, 1, "Bold")
        said = {"error": "The disk is full."}
        audit_log.record(connection, THE_APP, Action.BACK_UP_FAILED, Audited.DATABASE, after=said)
        audit_log.record(connection, THE_APP, Action.ADD, Audited.COIN)
    watch.look()
    watch.look()
    assert scene.told.take() == [
        (Event.KILL_SWITCH, "Trading has been resumed by the command line."),
        (Event.MODEL_STOPPED, "Bold has lost too much and is stopped until it is resumed."),
        (Event.BACKUP_FAILED, "The backup failed: The disk is full."),
    ]
    scene.lease.mine = False  # another process tells of it
    halt.stop_all(COMMAND_LINE)
    watch.look()
    scene.lease.mine = True
    watch.look()
    assert scene.told.take() == []


def test_cycles_that_fail_in_a_row_a_spent_budget_and_a_liquidation(scene: Scene):
    model = TradingModel("Asks", "buy_and_hold", Decimal(100), Interval.M1, 1, "off")
    with scene.services.database.transaction() as connection:
        model_id = models.add(connection, model, 0).id
    watch, events = scene.watch(), scene.services.events

    def cycle(status: str, code: str | None = None) -> None:
        ended = Cycle(1, model_id, None, 0, 1, status, code, "No answer.")
        events.publish("cycle", {"cycle": ended, "seconds": 0.1})

    for status in ("failed", "failed", "done", "failed", "failed", "failed", "failed"):
        cycle(status)
    cycle("failed", "budget")
    cycle("failed", "budget")
    fill = SimpleNamespace(
        kind=FillKind.LIQUIDATION, reason=Reason.LIQUIDATION, side=Side.LONG, coin="BTC",
        price=Decimal("61000.5"),
    )  # fmt: skip
    trade = SimpleNamespace(entry=SimpleNamespace(fill=fill))
    events.publish("trade", {"trade": trade, "model_name": "Asks"})
    watch.handle_events()
    assert scene.told.take() == [
        (Event.CYCLES_FAILING, "Asks: 3 cycles in a row have failed. No answer."),
        (Event.BUDGET_REACHED, "Asks: No answer."),
        (Event.LIQUIDATION, "Asks: long BTC was liquidated at 61000.5."),
    ]


def test_a_source_that_is_down_for_long_and_a_disk_that_fills(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
):
    watch = scene.watch()
    scene.sources = [SourceHealth("okx", state="down", last_error="No answer.")]
    scene.reasons = [HealthReason("disk_nearly_full", "Only 9 MB are free.")]
    watch.look()
    watch.look()
    assert scene.told.take() == [(Event.DISK_NEARLY_FULL, "Only 9 MB are free.")]
    monkeypatch.setattr(notification_watch, "SOURCE_DOWN_SECONDS", 0.0)
    watch.look()
    watch.look()
    ((event, words),) = scene.told.take()
    assert (event, words.startswith("okx has not answered")) == (Event.SOURCE_DOWN, True)
    scene.sources, scene.reasons = [SourceHealth("okx", state="up")], []
    watch.look()
    assert scene.told.take() == [(Event.SOURCE_DOWN, "okx answers again.")]
