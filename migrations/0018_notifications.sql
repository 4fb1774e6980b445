-- Where the owner is told of what happens, and of what: one row. The address of a webhook is a key
-- to it, and sealed like one; `events` is JSON, a list of their names.
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sealed_address TEXT,
    events TEXT NOT NULL
);
