-- What changed since somebody last asked: every transaction that changes a stream or a register takes the next number.
CREATE TABLE change (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
) STRICT;
ALTER TABLE stream ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE register ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE stream SET changed = id;
INSERT INTO change (id, number) SELECT 1, coalesce(max(id), 0) FROM stream;
UPDATE register SET changed = (SELECT number FROM change);
CREATE INDEX stream_by_change ON stream (changed);
CREATE INDEX register_by_change ON register (changed);

-- Servers that this archive is synced with.
CREATE TABLE remote (
    id     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,             -- its address and the account there
    pushed INTEGER NOT NULL DEFAULT 0,       -- our number: what changed up to there is there, or in `unsent`
    pulled INTEGER NOT NULL DEFAULT 0        -- its number: what changed up to there is here
) STRICT;

-- So much of a stream a server is known to have.
CREATE TABLE acknowledged (
    remote        INTEGER NOT NULL REFERENCES remote (id) ON DELETE CASCADE,
    stream        INTEGER NOT NULL REFERENCES stream (id) ON DELETE CASCADE,
    redaction     INTEGER NOT NULL,          -- the version of the rules by which it was redacted on the way out; 0: exact
    length        INTEGER NOT NULL,          -- of ours
    remote_length INTEGER NOT NULL,          -- of theirs: differs where secrets were redacted
    remote_hash   BLOB NOT NULL,             -- theirs, at that length
    PRIMARY KEY (remote, stream, redaction)
) STRICT, WITHOUT ROWID;
CREATE INDEX acknowledged_by_stream ON acknowledged (stream);

-- Sessions that could not be pushed.
CREATE TABLE unsent (
    remote   INTEGER NOT NULL REFERENCES remote (id) ON DELETE CASCADE,
    session  INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    attempts INTEGER NOT NULL,
    retry_at INTEGER,                        -- ms; NULL: never, it was refused for good
    reason   TEXT NOT NULL,
    PRIMARY KEY (remote, session)
) STRICT, WITHOUT ROWID;
