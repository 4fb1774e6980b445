"""Work beside the one who notices that it is due: in a thread of its own, not too often."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Occasionally:
    """Runs `job` at most every `every_seconds` of real time, one run at a time.

    Where there is a hurry, that is `hurried_seconds`.
    """

    def __init__(
        self,
        every_seconds: float,
        job: Callable[[], None],
        name: str,
        *,
        hurried_seconds: float | None = None,
    ):
        self._every_seconds = every_seconds
        self._hurried_seconds = every_seconds if hurried_seconds is None else hurried_seconds
        self._job = job
        self._name = name
        self._lock = threading.Lock()
        self._begun: float | None = None
        self._thread: threading.Thread | None = None

    def poke(self) -> None:
        """Begin a run if one is due and none is under way."""
        self._begin_after(self._every_seconds)

    def hurry(self) -> None:
        """Begin a run that is wanted soon, if none has just begun and none is under way."""
        self._begin_after(self._hurried_seconds)

    def _begin_after(self, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            if self._begun is not None and now < self._begun + seconds:
                return
            if self._thread is not None and self._thread.is_alive():
                return
            self._begun = now
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait for the run that is under way."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            self._job()
        except Exception:  # the edge of a thread: the next run may do better
            log.exception("%s failed", self._name)
