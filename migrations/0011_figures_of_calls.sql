-- Costs and budgets are added up from these alone: a row's figures stand behind its texts, which
-- are long, and would all be read.
CREATE INDEX idx_conversations_cost ON conversations (model_id, timestamp, cost)
WHERE cost IS NOT NULL;
CREATE INDEX idx_conversations_spent ON conversations (
    budget_model_id, sent_at, prompt_tokens, completion_tokens, reserved_tokens, reserved_cost, cost
);
DROP INDEX idx_conversations_budget;
