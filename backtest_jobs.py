"""The queue of backtests: bars are fetched here, runs happen in worker processes.

A run lives in the database from the moment it is asked for: queued, running with its progress,
then done, failed or cancelled. What a dead process left unfinished is run again from its start; one
that asks a language model finds all that it has been answered on record. Such runs have a row of
their own, one at a time: they neither hold up the others nor press a provider.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ai_params import AI_TRADER
from backtest_request import BacktestRequest, ResolvedBacktest, with_run_terms
from backtest_worker import LlmAccess, run_stored_backtest, silent_trader
from backtesting import Cancelled
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import Clock, Coin, Instrument
from errors import (
    Conflict,
    Failure,
    InvalidInput,
    SourceError,
    SourceUnavailable,
    TradingSystemError,
)
from event_stream import EventStream
from kline_store import KlineStore
from llm_run_terms import LlmTerms, resolve_terms, terms_here
from log_context import logged_with
from repositories import backtests, coins, models, pools
from repositories.backtests import BacktestRecord
from risk_limits import RiskName
from runner_mark import RunnerMark
from version import VERSION
from worker_lane import WorkerLane

LLM_RUNS_AT_ONCE = 1
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
        llm_access: LlmAccess | None = None,
    ):
        self._database = database
        self._data_aggregator = data_aggregator
        self._clock = clock
        self._events = events
        self._llm_access = llm_access
        self._lane = WorkerLane("backtest", workers)
        self._llm_lane = WorkerLane("llm-backtest", LLM_RUNS_AT_ONCE)
        self._mark = RunnerMark(database.path)
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
        for symbol in resolved.coins_read:
            coins.get(self._database.connection, symbol)
        if resolved.llm is not None:
            here = terms_here(self._database, resolved.llm)
            resolved = resolved.model_copy(update={"llm": here})
        trader = silent_trader(self._database, resolved)  # refuses bad parameters
        run_hash = self._hash(resolved, trader.history_bars)
        known = backtests.find_done(self._database.connection, run_hash)
        if known:
            return known[0]
        with self._database.transaction() as connection:
            backtest_id = backtests.add(
                connection, resolved.model_dump(mode="json"), run_hash, model_id,
                self._clock.now_ms(),
            )  # fmt: skip
            backtests.claim(connection, backtest_id, None, self._mark.number)
        self._start(backtest_id, self._lane_of(resolved.llm is not None))
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
        """Run what a process that lives no more left queued or running."""
        for record in backtests.unfinished(self._database.connection):
            if record.runner is not None and self._mark.lives(record.runner):
                continue
            with self._database.transaction() as connection:
                mine = backtests.claim(connection, record.id, record.runner, self._mark.number)
                if mine:
                    backtests.requeue(connection, record.id)
            if mine:
                self._start(record.id, self._lane_of(record.config.get("llm") is not None))

    def stop(self) -> None:
        """End the workers; what they were at is run again after the next start."""
        self._ended.set()
        self._lane.stop()
        self._llm_lane.stop()
        self._mark.release()

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
            raise InvalidInput(
                "This model's pool is empty.",
                fields={"coins": "none to trade"},
                reasons={"coins": {"code": "pool_empty"}},
            )
        chosen = [coins.get(connection, symbol).symbol for symbol in symbols]
        return ResolvedBacktest.model_validate(
            terms
            | {
                "trader": trader,
                "params": with_run_terms(trader, params, request.leverage, request.seed),
                "coins": list(dict.fromkeys(chosen)),
                "risk": request.risk or risk,
                "llm": self._llm_terms(request, trader, params, chosen),
                "seed": request.seed or 0,
                "benchmark": self._benchmark(request.benchmark),
                "source": self._source(request.source),
                "source_alone": request.source is not None,
                "weights": {symbol: weights.get(symbol, 1.0) for symbol in chosen}
                if len(set(weights.values())) > 1
                else {},
            }
        )

    def _benchmark(self, symbol: str | None) -> str | None:
        """Raises NotFound (unknown_coin)."""
        return None if symbol is None else coins.get(self._database.connection, symbol).symbol

    def _source(self, asked: str | None) -> str:
        """Whose candles come first. Raises InvalidInput."""
        known = self._data_aggregator.kline_source_names()
        if asked is None:
            return known[0]
        if asked not in known:
            names = ", ".join(known)
            raise InvalidInput(
                f"There is no source {asked!r} of candles; there are {names}.",
                fields={"source": f"one of {names}"},
                reasons={"source": {"code": "literal_error", "values": {"expected": names}}},
            )
        return asked

    def _llm_terms(
        self, request: BacktestRequest, trader: str, params: Mapping[str, Any], coins: list[str]
    ) -> LlmTerms | None:
        """Of a run whose trader asks an LLM: whom, and how. Raises InvalidInput, NotFound."""
        if trader != AI_TRADER:
            if request.speaks_of_llms:
                named = request.speaks_of_llms
                raise InvalidInput(
                    "This trader asks no language model.",
                    fields=dict.fromkeys(named, "is for language models alone"),
                    reasons={name: {"code": "no_llm"} for name in named},
                )
            return None
        provider_id, model_name, prompt = request.provider_id, request.model_name, request.prompt
        if request.model_id is not None:
            model = models.get(self._database.connection, request.model_id)
            provider_id, model_name, prompt = model.provider_id, model.model_name, model.prompt
        if provider_id is None or not model_name:
            raise InvalidInput("This model has no provider and model.", code="no_provider")
        asked = {
            "provider_id": provider_id,
            "model_name": model_name,
            "prompt": prompt or "",
            "replay": request.replay,
            "max_calls": request.max_calls,
            "max_cost": request.max_cost,
            "blind": request.blind,
        }
        self._known_instruments(coins)  # so that prompts show the same ticks from the first run on
        return resolve_terms(self._database, asked, coins, request.interval, params)

    def _hash(self, resolved: ResolvedBacktest, history_bars: int) -> str:
        """What the run and the bars that are stored for it come to, warm-up and all.

        Bars of before say nothing: a chart that is scrolled back stores some.
        """
        connection = self._database.connection
        store = KlineStore(self._database)
        first_ms = resolved.warmup_start_ms(history_bars)
        fingerprint = []
        for symbol in resolved.coins_read:
            coin = coins.get(connection, symbol)
            fingerprint.append(
                store.fingerprint(
                    coin, resolved.source_of(symbol), resolved.interval, first_ms, resolved.end_ms
                )
            )
        return resolved.hash_with(fingerprint, VERSION)

    # -------------------------------------------------------------------------- running

    def _lane_of(self, asks_an_llm: bool) -> WorkerLane:
        return self._llm_lane if asks_an_llm else self._lane

    def _start(self, backtest_id: int, lane: WorkerLane) -> None:
        future = lane.queue(self._run, backtest_id, lane)
        self._running[backtest_id] = future
        future.add_done_callback(lambda _: self._running.pop(backtest_id, None))

    def _run(self, backtest_id: int, lane: WorkerLane) -> None:
        """Fetch the bars, let a worker run it, and tell the pages how far it is."""
        with self._database.transaction() as connection:
            if not backtests.start(connection, backtest_id, self._clock.now_ms()):
                return  # cancelled or deleted while it was queued
        with logged_with(backtest_id=backtest_id):
            self._run_started(backtest_id, lane)

    def _run_started(self, backtest_id: int, lane: WorkerLane) -> None:
        self._publish(backtest_id)
        try:
            record = backtests.get(self._database.connection, backtest_id)
            resolved = ResolvedBacktest.model_validate(record.config)
            trader = silent_trader(self._database, resolved)
            resolved = self.with_bars(
                resolved, trader.history_bars, lambda: self._go_on(backtest_id)
            )
            instruments = self.instruments(resolved)
            run_hash = self._hash(resolved, trader.history_bars)
            with self._database.transaction() as connection:
                backtests.set_config(
                    connection, backtest_id, resolved.model_dump(mode="json"), run_hash
                )
            self._run_in_worker(backtest_id, instruments, lane)
        except Cancelled:
            return  # by its owner, or by the end of the process: then it is run again
        except TradingSystemError as error:
            self._fail(backtest_id, Failure.of(error))
        except Exception as error:  # the edge: whatever went wrong must stand with the run
            log.exception("backtest %s failed", backtest_id)
            said = f"{type(error).__name__}: {error}"
            self._fail(backtest_id, Failure("internal_error", said, {"said": said}))
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
        for symbol in resolved.coins_read:
            coin = coins.get(self._database.connection, symbol)
            first_ms = warmup_start_ms if symbol in resolved.coins else resolved.start_ms
            source = self._fetch(coin, resolved, first_ms, lambda _: go_on())
            if source != resolved.source:
                sources[symbol] = source
        return resolved.model_copy(update={"sources": sources})

    def instruments(self, resolved: ResolvedBacktest) -> dict[str, Instrument]:
        """The venue's rules for those coins that have any."""
        return self._known_instruments(resolved.coins) if resolved.lot_rounding else {}

    def _known_instruments(self, symbols: list[str]) -> dict[str, Instrument]:
        try:
            return self._data_aggregator.venues.instruments(symbols)
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
            coin, interval, resolved.start_ms, resolved.end_ms, progress,
            source=resolved.source if resolved.source_alone else None,
        )  # fmt: skip
        expected = (resolved.end_ms - resolved.start_ms) // interval.milliseconds
        if history.failure is not None:
            share = history.unanswered_bars / max(expected, 1)
            if share > MOST_UNANSWERED_SHARE:
                raise SourceUnavailable(
                    f"{share:.0%} of the bars of {coin.symbol} are not stored, and no source "
                    f"answers for them: {history.failure.message}",
                    code="no_data",
                    values={
                        "coin": coin.symbol,
                        "percent": share * 100,
                        "reason": history.failure.code,
                        "said": history.failure.message,
                    },
                )
        self._data_aggregator.fetch_history(
            coin, interval, warmup_start_ms, resolved.start_ms, progress, source=history.source
        )
        return history.source

    def _run_in_worker(
        self, backtest_id: int, instruments: Mapping[str, Instrument], lane: WorkerLane
    ) -> None:
        def watch() -> None:
            if self._ended.is_set():
                raise Cancelled
            self._publish(backtest_id)

        self._go_on(backtest_id)
        try:
            outcome = lane.in_process(
                watch, run_stored_backtest, self._database.path, backtest_id, dict(instruments),
                self._llm_access if lane is self._llm_lane else None,
            )  # fmt: skip
        except BrokenProcessPool:
            outcome = Failure("worker_died", "The processes that ran it have died.")
        if outcome is not None:
            self._fail(backtest_id, outcome)

    def _fail(self, backtest_id: int, failure: Failure) -> None:
        with self._database.transaction() as connection:
            backtests.fail(connection, backtest_id, failure, self._clock.now_ms())

    def _publish(self, backtest_id: int) -> None:
        if backtests.status_of(self._database.connection, backtest_id) is not None:
            record = backtests.get(self._database.connection, backtest_id)
            self._events.publish("backtest", {"record": record})
