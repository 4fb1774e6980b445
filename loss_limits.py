"""Limits of loss: of a day, and from the highest value an account has had. Pure.

Beyond the day's limit nothing is entered until the next midnight UTC; beyond the drawdown's the
model is stopped until a person resumes it. Either way its positions stay, and their exits go on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import ledger
from domain import DAY_MS
from ledger import ONE
from risk_limits import RiskProfile

DAILY_LOSS = "daily_loss_limit"
DRAWDOWN = "max_drawdown"


@dataclass(frozen=True, slots=True)
class LossWatch:
    """What an account's losses are measured against. Times are the market's, in ms UTC.

    `day` is the midnight that `day_start_value` belongs to; `peak_value` the highest value.
    """

    day: int
    day_start_value: Decimal
    peak_value: Decimal
    paused_until: int | None = None
    stopped_reason: str | None = None
    stopped_at: int | None = None

    @classmethod
    def begun(cls, value: Decimal, time_ms: int) -> LossWatch:
        """Nothing lost yet: an account as it begins, or after a person has resumed it."""
        return cls(time_ms - time_ms % DAY_MS, value, value)

    def limit_at(self, time_ms: int) -> str | None:
        """The limit that forbids entries at a time."""
        if self.stopped_reason is not None:
            return self.stopped_reason
        paused = self.paused_until is not None and time_ms < self.paused_until
        return DAILY_LOSS if paused else None


@ledger.exact
def watched(
    watch: LossWatch, value: Decimal, time_ms: int, profile: RiskProfile | None
) -> LossWatch:
    """`watch` after the account was seen to be worth `value` at `time_ms`."""
    day = time_ms - time_ms % DAY_MS
    if day != watch.day:  # a new one, or the clock was set back
        watch = replace(watch, day=day, day_start_value=value, paused_until=None)
    if value > watch.peak_value:
        watch = replace(watch, peak_value=value)
    if profile is None:
        return watch
    if value <= watch.day_start_value * (ONE - profile.daily_loss_share):
        watch = replace(watch, paused_until=day + DAY_MS)
    fallen = value <= watch.peak_value * (ONE - profile.max_drawdown_share)
    if fallen and watch.stopped_reason is None:
        watch = replace(watch, stopped_reason=DRAWDOWN, stopped_at=time_ms)
    return watch
