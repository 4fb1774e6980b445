-- A provider's key is kept sealed (see docs/decisions/0018-secrets-at-rest.md); `api_key` is where
-- it stood in plain text before, and is empty from the first start on.
ALTER TABLE providers ADD COLUMN sealed_key TEXT;

-- By model name: {"input", "output", "cached"} in US dollars per million tokens, as exact texts.
ALTER TABLE providers ADD COLUMN prices TEXT NOT NULL DEFAULT '{}';

-- By model name: the day (YYYY-MM-DD) up to which the model knows the world.
ALTER TABLE providers ADD COLUMN knowledge_cutoffs TEXT NOT NULL DEFAULT '{}';
