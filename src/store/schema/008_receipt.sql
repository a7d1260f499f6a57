-- What a server notes of a session that clients send it. Primary: no stream says when something arrived here.
CREATE TABLE receipt (
    session    INTEGER PRIMARY KEY REFERENCES session (id),
    created_at INTEGER NOT NULL,             -- ms; the first arrival
    updated_at INTEGER NOT NULL,             -- ms; the last change, of its metadata too
    bytes      INTEGER NOT NULL,             -- of the archive that arrived last
    members    TEXT NOT NULL,                -- JSON: the files of that archive, and the stream that holds each
    heads      BLOB NOT NULL                 -- Store::heads when it had arrived: while it is that, members are the session
) STRICT;
