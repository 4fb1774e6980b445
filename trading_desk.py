"""Where the engines of all models come from: built afresh, as each model stands now."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ai_params import AI_TRADER
from ai_trader import ClientFactory, make_ai_trader
from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import Clock, Trader, TradingModel
from errors import InvalidInput
from event_stream import EventStream
from llm_client import LLMClient
from market_snapshots import MarketSnapshots
from owner_settings import SettingsStore
from paper_execution import ExecutionRules
from repositories import models
from risk_limits import limits_of
from strategies import make_trader
from trading_engine import TradingEngine
from trading_halt import TradingHalt
from trading_lease import TradingLease


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
        if not self.halt.may_call():
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
