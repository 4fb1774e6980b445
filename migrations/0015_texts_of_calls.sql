-- Texts of calls are compressed from here on (zlib; what is no text but a BLOB), and forgotten after
-- the days of a setting; their figures stay. This finds the calls that still have theirs: what an
-- import brought has no template and keeps it.
CREATE INDEX idx_conversations_texts ON conversations (timestamp)
WHERE prompt IS NOT NULL AND template_version IS NOT NULL;
