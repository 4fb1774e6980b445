"""What tests of LLM traders share: a market of a few coins, an account, a model, a provider."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
from new_database import new_database

from ai_trader import EnhancedAITrader, make_ai_trader
from api_address import AddressRule
from clock import ManualClock
from database import Database
from domain import (
    HOUR_MS,
    AccountInfo,
    CoinMarket,
    Exits,
    Interval,
    KlineSeries,
    LLMProvider,
    Portfolio,
    Position,
    Side,
    TokenPrices,
    TradingModel,
)
from exchange_simulator.llm_answers import STEADY
from llm_client import LLMClients
from repositories import models, providers
from repositories.providers import Provider

NOW_MS = 1_717_243_200_000  # 2024-06-01T12:00Z
KEY = "sk-planted-0123456789abcdefghij"
PRICES = TokenPrices(Decimal("1"), Decimal("4"), Decimal("0.25"))


def klines(price: float, bars: int = 60, interval: Interval = Interval.H1) -> KlineSeries:
    """Bars that wave around `price` and rise at the end, the last one closed at NOW_MS."""
    step = interval.milliseconds
    end = interval.floor(NOW_MS)
    times = np.arange(end - bars * step, end, step, dtype=np.int64)
    waves = price * (1 + 0.01 * np.sin(np.arange(bars) / 3))
    waves[-1:] = price * 1.01
    close = np.array([float(f"{value:.8g}") for value in waves])
    return KlineSeries(
        interval, times, close, close * 1.001, close * 0.999, close, np.full(bars, 10.0), "binance"
    )


def coin_market(price: str, **more: Any) -> CoinMarket:
    return CoinMarket(
        Decimal(price),
        klines(float(price)),
        change_24h=1.25,
        source="binance",
        pool_share=0.25,
        **more,
    )


def market(*coins: str) -> dict[str, CoinMarket]:
    prices = {"BTC": "61234.5", "ETH": "3000.12", "SOL": "150.5", "PEPE": "0.00000712"}
    return {coin: coin_market(prices.get(coin, "1.5")) for coin in coins or ("BTC", "ETH")}


def portfolio(*held: Position) -> Portfolio:
    marks = {position.coin: position.entry_price for position in held}
    margin = sum((position.margin for position in held), Decimal(0))
    return Portfolio(
        cash=Decimal(10_000) - margin,
        positions={position.coin: position for position in held},
        positions_value=margin,
        total_value=Decimal(10_000),
        margin_used=margin,
        unrealized_pnl=Decimal(0),
        marks=marks,
    )


def position(coin: str, side: Side = Side.LONG, price: str = "60000", **exits: Any) -> Position:
    cost = Decimal(price) / 100
    return Position(
        coin, side, Decimal("0.01"), cost, cost / 5, Decimal("0.1"), NOW_MS - 3 * HOUR_MS,
        exits=Exits(**exits),
    )  # fmt: skip


def account_info(**more: Any) -> AccountInfo:
    return AccountInfo(NOW_MS, NOW_MS - 100 * HOUR_MS, Decimal(10_000), 0.0, **more)


def database_at(path: Any) -> Database:
    return new_database(path, ManualClock(NOW_MS))


class LlmDesk:
    """A database with one `ai` model whose provider is at `url`."""

    def __init__(self, database: Database, url: str, wall_clock: ManualClock | None = None):
        self.database = database
        self.wall_clock = wall_clock or ManualClock(NOW_MS)
        self.halted = False
        with database.transaction() as connection:
            row = providers.add(connection, Provider("Simulated", url), NOW_MS)
            model = TradingModel(
                "An LLM", "ai", Decimal(10_000), Interval.H1, 60, "balanced",
                provider_id=row.id, model_name=STEADY,
            )  # fmt: skip
            self.model = models.add(connection, model, NOW_MS)
        self.provider = LLMProvider(row.id, row.name, url, KEY, prices={STEADY: PRICES})
        self.clients = LLMClients(lambda _: self.provider, AddressRule(allow_local=True))

    def trader(
        self,
        *coins: str,
        may_call: Callable[[], bool] | None = None,
        model: TradingModel | None = None,
        **params: Any,
    ) -> EnhancedAITrader:
        chosen = replace(model or self.model, params={"retries": 0, **params})
        return make_ai_trader(
            chosen, coins or ("BTC", "ETH"), None, self.database, self.clients,
            may_call or (lambda: not self.halted), wall_clock=self.wall_clock,
        )  # fmt: skip
