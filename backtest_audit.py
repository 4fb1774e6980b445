"""Does a trader see the future? Its answers with the whole history beside those with it cut off.

What a trader says at the close of bar t must not change when every bar after t is taken away. The
audit asks both ways at many bars and names the first answer that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

import numpy as np

from domain import (
    AccountInfo,
    BoolArray,
    CoinMarket,
    Decisions,
    KlineSeries,
    Portfolio,
    TimeArray,
    Trader,
)
from exits import exact_price
from strategies.base import Signals, Strategy

CUTS = 200
CAPITAL = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Leak:
    """The first answer that hangs on later bars: of which coin, at the close of which bar."""

    coin: str
    bar: int
    open_time: int
    what: str


def first_leak(
    make_trader: Callable[[], Trader], history: Mapping[str, KlineSeries], cuts: int = CUTS
) -> Leak | None:
    """The first answer that changes when the bars after it are cut off, if any does.

    `make_trader` gives a new trader each time, since one may remember. A strategy's signals are
    compared at every bar before each of `cuts` places, any other trader's decisions at those.
    """
    trader = make_trader()
    if isinstance(trader, Strategy):
        leak = _first_leak_of_signals(trader, history, cuts)
        if leak is not None:
            return leak
    return _first_leak_of_decisions(make_trader, history, cuts)


# --------------------------------------------------------------------------------- signals


def _first_leak_of_signals(
    strategy: Strategy, history: Mapping[str, KlineSeries], cuts: int
) -> Leak | None:
    found = [
        leak
        for coin, series in history.items()
        if (leak := _leak_of_coin(strategy, coin, series, cuts)) is not None
    ]
    return min(found, key=lambda leak: leak.open_time, default=None)


def _leak_of_coin(strategy: Strategy, coin: str, series: KlineSeries, cuts: int) -> Leak | None:
    whole = strategy.signals(coin, series)
    first: Leak | None = None
    for cut in _places(len(series), cuts):
        known = strategy.signals(coin, copied(series.slice(0, int(cut) + 1)))
        for what, (bar, differs) in _differences(whole, known).items():
            if differs and (first is None or bar < first.bar):
                first = Leak(coin, bar, int(series.open_time[bar]), what)
    return first


def _differences(whole: Signals, known: Signals) -> dict[str, tuple[int, bool]]:
    """By signal: the first bar at which the two differ, and whether they do at all."""
    found = {}
    for column in fields(Signals):
        with_future: BoolArray | None = getattr(whole, column.name)
        without: BoolArray | None = getattr(known, column.name)
        if with_future is None or without is None:
            continue
        differs = with_future[: len(without)] != without
        found[column.name] = (int(np.argmax(differs)) if len(differs) else 0, bool(differs.any()))
    return found


# -------------------------------------------------------------------------------- decisions


def _first_leak_of_decisions(
    make_trader: Callable[[], Trader], history: Mapping[str, KlineSeries], cuts: int
) -> Leak | None:
    """At each place: the answer to views on the whole history, and to a copy that ends there."""
    grid = np.unique(np.concatenate([series.open_time for series in history.values()]))
    for place in _places(len(grid), cuts):
        open_time = int(grid[place])
        with_future = _asked(make_trader(), history, open_time, views=True)
        without = _asked(make_trader(), history, open_time, views=False)
        for coin in history:
            if with_future.get(coin) != without.get(coin):
                series = history[coin]
                bar = int(np.searchsorted(series.open_time, open_time, side="right")) - 1
                return Leak(coin, bar, open_time, "decision")
    return None


def _asked(
    trader: Trader, history: Mapping[str, KlineSeries], open_time: int, *, views: bool
) -> Decisions:
    market = {}
    time_ms = open_time
    for coin, series in history.items():
        last = int(np.searchsorted(series.open_time, open_time, side="right"))
        if not last:
            continue
        shown = series.slice(max(0, last - trader.history_bars), last)
        time_ms = open_time + series.interval.milliseconds
        price = exact_price(series.close.item(last - 1))
        market[coin] = CoinMarket(price, shown if views else copied(shown), source=series.source)
    portfolio = Portfolio(CAPITAL, {}, Decimal(0), CAPITAL, Decimal(0), Decimal(0))
    return trader.make_decision(market, portfolio, AccountInfo(time_ms, time_ms, CAPITAL, 0.0))


def copied(series: KlineSeries) -> KlineSeries:
    """The same bars in memory of their own, from which nothing later can be reached."""
    return KlineSeries(
        series.interval, series.open_time.copy(), series.open.copy(), series.high.copy(),
        series.low.copy(), series.close.copy(), series.volume.copy(), series.source,
        series.last_is_open,
    )  # fmt: skip


def _places(length: int, cuts: int) -> TimeArray:
    """Places over the whole length, the last bar left out: nothing comes after it."""
    if length < 2:
        return np.empty(0, dtype=np.int64)
    return np.unique(np.linspace(0, length - 2, min(cuts, length - 1)).astype(np.int64))
