-- What the sentence of a failed backtest or search speaks of, by name, so that pages word it in their
-- language by its code. One from before has none, and is shown by its sentence.
ALTER TABLE backtests ADD COLUMN error_values TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sweeps ADD COLUMN error_values TEXT NOT NULL DEFAULT '{}';
