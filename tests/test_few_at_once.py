"""Few requests are worked on at once, and nobody waits long for those that wait for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from few_at_once import FewAtOnce


class Busy:
    """Counts who is in it at once."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._lock = threading.Lock()
        self._inside = self.most = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        time.sleep(self._seconds)
        with self._lock:
            self._inside -= 1
        if environ.get("fails"):
            raise ValueError("a bug")
        return [b"done"]


def ask(application: FewAtOnce, **environ: Any) -> Iterable[bytes]:
    return application(environ, lambda *head: None)


def test_two_at_a_time():
    busy = Busy(0.01)
    few = FewAtOnce(busy, 2, 30)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda number: ask(few), range(24)))
    assert answers == [[b"done"]] * 24
    assert busy.most == 2


def test_who_waits_for_others_keeps_nobody_for_long():
    entered, ended = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("asks_an_exchange"):
            entered.set()
            ended.wait(30)
        return [b"done"]

    few = FewAtOnce(slow, 1, 0.05)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lambda: ask(few, asks_an_exchange=True))
        assert entered.wait(30)
        assert ask(few) == [b"done"]
        assert not waiting.done()
        ended.set()


def test_a_place_comes_back_from_a_failure_and_from_a_stream():
    few = FewAtOnce(Busy(0), 1, 30)
    for _ in range(3):
        with pytest.raises(ValueError, match="a bug"):
            ask(few, fails=True)
    assert ask(few) == [b"done"]

    def endless() -> Iterable[bytes]:
        while True:
            yield b"line"

    streaming = FewAtOnce(lambda environ, start: endless(), 1, 30)
    open_streams = [iter(ask(streaming)) for _ in range(3)]
    assert [next(stream) for stream in open_streams] == [b"line"] * 3
