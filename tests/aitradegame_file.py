"""Makes files as the AITradeGame app writes them, with its schema and its way of keeping books."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE")
PRICES = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "BNB": 600.0, "XRP": 0.5, "DOGE": 0.15}
START = datetime(2025, 10, 21, 8, tzinfo=UTC)
FEE_RATE = 0.001

SCHEMA = """
CREATE TABLE providers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, api_url TEXT NOT NULL,
    api_key TEXT NOT NULL, models TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, provider_id INTEGER,
    model_name TEXT NOT NULL, initial_capital REAL DEFAULT 10000,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (provider_id) REFERENCES providers (id));
CREATE TABLE portfolios (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, coin TEXT NOT NULL,
    quantity REAL NOT NULL, avg_price REAL NOT NULL, leverage INTEGER DEFAULT 1,
    side TEXT DEFAULT 'long', updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (model_id) REFERENCES models (id), UNIQUE (model_id, coin, side));
CREATE TABLE trades (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, coin TEXT NOT NULL,
    signal TEXT NOT NULL, quantity REAL NOT NULL, price REAL NOT NULL,
    leverage INTEGER DEFAULT 1, side TEXT DEFAULT 'long', pnl REAL DEFAULT 0,
    fee REAL DEFAULT 0, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (model_id) REFERENCES models (id));
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, user_prompt TEXT NOT NULL,
    ai_response TEXT NOT NULL, cot_trace TEXT, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (model_id) REFERENCES models (id));
CREATE TABLE account_values (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, total_value REAL NOT NULL,
    cash REAL NOT NULL, positions_value REAL NOT NULL,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (model_id) REFERENCES models (id));
CREATE TABLE settings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, trading_frequency_minutes INTEGER DEFAULT 60,
    trading_fee_rate REAL DEFAULT 0.001, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
