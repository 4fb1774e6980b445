"""What may be asked of a source, and when: its limits by endpoint and weight, for all threads.

The windows are pyrate-limiter's sliding logs, in which what was used in any window is below the
limit wherever the venue's own windows begin. Its buckets are used without its `Limiter`, whose
waiting knows neither an injected clock nor the patience of the one who asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import sleep
from typing import cast

from pyrate_limiter import InMemoryBucket, Rate, RateItem

from domain import Clock
from errors import SourceRateLimited, SourceUnavailable
from time_budget import NOT_ASKED, patience

BUDGET_USED = "budget_used"  # the code of our own refusal, for which the source was not asked
HISTORY_SHARE = 0.75  # of a limit that history may use: the rest is kept for live questions
LONGEST_NAP_SECONDS = 1.0  # then it is looked again: a pause may have begun meanwhile


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `weight` in any `window_seconds`.

    `margin_seconds` more, because what is sent evenly arrives unevenly.
    """

    weight: int
    window_seconds: float
    margin_seconds: float = 0.25


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """How much of a limit is used now."""

    name: str
    used: int
    limit: int
    window_seconds: float


class Budget:
    """One limit's log of what was used: by all, and by history, which has a share of it."""

    def __init__(self, name: str, limit: Limit, clock: Clock):
        self.name = name
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        window_ms = int((limit.window_seconds + limit.margin_seconds) * 1000)
        share = max(1, int(limit.weight * HISTORY_SHARE))
        self._all = InMemoryBucket([Rate(limit.weight, window_ms)])
        self._history = InMemoryBucket([Rate(share, window_ms)])

    def take(self, weight: int) -> int:
        """Use `weight` now; 0, or in how many milliseconds of the clock it can be."""
        return self._put(self._all, min(weight, self.limit.weight))

    def take_of_history(self, weight: int) -> int:
        """The same of history's share alone."""
        return self._put(self._history, min(weight, self._history.rates[0].limit))

    def observe(self, used: int) -> None:
        """The venue counts `used`: what is more than ours was used by others at this address."""
        with self._lock:
            now_ms = self._now_ms(self._all)
            others = min(used, self.limit.weight) - self._all.count()
            if others > 0:
                self._all.put(RateItem(self.name, now_ms, weight=others))

    def use(self) -> BudgetUse:
        """How much of it is used now."""
        with self._lock:
            self._now_ms(self._all)
            used = self._all.count()
        return BudgetUse(self.name, used, self.limit.weight, self.limit.window_seconds)

    def _put(self, bucket: InMemoryBucket, weight: int) -> int:
        with self._lock:  # one after the other, so that the log is in the order of time
            item = RateItem(self.name, self._now_ms(bucket), weight=weight)
            # The signature allows for buckets that are asked asynchronously; this one is not.
            return 0 if bucket.put(item) else max(1, cast(int, bucket.waiting(item)))

    def _now_ms(self, bucket: InMemoryBucket) -> int:
        """The time, with what is older than the window forgotten."""
        now_ms = self._clock.now_ms()
        bucket.leak(now_ms)
        return now_ms


class RateLimiter:
    """The limits of one source, which `venue` names in sentences, by endpoint.

    A live question that would go over is refused, so that the next source is asked; history waits
    for its turn, as does a question that there is no other source for. `clock` runs as the venue's.
    """

    def __init__(self, venue: str, limits: Mapping[str, Limit], clock: Clock):
        self._venue = venue
        self._clock = clock
        self._budgets = {name: Budget(name, limit, clock) for name, limit in limits.items()}
        self._lock = threading.Lock()
        self._paused_until_ms: dict[str, int] = {}

    def take(self, endpoint: str, weight: int = 1) -> None:
        """Use `weight` of an endpoint's limit, now or when it can be.

        Raises SourceRateLimited (code `budget_used`) when that is later than the one who asks can
        wait, SourceUnavailable when that one has gone.
        """
        budget = self._budgets[endpoint]
        self._wait_while(lambda: self._paused_ms(endpoint))
        if patience().is_history:
            self._wait_while(lambda: budget.take_of_history(weight))
        self._wait_while(lambda: self._paused_ms(endpoint) or budget.take(weight))

    def pause(self, endpoint: str, seconds: float) -> None:
        """The venue asks for silence at this endpoint."""
        until_ms = self._clock.now_ms() + int(seconds * 1000)
        with self._lock:
            self._paused_until_ms[endpoint] = max(until_ms, self._paused_until_ms.get(endpoint, 0))

    def observe(self, endpoint: str, used: int) -> None:
        """What the venue counts as used in its window."""
        self._budgets[endpoint].observe(used)

    def window_seconds(self, endpoint: str) -> float:
        """The length of an endpoint's window."""
        return self._budgets[endpoint].limit.window_seconds

    def budgets(self) -> list[BudgetUse]:
        """How much of each limit is used."""
        return [budget.use() for budget in self._budgets.values()]

    def _paused_ms(self, endpoint: str) -> int:
        with self._lock:
            return max(0, self._paused_until_ms.get(endpoint, 0) - self._clock.now_ms())

    def _wait_while(self, still_ms: Callable[[], int]) -> None:
        """Wait until `still_ms` says 0, for as long as the one who asks can."""
        while (wait_ms := still_ms()) > 0:
            seconds = self._clock.wall_seconds_until(self._clock.now_ms() + wait_ms)
            asking = patience()
            if not asking.queues or seconds >= asking.seconds_left:
                raise SourceRateLimited(
                    f"{self._venue}'s limit of requests is used up for {wait_ms / 1000:.1f} s.",
                    retry_after=wait_ms / 1000,
                    code=BUDGET_USED,
                )
            sleep(min(seconds, LONGEST_NAP_SECONDS))
        if patience().seconds_left <= 0:
            raise SourceUnavailable(
                f"{self._venue} was not asked: nobody waits for it any more.", code=NOT_ASKED
            )
