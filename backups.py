"""Copies of the database in a folder of their own: made while the app trades, listed, pruned.

A copy is the database alone, by default without the keys in it. Candles in the archive, what is in
Redis and the file of the secret key are not in it. See docs/decisions/0026-backups.md.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import audit_log
from audit_log import THE_APP, Action, Actor, Audited
from database import Database
from domain import HOUR_MS, Clock
from errors import Conflict, DataError, NotFound
from owner_settings import SettingsStore
from repositories import stored_secrets

NAME = re.compile(r"trading-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(-with-keys)?\.db")
TIME_IN_NAME = "%Y-%m-%dT%H-%M-%SZ"
CUT_OFF_AFTER_SECONDS = 6 * 3600.0  # no copy takes as long

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy in the folder; `made_ms` is the wall clock's time."""

    path: Path
    made_ms: int
    size: int
    with_keys: bool

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.path.name


class Backups:
    """The copies of one database in `folder`, named by the time of `wall_clock`."""

    def __init__(
        self, database: Database, folder: Path, settings: SettingsStore, wall_clock: Clock
    ):
        self.folder = folder
        self._database = database
        self._settings = settings
        self._wall_clock = wall_clock
        self._making = threading.Lock()
        self._failing = False  # told of once, until one has been made

    def make(self, by: Actor, *, with_keys: bool = False) -> Backup:
        """Make one now, and remove the oldest beyond the number that is kept.

        Raises Conflict (backup_running) while one is being made, DataError where it cannot be.
        """
        if not self._making.acquire(blocking=False):
            raise Conflict("A backup is being made already.", code="backup_running")
        try:
            made = self._made(with_keys)
            self._note(by, Action.BACK_UP, made.name, {"with_keys": with_keys})
            self._failing = False
            self._prune()
        finally:
            self._making.release()
        log.info("a backup has been made: %s (%d bytes)", made.path, made.size)
        return made

    def copy_to(self, target: Path, by: Actor, *, with_keys: bool = False) -> Path:
        """A copy in any other place, also of a database that has yet to be upgraded.

        Raises DataError where it cannot be made.
        """
        self._database.backup(target, None if with_keys else stored_secrets.forget)
        if all(row.applied_at is not None for row in self._database.status()):
            self._note(by, Action.BACK_UP, target.name, {"with_keys": with_keys})
        return target

    def make_if_due(self) -> Backup | None:
        """Make one if the newest is older than the owner wants."""
        hours = self._settings.load().backup_hours
        newest = next(iter(self.all()), None)
        now_ms = self._wall_clock.now_ms()
        # A clock that was set back must not put the next one off.
        if hours == 0 or (newest and 0 <= now_ms - newest.made_ms < hours * HOUR_MS):
            return None
        try:
            return self.make(THE_APP)
        except DataError as error:
            if not self._failing:
                self._failing = True
                self._note(THE_APP, Action.BACK_UP_FAILED, None, {"error": error.message})
            raise

    def all(self) -> list[Backup]:
        """What is in the folder, the newest first."""
        found = (_backup(path) for path in self.folder.glob("trading-*.db"))
        return sorted(filter(None, found), key=lambda backup: backup.name, reverse=True)

    def get(self, name: str) -> Backup:
        """One by the name of its file. Raises NotFound (unknown_backup)."""
        for backup in self.all():
            if backup.name == name:
                return backup
        raise NotFound(f"There is no backup {name}.", code="unknown_backup")

    def _note(self, by: Actor, action: Action, name: str | None, said: dict[str, Any]) -> None:
        """The row of the audit log; a copy does not hold that of its own making."""
        with self._database.transaction() as connection:
            audit_log.record(connection, by, action, Audited.DATABASE, name=name, after=said)

    def _made(self, with_keys: bool) -> Backup:
        moment = datetime.fromtimestamp(self._wall_clock.now_ms() // 1000, UTC)
        suffix = "-with-keys" if with_keys else ""
        target = self.folder / f"trading-{moment:{TIME_IN_NAME}}{suffix}.db"
        if target.exists():
            raise Conflict("A backup of this second is there already.", code="backup_running")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.folder} cannot be made: {error.strerror}.") from error
        self._database.backup(target, None if with_keys else stored_secrets.forget)
        made = _backup(target)
        if made is None:
            raise DataError(f"{target} is gone again.")
        return made

    def _prune(self) -> None:
        """Only what this module has named is ever removed; and what was cut off long ago."""
        for old in self.all()[self._settings.load().backups_kept :]:
            old.path.unlink(missing_ok=True)
            log.info("the backup %s is beyond those that are kept", old.name)
        now = self._wall_clock.now_ms() / 1000
        for unfinished in self.folder.glob("trading-*.db.part"):
            if now - unfinished.stat().st_mtime > CUT_OFF_AFTER_SECONDS:
                unfinished.unlink(missing_ok=True)


def _backup(path: Path) -> Backup | None:
    """The copy at `path`; None where it is none, or has just been removed."""
    match = NAME.fullmatch(path.name)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match[1], TIME_IN_NAME).replace(tzinfo=UTC)
        size = path.stat().st_size
    except (ValueError, OSError):
        return None
    return Backup(path, int(moment.timestamp() * 1000), size, match[2] is not None)
