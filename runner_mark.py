"""A mark that shows whether the process that took something up still lives.

A file named by a random number, locked for as long as its process lives: the kernel lets go of it the
moment that process ends, however it ends. POSIX alone (flock).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
from pathlib import Path


class RunnerMark:
    """This process's mark beside `database_path`, made at the first use."""

    def __init__(self, database_path: Path):
        self._stem = f"{database_path.name}-runner-"
        self._folder = database_path.parent
        self._file: int | None = None
        self._number = secrets.randbits(48)
        self._lock = threading.Lock()

    @property
    def number(self) -> int:
        """Who this is; from now on it counts as alive."""
        with self._lock:
            if self._file is None:
                self._file = os.open(self._path(self._number), os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._number

    def lives(self, number: int) -> bool:
        """Whether the process with this number is alive; what a dead one left is removed."""
        if number == self._number:
            return True
        try:
            file = os.open(self._path(number), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        self._remove(number)
        return False

    def release(self) -> None:
        """No longer alive, as far as others are concerned."""
        with self._lock:
            if self._file is not None:
                self._remove(self._number)
                os.close(self._file)
                self._file = None

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._stem}{number:012x}.lock"

    def _remove(self, number: int) -> None:
        with contextlib.suppress(FileNotFoundError):  # another process was first
            self._path(number).unlink()
