"""The app as a process of its own and a real browser, for the end-to-end tests and the pictures."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).parent.parent
BROWSERS = (
    "chromium-headless-shell", "google-chrome", "google-chrome-stable", "chromium", "chromium-browser",
)  # fmt: skip
ENDING_SECONDS = 20


@dataclass(frozen=True)
class RunningServer:
    """A server that has printed its address."""

    address: str
    process: subprocess.Popen[str]


@contextmanager
def running(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[RunningServer]:
    """`python ‹arguments›` from its printed address on until SIGTERM.

    Raises AssertionError where it does not start, does not end with status 0 in time, or wrote a
    traceback; with what it wrote to standard error.
    """
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=os.environ | environment, text=True,
            stdout=subprocess.PIPE, stderr=log,
        ) as process,
    ):  # fmt: skip
        try:
            yield RunningServer(_printed_address(process), process)
        finally:
            status = _end(process)
            log.seek(0)
            written = log.read()
        assert status == 0, f"ended with status {status}:\n{written}"
        assert "Traceback" not in written, written


def demo_server(
    database_path: Path, speed: float | None = None
) -> AbstractContextManager[RunningServer]:
    """The demo on a database of its own, on a free port."""
    environment = {"DEMO_DATABASE_PATH": str(database_path), "PORT": "0"}
    if speed is not None:
        environment["DEMO_CLOCK_SPEED"] = str(speed)
    return running(["-m", "demo"], environment)


def launch_browser(playwright: Playwright) -> Browser:
    """A Chromium or Chrome that is installed, else Playwright's own, without a window."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def _printed_address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # it is a pipe
    for line in process.stdout:
        if "http://" in line:
            return line[line.index("http://") :].strip()
    raise AssertionError("the server ended before it printed its address")


def _end(process: subprocess.Popen[str]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"still running {ENDING_SECONDS} s after SIGTERM") from None
