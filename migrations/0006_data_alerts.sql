-- What was noticed about the sources' data: prices apart from each other, jumps, gaps, rows left
-- out, sources out of order. Times are the wall clock's.
CREATE TABLE data_alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('deviation', 'jump', 'gap', 'dropped', 'source_down')),
    source TEXT NOT NULL,
    coin TEXT,
    message TEXT NOT NULL
);
