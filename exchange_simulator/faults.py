"""What is wrong with the venues just now: faults, switched on and off while the exchange runs.

A fault is of one venue (or of all three exchanges) and of one channel: its REST answers, its
streams, or both. What each fault does is in `rest_faults`, `stream_faults` and `venue_market`;
the names and parameters of those that the exchanges know are in `fault_kinds`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from domain import Clock
from exchange_simulator.fault_kinds import EXCHANGE_KINDS, EXCHANGES, FaultKind, InvalidFault

ALL = "all"
CHANNELS = ("rest", "stream")


class UnknownFault(LookupError):
    """No fault with that number is on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is on: since a moment of the market's time and one of real time (ms UTC)."""

    id: int
    venue: str
    name: str
    channel: str
    params: Mapping[str, Any]
    since_ms: int
    since_wall_ms: int
    until_wall_ms: int | None

    def strikes(self, venue: str, channel: str) -> bool:
        """Whether it is one of `venue` on `channel`."""
        of_venue = self.venue == venue or (self.venue == ALL and venue in EXCHANGES)
        return of_venue and self.channel in (ALL, channel)

    def concerns(self, names: Collection[str]) -> bool:
        """Whether a symbol that goes by `names` is among its `symbols`; all are without any."""
        symbols = self.params.get("symbols")
        return not symbols or not set(names).isdisjoint(symbols)

    def seconds_left(self, wall_ms: int) -> int:
        """Whole seconds of real time until it ends by itself, at least 1; its end must be set."""
        assert self.until_wall_ms is not None
        return max(-(-(self.until_wall_ms - wall_ms) // 1000), 1)


class Faults:
    """The faults that are on. Safe to share between threads.

    `clock` is the market's, by which frozen prices are remembered; durations are counted by
    `wall_clock`. A venue that is no exchange names its own faults with `define`.
    """

    def __init__(self, clock: Clock, wall_clock: Clock):
        self._clock = clock
        self._wall_clock = wall_clock
        self._kinds = {venue: dict(EXCHANGE_KINDS) for venue in (*EXCHANGES, ALL)}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._on: tuple[Fault, ...] = ()

    def define(self, venue: str, kinds: Mapping[str, FaultKind]) -> None:
        """Let `venue` have faults of these names and parameters."""
        self._kinds[venue] = dict(kinds)

    def switch_on(
        self,
        venue: str,
        name: str,
        *,
        channel: str = ALL,
        for_seconds: float | None = None,
        **params: Any,
    ) -> int:
        """Switch a fault on, for `for_seconds` of real time or until it is switched off; its id.

        `params` are those of its kind; what is not given has its default. Raises InvalidFault.
        """
        return self.switch_on_with(venue, name, params, channel=channel, for_seconds=for_seconds)

    def switch_on_with(
        self,
        venue: str,
        name: str,
        params: Mapping[str, Any],
        *,
        channel: str = ALL,
        for_seconds: float | None = None,
    ) -> int:
        """As `switch_on`, with the parameters in a mapping: they may have any name."""
        kind = self._kind(venue, name)
        if channel not in (*CHANNELS, ALL):
            raise InvalidFault(f"channel must be one of rest, stream, all, not {channel!r}")
        if channel not in (*kind.channels, ALL):
            raise InvalidFault(f"{name} is no fault of the channel {channel}")
        read = kind.read(name, params)
        seconds = kind.duration(read) if for_seconds is None else _duration(for_seconds)
        wall_ms = self._wall_clock.now_ms()
        fault = Fault(
            next(self._numbers), venue, name, channel, MappingProxyType(read),
            self._clock.now_ms(), wall_ms,
            None if seconds is None else wall_ms + round(seconds * 1000),
        )  # fmt: skip
        with self._lock:
            self._on = (*self._unexpired(wall_ms), fault)
        return fault.id

    def switch_off(self, fault_id: int) -> None:
        """Switch one off. Raises UnknownFault, also when it has ended by itself."""
        with self._lock:
            on = tuple(self._unexpired(self._wall_clock.now_ms()))
            self._on = tuple(fault for fault in on if fault.id != fault_id)
            if len(self._on) == len(on):
                raise UnknownFault(f"no fault {fault_id} is on")

    def clear(self) -> None:
        """Switch all off."""
        with self._lock:
            self._on = ()

    def all_active(self) -> list[Fault]:
        """Every fault that is on, in the order in which they were switched on."""
        return list(self._unexpired(self._wall_clock.now_ms())) if self._on else []

    def active(self, venue: str, channel: str) -> list[Fault]:
        """The faults that are on for `venue` and `channel` (`rest` or `stream`)."""
        return [fault for fault in self.all_active() if fault.strikes(venue, channel)]

    def first(self, venue: str, channel: str, *names: str) -> Fault | None:
        """The first of `names` that is on for `venue` and `channel`, if any."""
        for fault in self.active(venue, channel):
            if fault.name in names:
                return fault
        return None

    def _kind(self, venue: str, name: str) -> FaultKind:
        kinds = self._kinds.get(venue)
        if kinds is None:
            raise InvalidFault(f"venue must be one of {', '.join(self._kinds)}, not {venue!r}")
        if name not in kinds:
            raise InvalidFault(f"{venue} has no fault {name!r}, but: {', '.join(kinds)}")
        return kinds[name]

    def _unexpired(self, wall_ms: int) -> Iterable[Fault]:
        return (
            fault
            for fault in self._on
            if fault.until_wall_ms is None or wall_ms < fault.until_wall_ms
        )


def _duration(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9:
        raise InvalidFault("seconds must be a number above 0, or null")
    return seconds
