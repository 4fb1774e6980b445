-- The decisions of one cycle, for the log of decisions.
CREATE INDEX idx_decisions_cycle ON decisions (cycle_id);
