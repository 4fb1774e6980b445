-- Searches over parameters: each with what was asked for, its state, and its result when it is done.

CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    config TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    progress REAL NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    result BLOB,
    error_code TEXT,
    error TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
) STRICT;
