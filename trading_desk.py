"""Where the engines of all models come from: built afresh, as each model stands now."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ai_params import AI_TRADER
from ai_trader import ClientFactory, make_ai_trader
from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import Clock, MarketState, Trader, TradingModel
from errors import Conflict, DatabaseUnavailable, InvalidInput, TradingSystemError
from event_stream import EventStream
from llm_client import LLMClient
from market_snapshots import MarketSnapshots
from owner_settings import SettingsStore
from paper_execution import ExecutionRules
from repositories import books, models
from risk_limits import limits_of
from strategies import make_trader
from trading_engine import TradingEngine
from trading_halt import TradingHalt
from trading_lease import TradingLease

log = logging.getLogger(__name__)

Refusal = Conflict | DatabaseUnavailable


def no_llm(provider_id: int) -> LLMClient:
    """The clients of a desk that was given none."""
    raise InvalidInput(f"Provider {provider_id} cannot be asked here.", code="no_provider")


class TradingDesk:
    """Builds the engine of any model, as the model stands now, and keeps one lock a model.

    `halt` is the kill switch of all of them, `lease` this process's right to trade.
    """

    def __init__(
        self,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        settings: SettingsStore,
        clock: Clock,
        events: EventStream,
        llm_clients: ClientFactory = no_llm,
    ):
        self.database = database
        self.data_aggregator = data_aggregator
        self.snapshots = MarketSnapshots(data_aggregator, clock)
        self.halt = TradingHalt(database, SystemClock())
        self.lease = TradingLease(database, clock, SystemClock())
        self._settings = settings
        self._clock = clock
        self._events = events
        self._llm_clients = llm_clients
        self._ending = threading.Event()
        self._locks: dict[int, threading.Lock] = {}
        self._locks_lock = threading.Lock()

    def engine(self, model_id: int) -> TradingEngine:
        """The engine of a model. Raises NotFound."""
        return self.engine_of(models.get(self.database.connection, model_id))

    def engine_of(self, model: TradingModel) -> TradingEngine:
        """The engine of a model that has been read already."""
        with self._locks_lock:
            lock = self._locks.setdefault(model.id, threading.Lock())
        return TradingEngine(
            model,
            self.database,
            self.data_aggregator,
            self._trader_of(model),
            self._rules(model),
            self._clock,
            lease=self.lease,
            snapshots=self.snapshots,
            events=self._events,
            lock=lock,
        )

    def stop_calls(self) -> None:
        """The process ends: no LLM is called any more, and none that answers late is heard."""
        self._ending.set()

    def run_turn(self, model_id: int, scheduled_at: int) -> list[Refusal]:
        """A cycle of a model and of each of its replicas, all at once and on one snapshot.

        Returns why cycles were not run, if so; what failed in one stands with its cycle.
        """
        group = models.with_replicas(self.database.connection, model_id)
        engines = [self.engine_of(model) for model in group]
        if len(engines) == 1:
            refused = [_run(engines[0], scheduled_at, None)]
        else:
            market = self._snapshot_for(engines)
            with ThreadPoolExecutor(len(engines)) as threads:
                refused = list(threads.map(lambda one: _run(one, scheduled_at, market), engines))
        return [refusal for refusal in refused if refusal is not None]

    def _snapshot_for(self, engines: list[TradingEngine]) -> MarketState | None:
        """What all of them are shown; None where it cannot be had, which each finds for itself."""
        first = engines[0]
        held = books.held_coins(self.database.connection)
        also = [coin for engine in engines for coin in held.get(engine.model.id, ())]
        try:
            return first.snapshot(self._trader_of(first.model)([], 0), also)
        except TradingSystemError as error:
            log.warning("no snapshot for model %s: %s", first.model.id, error.message)
            return None

    def _trader_of(self, model: TradingModel) -> Callable[[list[str], int], Trader]:
        """What makes the trader of a cycle; an LLM may be asked while trading is not stopped."""

        def made(symbols: list[str], cycle_id: int) -> Trader:
            if model.trader != AI_TRADER:
                return make_trader(model.trader, symbols, model.params)
            return make_ai_trader(
                model, symbols, cycle_id, self.database, self._llm_clients,
                lambda: self._may_call(model),
            )  # fmt: skip

        return made

    def _may_call(self, model: TradingModel) -> bool:
        """Not while trading is stopped, nor once the model has been paused or archived meanwhile."""
        if self._ending.is_set() or not self.halt.may_call():
            return False
        now = models.get(self.database.connection, model.id)
        return now.archived_at is None and (now.enabled or not model.enabled)

    def _rules(self, model: TradingModel) -> ExecutionRules:
        settings = self._settings.load()
        return ExecutionRules(
            fee_rate=settings.exact_fee_rate,
            slippage_bps=settings.exact_slippage_bps,
            risk=limits_of(model.risk),
        )


def _run(engine: TradingEngine, scheduled_at: int, market: MarketState | None) -> Refusal | None:
    try:
        engine.execute_trading_cycle(scheduled_at, market)
    except (Conflict, DatabaseUnavailable) as refused:
        return refused
    return None
