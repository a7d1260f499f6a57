-- Named positions in a session. Primary: only we know them. No bytes are copied.
CREATE TABLE checkpoint (
    id         INTEGER PRIMARY KEY,
    session    INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    name       TEXT NOT NULL COLLATE NOCASE, -- also the name of a folder, on any file system
    leaf       TEXT,                         -- the id of the last message of the live conversation
    streams    TEXT NOT NULL,                -- JSON: [{"name": "main", "generation": 0, "length": 1234}]
    created_at INTEGER NOT NULL,             -- ms
    UNIQUE (session, name)
) STRICT;
