"""Syncs and imports that pages ask for, one after the other in a thread of the background.

What a job stores stays, however it ends: asked for again, it goes on from there. The list of jobs
itself is the process's own and is gone with it.
"""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clock import SystemClock
from database import Database
from domain import Coin, Interval
from errors import (
    Conflict,
    InvalidInput,
    NotFound,
    SourceUnavailable,
    TooManyRequests,
    TradingSystemError,
)
from event_stream import EventStream
from kline_import import import_file
from kline_store import KlineStore
from kline_sync import KlineSync

MOST_UNFINISHED = 20
MOST_KEPT = 100
MOST_BARS = 20_000_000  # of one sync, of all its coins
PUBLISH_SECONDS = 0.5

log = logging.getLogger(__name__)

Status = Literal["queued", "running", "done", "failed", "cancelled"]


class JobCancelled(Exception):
    """Ends a job that nobody wants any more."""


@dataclass(slots=True)
class DataJob:
    """One sync or import; `progress` goes from 0 to 1, times are ms UTC of the wall clock."""

    id: int
    kind: Literal["sync", "import"]
    detail: str
    created_ms: int
    status: Status = "queued"
    progress: float = 0.0
    error: str | None = None
    error_code: str | None = None
    finished_ms: int | None = None
    unwanted: threading.Event = field(default_factory=threading.Event)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.status not in ("queued", "running")

    def go_on(self, progress: float) -> None:
        """Note how far it is. Raises JobCancelled when it is no longer wanted."""
        if self.unwanted.is_set():
            raise JobCancelled
        self.progress = min(1.0, progress)

    def wait(self, seconds: float) -> None:
        """Wait, but not for a job that is no longer wanted."""
        self.unwanted.wait(seconds)
        self.go_on(self.progress)


class DataJobs:
    """Queues, runs and lists them; each change is an event of the topic `data`."""

    def __init__(self, database: Database, store: KlineStore, sync: KlineSync, events: EventStream):
        self._database = database
        self._store = store
        self._sync = sync
        self._events = events
        self._wall_clock = SystemClock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="data-job")
        self._jobs: OrderedDict[int, DataJob] = OrderedDict()
        self._futures: dict[int, Future[None]] = {}
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._published = 0.0

    # ------------------------------------------------------------------------------- asking

    def sync(
        self, coins: Sequence[Coin], interval: Interval, start_ms: int, end_ms: int
    ) -> DataJob:
        """Queue a sync of a range. Raises InvalidInput (no bar, too many), TooManyRequests."""
        bars = self._sync.bars(interval, start_ms, end_ms) * len(coins)
        if bars > MOST_BARS:
            raise InvalidInput(
                f"That is {bars:,} bars, more than {MOST_BARS:,}.", code="range_too_long",
                fields={"start": "is too long ago"}, values={"most": MOST_BARS},
                reasons={"start": {"code": "range_too_long", "values": {"most": MOST_BARS}}},
            )  # fmt: skip
        names = ", ".join(coin.symbol for coin in coins)

        def run(job: DataJob) -> None:
            self._run_sync(job, coins, interval, start_ms, end_ms, bars)

        return self._queue("sync", f"{names} {interval}", run)

    def import_file(self, path: Path, folder: Path) -> DataJob:
        """Queue an import of `path`; `folder`, which holds it, is deleted afterwards."""

        def run(job: DataJob) -> None:
            archived = import_file(self._database, self._store, path, self._teller(job))
            job.detail = f"{path.name}: {len(archived.series):,} candles of {archived.symbol}"

        def ended() -> None:
            shutil.rmtree(folder, ignore_errors=True)

        return self._queue("import", path.name, run, ended)

    def jobs(self) -> list[DataJob]:
        """Those of this process, newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def count_unfinished(self) -> int:
        """How many are queued or running."""
        return sum(not job.has_ended for job in self.jobs())

    def cancel(self, job_id: int) -> DataJob:
        """End a job; what it has stored stays. Raises NotFound, Conflict (job_ended)."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.", code="unknown_job")
        if job.has_ended:
            raise Conflict("This job has ended already.", code="job_ended")
        job.unwanted.set()
        return job

    def wait(self, job_id: int) -> None:
        """Return when a job has ended."""
        future = self._futures.get(job_id)
        if future is not None:
            future.result()

    def stop(self) -> None:
        """End the one that runs at its next step, and none of the others begins."""
        for job in self.jobs():
            job.unwanted.set()
        self._thread.shutdown(wait=True)

    # ------------------------------------------------------------------------------ running

    def _queue(
        self,
        kind: Literal["sync", "import"],
        detail: str,
        run: Callable[[DataJob], None],
        ended: Callable[[], None] = lambda: None,
    ) -> DataJob:
        with self._lock:
            unfinished = sum(not job.has_ended for job in self._jobs.values())
            if unfinished >= MOST_UNFINISHED:
                ended()
                raise TooManyRequests(f"{unfinished} jobs are waiting already.", retry_after=30)
            job = DataJob(next(self._ids), kind, detail, self._wall_clock.now_ms())
            self._jobs[job.id] = job
            while len(self._jobs) > MOST_KEPT:
                oldest, _ = self._jobs.popitem(last=False)
                self._futures.pop(oldest, None)
            self._futures[job.id] = self._thread.submit(self._run, job, run, ended)
        self._publish(job)
        return job

    def _run(self, job: DataJob, run: Callable[[DataJob], None], ended: Callable[[], None]) -> None:
        try:
            job.go_on(0.0)
            job.status = "running"
            self._publish(job)
            run(job)
            job.status, job.progress = "done", 1.0
        except JobCancelled:
            job.status = "cancelled"
        except TradingSystemError as error:
            job.status, job.error, job.error_code = "failed", error.message, error.code
        except Exception as error:  # the edge: whatever went wrong must stand with the job
            log.exception("job %s failed", job.id)
            job.status, job.error = "failed", f"{type(error).__name__}: {error}"
        finally:
            ended()
            self._database.close()  # this thread's connection
            job.finished_ms = self._wall_clock.now_ms()
            self._publish(job)

    def _run_sync(
        self, job: DataJob, coins: Sequence[Coin], interval: Interval,
        start_ms: int, end_ms: int, bars: int,
    ) -> None:  # fmt: skip
        tell, done = self._teller(job), 0

        def on_bars(more: int) -> None:
            nonlocal done
            done += more
            tell(done / bars)

        failures = []
        for number, coin in enumerate(coins, start=1):
            synced = self._sync.sync(coin, interval, start_ms, end_ms, on_bars, job.wait)
            if synced.failure is not None:
                words = f"{synced.unanswered_bars:,} bars of {coin.symbol} could not be had"
                failures.append(f"{words}: {synced.failure.message}")
            done = bars // len(coins) * number
            tell(done / bars)
        if failures:
            raise SourceUnavailable(" ".join(failures))

    def _teller(self, job: DataJob) -> Callable[[float], None]:
        """Notes the progress, tells listeners now and then, and ends an unwanted job."""

        def tell(progress: float) -> None:
            job.go_on(progress)
            if time.monotonic() - self._published >= PUBLISH_SECONDS:
                self._publish(job)

        return tell

    def _publish(self, job: DataJob) -> None:
        self._published = time.monotonic()
        self._events.publish("data", {"job": job})
