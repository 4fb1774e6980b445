"""Does a trader see the future? Its answers with the whole history beside those with it cut off.

What a trader says at the close of bar t must not change when every bar after t is taken away. The
audit asks both ways at many bars and names the first answer that differs. What an LLM is shown is
held to the same: its prompt has to be the same, byte for byte.
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
    Interval,
    KlineSeries,
    MarketState,
    Portfolio,
    TimeArray,
    Trader,
)
from exits import exact_price
from strategies.base import Signals, Strategy
from trading_prompt import Prompt

CUTS = 200
CAPITAL = Decimal(10_000)
GENERATED_START_MS = 1_704_067_200_000  # 2024-01-01
STEP_DEVIATION = 0.01  # of a bar's log return
WAVE_HEIGHT, WAVE_BARS = 0.1, 20
WICK = 0.004

Question = tuple[MarketState, Portfolio, AccountInfo]


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
    for open_time in _times(history, cuts):
        trader, other = make_trader(), make_trader()
        with_future = trader.make_decision(*_question(trader.history_bars, history, open_time))
        without = other.make_decision(
            *_question(other.history_bars, history, open_time, without_future=True)
        )
        for coin in history:
            if with_future.get(coin) != without.get(coin):
                return _leak_at(history[coin], coin, open_time, "decision")
    return None


def first_leak_of_prompt(
    write: Callable[[MarketState, Portfolio, AccountInfo], Prompt],
    history_bars: int,
    history: Mapping[str, KlineSeries],
    cuts: int = CUTS,
) -> Leak | None:
    """The first prompt that changes when the bars after it are cut off, if any does.

    `write` makes the prompt of one decision from at most `history_bars` bars of each coin. The leak
    is of the first coin without whose later bars alone the prompt is another.
    """
    for open_time in _times(history, cuts):
        with_future = write(*_question(history_bars, history, open_time))
        for coin in history:
            cut = {**history, coin: _until(history[coin], open_time)}
            if write(*_question(history_bars, cut, open_time)) != with_future:
                return _leak_at(history[coin], coin, open_time, "prompt")
    return None


def _times(history: Mapping[str, KlineSeries], cuts: int) -> list[int]:
    """Open times of bars over the whole of the history."""
    grid = np.unique(np.concatenate([series.open_time for series in history.values()]))
    times: list[int] = grid[_places(len(grid), cuts)].tolist()
    return times


def _leak_at(series: KlineSeries, coin: str, open_time: int, what: str) -> Leak:
    return Leak(coin, _bars_until(series, open_time) - 1, open_time, what)


def _bars_until(series: KlineSeries, open_time: int) -> int:
    return int(np.searchsorted(series.open_time, open_time, side="right"))


def _until(series: KlineSeries, open_time: int) -> KlineSeries:
    """A copy without the bars that open later."""
    return copied(series.slice(0, _bars_until(series, open_time)))


def _question(
    history_bars: int,
    history: Mapping[str, KlineSeries],
    open_time: int,
    *,
    without_future: bool = False,
) -> Question:
    """What a trader is asked at the close of the bars that open then: views, or copies."""
    market = {}
    time_ms = open_time
    for coin, series in history.items():
        last = _bars_until(series, open_time)
        if not last:
            continue
        shown = series.slice(max(0, last - history_bars), last)
        time_ms = open_time + series.interval.milliseconds
        price = exact_price(series.close.item(last - 1))
        seen = copied(shown) if without_future else shown
        market[coin] = CoinMarket(price, seen, source=series.source)
    portfolio = Portfolio(CAPITAL, {}, Decimal(0), CAPITAL, Decimal(0), Decimal(0))
    return market, portfolio, AccountInfo(time_ms, time_ms, CAPITAL, 0.0)


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


def generated_history(coins: int = 2, bars: int = 600) -> dict[str, KlineSeries]:
    """Hourly random walks with a wave in them, so that every strategy finds something to do."""
    history = {}
    times = GENERATED_START_MS + np.arange(bars, dtype=np.int64) * Interval.H1.milliseconds
    for place in range(coins):
        draw = np.random.default_rng(place)
        walk = np.cumsum(draw.normal(0, STEP_DEVIATION, bars))
        close = np.round(100 * np.exp(walk + WAVE_HEIGHT * np.sin(np.arange(bars) / WAVE_BARS)), 6)
        opened = np.concatenate(([100.0], close[:-1]))
        high = np.round(np.maximum(opened, close) * (1 + WICK), 6)
        low = np.round(np.minimum(opened, close) * (1 - WICK), 6)
        history[f"C{place}"] = KlineSeries(
            Interval.H1, times, opened, high, low, close, np.full(bars, 10.0), "generated"
        )
    return history
