"""The queue of searches over parameters: one at a time, over all cores or a Dask cluster.

A search lives in the database from the moment it is asked for. What a dead process left unfinished
is searched again from its start.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from backtest_candles import check_candles
from backtest_jobs import BacktestJobs
from backtest_request import ResolvedBacktest
from backtest_sweep import SweepMarket, search_result
from backtest_worker import stored_history
from backtesting import Cancelled
from database import Database
from domain import Clock
from errors import Conflict, Failure, InvalidInput, TradingSystemError
from repositories import backtests, sweeps
from repositories.backtests import BacktestRecord
from repositories.sweeps import SweepRecord
from strategies import make_trader, registry
from sweep_request import (
    MOST_RUNS,
    Combination,
    ResolvedSweep,
    SweepRequest,
    combinations,
    read_sweep,
    windows,
    with_combination,
)
from sweep_workers import sweep_workers

log = logging.getLogger(__name__)


class SweepJobs:
    """Takes searches, has their bars fetched, lets workers run them, stores what comes back.

    `processes` 0 takes as many as there are cores; `dask_scheduler` is the address of a cluster's.
    """

    def __init__(
        self,
        database: Database,
        backtest_jobs: BacktestJobs,
        clock: Clock,
        processes: int = 0,
        dask_scheduler: str = "",
    ):
        self._database = database
        self._backtests = backtest_jobs
        self._clock = clock
        self._processes = processes or os.cpu_count() or 1
        self._dask_scheduler = dask_scheduler
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sweep")
        self._running: dict[int, Future[None]] = {}
        self._ended = threading.Event()

    # --------------------------------------------------------------------------- asking

    def submit(self, request: SweepRequest) -> SweepRecord:
        """Queue a search. Raises InvalidInput, NotFound, Conflict before anything is stored."""
        sweep = self._resolve(request)
        found, skipped = combinations(sweep)
        runs = len(found) * (1 + len(windows(sweep)))
        if runs > MOST_RUNS:
            raise InvalidInput(
                f"That is {runs:,} backtests, more than {MOST_RUNS:,}.",
                code="too_many_combinations", fields={"ranges": "too many values"},
                values={"most": MOST_RUNS},
            )  # fmt: skip
        with self._database.transaction() as connection:
            sweep_id = sweeps.add(
                connection, sweep.model_dump(mode="json"), len(found), skipped,
                self._clock.now_ms(),
            )  # fmt: skip
        self._start(sweep_id)
        return sweeps.get(self._database.connection, sweep_id)

    def wait(self, sweep_id: int) -> None:
        """Return when a search has ended."""
        running = self._running.get(sweep_id)
        if running is not None:
            running.result()

    def cancel(self, sweep_id: int) -> None:
        """End an unfinished search. Raises NotFound, Conflict (sweep_ended)."""
        sweeps.get(self._database.connection, sweep_id)
        with self._database.transaction() as connection:
            cancelled = sweeps.cancel(connection, sweep_id, self._clock.now_ms())
        if not cancelled:
            raise Conflict("This search has ended already.", code="sweep_ended")

    def resume(self) -> None:
        """Run what an earlier process left queued or running."""
        for record in sweeps.unfinished(self._database.connection):
            with self._database.transaction() as connection:
                sweeps.requeue(connection, record.id)
            self._start(record.id)

    def stop(self) -> None:
        """Begin no more; what is under way is searched again after the next start."""
        self._ended.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _resolve(self, request: SweepRequest) -> ResolvedSweep:
        if request.run is not None:
            run = self._backtests.resolve(request.run)
        else:
            assert request.backtest_id is not None  # the request's own check
            record = backtests.get(self._database.connection, request.backtest_id, with_report=True)
            run = recorded_run(record)
        if run.trader not in registry():
            raise InvalidInput(
                "A search would ask the LLM for every combination: search over the decisions of a "
                "finished run instead.",
                code="asks_an_llm", fields={"run.trader": "backtest_id takes a finished run"},
            )  # fmt: skip
        terms = request.model_dump(exclude={"run", "backtest_id"})
        return ResolvedSweep(**terms, run=run)

    # -------------------------------------------------------------------------- running

    def _start(self, sweep_id: int) -> None:
        future = self._thread.submit(self._run, sweep_id)
        self._running[sweep_id] = future
        future.add_done_callback(lambda _: self._running.pop(sweep_id, None))

    def _run(self, sweep_id: int) -> None:
        with self._database.transaction() as connection:
            if not sweeps.start(connection, sweep_id, self._clock.now_ms()):
                return  # cancelled or deleted while it was queued
        try:
            result = self._searched(sweep_id)
            with self._database.transaction() as connection:
                sweeps.finish(connection, sweep_id, result, self._clock.now_ms())
        except Cancelled:
            return  # by its owner, or by the end of the process: then it is run again
        except TradingSystemError as error:
            self._fail(sweep_id, Failure.of(error))
        except BrokenProcessPool:
            self._fail(sweep_id, Failure("worker_died", "A process that ran it has died."))
        except Exception as error:  # the edge: whatever went wrong must stand with the search
            log.exception("search %s failed", sweep_id)
            said = f"{type(error).__name__}: {error}"
            self._fail(sweep_id, Failure("internal_error", said, {"said": said}))

    def _searched(self, sweep_id: int) -> dict[str, Any]:
        sweep = read_sweep(sweeps.get(self._database.connection, sweep_id).config)
        found, _ = combinations(sweep)
        market = self._market(sweep.run, found, sweep_id)
        with sweep_workers(market, self._processes, self._dask_scheduler) as workers:
            return search_result(
                sweep, market, found, windows(sweep), workers.submit, workers.count,
                lambda share: self._note(sweep_id, share),
            )  # fmt: skip

    def _market(
        self, run: ResolvedBacktest, found: list[Combination], sweep_id: int
    ) -> SweepMarket:
        """The bars that any of the combinations looks at, and the venue's rules."""
        history_bars = max(_history_bars(run, combination) for combination in found)
        run = self._backtests.with_bars(run, history_bars, lambda: self._note(sweep_id, 0.0))
        history = stored_history(self._database, run, history_bars)
        check_candles(run, history)
        return SweepMarket(run, history, self._backtests.instruments(run))

    def _note(self, sweep_id: int, share: float) -> None:
        """Raises Cancelled when the process ends or the search is no longer wanted."""
        if self._ended.is_set():
            raise Cancelled
        with self._database.transaction() as connection:
            if not sweeps.set_progress(connection, sweep_id, share):
                raise Cancelled

    def _fail(self, sweep_id: int, failure: Failure) -> None:
        with self._database.transaction() as connection:
            sweeps.fail(connection, sweep_id, failure, self._clock.now_ms())


def _history_bars(run: ResolvedBacktest, combination: Combination) -> int:
    changed = with_combination(run, combination)
    return make_trader(changed.trader, changed.coins, changed.params).history_bars


def recorded_run(record: BacktestRecord) -> ResolvedBacktest:
    """A finished run's decisions as a script on the same terms: nobody is asked again.

    Raises Conflict (no_decisions) where none are recorded: for a run that is not done, and for a
    rule strategy, whose parameters can be searched themselves.
    """
    run = ResolvedBacktest.model_validate(record.config)
    if run.trader == "scripted":
        return run
    report: Mapping[str, Any] = record.report or {}
    decisions = report.get("decisions")
    if not decisions:
        raise Conflict(
            f"Backtest {record.id} has no recorded decisions.",
            code="no_decisions",
            values={"id": record.id},
        )
    return run.model_copy(
        update={"trader": "scripted", "params": {"decisions": decisions}, "llm": None}
    )
