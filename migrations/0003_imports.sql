-- What has been brought in from another app's file, so that a second run adds nothing: the
-- provider or model by what the file says of it, and how far each table of it has been read.
CREATE TABLE imports (
    kind TEXT NOT NULL CHECK (kind IN ('provider', 'model')),
    fingerprint TEXT NOT NULL,
    new_id INTEGER NOT NULL,
    imported_at INTEGER NOT NULL,
    last_trade_id INTEGER NOT NULL DEFAULT 0,
    last_conversation_id INTEGER NOT NULL DEFAULT 0,
    last_account_value_id INTEGER NOT NULL DEFAULT 0,
    trades_booked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, fingerprint)
) WITHOUT ROWID;
