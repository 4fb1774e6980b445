-- Who changed what: a row for every change of settings, keys, models, coins, trading and access,
-- written in the transaction of the change. `timestamp` is the wall clock's; `changes` is JSON,
-- {"field": {"before": …, "after": …}}, in which secrets are masked.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp INTEGER NOT NULL,
    actor TEXT NOT NULL,
    actor_name TEXT,
    action TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id INTEGER,
    object_name TEXT,
    changes TEXT NOT NULL
);
CREATE INDEX idx_audit_log_object ON audit_log (object_type, object_id, id);

-- Rows are added and nothing else; the third is for INSERT OR REPLACE, which deletes unasked.
CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is not changed');
END;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is not deleted from');
END;
CREATE TRIGGER audit_log_is_not_replaced BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is not changed');
END;
