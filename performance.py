"""What an equity curve and its trades say: pure functions over float arrays.

Markets never close, so a year has 365 days, and ratios are taken from returns of whole UTC days.
A figure that cannot be said (no trades, less than three days) is None, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from domain import (
    DAY_MS,
    HOUR_MS,
    BoolArray,
    Entry,
    FillKind,
    FloatArray,
    Reason,
    Side,
    TimeArray,
)
from ledger import ZERO, exact

DAYS_A_YEAR = 365
FEWEST_DAYS_OF_A_TAIL = 20


class RoundTrip(NamedTuple):
    """A position from flat to flat; prices are volume-weighted, amounts in quote currency."""

    coin: str
    side: Side
    quantity: Decimal
    leverage: Decimal
    entry_time: int
    entry_price: Decimal
    exit_time: int
    exit_price: Decimal
    fees: Decimal
    funding: Decimal
    pnl: Decimal
    margin: Decimal
    exit_reason: Reason

    @property
    def return_percentage(self) -> float:
        """The profit over the margin that was put in."""
        return float(self.pnl / self.margin * 100) if self.margin else 0.0


class _OpenTrip:
    """What a trip has gathered so far."""

    __slots__ = (
        "bought", "cost", "fees", "first", "funding", "margin", "pnl", "proceeds", "sold",
    )  # fmt: skip

    def __init__(self, entry: Entry):
        self.first = entry.fill
        self.bought = self.sold = self.cost = self.proceeds = self.margin = ZERO
        self.fees = self.funding = self.pnl = ZERO

    def add(self, entry: Entry) -> RoundTrip | None:
        """Take one ledger line; the finished trip when it was the last."""
        fill = entry.fill
        if fill.kind is FillKind.FUNDING:
            self.funding += fill.fee
            return None
        self.fees += fill.fee
        self.pnl += entry.pnl
        notional = fill.quantity * fill.price
        if fill.kind is FillKind.OPEN:
            self.bought += fill.quantity
            self.cost += notional
            self.margin += notional / fill.leverage
            return None
        self.sold += fill.quantity
        self.proceeds += notional
        return self._finished(entry) if self.sold == self.bought else None

    def _finished(self, last: Entry) -> RoundTrip:
        first, fill = self.first, last.fill
        return RoundTrip(
            first.coin, first.side, self.bought, self.cost / self.margin,
            first.time_ms, self.cost / self.bought, fill.time_ms, self.proceeds / self.sold,
            self.fees, self.funding, self.pnl, self.margin, fill.reason,
        )  # fmt: skip


@exact
def round_trips(entries: Iterable[Entry]) -> list[RoundTrip]:
    """The closed round trips of a ledger, in the order of their closing."""
    open_trips: dict[str, _OpenTrip] = {}
    finished: list[RoundTrip] = []
    for entry in entries:
        coin = entry.fill.coin
        trip = open_trips.get(coin)
        if trip is None:
            trip = open_trips[coin] = _OpenTrip(entry)
        done = trip.add(entry)
        if done is not None:
            finished.append(done)
            del open_trips[coin]
    return finished


def drawdown_series(equity: FloatArray) -> FloatArray:
    """Percent below the highest value so far, shape (n,), ≥ 0."""
    peaks = np.maximum.accumulate(equity)
    if len(peaks) and peaks[0] <= 0:  # of nothing there is no share
        shares = np.where(peaks > 0, (peaks - equity) / np.where(peaks > 0, peaks, 1.0), 0.0)
        return shares * 100
    below: FloatArray = peaks - equity
    below /= peaks
    below *= 100
    return below


def longest_drawdown_ms(close_time: TimeArray, equity: FloatArray) -> int:
    """The longest time from a peak, through a fall, to the bar that reached it again (or the end)."""
    if not len(equity):
        return 0
    peaks = np.flatnonzero(equity >= np.maximum.accumulate(equity))
    ends = np.append(peaks[1:], len(equity) - 1)
    fallen = ends > peaks + 1
    fallen[-1] = ends[-1] > peaks[-1]
    return int(np.max(close_time[ends] - close_time[peaks], where=fallen, initial=0))


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall from a peak: indices of the peak, the lowest value and the recovery (None: not yet)."""

    peak: int
    trough: int
    recovery: int | None
    percentage: float


def deepest_drawdowns(equity: FloatArray, count: int) -> list[Drawdown]:
    """The `count` deepest drawdowns, the deepest first; they do not overlap."""
    return deepest_of(drawdown_series(equity), count)


