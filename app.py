"""`create_app` builds the services once and wires them to the routes; nothing happens at import."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from flask import Flask, request
from flask_babel import Babel
from flask_openapi3 import Info, OpenAPI

import cli
import routes.access
import routes.audit
import routes.backtest_costs
import routes.backtests
import routes.backups
import routes.coin_groups
import routes.coins
import routes.data
import routes.decisions
import routes.market
import routes.metrics
import routes.model_pools
import routes.models
import routes.notifications
import routes.pages
import routes.prompts
import routes.providers
import routes.settings
import routes.sign_in
import routes.sources
import routes.sweeps
import routes.system
import routes.trade_origins
import routes.traders
import routes.trading
from api_address import AddressRule
from backtest_jobs import BacktestJobs
from backtest_worker import LlmAccess
from backups import Backups
from binance_fetcher import BinanceDataFetcher, weight_limiter
from call_texts import forget_old_texts
from clock import SteadyClock, SystemClock
from coin_discovery import CoinDiscovery
from config import Config
from data_aggregator import MultiSourceDataAggregator
from data_cache import open_cache
from data_jobs import DataJobs
from database import Database
from domain import Clock, Coin
from event_stream import EventStream
from health_report import MEGABYTE, TradingHealth
from host_names import HostNames
from kline_store import KlineStore
from kline_stream import KlineStream
from kline_sync import KlineSync
from llm_client import LLMClients
from log_lines import write_log
from market_data import MarketDataFetcher, request_limiter
from market_sources import MarketSource
from market_streams import MarketStreams
from metrics import Metrics
from notification_watch import NotificationWatch
from notifications import NotificationStore, Notifier
from okx_fetcher import OKXDataFetcher, endpoint_limiter
from owner_access import OwnerAccess
from owner_sessions import OwnerSessions, cookie_settings
from owner_settings import SettingsStore
from price_check import PriceCheck
from price_stream import PriceStream
from pushed_prices import traded_only
from repositories import books, coins, providers
from routes.api_security import SECURITY_SCHEMES, document_scopes
from routes.json_errors import ErrorAnswer, handle_errors, validation_answer
from routes.metrics import count_requests
from routes.request_ids import number_requests
from routes.services import EXTENSION, Services
from routes.static_files import serve_static
from scheduler import TradingLoop
from secret_box import SecretBox
from security import protect
from state_metrics import StateMetrics
from sweep_jobs import SweepJobs
from trade_history import TradeHistories
from trading_desk import TradingDesk
from version import VERSION

LARGEST_BODY_BYTES = 1_000_000
LISTINGS_EVERY_MINUTES = 60
RANKS_EVERY_MINUTES = 360
PRICES_COMPARED_EVERY_SECONDS = 30.0
CACHE_CLEANED_EVERY_MINUTES = 60
CALL_TEXTS_FORGOTTEN_EVERY_MINUTES = 60
COINS_IN_USE_SYNCED_EVERY_MINUTES = 15
BACKUPS_LOOKED_AT_EVERY_MINUTES = 10
API_PAGE = "{% include 'api_docs.html' %}"


def create_app(
    config: Config | None = None, *, clock: Clock | None = None, check_answers: bool = False
) -> Flask:
    """The whole app on one database; `check_answers` holds every answer to its documented shape.

    `clock` is the market's time, the configuration's own unless given.
    """
    config = config or Config()
    app = OpenAPI(
        __name__,
        info=Info(title="AI Crypto Trading System", version=VERSION),
        security_schemes=SECURITY_SCHEMES,
        validation_error_status=400,
        validation_error_model=ErrorAnswer,
        validation_error_callback=validation_answer,
        doc_prefix="/api",
        doc_url="/openapi.json",
        validate_response=check_answers,
        static_folder=None,  # served by routes of their own
    )
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    # The library's own pages of the API have script in their markup: ours stands in their place.
    app.config["SWAGGER_HTML_STRING"] = app.config["OPENAPI_HTML_STRING"] = API_PAGE
    services = app.extensions[EXTENSION] = build_services(config, clock or config.clock())
    services.events.write_with(partial(routes.system.event_text, services))
    app.config.update(cookie_settings(config.PORT, config.SESSION_DAYS))
    app.session_interface = OwnerSessions(services.secrets)
    handle_errors(app)
    count_requests(app, services.metrics)
    number_requests(app)
    protect(app, services.access, HostNames(config.HOST, config.allowed_hosts))
    serve_static(app)
    Babel(app, locale_selector=chosen_locale)
    for family in (
        routes.coins, routes.coin_groups, routes.traders, routes.models, routes.model_pools,
        routes.providers,
        routes.prompts, routes.decisions, routes.trading, routes.trade_origins,
        routes.market, routes.backtests, routes.sweeps, routes.data, routes.settings, routes.sources,
        routes.system, routes.backtest_costs, routes.audit, routes.backups, routes.notifications,
        routes.access,
    ):  # fmt: skip
        app.register_api(family.blueprint)
    document_scopes(app.paths)
    app.register_blueprint(routes.pages.blueprint)
    app.register_blueprint(routes.metrics.blueprint)
    app.register_blueprint(routes.sign_in.blueprint)
    cli.add_commands(app)
    return app


def build_services(config: Config, clock: Clock) -> Services:
    """Every service, each given those that it stands on; nothing is started or asked yet."""
    redactor = write_log(config.log_terms)
    for secret in config.secrets:
        redactor.learn(secret)
    database = Database(config.DATABASE_PATH, clock)
    secrets = SecretBox(
        config.SECRET_KEY.get_secret_value(), config.secret_key_file, redactor.learn
    )
    access = OwnerAccess(
        database,
        secrets,
        session_days=config.SESSION_DAYS,
        open_here=not config.others_can_reach,
        on_secret=redactor.learn,
        wall_clock=SystemClock(),
        steady_clock=SteadyClock(),
    )
    cache = open_cache(config, database, SystemClock())
    events, metrics = EventStream(), Metrics()
    events.watch(("cycle", "trade"), metrics.count_event)
    directory = build_directory(config, clock)
    data_aggregator = MultiSourceDataAggregator(
        database,
        build_venues(config, clock),
        config.DATA_SOURCE_PRIORITY,
        clock,
        price_ttl_seconds=config.CACHE_PRICE_TTL,
        price_sources={directory.name: directory},
        cache=cache,
        check=PriceCheck(config.PRICE_DEVIATION_PERCENT, config.PRICE_JUMP_PERCENT),
        budget_seconds=config.SOURCE_BUDGET_SECONDS,
        rest_seconds=config.SOURCE_REST_SECONDS,
        compare_every_seconds=PRICES_COMPARED_EVERY_SECONDS,
        on_change=lambda: events.publish("health", {"sources": True}),
    )
    discovery = CoinDiscovery(database, data_aggregator, directory, clock)
    settings = SettingsStore(database, config.DEFAULT_TRADE_FEE_RATE)
    provider_addresses = AddressRule(allow_local=config.LOCAL_PROVIDERS == "on")
    llm_clients = LLMClients(
        lambda provider_id: providers.provider_for_calls(database, secrets, provider_id),
        provider_addresses,
        metrics.count_call,
    )
    desk = TradingDesk(database, data_aggregator, settings, clock, events, llm_clients)
    streams = build_streams(config)
    prices = PriceStream(
        data_aggregator, lambda: coins_in_use(database), events, config.PRICE_POLL_SECONDS,
        streams=streams, find_coins=lambda symbols: streamed_coins(database, data_aggregator, symbols),
        clock=clock,
    )  # fmt: skip
    klines = KlineStream(
        database, data_aggregator, events, config.DATA_SOURCE_PRIORITY["klines"],
        config.PRICE_POLL_SECONDS, streams,
    )  # fmt: skip
    loop = TradingLoop(database, desk, prices, clock)
    loop.every(LISTINGS_EVERY_MINUTES, "listings", data_aggregator.venues.refresh)
    loop.every(RANKS_EVERY_MINUTES, "ranking", discovery.refresh_ranks)
    loop.every(CACHE_CLEANED_EVERY_MINUTES, "cache", cache.clean)
    loop.every(
        CALL_TEXTS_FORGOTTEN_EVERY_MINUTES, "texts of calls",
        lambda: forget_old_texts(database, settings, clock),
    )  # fmt: skip
    backups = Backups(database, config.backup_folder, settings, SystemClock())
    loop.every(BACKUPS_LOOKED_AT_EVERY_MINUTES, "backup", backups.make_if_due)
    kline_store = KlineStore(database)
    kline_sync = KlineSync(database, data_aggregator)
    loop.every(COINS_IN_USE_SYNCED_EVERY_MINUTES, "candles", kline_sync.sync_coins_in_use)
    backtests = BacktestJobs(
        database,
        data_aggregator,
        clock,
        events,
        config.BACKTEST_WORKERS,
        LlmAccess(
            config.SECRET_KEY.get_secret_value(),
            config.secret_key_file,
            provider_addresses.allow_local,
        ),
    )
    data_jobs = DataJobs(database, kline_store, kline_sync, events)
    metrics.add(StateMetrics(database, data_aggregator, desk, events, data_jobs))
    health = TradingHealth(
        database, data_aggregator, desk, loop, prices, clock,
        should_trade=config.TRADING_LOOP == "on",
        least_free_bytes=config.DISK_LEAST_FREE_MB * MEGABYTE,
    )  # fmt: skip
    webhook_addresses = replace(provider_addresses, with_query=True)
    notification_settings = NotificationStore(database, secrets, webhook_addresses)
    notifier = Notifier(notification_settings, webhook_addresses, redactor)
    return Services(
        config=config,
        clock=clock,
        database=database,
        secrets=secrets,
        access=access,
        redactor=redactor,
        provider_addresses=provider_addresses,
        cache=cache,
        data_aggregator=data_aggregator,
        discovery=discovery,
        settings=settings,
        backups=backups,
        events=events,
        metrics=metrics,
        health=health,
        notification_settings=notification_settings,
        notifier=notifier,
        notification_watch=NotificationWatch(
            database, data_aggregator, desk.lease, health, events, notifier
        ),
        desk=desk,
        trade_histories=TradeHistories(database),
        prices=prices,
        klines=klines,
        loop=loop,
        kline_store=kline_store,
        data_jobs=data_jobs,
        backtests=backtests,
        sweeps=SweepJobs(database, backtests, clock, config.SWEEP_WORKERS, config.DASK_SCHEDULER),
        stream_places=threading.BoundedSemaphore(config.STREAM_CONNECTIONS),
        started_ms=SystemClock().now_ms(),
    )


def build_directory(config: Config, clock: Clock) -> MarketDataFetcher:
    """CoinGecko: all coins and their ranks, and prices as the last resort."""
    return MarketDataFetcher(
        config.COINGECKO_API_KEY or None,
        base_url=config.COINGECKO_API_URL or None,
        clock=clock,
        timeout_seconds=config.SOURCE_TIMEOUT_SECONDS,
        limiter=request_limiter(config.COINGECKO_RATE_LIMIT, SteadyClock()),
    )


def build_venues(config: Config, clock: Clock) -> dict[str, MarketSource]:
    """A fetcher for each exchange, by its name."""
    timeout_seconds, wall_clock = config.SOURCE_TIMEOUT_SECONDS, SteadyClock()
    binance = BinanceDataFetcher(
        config.BINANCE_API_KEY or None,
        config.BINANCE_API_SECRET or None,
        base_url=config.BINANCE_API_URL or None,
        clock=clock,
        timeout_seconds=timeout_seconds,
        limiter=weight_limiter(config.BINANCE_RATE_LIMIT, wall_clock),
    )
    okx = OKXDataFetcher(
        config.OKX_API_KEY or None,
        config.OKX_API_SECRET or None,
        config.OKX_PASSPHRASE or None,
        domain=config.OKX_API_URL or None,
        clock=clock,
        timeout_seconds=timeout_seconds,
        limiter=endpoint_limiter(config.OKX_RATE_LIMIT, wall_clock),
    )
    return {binance.name: binance, okx.name: okx}


def streamed_coins(
    database: Database, data_aggregator: MultiSourceDataAggregator, symbols: Sequence[str]
) -> list[Coin]:
    """Coins with their symbols at the venues that trade them now."""
    found = coins.find_all(database.connection, symbols)
    return traded_only(found, data_aggregator.venues.trading_venues(found))


def build_streams(config: Config) -> MarketStreams | None:
    """The venues' websockets; none of a venue whose REST is elsewhere and whose stream is not."""
    if config.STREAMS == "off":
        return None
    return MarketStreams(
        config.BINANCE_STREAM_URL or (None if config.BINANCE_API_URL else ""),
        config.OKX_STREAM_URL or (None if config.OKX_API_URL else ""),
        SystemClock(),
    )


def coins_in_use(database: Database) -> list[str]:
    """Every active coin, on some page or in some pool, and every coin that a model still holds."""
    active = [coin.symbol for coin in coins.list_coins(database.connection)]
    held = books.held_coins(database.connection).values()
    return [*active, *(symbol for symbols in held for symbol in symbols)]


def chosen_locale() -> str | None:
    """The reader's language: as chosen, else as the browser asks."""
    chosen = request.cookies.get("locale")
    if chosen in routes.pages.LOCALES:
        return chosen
    return request.accept_languages.best_match(routes.pages.LOCALES) or "en"
