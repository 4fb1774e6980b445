-- What an alert says by code and values, so that pages word it in their language. An alert from
-- before has neither, and is shown by its message.
ALTER TABLE data_alerts ADD COLUMN code TEXT;
ALTER TABLE data_alerts ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
