-- Every question to an LLM is written here before it is sent and finished after it, so that a
-- process that dies in between has spent what it reserved. `sent_at` is of the wall clock, by which
-- days of a budget are counted; `timestamp` stays the market's. `prompt` is the user message.
-- A row that was never sent (budget, halted) has no `sent_at` and counts for nothing.
ALTER TABLE conversations ADD COLUMN status TEXT NOT NULL DEFAULT 'ok';
ALTER TABLE conversations ADD COLUMN error_code TEXT;
ALTER TABLE conversations ADD COLUMN sent_at INTEGER;
ALTER TABLE conversations ADD COLUMN budget_model_id INTEGER;
ALTER TABLE conversations ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE conversations ADD COLUMN purpose TEXT NOT NULL DEFAULT 'decide';
ALTER TABLE conversations ADD COLUMN provider TEXT;
ALTER TABLE conversations ADD COLUMN model_name TEXT;
ALTER TABLE conversations ADD COLUMN template_version TEXT;
ALTER TABLE conversations ADD COLUMN system_prompt TEXT;
ALTER TABLE conversations ADD COLUMN output_mode TEXT;
ALTER TABLE conversations ADD COLUMN finish_reason TEXT;
ALTER TABLE conversations ADD COLUMN cached_tokens INTEGER;
ALTER TABLE conversations ADD COLUMN reasoning_tokens INTEGER;
ALTER TABLE conversations ADD COLUMN usage_estimated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN reserved_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN reserved_cost TEXT NOT NULL DEFAULT '0';
-- What had to be repaired in the answer, and what was wrong with which coin: JSON.
ALTER TABLE conversations ADD COLUMN parsed TEXT;
CREATE INDEX idx_conversations_cycle ON conversations (cycle_id);
CREATE INDEX idx_conversations_budget ON conversations (budget_model_id, sent_at);

-- How each endpoint's models can be held to a form, found out once.
CREATE TABLE llm_output_modes (
    api_url TEXT NOT NULL,
    model_name TEXT NOT NULL,
    output_mode TEXT NOT NULL CHECK (output_mode IN ('json_schema', 'json_object', 'plain')),
    found_at INTEGER NOT NULL,
    PRIMARY KEY (api_url, model_name)
) WITHOUT ROWID;
