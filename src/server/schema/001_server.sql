-- What the server knows beside its accounts' sessions. Each account's sessions are an archive of their own. Accounts and
-- keys have row numbers: two of one millisecond are listed in the order in which they came.

CREATE TABLE account (
    id          TEXT PRIMARY KEY,          -- UUID; also the name of the account's folder
    email       TEXT NOT NULL UNIQUE,      -- normalised
    created_at  INTEGER NOT NULL,          -- ms
    disabled_at INTEGER,                   -- ms
    is_admin    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE api_key (
    id           TEXT PRIMARY KEY,         -- UUID
    account      TEXT NOT NULL REFERENCES account (id),
    lookup       BLOB NOT NULL,            -- the first 8 bytes of the hash
    hash         BLOB NOT NULL UNIQUE,     -- SHA-256 of the key
    name         TEXT,
    created_at   INTEGER NOT NULL,         -- ms
    last_used_at INTEGER,                  -- ms; coarse: not every request is a write
    revoked_at   INTEGER                   -- ms
) STRICT;
CREATE INDEX api_key_by_lookup ON api_key (lookup);
CREATE INDEX api_key_by_account ON api_key (account);

CREATE TABLE invite (
    hash       BLOB PRIMARY KEY,           -- SHA-256 of the code
    email      TEXT,                       -- the one address it is for; NULL: any
    created_at INTEGER NOT NULL,           -- ms
    expires_at INTEGER NOT NULL,           -- ms
    used_by    TEXT REFERENCES account (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,              -- ms
    event   TEXT NOT NULL,
    account TEXT,
    session TEXT,
    address TEXT,                          -- the client's; of IPv6 the network
    detail  TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX audit_by_event ON audit (event, address, at);
