"""Requests that are worked on at once are few, however many threads wait with one.

All share one interpreter lock, which passes from hand to hand at every row of the database. Among
dozens who want it, each passing takes longer than the work between two: everybody waits, and the
processor is idle. See docs/decisions/0031-under-load.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class FewAtOnce:
    """A WSGI application in front of `application`: a request waits for one of `most` places.

    After `patience_seconds` it is worked on without one: those that hold the places may be waiting
    for an exchange or a language model, and nobody waits for that. An answer that is a stream gives
    its place back before its first line.
    """

    def __init__(self, application: Application, most: int, patience_seconds: float):
        self._application = application
        self._places = threading.Semaphore(most)
        self._patience_seconds = patience_seconds

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """The answer, as WSGI has it."""
        has_place = self._places.acquire(timeout=self._patience_seconds)
        try:
            return self._application(environ, start_response)
        finally:
            if has_place:
                self._places.release()
