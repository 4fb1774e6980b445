"""Whether trading can go on, as a monitor needs to know it: what stands against it, and what worries."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import MINUTE_MS, Clock, TradingModel
from price_stream import PriceStream
from repositories import cycles, loss_watches, models
from scheduler import TradingLoop
from trading_desk import TradingDesk

PRICES_MISSED_SECONDS = 30.0  # a shorter gap is for the price stream to mend
TURNS_MISSED = 2
CYCLES_MISSED_SECONDS = 60.0  # of real time, however fast the market's clock runs
MEGABYTE = 1_000_000


class Status(StrEnum):
    """How it is in one word: `unable` where trading cannot go on."""

    OK = "ok"
    DEGRADED = "degraded"
    UNABLE = "unable"


@dataclass(frozen=True, slots=True)
class Reason:
    """What is wrong, in a sentence and a stable word; whether trading cannot go on like that."""

    code: str
    message: str
    stops_trading: bool = True


def status_of(reasons: list[Reason]) -> Status:
    """What the reasons come to."""
    if any(reason.stops_trading for reason in reasons):
        return Status.UNABLE
    return Status.DEGRADED if reasons else Status.OK


class TradingHealth:
    """Looks at everything that trading stands on; a kill switch that is on is no trouble.

    `should_trade` says whether a process is to run the loop at all.
    """

    def __init__(
        self,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        desk: TradingDesk,
        loop: TradingLoop,
        prices: PriceStream,
        clock: Clock,
        *,
        should_trade: bool,
        least_free_bytes: int,
    ):
        self._database = database
        self._latest = data_aggregator.latest
        self._desk = desk
        self._loop = loop
        self._prices = prices
        self._clock = clock
        self._should_trade = should_trade
        self._least_free_bytes = least_free_bytes
        self._begun = time.monotonic()

    def reasons(self) -> list[Reason]:
        """What is wrong now, the worst first."""
        found = [*self._storage(), *self._trading_loop(), *self._overdue(), *self._missing_prices()]
        return sorted(found, key=lambda reason: not reason.stops_trading)

    def free_bytes(self) -> int:
        """Room on the disk that the database is on."""
        return shutil.disk_usage(self._database.path.parent).free

    def _storage(self) -> Iterator[Reason]:
        if self._database.trouble is not None:
            yield Reason("database_unwritable", self._database.trouble)
        free = self.free_bytes()
        if free < self._least_free_bytes:
            words = f"Only {free // MEGABYTE} MB are free on the database's disk."
            yield Reason("disk_nearly_full", words)

    def _trading_loop(self) -> Iterator[Reason]:
        if self._should_trade and self._desk.lease.holder is None:
            yield Reason("no_loop", "No process runs the trading loop.")
        if self._loop.started and not self._loop.alive:
            yield Reason("scheduler_dead", "The scheduler of this process has died.")

    def _overdue(self) -> Iterator[Reason]:
        if self._loop.due_since_ms is None or self._desk.halt.is_on():
            return
        connection = self._database.connection
        last = cycles.last_of_all(connection)
        stopped = {
            model_id
            for model_id, watch in loss_watches.of_all(connection).items()
            if watch.stopped_reason is not None
        }
        due = [
            model
            for model in models.list_models(connection)
            if model.enabled and model.replica_of is None and model.id not in stopped
        ]
        late = [model for model in due if self._is_late(model, last.get(model.id))]
        if late:
            names = ", ".join(model.name for model in late[:5])
            words = f"No cycle has begun for {TURNS_MISSED} turns of {names}."
            yield Reason("cycles_overdue", words, stops_trading=len(late) == len(due))

    def _is_late(self, model: TradingModel, last: cycles.Cycle | None) -> bool:
        """Whether turns have been missed since the last cycle, or since there could be any."""
        now_ms = self._clock.now_ms()
        known = (model.updated_at, self._loop.due_since_ms or 0, last.started_at if last else 0)
        since_ms = max((time_ms for time_ms in known if time_ms <= now_ms), default=now_ms)
        waited_ms = now_ms - since_ms
        if waited_ms <= TURNS_MISSED * model.cycle_minutes * MINUTE_MS:
            return False
        return self._clock.wall_seconds_until(now_ms + waited_ms) > CYCLES_MISSED_SECONDS

    def _missing_prices(self) -> Iterator[Reason]:
        if not self._prices.running:
            return
        newest = self._latest.newest()
        up_seconds = time.monotonic() - self._begun
        age = up_seconds if newest is None else self._latest.age_seconds(newest)
        missed = min(age, up_seconds)  # prices of an earlier start are old at once
        if missed > PRICES_MISSED_SECONDS:
            yield Reason("no_prices", f"No source has brought a price for {missed:.0f} s.")
        elif newest is None or self._latest.is_stale(newest):
            yield Reason("prices_stale", "There is no fresh price.", stops_trading=False)
