-- What language models answered in backtests, kept for good: a question is known by the SHA-256 of
-- where it was sent, to which model, with which parameters and which messages. Asked anew, the same
-- question has more than one answer, of which the newest is used. `question` and `answer` are JSON,
-- compressed; `cost` is what the answer cost when it was given, in US dollars.
CREATE TABLE llm_answers (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL,
    api_url TEXT NOT NULL,
    model_name TEXT NOT NULL,
    question BLOB NOT NULL,
    answer BLOB NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost TEXT,
    recorded_at INTEGER NOT NULL
);
CREATE INDEX idx_llm_answers_hash ON llm_answers (hash, id);
CREATE INDEX idx_llm_answers_sizes ON llm_answers (api_url, model_name, id, output_tokens);

-- Which answers a run has used, in its order: what its export holds, and what it goes on from.
CREATE TABLE backtest_answers (
    backtest_id INTEGER NOT NULL REFERENCES backtests (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    answer_id INTEGER NOT NULL REFERENCES llm_answers (id),
    bar_time INTEGER NOT NULL,
    PRIMARY KEY (backtest_id, hash)
) WITHOUT ROWID;

-- Calls that runs have paid for, each written down before it is sent, so that a run whose process
-- dies in between has spent what it reserved. They count for no model's daily budget.
CREATE TABLE backtest_calls (
    id INTEGER PRIMARY KEY,
    backtest_id INTEGER NOT NULL REFERENCES backtests (id) ON DELETE CASCADE,
    bar_time INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    output_mode TEXT NOT NULL,
    status TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    reserved_tokens INTEGER NOT NULL,
    reserved_cost TEXT NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost TEXT,
    latency_ms INTEGER,
    error_code TEXT,
    error TEXT
);
CREATE INDEX idx_backtest_calls_run ON backtest_calls (backtest_id);

-- Which process runs it: a number whose byte of the lock file is held for as long as that lives.
ALTER TABLE backtests ADD COLUMN runner INTEGER;
