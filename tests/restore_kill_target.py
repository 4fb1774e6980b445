"""A process that restores backups and makes new ones until it is killed."""

from __future__ import annotations

import itertools
from pathlib import Path

from audit_log import THE_APP
from backups import Backups
from clock import SystemClock
from database import Database
from database_restore import restore
from owner_settings import SettingsStore


class LateClock(SystemClock):
    """A second later at each look, so that every backup has a name of its own."""

    def __init__(self) -> None:
        self._late_ms = 0

    def now_ms(self) -> int:
        """Milliseconds UTC."""
        self._late_ms += 1000
        return super().now_ms() + self._late_ms


def main(database_path: str, *files: str) -> None:
    """Restore now the one file, now the other, and back up, for ever."""
    path, clock = Path(database_path), LateClock()
    database = Database(path, SystemClock())
    backups = Backups(database, path.parent / "backups", SettingsStore(database, 0.001), clock)
    print("at work", flush=True)  # noqa: T201 - what the test waits for
    for file in itertools.cycle(files):
        restore(database, Path(file), clock, THE_APP)
        backups.make(THE_APP)
