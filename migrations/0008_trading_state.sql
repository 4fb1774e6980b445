-- The kill switch: one row. `since` is the wall clock's time, as are those of the lease.
CREATE TABLE trading_halt (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    halted INTEGER NOT NULL CHECK (halted IN (0, 1)),
    since INTEGER,
    halted_by TEXT
);
INSERT INTO trading_halt (id, halted) VALUES (1, 0);

-- Which process runs the loop: one row. `term` grows with each take-over, so that a process that
-- has lost the lease without noticing can tell by its own.
CREATE TABLE trading_lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    holder TEXT,
    term INTEGER NOT NULL,
    heartbeat_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
);
INSERT INTO trading_lease (id, holder, term, heartbeat_ms, expires_ms) VALUES (1, NULL, 0, 0, 0);

-- What a model's limits of loss are measured against, and what they have led to.
CREATE TABLE loss_watches (
    model_id INTEGER PRIMARY KEY REFERENCES models (id) ON DELETE CASCADE,
    day INTEGER NOT NULL,
    day_start_value TEXT NOT NULL,
    peak_value TEXT NOT NULL,
    paused_until INTEGER,
    stopped_reason TEXT,
    stopped_at INTEGER
);

-- A replica trades its first one's settings and pool on an account of its own.
ALTER TABLE models ADD COLUMN replica_of INTEGER REFERENCES models (id) ON DELETE CASCADE;
ALTER TABLE models ADD COLUMN replica_number INTEGER NOT NULL DEFAULT 1 CHECK (replica_number > 0);
CREATE INDEX idx_models_replica_of ON models (replica_of);

-- A condition on closed bars that ends a position, such as `close_1h < 61200`.
ALTER TABLE positions ADD COLUMN invalidation TEXT;
ALTER TABLE trades ADD COLUMN invalidation TEXT;

-- The newest cycle of a model, and those that are open.
CREATE INDEX idx_cycles_model ON cycles (model_id, id);
CREATE INDEX idx_cycles_running ON cycles (model_id) WHERE status = 'running';

-- When a coin was last closed: for the cool-down.
CREATE INDEX idx_trades_model_coin ON trades (model_id, coin, id);

-- What became of a decision, by one set of words; what risk changed, field by field.
UPDATE decisions SET
    reason = CASE WHEN outcome = 'filled' THEN json_extract(detail, '$.changes[0]') ELSE reason END,
    outcome = CASE
        WHEN outcome != 'filled' THEN outcome
        WHEN json_array_length(detail, '$.changes') > 0 THEN 'adjusted'
        ELSE 'executed'
    END;
UPDATE decisions SET detail = NULL;
