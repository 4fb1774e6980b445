"""The queue of backtests: bars are fetched here, runs happen in worker processes.

A run lives in the database from the moment it is asked for: queued, running with its progress,
then done, failed or cancelled. What a dead process left unfinished is run again from its start.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from backtest_report import build_report
from backtest_request import BacktestRequest, ResolvedBacktest, with_leverage
from backtesting import BacktestEngine, Cancelled
from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import Clock, Coin, Instrument, KlineSeries
from errors import Conflict, InvalidInput, SourceError, SourceUnavailable, TradingSystemError
from event_stream import EventStream
from kline_store import KlineStore
from repositories import backtests, coins, models, pools
from repositories.backtests import BacktestRecord
from risk_limits import RiskName
from strategies import make_trader
from version import VERSION

PROGRESS_SECONDS = 0.3
PARENT_POLL_SECONDS = 1.0
POOL_END_SECONDS = 5.0
MOST_UNANSWERED_SHARE = 0.02  # of a range's bars that no source was there to answer for

log = logging.getLogger(__name__)


class BacktestJobs:
    """Takes runs, fetches their bars, hands them to `workers` processes, stores what comes back."""

    def __init__(
        self,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        clock: Clock,
        events: EventStream,
        workers: int,
    ):
        self._database = database
        self._data_aggregator = data_aggregator
        self._clock = clock
        self._events = events
        self._workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="backtest")
        self._pool: ProcessPoolExecutor | None = None
        self._pool_lock = threading.Lock()
        self._running: dict[int, Future[None]] = {}
        self._ended = threading.Event()

    # --------------------------------------------------------------------------- asking

    def submit(self, request: BacktestRequest) -> BacktestRecord:
        """Queue a run, or find it among those that are done.

        Raises InvalidInput, NotFound (unknown coin, model) before anything is stored.
        """
        return self.submit_resolved(self.resolve(request), request.model_id)

    def submit_resolved(
        self, resolved: ResolvedBacktest, model_id: int | None = None
    ) -> BacktestRecord:
        """Queue a run of which all is known, such as one from another machine."""
        for symbol in resolved.coins:
            coins.get(self._database.connection, symbol)
        make_trader(resolved.trader, resolved.coins, resolved.params)  # refuses bad parameters
        run_hash = self._hash(resolved)
        known = backtests.find_done(self._database.connection, run_hash)
        if known:
            return known[0]
        with self._database.transaction() as connection:
            backtest_id = backtests.add(
                connection, resolved.model_dump(mode="json"), run_hash, model_id,
                self._clock.now_ms(),
            )  # fmt: skip
        self._start(backtest_id)
        return backtests.get(self._database.connection, backtest_id)

    def wait(self, backtest_id: int) -> None:
        """Return when a run has ended."""
        running = self._running.get(backtest_id)
        if running is not None:
            running.result()

    def cancel(self, backtest_id: int) -> None:
        """End an unfinished run. Raises NotFound, Conflict (backtest_ended)."""
        backtests.get(self._database.connection, backtest_id)
        with self._database.transaction() as connection:
            cancelled = backtests.cancel(connection, backtest_id, self._clock.now_ms())
        if not cancelled:
            raise Conflict("This backtest has ended already.", code="backtest_ended")
        self._publish(backtest_id)

    def resume(self) -> None:
        """Run what an earlier process left queued or running."""
        for record in backtests.unfinished(self._database.connection):
            with self._database.transaction() as connection:
                backtests.requeue(connection, record.id)
            self._start(record.id)

    def stop(self) -> None:
        """End the workers; what they were at is run again after the next start."""
        self._ended.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._pool_lock:
            if self._pool is not None:
                end_workers(self._pool)
                self._pool = None

    def resolve(self, request: BacktestRequest) -> ResolvedBacktest:
        """The run with a model's or a trader's own terms filled in.

        Raises InvalidInput, NotFound (unknown coin, model).
        """
        connection = self._database.connection
        terms = request.model_dump(include=set(ResolvedBacktest.model_fields))
        weights: dict[str, float] = {}
        if request.model_id is not None:
            model = models.get(connection, request.model_id)
            members = pools.members(connection, model.id)
            weights = {m.coin.symbol: m.weight for m in members if m.share > 0}
            pool = list(weights)
            trader, params, risk = model.trader, {**model.params, **request.params}, model.risk
        else:
            assert request.trader is not None  # the request's own check
            pool, trader, risk = [], request.trader, RiskName.OFF.value
            script = {} if request.decisions is None else {"decisions": request.decisions}
            params = {**request.params, **script}
        symbols = pool if request.coins is None else request.coins
        if not symbols:
            raise InvalidInput("This model's pool is empty.", fields={"coins": "none to trade"})
        chosen = [coins.get(connection, symbol).symbol for symbol in symbols]
        return ResolvedBacktest.model_validate(
            terms
            | {
                "trader": trader,
                "params": with_leverage(trader, params, request.leverage),
                "coins": list(dict.fromkeys(chosen)),
                "risk": request.risk or risk,
                "source": self._data_aggregator.kline_source_name(),
                "weights": {symbol: weights.get(symbol, 1.0) for symbol in chosen}
                if len(set(weights.values())) > 1
                else {},
            }
        )

    def _hash(self, resolved: ResolvedBacktest) -> str:
        """What the run and the bars that are stored for it come to."""
        connection = self._database.connection
        store = KlineStore(self._database)
        fingerprint = []
        for symbol in resolved.coins:
            coin = coins.get(connection, symbol)
            fingerprint.append(
                store.fingerprint(
                    coin, resolved.source_of(symbol), resolved.interval, resolved.end_ms
                )
            )
        return resolved.hash_with(fingerprint, VERSION)

    # -------------------------------------------------------------------------- running

    def _start(self, backtest_id: int) -> None:
        future = self._threads.submit(self._run, backtest_id)
        self._running[backtest_id] = future
        future.add_done_callback(lambda _: self._running.pop(backtest_id, None))

    def _run(self, backtest_id: int) -> None:
        """Fetch the bars, let a worker run it, and tell the pages how far it is."""
        with self._database.transaction() as connection:
            if not backtests.start(connection, backtest_id, self._clock.now_ms()):
                return  # cancelled or deleted while it was queued
        self._publish(backtest_id)
        try:
            record = backtests.get(self._database.connection, backtest_id)
            resolved = ResolvedBacktest.model_validate(record.config)
            trader = make_trader(resolved.trader, resolved.coins, resolved.params)
            resolved = self.with_bars(
                resolved, trader.history_bars, lambda: self._go_on(backtest_id)
            )
            instruments = self.instruments(resolved)
            with self._database.transaction() as connection:
                backtests.set_config(
                    connection, backtest_id, resolved.model_dump(mode="json"), self._hash(resolved)
                )
            self._run_in_worker(backtest_id, instruments)
        except Cancelled:
            return  # by its owner, or by the end of the process: then it is run again
        except TradingSystemError as error:
            self._fail(backtest_id, error.code, error.message)
        except Exception as error:  # the edge: whatever went wrong must stand with the run
            log.exception("backtest %s failed", backtest_id)
            self._fail(backtest_id, "internal_error", f"{type(error).__name__}: {error}")
        self._publish(backtest_id)

    def with_bars(
        self, resolved: ResolvedBacktest, history_bars: int, go_on: Callable[[], None]
    ) -> ResolvedBacktest:
        """The run when its bars are in the store, with the sources that they are from.

        `history_bars` is how far back its trader looks; `go_on` is called now and then and may
        raise. Raises SourceUnavailable (no_data).
        """
        warmup_start_ms = resolved.warmup_start_ms(history_bars)
        sources = {}
        for symbol in resolved.coins:
            coin = coins.get(self._database.connection, symbol)
            source = self._fetch(coin, resolved, warmup_start_ms, lambda _: go_on())
            if source != resolved.source:
                sources[symbol] = source
        return resolved.model_copy(update={"sources": sources})

    def instruments(self, resolved: ResolvedBacktest) -> dict[str, Instrument]:
        """The venue's rules for those coins that have any."""
        if not resolved.lot_rounding:
            return {}
        try:
            return self._data_aggregator.venues.instruments(resolved.coins)
        except SourceError:
            return {}  # the report says that lots were not known

    def _go_on(self, backtest_id: int) -> None:
        """Raises Cancelled when the process ends or the run is no longer wanted."""
        wanted = backtests.status_of(self._database.connection, backtest_id) == "running"
        if self._ended.is_set() or not wanted:
            raise Cancelled

    def _fetch(
        self,
        coin: Coin,
        resolved: ResolvedBacktest,
        warmup_start_ms: int,
        progress: Callable[[float], None],
    ) -> str:
        """Whose bars of the coin there are.

        Raises SourceUnavailable when too much of the range itself cannot be had.
        """
        interval = resolved.interval
        history = self._data_aggregator.fetch_history(
            coin, interval, resolved.start_ms, resolved.end_ms, progress
        )
        expected = (resolved.end_ms - resolved.start_ms) // interval.milliseconds
        if history.failure is not None:
            share = history.unanswered_bars / max(expected, 1)
            if share > MOST_UNANSWERED_SHARE:
                raise SourceUnavailable(
                    f"{share:.0%} of the bars of {coin.symbol} are not stored, and no source "
                    f"answers for them: {history.failure.message}",
                    code="no_data",
                )
        self._data_aggregator.fetch_history(
            coin, interval, warmup_start_ms, resolved.start_ms, progress, source=history.source
        )
        return history.source

    def _run_in_worker(self, backtest_id: int, instruments: Mapping[str, Instrument]) -> None:
        self._go_on(backtest_id)
        try:
            future = self._process_pool().submit(
                run_stored_backtest, self._database.path, backtest_id, dict(instruments)
            )
            while True:
                try:
                    future.result(PROGRESS_SECONDS)
                    break
                except NotYet:
                    self._publish(backtest_id)
        except BrokenProcessPool:
            self._go_on(backtest_id)
            with self._pool_lock:
                self._pool = None
            self._fail(backtest_id, "worker_died", "The process that ran it has died.")
            return
        outcome = future.result()
        if outcome is not None:
            self._fail(backtest_id, *outcome)

    def _process_pool(self) -> ProcessPoolExecutor:
        with self._pool_lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._workers,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=end_with_parent,
                    initargs=(os.getpid(),),
                )
            return self._pool

    def _fail(self, backtest_id: int, code: str, message: str) -> None:
        with self._database.transaction() as connection:
            backtests.fail(connection, backtest_id, code, message, self._clock.now_ms())

    def _publish(self, backtest_id: int) -> None:
        if backtests.status_of(self._database.connection, backtest_id) is not None:
            record = backtests.get(self._database.connection, backtest_id)
            self._events.publish("backtest", {"record": record})


