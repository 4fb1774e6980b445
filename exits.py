"""Exits that do not wait for the trader: stop, trailing stop, target, invalidation, liquidation.

One module for ticks and for bars: a tick is a bar whose prices are all the same. Inside one bar,
what the open has already passed fills at the open; else the adverse side comes first (of stop,
trailing stop and liquidation the one nearest to the open), then the target.

A trailing stop follows the best price of earlier bars (and of the entry), never the extreme of
the bar that it is tested on, since nothing says which came first inside it.

An invalidation on every price is a level like a stop, or like a target where it lies on the good
side. One on closed bars is tested when a bar of its interval has closed, and fills at the first
price after it: at the next bar's open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np

import ledger
from domain import (
    NO_EXITS,
    BoolArray,
    Comparison,
    FloatArray,
    Kline,
    KlineSeries,
    Position,
    PriceCondition,
    Reason,
    Side,
)
from ledger import EXACT, PRICE_STEP

SMALLEST_CHUNK = 256
LARGEST_CHUNK = 65_536

_liquidation_price = ledger.already_exact(ledger.liquidation_price)


@dataclass(frozen=True, slots=True)
class ExitHit:
    """An exit that was reached, and the price it fills at before slippage."""

    reason: Reason
    price: Decimal
    at_open: bool = False  # whether the bar's open had passed it already


class ExitLevels(NamedTuple):
    """The fixed levels of one position, as floats to compare and as exact prices to fill at."""

    side: Side
    adverse: tuple[tuple[Reason, Decimal], ...]  # liquidation, then the stop: see _exit_in_bar
    target: tuple[Reason, Decimal] | None  # the nearest level on the good side
    trailing_share: float | None  # 0.05 for 5 %
    at_close: PriceCondition | None = None  # an invalidation on closed bars

    @property
    def any(self) -> bool:
        """Whether there is anything to watch."""
        levels = self.adverse or self.target or self.trailing_share or self.at_close
        return bool(levels)


NOTHING_TO_WATCH = {side: ExitLevels(side, (), None, None) for side in Side}


@ledger.exact
def exit_levels(position: Position, maintenance_margin_rate: Decimal | None) -> ExitLevels:
    """What to watch for `position`; a rate of None leaves liquidation out."""
    adverse: list[tuple[Reason, Decimal]] = []
    if maintenance_margin_rate is not None:
        liquidation = _liquidation_price(position, maintenance_margin_rate)
        if liquidation is not None:
            adverse.append((Reason.LIQUIDATION, liquidation))
    exits = position.exits
    if exits is NO_EXITS:
        if not adverse:
            return NOTHING_TO_WATCH[position.side]
        return ExitLevels(position.side, tuple(adverse), None, None)
    if exits.stop_loss is not None:
        adverse.append((Reason.STOP_LOSS, exits.stop_loss))
    targets: list[tuple[Reason, Decimal]] = []
    if exits.profit_target is not None:
        targets.append((Reason.PROFIT_TARGET, exits.profit_target))
    condition = exits.invalidation
    if condition is not None and condition.interval is None:
        falling = condition.operator in (Comparison.BELOW, Comparison.AT_OR_BELOW)
        side = adverse if falling == (position.side is Side.LONG) else targets
        side.append((Reason.INVALIDATION, condition.level))
    trailing = exits.trailing_stop_pct
    return ExitLevels(
        position.side,
        tuple(adverse),
        min(targets, key=lambda level: position.side.sign * level[1], default=None),
        None if trailing is None else float(trailing) / 100,
        condition if condition is not None and condition.interval is not None else None,
    )


def invalidated_by(condition: PriceCondition, close: float) -> bool:
    """Whether a bar of the condition's interval that closed at `close` ends the position."""
    return condition.holds(exact_price(close))


def exit_in_bar(levels: ExitLevels, bar: Kline, best_price: float) -> ExitHit | None:
    """The exit that `bar` reaches, if any; `best_price` is the best before this bar."""
    if levels.side is Side.LONG:
        return _exit_in_bar(levels, bar.open, bar.low, bar.high, best_price, 1)
    return _exit_in_bar(levels, bar.open, bar.high, bar.low, best_price, -1)


def exit_at_price(levels: ExitLevels, price: Decimal, best_price: float) -> ExitHit | None:
    """The exit that a tick at `price` reaches, if any."""
    number = float(price)
    return exit_in_bar(levels, Kline(0, number, number, number, number, 0.0), best_price)


def _exit_in_bar(
    levels: ExitLevels, bar_open: float, worst: float, best: float, best_before: float, sign: int
) -> ExitHit | None:
    """`worst` and `best` are the bar's extremes against and for the position."""
    adverse = list(levels.adverse)
    if levels.trailing_share is not None:
        adverse.append((Reason.TRAILING_STOP, _trailing_level(levels, best_before)))
    passed_at_open = [reason for reason, price in adverse if sign * (bar_open - float(price)) <= 0]
    if passed_at_open:
        # A gap through the liquidation price is a liquidation, whatever stops it also jumped.
        return ExitHit(passed_at_open[0], exact_price(bar_open), at_open=True)
    target = levels.target
    if target is not None and sign * (bar_open - float(target[1])) >= 0:
        return ExitHit(target[0], exact_price(bar_open), at_open=True)
    touched = [(reason, price) for reason, price in adverse if sign * (worst - float(price)) <= 0]
    if touched:
        reason, price = max(touched, key=lambda level: sign * level[1])
        return ExitHit(reason, price)
    if target is not None and sign * (best - float(target[1])) >= 0:
        return ExitHit(*target)
    return None


