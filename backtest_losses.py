"""The limits of loss in a backtest: what `loss_limits` watches live, found on the equity curve.

Live the account is seen every minute and at every cycle, here at every bar's close and every entry.
"""

from __future__ import annotations

import numpy as np

from domain import DAY_MS, FloatArray, TimeArray
from loss_limits import DAILY_LOSS, DRAWDOWN
from risk_limits import RiskProfile

NEVER_A_DAY = -1


class BacktestLosses:
    """One run's losses. `close_time`, `cash` and `positions_value` are of the bars of the range,
    shape (n,); the run fills the curves as it goes."""

    def __init__(
        self,
        profile: RiskProfile,
        close_time: TimeArray,
        cash: FloatArray,
        positions_value: FloatArray,
        initial_capital: float,
    ):
        self._floor_of_day = 1.0 - float(profile.daily_loss_share)
        self._floor_of_peak = 1.0 - float(profile.max_drawdown_share)
        self._close_time = close_time
        self._cash = cash
        self._positions_value = positions_value
        self._initial = initial_capital
        self._peak = initial_capital
        self._looked_until = 0
        self._stopped = False
        self._paused_day = NEVER_A_DAY

    def limit_at(self, bars: int, time_ms: int, value: float) -> str | None:
        """The limit that forbids an entry at `time_ms`, when the first `bars` bars have been lived
        through and the account is worth `value`."""
        self._look_for_drawdown(np.append(self._equity(self._looked_until, bars), value))
        self._looked_until = bars
        day = time_ms // DAY_MS
        if self._paused_day != day and self._lost_today(bars, day, value):
            self._paused_day = day
        if self._stopped:
            return DRAWDOWN
        return DAILY_LOSS if self._paused_day == day else None

    def _look_for_drawdown(self, values: FloatArray) -> None:
        peaks = np.maximum.accumulate(np.append(self._peak, values))
        self._stopped |= bool(np.any(values <= peaks[1:] * self._floor_of_peak))
        self._peak = float(peaks[-1])

    def _equity(self, first: int, bars: int) -> FloatArray:
        return self._cash[first:bars] + self._positions_value[first:bars]

    def _lost_today(self, bars: int, day: int, value: float) -> bool:
        first = int(np.searchsorted(self._close_time[:bars], day * DAY_MS))
        today = np.append(self._equity(first, bars), value)
        start = today[0] if first else self._initial
        return bool(np.any(today <= start * self._floor_of_day))
