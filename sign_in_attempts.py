"""How often a password may be tried: a few times at once, then after longer and longer waits.

Counted for each address and for all together, so that neither one caller nor many can guess. An
attempt that comes too early is refused and not counted; nobody is locked out for good.
"""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass

from domain import Clock
from errors import TooManyRequests

FREE_ATTEMPTS = 5
FREE_ATTEMPTS_OF_ALL = 60
LONGEST_WAIT_MS = 15 * 60_000
LONGEST_WAIT_OF_ALL_MS = 30_000
FORGOTTEN_AFTER_MS = 60 * 60_000
MOST_ADDRESSES = 10_000
IPV6_NETWORK = 64  # what one customer of a network has


@dataclass(slots=True)
class _Failures:
    count: int
    last_ms: int

    def wait_ms(self, free: int, longest_ms: int, now_ms: int) -> int:
        """How long from now on nobody may try."""
        if self.count < free:
            return 0
        pause_ms = min(1000 << min(self.count - free, 20), longest_ms)
        return max(0, self.last_ms + pause_ms - now_ms)


class SignInAttempts:
    """Counts in memory, by a clock that nobody sets back."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, _Failures] = {}
        self._all = _Failures(0, 0)
        self._known: set[str] = set()

    def begin(self, address: str) -> None:
        """Take an attempt, which counts as failed until it succeeds. Raises TooManyRequests.

        An address from which the owner has signed in does not wait for what others do.
        """
        network, now_ms = _network(address), self._clock.now_ms()
        with self._lock:
            self._forget(now_ms)
            failures = self._failures.get(network, _Failures(0, now_ms))
            wait_ms = failures.wait_ms(FREE_ATTEMPTS, LONGEST_WAIT_MS, now_ms)
            if network not in self._known:
                of_all = self._all.wait_ms(FREE_ATTEMPTS_OF_ALL, LONGEST_WAIT_OF_ALL_MS, now_ms)
                wait_ms = max(wait_ms, of_all)
            if wait_ms > 0:
                raise TooManyRequests(
                    "Too many attempts with a wrong password: try again later.",
                    retry_after=wait_ms / 1000,
                )
            self._failures[network] = _Failures(failures.count + 1, now_ms)
            self._all = _Failures(self._all.count + 1, now_ms)

    def succeeded(self, address: str) -> None:
        """The attempt was right: it and those before it from there are forgotten."""
        network = _network(address)
        with self._lock:
            self._failures.pop(network, None)
            self._all.count = max(0, self._all.count - 1)
            if len(self._known) < MOST_ADDRESSES:
                self._known.add(network)

    def _forget(self, now_ms: int) -> None:
        """What is old, and the oldest of too many."""
        before_ms = now_ms - FORGOTTEN_AFTER_MS
        if self._all.last_ms <= before_ms:
            self._all = _Failures(0, now_ms)
        if len(self._failures) >= MOST_ADDRESSES:
            oldest = min(self._failures, key=lambda network: self._failures[network].last_ms)
            del self._failures[oldest]
        stale = [one for one, failures in self._failures.items() if failures.last_ms <= before_ms]
        for network in stale:
            del self._failures[network]


def _network(address: str) -> str:
    """The address, of IPv6 its network: one customer has all of its addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
