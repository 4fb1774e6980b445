"""Where the backtests of a search run: processes of this machine, or the workers of a Dask cluster.

Both are asked through `concurrent.futures`, so that the search knows no difference. On a cluster
every worker must have this program's code and libraries on its path.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from backtest_sweep import Score, Submit, SweepMarket, Task, scores_of
from errors import InvalidInput, SourceUnavailable
from worker_lane import end_with_parent

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SweepWorkers:
    """Who does the work, and how many at once."""

    submit: Submit
    count: int


@contextmanager
def sweep_workers(
    market: SweepMarket, processes: int, dask_scheduler: str = ""
) -> Iterator[SweepWorkers]:
    """Workers that hold `market`, until the block is left; a Dask scheduler's where one is named.

    Raises SourceUnavailable (dask_unreachable), InvalidInput (dask_missing).
    """
    if dask_scheduler:
        with _dask_workers(market, dask_scheduler) as workers:
            yield workers
        return
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(os.getpid(), market),
    )
    try:
        yield SweepWorkers(lambda tasks: pool.submit(_scores_of_held, tasks), processes)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_held: list[SweepMarket] = []  # of a worker process: what its initializer was given


def _begin(parent: int, market: SweepMarket) -> None:
    end_with_parent(parent)
    _held[:] = [market]


def _scores_of_held(tasks: Sequence[Task]) -> list[Score]:
    return scores_of(_held[0], tasks)


@contextmanager
def _dask_workers(market: SweepMarket, scheduler: str) -> Iterator[SweepWorkers]:
    try:
        from distributed import Client
    except ImportError as error:
        raise InvalidInput(
            "DASK_SCHEDULER is set, and the package distributed is not installed.",
            code="dask_missing",
        ) from error
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SourceUnavailable(
            f"No Dask scheduler answers at {scheduler}.", code="dask_unreachable"
        ) from error
    try:
        threads = sum(client.nthreads().values())
        if not threads:
            raise SourceUnavailable(
                f"The Dask scheduler at {scheduler} has no workers.", code="dask_unreachable"
            )
        held = client.scatter(market, broadcast=True, hash=False)
        executor = client.get_executor(pure=False)

        def submit(tasks: Sequence[Task]) -> Future[list[Score]]:
            future: Future[list[Score]] = executor.submit(scores_of, held, tasks)
            return future

        yield SweepWorkers(submit, threads)
    finally:
        client.close()