def end_workers(pool: ProcessPoolExecutor) -> None:
    """End a pool now, whatever its workers are at (Python 3.14 has `terminate_workers` for it).

    The pool is told first and its own thread waited for last: told after its workers have died,
    or at the interpreter's end, it would write to a pipe that this thread has just closed.
    """
    workers = list(pool._processes.values())
    # typeshed takes it for something else.
    manager: threading.Thread | None = pool._executor_manager_thread  # type: ignore[assignment]
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    if manager is not None:
        manager.join(POOL_END_SECONDS)


# ----------------------------------------------------------------------- in the worker process


def end_with_parent(parent: int) -> None:
    """Let this process end when `parent` does, however that ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def run_stored_backtest(
    database_path: Path, backtest_id: int, instruments: dict[str, Instrument]
) -> tuple[str, str] | None:
    """Run a stored backtest on stored bars and store its report; (code, sentence) if it cannot be."""
    database = Database(database_path, SystemClock())
    try:
        record = backtests.get(database.connection, backtest_id)
        resolved = ResolvedBacktest.model_validate(record.config)
        report = _report(database, backtest_id, resolved, instruments)
        with database.transaction() as connection:
            backtests.finish(connection, backtest_id, report, database.clock.now_ms())
    except Cancelled:
        return None
    except TradingSystemError as error:
        return error.code, error.message
    finally:
        database.close()
    return None


def _report(
    database: Database,
    backtest_id: int,
    resolved: ResolvedBacktest,
    instruments: dict[str, Instrument],
) -> dict[str, Any]:
    trader = make_trader(resolved.trader, resolved.coins, resolved.params)
    first_ms = resolved.warmup_start_ms(trader.history_bars)
    store = KlineStore(database)
    history: dict[str, KlineSeries] = {}
    for symbol in resolved.coins:
        coin = coins.get(database.connection, symbol)
        history[symbol] = store.read(
            coin, resolved.source_of(symbol), resolved.interval, first_ms, resolved.end_ms
        )
    engine = BacktestEngine(
        trader,
        resolved.engine_config(),
        {coin: rules for coin, rules in instruments.items() if resolved.lot_rounding},
        progress=_ProgressInDatabase(database, backtest_id),
    )
    report = build_report(engine.run_backtest(history))
    unrounded = [coin for coin in resolved.coins if coin not in instruments]
    if resolved.lot_rounding and unrounded:
        words = f"No lot size is known of {', '.join(unrounded)}: quantities were not rounded."
        report["warnings"] = [*report["warnings"], words]
    return {**report, "config": resolved.model_dump(mode="json")}


class _ProgressInDatabase:
    """Writes the share done now and then, and stops a run that has been cancelled."""

    def __init__(self, database: Database, backtest_id: int):
        self._database = database
        self._backtest_id = backtest_id
        self._written = time.monotonic()

    def __call__(self, share: float) -> None:
        now = time.monotonic()
        if now - self._written < PROGRESS_SECONDS:
            return
        self._written = now
        with self._database.transaction() as connection:
            if backtests.status_of(connection, self._backtest_id) != "running":
                raise Cancelled
            backtests.set_progress(connection, self._backtest_id, share)
