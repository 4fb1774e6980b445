"""The trading loop: a job per enabled model on its cycle, exits on every price, housekeeping.

Jobs are aligned to the market's clock (a 60-minute cycle runs at the full hour UTC) and run on
APScheduler's threads. A time that passed while the process was down is not run later: the market
of that time is gone. All of it is done by the one process that holds the lease; another one
watches for it, and takes over when the holder ends or dies.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from clock import SystemClock
from database import Database
from domain import MINUTE_MS, Clock, TradingModel
from errors import Conflict, TradingSystemError
from exit_watch import ExitWatch
from latest_prices import KnownPrice
from price_stream import PriceStream
from repositories import models
from trading_desk import TradingDesk

CYCLE_THREADS = 64  # most of them wait for an LLM
SPREAD_PLACES, SPREAD_SECONDS = 25, 5.0  # cycles that are due together begin one by one
VALUE_EVERY_MINUTES = 1
MISFIRE_SECONDS = 30
LEASE_LOOK_SECONDS = 1.0
CLOCK_JUMP_SECONDS = 1.0
MODEL_JOB = "model-"  # how the ids of the models' jobs begin

log = logging.getLogger(__name__)


class AlignedTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires whenever `clock` shows a multiple of `every_minutes` since the epoch.

    `place` puts it a little later (five seconds at most, and half a turn), so that models which
    are due together do not wait for each other's work: twenty at the same moment take turns on one
    processor, and each of them takes as long as all.
    """

    def __init__(self, clock: Clock, every_minutes: int, place: int = 0):
        self._clock = clock
        self._step_ms = every_minutes * MINUTE_MS
        self._place = place % SPREAD_PLACES / SPREAD_PLACES

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The real time at which the market's clock shows the next multiple."""
        market_ms = self._clock.now_ms()
        next_ms = market_ms - market_ms % self._step_ms + self._step_ms
        # A millisecond later than the turn, so that the clock has surely reached it.
        wait = self._clock.wall_seconds_until(next_ms) + 0.001
        turn_seconds = self._clock.wall_seconds_until(next_ms + self._step_ms) - wait
        delay = self._place * min(SPREAD_SECONDS, max(0.0, turn_seconds / 2))
        return datetime.now(UTC) + timedelta(seconds=wait + delay)


class ClockWatch:
    """Notices that the wall clock was set, or that the machine slept."""

    def __init__(self, wall_clock: Clock, monotonic: Callable[[], float] = time.monotonic):
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._offset = self._now_offset()

    def jumped(self) -> bool:
        """Whether the wall clock has moved by more than time has passed since the last look."""
        offset = self._now_offset()
        moved = abs(offset - self._offset) > CLOCK_JUMP_SECONDS
        self._offset = offset
        return moved

    def _now_offset(self) -> float:
        return self._wall_clock.now_ms() / 1000 - self._monotonic()


