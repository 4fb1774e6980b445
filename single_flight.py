"""Many callers of the same thing share one call."""

from __future__ import annotations

import threading
from collections.abc import Callable

from errors import SourceError, SourceUnavailable


class SingleFlight:
    """Calls one after the other: who waited for one that failed fails with it and asks no more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._last_failure: SourceError | None = None

    def run(self, question: Callable[[], None], patience_seconds: float = -1) -> None:
        """Run `question` alone, after waiting that long at most (−1: as long as it takes).

        Raises SourceError, its own or that of the call waited for.
        """
        seen = self._failures
        if not self._lock.acquire(timeout=patience_seconds):
            raise SourceUnavailable("An earlier question has not been answered in time.")
        try:
            if self._failures != seen and self._last_failure is not None:
                raise self._last_failure
            self._ask(question)
        finally:
            self._lock.release()

    def _ask(self, question: Callable[[], None]) -> None:
        try:
            question()
        except SourceError as error:
            self._failures += 1
            self._last_failure = error
            raise
