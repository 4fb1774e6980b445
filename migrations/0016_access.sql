-- Who may call: the owner's password, the browsers that have signed in with it, the tokens of
-- scripts. All three are kept as hashes. Times are the wall clock's, in milliseconds UTC.
CREATE TABLE owner_password (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hash TEXT NOT NULL,
    changed_at INTEGER NOT NULL
);

CREATE TABLE sign_ins (
    id_hash TEXT PRIMARY KEY,
    signed_in_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE access_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- what was revoked gives its number to no other
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'trade', 'admin')),
    hash TEXT NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
);
