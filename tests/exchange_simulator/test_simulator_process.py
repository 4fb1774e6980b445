"""`python -m exchange_simulator`: it starts, says where it is, and ends when it should."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "exchange_simulator"]
START_MS = 1_704_067_200_000


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.fullmatch(r"Simulated exchange at (http://127\.0\.0\.1:\d+)\n", line)
        assert address is not None, line
        yield process, address[1]
    finally:
        process.kill()
        process.wait()


def state(url: str) -> dict[str, object]:
    answer: dict[str, object] = requests.get(f"{url}/control/state", timeout=5).json()
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal(number: signal.Signals):
    with running("--start-ms", str(START_MS), "--manual-clock") as (process, url):
        session = requests.Session()  # a connection that stays open must not keep it alive
        said = session.get(f"{url}/api/v3/time", timeout=5).json()
        assert said == {"serverTime": START_MS}
        process.send_signal(number)
        assert process.wait(5) == 0


def test_it_ends_with_the_process_that_started_it(tmp_path: Path):
    starter = (
        "import subprocess, sys;"
        f"child = subprocess.Popen({[*COMMAND, '--port', '0', '--with-parent']!r},"
        f" cwd={str(ROOT)!r}, stdout=subprocess.PIPE, text=True);"
        "print(child.pid, child.stdout.readline(), flush=True);"
        "sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    number, line = parent.stdout.readline().split(maxsplit=1)
    url = line.split()[-1]
    assert state(url)["market"] == "generated"
    parent.kill()
    parent.wait()
    try:
        wait_until_refused(url)
    except AssertionError:
        os.kill(int(number), signal.SIGKILL)
        raise


def wait_until_refused(url: str) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state(url)
        except requests.ConnectionError:
            return
        time.sleep(0.05)
    raise AssertionError("it is still there")


def test_it_replays_files_from_their_start_at_a_chosen_speed(tmp_path: Path):
    rows = [f"{START_MS + h * 3_600_000},10,12,9,11,5,0,50,7,2,20,0" for h in range(48)]
    (tmp_path / "BTCUSDT-1h-2024.csv").write_text("\n".join(rows))
    with running("--files", str(tmp_path), "--speed", "7200") as (_, url):
        first = state(url)
        time.sleep(0.5)
        second = state(url)
        assert (first["market"], first["symbols"]) == ("replayed", ["BTCUSDT"])
        seconds = (int(str(second["now_ms"])) - int(str(first["now_ms"]))) / 1000
        assert 0.48 * 7200 < seconds < 2 * 7200
        assert 0 <= int(str(first["now_ms"])) - START_MS < 24 * 3_600_000


def test_its_limits_can_be_counted_by_the_markets_clock():
    options = ("--start-ms", str(START_MS), "--manual-clock", "--limits-by-market-clock")
    with running(*options) as (_, url):
        ticker = f"{url}/api/v5/market/ticker?instId=BTC-USDT"

        def status() -> int:
            return requests.get(ticker, timeout=5).status_code

        assert [status() for _ in range(21)] == [200] * 20 + [429]
        requests.post(f"{url}/control/clock", json={"now_ms": START_MS + 2000}, timeout=5)
        assert status() == 200


def test_two_processes_with_the_same_numbers_show_the_same_time_and_market():
    wall_ms = time.time_ns() // 1_000_000
    options = ("--seed", "3", "--start-ms", str(START_MS), "--wall-start-ms", str(wall_ms))
    with running(*options) as (_, one), running(*options) as (_, other):
        times = [int(str(state(url)["now_ms"])) - START_MS for url in (one, other)]
        assert all(0 <= elapsed < 30_000 for elapsed in times)
        query = f"symbol=BTCUSDT&interval=1h&endTime={START_MS - 1}"
        klines = [
            requests.get(f"{url}/api/v3/klines?{query}", timeout=5).json() for url in (one, other)
        ]
        assert klines[0] == klines[1]
        assert len(klines[0]) == 500


def test_what_it_cannot_do_is_said_plainly(tmp_path: Path):
    (tmp_path / "BTCUSDT-1h.csv").write_text("what is this")
    with running() as (_, url):
        port = url.rsplit(":", 1)[1]
        for options, status, words in [
            (["--port", port], 1, "address already in use"),
            (["--files", str(tmp_path)], 1, "BTCUSDT-1h.csv, line 1"),
            (["--files", str(tmp_path / "none")], 1, "not named SYMBOL-INTERVAL"),
            (["--speed", "0"], 2, "must be a positive number"),
            (["--speed", "nan"], 2, "must be a positive number"),
            (["--seed", "-1"], 2, "must not be negative"),
            (["--port", "70000"], 2, "at most 65535"),
        ]:
            ended = subprocess.run(
                [*COMMAND, *options], cwd=ROOT, capture_output=True, text=True, timeout=20
            )
            assert ended.returncode == status
            assert words in ended.stderr
            assert "Traceback" not in ended.stderr