INSERT INTO settings (trading_frequency_minutes, trading_fee_rate) VALUES (60, 0.001);
"""

FORK_SCHEMA = """
CREATE TABLE coins (
    id INTEGER PRIMARY KEY AUTOINCREMENT, symbol VARCHAR(20) NOT NULL UNIQUE,
    name VARCHAR(100) NOT NULL, category VARCHAR(50), is_active BOOLEAN DEFAULT 1,
    binance_symbol VARCHAR(20), okx_symbol VARCHAR(20), coingecko_id VARCHAR(50),
    market_cap_rank INTEGER, notes TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE coin_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(50) NOT NULL UNIQUE, description TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE coin_group_members (
    id INTEGER PRIMARY KEY AUTOINCREMENT, group_id INTEGER NOT NULL, coin_id INTEGER NOT NULL,
    sort_order INTEGER DEFAULT 0, UNIQUE (group_id, coin_id));
CREATE TABLE model_coin_pools (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, coin_id INTEGER NOT NULL,
    is_enabled BOOLEAN DEFAULT 1, weight REAL DEFAULT 1.0,
    added_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, UNIQUE (model_id, coin_id));
"""

FIRST_VERSION_SCHEMA = """
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, api_key TEXT NOT NULL,
    api_url TEXT NOT NULL, model_name TEXT NOT NULL, initial_capital REAL DEFAULT 10000,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE portfolios (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, coin TEXT NOT NULL,
    quantity REAL NOT NULL, avg_price REAL NOT NULL, leverage INTEGER DEFAULT 1,
    side TEXT DEFAULT 'long', updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (model_id, coin, side));
CREATE TABLE trades (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, coin TEXT NOT NULL,
    signal TEXT NOT NULL, quantity REAL NOT NULL, price REAL NOT NULL,
    leverage INTEGER DEFAULT 1, side TEXT DEFAULT 'long', pnl REAL DEFAULT 0,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, user_prompt TEXT NOT NULL,
    ai_response TEXT NOT NULL, cot_trace TEXT, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE account_values (
    id INTEGER PRIMARY KEY AUTOINCREMENT, model_id INTEGER NOT NULL, total_value REAL NOT NULL,
    cash REAL NOT NULL, positions_value REAL NOT NULL,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
"""


def moment(minutes: float) -> str:
    """The time so many minutes after the start, as SQLite's CURRENT_TIMESTAMP writes it."""
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")


def make_file(path: Path, schema: str = SCHEMA) -> Path:
    """An empty file of the app."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema)
    return path


def insert(path: Path, table: str, **columns: Any) -> int:
    """One row; its id."""
    names, places = ", ".join(columns), ", ".join("?" * len(columns))
    with closing(sqlite3.connect(path)) as connection:
        cursor = connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(columns.values())
        )
        connection.commit()
        assert cursor.lastrowid is not None
        return cursor.lastrowid


def execute(path: Path, sql: str) -> None:
    """Run a script on the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


@dataclass
class OldAccount:
    """A model in the app: its trades change the file's rows by the app's rules."""

    connection: sqlite3.Connection
    model_id: int
    initial_capital: float = 10_000.0
    minute: int = 0
    realized: float = 0.0
    positions: dict[tuple[str, str], tuple[float, float, int]] = field(default_factory=dict)

    @property
    def cash(self) -> float:
        margin = sum(q * price / leverage for q, price, leverage in self.positions.values())
        return self.initial_capital + self.realized - margin

    def enter(self, coin: str, side: str, quantity: float, price: float, leverage: int = 1) -> None:
        """An entry: it replaces the position that is open, and its fee is paid by nobody."""
        signal = "buy_to_enter" if side == "long" else "sell_to_enter"
        fee = quantity * price * FEE_RATE
        self._trade(coin, signal, quantity, price, leverage, side, 0.0, fee)
        self.positions[coin, side] = (quantity, price, leverage)

    def close(self, coin: str, side: str, price: float) -> None:
        """Close the whole position."""
        quantity, entry, leverage = self.positions.pop((coin, side))
        gross = (price - entry) * quantity * (1 if side == "long" else -1)
        fee = quantity * price * FEE_RATE
        self.realized += gross - fee
        self._trade(coin, "close_position", quantity, price, leverage, side, gross - fee, fee)

    def record(self, prices: dict[str, float]) -> None:
        """A conversation and a value, as at the end of a cycle."""
        unrealized = sum(
            (prices[coin] - entry) * quantity * (1 if side == "long" else -1)
            for (coin, side), (quantity, entry, _) in self.positions.items()
        )
        notional = sum(quantity * entry for quantity, entry, _ in self.positions.values())
        total = self.initial_capital + self.realized + unrealized
        self.connection.execute(
            "INSERT INTO account_values (model_id, total_value, cash, positions_value, timestamp) "
            "VALUES (?, ?, ?, ?, ?)",
            (self.model_id, total, self.cash, notional, moment(self.minute)),
        )
        self.connection.execute(
            "INSERT INTO conversations (model_id, user_prompt, ai_response, cot_trace, timestamp) "
            "VALUES (?, ?, ?, '', ?)",
            (self.model_id, "Market State: 6 coins", '{"BTC": {"signal": "hold"}}',
             moment(self.minute)),
        )  # fmt: skip

    def write_positions(self) -> None:
        """The portfolios as they stand."""
        self.connection.executemany(
            "INSERT INTO portfolios (model_id, coin, quantity, avg_price, leverage, side) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [
                (self.model_id, coin, quantity, price, leverage, side)
                for (coin, side), (quantity, price, leverage) in self.positions.items()
            ],
        )

    def _trade(self, *columns: Any) -> None:
        self.minute += 1
        self.connection.execute(
            "INSERT INTO trades (model_id, coin, signal, quantity, price, leverage, side, pnl, "
            "fee, timestamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self.model_id, *columns, moment(self.minute)),
        )


def make_traded_file(path: Path, trades: int, models: int = 5, seed: int = 7) -> Path:
    """A file in which models have traded so often between them, by the app's own rules."""
    make_file(path)
    insert(path, "providers", name="DeepSeek", api_url="https://api.deepseek.com",
           api_key="sk-old", models="deepseek-chat,deepseek-reasoner")  # fmt: skip
    chance = random.Random(seed)
    with closing(sqlite3.connect(path)) as connection:
        for number in range(1, models + 1):
            connection.execute(
                "INSERT INTO models (name, provider_id, model_name, initial_capital, created_at) "
                "VALUES (?, 1, 'deepseek-chat', 10000000, ?)",
                (f"Trader {number}", moment(0)),
            )
            account = OldAccount(connection, number, 10_000_000.0)
            _trade_at_random(account, trades // models, chance)
            account.write_positions()
        connection.commit()
    return path


def _trade_at_random(account: OldAccount, trades: int, chance: random.Random) -> None:
    prices = dict(PRICES)
    while account.minute < trades:
        coin = chance.choice(COINS)
        prices[coin] = round(prices[coin] * (1 + chance.uniform(-0.01, 0.01)), 6)
        held = [side for side in ("long", "short") if (coin, side) in account.positions]
        if held:
            account.close(coin, held[0], prices[coin])
        else:
            side, leverage = chance.choice(("long", "short")), chance.randint(1, 10)
            account.enter(coin, side, round(2_000 / prices[coin], 4), prices[coin], leverage)
        account.record(prices)
