"""What happens in the process that runs a stored backtest: its candles read, replayed, reported."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ai_params import AI_TRADER
from api_address import AddressRule
from backtest_candles import check_candles, no_bars
from backtest_report import build_report
from backtest_request import ResolvedBacktest
from backtest_run import BacktestResult
from backtest_warnings import warning
from backtesting import BacktestEngine, Cancelled
from clock import SystemClock
from database import Database
from domain import Entry, Instrument, KlineSeries, Trader
from errors import Failure, InvalidInput, TradingSystemError
from kline_store import KlineStore
from llm_backtests import BacktestLlmTrader, make_llm_trader
from llm_client import LLMClient, LLMClients
from llm_run_report import with_llm
from log_context import logged_with
from redaction import redact_root_handlers
from repositories import backtests, coins, providers
from secret_box import SecretBox
from strategies import make_trader

PROGRESS_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class LlmAccess:
    """What a worker needs to ask a provider: how stored keys are opened, and which addresses may be.

    It goes to the worker over a pipe and is written nowhere. `key` is empty where a file has it.
    """

    key: str = field(repr=False)
    key_file: Path
    allow_local: bool


def run_stored_backtest(
    database_path: Path,
    backtest_id: int,
    instruments: dict[str, Instrument],
    access: LlmAccess | None = None,
) -> Failure | None:
    """Run a stored backtest on stored bars and store its report; why not if it cannot be."""
    with logged_with(backtest_id=backtest_id):
        return _run_stored(Database(database_path, SystemClock()), backtest_id, instruments, access)


def _run_stored(
    database: Database,
    backtest_id: int,
    instruments: dict[str, Instrument],
    access: LlmAccess | None,
) -> Failure | None:
    try:
        record = backtests.get(database.connection, backtest_id)
        resolved = ResolvedBacktest.model_validate(record.config)
        report = _report(database, backtest_id, resolved, instruments, access)
        with database.transaction() as connection:
            backtests.finish(connection, backtest_id, report, database.clock.now_ms())
    except Cancelled:
        return None
    except TradingSystemError as error:
        return Failure.of(error)
    finally:
        database.close()
    return None


def silent_trader(database: Database, resolved: ResolvedBacktest) -> Trader:
    """A run's trader that asks nobody: to know what it looks back at, and whether its terms fit.

    Raises InvalidInput.
    """
    if resolved.llm is None:
        if resolved.trader == AI_TRADER:
            raise InvalidInput("The trader 'ai' needs a provider and a model.", code="no_provider")
        return make_trader(resolved.trader, resolved.coins, resolved.params)
    prices = dict.fromkeys(resolved.coins, 1.0)
    return make_llm_trader(resolved.run_terms(), prices, database, None, _nobody, lambda: False)


def stored_history(
    database: Database, resolved: ResolvedBacktest, history_bars: int
) -> dict[str, KlineSeries]:
    """The stored candles of every coin of a run, with those before its start."""
    first_ms = resolved.warmup_start_ms(history_bars)
    store = KlineStore(database)
    history: dict[str, KlineSeries] = {}
    for symbol in resolved.coins:
        coin = coins.get(database.connection, symbol)
        history[symbol] = store.read(
            coin, resolved.source_of(symbol), resolved.interval, first_ms, resolved.end_ms
        )
    return history


def benchmark_series(
    database: Database, resolved: ResolvedBacktest, history: Mapping[str, KlineSeries]
) -> KlineSeries | None:
    """The candles of the coin that a run is held against. Raises InvalidInput (no_data)."""
    symbol = resolved.benchmark
    if symbol is None or symbol in history:
        return None if symbol is None else history[symbol]
    coin = coins.get(database.connection, symbol)
    series = KlineStore(database).read(
        coin, resolved.source_of(symbol), resolved.interval, resolved.start_ms, resolved.end_ms
    )
    if not len(series):
        raise no_bars(symbol, "benchmark")
    return series


def first_prices(
    resolved: ResolvedBacktest, history: Mapping[str, KlineSeries]
) -> dict[str, float]:
    """Each coin's first close in the range, by which a blind run is rescaled."""
    found = {}
    for coin, series in history.items():
        place = int(np.searchsorted(series.open_time, resolved.start_ms))
        found[coin] = float(series.close[place]) if place < len(series) else 1.0
    return found


def _report(
    database: Database,
    backtest_id: int,
    resolved: ResolvedBacktest,
    instruments: dict[str, Instrument],
    access: LlmAccess | None,
) -> dict[str, Any]:
    history = stored_history(database, resolved, silent_trader(database, resolved).history_bars)
    check_candles(resolved, history)
    benchmark = benchmark_series(database, resolved, history)
    trader = _trader(database, backtest_id, resolved, history, access)
    result = run_engine(
        trader, resolved, history, instruments, _ProgressInDatabase(database, backtest_id)
    )
    report = build_report(result, benchmark)
    unrounded = [coin for coin in resolved.coins if coin not in instruments]
    if resolved.lot_rounding and unrounded:
        report["warnings"] = [*report["warnings"], warning("no_lots", coins=unrounded)]
    if isinstance(trader, BacktestLlmTrader):
        report = with_llm(report, result, trader.run)
    return {**report, "config": resolved.what_results_hang_on()}


def run_engine(
    trader: Trader,
    resolved: ResolvedBacktest,
    history: Mapping[str, KlineSeries],
    instruments: Mapping[str, Instrument],
    progress: Any,
) -> BacktestResult:
    """The run itself. Raises what `progress` raises to stop it, and what the trader raises."""
    known = dict(instruments) if resolved.lot_rounding else {}
    engine = BacktestEngine(trader, resolved.engine_config(), known, progress=progress)
    if isinstance(trader, BacktestLlmTrader):
        trader.recent_trades = lambda: entries_so_far(engine)
    return engine.run_backtest(history)


def entries_so_far(engine: BacktestEngine) -> list[Entry]:
    """What a running engine has booked."""
    return engine.entries


def _trader(
    database: Database,
    backtest_id: int,
    resolved: ResolvedBacktest,
    history: Mapping[str, KlineSeries],
    access: LlmAccess | None,
) -> Trader:
    if resolved.llm is None:
        return silent_trader(database, resolved)
    return make_llm_trader(
        resolved.run_terms(),
        first_prices(resolved, history),
        database,
        backtest_id,
        _nobody if access is None else _clients(database, access),
        lambda: backtests.status_of(database.connection, backtest_id) == "running",
    )


def _clients(database: Database, access: LlmAccess) -> LLMClients:
    """Clients whose keys are opened when they are asked for, and cut from what is logged."""
    redactor = redact_root_handlers()
    secrets = SecretBox(access.key, access.key_file, redactor.learn)
    return LLMClients(
        lambda provider_id: providers.provider_for_calls(database, secrets, provider_id),
        AddressRule(allow_local=access.allow_local),
    )


def _nobody(provider_id: int) -> LLMClient:
    raise InvalidInput(f"Provider {provider_id} cannot be asked here.", code="no_provider")


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
