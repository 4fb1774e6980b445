"""What the owner is told of: seen in events, in the audit log, and by a look now and then.

The process that runs the loop tells, so that two processes do not say everything twice. The audit
log brings what other processes and commands do.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter

import event_stream
from audit_log import Action, Actor, ActorKind, Audited
from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import DAY_MS, FillKind
from event_stream import EventStream
from health_report import TradingHealth
from notifications import Event, Notifier
from repositories import audit, models
from repositories.audit import AuditRow
from repositories.cycles import Cycle
from trading_lease import TradingLease

LOOK_SECONDS = 15.0
SOURCE_DOWN_SECONDS = 300.0
CYCLES_FAILED = 3  # in a row
MOST_EVENTS = 1000
MOST_ROWS = 200  # of the audit log, at one look
WELL = ("up", "unused")

log = logging.getLogger(__name__)


class NotificationWatch:
    """Notices, in a thread of its own, and hands on to the notifier."""

    def __init__(
        self,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        lease: TradingLease,
        health: TradingHealth,
        events: EventStream,
        notifier: Notifier,
    ):
        self._database = database
        self._data_aggregator = data_aggregator
        self._lease = lease
        self._health = health
        self._notifier = notifier
        self._seen: queue.Queue[event_stream.Event] = queue.Queue(MOST_EVENTS)
        self._last_row: int | None = None
        self._failed: Counter[int] = Counter()  # cycles in a row, by model
        self._spent_on: dict[int, int] = {}  # the last day of a spent budget, by model
        self._down_since: dict[str, float] = {}
        self._told_down: set[str] = set()
        self._disk_is_full = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notification-watch", daemon=True)
        events.watch(("cycle", "trade"), self._take)

    def start(self) -> None:
        """Tell of what happens from now on."""
        self._notifier.start()
        self._thread.start()

    def stop(self) -> None:
        """Tell of nothing more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._notifier.stop()

    def _take(self, event: event_stream.Event) -> None:
        """An event, in the thread of the one who publishes it; beyond a thousand they are let go."""
        try:
            self._seen.put_nowait(event)
        except queue.Full:
            log.warning("too many events wait to be looked at: one is let go")

    def _run(self) -> None:
        looked = float("-inf")
        while not self._ended.wait(0.5):
            try:
                self.handle_events()
                if time.monotonic() - looked >= LOOK_SECONDS:
                    looked = time.monotonic()
                    self.look()
            except Exception:  # the edge: the next look may be better
                log.exception("what the owner is to be told of could not be looked at")
        self._database.close()  # this thread's connection

    # ------------------------------------------------------------------------------- events

    def handle_events(self) -> None:
        """Tell of what has come since the last time."""
        while True:
            try:
                event = self._seen.get_nowait()
            except queue.Empty:
                return
            if event.topic == "trade":
                self._trade(event)
            elif event.payload["seconds"] is not None:  # a cycle that has ended
                self._cycle(event.payload["cycle"])

    def _trade(self, event: event_stream.Event) -> None:
        fill = event.payload["trade"].entry.fill
        if fill.kind is FillKind.LIQUIDATION:
            name = event.payload["model_name"]
            words = f"{name}: {fill.side.value} {fill.coin} was liquidated at {fill.price:f}."
            self._notifier.tell(Event.LIQUIDATION, words)

    def _cycle(self, cycle: Cycle) -> None:
        if cycle.status != "failed":
            self._failed.pop(cycle.model_id, None)
            return
        name = models.get(self._database.connection, cycle.model_id).name
        if cycle.error_code == "budget":
            day = SystemClock().now_ms() // DAY_MS
            if self._spent_on.get(cycle.model_id) != day:
                self._spent_on[cycle.model_id] = day
                self._notifier.tell(Event.BUDGET_REACHED, f"{name}: {cycle.error}")
            return
        self._failed[cycle.model_id] += 1
        if self._failed[cycle.model_id] == CYCLES_FAILED:
            words = f"{name}: {CYCLES_FAILED} cycles in a row have failed. {cycle.error}"
            self._notifier.tell(Event.CYCLES_FAILING, words)

    # -------------------------------------------------------------------------------- looks

    def look(self) -> None:
        """Tell of what has changed since the last look, if this process runs the loop."""
        connection = self._database.connection
        if self._last_row is None or not self._lease.mine:
            self._last_row = audit.last_id(connection)
        if not self._lease.mine:
            return
        for row in audit.later_than(connection, self._last_row, MOST_ROWS):
            self._last_row = row.id
            self._row(row)
        self._sources()
        self._disk()

    def _row(self, row: AuditRow) -> None:
        done = (row.action, row.object_type)
        who = Actor(ActorKind(row.actor), row.actor_name)
        if done == (Action.STOP, Audited.TRADING):
            self._notifier.tell(Event.KILL_SWITCH, f"All trading has been stopped by {who}.")
        elif done == (Action.RESUME, Audited.TRADING):
            self._notifier.tell(Event.KILL_SWITCH, f"Trading has been resumed by {who}.")
        elif done == (Action.STOP, Audited.MODEL):
            words = f"{row.object_name} has lost too much and is stopped until it is resumed."
            self._notifier.tell(Event.MODEL_STOPPED, words)
        elif done == (Action.BACK_UP_FAILED, Audited.DATABASE):
            why = row.changes["error"]["after"]
            self._notifier.tell(Event.BACKUP_FAILED, f"The backup failed: {why}")

    def _sources(self) -> None:
        now = time.monotonic()
        for source in self._data_aggregator.health():
            if source.state in WELL:
                self._down_since.pop(source.name, None)
                if source.name in self._told_down:
                    self._told_down.discard(source.name)
                    self._notifier.tell(Event.SOURCE_DOWN, f"{source.name} answers again.")
                continue
            since = self._down_since.setdefault(source.name, now)
            if now - since >= SOURCE_DOWN_SECONDS and source.name not in self._told_down:
                self._told_down.add(source.name)
                minutes = SOURCE_DOWN_SECONDS / 60
                words = f"{source.name} has not answered for {minutes:.0f} minutes: "
                self._notifier.tell(Event.SOURCE_DOWN, f"{words}{source.last_error}")

    def _disk(self) -> None:
        full = [r for r in self._health.reasons() if r.code == "disk_nearly_full"]
        if full and not self._disk_is_full:
            self._notifier.tell(Event.DISK_NEARLY_FULL, full[0].message)
        self._disk_is_full = bool(full)
