-- Months of candles that have left this file for Parquet. `root` is a folder (relative to this
-- file's own when it lies beside it) or an s3:// URL, `file` the path below it.
-- A row is written before its file ('writing'), counts from the moment the bars are deleted here
-- ('current'), and outlives a file that a fuller one stands in for ('replaced') until that is gone:
-- so whatever a cut leaves behind is known.
CREATE TABLE kline_archives (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    coin_id INTEGER NOT NULL REFERENCES coins (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    interval TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL CHECK (end_ms > start_ms),
    root TEXT NOT NULL,
    file TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('writing', 'current', 'replaced')),
    bars INTEGER NOT NULL DEFAULT 0,
    first_open_time INTEGER NOT NULL DEFAULT 0,
    last_open_time INTEGER NOT NULL DEFAULT 0,
    written_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX idx_kline_archives_current
    ON kline_archives (coin_id, source, interval, start_ms) WHERE state = 'current';

