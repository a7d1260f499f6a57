-- Who is signed in with a browser. A session lives no longer than the key that it was made from.
CREATE TABLE web_session (
    id         INTEGER PRIMARY KEY,
    key        TEXT NOT NULL REFERENCES api_key (id),
    lookup     BLOB NOT NULL,            -- the first 8 bytes of the hash
    hash       BLOB NOT NULL UNIQUE,     -- SHA-256 of the cookie's token
    created_at INTEGER NOT NULL,         -- ms
    expires_at INTEGER NOT NULL          -- ms
) STRICT;
CREATE INDEX web_session_by_lookup ON web_session (lookup);
CREATE INDEX web_session_by_key ON web_session (key);

-- Links with which a browser signs in, once.
CREATE TABLE sign_in_link (
    hash       BLOB PRIMARY KEY,         -- SHA-256 of the token
    key        TEXT NOT NULL REFERENCES api_key (id),
    expires_at INTEGER NOT NULL          -- ms
) STRICT, WITHOUT ROWID;

-- The list of sessions tells how many others see each.
CREATE INDEX share_by_owner ON share (owner);
