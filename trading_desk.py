"""Where the engines of all models come from: built afresh, as each model stands now."""

from __future__ import annotations

import threading

from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import Clock, TradingModel
from event_stream import EventStream
from owner_settings import SettingsStore
from paper_execution import ExecutionRules
from repositories import models
from risk import RiskName, profile_named
from strategies import make_trader
from trading_engine import TradingEngine
from trading_halt import TradingHalt
from trading_lease import TradingLease


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
    ):
        self.database = database
        self.data_aggregator = data_aggregator
        self._settings = settings
        self._clock = clock
        self._events = events
        self.halt = TradingHalt(database, SystemClock())
        self.lease = TradingLease(database, clock, SystemClock())
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
            lambda symbols: make_trader(model.trader, symbols, model.params),
            self._rules(model),
            self._clock,
            lease=self.lease,
            events=self._events,
            lock=lock,
        )

    def _rules(self, model: TradingModel) -> ExecutionRules:
        settings = self._settings.load()
        return ExecutionRules(
            fee_rate=settings.exact_fee_rate,
            slippage_bps=settings.exact_slippage_bps,
            risk=profile_named(RiskName(model.risk)),
        )
