-- Every time is INTEGER milliseconds UTC; every booked amount is exact decimal TEXT.

CREATE TABLE coins (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    symbol TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    category TEXT,
    is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    binance_symbol TEXT,
    okx_symbol TEXT,
    coingecko_id TEXT,
    market_cap_rank INTEGER,
    notes TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX idx_coins_category ON coins (category);
CREATE INDEX idx_coins_is_active ON coins (is_active);
CREATE INDEX idx_coins_binance_symbol ON coins (binance_symbol);

CREATE TABLE coin_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    created_at INTEGER NOT NULL
);

CREATE TABLE coin_group_members (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id INTEGER NOT NULL REFERENCES coin_groups (id) ON DELETE CASCADE,
    coin_id INTEGER NOT NULL REFERENCES coins (id) ON DELETE CASCADE,
    sort_order INTEGER NOT NULL DEFAULT 0,
    UNIQUE (group_id, coin_id)
);
CREATE INDEX idx_coin_group_members_coin ON coin_group_members (coin_id);

CREATE TABLE providers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    api_url TEXT NOT NULL,
    api_key TEXT,
    models TEXT NOT NULL DEFAULT '[]',
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    trader TEXT NOT NULL,
    params TEXT NOT NULL DEFAULT '{}',
    provider_id INTEGER REFERENCES providers (id) ON DELETE RESTRICT,
    model_name TEXT,
    prompt TEXT,
    initial_capital TEXT NOT NULL,
    interval TEXT NOT NULL,
    cycle_minutes INTEGER NOT NULL CHECK (cycle_minutes > 0),
    risk TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    archived_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX idx_models_name ON models (name) WHERE archived_at IS NULL;

CREATE TABLE model_coin_pools (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    coin_id INTEGER NOT NULL REFERENCES coins (id) ON DELETE CASCADE,
    is_enabled INTEGER NOT NULL DEFAULT 1 CHECK (is_enabled IN (0, 1)),
    weight REAL NOT NULL DEFAULT 1.0 CHECK (weight > 0),
    added_at INTEGER NOT NULL,
    UNIQUE (model_id, coin_id)
);
CREATE INDEX idx_model_coin_pools_coin ON model_coin_pools (coin_id);

CREATE TABLE market_data_cache (
    coin_id INTEGER NOT NULL REFERENCES coins (id) ON DELETE CASCADE,
    data_type TEXT NOT NULL,
    data_source TEXT NOT NULL,
    data_json TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (coin_id, data_type, data_source)
) WITHOUT ROWID;
CREATE INDEX idx_market_data_cache_expires ON market_data_cache (expires_at);

-- Prices are REAL: a float64 keeps any decimal of up to 15 significant digits, and longer
-- ones are refused where they are read.
CREATE TABLE klines (
    coin_id INTEGER NOT NULL REFERENCES coins (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    interval TEXT NOT NULL,
    open_time INTEGER NOT NULL,
    open REAL NOT NULL,
    high REAL NOT NULL,
    low REAL NOT NULL,
    close REAL NOT NULL,
    volume REAL NOT NULL,
    PRIMARY KEY (coin_id, source, interval, open_time)
) WITHOUT ROWID;

-- One row a decision cycle, also a failed one. A scheduled cycle runs once: its time is unique.
CREATE TABLE cycles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    scheduled_at INTEGER,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'interrupted')),
    error_code TEXT,
    error TEXT,
    timings TEXT NOT NULL DEFAULT '{}',
    UNIQUE (model_id, scheduled_at)
);
CREATE INDEX idx_cycles_model_started ON cycles (model_id, started_at);

CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    cycle_id INTEGER REFERENCES cycles (id) ON DELETE CASCADE,
    timestamp INTEGER NOT NULL,
    prompt TEXT,
    answer TEXT,
    reasoning TEXT,
    error TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost TEXT,
    latency_ms INTEGER
);
CREATE INDEX idx_conversations_model ON conversations (model_id, id);

-- What a trader said of a coin, and what became of it.
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    cycle_id INTEGER NOT NULL REFERENCES cycles (id) ON DELETE CASCADE,
    coin_id INTEGER REFERENCES coins (id) ON DELETE RESTRICT,
    coin TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    signal TEXT NOT NULL,
    decision TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    detail TEXT
);
CREATE INDEX idx_decisions_model ON decisions (model_id, id);

-- The ledger: append-only. positions and accounts are folds over it, kept in the same transaction.
CREATE TABLE trades (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    coin_id INTEGER NOT NULL REFERENCES coins (id) ON DELETE RESTRICT,
    coin TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('open', 'close', 'liquidation', 'funding')),
    side TEXT NOT NULL CHECK (side IN ('long', 'short')),
    quantity TEXT NOT NULL,
    price TEXT NOT NULL,
    leverage TEXT NOT NULL,
    fee TEXT NOT NULL,
    gross TEXT NOT NULL,
    pnl TEXT NOT NULL,
    cash_after TEXT NOT NULL,
    reason TEXT NOT NULL,
    stop_loss TEXT,
    profit_target TEXT,
    trailing_stop_pct TEXT,
    decision_id INTEGER REFERENCES decisions (id) ON DELETE RESTRICT
);
CREATE INDEX idx_trades_model ON trades (model_id, id);
CREATE INDEX idx_trades_coin ON trades (coin_id);
CREATE INDEX idx_trades_decision ON trades (decision_id);

CREATE TABLE positions (
    model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    coin_id INTEGER NOT NULL REFERENCES coins (id) ON DELETE RESTRICT,
    coin TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('long', 'short')),
    quantity TEXT NOT NULL,
    cost TEXT NOT NULL,
    margin TEXT NOT NULL,
    entry_fees TEXT NOT NULL,
    funding TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    stop_loss TEXT,
    profit_target TEXT,
    trailing_stop_pct TEXT,
    best_price TEXT,
    mark_price TEXT,
    mark_time INTEGER,
    PRIMARY KEY (model_id, coin)
) WITHOUT ROWID;
CREATE INDEX idx_positions_coin ON positions (coin_id);

CREATE TABLE accounts (
    model_id INTEGER PRIMARY KEY REFERENCES models (id) ON DELETE CASCADE,
    cash TEXT NOT NULL,
    realized_pnl TEXT NOT NULL,
    fees_paid TEXT NOT NULL,
    funding_paid TEXT NOT NULL
);

CREATE TABLE account_values (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    timestamp INTEGER NOT NULL,
    total_value TEXT NOT NULL,
    cash TEXT NOT NULL,
    positions_value TEXT NOT NULL
);
CREATE INDEX idx_account_values_model ON account_values (model_id, timestamp);

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE backtests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id INTEGER REFERENCES models (id) ON DELETE SET NULL,
    config TEXT NOT NULL,
    config_hash TEXT NOT NULL,
    data_hash TEXT,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    progress REAL NOT NULL DEFAULT 0,
    error_code TEXT,
    error TEXT,
    report BLOB,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
);
CREATE INDEX idx_backtests_config_hash ON backtests (config_hash);
