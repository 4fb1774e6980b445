"""Threads that wait for work, each with a process that does it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from typing import ParamSpec, TypeVar

from log_lines import LogTerms, terms_of_workers, write_log

PARENT_POLL_SECONDS = 1.0
POOL_END_SECONDS = 5.0
WATCH_SECONDS = 0.3
ATTEMPTS = 3

P = ParamSpec("P")
T = TypeVar("T")


class WorkerLane:
    """`workers` things at once, the others in a row; processes are started at the first work."""

    def __init__(self, name: str, workers: int):
        self._workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def queue(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a thread do `step` in its turn."""
        return self._threads.submit(step, *args, **kwargs)

    def in_process(self, watch: Callable[[], None], work: Callable[..., T], *args: object) -> T:
        """What a process makes of `work`; meanwhile `watch` is called, and may raise to give up.

        A process that dies takes those beside it along, so that what it was at is begun again.
        Raises BrokenProcessPool where that has happened too often.
        """
        for attempt in range(1, ATTEMPTS + 1):
            watch()
            pool = self._process_pool()
            try:
                return _watched(pool.submit(work, *args), watch)
            except BrokenProcessPool:
                self._forget(pool)
                if attempt == ATTEMPTS:
                    watch()
                    raise
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """End the processes, whatever they are at; what waits is not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._stopped = True
            if self._pool is not None:
                end_workers(self._pool)
                self._pool = None

    def _process_pool(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._stopped:
                raise BrokenProcessPool("no process is started any more")
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._workers,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=begin_worker,
                    initargs=(os.getpid(), terms_of_workers()),
                )
            return self._pool

    def _forget(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                self._pool = None


def _watched(future: Future[T], watch: Callable[[], None]) -> T:
    while True:
        try:
            return future.result(WATCH_SECONDS)
        except NotYet:
            watch()


def end_workers(pool: ProcessPoolExecutor) -> None:
    """End a pool now, whatever its workers are at (Python 3.14 has `terminate_workers` for it).

    The pool is told first and its own thread waited for last: told after its workers have died,
    or at the interpreter's end, it would write to a pipe that this thread has just closed.
    """
    workers = list(pool._processes.values())
    # typeshed takes it for something else.
    manager: threading.Thread | None = pool._executor_manager_thread  # type: ignore[assignment]
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    if manager is not None:
        manager.join(POOL_END_SECONDS)


def begin_worker(parent: int, log_terms: LogTerms) -> None:
    """In a new process: log its parent's way, and end with it.

    Ctrl-C reaches every process of a terminal: the parent answers it, and then ends this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    write_log(log_terms)
    end_with_parent(parent)


def end_with_parent(parent: int) -> None:
    """Let this process end when `parent` does, however that ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
