"""A search over parameters: every combination is a backtest, scored in a few figures. Walk-forward.

A combination's figures are exactly those that a backtest with the same terms reports; only what
is costly and of no use to a search (intervals, luck test, benchmarks) is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from backtest_request import ResolvedBacktest
from backtest_run import BacktestResult
from backtesting import BacktestEngine
from domain import FloatArray, Instrument, KlineSeries
from performance import daily_returns, drawdown_series, ratios, round_trips
from script_exits import EXIT_AXES, with_exits
from search_significance import ReturnMoments, deflated_sharpes, return_moments
from strategies import make_trader
from sweep_request import Combination, Objective, ResolvedSweep, Window, with_combination
from timestamps import iso_utc

CHUNKS_A_WORKER = 8
LARGEST_CHUNK = 50
PROGRESS_SECONDS = 0.2
DAYS_A_YEAR = 365


@dataclass(frozen=True, slots=True)
class SweepMarket:
    """What every combination has in common; it is sent to each worker once."""

    run: ResolvedBacktest
    history: Mapping[str, KlineSeries]
    instruments: Mapping[str, Instrument]


@dataclass(frozen=True, slots=True)
class Task:
    """One backtest of the search: a combination on some days (both inside)."""

    combination: Combination
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Score:
    """What a search knows of a backtest; `max_drawdown` and the return are in percent."""

    return_percentage: float
    sharpe: float | None
    calmar: float | None
    max_drawdown: float
    total_trades: int
    total_fees: float
    moments: ReturnMoments | None


Submit = Callable[[Sequence[Task]], "Future[list[Score]]"]
Progress = Callable[[float], None]


# --------------------------------------------------------------------- in the worker processes


def run_task(market: SweepMarket, task: Task) -> BacktestResult:
    """The backtest of a combination, on its own bars of the shared history."""
    run = with_combination(market.run, task.combination).model_copy(
        update={"start_date": task.first_day, "end_date": task.last_day}
    )
    exits = {name: task.combination[name] for name in EXIT_AXES if name in task.combination}
    if exits and run.trader == "scripted":
        script = with_exits(run.params.get("decisions", []), exits, market.history)
        run = run.model_copy(update={"params": {**run.params, "decisions": script}})
    trader = make_trader(run.trader, run.coins, run.params)
    first_ms = run.warmup_start_ms(trader.history_bars)
    history = {
        coin: series.between(first_ms, run.end_ms) for coin, series in market.history.items()
    }
    return BacktestEngine(trader, run.engine_config(), market.instruments).run_backtest(history)


def scores_of(market: SweepMarket, tasks: Sequence[Task]) -> list[Score]:
    """The scores of some tasks, in their order."""
    return [score_of(run_task(market, task)) for task in tasks]


def score_of(result: BacktestResult) -> Score:
    """The figures by which a search compares; each is that of the report by the same name."""
    initial = float(result.config.initial_capital)
    equity = result.equity
    figures = ratios(result.close_time, equity, initial)
    falls = drawdown_series(np.concatenate(([initial], equity)))
    return Score(
        (float(equity[-1]) / initial - 1) * 100,
        figures["sharpe"],
        figures["calmar"],
        float(np.max(falls)),
        len(round_trips(result.entries)),
        float(result.account.fees_paid),
        return_moments(daily_returns(result.close_time, equity, initial)),
    )


# ------------------------------------------------------------------------------------ the search


def scored(tasks: Sequence[Task], submit: Submit, workers: int, progress: Progress) -> list[Score]:
    """The scores of `tasks` in their order, done `workers` at a time by what `submit` sends to.

    `progress` is called with the share done and may raise to give up; what waits is then not begun.
    """
    chunks = _chunks(tasks, workers)
    futures = {submit(chunk): place for place, chunk in enumerate(chunks)}
    done: dict[int, list[Score]] = {}
    pending = set(futures)
    try:
        while pending:
            finished, pending = wait(pending, PROGRESS_SECONDS, FIRST_COMPLETED)
            for future in finished:
                done[futures[future]] = future.result()
            progress(sum(map(len, done.values())) / len(tasks))
    finally:
        for future in pending:
            future.cancel()
    return [score for place in range(len(chunks)) for score in done[place]]


def _chunks(tasks: Sequence[Task], workers: int) -> list[Sequence[Task]]:
    size = max(1, min(LARGEST_CHUNK, math.ceil(len(tasks) / (workers * CHUNKS_A_WORKER))))
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def search_result(
    sweep: ResolvedSweep,
    market: SweepMarket,
    found: Sequence[Combination],
    windows: Sequence[Window],
    submit: Submit,
    workers: int,
    progress: Progress,
) -> dict[str, Any]:
    """The whole search, as plain numbers and texts that go straight into JSON.

    `rows` are all combinations with their figures and the deflated Sharpe ratio of the search;
    `best` is the place of the best of them; `walk_forward` is None without windows.
    """
    run = sweep.run
    tasks = [Task(combination, run.start_date, run.end_date) for combination in found]
    fits = [
        Task(combination, window.fit_first, window.fit_last)
        for window in windows
        for combination in found
    ]
    scores = scored([*tasks, *fits], submit, workers, progress)
    whole, fitted = scores[: len(tasks)], scores[len(tasks) :]
    deflated = deflated_sharpes([score.moments for score in whole])
    return {
        "axes": list(sweep.ranges),
        "objective": sweep.objective,
        "rows": [
            _row(combination, score, real)
            for combination, score, real in zip(found, whole, deflated, strict=True)
        ],
        "best": best_of(whole, sweep.objective),
        "walk_forward": _walk_forward(sweep, market, found, windows, fitted) if windows else None,
    }


def best_of(scores: Sequence[Score], objective: Objective) -> int:
    """The place of the first score with the most of `objective`; one that is None is the least."""
    values = [getattr(score, objective) for score in scores]
    return max(range(len(values)), key=lambda i: -math.inf if values[i] is None else values[i])


def _row(combination: Combination, score: Score, deflated: float | None) -> dict[str, Any]:
    figures = {name: value for name, value in asdict(score).items() if name != "moments"}
    return {"params": combination, **figures, "deflated_sharpe": deflated}


# ---------------------------------------------------------------------------------- walk-forward


def _walk_forward(
    sweep: ResolvedSweep,
    market: SweepMarket,
    found: Sequence[Combination],
    windows: Sequence[Window],
    fitted: Sequence[Score],
) -> dict[str, Any]:
    """The best of each window's fit, on the days after it; and its equity curves in one."""
    rows, times, values = [], [], []
    initial = capital = float(sweep.run.initial_capital)
    for place, window in enumerate(windows):
        scores = fitted[place * len(found) : (place + 1) * len(found)]
        best = best_of(scores, sweep.objective)
        task = Task(found[best], window.score_first, window.score_last)
        result = run_task(market, task)
        rows.append(_window_row(window, found[best], scores[best], score_of(result)))
        times.append(result.close_time)
        values.append(result.equity / initial * capital)
        capital = float(values[-1][-1])
    close_time, equity = np.concatenate(times), np.concatenate(values)
    figures = ratios(close_time, equity, initial)
    falls = drawdown_series(np.concatenate(([initial], equity)))
    return {
        "windows": rows,
        "return_percentage": (capital / initial - 1) * 100,
        "sharpe": figures["sharpe"],
        "max_drawdown": float(np.max(falls)),
        "equity": _by_day(close_time, equity),
    }


def _window_row(
    window: Window, combination: Combination, fit: Score, score: Score
) -> dict[str, Any]:
    return {
        "fit_first": window.fit_first.isoformat(),
        "fit_last": window.fit_last.isoformat(),
        "score_first": window.score_first.isoformat(),
        "score_last": window.score_last.isoformat(),
        "params": combination,
        "fit_return_percentage": fit.return_percentage,
        "fit_sharpe": fit.sharpe,
        "return_percentage": score.return_percentage,
        "sharpe": score.sharpe,
        "max_drawdown": score.max_drawdown,
        "total_trades": score.total_trades,
    }


def _by_day(close_time: np.ndarray[Any, np.dtype[np.int64]], equity: FloatArray) -> list[Any]:
    """The last value of every UTC day."""
    days = (close_time - 1) // 86_400_000
    last = np.flatnonzero(np.diff(days, append=days[-1] + 1))
    return [
        {"timestamp": iso_utc(time_ms), "total_value": value}
        for time_ms, value in zip(close_time[last].tolist(), equity[last].tolist(), strict=True)
    ]
