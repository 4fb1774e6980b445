"""How long the one who asks can wait, known to everybody on the way to the source.

A question that is asked for a page or a cycle has a budget of seconds in all; each source that may
have to answer it gets a share, so that there is time left for the next. A limit on each read does
not bound an answer that comes in drops: the question runs in a thread of its own, which is left
behind when the share is used up.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from errors import SourceUnavailable
from log_context import with_these_ids
from source_answers import title

UNHURRIED_SECONDS = 30.0  # for whoever has named no budget: lists, checks, commands
NOT_ASKED = "not_asked"  # the code of an error that says nothing about the source
MOST_LEFT_BEHIND = 24  # threads of one source at once, those left behind included

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Patience:
    """Until when (`time.monotonic`) to wait, whether in a rate limit's queue too, and what for."""

    until: float
    queues: bool = True
    is_history: bool = False

    @property
    def seconds_left(self) -> float:
        """What is left, 0 at least."""
        return max(0.0, self.until - time.monotonic())


_patience: contextvars.ContextVar[Patience | None] = contextvars.ContextVar(
    "patience", default=None
)


def patience() -> Patience:
    """The patience of the one who asks."""
    return _patience.get() or Patience(time.monotonic() + UNHURRIED_SECONDS)


@contextmanager
def patient(chosen: Patience) -> Iterator[None]:
    """Ask with this patience."""
    token = _patience.set(chosen)
    try:
        yield
    finally:
        _patience.reset(token)


@contextmanager
def for_history(seconds: float) -> Iterator[None]:
    """Ask for history: it waits for its turn, and leaves a part of every limit to live questions."""
    with patient(Patience(time.monotonic() + seconds, queues=True, is_history=True)):
        yield


class TimeBudget:
    """Seconds for a live question in all, shared out among those who may have to answer it."""

    def __init__(self, seconds: float):
        self._until = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """What is left, 0 at least."""
        return max(0.0, self._until - time.monotonic())

    @contextmanager
    def share(self, sources_left: int) -> Iterator[None]:
        """Ask the next one, when `sources_left` (with it) may still be asked.

        The last one may wait for its turn in a rate limit: there is nobody else to go to.
        """
        last = sources_left <= 1
        seconds = self.seconds_left / max(sources_left, 1)
        with patient(Patience(time.monotonic() + seconds, queues=last)):
            yield


class Askers:
    """The threads in which one source is asked. `name` is the source's, in sentences."""

    def __init__(self, name: str):
        self._name = name
        self._places = threading.BoundedSemaphore(MOST_LEFT_BEHIND)

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer, if it comes while there is patience. Raises SourceUnavailable, or its own."""
        asking = patience()
        seconds = asking.seconds_left
        if seconds <= 0:
            raise SourceUnavailable(
                f"There was no time left to ask {title(self._name)}.", code=NOT_ASKED
            )
        if not self._places.acquire(timeout=seconds):
            raise SourceUnavailable(f"{title(self._name)} has left too many questions unanswered.")
        coming: Future[Answer] = Future()

        def answer() -> None:
            try:
                with patient(asking):
                    coming.set_result(question())
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                coming.set_exception(error)
            finally:
                self._places.release()

        threading.Thread(
            target=with_these_ids(answer), name=f"ask-{self._name}", daemon=True
        ).start()
        try:
            return coming.result(asking.seconds_left)
        except FutureTimeout:
            if coming.done():  # at the last moment, or it is the question's own time-out
                return coming.result()
            raise SourceUnavailable(
                f"{title(self._name)} did not answer in {seconds:.1f} s."
            ) from None