def deepest_of(below: FloatArray, count: int) -> list[Drawdown]:
    """`deepest_drawdowns` from the percentages of `drawdown_series`."""
    edges = np.diff(np.concatenate(([False], below > 0, [False])).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return []
    depths = np.maximum.reduceat(below, starts)
    return [
        Drawdown(
            int(starts[i]) - 1,
            int(starts[i] + np.argmax(below[starts[i] : ends[i]])),
            int(ends[i]) if ends[i] < len(below) else None,
            float(depths[i]),
        )
        for i in np.argsort(-depths, kind="stable")[:count]
    ]


def monthly_returns(
    close_time: TimeArray, equity: FloatArray, initial: float
) -> list[tuple[str, float | None]]:
    """("2022-01", percent) of every UTC month; None where nothing was left at its start."""
    if not len(equity):
        return []
    last_of_day = last_of_every_day(close_time)
    months = (close_time[last_of_day] - 1).astype("datetime64[ms]").astype("datetime64[M]")
    ends = np.append(np.flatnonzero(months[1:] != months[:-1]), len(months) - 1)
    last_of_month = last_of_day[ends]
    values = np.concatenate(([initial], equity[last_of_month])).tolist()
    return [
        (str(month), (value / before - 1) * 100 if before > 0 else None)
        for month, before, value in zip(months[ends], values, values[1:], strict=False)
    ]


def daily_returns(close_time: TimeArray, equity: FloatArray, initial: float) -> FloatArray:
    """Returns from one UTC day's last value to the next's; the first from `initial`."""
    if not len(equity):
        return np.empty(0)
    values = np.concatenate(([initial], equity[last_of_every_day(close_time)]))
    before = values[:-1]
    if np.any(before <= 0):  # a wiped-out account has no further returns
        values = values[: int(np.argmax(before <= 0)) + 1]
        before = values[:-1]
    returns: FloatArray = values[1:] / before - 1
    return returns


def last_of_every_day(close_time: TimeArray) -> npt.NDArray[np.intp]:
    """Where the last bar of every UTC day that has one stands among ascending times."""
    first, last = _day_of(close_time[[0, -1]]).tolist()
    midnights = np.arange(first + 1, last + 2) * DAY_MS
    return np.unique(np.searchsorted(close_time, midnights, side="right") - 1)


def _day_of(close_time: TimeArray) -> TimeArray:
    """The UTC day that a bar closes; a close at midnight ends the day before."""
    return (close_time - 1) // DAY_MS


def ratios(close_time: TimeArray, equity: FloatArray, initial: float) -> dict[str, float | None]:
    """CAGR, volatility, Sharpe, Sortino (risk-free rate 0) and Calmar, annualised over 365 days.

    cagr, volatility in percent. Sharpe = mean/std·√365 of daily returns (sample deviation);
    Sortino divides by the root mean square of the negative ones; Calmar = CAGR / max drawdown.
    """
    returns = daily_returns(close_time, equity, initial)
    below = drawdown_series(np.concatenate(([initial], equity)))
    return ratios_of(returns, close_time, float(equity[-1]) / initial, below)


def ratios_of(
    returns: FloatArray, close_time: TimeArray, growth: float, below: FloatArray
) -> dict[str, float | None]:
    """`ratios` from returns of days, what the account was multiplied by, and its drawdown."""
    figures: dict[str, float | None] = dict.fromkeys(
        ("cagr", "volatility", "sharpe", "sortino", "calmar")
    )
    if len(returns) < 3:
        return figures
    deviation = float(np.std(returns, ddof=1))
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    mean = float(np.mean(returns))
    first_day, last_day = _day_of(close_time[[0, -1]]).tolist()
    days = last_day - first_day + 1
    cagr = _compound_growth(growth, days / DAYS_A_YEAR)
    figures["cagr"] = cagr
    figures["volatility"] = deviation * math.sqrt(DAYS_A_YEAR) * 100
    figures["sharpe"] = _ratio(mean * math.sqrt(DAYS_A_YEAR), deviation)
    figures["sortino"] = _ratio(mean * math.sqrt(DAYS_A_YEAR), downside)
    figures["calmar"] = None if cagr is None else _ratio(cagr, float(np.max(below)))
    return figures


def tail_figures(daily: FloatArray, equity: FloatArray) -> dict[str, float | None]:
    """Value at risk and expected shortfall of days (95 %, historical), and the ulcer index.

    var_95 is the loss that 95 of 100 days stay under, cvar_95 the mean of the days beyond it, both
    in percent and ≥ 0; ulcer_index is the root mean square of the drawdown in percent (Martin).
    """
    return tails_of(daily, drawdown_series(equity))


def tails_of(daily: FloatArray, below: FloatArray) -> dict[str, float | None]:
    """`tail_figures` from the percentages of `drawdown_series`."""
    ulcer = float(np.sqrt(np.mean(below**2))) if len(below) else None
    if len(daily) < FEWEST_DAYS_OF_A_TAIL:
        return {"var_95": None, "cvar_95": None, "ulcer_index": ulcer}
    edge = float(np.quantile(daily, 0.05))
    return {
        "var_95": max(-edge, 0.0) * 100,
        "cvar_95": max(-float(np.mean(daily[daily <= edge])), 0.0) * 100,
        "ulcer_index": ulcer,
    }


def against_benchmark(daily: FloatArray, benchmark: FloatArray) -> dict[str, float | None]:
    """Beta, alpha (percent a year, Jensen, risk-free rate 0) and information ratio, from days.

    Both of shape (n,), or the shorter one's days where an account was wiped out.
    """
    days = min(len(daily), len(benchmark))
    none: dict[str, float | None] = dict.fromkeys(("alpha", "beta", "information_ratio"))
    if days < 3:
        return none
    ours, theirs = daily[:days], benchmark[:days]
    ahead = ours - theirs
    beta = _ratio(float(np.cov(ours, theirs, ddof=1)[0, 1]), float(np.var(theirs, ddof=1)))
    mean_ours, mean_theirs = float(np.mean(ours)), float(np.mean(theirs))
    return {
        "alpha": None if beta is None else (mean_ours - beta * mean_theirs) * DAYS_A_YEAR * 100,
        "beta": beta,
        "information_ratio": _ratio(
            float(np.mean(ahead)) * math.sqrt(DAYS_A_YEAR), float(np.std(ahead, ddof=1))
        ),
    }


def trip_figures(trips: Sequence[RoundTrip]) -> dict[str, float | int | None]:
    """Counts and averages over closed round trips; a trip wins when its net `pnl` is positive."""
    return figures_of_trips(
        np.array([float(trip.pnl) for trip in trips]),
        np.array([trip.exit_time - trip.entry_time for trip in trips], dtype=np.int64),
        sum(trip.exit_reason is Reason.LIQUIDATION for trip in trips),
    )


def figures_of_trips(
    profits: FloatArray, held_ms: TimeArray, liquidations: int
) -> dict[str, float | int | None]:
    """`trip_figures` from each trip's profit and time held, in the order of their closing."""
    count = len(profits)
    won, lost = profits > 0, profits < 0
    wins = int(np.count_nonzero(won))
    hours = held_ms / HOUR_MS
    return {
        "total_trades": count,
        "winning_trades": wins,
        "losing_trades": int(np.count_nonzero(lost)),
        "win_rate": wins / count * 100 if count else None,
        "profit_factor": _ratio(float(np.sum(profits[won])), -float(np.sum(profits[lost]))),
        "expectancy": float(np.mean(profits)) if count else None,
        "best_trade": float(np.max(profits)) if count else None,
        "worst_trade": float(np.min(profits)) if count else None,
        "average_holding_hours": float(np.mean(hours)) if count else None,
        "longest_holding_hours": float(np.max(hours)) if count else None,
        "liquidations": liquidations,
        "sqn": _system_quality(profits),
        "longest_winning_streak": _longest_streak(won),
        "longest_losing_streak": _longest_streak(lost),
    }


def _system_quality(profits: FloatArray) -> float | None:
    """Van Tharp's system quality number: √n · mean / sample deviation of the trips' profits."""
    if len(profits) < 2:
        return None
    deviation = float(np.std(profits, ddof=1))
    return _ratio(math.sqrt(len(profits)) * float(np.mean(profits)), deviation)


def _longest_streak(flags: BoolArray) -> int:
    """The most true ones in a row."""
    ends = np.flatnonzero(~np.concatenate(([False], flags, [False])))
    return int(np.max(np.diff(ends))) - 1


def _ratio(numerator: float, denominator: float) -> float | None:
    """A quotient; None where there is nothing to divide by."""
    return numerator / denominator if denominator > 1e-15 else None


def _compound_growth(growth: float, years: float) -> float | None:
    """Percent a year; None where it is too large to mean anything."""
    if growth <= 0:
        return -100.0
    exponent = math.log(growth) / years
    return (math.exp(exponent) - 1) * 100 if exponent < 20 else None
