"""Coverage, syncs and imports through the API: what they answer, leave behind, and refuse."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import SIMULATED_NOW_MS
from flask import Flask
from flask.testing import FlaskClient
from test_binance_archive import START_MS, hourly_rows, zipped
from werkzeug.test import TestResponse

import routes.data
from domain import DAY_MS, HOUR_MS, Interval
from kline_archiver import KlineArchiver, archive_root
from repositories import coins
from routes.services import EXTENSION, Services
from timestamps import iso_utc


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def upload(client: FlaskClient, content: bytes, name: str) -> TestResponse:
    return client.post("/api/data/import", data={"file": (io.BytesIO(content), name)})


def ended(client: FlaskClient, services: Services, answer: TestResponse) -> dict[str, Any]:
    """The job of a 202, when it has ended."""
    assert answer.status_code == 202, answer.json
    services.data_jobs.wait(answer.json["id"])
    (job,) = [job for job in client.get("/api/data/jobs").json if job["id"] == answer.json["id"]]
    found: dict[str, Any] = job
    return found


# ------------------------------------------------------------------------------------- coverage


def test_coverage_is_empty_then_names_each_series_with_gaps_and_months(
    client: FlaskClient, services: Services
):
    assert client.get("/api/data/coverage").json == []
    assert client.get("/api/data/archive").json["months"] == 0
    rows = hourly_rows(40 * 24)
    content = "\n".join(rows[:100] + rows[103:]).encode()
    ended(client, services, upload(client, content, "BTCUSDT-1h-2024.csv"))
    ended(client, services, upload(client, "\n".join(hourly_rows(3)).encode(), "ETHUSDT-1h.csv"))
    store = services.kline_store
    archiver = KlineArchiver(services.database, store, archive_root("", services.database))
    for month in list(archiver.months(SIMULATED_NOW_MS, {"BTC"})):
        archiver.archive(month)
    btc, eth = client.get("/api/data/coverage").json
    assert btc == {
        "coin": "BTC", "interval": "1h", "source": "binance", "bars": 957, "missing_bars": 3,
        "from": "2024-01-01T00:00:00Z", "to": "2024-02-09T23:00:00Z",
        "gaps": [{
            "start": "2024-01-05T04:00:00Z", "end": "2024-01-05T07:00:00Z", "bars": 3, "asked": True,
        }],
        "archived_months": ["2024-01", "2024-02"],
    }  # fmt: skip
    assert (eth["coin"], eth["bars"], eth["gaps"], eth["archived_months"]) == ("ETH", 3, [], [])
    assert client.get("/api/data/coverage?coins=eth").json == [eth]
    assert client.get("/api/data/coverage?interval=1m").json == []
    assert client.get("/api/data/coverage?coins=NOSUCH").status_code == 404
    assert client.get("/api/data/archive").json == {
        "place": f"{services.database.path.stem}.klines", "months": 2, "series": 1, "bars": 957,
        "from": "2024-01-01T00:00:00Z", "to": "2024-02-09T23:00:00Z",
    }  # fmt: skip


def test_an_archive_that_cannot_be_read_is_a_503(client: FlaskClient, services: Services):
    ended(client, services, upload(client, "\n".join(hourly_rows(9)).encode(), "BTCUSDT-1h.csv"))
    store = services.kline_store
    archiver = KlineArchiver(services.database, store, archive_root("", services.database))
    (month,) = archiver.months(SIMULATED_NOW_MS)
    archiver.archive(month)
    for file in services.database.path.parent.rglob("*.parquet"):
        file.unlink()
    answer = client.get(f"/api/klines/BTC?interval=1h&start={START_MS}&limit=3")
    assert (answer.status_code, answer.json["code"]) == (503, "archive_unavailable")


# ----------------------------------------------------------------------------------------- sync


def test_a_sync_fetches_what_is_missing_and_tells_listeners(
    client: FlaskClient, services: Services
):
    listener = services.events.listen(["data"])
    start = SIMULATED_NOW_MS - 30 * DAY_MS
    body = {"coins": ["BTC", "eth", "BTC"], "interval": "1h", "start": iso_utc(start)}
    job = ended(client, services, client.post("/api/data/sync", json=body))
    assert (job["status"], job["progress"], job["error"]) == ("done", 1.0, None)
    assert (job["kind"], job["detail"]) == ("sync", "BTC, ETH 1h")
    first = Interval.H1.ceil(start)
    for symbol in ("BTC", "ETH"):
        coin = coins.get(services.database.connection, symbol)
        stop = Interval.H1.floor(SIMULATED_NOW_MS)
        assert services.kline_store.missing(coin, "binance", Interval.H1, first, stop) == []
        assert len(services.kline_store.read(coin, "binance", Interval.H1, first, stop)) == 719
    states = [listener.next(5).payload["job"].id for _ in range(3)]  # type: ignore[union-attr]
    assert set(states) == {job["id"]}


def test_a_sync_without_a_source_fails_and_says_why(offline_app: Flask):
    services: Services = offline_app.extensions[EXTENSION]
    client = offline_app.test_client()
    kept = threading.Event.wait
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(threading.Event, "wait", lambda self, timeout=None: kept(self, 0))
        start = services.clock.now_ms() - 10 * HOUR_MS
        body = {"coins": ["BTC"], "interval": "1h", "start": start}
        answer = client.post("/api/data/sync", json=body)
        services.data_jobs._futures[answer.json["id"]].result(30)
    (job,) = client.get("/api/data/jobs").json
    assert job["status"] == "failed"
    assert "bars of BTC could not be had" in job["error"]


def test_a_sync_of_nothing_or_too_much_is_refused(client: FlaskClient):
    late, now = iso_utc(SIMULATED_NOW_MS + DAY_MS), iso_utc(SIMULATED_NOW_MS - 1000)
    for change, status in (
        ({"coins": []}, 400), ({"coins": [" "]}, 400), ({"start": True}, 400),
        ({"coins": ["NOSUCH"]}, 404), ({"interval": "1M"}, 400),
        ({"start": "yesterday"}, 400), ({"start": late}, 400), ({"end": "2024-05-01"}, 400),
        ({"start": 0, "interval": "1m"}, 400), ({"more": 1}, 400), ({"start": now}, 400),
    ):  # fmt: skip
        body: dict[str, Any] = {"coins": ["BTC"], "interval": "1h", "start": "2024-05-01"}
        answer = client.post("/api/data/sync", json=body | change)
        assert answer.status_code == status, change
    assert client.get("/api/data/jobs").json == []


def test_a_job_is_cancelled_once_and_keeps_what_it_has(client: FlaskClient, services: Services):
    started, go = threading.Event(), threading.Event()
    fetch = services.data_aggregator.fetch_history

    def fetch_slowly(*words: Any) -> Any:
        started.set()
        assert go.wait(10)
        return fetch(*words)

    with pytest.MonkeyPatch.context() as slow:
        slow.setattr(services.data_aggregator, "fetch_history", fetch_slowly)
        body = {"coins": ["BTC"], "interval": "1m", "start": iso_utc(SIMULATED_NOW_MS - 9 * DAY_MS)}
        running = client.post("/api/data/sync", json=body).json["id"]
        waiting = client.post("/api/data/sync", json=body).json["id"]
        assert started.wait(10)
        for job_id in (waiting, running):
            assert client.post(f"/api/data/jobs/{job_id}/cancel").status_code == 200
        go.set()
        for job_id in (running, waiting):
            services.data_jobs.wait(job_id)
    newest, oldest = client.get("/api/data/jobs").json
    assert (newest["id"], newest["status"]) == (waiting, "cancelled")
    assert (oldest["id"], oldest["status"]) == (running, "cancelled")
    (series,) = client.get("/api/data/coverage").json
    assert series["bars"] == 10_000
    again = client.post(f"/api/data/jobs/{running}/cancel")
    assert (again.status_code, again.json["code"]) == (409, "job_ended")
    assert client.post("/api/data/jobs/999/cancel").status_code == 404


def test_no_more_jobs_wait_than_can_be_looked_after(client: FlaskClient, services: Services):
    go = threading.Event()
    with pytest.MonkeyPatch.context() as slow:
        slow.setattr(services.data_aggregator, "fetch_history", lambda *_: go.wait(10))
        body = {"coins": ["BTC"], "interval": "1h", "start": "2024-05-01"}
        answers = [client.post("/api/data/sync", json=body).status_code for _ in range(21)]
        refused = upload(client, b"x", "BTCUSDT-1h.csv")
        services.data_jobs._jobs[1].unwanted.set()
        for job in services.data_jobs.jobs():
            job.unwanted.set()
        go.set()
    assert answers == [202] * 20 + [429]
    assert refused.status_code == 429


# --------------------------------------------------------------------------------------- import


def test_an_upload_is_taken_and_its_temporary_file_goes(
    client: FlaskClient, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    content = "\n".join(hourly_rows(2000)).encode()
    job = ended(client, services, upload(client, zipped({"a.csv": content}), "BTCUSDT-1h.zip"))
    assert (job["status"], job["detail"]) == ("done", "BTCUSDT-1h.zip: 2,000 candles of BTCUSDT")
    assert not list(tmp_path.glob("klines-*"))
    (series,) = client.get("/api/data/coverage").json
    assert series["bars"] == 2000


def test_a_file_with_another_name_is_refused(client: FlaskClient):
    for name in (
        "../../BTCUSDT-1h.csv", "/etc/BTCUSDT-1h.csv", "BTCUSDT-1h.csv\x00.zip", "candles.zip",
        "BTCUSDT-1h.exe", "..", "", "BTCUSDT-9h.csv", "C:\\BTCUSDT-1h.csv",
    ):  # fmt: skip
        assert upload(client, b"x", name).status_code == 400, name
    assert client.get("/api/data/jobs").json == []


def test_what_is_no_archive_of_candles_fails_and_says_why(client: FlaskClient, services: Services):
    bomb = zipped({"a.csv": b"0" * 60_000_000})
    many = zipped({f"{number}.csv": b"" for number in range(3000)})
    unknown = zipped({"a.csv": "\n".join(hourly_rows(2)).encode()})
    for content, name, reason in (
        (b"", "BTCUSDT-1h.zip", "cannot be read"),
        (b"PK\x03\x04 no archive", "BTCUSDT-1h.zip", "cannot be read"),
        (zipped({"../../evil.csv": b"1,2"}), "BTCUSDT-1h.zip", "line 1: has 2 columns"),
        (many, "BTCUSDT-1h.zip", "must hold one file, and holds 3000"),
        (bomb, "BTCUSDT-1h.zip", "has a line of more than 1000 characters"),
        (unknown, "MOONUSDT-1h.zip", "no coin is known that Binance trades as 'MOONUSDT'"),
    ):
        job = ended(client, services, upload(client, content, name))
        assert job["status"] == "failed"
        assert reason in job["error"]
    assert client.get("/api/data/coverage").json == []
    assert not list(services.database.path.parent.rglob("evil*"))


def test_uploads_are_limited_and_only_they_may_be_large(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    content = zipped({"a.csv": b"x"}) + b"0" * 1_500_000
    assert upload(client, content, "BTCUSDT-1h.zip").status_code == 202
    monkeypatch.setattr(routes.data, "MOST_DOWNLOADED_BYTES", 1_000_000)
    answer = upload(client, content, "BTCUSDT-1h.zip")
    assert (answer.status_code, answer.json["error"]) == (413, "The body is larger than 1 MB.")
    body = {"coins": ["B" * 1_200_000], "interval": "1h", "start": 0}
    assert client.post("/api/data/sync", json=body).status_code == 413


def test_a_form_without_a_file_is_refused(client: FlaskClient):
    other = (io.BytesIO(b"x"), "BTCUSDT-1h.csv")
    for form in ({}, {"file": "text"}, {"other": other}):
        assert client.post("/api/data/import", data=form).status_code == 400
    assert client.post("/api/data/import", json={}).status_code == 400
