"""What the routes are given: the services that `create_app` builds once."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from flask import current_app

from api_address import AddressRule
from backtest_jobs import BacktestJobs
from backups import Backups
from coin_discovery import CoinDiscovery
from config import Config
from data_aggregator import MultiSourceDataAggregator
from data_cache import DataCache
from data_jobs import DataJobs
from database import Database
from domain import Clock
from event_stream import EventStream
from health_report import TradingHealth
from kline_store import KlineStore
from kline_stream import KlineStream
from metrics import Metrics
from notification_watch import NotificationWatch
from notifications import NotificationStore, Notifier
from owner_access import OwnerAccess
from owner_settings import SettingsStore
from price_stream import PriceStream
from redaction import Redactor
from scheduler import TradingLoop
from secret_box import SecretBox
from sweep_jobs import SweepJobs
from trade_history import TradeHistories
from trading_desk import TradingDesk

EXTENSION = "trading_system"


@dataclass(frozen=True, slots=True)
class Services:
    """Every service of one app."""

    config: Config
    clock: Clock
    database: Database
    secrets: SecretBox
    access: OwnerAccess
    redactor: Redactor
    provider_addresses: AddressRule
    cache: DataCache
    data_aggregator: MultiSourceDataAggregator
    discovery: CoinDiscovery
    settings: SettingsStore
    backups: Backups
    events: EventStream
    metrics: Metrics
    health: TradingHealth
    notification_settings: NotificationStore
    notifier: Notifier
    notification_watch: NotificationWatch
    desk: TradingDesk
    trade_histories: TradeHistories
    prices: PriceStream
    klines: KlineStream
    loop: TradingLoop
    kline_store: KlineStore
    data_jobs: DataJobs
    backtests: BacktestJobs
    sweeps: SweepJobs
    stream_places: threading.BoundedSemaphore
    started_ms: int


def services() -> Services:
    """The services of the app that answers the current request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
