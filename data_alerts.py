"""Data alerts: what was found about the sources' data, kept for its reader, each once in a while."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from data_findings import Finding
from database import Database
from domain import Clock
from occasionally import Occasionally
from repositories import data_alerts
from repositories.data_alerts import DataAlert

QUIET_MS = 600_000  # in which the same thing is not told again
MOST_OF_A_KIND = 20  # of one source in that time: what is wrong with all coins is told by some
MOST_KEPT = 5_000
MOST_WAITING = 1_000

log = logging.getLogger(__name__)


class DataAlerts:
    """Takes findings from any thread without making it wait for the database.

    `on_alert` is called after new ones; `wall_clock` stamps them.
    """

    def __init__(
        self, database: Database, wall_clock: Clock, on_alert: Callable[[], None] = lambda: None
    ):
        self._database = database
        self._wall_clock = wall_clock
        self._on_alert = on_alert
        self._lock = threading.Lock()
        self._writing_lock = threading.Lock()
        self._waiting: list[DataAlert] = []
        self._told_ms: dict[tuple[str, str, str | None], int] = {}
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}  # since when, and how many
        self._writing = Occasionally(1.0, self._write_and_leave, "data-alerts")

    def tell(self, findings: Iterable[Finding]) -> None:
        """Keep those findings that have not been told within the last ten minutes."""
        now_ms = self._wall_clock.now_ms()
        new = False
        with self._lock:
            for found in findings:
                if not self._is_news(found, now_ms):
                    continue
                if len(self._waiting) < MOST_WAITING:
                    self._waiting.append(_alert(now_ms, found))
                log.warning("data alert: %s: %s", found.kind, found.message)
                new = True
        if new:
            self._writing.poke()
            self._on_alert()

    def _is_news(self, found: Finding, now_ms: int) -> bool:
        """Whether neither this nor much of its kind has been told lately; notes that it is."""
        what, kind = (found.kind, found.source, found.coin), (found.kind, found.source)
        if now_ms - self._told_ms.get(what, now_ms - QUIET_MS) < QUIET_MS:
            return False
        since_ms, count = self._counts.get(kind, (now_ms, 0))
        if now_ms - since_ms >= QUIET_MS:
            since_ms, count = now_ms, 0
        if count >= MOST_OF_A_KIND:
            return False
        self._told_ms[what] = now_ms
        self._counts[kind] = (since_ms, count + 1)
        return True

    def newest(self, limit: int, before: int | None = None) -> list[DataAlert]:
        """The newest alerts, newest first."""
        self._write()
        return data_alerts.newest(self._database.connection, limit, before)

    def _write(self) -> None:
        with self._writing_lock:  # who reads afterwards waits for what is being written
            with self._lock:
                waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            with self._database.transaction() as connection:
                data_alerts.add(connection, waiting, MOST_KEPT)

    def _write_and_leave(self) -> None:
        try:
            self._write()
        finally:
            self._database.close()  # this thread's connection


def _alert(now_ms: int, found: Finding) -> DataAlert:
    return DataAlert(
        now_ms, found.kind, found.source, found.coin, found.message, found.code, found.values
    )