class TradingLoop:
    """Starts and stops the jobs; `sync` makes them those of the models as they stand."""

    def __init__(self, database: Database, desk: TradingDesk, prices: PriceStream, clock: Clock):
        self._database = database
        self._desk = desk
        self._prices = prices
        self._clock = clock
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                "default": ThreadPoolExecutor(CYCLE_THREADS),
                "housekeeping": ThreadPoolExecutor(1),
            },
            job_defaults={
                "coalesce": True, "max_instances": 1, "misfire_grace_time": MISFIRE_SECONDS,
            },
        )  # fmt: skip
        self._lease = desk.lease
        self._clock_watch = ClockWatch(SystemClock())
        self._ended = threading.Event()
        self._lease_thread = threading.Thread(
            target=self._watch_lease, name="trading-lease", daemon=True
        )
        self._sync_lock = threading.Lock()  # requests change models at the same time
        self._exits = ExitWatch(database, desk, clock, SystemClock())
        # The market's time from which on every turn is due here: none is made up for.
        self.due_since_ms: int | None = None
        self._prices.on_prices(self.check_exits)

    @property
    def started(self) -> bool:
        """Whether this process runs the loop, or would take it over."""
        return bool(self._scheduler.running)

    @property
    def running(self) -> bool:
        """Whether cycles are started, here."""
        return self.started and self._lease.mine

    @property
    def alive(self) -> bool:
        """Whether what starts the cycles has not died, once started."""
        thread = getattr(self._scheduler, "_thread", None)
        return isinstance(thread, threading.Thread) and thread.is_alive()

    def start(self) -> None:
        """Watch prices; run cycles as they are due, if no other process does."""
        self.due_since_ms = self._clock.now_ms()
        self._scheduler.add_job(
            self._record_values, AlignedTrigger(self._clock, VALUE_EVERY_MINUTES),
            id="account-values", executor="housekeeping",
        )  # fmt: skip
        if not self._lease.keep():
            log.warning("the trading loop runs in %s: this process stands by", self._lease.holder)
        self._prices.start()
        self._scheduler.start()
        self.sync()
        self._lease_thread.start()

    def every(self, minutes: int, name: str, action: Callable[[], object]) -> None:
        """Also call `action` at the start and then every so many real minutes."""
        self._scheduler.add_job(
            self._keep_house, IntervalTrigger(minutes=minutes, timezone=UTC), args=[name, action],
            id=f"housekeeping-{name}", next_run_time=datetime.now(UTC),
        )  # fmt: skip

    def stop(self) -> None:
        """Start nothing else, wait for what is running, and let another process take over."""
        self._desk.stop_calls()
        if self.started:
            self._scheduler.shutdown(wait=True)
        self._prices.stop()
        self._exits.stop()
        self._ended.set()
        if self._lease_thread.is_alive():
            self._lease_thread.join()
        self._lease.release()

    def sync(self) -> None:
        """While started: a job for every enabled model on its cycle, and no other; none elsewhere."""
        if not self.started:
            return
        self._exits.forget()
        with self._sync_lock:
            wanted = {
                _job_id(model): model
                for model in models.list_models(self._database.connection)
                if model.enabled and model.replica_of is None and self._lease.mine
            }
            present = {job.id for job in self._scheduler.get_jobs() if job.id.startswith(MODEL_JOB)}
            for job_id in present - wanted.keys():
                self._scheduler.remove_job(job_id)
            for job_id in wanted.keys() - present:
                model = wanted[job_id]
                self._scheduler.add_job(
                    self._run_cycle, AlignedTrigger(self._clock, model.cycle_minutes, model.id),
                    args=[model.id, model.cycle_minutes], id=job_id,
                )  # fmt: skip

    def next_cycle_at(self) -> datetime | None:
        """The real time of the next cycle of any model."""
        times = [
            _next_time(job) for job in self._scheduler.get_jobs() if job.id.startswith(MODEL_JOB)
        ]
        return min((time for time in times if time is not None), default=None)

    def check_exits(self, prices: Mapping[str, KnownPrice]) -> None:
        """Let every model with an open position in one of these coins look at its exits."""
        if self._lease.mine:
            self._exits.check(prices)

    def _watch_lease(self) -> None:
        while not self._ended.wait(LEASE_LOOK_SECONDS):
            try:
                self._look_after_lease()
            except Exception:  # the edge: without heart-beats another process takes over
                log.exception("the lease of the trading loop could not be kept")

    def _look_after_lease(self) -> None:
        before = self._lease.mine
        mine = self._lease.keep()
        if mine != before:
            self._exits.forget()
            log.warning("the trading loop %s", "runs here now" if mine else "has been taken over")
            self.due_since_ms = self._clock.now_ms()
            self.sync()
        if self._clock_watch.jumped():
            self._realign()

    def _realign(self) -> None:
        """The jobs wait for times of the wall clock: after it was set, for the right ones again."""
        now = datetime.now(UTC)
        self.due_since_ms = self._clock.now_ms()
        for job in self._scheduler.get_jobs():
            if isinstance(job.trigger, AlignedTrigger):
                with suppress(JobLookupError):  # removed meanwhile
                    job.modify(next_run_time=job.trigger.get_next_fire_time(None, now))

    def _run_cycle(self, model_id: int, cycle_minutes: int) -> None:
        step_ms = cycle_minutes * MINUTE_MS
        scheduled_at = self._clock.now_ms() // step_ms * step_ms
        for refused in self._desk.run_turn(model_id, scheduled_at):
            level = logging.INFO if isinstance(refused, Conflict) else logging.WARNING
            log.log(level, "model %s: %s", model_id, refused.message)

    def _keep_house(self, name: str, action: Callable[[], object]) -> None:
        if not self._lease.mine:
            return
        try:
            action()
        except TradingSystemError as error:
            log.warning("%s: %s", name, error.message)

    def _record_values(self) -> None:
        if not self._lease.mine:
            return
        for model in models.list_models(self._database.connection):
            try:
                self._desk.engine_of(model).record_value()
            except Exception:  # the edge: one model's trouble must not stop the others' curves
                log.exception("the value of model %s could not be recorded", model.id)


def _job_id(model: TradingModel) -> str:
    """A model's job; another cycle is another job."""
    return f"{MODEL_JOB}{model.id}-every-{model.cycle_minutes}"


def _next_time(job: Job) -> datetime | None:
    time: Any = getattr(job, "next_run_time", None)  # absent until the scheduler has started
    return time if isinstance(time, datetime) else None
