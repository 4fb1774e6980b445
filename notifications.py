"""Telling the owner: a JSON message to a webhook, sent aside, tried again, never with a secret in it.

The message has its sentence as `text` and as `content`, so that Slack, Mattermost and Discord show
it as it is; programs read `event` and `time`. The address of a webhook is a key, and kept like one.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx2

import audit_log
from api_address import AddressRefused, AddressRule, http_client
from audit_log import Action, Actor, Audited
from clock import SystemClock
from database import Database
from errors import Conflict, InvalidInput, SourceUnavailable, TradingSystemError
from redaction import Redactor
from repositories import notifications
from secret_box import SecretBox
from timestamps import iso_utc

SEND_SECONDS = 10.0
PAUSES_SECONDS = (2.0, 10.0, 60.0)  # before it is tried again
MOST_WAITING = 100
LONGEST_TEXT = 1500  # Discord takes 2,000 characters

log = logging.getLogger(__name__)


class Event(StrEnum):
    """What the owner can be told of."""

    MODEL_STOPPED = "model_stopped"
    KILL_SWITCH = "kill_switch"
    LIQUIDATION = "liquidation"
    SOURCE_DOWN = "source_down"
    CYCLES_FAILING = "cycles_failing"
    BUDGET_REACHED = "budget_reached"
    BACKUP_FAILED = "backup_failed"
    DISK_NEARLY_FULL = "disk_nearly_full"


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """Where to (None: nowhere), and of what; of everything unless the owner has chosen."""

    address: str | None = field(default=None, repr=False)
    events: Sequence[Event] = tuple(Event)


class NotificationStore:
    """Reads and changes the settings; addresses are held to `rule`."""

    def __init__(self, database: Database, secrets: SecretBox, rule: AddressRule):
        self._database = database
        self._secrets = secrets
        self._rule = rule

    def load(self) -> NotificationSettings:
        """As they stand. Raises SecretUnreadable where the address cannot be opened."""
        sealed, events = self._stored()
        return NotificationSettings(self._secrets.open(sealed) if sealed else None, events)

    def change(self, changes: Mapping[str, Any], by: Actor) -> None:
        """Set what `changes` names of `address` and `events`; an empty address forgets it.

        Raises InvalidInput for an address that may not be.
        """
        address = self._checked(changes["address"]) if changes.get("address") else None
        sealed = self._secrets.seal(address) if address else None
        with self._database.transaction() as connection:
            sealed_before, before = self._stored()
            if "address" not in changes:
                sealed = sealed_before
            chosen = changes.get("events", before)
            events = [event.value for event in Event if event in chosen]
            notifications.store(connection, sealed, events)
            audit_log.record(
                connection, by, Action.CHANGE, Audited.NOTIFICATIONS,
                before={"address": sealed_before, "events": [event.value for event in before]},
                after={"address": sealed, "events": events},
            )  # fmt: skip

    def _stored(self) -> tuple[str | None, Sequence[Event]]:
        found = notifications.load(self._database.connection)
        return (None, tuple(Event)) if found is None else (found[0], [Event(e) for e in found[1]])

    def _checked(self, address: str) -> str:
        try:
            return str(httpx2.URL(self._rule.check(address)))  # as it is sent, and logged
        except AddressRefused as refused:
            raise InvalidInput(
                refused.message,
                code=refused.code,
                fields={"address": refused.message},
                reasons={"address": refused.reasons["api_url"]},
            ) from refused


class Notifier:
    """Sends messages one by one in a thread of its own; who tells never waits."""

    def __init__(self, store: NotificationStore, rule: AddressRule, redactor: Redactor):
        self._store = store
        self._rule = rule
        self._redactor = redactor
        self._waiting: queue.Queue[tuple[Event, str, str]] = queue.Queue(MOST_WAITING)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        """Send what is told from now on, and what waits."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what waits is not sent."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def tell(self, event: Event, text: str) -> None:
        """Have it sent, if the owner wants to be told of it; beyond a hundred it is let go."""
        try:
            self._waiting.put_nowait((event, text, iso_utc(SystemClock().now_ms())))
        except queue.Full:
            log.warning("too many notifications wait: one of %s is not sent", event)

    def send_test(self) -> None:
        """Send a message now. Raises Conflict (no_address), SourceUnavailable where it fails."""
        address = self._store.load().address
        if address is None:
            raise Conflict("Enter the address of a webhook first.", code="no_address")
        now = iso_utc(SystemClock().now_ms())
        self._send(address, self._message("test", "Notifications arrive here.", now))

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                event, text, time = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                self._deliver(event, self._message(event, text, time))
            except TradingSystemError as error:
                log.warning("the owner could not be told of %s: %s", event, error.message)
            except Exception:  # the edge: this thread has to send the next one too
                log.exception("the owner could not be told of %s", event)

    def _deliver(self, event: Event, message: Mapping[str, str]) -> None:
        """Send it, and again after pauses; an address that refuses it is not pressed."""
        settings = self._store.load()
        if settings.address is None or event not in settings.events:
            return None
        for pause in (*PAUSES_SECONDS, None):
            try:
                return self._send(settings.address, message)
            except SourceUnavailable:
                if pause is None or self._ended.wait(pause):
                    raise
        return None

    def _message(self, event: str, text: str, time: str) -> dict[str, str]:
        said = self._redactor.redact(text)[:LONGEST_TEXT]
        return {"event": event, "time": time, "text": said, "content": said}

    def _send(self, address: str, message: Mapping[str, str]) -> None:
        """Raises SourceUnavailable for what may pass, Conflict (refused) for what will not."""
        try:
            with http_client(self._rule, SEND_SECONDS) as http:
                status = http.post(address, json=dict(message)).status_code
        except httpx2.UnsupportedProtocol as error:
            raise Conflict(str(error), code="address_refused") from error
        except httpx2.HTTPError as error:
            words = f"The webhook cannot be reached ({type(error).__name__})."
            raise SourceUnavailable(words, code="webhook_unreachable") from None
        if 200 <= status < 300:
            return
        words = f"The webhook answers {status}."
        if status in (408, 429) or status >= 500:
            raise SourceUnavailable(words, code="webhook_unreachable")
        raise Conflict(words, code="webhook_refused")
