"""The real process: it says where it is, answers, ends when told to, and goes on where it was."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from addresses import NOWHERE, sources_at
from page_client import page_session

from access_tokens import Scope
from app import create_app
from audit_log import COMMAND_LINE
from clock import SystemClock
from config import Config
from errors import PasswordNeeded
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from routes.services import EXTENSION, Services
from server import serve

ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery"
COMMAND = [sys.executable, "-m", "flask", "--app", "app", "serve"]
MODEL = {"name": "Holder", "trader": "buy_and_hold", "coins": ["BTC"], "cycle_minutes": 1}


@pytest.fixture
def exchange() -> Iterator[SimulatorServer]:
    """The exchange at the wall's time, which is the process's."""
    with SimulatorServer(GeneratedMarket(seed=7), SystemClock()) as server:
        yield server


def environment(folder: Path, **settings: str) -> dict[str, str]:
    return os.environ | {
        "DATABASE_PATH": str(folder / "trading.db"),
        **NOWHERE,
        "PORT": "0",
        "TRADING_LOOP": "on",
        "PRICE_POLL_SECONDS": "0.2",
        "LOG_LEVEL": "WARNING",
        **settings,
    }


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address."""
    process = subprocess.Popen(
        COMMAND, cwd=ROOT, env=environment(folder, **settings),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = ""
        while "http://" not in said:
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            said += line
        address = re.search(r"Open (http://\S+:\d+)\n", said)
        assert address is not None, said
        yield process, address[1]
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> float:
    """Ask it to end; how long that took."""
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(20) == 0
    return time.monotonic() - began


def test_it_trades_ends_when_told_and_goes_on_where_it_was(
    tmp_path: Path, exchange: SimulatorServer
):
    settings = sources_at(exchange.url)
    with serving(tmp_path, **settings) as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        page = page_session(address)
        model_id = page.post(f"{address}/api/models", json=MODEL, timeout=5).json()["id"]
        health = requests.get(f"{address}/api/health", timeout=5).json()
        assert health["scheduler"]["running"] is True
        assert health["scheduler"]["next_cycle"] is not None
        ran = page.post(f"{address}/api/models/{model_id}/execute", json={}, timeout=10).json()
        assert (ran["success"], len(ran["executions"])) == (True, 1)
        with closing(requests.get(f"{address}/api/stream", stream=True, timeout=5)) as stream:
            lines = stream.iter_lines()
            assert next(lines) == b"retry: 2000"
            assert any(line == b"event: price" for line in lines)
            assert end(process) < 4  # also while a page listens
            assert b"".join(lines) is not None  # the stream has an end, and is no broken one
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    with serving(tmp_path, **settings) as (process, address):
        portfolio = requests.get(f"{address}/api/models/{model_id}/portfolio", timeout=5).json()
        assert [held["coin"] for held in portfolio["portfolio"]["positions"]] == ["BTC"]
        assert end(process, signal.SIGINT) < 4


def loop_of(address: str) -> Any:
    return requests.get(f"{address}/api/health", timeout=5).json()["loop"]


def wait_for_loop(address: str, seconds: float) -> float:
    """Wait until the process runs the loop; how long that took."""
    began = time.monotonic()
    while not loop_of(address)["mine"]:
        assert time.monotonic() - began < seconds, loop_of(address)
        time.sleep(0.05)
    return time.monotonic() - began


def test_a_second_process_takes_no_cycle_and_takes_over_from_the_first(
    tmp_path: Path, exchange: SimulatorServer
):
    settings = sources_at(exchange.url)
    with serving(tmp_path, **settings) as (first, one), serving(tmp_path, **settings) as (_, two):
        holder = loop_of(one)
        assert (holder["mine"], loop_of(two)["mine"]) == (True, False)
        assert loop_of(two)["holder"] == holder["holder"]
        health = requests.get(f"{two}/api/health", timeout=5).json()
        assert health["scheduler"] == {"running": False, "next_cycle": None}
        page = page_session(two)
        model_id = page.post(f"{two}/api/models", json=MODEL, timeout=5).json()["id"]
        refused = page.post(f"{two}/api/models/{model_id}/execute", json={}, timeout=10)
        assert (refused.status_code, refused.json()["code"]) == (409, "loop_elsewhere")

        # One process stops it for both.
        page.post(f"{two}/api/trading/stop-all", json={}, timeout=5)
        page_of_one = page_session(one)
        asked = page_of_one.post(f"{one}/api/models/{model_id}/execute", json={}, timeout=10)
        assert asked.json()["code"] == "trading_halted"
        page_of_one.post(f"{one}/api/trading/resume", json={}, timeout=5)

        end(first)
        assert wait_for_loop(two, 5) < 3  # handed over at once
        ran = page.post(f"{two}/api/models/{model_id}/execute", json={}, timeout=10).json()
        assert (ran["success"], len(ran["executions"])) == (True, 1)


def test_a_backtest_that_the_end_cuts_off_is_run_again(tmp_path: Path, exchange: SimulatorServer):
    settings = {**sources_at(exchange.url), "TRADING_LOOP": "off"}
    run = {
        "trader": "random", "coins": ["BTC"], "interval": "1m",
        "params": {"enter_chance": 0.5, "close_chance": 0.5},
        "start_date": "2024-01-01", "end_date": "2024-01-20",
        "decide_every": 2,  # asked bar by bar, it takes long enough to be seen under way
    }  # fmt: skip
    with serving(tmp_path, **settings) as (process, address):
        asked = (
            page_session(address).post(f"{address}/api/backtest/run", json=run, timeout=10).json()
        )
        url = asked["status_url"]
        wait_for(f"{address}{url}", lambda backtest: 0 < backtest["progress"] < 1)
        assert end(process) < 4
    with serving(tmp_path, **settings) as (process, address):
        wait_for(f"{address}{url}", lambda backtest: backtest["status"] == "done")
        end(process)


def wait_for(url: str, condition: Callable[[Any], bool]) -> None:
    """Ask until the answer is so; an end that it cannot be any more is an error."""
    answer = None
    for _ in range(1500):
        answer = requests.get(url, timeout=5).json()
        if condition(answer):
            return
        assert answer["status"] in ("queued", "running"), answer
        time.sleep(0.02)
    raise AssertionError(answer)


def test_it_listens_by_the_name_of_the_loopback_too(tmp_path: Path):
    with serving(tmp_path, HOST="localhost", TRADING_LOOP="off") as (process, address):
        health = requests.get(f"{address}/api/health", timeout=5).json()
        assert health["scheduler"] == {"running": False, "next_cycle": None}
        end(process)


def refused(folder: Path, **settings: str) -> str:
    """What it says when it does not start."""
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=environment(folder, **settings),
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stderr


def test_many_browsers_leave_a_place_for_a_script(tmp_path: Path):
    """Each keeps several connections open, whether it asks for something or not."""
    with serving(tmp_path, TRADING_LOOP="off") as (_, address), ExitStack() as idle:
        port = int(address.rsplit(":", 1)[1])
        for _ in range(200):
            idle.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
        assert requests.get(f"{address}/api/version", timeout=10).status_code == 200


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused(tmp_path, PORT=port)
    assert said.startswith("Error: ")
    assert port in said
    assert "Traceback" not in said


def test_a_database_that_is_none_is_one_sentence(tmp_path: Path):
    (tmp_path / "trading.db").write_text("My holiday notes. " * 500)
    said = refused(tmp_path)
    assert said.startswith("Error: ")
    assert "cannot be used as a database" in said
    assert "Traceback" not in said


def test_it_does_not_start_where_others_reach_it_without_a_password(tmp_path: Path):
    said = refused(tmp_path, HOST="0.0.0.0")
    assert said.startswith("Error: Listening on 0.0.0.0, others than this computer could trade")
    assert said.endswith("flask --app app user set-password\n")
    assert not (tmp_path / "trading.db").exists()


@pytest.mark.parametrize(
    "settings",
    [{"HOST": "192.168.1.7"}, {"HOST": "::"}, {"ALLOWED_HOSTS": "a.example"}, {"TRUSTED_PROXY": "::1"}],
)  # fmt: skip
def test_a_database_without_a_password_changes_nothing_of_that(
    app_config: Config, settings: dict[str, str]
):
    app = create_app(app_config.model_copy(update=settings))
    services: Services = app.extensions[EXTENSION]
    services.database.upgrade()
    with pytest.raises(PasswordNeeded, match="Set a password first"):
        serve(app)
    services.database.close()


@pytest.fixture
def script(tmp_path: Path, quick_hashes: object) -> dict[str, str]:
    """The headers of a script that may read; `tmp_path` has a database with a password."""
    app = create_app(Config(DATABASE_PATH=tmp_path / "trading.db", **NOWHERE))
    services: Services = app.extensions[EXTENSION]
    services.database.upgrade()
    services.access.set_password(PASSWORD, COMMAND_LINE)
    made = services.access.make_token("script", Scope.READ, None, COMMAND_LINE)
    services.database.close()
    return {"Authorization": f"Bearer {made.text}"}


def test_with_a_password_it_serves_others_who_sign_in_or_have_a_token(
    tmp_path: Path, script: dict[str, str]
):
    with serving(tmp_path, HOST="0.0.0.0", TRADING_LOOP="off") as (process, address):
        port = address.rsplit(":", 1)[1]
        assert address == f"http://0.0.0.0:{port}"
        for name in ("127.0.0.1", "192.168.1.7", socket.gethostname()):
            there = {"Host": f"{name}:{port}"}
            assert (
                requests.get(f"{address}/api/models", headers=there, timeout=5).status_code == 401
            )
            read = requests.get(f"{address}/api/models", headers=there | script, timeout=5)
            assert (read.status_code, read.json()) == (200, [])
        page = requests.get(f"{address}/models", headers={"Accept": "text/html"}, timeout=5)
        assert page.url == f"{address}/login?next=/models"
        rebound = {"Host": f"evil.example:{port}"} | script
        assert requests.get(f"{address}/api/models", headers=rebound, timeout=5).status_code == 403
        end(process)


def test_behind_its_proxy_it_answers_by_the_proxys_name_and_for_tls(
    tmp_path: Path, script: dict[str, str]
):
    settings = {"TRUSTED_PROXY": "127.0.0.1", "ALLOWED_HOSTS": "trading.example"}
    with serving(tmp_path, TRADING_LOOP="off", **settings) as (process, address):
        sent = {
            "X-Forwarded-Proto": "https", "X-Forwarded-Host": "trading.example",
            "X-Forwarded-For": "203.0.113.9", "Origin": "https://trading.example",
        }  # fmt: skip
        form = {"data": {"password": PASSWORD}, "allow_redirects": False, "timeout": 5}
        answer = requests.post(f"{address}/login?next=/models", headers=sent, **form)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/models")
        assert "; Secure;" in answer.headers["Set-Cookie"]
        elsewhere = sent | {"X-Forwarded-Host": "evil.example"}
        assert requests.post(f"{address}/login", headers=elsewhere, **form).status_code == 403
        end(process)
    database = sqlite3.connect(tmp_path / "trading.db")
    (signed_in,) = database.execute("SELECT object_name FROM audit_log WHERE action = 'sign_in'")
    assert signed_in == ("203.0.113.9",)
    database.close()


def test_what_anybody_else_says_of_a_proxy_is_not_believed(tmp_path: Path, script: dict[str, str]):
    settings = {"TRUSTED_PROXY": "192.168.1.7", "ALLOWED_HOSTS": "trading.example"}
    with serving(tmp_path, TRADING_LOOP="off", **settings) as (process, address):
        sent = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
        form = {"data": {"password": PASSWORD}, "allow_redirects": False, "timeout": 5}
        answer = requests.post(f"{address}/login", headers=sent, **form)
        assert answer.status_code == 303
        assert "Secure" not in answer.headers["Set-Cookie"]
        end(process)
    database = sqlite3.connect(tmp_path / "trading.db")
    (signed_in,) = database.execute("SELECT object_name FROM audit_log WHERE action = 'sign_in'")
    assert signed_in == ("127.0.0.1",)
    database.close()