def _trailing_level(levels: ExitLevels, best_before: float) -> Decimal:
    return exact_price(_trailing_number(levels, best_before))


def _trailing_number(levels: ExitLevels, best: float) -> float:
    assert levels.trailing_share is not None
    return best * (1 - levels.side.sign * levels.trailing_share)


def exact_price(price: float) -> Decimal:
    """The decimal that `price` was read from (see `KlineSeries`), on the ledger's grid."""
    return Decimal(repr(price)).quantize(PRICE_STEP, None, EXACT)


def exact_prices(prices: Iterable[float]) -> list[Decimal]:
    """`exact_price` of each."""
    return [Decimal(repr(price)).quantize(PRICE_STEP, None, EXACT) for price in prices]


def with_best_price(position: Position, bar: Kline) -> Position:
    """`position` after it lived through `bar`: its best price moved on."""
    extreme = exact_price(bar.high if position.side is Side.LONG else bar.low)
    best = position.best_price
    if best is None or position.side.sign * (extreme - best) > 0:
        return position._replace(best_price=extreme)
    return position


def first_exit(
    levels: ExitLevels,
    series: KlineSeries,
    start: int,
    stop: int,
    best_price: float,
    lived_from: int = 0,
) -> tuple[int, ExitHit | None, float]:
    """Search bars start ≤ i < stop for the first exit, in growing chunks.

    `lived_from` is the first bar that the position lives through. Returns (index, hit, best price
    before that bar); without a hit, (stop, None, best price after the last bar). Costs time in
    proportion to the bars searched, at numpy's speed.
    """
    chunk = SMALLEST_CHUNK
    while start < stop:
        end = min(start + chunk, stop)
        hits, best_before = _candidate_bars(levels, series, start, end, best_price)
        invalid = _invalidated_bars(levels, series, max(start, lived_from + 1), end)
        hits[max(start, lived_from + 1) - start :] |= invalid
        for offset in np.flatnonzero(hits):
            index, best = start + int(offset), float(best_before[offset])
            hit = exit_in_bar(levels, series.bar(index), best)
            past = index - max(start, lived_from + 1)
            if past >= 0 and invalid[past] and not (hit is not None and hit.at_open):
                opened_at = exact_price(float(series.open[index]))
                hit = ExitHit(Reason.INVALIDATION, opened_at, at_open=True)
            if hit is not None:
                return index, hit, best
        best_price = float(best_before[-1])
        start, chunk = end, min(chunk * 4, LARGEST_CHUNK)
    return stop, None, best_price


def _invalidated_bars(levels: ExitLevels, series: KlineSeries, start: int, end: int) -> BoolArray:
    """Which bars start ≤ i < end open when a bar of the condition's interval has just closed, at
    a close that meets it. With bars longer than that, each of them is one."""
    condition = levels.at_close
    if condition is None or start >= end:
        return np.zeros(max(end - start, 0), dtype=np.bool_)
    closes = series.close[start - 1 : end - 1]
    level = float(condition.level)
    match condition.operator:
        case Comparison.BELOW:
            meets = closes < level
        case Comparison.AT_OR_BELOW:
            meets = closes <= level
        case Comparison.ABOVE:
            meets = closes > level
        case Comparison.AT_OR_ABOVE:
            meets = closes >= level
    assert condition.interval is not None  # at_close has one
    opened = series.open_time
    for offset in np.flatnonzero(meets):
        turn = condition.interval.floor(int(opened[start + offset]))
        meets[offset] = int(opened[start + offset - 1]) < turn
    return meets


def _candidate_bars(
    levels: ExitLevels, series: KlineSeries, start: int, end: int, best_price: float
) -> tuple[BoolArray, FloatArray]:
    """Which bars reach a level, and the best price before each of them (and after the last)."""
    sign = levels.side.sign
    worst = (series.low if sign > 0 else series.high)[start:end]
    best = (series.high if sign > 0 else series.low)[start:end]
    hits = np.zeros(end - start, dtype=np.bool_)
    for _, price in levels.adverse:
        hits |= worst <= float(price) if sign > 0 else worst >= float(price)
    if levels.target is not None:
        target = float(levels.target[1])
        hits |= best >= target if sign > 0 else best <= target
    running = np.maximum.accumulate if sign > 0 else np.minimum.accumulate
    best_before = running(np.concatenate(([best_price], best)))
    if levels.trailing_share is not None:
        # A price step of room, since the exact level is rounded to that step.
        step = sign * float(PRICE_STEP)
        trailing = best_before[:-1] * (1 - sign * levels.trailing_share) + step
        hits |= worst <= trailing if sign > 0 else worst >= trailing
    return hits, best_before
