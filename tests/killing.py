"""Processes that are there to be killed: started, waited for until they are at work, ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"


@contextmanager
def at_work(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of a script of this folder, once it has said a first line; ended with SIGKILL."""
    command = [sys.executable, str(TESTS / script), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(TESTS)))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert said, f"{script} ended before it was at work"
            yield process
        finally:
            process.kill()
