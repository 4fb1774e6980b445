"""Processes that are there to be killed: begun one after the other, heard, ended with SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nursery import ENDED

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"


class Victims:
    """Processes of one module's `main`, one at a time; see nursery.py."""

    def __init__(self, nursery: subprocess.Popen[str]):
        self._nursery = nursery
        self._alive: int | None = None

    def begin(self) -> None:
        """Begin one; it has said that it is at work when this returns."""
        assert self._nursery.stdin is not None
        self._nursery.stdin.write("\n")
        self._nursery.stdin.flush()
        self._alive = int(self.hear())
        assert self.hear() == "at work"

    def hear(self) -> str:
        """What it says next."""
        line = self._line()
        assert line not in ("", ENDED), "it ended by itself"
        return line

    def kill(self) -> list[str]:
        """End it at once; what it had still said."""
        assert self._alive is not None
        os.kill(self._alive, signal.SIGKILL)
        self._alive = None
        return list(iter(lambda: self._line() or ENDED, ENDED))

    def end(self) -> None:
        """Nobody is left, neither here nor there."""
        if self._alive is not None:
            os.kill(self._alive, signal.SIGKILL)
        self._nursery.kill()

    def _line(self) -> str:
        assert self._nursery.stdout is not None
        return self._nursery.stdout.readline().strip()


@contextmanager
def victims(module: str, *arguments: object) -> Iterator[Victims]:
    """Processes that run `main` of a module of this folder; whichever is left at the end is killed."""
    command = [sys.executable, str(TESTS / "nursery.py"), module, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(TESTS)))}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as nursery:
        found = Victims(nursery)
        try:
            yield found
        finally:
            found.end()
