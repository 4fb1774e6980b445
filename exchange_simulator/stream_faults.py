"""The faults of one websocket: what becomes of its messages, and when it is cut.

Faults of the market's values are in `venue_market`, refusals to connect in `rest_faults`: a
websocket begins as an HTTP request.
"""

from __future__ import annotations

import itertools

from exchange_simulator.faults import Fault, Faults
from exchange_simulator.spoiled_answers import GARBAGE

CHANNEL = "stream"


class StreamFaults:
    """What the faults of `venue` do to one connection."""

    def __init__(self, faults: Faults, venue: str):
        self._faults = faults
        self._venue = venue
        self._held: str | None = None
        self._numbers = itertools.count()

    def delay(self) -> float:
        """Seconds that a message takes."""
        fault = self._faults.first(self._venue, CHANNEL, "slow")
        seconds: float = 0 if fault is None else fault.params["seconds"]
        return seconds

    def spoil(self, text: str, *, is_reply: bool) -> list[str]:
        """What goes out in place of a message: nothing, something else, more than one."""
        active = self._faults.active(self._venue, CHANNEL)
        if not active and self._held is None:
            return [text]
        if _is_silenced(active, is_reply):
            return []
        if is_reply:
            return [text]
        texts = [text]
        for fault in active:
            texts = self._spoil_under(fault, texts)
        return texts if any(fault.name == "wrong_order" for fault in active) else self._free(texts)

    def is_cut(self, opened_wall_ms: int, wall_ms: int) -> bool:
        """Whether a connection that was opened then is dead now."""
        for fault in self._faults.active(self._venue, CHANNEL):
            if fault.name == "down":
                return True
            if fault.name != "socket_drop":
                continue
            if opened_wall_ms <= fault.since_wall_ms:
                return True
            after = fault.params["after_seconds"]
            if after is not None and wall_ms >= opened_wall_ms + after * 1000:
                return True
        return False

    def flood_rate(self) -> float:
        """Messages a second that are sent beside the true ones."""
        fault = self._faults.first(self._venue, CHANNEL, "socket_flood")
        rate: float = 0 if fault is None else fault.params["rate"]
        return rate

    def _spoil_under(self, fault: Fault, texts: list[str]) -> list[str]:
        if fault.name == "garbage":
            return [GARBAGE for _ in texts]
        if fault.name == "truncated":
            return [text[: int(len(text) * fault.params["share"])] for text in texts]
        if fault.name == "duplicates" and next(self._numbers) % fault.params["every"] == 0:
            return texts * 2
        if fault.name == "wrong_order":
            return self._swapped(texts)
        return texts

    def _swapped(self, texts: list[str]) -> list[str]:
        """Every other message is held back until the next has gone."""
        if self._held is None:
            self._held = texts[-1]
            return texts[:-1]
        return [*texts, *self._free([])]

    def _free(self, texts: list[str]) -> list[str]:
        """What was held back, and `texts`."""
        held, self._held = self._held, None
        return texts if held is None else [held, *texts]


def _is_silenced(active: list[Fault], is_reply: bool) -> bool:
    return any(
        fault.name == "socket_silent" and not (is_reply and fault.params["replies"] == "yes")
        for fault in active
    )
