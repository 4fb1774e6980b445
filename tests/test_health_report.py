"""Health tells a monitor the truth: 200 while trading can go on, 503 and why where it cannot."""

from __future__ import annotations

import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from addresses import sources_at
from conftest import SIMULATED_NOW_MS, running
from flask import Flask

import health_report
from app import create_app
from audit_log import THIS_COMPUTER
from config import Config
from domain import HOUR_MS
from exchange_simulator.server import SimulatorServer
from routes.services import EXTENSION, Services

HOLDER = {"name": "Holder", "trader": "buy_and_hold", "coins": ["BTC"], "risk": "off"}
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def trading_app(app_config: Config, simulator: SimulatorServer) -> Iterator[Flask]:
    """An app that trades, on the simulated exchange and its clock; its loop is started."""
    settings = sources_at(simulator.url) | {"TRADING_LOOP": "on", "STREAMS": "off"}
    config = app_config.model_copy(update=settings | {"PRICE_POLL_SECONDS": 0.1})
    for app in running(create_app(config, clock=simulator.clock, check_answers=True)):
        services_of(app).loop.start()
        until(lambda app=app: told(app)[1]["status"] == "ok")  # type: ignore[misc]
        yield app
    simulator.clock.set(SIMULATED_NOW_MS)
    simulator.faults.clear()


def services_of(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def told(app: Flask) -> tuple[int, dict[str, Any]]:
    response = app.test_client().get("/api/health")
    return response.status_code, response.json


def codes(app: Flask) -> tuple[int, list[str]]:
    status, health = told(app)
    return status, [reason["code"] for reason in health["reasons"]]


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def add_model(app: Flask, **terms: Any) -> int:
    model_id: int = app.test_client().post("/api/models", json=HOLDER | terms).json["id"]
    return model_id


def test_all_is_well(trading_app: Flask):
    status, health = told(trading_app)
    assert (status, health["status"], health["reasons"]) == (200, "ok", [])
    assert health["database"] == {"ok": True}
    assert health["disk"]["free_bytes"] > 0
    assert health["queues"] == {"backtests": 0, "data_jobs": 0}


def test_a_turn_that_no_cycle_has_come_to(trading_app: Flask, simulator: SimulatorServer):
    one = add_model(trading_app)
    client, services = trading_app.test_client(), services_of(trading_app)
    simulator.clock.set(SIMULATED_NOW_MS + 2 * HOUR_MS)
    assert codes(trading_app) == (200, [])  # two turns may be missed
    simulator.clock.set(SIMULATED_NOW_MS + 2 * HOUR_MS + 1)
    status, health = told(trading_app)
    assert (status, health["status"]) == (503, "unable")
    (reason,) = health["reasons"]
    assert reason == {
        "code": "cycles_overdue",
        "message": "No cycle has begun for 2 turns of Holder.",
        "stops_trading": True,
    }
    other = add_model(trading_app, name="Other")  # its turns are yet to come
    status, health = told(trading_app)
    assert (status, health["status"]) == (200, "degraded")
    assert health["reasons"][0]["stops_trading"] is False
    for stop in (
        lambda: services.desk.halt.stop_all(THIS_COMPUTER),
        lambda: client.post(f"/api/models/{one}/pause", json={}),
    ):
        stop()
        assert codes(trading_app) == (200, [])  # none is to begin
        services.desk.halt.resume(THIS_COMPUTER)
    client.post(f"/api/models/{one}/execute", json={})
    client.post(f"/api/models/{one}/resume", json={})
    assert codes(trading_app) == (200, [])
    services.loop.due_since_ms = simulator.clock.now_ms() + 4 * HOUR_MS  # awake since then
    simulator.clock.set(simulator.clock.now_ms() + 5 * HOUR_MS)
    assert codes(trading_app) == (200, [])
    assert other != one


def test_a_model_whose_losses_have_stopped_it_is_not_overdue(
    trading_app: Flask, simulator: SimulatorServer
):
    model_id = add_model(trading_app)
    simulator.clock.set(SIMULATED_NOW_MS + 3 * HOUR_MS)
    assert codes(trading_app) == (503, ["cycles_overdue"])
    services_of(trading_app).database.connection.execute(
        "INSERT INTO loss_watches VALUES (?, 0, '1', '1', NULL, 'max_drawdown', 0)", (model_id,)
    )
    assert codes(trading_app) == (200, [])


def test_no_source_brings_prices(
    trading_app: Flask, simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
):
    latest = services_of(trading_app).data_aggregator.latest
    monkeypatch.setattr(latest, "_ttl_seconds", 0.0)
    monkeypatch.setattr(latest, "age_seconds", lambda price: 12.0)
    assert codes(trading_app) == (200, ["prices_stale"])
    assert told(trading_app)[1]["status"] == "degraded"
    monkeypatch.setattr(latest, "age_seconds", lambda price: 3600.0)
    assert codes(trading_app) == (200, ["prices_stale"])  # of an earlier start, maybe
    monkeypatch.setattr(health_report, "PRICES_MISSED_SECONDS", 0.01)
    assert codes(trading_app) == (503, ["no_prices"])


def test_the_disk_is_nearly_full(trading_app: Flask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(10**12, 10**12, 199_000_000))
    status, health = told(trading_app)
    assert (status, health["reasons"][0]["code"]) == (503, "disk_nearly_full")
    assert health["reasons"][0]["message"] == "Only 199 MB are free on the database's disk."


def test_the_database_cannot_be_written(trading_app: Flask):
    database = services_of(trading_app).database
    with database._writing:  # nobody writes meanwhile, and finds it mended
        database.trouble = "It cannot be written now: database or disk is full."
        assert codes(trading_app) == (503, ["database_unwritable"])
        assert told(trading_app)[1]["database"] == {"ok": False}


def test_what_starts_the_cycles_has_died(trading_app: Flask, monkeypatch: pytest.MonkeyPatch):
    scheduler = services_of(trading_app).loop._scheduler
    monkeypatch.setattr(threading, "excepthook", lambda ended: None)  # nobody notices

    def die() -> None:
        raise MemoryError

    monkeypatch.setattr(scheduler, "_process_jobs", die)
    scheduler.wakeup()
    until(lambda: codes(trading_app) == (503, ["scheduler_dead"]))


def test_nobody_runs_the_loop(app_config: Config):
    config = app_config.model_copy(update={"TRADING_LOOP": "on"})
    for app in running(create_app(config, check_answers=True)):
        assert codes(app) == (503, ["no_loop"])
        services_of(app).desk.lease.keep()
        assert codes(app) == (200, [])


def test_strangers_are_told_the_status_alone(offline_app: Flask, monkeypatch: pytest.MonkeyPatch):
    services_of(offline_app).access.set_password("a long password", THIS_COMPUTER)
    assert told(offline_app) == (200, {"status": "ok"})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(1, 1, 0))
    assert told(offline_app) == (503, {"status": "unable"})
